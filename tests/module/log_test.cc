#include "module/log.h"

#include <string>
#include <thread>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

LogRecord record_of(std::string message) {
  LogRecord record;
  record.message = std::move(message);
  return record;
}

TEST(LogQueue, GivesBackWhatWasPushedInOrder) {
  LogQueue queue;
  LogRecord in = record_of("first");
  in.level = kLogError;
  in.logger = "worker";
  in.fields = {{"worker", "w"}, {"binary", std::string("a\0b", 3)}};
  in.context_json = "{}";
  queue.push(in);
  queue.push(record_of("second"));

  LogRecord out;
  uint64_t dropped = 99;
  ASSERT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(out.message, "first");
  EXPECT_EQ(out.level, kLogError);
  EXPECT_EQ(out.logger, "worker");
  EXPECT_EQ(out.fields, in.fields);
  EXPECT_EQ(out.context_json, "{}");
  EXPECT_GT(out.time_unix_ns, 0);
  EXPECT_EQ(dropped, 0u);
  ASSERT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(out.message, "second");
  EXPECT_EQ(queue.next(0, out, dropped), LogQueue::Next::Timeout);
}

TEST(LogQueue, KeepsATimeThatWasGiven) {
  LogQueue queue;
  LogRecord in = record_of("m");
  in.time_unix_ns = 42;
  queue.push(std::move(in));
  LogRecord out;
  uint64_t dropped;
  ASSERT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(out.time_unix_ns, 42);
}

TEST(LogQueue, AWaitingReaderIsWoken) {
  LogQueue queue;
  std::thread writer([&] { queue.push(record_of("m")); });
  LogRecord out;
  uint64_t dropped;
  EXPECT_EQ(queue.next(UINT32_MAX, out, dropped), LogQueue::Next::Record);
  writer.join();
}

TEST(LogQueue, CloseEndsTheReaderOnceItHasReadAll) {
  LogQueue queue;
  queue.push(record_of("last"));
  queue.close();
  LogRecord out;
  uint64_t dropped;
  EXPECT_EQ(queue.next(UINT32_MAX, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(queue.next(UINT32_MAX, out, dropped), LogQueue::Next::Closed);
  queue.push(record_of("after"));
  queue.reopen();
  EXPECT_EQ(queue.next(UINT32_MAX, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(out.message, "after");
  EXPECT_EQ(queue.next(0, out, dropped), LogQueue::Next::Timeout);
}

TEST(LogQueue, CloseWakesAWaitingReader) {
  LogQueue queue;
  test::Gate reading;
  std::thread reader([&] {
    LogRecord out;
    uint64_t dropped;
    reading.open();
    EXPECT_EQ(queue.next(UINT32_MAX, out, dropped), LogQueue::Next::Closed);
  });
  reading.wait();
  queue.close();
  reader.join();
}

TEST(LogQueue, AStuckReaderCostsRecordsAndTheyAreCounted) {
  LogQueue queue;
  const std::string big(LogQueue::kMaxBytes / 2, 'x');
  queue.push(record_of(big));
  queue.push(record_of("small"));
  queue.push(record_of(big));  // does not fit
  queue.push(record_of(big));
  LogRecord out;
  uint64_t dropped = 0;
  ASSERT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(dropped, 2u);
  ASSERT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(out.message, "small");
  EXPECT_EQ(dropped, 0u) << "told once";
  queue.push(record_of(big));
  EXPECT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record) << "there is room again";
}

TEST(LogQueue, ARecordLargerThanTheQueueGoesThroughAlone) {
  LogQueue queue;
  queue.push(record_of(std::string(LogQueue::kMaxBytes + 1, 'x')));
  LogRecord out;
  uint64_t dropped;
  EXPECT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(out.message.size(), LogQueue::kMaxBytes + 1);
}

TEST(LogQueue, AFullQueueWithoutAReaderDoesNotDelayItsWriters) {
  LogQueue queue;
  queue.push(record_of(std::string(LogQueue::kMaxBytes, 'x')));
  queue.close();
  const TimePoint began = now();
  for (int i = 0; i < 1000; ++i) queue.push(record_of("m"));
  EXPECT_LT(now() - began, std::chrono::seconds(50)) << "100 ms for each of them";
  LogRecord out;
  uint64_t dropped = 0;
  EXPECT_EQ(queue.next(0, out, dropped), LogQueue::Next::Record);
  EXPECT_EQ(dropped, 1000u);
}

TEST(LogQueue, ManyWritersLoseNothing) {
  LogQueue queue;
  constexpr int kWriters = 4, kEach = 2000;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i) queue.push(record_of(std::to_string(w) + ":" + std::to_string(i)));
    });
  }
  std::vector<int> next_of(kWriters);
  for (int i = 0; i < kWriters * kEach; ++i) {
    LogRecord out;
    uint64_t dropped;
    ASSERT_EQ(queue.next(UINT32_MAX, out, dropped), LogQueue::Next::Record);
    ASSERT_EQ(dropped, 0u);
    const int writer = out.message[0] - '0';
    ASSERT_EQ(out.message, std::to_string(writer) + ":" + std::to_string(next_of[writer]++));
  }
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace igor
