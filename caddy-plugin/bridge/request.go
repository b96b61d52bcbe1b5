package bridge

/*
#include "shim.h"
*/
import "C"

import (
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

// Start queues the request for an HTTP thread. The library copies everything, so d may be reused at once. ErrState: the
// engine is not running or is draining. The caller releases the Request, whatever becomes of it.
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
	event.Kind = EventKind(ev.kind)
	event.Flags = EventFlags(ev.flags)
	event.Status = int(ev.status)
	event.Headers = view(ev.headers)
	event.Body = view(ev.body)
	event.InputWanted = uint64(ev.input_wanted)
	return nil
}

// Abort tells PHP that the client is gone. Harmless after the end of the request.
func (r Request) Abort() { C.igor_request_abort(C.igor_handle(r)) }

// Release gives the request up.
func (r Request) Release() { C.igor_request_release(C.igor_handle(r)) }
