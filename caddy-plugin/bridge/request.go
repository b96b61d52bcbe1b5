package bridge

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// Field names one of the strings that a request starts with.
type Field int

// The fields of a request, as igor_request_options names them.
const (
	ScriptFilename Field = C.SHIM_SCRIPT_FILENAME
	Method         Field = C.SHIM_METHOD
	RequestURI     Field = C.SHIM_REQUEST_URI
	Query          Field = C.SHIM_QUERY
	ContentType    Field = C.SHIM_CONTENT_TYPE
	Cookie         Field = C.SHIM_COOKIE
	Authorization  Field = C.SHIM_AUTHORIZATION
	ServerVars     Field = C.SHIM_SERVER_VARS
	Env            Field = C.SHIM_ENV
	RequestHeaders Field = C.SHIM_REQUEST_HEADERS
	Body           Field = C.SHIM_BODY // what was read of it already
)

// RequestData gathers all that a request starts with in one buffer, so that one pointer crosses the border. It is made to
// be reused: Reset keeps the buffer. Fields are written one after the other, in any order; one that is never written is
// empty. Not safe for concurrent use.
type RequestData struct {
	Buf []byte
	c   C.shim_request
}

// Reset forgets the last request and keeps the memory.
func (d *RequestData) Reset() {
	d.Buf = d.Buf[:0]
	d.c = C.shim_request{}
}

// SetScope says where worker names resolve.
func (d *RequestData) SetScope(s Scope) { d.c.scope = C.igor_handle(s) }

// SetWorker says which pool of HTTP workers answers; without one a thread runs the script for this request alone.
func (d *RequestData) SetWorker(p Pool) { d.c.worker = C.igor_handle(p) }

// SetContentLength tells the length of the body: -1 when it is not known.
func (d *RequestData) SetContentLength(n int64) { d.c.content_length = C.int64_t(n) }

// SetHTTP10 marks a request of a client that speaks HTTP/1.0.
func (d *RequestData) SetHTTP10() { d.c.is_http1_0 = 1 }

// SetBodyWhole says that the field Body is all of the body.
func (d *RequestData) SetBodyWhole() { d.c.body_whole = 1 }

// SetAttended says that Next is called from the start. Without it is the fast way: the token says when.
func (d *RequestData) SetAttended() { d.c.attended = 1 }

// SetToken gives the number by which Attentions name the request.
func (d *RequestData) SetToken(token uint64) { d.c.token = C.uint64_t(token) }

// SetMaxWait bounds how long the request may wait for an HTTP worker; 0: as the pool says.
func (d *RequestData) SetMaxWait(wait time.Duration) { d.c.max_wait_ms = millis(wait) }

// Begin starts a field: what is appended to Buf until End belongs to it.
func (d *RequestData) Begin(f Field) { d.c.fields[f].begin = C.uint32_t(len(d.Buf)) }

// End ends the field that Begin started.
func (d *RequestData) End(f Field) { d.c.fields[f].end = C.uint32_t(len(d.Buf)) }

// SetString writes a whole field.
func (d *RequestData) SetString(f Field, s string) {
	d.Begin(f)
	d.Buf = append(d.Buf, s...)
	d.End(f)
}

// Pair appends a key and a value to the field at hand.
func (d *RequestData) Pair(key, value string) { d.Buf = packed.AppendPair(d.Buf, key, value) }

// Get reads a field back.
func (d *RequestData) Get(f Field) []byte {
	return d.Buf[d.c.fields[f].begin:d.c.fields[f].end]
}

// Start makes the request, and queues it when it has a worker. The library copies everything, so d may be reused at once.
// ErrState: the engine is not running or is draining. The caller releases the Request, whatever becomes of it.
func (d *RequestData) Start() (Request, error) {
	if len(d.Buf) == 0 {
		d.Buf = append(d.Buf, 0)
	}
	var handle C.igor_handle
	status := C.shim_request_start(&d.c, bytesPtr(d.Buf), &handle)
	if status != C.IGOR_OK {
		return 0, check(status, nil)
	}
	return Request(handle), nil
}

// InputKind says what a call to Next brings along.
type InputKind int

// What Next can bring.
const (
	InputNone  InputKind = C.IGOR_INPUT_NONE
	InputData  InputKind = C.IGOR_INPUT_DATA
	InputEnd   InputKind = C.IGOR_INPUT_END
	InputError InputKind = C.IGOR_INPUT_ERROR
)

// EventKind says what PHP wants of its host.
type EventKind uint32

// The kinds of events.
const (
	EventNone     EventKind = C.IGOR_EVENT_NONE // from Run alone
	EventInput    EventKind = C.IGOR_EVENT_INPUT
	EventOutput   EventKind = C.IGOR_EVENT_OUTPUT
	EventFinished EventKind = C.IGOR_EVENT_FINISHED
)

// EventFlags refine an event.
type EventFlags uint32

// The flags of events.
const (
	HasHeaders    EventFlags = C.IGOR_EVENT_HAS_HEADERS
	Flush         EventFlags = C.IGOR_EVENT_FLUSH
	Informational EventFlags = C.IGOR_EVENT_INFORMATIONAL
	Refused       EventFlags = C.IGOR_EVENT_REFUSED
)

// Event is what Next brings back. Headers (packed pairs) and Body lie in the library's memory and are valid until the next
// call of Next for the same request.
type Event struct {
	Kind        EventKind
	Flags       EventFlags
	Status      int
	Headers     []byte
	Body        []byte
	InputWanted uint64
}

// Request is an HTTP request that PHP answers.
type Request uint64

// Next hands over what the last event asked for and waits for the next event. One goroutine at a time per request.
func (r Request) Next(kind InputKind, input []byte, event *Event) error {
	var ev C.igor_event
	if status := C.shim_request_next(C.igor_handle(r), C.int(kind), bytesPtr(input), C.size_t(len(input)),
		&ev); status != C.IGOR_OK {
		return check(status, nil)
	}
	event.set(&ev)
	return nil
}

// Run runs the script of a request without a worker on the calling thread and returns when it is over. The event is
// EventFinished when nobody was needed before that, valid until Release; otherwise Attentions have named the request, and
// somebody has had to call Next.
func (r Request) Run(event *Event) error {
	var ev C.igor_event
	if status := C.shim_request_run(C.igor_handle(r), &ev); status != C.IGOR_OK {
		return check(status, nil)
	}
	event.set(&ev)
	return nil
}

// TakeSpare asks for a spare thread for one more call of Run at a time. False: none is left, or the CPUs are busy as it is.
func TakeSpare() bool { return C.igor_spare_take() == C.IGOR_OK }

// PutBackSpare gives it back.
func PutBackSpare() { C.igor_spare_put_back() }

// Attentions are the requests that need Next. One goroutine at a time.
type Attentions struct {
	ready  *os.File // a descriptor of its own for the library's eventfd, which Go's poller waits for
	wait   syscall.RawConn
	tokens [64]C.uint64_t
	count  int
	at     int
}

// OpenAttentions is for after StartEngine.
func OpenAttentions() (*Attentions, error) {
	var fd C.int
	if err := check(C.igor_attention_fd(&fd), nil); err != nil {
		return nil, err
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicating a descriptor: %w", err)
	}
	a := &Attentions{ready: os.NewFile(uintptr(own), "attentions")}
	a.wait, err = a.ready.SyscallConn()
	return a, err
}

// Next waits for a request that needs Next, and gives its token; it holds no thread meanwhile. ErrGone after CloseAttention.
func (a *Attentions) Next() (uint64, error) {
	if a.at == a.count {
		var taken error
		// The poller tells of each write, whether what was written before was read or not. So nobody reads it: to take is
		// the attempt after which it waits.
		err := a.wait.Read(func(uintptr) bool {
			var n C.size_t
			taken = check(C.igor_attention_take(&a.tokens[0], C.size_t(len(a.tokens)), &n), nil)
			a.count, a.at = int(n), 0
			return n > 0 || taken != nil
		})
		if err := errors.Join(taken, err); err != nil {
			return 0, err
		}
	}
	a.at++
	return uint64(a.tokens[a.at-1]), nil
}

// Close lets go of the descriptor.
func (a *Attentions) Close() error { return a.ready.Close() }

// CloseAttention ends Attentions.Next until an engine is started.
func CloseAttention() { C.igor_attention_close() }

func (e *Event) set(ev *C.igor_event) {
	e.Kind = EventKind(ev.kind)
	e.Flags = EventFlags(ev.flags)
	e.Status = int(ev.status)
	e.Headers = view(ev.headers)
	e.Body = view(ev.body)
	e.InputWanted = uint64(ev.input_wanted)
}

// Abort tells PHP that the client is gone. Harmless after the end of the request.
func (r Request) Abort() { C.igor_request_abort(C.igor_handle(r)) }

// Release gives the request up.
func (r Request) Release() { C.igor_request_release(C.igor_handle(r)) }
