#include "sapi/payload_codec.h"

#include <zend_closures.h>
#include <zend_enum.h>
#include <zend_smart_str.h>

#include <ext/spl/spl_exceptions.h>

#include <algorithm>
#include <cassert>
#include <new>

namespace igor::sapi {
namespace {

// --- encoding ----------------------------------------------------------------------------------------

// The way from the root to a value, as a chain of stack frames: costs nothing until it must be printed.
struct Step {
  const Step* up;
  const zend_string* key;  // null: an integer key
  zend_ulong index;
};

struct Sizer {
  const char* root;
  size_t limit;
  size_t bytes = PayloadWriter::header_bytes();
};

// As one would write it between single quotes, but with control characters made visible.
void append_key(smart_str& text, const char* key, size_t length) {
  for (const char* const end = key + length; key != end; ++key) {
    const auto byte = static_cast<unsigned char>(*key);
    if (byte < ' ' || byte == 0x7f) {
      smart_str_append_printf(&text, "\\x%02x", byte);
    } else {
      if (byte == '\'' || byte == '\\') smart_str_appendc(&text, '\\');
      smart_str_appendc(&text, *key);
    }
  }
}

void append_path(smart_str& text, const Step* step, int depth_left) {
  if (step == nullptr) return;
  append_path(text, step->up, depth_left - 1);
  if (depth_left == 0) smart_str_appends(&text, "[...]");
  if (depth_left <= 0) return;
  smart_str_appendc(&text, '[');
  if (step->key != nullptr) {
    smart_str_appendc(&text, '\'');
    const size_t shown = ZSTR_LEN(step->key) < 64 ? ZSTR_LEN(step->key) : 64;
    append_key(text, ZSTR_VAL(step->key), shown);
    if (shown < ZSTR_LEN(step->key)) smart_str_appends(&text, "...");
    smart_str_appendc(&text, '\'');
  } else {
    smart_str_append_long(&text, static_cast<zend_long>(step->index));
  }
  smart_str_appendc(&text, ']');
}

bool refuse(const Sizer& sizer, const Step* step, const char* what, const char* remedy) {
  smart_str text = {nullptr, 0};
  smart_str_appends(&text, sizer.root);
  append_path(text, step, 16);
  smart_str_appends(&text, ": ");
  smart_str_appends(&text, what);
  smart_str_appends(&text, remedy);
  smart_str_0(&text);
  zend_value_error("%s", ZSTR_VAL(text.s));
  smart_str_free(&text);
  return false;
}

constexpr const char* kAllowed = " cannot be sent; null, bool, int, float, string, array and enum cases can";

bool refuse_size(const Sizer& sizer, const char* at_least) {
  zend_value_error("%s: %s%zu bytes when encoded, more than the %zu that the pool allows (max_payload)", sizer.root,
                   at_least, sizer.bytes, sizer.limit);
  return false;
}

// By its keys, not by how the engine keeps it: arrays that are identical are the same bytes.
bool is_list(const HashTable* array) noexcept {
  return zend_array_is_list(const_cast<HashTable*>(array));
}

bool add_size(Sizer& sizer, const zval* value, const Step* step, int depth);

bool add_array_size(Sizer& sizer, const HashTable* array, const Step* step, int depth) {
  if (depth == kPayloadMaxDepth) return refuse(sizer, step, "array", " is nested deeper than 512 levels");
  sizer.bytes += PayloadWriter::scalar_bytes();
  // Not only at the end: arrays within arrays that share their copies are small in memory and can be
  // astronomical when written out.
  if (sizer.bytes > sizer.limit) return refuse_size(sizer, "at least ");
  if (is_list(array)) {
    zend_ulong position = 0;
    zval* element;
    ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
      const Step next{step, nullptr, position++};
      if (!add_size(sizer, element, &next, depth + 1)) return false;
    }
    ZEND_HASH_FOREACH_END();
    return true;
  }
  zend_ulong index;
  zend_string* key;
  zval* element;
  ZEND_HASH_FOREACH_KEY_VAL(const_cast<HashTable*>(array), index, key, element) {
    sizer.bytes += key != nullptr ? PayloadWriter::string_bytes(ZSTR_LEN(key))
                                  : PayloadWriter::int_bytes(static_cast<int64_t>(index));
    const Step next{step, key, index};
    if (!add_size(sizer, element, &next, depth + 1)) return false;
  }
  ZEND_HASH_FOREACH_END();
  return true;
}

bool refuse_object(const Sizer& sizer, const Step* step, const zend_object* object) {
  if (object->ce == zend_ce_closure) return refuse(sizer, step, "closure", kAllowed);
  smart_str what = {nullptr, 0};
  smart_str_appends(&what, "object of class ");
  smart_str_append(&what, object->ce->name);
  smart_str_0(&what);
  refuse(sizer, step, ZSTR_VAL(what.s), kAllowed);
  smart_str_free(&what);
  return false;
}

bool add_size(Sizer& sizer, const zval* value, const Step* step, int depth) {
  // A reference that nobody else holds (what foreach by reference leaves behind) is just its value.
  if (Z_TYPE_P(value) == IS_REFERENCE && Z_REFCOUNT_P(value) == 1) value = Z_REFVAL_P(value);
  switch (Z_TYPE_P(value)) {
    case IS_NULL:
    case IS_FALSE:
    case IS_TRUE:
      sizer.bytes += PayloadWriter::scalar_bytes();
      return true;
    case IS_LONG:
      sizer.bytes += PayloadWriter::int_bytes(Z_LVAL_P(value));
      return true;
    case IS_DOUBLE:
      sizer.bytes += PayloadWriter::float_bytes();
      return true;
    case IS_STRING:
      sizer.bytes += PayloadWriter::string_bytes(Z_STRLEN_P(value));
      return true;
    case IS_ARRAY:
      return add_array_size(sizer, Z_ARRVAL_P(value), step, depth);
    case IS_OBJECT: {
      const zend_object* const object = Z_OBJ_P(value);
      if (!(object->ce->ce_flags & ZEND_ACC_ENUM)) return refuse_object(sizer, step, object);
      sizer.bytes += PayloadWriter::enum_bytes(ZSTR_LEN(object->ce->name),
                                               Z_STRLEN_P(zend_enum_fetch_case_name(const_cast<zend_object*>(object))));
      return true;
    }
    case IS_REFERENCE:
      return refuse(sizer, step, "reference", kAllowed);
    case IS_RESOURCE:
      return refuse(sizer, step, "resource", kAllowed);
    default:
      return refuse(sizer, step, "value of an unknown kind", kAllowed);
  }
}

void write(PayloadWriter& writer, const zval* value) {
  if (Z_TYPE_P(value) == IS_REFERENCE) value = Z_REFVAL_P(value);
  switch (Z_TYPE_P(value)) {
    case IS_FALSE:
      writer.boolean(false);
      return;
    case IS_TRUE:
      writer.boolean(true);
      return;
    case IS_LONG:
      writer.integer(Z_LVAL_P(value));
      return;
    case IS_DOUBLE:
      writer.real(Z_DVAL_P(value));
      return;
    case IS_STRING:
      writer.string(Z_STRVAL_P(value), Z_STRLEN_P(value));
      return;
    case IS_OBJECT: {
      zend_object* const object = Z_OBJ_P(value);
      const zval* const name = zend_enum_fetch_case_name(object);
      writer.enum_case({ZSTR_VAL(object->ce->name), ZSTR_LEN(object->ce->name)}, {Z_STRVAL_P(name), Z_STRLEN_P(name)});
      return;
    }
    case IS_ARRAY:
      break;
    default:
      writer.null();
      return;
  }
  const HashTable* const array = Z_ARRVAL_P(value);
  if (is_list(array)) {
    writer.list(array->nNumOfElements);
    zval* element;
    ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
      write(writer, element);
    }
    ZEND_HASH_FOREACH_END();
    return;
  }
  writer.map(array->nNumOfElements);
  zend_ulong index;
  zend_string* key;
  zval* element;
  ZEND_HASH_FOREACH_KEY_VAL(const_cast<HashTable*>(array), index, key, element) {
    if (key != nullptr) {
      writer.string(ZSTR_VAL(key), ZSTR_LEN(key));
    } else {
      writer.integer(static_cast<int64_t>(index));
    }
    write(writer, element);
  }
  ZEND_HASH_FOREACH_END();
}

// --- decoding ----------------------------------------------------------------------------------------

// Rows of a table repeat their keys: one string then serves them all, as it would in a script. Holds a
// reference to each; a bailout drops them with all request memory.
class KeyCache {
 public:
  zend_string* get(const char* data, size_t length) {
    if (length <= 1) return length == 0 ? ZSTR_EMPTY_ALLOC() : ZSTR_CHAR(static_cast<unsigned char>(*data));
    if (length > 64) return zend_string_init(data, length, false);
    zend_string*& slot =
        slots_[(length * 31 + static_cast<unsigned char>(data[0]) * 7 + static_cast<unsigned char>(data[length - 1])) %
               kSlots];
    if (slot != nullptr && ZSTR_LEN(slot) == length && memcmp(ZSTR_VAL(slot), data, length) == 0) {
      return zend_string_copy(slot);
    }
    if (slot != nullptr) zend_string_release(slot);
    slot = zend_string_init(data, length, false);
    zend_string_hash_val(slot);
    return zend_string_copy(slot);
  }
  void release() {
    for (zend_string*& slot : slots_) {
      if (slot != nullptr) zend_string_release(slot);
      slot = nullptr;
    }
  }

 private:
  static constexpr size_t kSlots = 64;
  zend_string* slots_[kSlots] = {};
};

struct Decoder {
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

bool decode_map(Decoder& decoder, zend_array* array, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    PayloadReader::Item key;
    if (!decoder.reader.next(key)) return malformed();
    zval element;
    if (key.tag == PayloadTag::Int) {
      if (!decode(decoder, &element)) return false;
      zend_hash_index_update(array, static_cast<zend_ulong>(key.integer), &element);
    } else if (key.tag == PayloadTag::String) {
      zend_string* const name = decoder.keys.get(key.data, key.length);
      const bool decoded = decode(decoder, &element);
      // As a script would: "7" is the key 7.
      if (decoded) zend_symtable_update(array, name, &element);
      zend_string_release(name);
      if (!decoded) return false;
    } else {
      return malformed();
    }
  }
  return true;
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
      ZVAL_STRINGL_FAST(value, item.data, item.length);
      return true;
    case PayloadTag::Enum:
      return decode_enum(item, value);
    case PayloadTag::List:
    case PayloadTag::Map:
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
  const bool whole =
      item.tag == PayloadTag::List ? decode_list(decoder, array, item.length) : decode_map(decoder, array, item.length);
  --decoder.depth;
  if (!whole) {
    zend_array_destroy(array);
    return false;
  }
  ZVAL_ARR(value, array);
  return true;
}

}  // namespace

bool encode_payload(const zval* value, const char* root, size_t limit, Payload& payload) {
  Sizer sizer{root, limit};
  if (!add_size(sizer, value, nullptr, 0)) return false;
  if (sizer.bytes > limit) return refuse_size(sizer, "");
  Payload written = Payload::allocate(sizer.bytes);
  if (written.empty()) {
    zend_throw_exception_ex(spl_ce_RuntimeException, 0, "%s: no memory for %zu bytes", root, sizer.bytes);
    return false;
  }
  PayloadWriter writer(written);
  write(writer, value);
  assert(writer.complete());
  payload = std::move(written);
  return true;
}

bool decode_payload(const Payload& payload, zval* value) {
  Decoder decoder{PayloadReader(payload), {}, 0};
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
