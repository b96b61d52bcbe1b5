// decode_payload() and consume_payload(), see payload_codec.h.
#include <sys/mman.h>
#include <zend_enum.h>

#include <ext/spl/spl_exceptions.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <new>

#include "sapi/payload_codec.h"

namespace igor::sapi {
namespace {

// Rows of a table repeat their keys: one string then serves them all, as it would in a script. Holds a
// reference to each; a bailout drops them with all request memory.
class KeyCache {
 public:
  zend_string* get(const char* data, size_t length) {
    if (length <= 1) return length == 0 ? ZSTR_EMPTY_ALLOC() : ZSTR_CHAR(static_cast<unsigned char>(*data));
    if (length > 64) return zend_string_init(data, length, false);
    const size_t place =
        (length * 31 + static_cast<unsigned char>(data[0]) * 7 + static_cast<unsigned char>(data[length - 1])) %
        kPlaces;
    zend_string*& key = keys_[place];
    if (used_ >> place & 1) {
      if (ZSTR_LEN(key) == length && memcmp(ZSTR_VAL(key), data, length) == 0) return zend_string_copy(key);
      zend_string_release(key);
      used_ &= ~(uint64_t{1} << place);  // making a string may bail out
    }
    key = zend_string_init(data, length, false);
    used_ |= uint64_t{1} << place;
    zend_string_hash_val(key);
    return zend_string_copy(key);
  }
  void release() {
    for (; used_ != 0; used_ &= used_ - 1) zend_string_release(keys_[std::countr_zero(used_)]);
  }

 private:
  static constexpr size_t kPlaces = 64;
  zend_string* keys_[kPlaces];
  uint64_t used_ = 0;
};

constexpr size_t kHugePage = size_t{2} << 20;

// How much to allocate for a string of this length. A large one ends with its last large page, if memory_limit has room
// for that: the small pages of a tail cost as much as all the rest, and what they leave in the page tables keeps large
// ones from where the next string will lie.
size_t allocated_length(size_t length) {
  constexpr size_t kLarge = 4 * kHugePage;
  if (length < kLarge) return length;
  const size_t whole = (_ZSTR_STRUCT_SIZE(length) + kHugePage - 1) / kHugePage * kHugePage;
  const size_t used = zend_memory_usage(true);
  const auto limit = static_cast<size_t>(PG(memory_limit));  // without one: the largest number
  return limit > used && limit - used >= whole ? whole - _ZSTR_STRUCT_SIZE(0) : length;
}

// Memory that is about to be written from end to end. The engine maps that of a large string anew each time, and the
// faults of its pages, one by one, cost several times what the copy does: so the kernel is asked for large pages,
// and for all of them at once. It may say no.
void expect_writes(void* memory, size_t size) {
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + kHugePage - 1) & ~(kHugePage - 1);
  const uintptr_t end = reinterpret_cast<uintptr_t>(memory) + size;
  if (end < begin + kHugePage) return;
  static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
#ifdef MADV_POPULATE_WRITE
  static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE));
#endif
}

zend_string* make_string(const char* data, size_t length) {
  const size_t allocated = allocated_length(length);
  zend_string* const string = zend_string_alloc(allocated, false);
  expect_writes(string, _ZSTR_STRUCT_SIZE(allocated));
  ZSTR_LEN(string) = length;
  memcpy(ZSTR_VAL(string), data, length);
  ZSTR_VAL(string)[length] = '\0';
  return string;
}

struct Decoder {
  explicit Decoder(const Payload& payload) noexcept : reader(payload) {}
  PayloadReader reader;
  KeyCache keys;
  int depth = 0;
};

// Payloads whose decoding is under way on this thread, or was cut short by a bailout. Not a stack: an
// autoloader may suspend the Fiber that decodes.
struct Consumed {
  explicit Consumed(Payload&& taken) noexcept : payload(std::move(taken)), next(first), link(&first) {
    if (next != nullptr) next->link = &next;
    first = this;
  }
  ~Consumed() {
    *link = next;
    if (next != nullptr) next->link = link;
  }
  Consumed(const Consumed&) = delete;
  Consumed& operator=(const Consumed&) = delete;

  static thread_local Consumed* first;

  const Payload payload;
  Consumed* next;
  Consumed** link;
};

thread_local Consumed* Consumed::first = nullptr;

bool malformed() {
  zend_throw_exception(spl_ce_RuntimeException, "the payload's bytes are malformed", 0);
  return false;
}

bool unknown_enum(const PayloadReader::Item& item, const char* what) {
  // Names of any length may come in; printf's precision is an int.
  constexpr size_t kShown = 1024;
  if (EG(exception) == nullptr) {
    zend_throw_exception_ex(spl_ce_LogicException, 0, "%s %.*s::%.*s is not known here", what,
                            static_cast<int>(std::min(item.length, kShown)), item.data,
                            static_cast<int>(std::min(item.case_length, kShown)), item.case_name);
  }
  return false;
}

bool decode_enum(const PayloadReader::Item& item, zval* value) {
  zend_string* const class_name = zend_string_init(item.data, item.length, false);
  zend_class_entry* const entry = zend_lookup_class(class_name);
  zend_string_release(class_name);
  if (entry == nullptr || !(entry->ce_flags & ZEND_ACC_ENUM)) return unknown_enum(item, "enum");
  const auto* constant = static_cast<zend_class_constant*>(
      zend_hash_str_find_ptr(CE_CONSTANTS_TABLE(entry), item.case_name, item.case_length));
  if (constant == nullptr || !(ZEND_CLASS_CONST_FLAGS(constant) & ZEND_CLASS_CONST_IS_CASE)) {
    return unknown_enum(item, "enum case");
  }
  zend_string* const case_name = zend_string_init(item.case_name, item.case_length, false);
  zend_object* const object = zend_enum_get_case(entry, case_name);
  zend_string_release(case_name);
  if (object == nullptr) return unknown_enum(item, "enum case");
  ZVAL_OBJ_COPY(value, object);
  return true;
}

bool decode(Decoder& decoder, zval* value);

bool decode_list(Decoder& decoder, zend_array* array, size_t count) {
  zend_hash_real_init_packed(array);
  bool whole = true;
  ZEND_HASH_FILL_PACKED(array) {
    for (size_t i = 0; i < count; ++i) {
      zval element;
      whole = decode(decoder, &element);
      if (!whole) break;
      ZEND_HASH_FILL_ADD(&element);
    }
  }
  ZEND_HASH_FILL_END();
  return whole;
}

// A key into `key` and `index`; the key's reference is the caller's, null for an integer one. False after throwing.
bool decode_key(Decoder& decoder, zend_string*& key, zend_ulong& index) {
  PayloadReader::Item item;
  if (!decoder.reader.next(item)) return malformed();
  key = nullptr;
  if (item.tag == PayloadTag::Int) {
    index = static_cast<zend_ulong>(item.integer);
    return true;
  }
  if (item.tag != PayloadTag::String) return malformed();
  key = decoder.keys.get(item.data, item.length);
  return true;
}

// As a script would: "7" is the key 7.
zval* set_element(zend_array* array, zend_string* key, zend_ulong index, zval* element) {
  return key != nullptr ? zend_symtable_update(array, key, element) : zend_hash_index_update(array, index, element);
}

bool decode_map(Decoder& decoder, zend_array* array, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    zend_string* key;
    zend_ulong index = 0;
    if (!decode_key(decoder, key, index)) return false;
    zval element;
    const bool decoded = decode(decoder, &element);
    if (decoded) set_element(array, key, index, &element);
    if (key != nullptr) zend_string_release(key);
    if (!decoded) return false;
  }
  return true;
}

// A row without values: every row is a copy of it, so that keys are looked up and hashed once for all. False after
// throwing.
bool decode_columns(Decoder& decoder, zend_array* blank, size_t columns) {
  zend_hash_real_init_mixed(blank);
  for (size_t i = 0; i < columns; ++i) {
    zend_string* key;
    zend_ulong index = 0;
    if (!decode_key(decoder, key, index)) return false;
    zval null;
    ZVAL_NULL(&null);
    set_element(blank, key, index, &null);
    if (key != nullptr) zend_string_release(key);
  }
  // Two columns of one name: no array has them.
  return blank->nNumOfElements == columns || malformed();
}

// zend_array_dup() would sort each key into the copy's table anew.
zend_array* copy_of_blank(const zend_array* blank) {
  auto* const row = static_cast<zend_array*>(emalloc(sizeof(zend_array)));
  *row = *blank;
  GC_SET_REFCOUNT(row, 1);
  void* const data = emalloc(HT_SIZE(blank));
  memcpy(data, HT_GET_DATA_ADDR(blank), HT_USED_SIZE(blank));
  HT_SET_DATA_ADDR(row, data);
  for (uint32_t i = 0; i < row->nNumUsed; ++i) {
    if (row->arData[i].key != nullptr) zend_string_addref(row->arData[i].key);
  }
  return row;
}

bool decode_rows(Decoder& decoder, zend_array* array, const zend_array* blank, size_t rows, size_t columns) {
  zend_hash_real_init_packed(array);
  bool whole = true;
  ZEND_HASH_FILL_PACKED(array) {
    for (size_t i = 0; i < rows && whole; ++i) {
      zend_array* const row = copy_of_blank(blank);
      zval element_of_list;
      ZVAL_ARR(&element_of_list, row);
      ZEND_HASH_FILL_ADD(&element_of_list);
      for (size_t column = 0; column < columns && whole; ++column) {
        zval element;
        whole = decode(decoder, &element);
        if (whole) ZVAL_COPY_VALUE(&row->arData[column].val, &element);
      }
    }
  }
  ZEND_HASH_FILL_END();
  return whole;
}

bool decode_table(Decoder& decoder, zend_array* array, size_t rows, size_t columns) {
  if (columns > HT_MAX_SIZE || decoder.depth == kPayloadMaxDepth) return malformed();
  ++decoder.depth;
  zend_array* const blank = zend_new_array(static_cast<uint32_t>(columns));
  const bool whole = decode_columns(decoder, blank, columns) && decode_rows(decoder, array, blank, rows, columns);
  zend_array_destroy(blank);
  --decoder.depth;
  return whole;
}

void decode_ints(const PayloadReader::Item& item, zend_array* array) {
  zend_hash_real_init_packed(array);
  ZEND_HASH_FILL_PACKED(array) {
    for (size_t i = 0; i < item.length; ++i) {
      ZEND_HASH_FILL_SET_LONG(item.int_at(i));
      ZEND_HASH_FILL_NEXT();
    }
  }
  ZEND_HASH_FILL_END();
}

void decode_floats(const PayloadReader::Item& item, zend_array* array) {
  zend_hash_real_init_packed(array);
  ZEND_HASH_FILL_PACKED(array) {
    for (size_t i = 0; i < item.length; ++i) {
      ZEND_HASH_FILL_SET_DOUBLE(item.float_at(i));
      ZEND_HASH_FILL_NEXT();
    }
  }
  ZEND_HASH_FILL_END();
}

bool decode_elements(Decoder& decoder, const PayloadReader::Item& item, zend_array* array) {
  switch (item.tag) {
    case PayloadTag::Ints:
      decode_ints(item, array);
      return true;
    case PayloadTag::Floats:
      decode_floats(item, array);
      return true;
    case PayloadTag::Table:
      return decode_table(decoder, array, item.length, item.columns);
    case PayloadTag::Map:
      return decode_map(decoder, array, item.length);
    default:
      return decode_list(decoder, array, item.length);
  }
}

bool decode(Decoder& decoder, zval* value) {
  PayloadReader::Item item;
  if (!decoder.reader.next(item)) return malformed();
  switch (item.tag) {
    case PayloadTag::Null:
      ZVAL_NULL(value);
      return true;
    case PayloadTag::False:
      ZVAL_FALSE(value);
      return true;
    case PayloadTag::True:
      ZVAL_TRUE(value);
      return true;
    case PayloadTag::Int:
    case PayloadTag::Int64:
      ZVAL_LONG(value, item.integer);
      return true;
    case PayloadTag::Float:
      ZVAL_DOUBLE(value, item.real);
      return true;
    case PayloadTag::String:
      if (item.length <= 1) {
        ZVAL_STRINGL_FAST(value, item.data, item.length);
      } else {
        ZVAL_NEW_STR(value, make_string(item.data, item.length));
      }
      return true;
    case PayloadTag::Enum:
      return decode_enum(item, value);
    case PayloadTag::List:
    case PayloadTag::Map:
    case PayloadTag::Ints:
    case PayloadTag::Floats:
    case PayloadTag::Table:
      break;
  }
  // Beyond what a packed or hashed array can hold; the reader has checked that the bytes could exist.
  if (item.length > HT_MAX_SIZE || decoder.depth == kPayloadMaxDepth) return malformed();
  if (item.length == 0) {
    ZVAL_EMPTY_ARRAY(value);
    return true;
  }
  zend_array* const array = zend_new_array(static_cast<uint32_t>(item.length));
  ++decoder.depth;
  const bool whole = decode_elements(decoder, item, array);
  --decoder.depth;
  if (!whole) {
    zend_array_destroy(array);
    return false;
  }
  ZVAL_ARR(value, array);
  return true;
}

}  // namespace

bool decode_payload(const Payload& payload, zval* value) {
  Decoder decoder(payload);
  const bool whole = decode(decoder, value);
  decoder.keys.release();
  if (!whole) {
    ZVAL_UNDEF(value);
    return false;
  }
  if (decoder.reader.at_end()) return true;
  zval_ptr_dtor(value);
  ZVAL_UNDEF(value);
  return malformed();
}

bool consume_payload(Payload& payload, zval* value) {
  auto* const consumed = new (std::nothrow) Consumed(std::move(payload));
  if (consumed == nullptr) {
    zend_throw_exception(spl_ce_RuntimeException, "the server has run out of memory", 0);
    return false;
  }
  const bool whole = decode_payload(consumed->payload, value);
  delete consumed;
  return whole;
}

void drop_consumed_payloads() noexcept {
  while (Consumed::first != nullptr) delete Consumed::first;
}

}  // namespace igor::sapi
