package igor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/igor-php/igor/caddy-plugin/bridge"
	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// exchange is the part of bridge.Request that a request's conversation needs. Tests put a scripted one in its place.
type exchange interface {
	Next(kind bridge.InputKind, input []byte, event *bridge.Event) error
	Abort()
}

// inputChunk is how much of a request's body is read at a time.
const inputChunk = 64 << 10

// serveExchange carries the conversation between PHP and the client: PHP asks for input and gives output, in the order in
// which it likes, until it is finished. It runs on the handler's own goroutine and starts no other; when the client goes
// away, the abort comes from the context. The events go on until PHP has noticed, so nothing of a request is left
// when this returns.
//
// A small request is a single event: headers and body together with the end. told says that the first event is there, or
// will be in a moment; else it may take as long as the script does.
func serveExchange[X exchange](w http.ResponseWriter, r *http.Request, x X, b *requestBuffers, told bool) error {
	var (
		event     = &b.event
		kind      = bridge.InputNone
		input     []byte
		body      = bodyReader{r: r.Body}
		watched   bool // the client, for its leaving
		wroteHead bool
		gone      bool // nothing can be written any more
	)
	for ; ; told = false {
		if !watched && !told {
			watched = true
			defer context.AfterFunc(r.Context(), x.Abort)()
		}
		if err := x.Next(kind, input, event); err != nil {
			if wroteHead || gone {
				return nil
			}
			return unavailable(w, err)
		}
		kind, input = bridge.InputNone, nil

		switch event.Kind {
		case bridge.EventInput:
			if b.input == nil {
				b.input = make([]byte, inputChunk)
			}
			kind, input = body.read(b.input, event.InputWanted)
			continue

		case bridge.EventOutput, bridge.EventFinished:
			finished := event.Kind == bridge.EventFinished
			if finished && event.Flags&bridge.Refused != 0 {
				if wroteHead && !gone {
					// The rest of the answer is lost: what was sent must not pass for the whole.
					panic(http.ErrAbortHandler)
				}
				if gone {
					return nil
				}
				if err := r.Context().Err(); err != nil {
					return unavailable(w, err) // the client left before a thread came free
				}
				if len(event.Body) > 0 {
					return unavailable(w, errors.New(string(event.Body)))
				}
				return unavailable(w, errOverloaded)
			}
			if !gone && !wroteHead && body.broken() && event.Flags&bridge.Informational == 0 {
				// The body was refused on its way in (too large, for one), or is not what HTTP allows. PHP has seen a broken
				// body, and the client learns why instead of what PHP made of that.
				return bodyError(body.err)
			}
			if !gone {
				if event.Flags&bridge.Informational != 0 {
					sendInformational(w, event)
				} else if event.Flags&bridge.HasHeaders != 0 && !wroteHead {
					if err := sendHead(w, event); err != nil {
						return err
					}
					wroteHead = true
				}
				if len(event.Body) > 0 {
					wroteHead = true
					if _, err := w.Write(event.Body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) &&
						!errors.Is(err, http.ErrContentLength) {
						gone = true
						x.Abort()
					}
				}
				// A 1xx answer goes out by itself, and to flush then would send the final headers, which are not there.
				if !finished && !gone && event.Flags&bridge.Flush != 0 && event.Flags&bridge.Informational == 0 {
					// A writer that can't flush has nothing to hold back.
					_ = http.NewResponseController(w).Flush()
				}
			}
			if finished {
				return nil
			}

		default:
			x.Abort()
			return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("php: unknown event %d from the library", event.Kind))
		}
	}
}

// bodyReader reads a request's body for PHP, and remembers why it broke.
type bodyReader struct {
	r   io.Reader
	err error
}

// broken says whether the body ended other than at its end.
func (b *bodyReader) broken() bool { return b.err != nil && b.err != io.EOF }

// read gets the next piece, at most wanted bytes and what fits into buf.
func (b *bodyReader) read(buf []byte, wanted uint64) (bridge.InputKind, []byte) {
	if b.r == nil || b.err != nil {
		return bridge.InputEnd, nil
	}
	if wanted > 0 && wanted < uint64(len(buf)) {
		buf = buf[:wanted]
	}
	for {
		n, err := b.r.Read(buf)
		switch {
		case err == nil && n == 0:
			continue
		case err == nil:
			return bridge.InputData, buf[:n]
		case errors.Is(err, io.EOF), errors.Is(err, http.ErrBodyReadAfterClose):
			// The second: the response has begun, and HTTP/1 servers read no further then.
			b.err = io.EOF
			return bridge.InputEnd, buf[:n]
		default:
			b.err = err
			return bridge.InputError, nil
		}
	}
}

// replacing names the headers that a response has once: PHP's takes the place of one that the server set before. All
// others are added to what is there, such as Vary.
var replacing = map[string]bool{
	"Content-Type": true, "Content-Length": true, "Content-Encoding": true, "Content-Disposition": true, "Location": true,
	"Date": true, "Server": true, "Etag": true, "Last-Modified": true, "Expires": true, "Cache-Control": true,
}

// commonNames and commonValues save the copies of what nearly every response has.
var (
	commonNames = map[string]string{
		"Content-type": "Content-Type", "Content-Type": "Content-Type", "content-type": "Content-Type",
		"X-Powered-By": "X-Powered-By", "Cache-Control": "Cache-Control", "Set-Cookie": "Set-Cookie",
		"Location": "Location", "Content-Length": "Content-Length", "Expires": "Expires", "Pragma": "Pragma",
		"Vary": "Vary", "ETag": "Etag", "Last-Modified": "Last-Modified", "Link": "Link",
	}
	commonValues = func() map[string]string {
		m := make(map[string]string)
		for _, v := range []string{
			"text/html; charset=UTF-8", "text/html", "text/html;charset=UTF-8", "application/json", "text/plain",
			"text/plain; charset=UTF-8", "text/plain;charset=UTF-8", "text/event-stream", "no-cache",
			"no-store, no-cache, must-revalidate", "no-cache, private", "Thu, 19 Nov 1981 08:52:00 GMT",
			"PHP/" + bridge.PHPVersion(),
		} {
			m[v] = v
		}
		return m
	}()
)

func headerName(b []byte) string {
	if name, ok := commonNames[string(b)]; ok {
		return name
	}
	return http.CanonicalHeaderKey(string(b))
}

func headerValue(b []byte) string {
	if v, ok := commonValues[string(b)]; ok {
		return v
	}
	return string(b)
}

// setHeaders puts the event's headers into h.
func setHeaders(h http.Header, event *bridge.Event) {
	pairs := packed.NewReader(event.Headers)
	// One allocation for all of the one-element lists that a Header is made of.
	lists := make([]string, pairs.Count())
	var replaced [16]string
	done := replaced[:0]
	for i := range lists {
		key, value, _ := pairs.Next()
		name := headerName(key)
		lists[i] = headerValue(value)
		if !httpguts.ValidHeaderFieldValue(lists[i]) {
			continue // control characters, which HTTP/2 leaves out by itself
		}
		if replacing[name] && !contains(done, name) {
			done = append(done, name)
			delete(h, name)
		}
		if existing, ok := h[name]; ok {
			h[name] = append(existing, lists[i])
		} else {
			h[name] = lists[i : i+1 : i+1]
		}
	}
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// sendHead sends status and headers.
func sendHead(w http.ResponseWriter, event *bridge.Event) error {
	status := event.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 200 || status > 999 {
		return caddyhttp.Error(http.StatusInternalServerError,
			fmt.Errorf("php: the script answered with status %d; a final status is between 200 and 999", status))
	}
	setHeaders(w.Header(), event)
	w.WriteHeader(status)
	return nil
}

// sendInformational sends a 1xx answer, such as 103 Early Hints. Its headers go out with it and are not kept: the final
// answer brings its own.
func sendInformational(w http.ResponseWriter, event *bridge.Event) {
	// 101 would end HTTP on this connection, and 100 is the server's to send.
	if event.Status < 102 || event.Status > 199 {
		return
	}
	before := w.Header().Clone()
	setHeaders(w.Header(), event)
	w.WriteHeader(event.Status)
	h := w.Header()
	clear(h)
	for name, values := range before {
		h[name] = values
	}
}
