package igor

import (
	"context"
	"time"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// gate bounds how many requests are inside the library at once, on their way to one set of PHP threads. One there holds an
// OS thread while it waits, and Go ends the process at ten thousand of those. The rest wait here, as goroutines, first come
// first served. There are more slots than PHP threads, so that a thread that comes free finds its next request at once.
//
// Each pool of HTTP workers has a gate of its own, so that those who wait for a slow one are in nobody's way.
type gate struct {
	slots   chan struct{}
	maxWait time.Duration
}

func newGate(threads int, maxWait time.Duration) *gate {
	return &gate{slots: make(chan struct{}, 2*max(threads, 1)), maxWait: maxWait}
}

// enter waits for a slot: at most max_wait_time, while the client is there and the engine runs (closing is open). It tells
// how much of that time is left; 0: there is no bound, or all of it is.
func (g *gate) enter(ctx context.Context, closing <-chan struct{}) (left time.Duration, err error) {
	select {
	case g.slots <- struct{}{}:
		return 0, nil
	default:
	}
	began := time.Now()
	var expired <-chan time.Time
	if g.maxWait > 0 {
		timer := time.NewTimer(g.maxWait)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case g.slots <- struct{}{}:
		if g.maxWait > 0 {
			left = max(g.maxWait-time.Since(began), time.Millisecond)
		}
		return left, nil
	case <-expired:
		return 0, errOverloaded
	case <-closing:
		return 0, bridge.ErrState
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// leave gives the slot back.
func (g *gate) leave() { <-g.slots }
