// Objects that are a task's stream by another name: Igor\Task and Igor\Job hold the stream's resource, so
// what happens to a task when it is let go of is decided in one place, the stream's close.
//
// They can't be made by scripts (no constructor), cloned, or serialized. Threads: the PHP thread's own.
#pragma once

#include "php-api/task_stream.h"
#include "sapi/zend.h"

namespace igor::api {

struct StreamObject {
  zval stream;  // a resource
  zend_object object;

  static StreamObject& of(zend_object* object) {
    return *reinterpret_cast<StreamObject*>(reinterpret_cast<char*>(object) - offsetof(StreamObject, object));
  }
};

// Makes a class one of these.
void start_stream_class(zend_class_entry* entry);

// Makes an object of such a class that takes over the stream.
void make_stream_object(zval* value, zend_class_entry* entry, php_stream* stream);

// The object's stream; null when it was closed (fclose() on what stream() returned).
php_stream* open_stream(zend_object* object);

// The same with its task; null after throwing Error when it was closed.
Task* task_of_object(zend_object* object, php_stream** stream);

// As fclose() would: the object keeps the closed resource.
void close_stream(php_stream* stream);

// The error of classes that only the server makes.
zend_function* refuse_construction(zend_object* object);

}  // namespace igor::api
