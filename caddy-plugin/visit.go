package igor

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// visit is a script that runs for one request, on the thread of a goroutine of its own: the one call into the library lasts
// as long as the script. The request's handler waits beside it, and has to do with it again when the script is over, which
// for most is the first it hears of it, or when the script needs it before (see igor_request_run).
//
// Why two goroutines: a script may go on after its response is complete, when the handler must return, and the handler may
// have to write while the script runs. The second one costs well under a microsecond: it runs on the same thread, right
// after the first has begun to wait.
//
// A request that an HTTP worker answers has a visit, too, but no second goroutine: its handler waits until the worker has
// answered, or needs it, and holds no thread meanwhile.
//
// Life: a visit is used by both, and returned to the list of free ones by whoever leaves last.
type visit struct {
	id      uint32
	turn    uint32        // how often it was used: tells an attention that comes late from one for this request
	wake    chan struct{} // has room for one; the flags say what for
	ended   atomic.Bool   // the script is over
	wanted  atomic.Bool   // the script needs its caller
	users   atomic.Int32
	request bridge.Request
	event   bridge.Event // of a script that needed nobody
	err     error
}

// visits are all that there have been, by number, and the free ones among them. Attentions name them by number.
type visits struct {
	mu   sync.Mutex
	all  []*visit
	free []*visit // the one used last comes first
}

var theVisits visits

func (v *visits) get() *visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	var x *visit
	if n := len(v.free); n > 0 {
		x, v.free = v.free[n-1], v.free[:n-1]
	} else {
		x = &visit{id: uint32(len(v.all)), wake: make(chan struct{}, 1)}
		v.all = append(v.all, x)
	}
	x.turn++
	x.users.Store(1)
	return x
}

func (v *visits) put(x *visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	select { // a wake-up that nobody waited for any more
	case <-x.wake:
	default:
	}
	x.ended.Store(false)
	x.wanted.Store(false)
	x.request, x.event, x.err = 0, bridge.Event{}, nil
	v.free = append(v.free, x)
}

// attend tells the handlers of the requests that need them, until the engine stops.
func (v *visits) attend(attentions *bridge.Attentions) {
	defer attentions.Close()
	for {
		token, err := attentions.Next()
		if err != nil {
			return // bridge.ErrGone
		}
		v.mu.Lock()
		if x := v.all[uint32(token)]; x.turn == uint32(token>>32) {
			x.wanted.Store(true) // under the lock, so that it is not the next turn by now
			x.signal()
		}
		v.mu.Unlock()
	}
}

func (x *visit) token() uint64 { return uint64(x.turn)<<32 | uint64(x.id) }

func (x *visit) signal() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

func (x *visit) leave() {
	if x.users.Add(-1) == 0 {
		theVisits.put(x)
	}
}

// run is the script's goroutine.
func (x *visit) run(p *permits) {
	x.err = x.request.Run(&x.event)
	p.leave()
	x.ended.Store(true)
	x.signal()
	x.leave()
}

// serveScript runs the script that the buffers describe and sends its answer. It has a permit, and gives it back when the
// script is over, which may be after it has returned.
func serveScript(w http.ResponseWriter, r *http.Request, b *requestBuffers, p *permits) error {
	x := theVisits.get()
	defer x.leave()
	b.data.SetToken(x.token())
	request, err := b.data.Start()
	if err != nil {
		p.leave()
		return startError(w, err)
	}
	defer request.Release()
	x.request = request
	x.users.Add(1)
	go x.run(p)

	gone := r.Context().Done()
	for {
		select {
		case <-x.wake:
			switch {
			case x.wanted.Load():
				return serveExchange(w, r, request, b, true)
			case !x.ended.Load():
				continue
			case x.err != nil:
				return unavailable(w, x.err)
			case x.event.Kind != bridge.EventFinished:
				continue // it has asked for its caller, whom that reaches in a moment
			case x.event.Flags&bridge.Refused != 0:
				return unavailable(w, bridge.ErrState)
			}
			if r.Context().Err() != nil {
				return nil
			}
			if err := sendHead(w, &x.event); err != nil {
				return err
			}
			if len(x.event.Body) > 0 {
				// The client is gone, or the method has no body: nothing is left to do in either case.
				_, _ = w.Write(x.event.Body)
			}
			return nil
		case <-gone:
			request.Abort()
			gone = nil
		}
	}
}

// serveWorker lets an HTTP worker answer the request that the buffers describe. It has a permit of the worker's gate, with
// this much of its wait left, and gives it back when it hears of the request again: until then it may be one that no worker
// has.
func serveWorker(w http.ResponseWriter, r *http.Request, b *requestBuffers, gate *permits, left time.Duration) error {
	x := theVisits.get()
	defer x.leave()
	b.data.SetToken(x.token())
	b.data.SetMaxWait(left)
	request, err := b.data.Start()
	if err != nil {
		gate.leave()
		return startError(w, err)
	}
	defer request.Release()
	told := x.wait(r.Context(), request, cmp.Or(left, gate.maxWait))
	gate.leave()
	return serveExchange(w, r, request, b, told)
}

// wait returns true when the worker needs the handler, which for most is when the answer is complete, and false after
// bound, if there is one: whether a worker has the request by then is what its next event says. When the client goes
// before that, the request is aborted, and its end is awaited all the same.
func (x *visit) wait(ctx context.Context, request bridge.Request, bound time.Duration) bool {
	var expired <-chan time.Time
	if bound > 0 {
		timer := time.NewTimer(bound)
		defer timer.Stop()
		expired = timer.C
	}
	gone := ctx.Done()
	for {
		select {
		case <-x.wake:
			if x.wanted.Load() {
				return true
			}
		case <-expired:
			return false
		case <-gone:
			request.Abort()
			gone = nil
		}
	}
}

// readAhead is how much of a body is read before the script starts.
const readAhead = 64 << 10

// readSmallBody reads a body that is known to be small before PHP has the request: a client that sends it slowly keeps no
// PHP thread waiting, and the script needs nobody to read it. A client that waits to be asked for the body
// ("Expect: 100-continue") is asked only by a script that reads it.
func readSmallBody(r *http.Request, b *requestBuffers) error {
	if r.ContentLength <= 0 || r.ContentLength > readAhead || r.Header.Get("Expect") != "" {
		return nil
	}
	b.data.Begin(bridge.Body)
	from := len(b.data.Buf)
	b.data.Buf = append(b.data.Buf, make([]byte, r.ContentLength)...)
	n, err := io.ReadFull(r.Body, b.data.Buf[from:])
	b.data.Buf = b.data.Buf[:from+n]
	b.data.End(bridge.Body)
	if err == nil {
		b.data.SetBodyWhole()
	}
	return err
}
