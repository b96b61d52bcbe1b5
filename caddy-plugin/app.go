package igor

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// App is Igor's global configuration: the settings of the PHP engine, and the background workers that every php_server can
// reach. It is the igor block in the Caddyfile's global options.
//
// Lifetime: one App per load of the configuration. Provision checks and resolves; only Start starts PHP, so that
// "igor validate" never does. What an App has under way lives in its load.
type App struct {
	// The number of PHP threads for HTTP requests, those of HTTP workers among them. Default: twice the number of CPUs, at
	// least 4, and at least one more than HTTP workers have. It can only be changed by starting the server again.
	NumThreads int `json:"num_threads,omitempty"`

	// To how many threads that number may grow under load; -1: as many as memory allows. Default: num_threads, and what the
	// workers' own max_threads add. It can only be changed by starting the server again.
	MaxThreads int `json:"max_threads,omitempty"`

	// How long a request may wait for a PHP thread before it is answered with 503. Default: no bound. It can only be
	// changed by starting the server again.
	MaxWaitTime caddy.Duration `json:"max_wait_time,omitempty"`

	// How long a thread beyond num_threads stays without a request. Default: 5s. It can only be changed by starting the
	// server again.
	MaxIdleTime caddy.Duration `json:"max_idle_time,omitempty"`

	// After how many requests a thread's PHP state is made afresh. Default: never. It can only be changed by starting the
	// server again.
	MaxRequests int `json:"max_requests,omitempty"`

	// php.ini settings, stronger than those of php.ini files. They can only be changed by starting the server again.
	PHPIni map[string]string `json:"php_ini,omitempty"`

	// The workers that all php_servers share, unless they have one of the same name (of the same file, for HTTP workers)
	// themselves.
	Workers []WorkerConfig `json:"workers,omitempty"`

	// Where the block was declared, "Caddyfile:2". Only for messages.
	Source string `json:"source,omitempty"`

	ctx    caddy.Context
	logger *zap.Logger
	load   *load
	// Gathered while handlers are provisioned, which Caddy does one after the other.
	scopes []*scopeConfig
	global *scopeConfig // also in scopes; nil without global workers
}

// maxThreads is the most threads for HTTP that the library takes.
const maxThreads = 4096

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "igor",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision checks the configuration and finds the scripts.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger = ctx.Logger()
	a.load = newLoad()
	a.load.logger = a.logger

	if err := registerMetrics(ctx); err != nil {
		return fmt.Errorf("registering the metrics: %w", err)
	}
	if err := a.check(); err != nil {
		return err
	}
	if err := checkWorkers(a.Workers, "the global block"); err != nil {
		return err
	}
	base, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	for i := range a.Workers {
		if err := a.Workers[i].resolve(base, "the working directory"); err != nil {
			return err
		}
	}
	if len(a.Workers) > 0 {
		if a.global, err = newScopeConfig(a.Workers); err != nil {
			return err
		}
		a.global.label, a.global.global = "global", true
		a.scopes = append(a.scopes, a.global)
	}
	_, err = a.plan(a.httpWorkers())
	return err
}

// httpWorkers are those known so far.
func (a *App) httpWorkers() (workers []*WorkerConfig) {
	for _, s := range a.scopes {
		for i := range s.workers {
			if !s.workers[i].Background {
				workers = append(workers, &s.workers[i])
			}
		}
	}
	return workers
}

// check refuses settings that are out of range.
func (a *App) check() error {
	if a.NumThreads < 0 || a.NumThreads > maxThreads {
		return refuse("num_threads", "num_threads %d: must be between 1 and %d; leave it out for twice the number of CPUs", a.NumThreads, maxThreads)
	}
	if a.MaxThreads < autoThreads || a.MaxThreads > maxThreads {
		return refuse("max_threads", `max_threads %d: must be between 1 and %d, or "auto"; leave it out for as many as num_threads`, a.MaxThreads, maxThreads)
	}
	if a.MaxThreads > 0 && a.MaxThreads < a.NumThreads {
		return refuse("max_threads", "max_threads %d: is below num_threads %d; raise max_threads, or lower num_threads", a.MaxThreads, a.NumThreads)
	}
	if a.MaxRequests < 0 || a.MaxRequests > math.MaxInt32 {
		return refuse("max_requests", "max_requests %d: must be between 1 and %d; leave it out for never", a.MaxRequests, math.MaxInt32)
	}
	if err := checkDuration("max_wait_time", time.Duration(a.MaxWaitTime)); err != nil {
		return err
	}
	if err := checkDuration("max_idle_time", time.Duration(a.MaxIdleTime)); err != nil {
		return err
	}
	for key, value := range a.PHPIni {
		if err := checkIni(key, value); err != nil {
			return err
		}
	}
	return nil
}

// addScope puts a handler's workers on the list. Handlers with the same number share one scope.
func (a *App) addScope(h *Handler) (*scopeConfig, error) {
	if h.ServerIdx != 0 {
		for _, s := range a.scopes {
			if s.number == h.ServerIdx {
				return s, nil
			}
		}
	}
	s, err := newScopeConfig(h.Workers)
	if err != nil {
		return nil, err
	}
	s.handler, s.number = h, h.ServerIdx
	a.scopes = append(a.scopes, s)
	// The threads are counted here, and not at the start, so that "igor validate" refuses what would not start.
	_, err = a.plan(a.httpWorkers())
	return s, err
}

// Start starts PHP, unless it runs already, and this load's workers. It returns when all workers with num are ready.
func (a *App) Start() error {
	l := a.load
	logSink.attach(l, a.logger)
	var httpApp *caddyhttp.App
	if v, err := a.ctx.AppIfConfigured("http"); err == nil {
		if app, ok := v.(*caddyhttp.App); ok {
			httpApp = app
			l.httpGrace = time.Duration(app.GracePeriod)
		}
	}
	threads, err := a.plan(a.httpWorkers())
	if err != nil {
		l.fail(err)
		return err
	}
	labelScopes(a.scopes, httpApp)
	err = l.open(engineSettings{
		threads:     threads,
		maxWait:     time.Duration(a.MaxWaitTime),
		maxIdle:     time.Duration(a.MaxIdleTime),
		maxRequests: a.MaxRequests,
		ini:         phpIniText(a.PHPIni),
	}, a.scopes)
	if err != nil {
		return err
	}
	// First, so that no change is missed while workers boot.
	err = l.watchFiles(a.scopes)
	if err == nil {
		err = l.boot()
	}
	if err != nil {
		l.abandon()
		return err
	}
	if n := a.workerCount(); n > 0 {
		a.logger.Info("workers are ready", zap.Int("pools", n))
	}
	return nil
}

func (a *App) workerCount() int {
	n := 0
	for _, s := range a.scopes {
		n += len(s.workers)
	}
	return n
}

// Stop is called while HTTP servers may still take requests for this load; see load for why it does nothing then.
func (a *App) Stop() error {
	a.load.unwatchFiles()
	if !a.load.hasServers() {
		a.load.retire()
	}
	return nil
}

// Cleanup ends what Provision and Start have begun, however far they came. When the process exits it waits for all of it.
func (a *App) Cleanup() error {
	if a.load == nil {
		return nil
	}
	a.load.retire()
	if caddy.Exiting() {
		pendingLoads.Wait()
	}
	return nil
}

// appOf finds the app under either of its names.
func appOf(ctx caddy.Context) (*App, error) {
	v, err := ctx.AppIfConfigured("frankenphp")
	if err == nil {
		return &v.(*FrankenPHP).App, nil
	}
	if !errors.Is(err, caddy.ErrNotConfigured) {
		return nil, err
	}
	if v, err = ctx.App("igor"); err != nil {
		return nil, err
	}
	return v.(*App), nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
