#include "php-api/stream_object.h"

namespace igor::api {
namespace {

zend_object_handlers handlers;

zend_object* create(zend_class_entry* entry) {
  auto* const self = static_cast<StreamObject*>(zend_object_alloc(sizeof(StreamObject), entry));
  ZVAL_UNDEF(&self->stream);
  zend_object_std_init(&self->object, entry);
  object_properties_init(&self->object, entry);
  self->object.handlers = &handlers;
  return &self->object;
}

void destroy(zend_object* object) {
  zval_ptr_dtor(&StreamObject::of(object).stream);
  ZVAL_UNDEF(&StreamObject::of(object).stream);
  zend_object_std_dtor(object);
}

}  // namespace

zend_function* refuse_construction(zend_object* object) {
  zend_throw_error(nullptr, "Cannot directly construct %s", ZSTR_VAL(object->ce->name));
  return nullptr;
}

void start_stream_class(zend_class_entry* entry) {
  if (handlers.offset == 0) {
    handlers = std_object_handlers;
    handlers.offset = offsetof(StreamObject, object);
    handlers.free_obj = destroy;
    handlers.clone_obj = nullptr;
    handlers.get_constructor = refuse_construction;
  }
  entry->create_object = create;
  entry->default_object_handlers = &handlers;
}

void make_stream_object(zval* value, zend_class_entry* entry, php_stream* stream) {
  // The stream first has an owner that a bailout finds: its entry in the resource list.
  object_init_ex(value, entry);
  php_stream_to_zval(stream, &StreamObject::of(Z_OBJ_P(value)).stream);
}

php_stream* open_stream(zend_object* object) {
  const zval& stream = StreamObject::of(object).stream;
  if (Z_TYPE(stream) != IS_RESOURCE || Z_RES(stream)->type < 0) return nullptr;
  return static_cast<php_stream*>(Z_RES(stream)->ptr);
}

void close_stream(php_stream* stream) {
  php_stream_free(stream, PHP_STREAM_FREE_KEEP_RSRC | PHP_STREAM_FREE_CLOSE);
}

Task* task_of_object(zend_object* object, php_stream** stream) {
  *stream = open_stream(object);
  if (*stream != nullptr) return task_of_stream(*stream);
  zend_throw_error(nullptr, "the stream of this %s is closed", ZSTR_VAL(object->ce->name));
  return nullptr;
}

}  // namespace igor::api
