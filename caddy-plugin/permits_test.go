package igor

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// spares counts spare threads as the library does.
type spares struct{ left atomic.Int64 }

func (s *spares) take() bool {
	if s.left.Add(-1) < 0 {
		s.left.Add(1)
		return false
	}
	return true
}
func (s *spares) putBack() { s.left.Add(1) }

func TestPermitsGrowUnderLoadAndShrinkAfterIt(t *testing.T) {
	var s spares
	s.left.Store(2)
	p := newPermits(1, 3, 0, time.Millisecond, s.take, s.putBack)
	closing := make(chan struct{})
	for range 3 { // the second and third have to wait until one is added for them
		if _, err := p.enter(t.Context(), closing); err != nil {
			t.Fatal(err)
		}
	}
	if c := p.count(); c != (permitCount{total: 3, most: 4, used: 3}) {
		t.Errorf("%+v", c)
	}
	// There is room for a fourth, but no spare thread: it waits for one of the three.
	entered := make(chan error)
	go func() {
		_, err := p.enter(t.Context(), closing)
		entered <- err
	}()
	for p.count().waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	p.leave()
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.leave()
	}
	for p.count().total > 1 {
		time.Sleep(time.Millisecond)
	}
	if c := p.count(); c != (permitCount{total: 1, most: 4}) || s.left.Load() != 2 {
		t.Errorf("%+v, %d spare threads", c, s.left.Load())
	}
}

// What is needed now and then is kept: only permits that nobody took for the whole time go.
func TestPermitsInUseStay(t *testing.T) {
	var s spares
	s.left.Store(3)
	p := newPermits(1, 3, 0, time.Hour, s.take, s.putBack)
	closing := make(chan struct{})
	for range 4 {
		if _, err := p.enter(t.Context(), closing); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		p.leave()
	}
	p.remove() // all were in use since it began
	if c := p.count(); c.total != 4 {
		t.Errorf("after a busy time: %+v", c)
	}
	for range 2 {
		if _, err := p.enter(t.Context(), closing); err != nil {
			t.Fatal(err)
		}
	}
	p.leave()
	p.leave()
	p.remove() // two of the four were never in use
	if c := p.count(); c.total != 2 || s.left.Load() != 2 {
		t.Errorf("after a time for two: %+v, %d spare", c, s.left.Load())
	}
	p.remove()
	if c := p.count(); c.total != 1 || s.left.Load() != 3 || p.shrink != nil {
		t.Errorf("after an idle time: %+v, %d spare", c, s.left.Load())
	}
}

func TestPermitsEndTheWait(t *testing.T) {
	closing := make(chan struct{})
	p := newPermits(1, 0, 20*time.Millisecond, 0, nil, nil)
	if _, err := p.enter(t.Context(), closing); err != nil {
		t.Fatal(err)
	}
	if _, err := p.enter(t.Context(), closing); !errors.Is(err, errOverloaded) {
		t.Errorf("after max_wait_time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.maxWait = 0
	cancel()
	if _, err := p.enter(ctx, closing); !errors.Is(err, context.Canceled) {
		t.Errorf("without a client: %v", err)
	}
	close(closing)
	if _, err := p.enter(t.Context(), closing); !errors.Is(err, bridge.ErrState) {
		t.Errorf("while the engine stops: %v", err)
	}
	if c := p.count(); c.used != 1 || c.waiting != 0 {
		t.Errorf("%+v", c)
	}
}

func TestReportOfPermits(t *testing.T) {
	h := HTTPReport{List: []HTTPThreadReport{{Name: "http-0", State: "idle"}, {Name: "http-1", State: "busy"}, {Name: "http-2", State: "idle"}}}
	h.addPermits(permitCount{total: 2, most: 5, used: 1, waiting: 7})
	if h.Threads != 2 || h.MaxThreads != 5 || h.Queued != 7 || len(h.List) != 2 || h.List[0].Name != "http-1" {
		t.Errorf("%+v", h)
	}
	h.addPermits(permitCount{total: 4, most: 5})
	if len(h.List) != 4 || !slices.ContainsFunc(h.List, func(r HTTPThreadReport) bool { return r.Name == "http-3" && r.State == "idle" }) {
		t.Errorf("%+v", h.List)
	}
}
