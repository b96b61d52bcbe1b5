// Package bridge is the Go side of the C ABI in igor.h, and the only package of this module that imports "C".
//
// What it is: typed handles, options and errors over the library's functions, one Go function per C function and no
// policy of its own. Everything may be called from any goroutine, unless its comment says otherwise. Handles are plain
// numbers that carry their generation, so a stale one is answered with ErrGone by the library and can't hurt.
//
// Memory: strings going in are borrowed for the call. Slices coming out of Request.Next and NextLog lie in the library's
// memory and are valid until the next call on the same request or log; nothing here copies them.
//
// Calls that wait (Next, NextLog, Generation.Start and Close, StopEngine) hold an OS thread while they do. The library
// never calls back into Go.
package bridge

/*
#cgo pkg-config: --static igor
#cgo noescape shim_request_start
#cgo nocallback shim_request_start
#cgo noescape shim_request_next
#cgo nocallback shim_request_next
#cgo noescape igor_attention_take
#cgo nocallback igor_attention_take
#cgo nocallback igor_request_abort
#cgo nocallback igor_request_release
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// The library's answers that callers tell apart. All others come as an *Error with the library's own sentence.
var (
	// ErrGone says that the handle was released or its generation closed.
	ErrGone = errors.New("igor: the handle is stale: its request was released or its configuration closed")
	// ErrState says that the call is not possible now: the engine does not run, runs already, or is draining.
	ErrState = errors.New("igor: the PHP engine is not running or is shutting down")
	// ErrInvalid says that an argument is out of its range.
	ErrInvalid = errors.New("igor: an argument is out of its range")
	// ErrTimeout says that the time given ran out.
	ErrTimeout = errors.New("igor: the time allowed ran out")
)

// Error is a failure in the library's words. It unwraps to one of the sentinels above where there is one.
type Error struct {
	Message string
	kind    error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.kind }

// errorSize is room for the longest sentence that the library writes, with a script's own error in it.
const errorSize = 4096

type errorBuffer [errorSize]byte

func (b *errorBuffer) ptr() *C.char { return (*C.char)(unsafe.Pointer(&b[0])) }

// check turns a status into an error, with the text of the buffer when the library wrote one.
func check(status C.igor_status, buffer *errorBuffer) error {
	if status == C.IGOR_OK {
		return nil
	}
	var kind error
	switch status {
	case C.IGOR_GONE:
		kind = ErrGone
	case C.IGOR_STATE:
		kind = ErrState
	case C.IGOR_TIMEOUT:
		kind = ErrTimeout
	case C.IGOR_INVALID:
		kind = ErrInvalid
	}
	if buffer != nil && buffer[0] != 0 {
		return &Error{Message: C.GoString(buffer.ptr()), kind: kind}
	}
	if kind != nil {
		return kind
	}
	switch status {
	case C.IGOR_NO_MEMORY:
		return &Error{Message: "igor: out of memory"}
	case C.IGOR_MISMATCH:
		return &Error{Message: "igor: the library and the server are of different builds; build both again"}
	default:
		return &Error{Message: fmt.Sprintf("igor: the operation failed (status %d)", int(status))}
	}
}

// CheckABI says whether the library that was linked is the one that this package was written for.
func CheckABI() error {
	var buffer errorBuffer
	return check(C.igor_abi_check(C.IGOR_ABI_VERSION, buffer.ptr(), errorSize), &buffer)
}

// Version is the library's version.
func Version() string { return C.GoString(C.igor_version()) }

// PHPVersion is the version of the PHP that the library was linked with.
func PHPVersion() string { return C.GoString(C.igor_php_version()) }

// millis rounds up, so that a wait of some microseconds does not become 0, which means "none" to the library.
func millis(d time.Duration) C.uint32_t {
	if d <= 0 {
		return 0
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return C.uint32_t(min(int64(ms), math.MaxUint32))
}

func stringPtr(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }
func bytesPtr(b []byte) *C.char  { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

// view is a Go slice over the library's memory.
func view(s C.igor_str) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(s.data)), int(s.len)) }

// EngineOptions is what the PHP engine is started with, once for the life of the process.
type EngineOptions struct {
	SpareThreads int           // that may be added to HTTP workers under load
	INI          string        // lines of php.ini, "key=value"
	MaxWait      time.Duration // for an HTTP worker; 0: no bound
	MaxIdle      time.Duration // of an added thread; 0: the library's default
	MaxRequests  int           // after which a thread's engine state is made afresh; 0: never
}

// StartEngine starts PHP.
func StartEngine(o EngineOptions) error {
	var buffer errorBuffer
	engine := C.shim_engine{
		spare_threads: C.uint32_t(o.SpareThreads),
		max_wait_ms:   millis(o.MaxWait),
		max_idle_ms:   millis(o.MaxIdle),
		max_requests:  C.uint32_t(o.MaxRequests),
	}
	return check(C.shim_engine_start(&engine, stringPtr(o.INI), C.size_t(len(o.INI)), buffer.ptr(), errorSize), &buffer)
}

// StopEngine refuses new requests, ends the running ones within grace, and stops PHP. ErrTimeout says that a thread could
// not be ended and was left behind.
func StopEngine(grace time.Duration) error {
	return check(C.igor_engine_stop(millis(grace)), nil)
}

// Generation names one load of the configuration.
type Generation uint64

// Scope names the pools of one php_server, or the global ones.
type Scope uint64

// Pool names the workers of one name in a scope.
type Pool uint64

// OpenGeneration makes an empty generation. What it has in common with its predecessor (0: none) goes on as it is; see
// igor.h.
func OpenGeneration(predecessor Generation) (Generation, error) {
	var buffer errorBuffer
	var handle C.igor_handle
	err := check(C.igor_generation_open(C.igor_handle(predecessor), &handle, buffer.ptr(), errorSize), &buffer)
	return Generation(handle), err
}

// OpenScope adds a scope; the label is for logs. At most one is global.
func (g Generation) OpenScope(label string, global bool) (Scope, error) {
	var buffer errorBuffer
	var handle C.igor_handle
	isGlobal := C.int(0)
	if global {
		isGlobal = 1
	}
	err := check(C.shim_scope_open(C.igor_handle(g), stringPtr(label), C.size_t(len(label)), isGlobal, &handle,
		buffer.ptr(), errorSize), &buffer)
	return Scope(handle), err
}

// Start boots the pools that want threads at boot and waits until each is ready, at most its boot timeout. After an error
// the caller closes the generation.
func (g Generation) Start() error {
	var buffer errorBuffer
	return check(C.igor_generation_start(C.igor_handle(g), buffer.ptr(), errorSize), &buffer)
}

// HandOver lets the generation that has started after g take over the tasks that nobody has taken, new ones and snapshots.
// For when it is sure to stay.
func (g Generation) HandOver() error {
	return check(C.igor_generation_hand_over(C.igor_handle(g)), nil)
}

// Close drains and forgets all pools. It blocks for as long as their graces last.
func (g Generation) Close() error {
	return check(C.igor_generation_close(C.igor_handle(g)), nil)
}

// Kind says what a pool's workers take.
type Kind int

// The kinds of pools.
const (
	Tasks    Kind = C.IGOR_POOL_TASKS    // background workers
	Requests Kind = C.IGOR_POOL_REQUESTS // HTTP workers
)

// Dispatch says which of the waiting workers gets a task.
type Dispatch int

// The ways to choose.
const (
	Shared     Dispatch = C.IGOR_DISPATCH_SHARED
	LeastBusy  Dispatch = C.IGOR_DISPATCH_LEAST_BUSY
	RoundRobin Dispatch = C.IGOR_DISPATCH_ROUND_ROBIN
)

// PoolOptions describes one pool of workers. Zero values mean the library's defaults, where igor.h names one.
type PoolOptions struct {
	Name                   string // empty: the catch-all of its scope
	File                   string
	Env                    []byte // packed pairs
	Num                    int
	MaxThreads             int
	Queue                  int
	Reject                 bool
	Updates                int
	MaxPayload             uint64
	TaskTimeout            time.Duration
	StopGrace              time.Duration
	MaxConsecutiveFailures int
	BackoffMin             time.Duration
	BackoffMax             time.Duration
	Kind                   Kind
	Dispatch               Dispatch
	MaxTasks               uint64 // of one worker before it starts afresh; requests, for HTTP workers
	MaxMemory              uint64 // bytes
	BootTimeout            time.Duration
	MaxWait                time.Duration // of a request for an HTTP worker
	INI                    string        // lines of php.ini, "key=value"
}

// AddPool adds a pool to the scope.
func (s Scope) AddPool(o *PoolOptions) (Pool, error) {
	block := make([]byte, 0, len(o.Name)+len(o.File)+len(o.Env)+len(o.INI)+1)
	block = append(append(append(append(block, o.Name...), o.File...), o.Env...), o.INI...)
	pool := C.shim_pool{
		ini_len:                  C.uint32_t(len(o.INI)),
		kind:                     C.uint32_t(o.Kind),
		dispatch:                 C.uint32_t(o.Dispatch),
		max_tasks:                C.uint64_t(o.MaxTasks),
		max_memory:               C.uint64_t(o.MaxMemory),
		boot_timeout_ms:          millis(o.BootTimeout),
		max_wait_ms:              millis(o.MaxWait),
		name_len:                 C.uint32_t(len(o.Name)),
		file_len:                 C.uint32_t(len(o.File)),
		env_len:                  C.uint32_t(len(o.Env)),
		num:                      C.uint32_t(o.Num),
		max_threads:              C.uint32_t(o.MaxThreads),
		queue:                    C.uint32_t(o.Queue),
		updates:                  C.uint32_t(o.Updates),
		max_payload:              C.uint64_t(o.MaxPayload),
		task_timeout_ms:          C.uint64_t(millis(o.TaskTimeout)),
		stop_grace_ms:            millis(o.StopGrace),
		max_consecutive_failures: C.int32_t(o.MaxConsecutiveFailures),
		backoff_min_ms:           millis(o.BackoffMin),
		backoff_max_ms:           millis(o.BackoffMax),
	}
	if o.Reject {
		pool.overflow_reject = 1
	}
	if len(block) == 0 {
		block = append(block, 0)
	}
	var buffer errorBuffer
	var handle C.igor_handle
	err := check(C.shim_pool_add(C.igor_handle(s), &pool, bytesPtr(block), &handle, buffer.ptr(), errorSize), &buffer)
	return Pool(handle), err
}

// Action is what can be done to a pool while it runs.
type Action int

// The actions; see igor.h.
const (
	Pause   Action = C.IGOR_POOL_PAUSE
	Resume  Action = C.IGOR_POOL_RESUME
	Restart Action = C.IGOR_POOL_RESTART
	Drain   Action = C.IGOR_POOL_DRAIN
)

// Control carries out the action and waits for it.
func (p Pool) Control(action Action) error {
	var buffer errorBuffer
	return check(C.igor_pool_control(C.igor_handle(p), C.int(action), buffer.ptr(), errorSize), &buffer)
}

// RestartWorker tells one worker of the pool to stop and starts it again. ErrGone: there is no such worker.
func (p Pool) RestartWorker(index uint32) error {
	var buffer errorBuffer
	return check(C.igor_worker_restart(C.igor_handle(p), C.uint32_t(index), buffer.ptr(), errorSize), &buffer)
}

// CancelTask cancels a task of the generation's pools. ErrGone: there is none of this id, or it has ended.
func (g Generation) CancelTask(id uint64) error {
	return check(C.igor_task_cancel(C.igor_handle(g), C.uint64_t(id)), nil)
}

// Report is what the generation's pools and the HTTP threads are and have done, as a JSON document.
func (g Generation) Report() ([]byte, error) {
	var text *C.char
	var size C.size_t
	if err := check(C.igor_report(C.igor_handle(g), &text, &size), nil); err != nil {
		return nil, err
	}
	defer C.igor_free(unsafe.Pointer(text))
	return C.GoBytes(unsafe.Pointer(text), C.int(size)), nil
}

// AppendEnv packs sorted pairs for PoolOptions.Env.
func AppendEnv(dst []byte, key, value string) []byte { return packed.AppendPair(dst, key, value) }
