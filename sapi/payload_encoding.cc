// encode_payload(), see payload_codec.h.
#include "sapi/payload_codec.h"

#include "module/activity.h"

#include <zend_closures.h>
#include <zend_enum.h>
#include <zend_smart_str.h>

#include <ext/spl/spl_exceptions.h>

#include <algorithm>
#include <cassert>

namespace igor::sapi {
namespace {

// --- forms ------------------------------------------------------------------------------------------

// A reference that nobody else holds (what foreach by reference leaves behind) is just its value.
const zval* plain(const zval* value) noexcept {
  return Z_TYPE_P(value) == IS_REFERENCE && Z_REFCOUNT_P(value) == 1 ? Z_REFVAL_P(value) : value;
}

// How an array is written. By its keys and values, not by how the engine keeps it: arrays that are identical are
// the same bytes.
enum class Form : uint8_t { List, Map, Ints, Floats, Table };

bool same_key(const zend_string* one, zend_ulong one_index, const zend_string* other, zend_ulong other_index) noexcept {
  if (one == other) return one_index == other_index;  // of a string: its hash
  return one != nullptr && other != nullptr && zend_string_equals(one, other);
}

// Whether two arrays have the same keys in the same order.
bool same_keys(const HashTable* one, const HashTable* other) noexcept {
  if (one == other) return true;
  if (one->nNumOfElements != other->nNumOfElements) return false;
  zend_ulong index;
  zend_string* key;
  HashPosition at = 0;
  ZEND_HASH_FOREACH_KEY(const_cast<HashTable*>(one), index, key) {
    if (HT_IS_PACKED(other)) {
      while (Z_TYPE(other->arPacked[at]) == IS_UNDEF) ++at;
      if (key != nullptr || index != at) return false;
    } else {
      while (Z_TYPE(other->arData[at].val) == IS_UNDEF) ++at;
      if (!same_key(key, index, other->arData[at].key, other->arData[at].h)) return false;
    }
    ++at;
  }
  ZEND_HASH_FOREACH_END();
  return true;
}

bool all_of_type(const HashTable* array, uint8_t type) noexcept {
  zval* element;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
    if (Z_TYPE_P(element) != type && Z_TYPE_P(plain(element)) != type) return false;
  }
  ZEND_HASH_FOREACH_END();
  return true;
}

// The rows of a query: two or more arrays, none of them a list, with the same keys in the same order.
bool is_table(const HashTable* array, const HashTable* first) noexcept {
  if (array->nNumOfElements < 2 || zend_array_is_list(const_cast<HashTable*>(first))) return false;
  zval* element;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
    const zval* const row = plain(element);
    if (Z_TYPE_P(row) != IS_ARRAY || !same_keys(first, Z_ARRVAL_P(row))) return false;
  }
  ZEND_HASH_FOREACH_END();
  return true;
}

const zval* first_of(const HashTable* array) noexcept {
  zval* element;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
    return plain(element);
  }
  ZEND_HASH_FOREACH_END();
  return nullptr;
}

Form form_of(const HashTable* array) noexcept {
  if (!zend_array_is_list(const_cast<HashTable*>(array))) return Form::Map;
  const zval* const first = first_of(array);
  if (first == nullptr) return Form::List;
  switch (Z_TYPE_P(first)) {
    case IS_LONG:
      return all_of_type(array, IS_LONG) ? Form::Ints : Form::List;
    case IS_DOUBLE:
      return all_of_type(array, IS_DOUBLE) ? Form::Floats : Form::List;
    case IS_ARRAY:
      return is_table(array, Z_ARRVAL_P(first)) ? Form::Table : Form::List;
    default:
      return Form::List;
  }
}

// The forms of the first arrays of a value, in the order in which both walks come to them: the first walk finds them
// out, the second need not again.
class Forms {
 public:
  Form find(const HashTable* array) noexcept {
    const Form form = form_of(array);
    if (found_ < kMost) forms_[found_++] = form;
    return form;
  }
  Form recall(const HashTable* array) noexcept { return recalled_ < found_ ? forms_[recalled_++] : form_of(array); }

 private:
  static constexpr size_t kMost = 64;
  Form forms_[kMost];
  size_t found_ = 0;
  size_t recalled_ = 0;
};

// --- sizes ------------------------------------------------------------------------------------------

// The way from the root to a value, as a chain of stack frames: costs nothing until it must be printed.
struct Step {
  const Step* up;
  const zend_string* key;  // null: an integer key
  zend_ulong index;
};

struct Sizer {
  const char* root;
  size_t limit;
  Forms& forms;
  PayloadReceiver receiver;
  size_t notable;  // above so many bytes note_size() is asked
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

// With so many bytes counted, in arrays, to count and write them all takes about as long as waking the receiver. Of
// still larger ones it learns too early, and sleeps again.
constexpr size_t kAnnounced = 16u << 10;
constexpr Duration kWrittenWithin = std::chrono::microseconds(100);

bool note_size(Sizer& sizer) {
  if (sizer.bytes > sizer.limit) return refuse_size(sizer, "at least ");
  if (sizer.receiver.announce != nullptr && activity::worth_spinning()) {
    sizer.receiver.announce(sizer.receiver.who, kWrittenWithin);
  }
  sizer.notable = sizer.limit;
  return true;
}

// Of a value that holds no other and can be sent for sure; 0 for the rest.
size_t scalar_size(const zval* value) noexcept {
  switch (Z_TYPE_P(value)) {
    case IS_NULL:
    case IS_FALSE:
    case IS_TRUE:
      return PayloadWriter::scalar_bytes();
    case IS_LONG:
      return PayloadWriter::int_bytes(Z_LVAL_P(value));
    case IS_DOUBLE:
      return PayloadWriter::float_bytes();
    case IS_STRING:
      return PayloadWriter::string_bytes(Z_STRLEN_P(value));
    default:
      return 0;
  }
}

bool add_size(Sizer& sizer, const zval* value, const Step* step, int depth);

// An array with keys. Within a table they are counted once, with the first row.
bool add_pairs_size(Sizer& sizer, const HashTable* array, bool with_keys, const Step* step, int depth) {
  zend_ulong index;
  zend_string* key;
  zval* element;
  ZEND_HASH_FOREACH_KEY_VAL(const_cast<HashTable*>(array), index, key, element) {
    if (with_keys) {
      sizer.bytes += key != nullptr ? PayloadWriter::string_bytes(ZSTR_LEN(key))
                                    : PayloadWriter::int_bytes(static_cast<int64_t>(index));
    }
    if (const size_t bytes = scalar_size(element)) {
      sizer.bytes += bytes;
      continue;
    }
    const Step next{step, key, index};
    if (!add_size(sizer, element, &next, depth)) return false;
  }
  ZEND_HASH_FOREACH_END();
  return true;
}

bool refuse_depth(const Sizer& sizer, const Step* step) {
  return refuse(sizer, step, "array", " is nested deeper than 512 levels");
}

bool add_elements_size(Sizer& sizer, const HashTable* array, Form form, const Step* step, int depth) {
  zend_ulong position = 0;
  zval* element;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
    const Step next{step, nullptr, position};
    if (form == Form::List) {
      if (!add_size(sizer, element, &next, depth)) return false;
    } else {
      if (depth == kPayloadMaxDepth) return refuse_depth(sizer, &next);
      if (!add_pairs_size(sizer, Z_ARRVAL_P(plain(element)), position == 0, &next, depth + 1)) return false;
      if (sizer.bytes > sizer.notable && !note_size(sizer)) return false;
    }
    ++position;
  }
  ZEND_HASH_FOREACH_END();
  return true;
}

bool add_array_size(Sizer& sizer, const HashTable* array, const Step* step, int depth) {
  if (depth == kPayloadMaxDepth) return refuse_depth(sizer, step);
  const Form form = sizer.forms.find(array);
  if (form == Form::Ints || form == Form::Floats) {
    sizer.bytes += PayloadWriter::numbers_bytes(array->nNumOfElements);
  } else {
    sizer.bytes += form == Form::Table ? PayloadWriter::table_bytes() : PayloadWriter::scalar_bytes();
  }
  // Not only at the end: arrays within arrays that share their copies are small in memory and can be
  // astronomical when written out.
  if (sizer.bytes > sizer.notable && !note_size(sizer)) return false;
  switch (form) {
    case Form::Ints:
    case Form::Floats:
      return true;
    case Form::Map:
      return add_pairs_size(sizer, array, true, step, depth + 1);
    case Form::List:
    case Form::Table:
      break;
  }
  return add_elements_size(sizer, array, form, step, depth + 1);
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
  value = plain(value);
  if (const size_t bytes = scalar_size(value)) {
    sizer.bytes += bytes;
    return true;
  }
  switch (Z_TYPE_P(value)) {
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

// --- writing ----------------------------------------------------------------------------------------

struct Writer {
  PayloadWriter out;
  Forms& forms;
};

void write_array(Writer& writer, const HashTable* array);

void write(Writer& writer, const zval* value) {
  if (Z_TYPE_P(value) == IS_REFERENCE) value = Z_REFVAL_P(value);
  switch (Z_TYPE_P(value)) {
    case IS_FALSE:
      writer.out.boolean(false);
      return;
    case IS_TRUE:
      writer.out.boolean(true);
      return;
    case IS_LONG:
      writer.out.integer(Z_LVAL_P(value));
      return;
    case IS_DOUBLE:
      writer.out.real(Z_DVAL_P(value));
      return;
    case IS_STRING:
      writer.out.string(Z_STRVAL_P(value), Z_STRLEN_P(value));
      return;
    case IS_OBJECT: {
      zend_object* const object = Z_OBJ_P(value);
      const zval* const name = zend_enum_fetch_case_name(object);
      writer.out.enum_case({ZSTR_VAL(object->ce->name), ZSTR_LEN(object->ce->name)},
                           {Z_STRVAL_P(name), Z_STRLEN_P(name)});
      return;
    }
    case IS_ARRAY:
      write_array(writer, Z_ARRVAL_P(value));
      return;
    default:
      writer.out.null();
      return;
  }
}

void write_key(Writer& writer, const zend_string* key, zend_ulong index) {
  if (key != nullptr) {
    writer.out.string(ZSTR_VAL(key), ZSTR_LEN(key));
  } else {
    writer.out.integer(static_cast<int64_t>(index));
  }
}

void write_values(Writer& writer, const HashTable* array) {
  zval* element;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
    write(writer, element);
  }
  ZEND_HASH_FOREACH_END();
}

void write_table(Writer& writer, const HashTable* array) {
  const HashTable* const first = Z_ARRVAL_P(first_of(array));
  writer.out.table(array->nNumOfElements, first->nNumOfElements);
  zend_ulong index;
  zend_string* key;
  ZEND_HASH_FOREACH_KEY(const_cast<HashTable*>(first), index, key) {
    write_key(writer, key, index);
  }
  ZEND_HASH_FOREACH_END();
  zval* row;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), row) {
    write_values(writer, Z_ARRVAL_P(plain(row)));
  }
  ZEND_HASH_FOREACH_END();
}

void write_numbers(Writer& writer, const HashTable* array) {
  const bool floats = Z_TYPE_P(first_of(array)) == IS_DOUBLE;
  const size_t count = array->nNumOfElements;
  uint8_t* at = floats ? writer.out.floats(count) : writer.out.ints(count);
  zval* element;
  ZEND_HASH_FOREACH_VAL(const_cast<HashTable*>(array), element) {
    // Either is eight bytes, in the same place.
    memcpy(at, &plain(element)->value, 8);
    at += 8;
  }
  ZEND_HASH_FOREACH_END();
}

void write_array(Writer& writer, const HashTable* array) {
  switch (writer.forms.recall(array)) {
    case Form::List:
      writer.out.list(array->nNumOfElements);
      return write_values(writer, array);
    case Form::Ints:
    case Form::Floats:
      return write_numbers(writer, array);
    case Form::Table:
      return write_table(writer, array);
    case Form::Map:
      break;
  }
  writer.out.map(array->nNumOfElements);
  zend_ulong index;
  zend_string* key;
  zval* element;
  ZEND_HASH_FOREACH_KEY_VAL(const_cast<HashTable*>(array), index, key, element) {
    write_key(writer, key, index);
    write(writer, element);
  }
  ZEND_HASH_FOREACH_END();
}

}  // namespace

bool encode_payload(const zval* value, const char* root, size_t limit, Payload& payload, PayloadReceiver receiver) {
  Forms forms;
  Sizer sizer{root, limit, forms, receiver, std::min(limit, kAnnounced)};
  if (!add_size(sizer, value, nullptr, 0)) return false;
  if (sizer.bytes > limit) return refuse_size(sizer, "");
  Payload written = Payload::allocate(sizer.bytes);
  if (written.empty()) {
    zend_throw_exception_ex(spl_ce_RuntimeException, 0, "%s: no memory for %zu bytes", root, sizer.bytes);
    return false;
  }
  Writer writer{PayloadWriter(written), forms};
  write(writer, value);
  assert(writer.out.complete());
  payload = std::move(written);
  return true;
}

}  // namespace igor::sapi
