package igor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

const (
	// growAfter is how long a request waits for a permit before one may be added: as long as a small script takes, several
	// times over.
	growAfter = 5 * time.Millisecond
	// growAgain is how long it waits after it was told that none can be added now.
	growAgain = 20 * time.Millisecond
	// defaultMaxIdle is how long an added permit is kept that nobody needs.
	defaultMaxIdle = 5 * time.Second
)

// permits bounds how many requests are inside the library at once. One there holds an OS thread, and Go ends the process at
// ten thousand of those; the rest wait here, as goroutines without a thread, first come first served. There is one of these
// for the scripts that run on the threads that call in, where a permit is a script that runs; and one for each pool of HTTP
// workers, where it is a request that no worker has yet, so that those who wait for a slow one are in nobody's way.
//
// Under load permits are added from the spare threads, while the CPUs have room. As many of them as were free for a whole
// maxIdle, all of that time, are taken away again.
//
// Thread-safe. Its lock is held for a few instructions, never while waiting.
type permits struct {
	free    chan struct{} // one element per free permit; room for all that there can be
	maxWait time.Duration
	maxIdle time.Duration
	take    func() bool // of a spare thread
	putBack func()

	waiting atomic.Int64
	lowest  atomic.Int64 // fewest free ones since shrink looked last

	mu     sync.Mutex
	base   int
	added  int
	shrink *time.Timer
}

func newPermits(base, spare int, maxWait, maxIdle time.Duration, take func() bool, putBack func()) *permits {
	if maxIdle <= 0 {
		maxIdle = defaultMaxIdle
	}
	p := &permits{
		free:    make(chan struct{}, base+spare),
		base:    base,
		maxWait: maxWait,
		maxIdle: maxIdle,
		take:    take,
		putBack: putBack,
	}
	for range base {
		p.free <- struct{}{}
	}
	return p
}

// newWorkerPermits is for the requests to a pool of HTTP workers: more than it has threads, so that one that comes free finds
// its next request at once. Threads are added by the pool itself.
func newWorkerPermits(threads int, maxWait time.Duration) *permits {
	return newPermits(2*max(threads, 1), 0, maxWait, 0, nil, nil)
}

// enter waits for a permit: at most maxWait, while the client is there and the engine runs (closing is open). It tells how
// much of maxWait is left; 0: there is no bound, or all of it is.
func (p *permits) enter(ctx context.Context, closing <-chan struct{}) (left time.Duration, err error) {
	select {
	case <-p.free:
		// Two at once may both store; either number is true of a moment in between.
		if n := int64(len(p.free)); n < p.lowest.Load() {
			p.lowest.Store(n)
		}
		return 0, nil
	default:
	}
	began := time.Now()
	p.lowest.Store(0)
	p.waiting.Add(1)
	defer p.waiting.Add(-1)

	var expired <-chan time.Time
	if p.maxWait > 0 {
		timer := time.NewTimer(p.maxWait)
		defer timer.Stop()
		expired = timer.C
	}
	var grow <-chan time.Time
	var growTimer *time.Timer
	if cap(p.free) > p.base {
		growTimer = time.NewTimer(growAfter)
		defer growTimer.Stop()
		grow = growTimer.C
	}
	for {
		select {
		case <-p.free:
			return p.leftSince(began), nil
		case <-grow:
			if p.add() {
				return p.leftSince(began), nil
			}
			growTimer.Reset(growAgain)
		case <-expired:
			return 0, errOverloaded
		case <-closing:
			return 0, bridge.ErrState
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (p *permits) leftSince(began time.Time) time.Duration {
	if p.maxWait <= 0 {
		return 0
	}
	return max(p.maxWait-time.Since(began), time.Millisecond)
}

// leave gives the permit back.
func (p *permits) leave() { p.free <- struct{}{} }

// add makes one permit more, which is the caller's.
func (p *permits) add() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base+p.added >= cap(p.free) || !p.take() {
		return false
	}
	p.added++
	if p.shrink == nil {
		p.lowest.Store(0)
		p.shrink = time.AfterFunc(p.maxIdle, p.remove)
	}
	return true
}

// remove takes away as many added permits as there were always to spare since it was called last.
func (p *permits) remove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := p.lowest.Load(); n > 0 && p.added > 0; n-- {
		select {
		case <-p.free:
			p.added--
			p.putBack()
		default:
			n = 0 // somebody was faster
		}
	}
	if p.added == 0 {
		p.shrink = nil
		return
	}
	p.lowest.Store(int64(len(p.free)))
	p.shrink.Reset(p.maxIdle)
}

// permitCount is how things stand, for display.
type permitCount struct {
	total   int // permits that there are
	most    int // that there can be
	used    int
	waiting int // requests without one
}

func (p *permits) count() permitCount {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := p.base + p.added
	return permitCount{total: total, most: cap(p.free), used: total - len(p.free), waiting: int(p.waiting.Load())}
}
