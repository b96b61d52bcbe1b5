package igor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// scopeConfig is one php_server's pools, or the global ones, and the scope that they become.
type scopeConfig struct {
	label   string
	handler *Handler // one of those that share it; nil for the global one
	number  int      // of the php_server; 0: a handler without one, or the global scope
	global  bool
	workers []WorkerConfig
	routing httpRouting
	http    []*httpWorker // of workers with the same index; nil for background workers

	// Valid once the load is opened.
	handle bridge.Scope
	pools  []bridge.Pool // of workers with the same index
}

// newScopeConfig checks nothing: its workers were checked and resolved.
func newScopeConfig(workers []WorkerConfig) (*scopeConfig, error) {
	s := &scopeConfig{workers: workers, http: make([]*httpWorker, len(workers)), pools: make([]bridge.Pool, len(workers))}
	nameHTTPWorkers(workers)
	for i := range workers {
		if workers[i].Background {
			continue
		}
		var err error
		if s.http[i], err = s.routing.add(&workers[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// load is one load of the configuration while it lives: a generation of pools, and the requests that use them.
//
//	made -> open -> retiring -> retired
//	     \-> failed
//
// Caddy starts a new configuration before it stops the old one, and starts and stops the apps of one configuration in any
// order. So HTTP requests may come before open (they wait for it, which is short: workers boot after it) and after Caddy
// has stopped this app. Retiring therefore has a goroutine of its own. It is set off by whatever comes first of
//
//   - the shutdown of the HTTP servers that have a handler of this load,
//   - App.Stop, when no server has one,
//   - App.Cleanup, in any case.
//
// After a reload it waits until no request can come any more, that is until the servers have shut down, their connections
// are closed and the last request has left, but not for ever; then it closes the generation and lets go of the engine. When
// the process exits it closes the generation at once, because that ends what requests wait for: tasks finish within their
// pools' grace or are reported as failed, and the requests go with them.
//
// Thread-safe, except for watch, which is called while the configuration is provisioned. No lock is held while waiting or
// calling the library.
type load struct {
	logger *zap.Logger

	booted  chan struct{} // closed when the pools with num are ready
	opened  chan struct{} // closed by open and fail; orders engine, scopes and openErr
	once    sync.Once     // closes opened
	openErr error
	engine  *engine

	generation bridge.Generation
	files      *fileWatcher // nil when no worker watches files
	// httpGrace is Caddy's grace_period; 0 when it is not set.
	httpGrace time.Duration

	servers     map[httpServer]bool // those with a handler of this load
	serversUp   atomic.Int64        // how many of them have not begun to shut down
	serversDown chan struct{}       // closed when that is 0

	inFlight   atomic.Int64  // requests between enter and leave
	conns      atomic.Int64  // open connections of the servers: each may bring another request
	retiring   atomic.Bool   // before that, nobody listens to idle
	idle       chan struct{} // has room for one: a request or a connection has ended
	abandoned  chan struct{} // closed when nothing is worth waiting for: the load did not start
	retireOnce sync.Once
	retired    chan struct{}
}

var errNotStarted = errors.New("the configuration that this request came for was not started")

func newLoad() *load {
	return &load{
		booted:      make(chan struct{}),
		opened:      make(chan struct{}),
		servers:     make(map[httpServer]bool),
		serversDown: make(chan struct{}),
		idle:        make(chan struct{}, 1),
		abandoned:   make(chan struct{}),
		retired:     make(chan struct{}),
	}
}

// httpServer is what a load wants of Caddy's HTTP server.
type httpServer interface {
	RegisterOnShutdown(f func())
	RegisterConnState(f func(net.Conn, http.ConnState))
}

var _ httpServer = (*caddyhttp.Server)(nil)

// watch follows a server that has a handler of this load.
func (l *load) watch(server httpServer) {
	if l.servers[server] {
		return
	}
	l.servers[server] = true
	l.serversUp.Add(1)
	server.RegisterOnShutdown(func() {
		if l.serversUp.Add(-1) == 0 {
			close(l.serversDown)
			l.retire()
		}
	})
	server.RegisterConnState(func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			l.conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			l.conns.Add(-1)
			l.wakeDrain()
		}
	})
}

func (l *load) hasServers() bool { return len(l.servers) > 0 }

// enter registers a request and makes sure that the generation is open. The caller leaves after a nil.
func (l *load) enter(ctx context.Context) error {
	l.inFlight.Add(1)
	select {
	case <-l.opened:
	default:
		select {
		case <-l.opened:
		case <-ctx.Done():
			l.leave()
			return ctx.Err()
		}
	}
	if l.openErr != nil {
		l.leave()
		return l.openErr
	}
	return nil
}

func (l *load) leave() {
	l.inFlight.Add(-1)
	l.wakeDrain()
}

// wakeDrain lets a drain under way look again.
func (l *load) wakeDrain() {
	if l.retiring.Load() {
		select {
		case l.idle <- struct{}{}:
		default:
		}
	}
}

// quiet says that no request runs and none can come on a connection that is open.
func (l *load) quiet() bool { return l.inFlight.Load() == 0 && l.conns.Load() <= 0 }

// open starts PHP if need be and makes the generation with all its pools; none of them runs yet.
func (l *load) open(settings engineSettings, scopes []*scopeConfig) error {
	e, err := acquireEngine(settings, l.logger)
	if err != nil {
		l.fail(err)
		return err
	}
	l.engine = e
	if err := l.openScopes(scopes); err != nil {
		l.fail(err)
		return errors.Join(err, l.closeGeneration(), releaseEngine())
	}
	l.once.Do(func() { close(l.opened) })
	return nil
}

func (l *load) openScopes(scopes []*scopeConfig) (err error) {
	b := l.engine.backend
	if l.generation, err = l.openGeneration(); err != nil {
		return err
	}
	settings := l.engine.settings
	for _, scope := range scopes {
		if scope.handle, err = b.OpenScope(l.generation, scope.label, scope.global); err != nil {
			return fmt.Errorf("%s: %w", scope.label, err)
		}
		for i := range scope.workers {
			w := &scope.workers[i]
			options := w.poolOptions(settings.threads.spare, settings.maxRequests)
			if scope.pools[i], err = b.AddPool(scope.handle, options); err != nil {
				return fmt.Errorf("%s: %w", w.label(), err)
			}
			if h := scope.http[i]; h != nil {
				h.pool = scope.pools[i]
				h.gate = newWorkerPermits(options.MaxThreads, cmp.Or(options.MaxWait, settings.maxWait))
			}
		}
	}
	return nil
}

// openGeneration makes the generation the successor of the one that serves now.
func (l *load) openGeneration() (bridge.Generation, error) {
	if before := running.newest(); before != nil && before.engine == l.engine {
		generation, err := l.engine.backend.OpenGeneration(before.generation)
		if !errors.Is(err, bridge.ErrGone) { // closed meanwhile: this one is the first again
			return generation, err
		}
	}
	return l.engine.backend.OpenGeneration(0)
}

// fail tells the requests that wait that nothing will come.
func (l *load) fail(err error) {
	l.once.Do(func() {
		l.openErr = err
		close(l.opened)
	})
}

// boot starts the pools with num and waits until they are ready.
//
// Caddy holds its configuration's lock meanwhile, so when the process is told to end, nobody else can stop workers that take
// long or for ever to boot.
func (l *load) boot() error {
	started := make(chan error, 1)
	go func() { started <- l.engine.backend.StartGeneration(l.generation) }()
	look := time.NewTicker(bootLook)
	defer look.Stop()
	for {
		select {
		case err := <-started:
			if err == nil {
				running.add(l)
				close(l.booted)
			}
			return err
		case <-look.C:
			if caddy.Exiting() {
				look.Stop()
				return errors.Join(l.closeGeneration(), <-started)
			}
		}
	}
}

// watchFiles restarts workers when their files change, from now on.
func (l *load) watchFiles(scopes []*scopeConfig) (err error) {
	var targets []*watchTarget
	for _, scope := range scopes {
		for i := range scope.workers {
			w, pool := &scope.workers[i], scope.pools[i]
			if len(w.watched) > 0 {
				targets = append(targets, &watchTarget{
					label:    w.label(),
					patterns: w.watched,
					restart:  func() error { return l.engine.backend.RestartPool(pool) },
				})
			}
		}
	}
	if len(targets) > 0 {
		l.files, err = newFileWatcher(targets, l.booted, l.logger, maxWatchedFolders)
	}
	return err
}

// unwatchFiles leaves changes to the next configuration.
func (l *load) unwatchFiles() {
	if l.files != nil {
		l.files.close()
	}
}

func (l *load) closeGeneration() error {
	if l.generation == 0 {
		return nil
	}
	err := l.engine.backend.CloseGeneration(l.generation)
	if errors.Is(err, bridge.ErrGone) {
		return nil // the engine was stopped meanwhile, and closed it
	}
	return err
}

var (
	// exitBegun is closed when a load finds that the process exits: those that still drain make haste.
	exitBegun     = make(chan struct{})
	exitBegunOnce sync.Once

	// pendingLoads counts the loads that are retiring, so that the process does not exit under them.
	pendingLoads sync.WaitGroup
)

// retire begins the end of this load, once, and does not wait for it.
func (l *load) retire() {
	l.retireOnce.Do(func() {
		l.fail(errNotStarted) // unless it was opened
		l.unwatchFiles()
		if caddy.Exiting() {
			exitBegunOnce.Do(func() { close(exitBegun) })
		}
		pendingLoads.Add(1)
		go func() {
			defer pendingLoads.Done()
			defer close(l.retired)
			l.drain()
		}()
	})
}

// abandon ends a load whose pools did not start, and waits for it. Caddy does not stop an app that did not start.
func (l *load) abandon() {
	close(l.abandoned)
	l.retire()
	<-l.retired
}

// drain is the body of retire. See the comment of load for its order.
func (l *load) drain() {
	defer logSink.detach(l)
	if l.openErr != nil {
		return // whoever failed has cleaned up
	}
	l.retiring.Store(true)
	began := time.Now()
	if !caddy.Exiting() {
		l.handOver()
		patience := reloadDrain
		if l.httpGrace > 0 {
			patience = l.httpGrace
		}
		if !l.waitQuiet(patience, exitBegun) {
			l.logger.Warn("requests of the previous configuration are still running; their workers are told to stop now",
				zap.Int64("requests", l.inFlight.Load()), zap.Duration("waited", patience))
		}
	}
	if err := l.closeGeneration(); err != nil {
		l.logger.Error("closing the workers of a configuration", zap.Error(err))
	}
	running.remove(l)
	if caddy.Exiting() {
		grace := exitGrace
		if l.httpGrace > 0 {
			// The administrator said how long requests may take to end: no longer than that, all in all.
			grace = max(0, l.httpGrace-time.Since(began))
			l.waitQuiet(grace, nil)
			grace = max(0, l.httpGrace-time.Since(began))
		}
		if err := l.engine.stop(grace); err != nil {
			l.logger.Error("stopping PHP", zap.Error(err))
		}
	}
	if err := releaseEngine(); err != nil {
		l.logger.Error("stopping PHP", zap.Error(err))
	}
}

// handOver lets the workers of the new configuration, which is here to stay, take what nobody has taken here. They need not
// wait for the requests of this one.
func (l *load) handOver() {
	select {
	case <-l.booted:
	default:
		return // it has never served
	}
	if err := l.engine.backend.HandOverGeneration(l.generation); err != nil && !errors.Is(err, bridge.ErrGone) {
		l.logger.Error("handing over to the workers of the new configuration", zap.Error(err))
	}
}

// waitQuiet waits until no request runs or can come, at most for patience, and no longer once there is a reason to hurry.
// It answers false when requests are still running after all that patience.
func (l *load) waitQuiet(patience time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		var changed <-chan struct{} = l.idle
		if l.hasServers() && l.serversUp.Load() > 0 {
			changed = l.serversDown
		} else if l.quiet() {
			return true
		}
		select {
		case <-changed:
		case <-hurry:
			return true
		case <-l.abandoned:
			return true
		case <-timer.C:
			return l.inFlight.Load() == 0
		}
	}
}
