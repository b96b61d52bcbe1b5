// Drives a fuzz target where there is no libFuzzer: every file of the corpus, then mutations of it from a fixed seed,
// so that two runs of one build do the same.
//
//   NAME_fuzz [--runs N] [--first N] [--seed N] [--save FILE] [FILE or FOLDER]...
//
// A failure names the run; `--first RUN --runs 1` is that one alone, and `--save` keeps its input.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" [[gnu::weak]] int LLVMFuzzerInitialize(int*, char***) {
  return 0;
}

namespace {

constexpr size_t kLongest = 4096;

char what[512];  // runs now, for whoever finds it dead

void tell() {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, what, std::strlen(what));
}
void on_death(int signal_number) {
  tell();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

using Random = std::mt19937_64;

std::string mutated(const std::vector<std::string>& corpus, uint64_t seed, uint64_t run) {
  std::seed_seq mixed{seed, run};
  Random random(mixed);
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  std::string bytes = below(16) != 0 ? corpus[below(corpus.size())] : std::string(below(256), '\0');
  for (size_t changes = 1 + below(8); changes > 0; --changes) {
    const size_t place = below(bytes.size() + 1);
    const size_t length = 1 + below(below(8) != 0 ? 8 : 64);
    switch (bytes.empty() ? 3 : below(7)) {
      case 0:
        bytes[place % bytes.size()] ^= static_cast<char>(1u << below(8));
        break;
      case 1:
        bytes[place % bytes.size()] = static_cast<char>(random());
        break;
      case 2: {
        static constexpr unsigned char kOdd[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x08, 0x10};
        bytes[place % bytes.size()] = static_cast<char>(kOdd[below(std::size(kOdd))]);
        break;
      }
      case 3: {
        std::string more(length, '\0');
        for (char& byte : more) byte = static_cast<char>(random());
        bytes.insert(place, more);
        break;
      }
      case 4:
        bytes.erase(std::min(place, bytes.size() - 1), length);
        break;
      case 5:
        bytes.insert(place, bytes.substr(below(bytes.size()), length));
        break;
      default: {
        const std::string& other = corpus[below(corpus.size())];
        bytes = bytes.substr(0, place) + other.substr(below(other.size() + 1));
      }
    }
  }
  if (bytes.size() > kLongest) bytes.resize(kLongest);
  return bytes;
}

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 0, first = 0, seed = 1;
  std::string save;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const bool has_value = i + 1 < argc;
    if (option == "--runs" && has_value) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (option == "--first" && has_value) {
      first = std::strtoull(argv[++i], nullptr, 10);
    } else if (option == "--seed" && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (option == "--save" && has_value) {
      save = argv[++i];
    } else if (std::filesystem::is_directory(option)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(option)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else if (std::filesystem::is_regular_file(option)) {
      files.emplace_back(option);
    } else {
      std::fprintf(stderr, "%s: no such file, or an option without its value\n", option.c_str());
      return 2;
    }
  }
  for (const int signal_number : {SIGABRT, SIGTRAP, SIGALRM}) signal(signal_number, on_death);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  __sanitizer_set_death_callback(tell);
#else
  for (const int signal_number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) signal(signal_number, on_death);
#endif
  LLVMFuzzerInitialize(&argc, &argv);

  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const auto& path : files) {
    corpus.push_back(content(path));
    if (first != 0) continue;
    std::snprintf(what, sizeof what, "fuzz: it was %s\n", path.c_str());
    alarm(60);
    run(corpus.back());
  }
  if (corpus.empty()) corpus.emplace_back();
  for (uint64_t number = first; number < first + runs; ++number) {
    const std::string bytes = mutated(corpus, seed, number);
    if (!save.empty()) std::ofstream(save, std::ios::binary) << bytes;
    std::snprintf(what, sizeof what, "fuzz: it was --seed %llu --first %llu --runs 1\n",
                  static_cast<unsigned long long>(seed), static_cast<unsigned long long>(number));
    if (number % 64 == 0) alarm(60);  // what hangs is ended, and named
    run(bytes);
  }
  alarm(0);
  std::printf("%zu files and %llu mutations\n", files.size(), static_cast<unsigned long long>(runs));
  return 0;
}
