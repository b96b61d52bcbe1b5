#include "tests/interleave/heap.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace igor::interleave::heap {
namespace {

struct alignas(std::max_align_t) Block {
  Block* next = nullptr;
  uint32_t size = 0;
  uint32_t watched = 0;  // the run it belongs to; 0: nobody's
};

bool watching = false;
uint32_t run = 1;  // what an execution that was cut short has left is not counted later
int64_t blocks = 0;
Block* freed = nullptr;

void* allocate(size_t size) {
  auto* const block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
  if (block == nullptr) throw std::bad_alloc();
  new (block) Block{nullptr, static_cast<uint32_t>(size), watching ? run : 0};
  blocks += watching;
  return block + 1;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  Block* const block = static_cast<Block*>(memory) - 1;
  if (block->watched == 0) {
    std::free(block);
    return;
  }
  if (block->watched == run) --blocks;
#ifdef __SANITIZE_ADDRESS__
  std::free(block);
#else
  std::memset(memory, 0xdd, block->size);
  block->next = freed;
  freed = block;
#endif
}

}  // namespace

int64_t live() noexcept {
  return blocks;
}

void forget() noexcept {
  ++run;
  blocks = 0;
}

void settle() noexcept {
  while (freed != nullptr) {
    Block* const block = freed;
    freed = block->next;
    std::free(block);
  }
}

bool watch(bool on) noexcept {
  const bool before = watching;
  watching = on;
  return before;
}

}  // namespace igor::interleave::heap

void* operator new(size_t size) {
  return igor::interleave::heap::allocate(size);
}
void* operator new[](size_t size) {
  return igor::interleave::heap::allocate(size);
}
void operator delete(void* memory) noexcept {
  igor::interleave::heap::release(memory);
}
void operator delete[](void* memory) noexcept {
  igor::interleave::heap::release(memory);
}
void operator delete(void* memory, size_t) noexcept {
  igor::interleave::heap::release(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  igor::interleave::heap::release(memory);
}
