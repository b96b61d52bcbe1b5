#include "sapi/snapshot_image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace igor::sapi {
namespace {

// Of the arrays. opcache counts references to a string that it takes for the name of a file, interned or not
// (accel_new_interned_key()); under a lock, and nobody looks at the number.
constexpr bool kReadOnly = ZEND_DEBUG;

size_t whole_pages(size_t size) noexcept {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

using Tag = PayloadTag;
using Item = PayloadReader::Item;

// --- what an image needs ------------------------------------------------------------------------------

constexpr size_t aligned(size_t size) noexcept {
  return (size + 7) & ~size_t{7};
}

// Strings of up to one byte are the engine's own, which every thread has.
constexpr size_t string_size(size_t length) noexcept {
  return length <= 1 ? 0 : aligned(_ZSTR_STRUCT_SIZE(length));
}

// As large as the engine would make the table, which a copy of it has room to grow in.
uint32_t table_size(size_t count) noexcept {
  uint32_t size = HT_MIN_SIZE;
  while (size < count) size *= 2;
  return size;
}

// Of the elements, only those that there are have memory: an immutable array never gets another.
size_t list_size(size_t count) noexcept {
  return count == 0 ? 0 : sizeof(zend_array) + HT_PACKED_SIZE_EX(count, HT_MIN_MASK);
}

size_t map_size(size_t count) noexcept {
  return count == 0 ? 0 : sizeof(zend_array) + HT_SIZE_EX(count, HT_SIZE_TO_MASK(table_size(count)));
}

// Adds up what the next value takes. False: it can't be part of an image.
class Sizer {
 public:
  explicit Sizer(const Payload& payload) noexcept : reader_(payload) {}

  bool add_value(int depth = 0) noexcept {
    Item item;
    if (!reader_.next(item) || item.length > HT_MAX_SIZE) return false;
    if (levels(item.tag) > kPayloadMaxDepth - depth) return false;
    switch (item.tag) {
      case Tag::String:
        strings += string_size(item.length);
        return true;
      case Tag::Ints:
      case Tag::Floats:
        arrays += list_size(item.length);
        return true;
      case Tag::List:
        arrays += list_size(item.length);
        return add_values(item.length, depth);
      case Tag::Map:
        arrays += map_size(item.length);
        for (size_t i = 0; i < item.length; ++i) {
          if (!add_key() || !add_value(depth + 1)) return false;
        }
        return true;
      case Tag::Table:
        if (item.columns > HT_MAX_SIZE) return false;
        arrays += list_size(item.length) + item.length * map_size(item.columns);
        for (size_t i = 0; i < item.columns; ++i) {
          if (!add_key()) return false;
        }
        return add_values(item.length * item.columns, depth + 1);
      case Tag::Enum:
        return false;
      default:
        return true;
    }
  }
  bool whole() const noexcept { return reader_.at_end(); }

  size_t arrays = 0;  // bytes
  size_t strings = 0;

 private:
  // Of arrays that the value itself is.
  static int levels(Tag tag) noexcept {
    switch (tag) {
      case Tag::List:
      case Tag::Map:
      case Tag::Ints:
      case Tag::Floats:
        return 1;
      case Tag::Table:
        return 2;
      default:
        return 0;
    }
  }
  bool add_values(size_t count, int depth) noexcept {
    for (size_t i = 0; i < count; ++i) {
      if (!add_value(depth + 1)) return false;
    }
    return true;
  }
  bool add_key() noexcept {
    Item key;
    if (!reader_.next(key) || (key.tag != Tag::Int && key.tag != Tag::String)) return false;
    if (key.tag == Tag::String) strings += string_size(key.length);
    return true;
  }

  PayloadReader reader_;
};

// --- making it ----------------------------------------------------------------------------------------

struct Key {
  zend_string* name;  // null: an integer key
  zend_ulong hash;
};

// Writes the value into a block of just the size that the Sizer has found. False: no image (two keys that are the same
// one to a script, as "7" and 7).
class Builder {
 public:
  Builder(const Payload& payload, char* arrays, char* strings) noexcept
      : reader_(payload), arrays_(arrays), strings_(strings) {}

  bool build(zval* value) noexcept {
    Item item;
    reader_.next(item);
    switch (item.tag) {
      case Tag::Null:
        ZVAL_NULL(value);
        return true;
      case Tag::False:
        ZVAL_FALSE(value);
        return true;
      case Tag::True:
        ZVAL_TRUE(value);
        return true;
      case Tag::Int:
        ZVAL_LONG(value, item.integer);
        return true;
      case Tag::Float:
        ZVAL_DOUBLE(value, item.real);
        return true;
      case Tag::String:
        ZVAL_INTERNED_STR(value, string(item));
        return true;
      default:
        return build_array(item, value);
    }
  }
  bool filled(const char* arrays_end, const char* strings_end) const noexcept {
    return arrays_ == arrays_end && strings_ == strings_end;
  }

 private:
  static void* take(char*& at, size_t size) noexcept { return std::exchange(at, at + aligned(size)); }

  zend_string* string(const Item& item) noexcept {
    if (item.length == 0) return ZSTR_EMPTY_ALLOC();
    if (item.length == 1) return ZSTR_CHAR(static_cast<unsigned char>(*item.data));
    auto* const made = static_cast<zend_string*>(take(strings_, _ZSTR_STRUCT_SIZE(item.length)));
    GC_SET_REFCOUNT(made, 2);  // nobody's alone
    GC_TYPE_INFO(made) = GC_STRING | (IS_STR_INTERNED << GC_FLAGS_SHIFT);
    ZSTR_LEN(made) = item.length;
    std::memcpy(ZSTR_VAL(made), item.data, item.length);
    ZSTR_VAL(made)[item.length] = '\0';
    ZSTR_H(made) = zend_hash_func(ZSTR_VAL(made), item.length);  // or the first to ask for it would write
    return made;
  }

  // The head, then the memory of a table for `count` elements, without any yet.
  zend_array* array(size_t count, uint32_t mask, size_t element, uint32_t flags) noexcept {
    auto* const made = static_cast<zend_array*>(take(arrays_, sizeof(zend_array)));
    GC_SET_REFCOUNT(made, 2);
    GC_TYPE_INFO(made) = GC_ARRAY | ((IS_ARRAY_IMMUTABLE | GC_NOT_COLLECTABLE) << GC_FLAGS_SHIFT);
    HT_FLAGS(made) = flags | HASH_FLAG_STATIC_KEYS;
    made->nTableMask = mask;
    made->nNumUsed = made->nNumOfElements = 0;
    made->nTableSize = table_size(count);
    made->nInternalPointer = 0;
    made->nNextFreeElement = ZEND_LONG_MIN;
    made->pDestructor = ZVAL_PTR_DTOR;
    HT_SET_DATA_ADDR(made, take(arrays_, HT_HASH_SIZE(mask) + count * element));
    return made;
  }
  zend_array* list(size_t count) noexcept {
    zend_array* const made = array(count, HT_MIN_MASK, sizeof(zval), HASH_FLAG_PACKED);
    HT_HASH_RESET_PACKED(made);
    made->nNumUsed = made->nNumOfElements = static_cast<uint32_t>(count);
    made->nNextFreeElement = static_cast<zend_long>(count);
    return made;
  }
  zend_array* map(size_t count) noexcept {
    zend_array* const made = array(count, HT_SIZE_TO_MASK(table_size(count)), sizeof(Bucket), 0);
    HT_HASH_RESET(made);
    return made;
  }

  Key key() noexcept {
    Item item;
    reader_.next(item);
    if (item.tag == Tag::Int) return {nullptr, static_cast<zend_ulong>(item.integer)};
    zend_ulong index;
    // As a script would: "7" is the key 7.
    if (ZEND_HANDLE_NUMERIC_STR(item.data, item.length, index)) return {nullptr, index};
    zend_string* const name = string(item);
    return {name, ZSTR_H(name)};
  }

  // The place of another element. Null when there is one of that key.
  static zval* place(zend_array* array, const Key& key) noexcept {
    const uint32_t slot = static_cast<uint32_t>(key.hash) | array->nTableMask;
    for (uint32_t i = HT_HASH(array, slot); i != HT_INVALID_IDX; i = Z_NEXT(array->arData[i].val)) {
      const Bucket& other = array->arData[i];
      if (other.h != key.hash || (other.key == nullptr) != (key.name == nullptr)) continue;
      if (key.name == nullptr || zend_string_equals(other.key, key.name)) return nullptr;
    }
    const uint32_t index = array->nNumUsed++;
    ++array->nNumOfElements;
    Bucket& bucket = array->arData[index];
    bucket.key = key.name;
    bucket.h = key.hash;
    Z_NEXT(bucket.val) = HT_HASH(array, slot);
    HT_HASH(array, slot) = index;
    if (const auto number = static_cast<zend_long>(key.hash);
        key.name == nullptr && number >= array->nNextFreeElement) {
      array->nNextFreeElement = number < ZEND_LONG_MAX ? number + 1 : ZEND_LONG_MAX;
    }
    return &bucket.val;
  }

  static void put(zval* value, zend_array* array) noexcept {
    Z_ARR_P(value) = array;
    Z_TYPE_INFO_P(value) = IS_ARRAY;  // not counted
  }
  // What build() writes leaves the link of a bucket's value alone.
  bool build_array(const Item& item, zval* value) noexcept {
    if (item.length == 0) {
      ZVAL_EMPTY_ARRAY(value);
      return true;
    }
    switch (item.tag) {
      case Tag::Ints:
        return build_numbers(item, value);
      case Tag::Floats:
        return build_numbers(item, value);
      case Tag::List:
        return build_list(item, value);
      case Tag::Map:
        return build_map(item, value);
      default:
        return build_table(item, value);
    }
  }
  bool build_numbers(const Item& item, zval* value) noexcept {
    zend_array* const made = list(item.length);
    put(value, made);
    for (size_t i = 0; i < item.length; ++i) {
      if (item.tag == Tag::Ints) {
        ZVAL_LONG(&made->arPacked[i], item.int_at(i));
      } else {
        ZVAL_DOUBLE(&made->arPacked[i], item.float_at(i));
      }
    }
    return true;
  }
  bool build_list(const Item& item, zval* value) noexcept {
    zend_array* const made = list(item.length);
    put(value, made);
    for (size_t i = 0; i < item.length; ++i) {
      if (!build(&made->arPacked[i])) return false;
    }
    return true;
  }
  bool build_map(const Item& item, zval* value) noexcept {
    zend_array* const made = map(item.length);
    put(value, made);
    for (size_t i = 0; i < item.length; ++i) {
      zval* const element = place(made, key());
      if (element == nullptr || !build(element)) return false;
    }
    return true;
  }
  // Rows share their keys, which the first one is made with and the others copy, hash and all.
  bool build_table(const Item& item, zval* value) noexcept {
    zend_array* const made = list(item.length);
    put(value, made);
    const zend_array* first = nullptr;
    for (size_t row = 0; row < item.length; ++row) {
      zend_array* const columns = map(item.columns);
      put(&made->arPacked[row], columns);
      if (first == nullptr) {
        for (size_t i = 0; i < item.columns; ++i) {
          zval* const element = place(columns, key());
          if (element == nullptr) return false;
        }
        first = columns;
      } else {
        std::memcpy(HT_GET_DATA_ADDR(columns), HT_GET_DATA_ADDR(first),
                    HT_HASH_SIZE(first->nTableMask) + item.columns * sizeof(Bucket));
        columns->nNumUsed = columns->nNumOfElements = first->nNumOfElements;
        columns->nNextFreeElement = first->nNextFreeElement;
      }
      for (size_t i = 0; i < item.columns; ++i) {
        if (!build(&columns->arData[i].val)) return false;
      }
    }
    return true;
  }

  PayloadReader reader_;
  char* arrays_;  // what comes next
  char* strings_;
};

}  // namespace

const SnapshotImage* SnapshotImage::of(const Snapshot& snapshot) noexcept {
  const auto* const image = static_cast<const SnapshotImage*>(snapshot.view(make));
  return image != nullptr && Z_TYPE(image->value_) == IS_ARRAY ? image : nullptr;
}

std::unique_ptr<SnapshotImage> SnapshotImage::make(const Payload& payload) noexcept {
  std::unique_ptr<SnapshotImage> image(new (std::nothrow) SnapshotImage);
  if (!image) return nullptr;
  Sizer sizer(payload);
  if (!sizer.add_value() || !sizer.whole()) return image;  // there is none, and nobody needs to look again
  const size_t strings_at = kReadOnly ? whole_pages(sizer.arrays) : sizer.arrays;
  if (!image->allocate(strings_at + sizer.strings)) return nullptr;
  auto* const block = static_cast<char*>(image->block_);
  Builder builder(payload, block, block + strings_at);
  if (!builder.build(&image->value_)) {
    ZVAL_UNDEF(&image->value_);
    image->release();
    return image;
  }
  assert(builder.filled(block + sizer.arrays, block + strings_at + sizer.strings));
  if (kReadOnly && strings_at > 0) mprotect(block, strings_at, PROT_READ);
  return image;
}

// An empty array needs nothing: it is the engine's own.
bool SnapshotImage::allocate(size_t size) noexcept {
  if (size == 0) return true;
  size_ = size;
  if (!kReadOnly) return (block_ = std::malloc(size)) != nullptr;
  void* const mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped != MAP_FAILED) block_ = mapped;
  return block_ != nullptr;
}

void SnapshotImage::release() noexcept {
  if (!kReadOnly) {
    std::free(block_);
  } else if (block_ != nullptr) {
    munmap(block_, size_);
  }
  block_ = nullptr;
}

SnapshotImage::~SnapshotImage() {
  release();
}

}  // namespace igor::sapi
