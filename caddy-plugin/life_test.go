package igor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// fakeBackend writes down what is asked of the library, and fails on demand.
type fakeBackend struct {
	mu        sync.Mutex
	log       []string
	failOn    string        // the call that fails
	stopDelay time.Duration // how long StopEngine takes
	next      uint64
	pools     []bridge.PoolOptions
	engines   []bridge.EngineOptions
}

func useFakeBackend(t *testing.T) *fakeBackend {
	t.Helper()
	b := &fakeBackend{}
	oldBackend, oldSink := theBackend, logSink
	theBackend, logSink = b, newSink(newFakeLog())
	t.Cleanup(func() {
		pendingLoads.Wait() // they use both
		theBackend, logSink = oldBackend, oldSink
	})
	return b
}

func (b *fakeBackend) call(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	call := fmt.Sprintf(format, args...)
	b.log = append(b.log, call)
	if b.failOn != "" && strings.HasPrefix(call, b.failOn) {
		return errors.New("injected failure of " + call)
	}
	return nil
}

func (b *fakeBackend) calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

func (b *fakeBackend) StartEngine(o bridge.EngineOptions) error {
	b.mu.Lock()
	b.engines = append(b.engines, o)
	b.mu.Unlock()
	return b.call("engine start")
}

func (b *fakeBackend) StopEngine(time.Duration) error {
	time.Sleep(b.stopDelay)
	return b.call("engine stop")
}

func (b *fakeBackend) OpenGeneration(bridge.Generation) (bridge.Generation, error) {
	b.mu.Lock()
	b.next++
	n := b.next
	b.mu.Unlock()
	return bridge.Generation(n), b.call("open %d", n)
}

func (b *fakeBackend) OpenScope(g bridge.Generation, label string, global bool) (bridge.Scope, error) {
	return bridge.Scope(100), b.call("scope %d %s %v", g, label, global)
}

func (b *fakeBackend) AddPool(_ bridge.Scope, o *bridge.PoolOptions) (bridge.Pool, error) {
	b.mu.Lock()
	b.pools = append(b.pools, *o)
	n := len(b.pools)
	b.mu.Unlock()
	return bridge.Pool(n), b.call("pool %s", o.Name)
}

func (b *fakeBackend) StartGeneration(g bridge.Generation) error {
	return b.call("start %d", g)
}

func (b *fakeBackend) RestartPool(p bridge.Pool) error { return b.call("restart %d", p) }

func (b *fakeBackend) HandOverGeneration(g bridge.Generation) error { return b.call("hand over %d", g) }
func (b *fakeBackend) CloseGeneration(g bridge.Generation) error    { return b.call("close %d", g) }

// fakeApp is an App as it is after Provision, without Caddy around it.
func fakeApp(workers ...WorkerConfig) *App {
	a := &App{NumThreads: 2, logger: zap.NewNop(), load: newLoad()}
	a.load.logger = a.logger
	if len(workers) > 0 {
		a.global = fakeScope(workers)
		a.scopes = []*scopeConfig{a.global}
	}
	return a
}

func fakeScope(workers []WorkerConfig) *scopeConfig {
	s, err := newScopeConfig(workers)
	if err != nil {
		panic(err)
	}
	s.label, s.global = "global", true
	return s
}

func wantCalls(t *testing.T, b *fakeBackend, want ...string) {
	t.Helper()
	if got := b.calls(); !slices.Equal(got, want) {
		t.Errorf("calls of the library:\n got %q\nwant %q", got, want)
	}
}

func TestLifeWithoutHTTP(t *testing.T) {
	b := useFakeBackend(t)
	a := fakeApp(WorkerConfig{Name: "w", Background: true})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	<-a.load.retired
	if err := a.Cleanup(); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, b, "engine start", "open 1", "scope 1 global true", "pool w", "start 1", "hand over 1", "close 1", "engine stop")
}

func TestReloadKeepsTheEngine(t *testing.T) {
	b := useFakeBackend(t)
	first, second := fakeApp(WorkerConfig{Name: "w", Background: true}), fakeApp(WorkerConfig{Name: "w", Background: true})
	core, logs := observer.New(zap.WarnLevel)
	second.logger = zap.New(core)
	second.load.logger = second.logger
	second.NumThreads = 3
	second.PHPIni = map[string]string{"memory_limit": "1G"}
	for _, a := range []*App{first, second} {
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
	_ = first.Stop()
	_ = first.Cleanup()
	<-first.load.retired
	wantCalls(t, b, "engine start", "open 1", "scope 1 global true", "pool w", "start 1",
		"open 2", "scope 2 global true", "pool w", "start 2", "hand over 1", "close 1")
	var settings []string
	for _, e := range logs.All() {
		settings = append(settings, fmt.Sprint(e.ContextMap()["setting"]))
	}
	if want := []string{"num_threads", "php_ini"}; !slices.Equal(settings, want) {
		t.Errorf("warned of %v, want %v", settings, want)
	}
	_ = second.Stop()
	_ = second.Cleanup()
	<-second.load.retired
	if got := b.calls(); got[len(got)-1] != "engine stop" {
		t.Errorf("the engine was not stopped with its last user: %v", got)
	}
}

// TestFailedStart: whatever fails while starting, everything that was begun is ended, waiting requests are answered and the
// next configuration can start.
func TestFailedStart(t *testing.T) {
	for failing, want := range map[string][]string{
		"engine start": {"engine start"},
		"open":         {"engine start", "open 1", "close 1", "engine stop"},
		"scope":        {"engine start", "open 1", "scope 1 global true", "close 1", "engine stop"},
		"pool":         {"engine start", "open 1", "scope 1 global true", "pool w", "close 1", "engine stop"},
		"start":        {"engine start", "open 1", "scope 1 global true", "pool w", "start 1", "close 1", "engine stop"},
	} {
		t.Run(failing, func(t *testing.T) {
			b := useFakeBackend(t)
			b.failOn = failing
			a := fakeApp(WorkerConfig{Name: "w", Background: true})
			waiting := make(chan error, 1)
			go func() {
				err := a.load.enter(context.Background())
				if err == nil {
					a.load.leave()
				}
				waiting <- err
			}()
			err := a.Start()
			if err == nil || !strings.Contains(err.Error(), "injected failure of "+failing) {
				t.Fatalf("Start() = %v", err)
			}
			if err := <-waiting; failing != "start" && err == nil {
				t.Error("a request was let in")
			}
			_ = a.Cleanup()
			<-a.load.retired
			wantCalls(t, b, want...)

			b.failOn = ""
			again := fakeApp()
			if err := again.Start(); err != nil {
				t.Errorf("starting again: %v", err)
			}
			_ = again.Stop()
			<-again.load.retired
		})
	}
}

func TestCleanupAfterHalfAProvision(t *testing.T) {
	b := useFakeBackend(t)
	if err := new(App).Cleanup(); err != nil {
		t.Error(err)
	}
	a := fakeApp()
	if err := a.Cleanup(); err != nil { // provisioned, never started
		t.Error(err)
	}
	<-a.load.retired
	if err := a.load.enter(context.Background()); !errors.Is(err, errNotStarted) {
		t.Errorf("enter() = %v", err)
	}
	wantCalls(t, b)
}

// TestEngineFollowsEngine: a new engine waits for the old one to be gone.
func TestEngineFollowsEngine(t *testing.T) {
	b := useFakeBackend(t)
	b.stopDelay = 50 * time.Millisecond
	first, second := fakeApp(), fakeApp()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	_ = first.Stop()
	for {
		if _, there := enginePool.References(engineKey); !there {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	_ = second.Stop()
	<-second.load.retired
	wantCalls(t, b, "engine start", "open 1", "start 1", "hand over 1", "close 1", "engine stop",
		"engine start", "open 2", "start 2", "hand over 2", "close 2", "engine stop")
}

// fakeServer stands for Caddy's HTTP server.
type fakeServer struct {
	connState func(net.Conn, http.ConnState)
	shutdown  func()
}

func (s *fakeServer) RegisterOnShutdown(f func())                        { s.shutdown = f }
func (s *fakeServer) RegisterConnState(f func(net.Conn, http.ConnState)) { s.connState = f }

func TestDrainWaitsForServerConnectionsAndRequests(t *testing.T) {
	b := useFakeBackend(t)
	a := fakeApp()
	l, server := a.load, new(fakeServer)
	l.watch(server)
	l.watch(server) // a second handler of the same server
	conn := func(state http.ConnState) { server.connState(nil, state) }
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	closed := func() bool { return slices.Contains(b.calls(), "close 1") }
	conn(http.StateNew)
	if err := l.enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = a.Stop() // has a server, so nothing happens
	_ = a.Cleanup()
	time.Sleep(10 * time.Millisecond)
	if closed() {
		t.Fatal("closed before the server went down")
	}
	server.shutdown()
	l.leave()
	time.Sleep(10 * time.Millisecond)
	if closed() {
		t.Fatal("closed while a connection could bring another request")
	}
	conn(http.StateActive)
	conn(http.StateIdle)
	conn(http.StateClosed)
	<-l.retired
	if !closed() {
		t.Fatal("not closed")
	}
}

func TestDrainIsBounded(t *testing.T) {
	b := useFakeBackend(t)
	a := fakeApp()
	core, logs := observer.New(zap.WarnLevel)
	a.load.logger = zap.New(core)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	a.load.httpGrace = 20 * time.Millisecond
	if err := a.load.enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = a.Stop()
	<-a.load.retired
	if !slices.Contains(b.calls(), "close 1") {
		t.Error("a request that does not end kept the generation open")
	}
	if logs.Len() != 1 || logs.All()[0].ContextMap()["requests"] != int64(1) {
		t.Errorf("nothing was said of it: %v", logs.All())
	}
	a.load.leave()
}

func TestEnterWaitsForOpen(t *testing.T) {
	useFakeBackend(t)
	a := fakeApp()
	ctx, cancel := context.WithCancel(context.Background())
	gave := make(chan error)
	go func() { gave <- a.load.enter(ctx) }()
	cancel()
	if err := <-gave; !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
	go func() { gave <- a.load.enter(context.Background()) }()
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if err := <-gave; err != nil {
		t.Errorf("a client that waited: %v", err)
	}
	a.load.leave()
	if n := a.load.inFlight.Load(); n != 0 {
		t.Errorf("%d requests left inside", n)
	}
	_ = a.Stop()
	<-a.load.retired
}

func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newPermits(1, 0, time.Second, 0, nil, nil)
		closing := make(chan struct{})
		ctx := context.Background()
		if _, err := g.enter(ctx, closing); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := g.enter(ctx, closing); !errors.Is(err, errOverloaded) || time.Since(began) != time.Second {
			t.Errorf("full: %v after %v", err, time.Since(began))
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := g.enter(short, closing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("client gone: %v", err)
		}
		got := make(chan error)
		enter := func() {
			_, err := g.enter(ctx, closing)
			got <- err
		}
		go func() {
			left, err := g.enter(ctx, closing)
			if left != 700*time.Millisecond {
				t.Errorf("%v are left of a second", left)
			}
			got <- err
		}()
		synctest.Wait()
		time.Sleep(300 * time.Millisecond)
		g.leave()
		if err := <-got; err != nil {
			t.Errorf("a slot came free: %v", err)
		}
		go enter()
		synctest.Wait()
		close(closing)
		if err := <-got; !errors.Is(err, bridge.ErrState) {
			t.Errorf("engine stopping: %v", err)
		}
	})
}

func TestScopesAreSharedByNumber(t *testing.T) {
	a := fakeApp(WorkerConfig{Name: "g", Background: true})
	add := func(h *Handler) *scopeConfig {
		s, err := a.addScope(h)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := add(&Handler{ServerIdx: 1, Name: "shop"})
	if add(&Handler{ServerIdx: 1, Name: "shop"}) != one {
		t.Error("two handlers of one php_server have two scopes")
	}
	if add(&Handler{ServerIdx: 2, Name: "shop"}) == one {
		t.Error("two php_servers of one name share a scope")
	}
	if add(&Handler{}) == add(&Handler{}) {
		t.Error("two handlers without a number share a scope")
	}
	if n := len(a.scopes); n != 5 {
		t.Errorf("%d scopes, want 5", n)
	}
}
