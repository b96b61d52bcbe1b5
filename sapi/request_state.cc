#include "sapi/request_state.h"

#include <sys/stat.h>

#include <clocale>
#include <cstring>

#include "sapi/http_request.h"
#include "sapi/http_script.h"
#include "sapi/worker_script.h"

extern "C" {
#include <zend_ini_scanner.h>
#include <zend_smart_str.h>
#include <ext/standard/basic_functions.h>
#include <ext/standard/file.h>
#include <ext/standard/php_filestat.h>
#include <ext/standard/url_scanner_ex.h>
#if defined(HAVE_PHP_SESSION) && !defined(COMPILE_DL_SESSION)
#define IGOR_HAS_SESSION 1
#include <ext/session/php_session.h>
#endif
}

namespace igor::sapi {
namespace {

// --- State that only its own functions reach ------------------------------------------------------------

// A function that tells a piece of the engine's state, and one that sets it. They are asked once at boot and
// after each request; the second is called when the answer has changed.
struct Settled {
  const char* get;
  const char* set;
};
constexpr Settled kSettled[RequestState::kSettledFunctions] = {
    {"date_default_timezone_get", "date_default_timezone_set"},
    {"mb_internal_encoding", "mb_internal_encoding"},
    {"mb_http_output", "mb_http_output"},
    {"mb_substitute_character", "mb_substitute_character"},
    {"mb_language", "mb_language"},
    {"mb_detect_order", "mb_detect_order"},
    {"mb_regex_encoding", "mb_regex_encoding"},
    {"mb_regex_set_options", "mb_regex_set_options"},
    {"libxml_use_internal_errors", "libxml_use_internal_errors"},
    {"spl_autoload_extensions", "spl_autoload_extensions"},
};

// Called after each request: they forget what they remember.
constexpr const char* kForgetful[] = {"libxml_clear_errors", "http_clear_last_response_headers"};

zend_function* function_named(const char* name) {
  return static_cast<zend_function*>(zend_hash_str_find_ptr(CG(function_table), name, std::strlen(name)));
}

// Null: an extension that is not there, or a function that the configuration has disabled.
bool ask(const char* name, zval* answer) {
  zend_function* const function = function_named(name);
  if (function == nullptr || function->type != ZEND_INTERNAL_FUNCTION) return false;
  zend_call_known_function(function, nullptr, nullptr, answer, 0, nullptr, nullptr);
  return true;
}

void tell(const char* name, zval* value) {
  zend_function* const function = function_named(name);
  if (function == nullptr || function->type != ZEND_INTERNAL_FUNCTION) return;
  zval ignored;
  zend_call_known_function(function, nullptr, nullptr, &ignored, 1, value, nullptr);
  zval_ptr_dtor(&ignored);
}

// --- Modules whose own request startup and shutdown do the right thing -------------------------------------

zend_module_entry* module_named(const char* name) {
  return static_cast<zend_module_entry*>(zend_hash_str_find_ptr(&module_registry, name, std::strlen(name)));
}

void start_module(const char* name) {
  zend_module_entry* const module = module_named(name);
  if (module && module->request_startup_func) module->request_startup_func(module->type, module->module_number);
}

void stop_module(const char* name) {
  zend_module_entry* const module = module_named(name);
  if (module && module->request_shutdown_func) module->request_shutdown_func(module->type, module->module_number);
}

// --- Settings -----------------------------------------------------------------------------------------------

bool same_text(const zend_string* one, const zend_string* other) {
  if (one == other) return true;
  return one && other && zend_string_equals(one, other);
}

void set_back(zend_ini_entry* entry, zend_string* value) {
#ifdef IGOR_HAS_SESSION
  // The one setting that only its own module may give this value.
  PS(set_handler) = true;
#endif
  zend_alter_ini_entry_ex(entry->name, value, ZEND_INI_SYSTEM, ZEND_INI_STAGE_DEACTIVATE, true);
#ifdef IGOR_HAS_SESSION
  PS(set_handler) = false;
#endif
}

struct Applying {
  void (*refused)(PhpThread&, const char*, bool);
  PhpThread& thread;
};

void apply_one(zval* name, zval* value, zval*, int kind, void* context) {
  auto& applying = *static_cast<Applying*>(context);
  if (kind != ZEND_INI_PARSER_ENTRY || value == nullptr) return;
  auto* const entry = static_cast<zend_ini_entry*>(zend_hash_find_ptr(EG(ini_directives), Z_STR_P(name)));
  if (entry == nullptr) {
    applying.refused(applying.thread, Z_STRVAL_P(name), true);
  } else if (zend_alter_ini_entry_ex(entry->name, Z_STR_P(value), ZEND_INI_SYSTEM, ZEND_INI_STAGE_RUNTIME, true) !=
             SUCCESS) {
    applying.refused(applying.thread, Z_STRVAL_P(name), false);
  }
}

// The engine's own leaves a pointer behind, which only a request's activation would clear.
void deactivate_sapi() {
  sapi_deactivate();
  SG(request_info).content_type_dup = nullptr;
  SG(request_info).current_user = nullptr;
}

// The rewriting of URLs in output, whose buffers the engine frees only when the script ends, and then only while it is
// on.
void stop_rewriting(url_adapt_state_ex_t& state) {
  if (!state.active) return;
  smart_str_free(&state.url_app);
  smart_str_free(&state.form_app);
  smart_str_free(&state.result);
  smart_str_free(&state.buf);
  smart_str_free(&state.tag);
  smart_str_free(&state.arg);
  smart_str_free(&state.attr_val);
  state.active = 0;
}

// --- Streams ------------------------------------------------------------------------------------------------

// Streams on php://input share the request's body, which is about to go.
void close_input_streams() {
  const int kind = php_file_le_stream();
  zval* item;
  ZEND_HASH_FOREACH_VAL(&EG(regular_list), item) {
    zend_resource* const resource = Z_RES_P(item);
    if (resource->type != kind || resource->ptr == nullptr) continue;
    const auto* const stream = static_cast<const php_stream*>(resource->ptr);
    if (std::strcmp(stream->ops->label, "Input") == 0) zend_list_close(resource);
  }
  ZEND_HASH_FOREACH_END();
}

// --- Errors -------------------------------------------------------------------------------------------------

// What the engine says of a request that it takes apart (too many variables, too large a body) is for the log and
// display_errors. A request that starts its script has no handler of the script's by then; that of a worker is there
// already, and if it throws, the request would fail before the script has seen it.
template <typename Body>
void without_error_handler(Body&& body) {
  const int handled = EG(user_error_handler_error_reporting);
  EG(user_error_handler_error_reporting) = 0;
  const bool returned = catch_bailout(body);
  EG(user_error_handler_error_reporting) = handled;
  if (!returned) zend_bailout();
}

}  // namespace

void apply_settings(const char* text, void (*refused)(PhpThread&, const char*, bool), PhpThread& thread) {
  const size_t size = std::strlen(text);
  auto* const padded = static_cast<char*>(emalloc(size + ZEND_MMAP_AHEAD));
  std::memcpy(padded, text, size);
  std::memset(padded + size, 0, ZEND_MMAP_AHEAD);
  Applying applying{refused, thread};
  zend_parse_ini_string(padded, true, ZEND_INI_SCANNER_NORMAL, apply_one, &applying);
  efree(padded);
}

void refresh_setting(const char* name) {
  auto* const entry = static_cast<zend_ini_entry*>(zend_hash_str_find_ptr(EG(ini_directives), name, std::strlen(name)));
  if (entry && entry->on_modify) {
    entry->on_modify(entry, entry->value, entry->mh_arg1, entry->mh_arg2, entry->mh_arg3, ZEND_INI_STAGE_ACTIVATE);
  }
}

bool report_exception(PhpThread& thread) {
  if (zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception))) return false;
  if (!SG(headers_sent) && SG(sapi_headers).http_response_code < 400) SG(sapi_headers).http_response_code = 500;
  zend_exception_error(EG(exception), E_ERROR);
  thread.forget_failure();
  EG(exit_status) = 0;
  return true;
}

// --- Boot ---------------------------------------------------------------------------------------------------

void RequestState::take_boot_state() {
  // No time limit but the one that the script has set itself; it is armed for each request.
  zend_unset_timeout();
  take_session_handlers();
  stop_module("session");
  restore_session_handlers();
  take_settings();
  if (zval* env = zend_hash_find_known_hash(&EG(symbol_table), ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_ENV))) {
    ZVAL_COPY_DEREF(&env_, env);
  }
  for (size_t i = 0; i < kSettledFunctions; ++i) {
    if (!ask(kSettled[i].get, &settled_[i])) ZVAL_UNDEF(&settled_[i]);
  }
  char directory[MAXPATHLEN];
  if (VCWD_GETCWD(directory, sizeof directory)) directory_ = zend_string_init(directory, std::strlen(directory), false);
  if (BG(locale_changed)) {
    const char* const locale = std::setlocale(LC_ALL, nullptr);
    locale_ = zend_string_init(locale, std::strlen(locale), false);
    if (BG(ctype_string)) ctype_ = zend_string_copy(BG(ctype_string));
    BG(locale_changed) = false;
  }
  BG(umask) = -1;
  default_context_ = FG(default_context);
  taken_ = true;
}

void RequestState::take_settings() {
  ALLOC_HASHTABLE(settings_);
  zend_hash_init(settings_, 8, nullptr, ZVAL_PTR_DTOR, false);
  if (!EG(modified_ini_directives)) return;
  zval* item;
  ZEND_HASH_MAP_FOREACH_VAL(EG(modified_ini_directives), item) {
    const auto* const entry = static_cast<const zend_ini_entry*>(Z_PTR_P(item));
    zval value;
    if (entry->value) {
      ZVAL_STR_COPY(&value, entry->value);
    } else {
      ZVAL_NULL(&value);
    }
    zend_hash_update(settings_, entry->name, &value);
  }
  ZEND_HASH_FOREACH_END();
}

void RequestState::restore_settings() {
  if (EG(modified_ini_directives)) {
    zval* item;
    ZEND_HASH_MAP_FOREACH_VAL(EG(modified_ini_directives), item) {
      const auto* const entry = static_cast<const zend_ini_entry*>(Z_PTR_P(item));
      if (!zend_hash_exists(settings_, entry->name)) zend_restore_ini_entry(entry->name, ZEND_INI_STAGE_DEACTIVATE);
    }
    ZEND_HASH_FOREACH_END();
  }
  zend_string* name;
  zval* value;
  ZEND_HASH_MAP_FOREACH_STR_KEY_VAL(settings_, name, value) {
    auto* const entry = static_cast<zend_ini_entry*>(zend_hash_find_ptr(EG(ini_directives), name));
    if (entry == nullptr || Z_TYPE_P(value) != IS_STRING || same_text(entry->value, Z_STR_P(value))) continue;
    set_back(entry, Z_STR_P(value));
  }
  ZEND_HASH_FOREACH_END();
}

// --- Session ------------------------------------------------------------------------------------------------

#ifdef IGOR_HAS_SESSION
static_assert(sizeof(PS(mod_user_names)) == RequestState::kSessionHandlers * sizeof(zval));

void RequestState::take_session_handlers() {
  auto* const handlers = reinterpret_cast<zval*>(&PS(mod_user_names));
  for (size_t i = 0; i < kSessionHandlers; ++i) {
    if (!Z_ISUNDEF(handlers[i])) ZVAL_COPY(&session_handlers_[i], &handlers[i]);
  }
  if (PS(mod_user_class_name)) session_class_ = zend_string_copy(PS(mod_user_class_name));
}

// After the module's own request shutdown has let go of those that were set.
void RequestState::restore_session_handlers() {
  auto* const handlers = reinterpret_cast<zval*>(&PS(mod_user_names));
  for (size_t i = 0; i < kSessionHandlers; ++i) {
    if (!Z_ISUNDEF(session_handlers_[i]) && Z_ISUNDEF(handlers[i])) ZVAL_COPY(&handlers[i], &session_handlers_[i]);
  }
  if (session_class_ && !PS(mod_user_class_name)) PS(mod_user_class_name) = zend_string_copy(session_class_);
}
#else
void RequestState::take_session_handlers() {}
void RequestState::restore_session_handlers() {}
#endif

// --- Between requests ---------------------------------------------------------------------------------------

void RequestState::activate_idle(PhpThread&) {
  SG(server_context) = nullptr;
  SG(sapi_headers).http_response_code = 200;
  php_output_activate();
  sapi_activate();
  SG(sapi_started) = 1;
}

void RequestState::deactivate_idle() {
  php_output_end_all();
  php_output_deactivate();
  deactivate_sapi();
}

void RequestState::activate_request(PhpThread& thread, HttpRequest& request) {
  in_request_ = true;
  // What the request registers is called at its end, what the script had registered at the script's.
  shutdown_functions_ = BG(user_shutdown_function_names);
  BG(user_shutdown_function_names) = nullptr;

  PG(during_request_startup) = 1;
  PG(header_is_being_sent) = 0;
  PG(connection_status) = PHP_CONNECTION_NORMAL;
  php_output_activate();
  describe_http_request(thread, request);
  const zend_long limit = PG(max_input_time) == -1 ? EG(timeout_seconds) : PG(max_input_time);
  if (limit > 0) zend_set_timeout(limit, false);   // its signal was prepared when the run began
  without_error_handler([] { sapi_activate(); });  // reads the body of a form
  SG(sapi_started) = 1;
  if (PG(expose_php)) sapi_add_header(SAPI_PHP_VERSION_HEADER, sizeof(SAPI_PHP_VERSION_HEADER) - 1, true);
  if (PG(output_handler) && PG(output_handler)[0]) {
    zval handler;
    ZVAL_STRING(&handler, PG(output_handler));
    php_output_start_user(&handler, 0, PHP_OUTPUT_HANDLER_STDFLAGS);
    zval_ptr_dtor(&handler);
  } else if (PG(output_buffering)) {
    php_output_start_user(nullptr, PG(output_buffering) > 1 ? PG(output_buffering) : 0, PHP_OUTPUT_HANDLER_STDFLAGS);
  } else if (PG(implicit_flush)) {
    php_output_set_implicit_flush(true);
  }
  without_error_handler([this] { reset_superglobals(); });
  start_module("random");
  start_module("json");
  start_module("session");
  PG(during_request_startup) = 0;
  if (PG(max_input_time) != -1) {
    if (EG(timeout_seconds) > 0) {
      zend_set_timeout(EG(timeout_seconds), false);
    } else {
      zend_unset_timeout();
    }
  }
}

void RequestState::reset_superglobals() {
  zval* const files = &PG(http_globals)[TRACK_VARS_FILES];
  zval_ptr_dtor_nogc(files);
  ZVAL_UNDEF(files);
  zval* item;
  ZEND_HASH_MAP_FOREACH_VAL(CG(auto_globals), item) {
    auto* const global = static_cast<zend_auto_global*>(Z_PTR_P(item));
    if (!global->auto_global_callback) continue;
    const bool is_env = zend_string_equals(global->name, ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_ENV));
    if (is_env && !Z_ISUNDEF(env_)) {
      restore_environment_variable();
      continue;
    }
    // These are made when code that names them is compiled. Code that was compiled before will not ask again, and
    // code that comes finds them armed.
    const bool lazy = global->jit;
    if (lazy && !zend_hash_exists(&EG(symbol_table), global->name)) continue;
    if (zend_string_equals_literal(global->name, "GLOBALS")) continue;
    global->armed = global->auto_global_callback(global->name);
  }
  ZEND_HASH_FOREACH_END();
  zend_hash_str_del(&EG(symbol_table), ZEND_STRL("_SESSION"));
}

void RequestState::restore_environment_variable() {
  zval copy;
  ZVAL_COPY(&copy, &env_);
  zend_hash_update(&EG(symbol_table), ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_ENV), &copy);
}

void RequestState::call_shutdown_functions() {
  HashPosition position;
  HashTable* const functions = BG(user_shutdown_function_names);
  if (!functions) return;
  // One of them may register another: it comes last, and is called too.
  for (zend_hash_internal_pointer_reset_ex(functions, &position); !EG(exception);
       zend_hash_move_forward_ex(functions, &position)) {
    auto* const entry =
        static_cast<php_shutdown_function_entry*>(zend_hash_get_current_data_ptr_ex(functions, &position));
    if (!entry) break;
    // A copy, because the table may move while it runs; what it points to does not.
    zend_fcall_info call = entry->fci;
    zend_fcall_info_cache cache = entry->fci_cache;
    zval result;
    ZVAL_UNDEF(&result);
    call.retval = &result;
    zend_call_function(&call, &cache);
    zval_ptr_dtor(&result);
  }
}

// What is left of the request's, after a bailout or exit(), is called with the script's, after those.
void RequestState::restore_shutdown_functions() {
  HashTable* const own = BG(user_shutdown_function_names);
  HashTable* const scripts = shutdown_functions_;
  shutdown_functions_ = nullptr;
  if (!scripts) return;
  BG(user_shutdown_function_names) = scripts;
  if (!own) return;
  zend_string* name;
  zval* item;
  ZEND_HASH_FOREACH_STR_KEY_VAL(own, name, item) {
    void* const entry = Z_PTR_P(item);
    if (name) {
      zend_hash_update_mem(scripts, name, entry, sizeof(php_shutdown_function_entry));
    } else {
      zend_hash_next_index_insert_mem(scripts, entry, sizeof(php_shutdown_function_entry));
    }
  }
  ZEND_HASH_FOREACH_END();
  // The entries themselves have moved, so the table's own way to destroy them must not be taken.
  own->pDestructor = [](zval* moved) { efree(Z_PTR_P(moved)); };
  zend_hash_destroy(own);
  FREE_HASHTABLE(own);
}

bool RequestState::finish_output(PhpThread& thread) {
  call_shutdown_functions();
  if (BG(user_shutdown_function_names)) {
    zend_hash_destroy(BG(user_shutdown_function_names));
    FREE_HASHTABLE(BG(user_shutdown_function_names));
    BG(user_shutdown_function_names) = nullptr;
  }
  restore_shutdown_functions();
  if (EG(exception) && !report_exception(thread)) return false;
  php_output_end_all();
  if (EG(timeout_seconds) > 0) zend_unset_timeout();
  stop_module("session");
  stop_module("filter");
  php_output_deactivate();
  return !EG(exception) || report_exception(thread);
}

void RequestState::close_body() {
  if (!SG(request_info).request_body) return;
  close_input_streams();
  php_stream_close(SG(request_info).request_body);
  SG(request_info).request_body = nullptr;
}

void RequestState::reset_request() {
  close_body();
  deactivate_sapi();
  forget_http_request();
  in_request_ = false;

  restore_session_handlers();
  restore_settings();
  for (size_t i = 0; i < kSettledFunctions; ++i) {
    if (Z_ISUNDEF(settled_[i])) continue;
    zval answer;
    ask(kSettled[i].get, &answer);
    if (!zend_is_identical(&answer, &settled_[i])) tell(kSettled[i].set, &settled_[i]);
    zval_ptr_dtor(&answer);
  }
  for (const char* name : kForgetful) {
    zval ignored;
    if (ask(name, &ignored)) zval_ptr_dtor(&ignored);
  }
  if (PG(last_error_message)) zend_string_release(PG(last_error_message));
  if (PG(last_error_file)) zend_string_release(PG(last_error_file));
  PG(last_error_message) = nullptr;
  PG(last_error_file) = nullptr;
  PG(last_error_type) = 0;
  PG(last_error_lineno) = 0;
  if (BG(strtok_string)) {
    zend_string_release(BG(strtok_string));
    BG(strtok_string) = nullptr;
  }
  stop_rewriting(BG(url_adapt_output_ex));
  stop_rewriting(BG(url_adapt_session_ex));
  if (BG(umask) != -1) {
    umask(BG(umask));
    BG(umask) = -1;
  }
  if (BG(locale_changed)) {
    std::setlocale(LC_ALL, locale_ ? ZSTR_VAL(locale_) : "C");
    if (!locale_) zend_reset_lc_ctype_locale();
    zend_update_current_locale();
    if (BG(ctype_string)) zend_string_release(BG(ctype_string));
    BG(ctype_string) = ctype_ ? zend_string_copy(ctype_) : nullptr;
    BG(locale_changed) = false;
  }
  if (FG(default_context) != default_context_) {
    if (FG(default_context)) zend_list_delete(FG(default_context)->res);
    FG(default_context) = static_cast<php_stream_context*>(default_context_);
  }
  char directory[MAXPATHLEN];
  if (directory_ && (!VCWD_GETCWD(directory, sizeof directory) || std::strcmp(directory, ZSTR_VAL(directory_)) != 0)) {
    VCWD_CHDIR(ZSTR_VAL(directory_));
  }
  php_clear_stat_cache(false, nullptr, 0);
  zend_memory_reset_peak_usage();
  EG(exit_status) = 0;
}

void RequestState::leave_run() {
  if (in_request_) restore_shutdown_functions();
  if (!taken_) return;
  taken_ = false;
  // What was changed is changed back by the engine itself, except what would outlive the run.
  if (locale_) BG(locale_changed) = true;
  zval_ptr_dtor(&env_);
  if (settings_) {
    zend_hash_destroy(settings_);
    FREE_HASHTABLE(settings_);
  }
  for (zval& value : settled_) zval_ptr_dtor(&value);
  for (zval& value : session_handlers_) zval_ptr_dtor(&value);
  if (session_class_) zend_string_release(session_class_);
  if (directory_) zend_string_release(directory_);
  if (locale_) zend_string_release(locale_);
  if (ctype_) zend_string_release(ctype_);
}

}  // namespace igor::sapi
