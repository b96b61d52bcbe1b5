package igor

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

const (
	// bootLook is how often a boot looks whether the process is to end. Caddy tells nobody of that by itself.
	bootLook = 100 * time.Millisecond
	// exitGrace is how long requests may go on when the process ends and Caddy's grace_period does not say. Caddy's own
	// default is for ever; a script that never ends would then keep the process alive.
	exitGrace = 10 * time.Second
	// reloadDrain is how long the requests of a replaced configuration keep their workers, unless grace_period says.
	reloadDrain = 10 * time.Second
)

// backend is the library as the app's life needs it. Tests put another in its place.
type backend interface {
	StartEngine(o bridge.EngineOptions) error
	StopEngine(grace time.Duration) error
	OpenGeneration(predecessor bridge.Generation) (bridge.Generation, error)
	OpenScope(g bridge.Generation, label string, global bool) (bridge.Scope, error)
	AddPool(s bridge.Scope, o *bridge.PoolOptions) (bridge.Pool, error)
	StartGeneration(g bridge.Generation) error
	HandOverGeneration(g bridge.Generation) error
	CloseGeneration(g bridge.Generation) error
	RestartPool(p bridge.Pool) error
}

// library is the backend that serves.
type library struct{}

func (library) StartEngine(o bridge.EngineOptions) error {
	if err := bridge.CheckABI(); err != nil {
		return err
	}
	return bridge.StartEngine(o)
}
func (library) StopEngine(grace time.Duration) error { return bridge.StopEngine(grace) }
func (library) OpenGeneration(predecessor bridge.Generation) (bridge.Generation, error) {
	return bridge.OpenGeneration(predecessor)
}
func (library) OpenScope(g bridge.Generation, label string, global bool) (bridge.Scope, error) {
	return g.OpenScope(label, global)
}
func (library) AddPool(s bridge.Scope, o *bridge.PoolOptions) (bridge.Pool, error) {
	return s.AddPool(o)
}
func (library) StartGeneration(g bridge.Generation) error    { return g.Start() }
func (library) HandOverGeneration(g bridge.Generation) error { return g.HandOver() }
func (library) CloseGeneration(g bridge.Generation) error    { return g.Close() }
func (library) RestartPool(p bridge.Pool) error              { return p.Control(bridge.Restart) }

// theBackend is what engines are made of.
var theBackend backend = library{}

// engine is PHP in this process: one at a time, shared by all loads of the configuration. Each load holds a reference in
// enginePool, and so does a load that drains; the last one to let go stops it.
//
// Its settings are those of the load that started it. A later load that wants others is told that it takes a restart.
type engine struct {
	settings engineSettings
	backend  backend

	// permits bounds how many scripts run at once that are not HTTP workers'.
	permits *permits
	// closing is closed when the engine begins to stop: nobody waits for a slot any longer.
	closing chan struct{}

	// attended is closed when nobody waits for attentions any more.
	attended chan struct{}

	stopOnce sync.Once
	stopErr  error
	// gone is closed when the engine has stopped for good and another may start.
	gone chan struct{}
}

// engineSettings can only be chosen when PHP starts.
type engineSettings struct {
	threads     threadPlan
	maxWait     time.Duration
	maxIdle     time.Duration
	maxRequests int
	ini         string
}

const engineKey = "php"

var (
	enginePool = caddy.NewUsagePool()
	// lastEngine is the engine that was started last. The pool forgets an engine before it has stopped.
	lastEngine atomic.Pointer[engine]
)

// acquireEngine gives the running engine, or starts it.
func acquireEngine(settings engineSettings, logger *zap.Logger) (*engine, error) {
	value, loaded, err := enginePool.LoadOrNew(engineKey, func() (caddy.Destructor, error) {
		if last := lastEngine.Load(); last != nil {
			<-last.gone
		}
		e := &engine{
			settings: settings,
			backend:  theBackend,
			permits: newPermits(settings.threads.scripts, settings.threads.spare, settings.maxWait, settings.maxIdle,
				bridge.TakeSpare, bridge.PutBackSpare),
			closing:  make(chan struct{}),
			attended: make(chan struct{}),
			gone:     make(chan struct{}),
		}
		began := time.Now()
		err := e.backend.StartEngine(bridge.EngineOptions{
			SpareThreads: settings.threads.spare,
			INI:          settings.ini,
			MaxWait:      settings.maxWait,
			MaxIdle:      settings.maxIdle,
			MaxRequests:  settings.maxRequests,
		})
		logSink.start()
		if err != nil {
			logSink.finish()
			return nil, err
		}
		attentions, err := bridge.OpenAttentions()
		if err != nil {
			logSink.finish()
			return nil, errors.Join(err, e.backend.StopEngine(0))
		}
		go func() {
			defer close(e.attended)
			theVisits.attend(attentions)
		}()
		lastEngine.Store(e)
		logger.Info("PHP started",
			zap.String("version", bridge.PHPVersion()),
			zap.Int("num_threads", settings.threads.total),
			zap.Int("max_threads", settings.threads.total+settings.threads.spare),
			zap.Duration("took", time.Since(began)))
		return e, nil
	})
	if err != nil {
		return nil, fmt.Errorf("starting PHP: %w", err)
	}
	e := value.(*engine)
	if loaded {
		e.warnOfOtherSettings(settings, logger)
	}
	return e, nil
}

// release lets go of one reference; the last one stops PHP.
func releaseEngine() error {
	_, err := enginePool.Delete(engineKey)
	return err
}

func (e *engine) warnOfOtherSettings(wanted engineSettings, logger *zap.Logger) {
	const message = "this setting takes effect only when the server is started again; PHP goes on with the old one"
	number := func(setting string, running, configured int) {
		if running != configured {
			logger.Warn(message, zap.String("setting", setting), zap.Int("running", running), zap.Int("configured", configured))
		}
	}
	duration := func(setting string, running, configured time.Duration) {
		if running != configured {
			logger.Warn(message, zap.String("setting", setting), zap.Duration("running", running), zap.Duration("configured", configured))
		}
	}
	running := e.settings
	// Workers come and go with a reload, and their threads with them; what stays is the number for other scripts, even when
	// the two no longer add up to num_threads.
	number("num_threads", running.threads.total, wanted.threads.total)
	if running.threads.spare != wanted.threads.spare {
		number("max_threads", running.threads.total+running.threads.spare, wanted.threads.total+wanted.threads.spare)
	}
	duration("max_wait_time", running.maxWait, wanted.maxWait)
	duration("max_idle_time", running.maxIdle, wanted.maxIdle)
	number("max_requests", running.maxRequests, wanted.maxRequests)
	if wanted.ini != e.settings.ini {
		logger.Warn(message, zap.String("setting", "php_ini"))
	}
}

// Destruct implements caddy.Destructor: nobody needs PHP any more.
func (e *engine) Destruct() error {
	defer close(e.gone)
	err := e.stop(exitGrace)
	if err == nil {
		logSink.logger().Info("PHP stopped")
	}
	logSink.finish()
	return err
}

// stop ends requests within grace and stops PHP, once.
func (e *engine) stop(grace time.Duration) error {
	e.stopOnce.Do(func() {
		close(e.closing)
		err := e.backend.StopEngine(grace)
		bridge.CloseAttention()
		<-e.attended
		if errors.Is(err, bridge.ErrTimeout) {
			err = fmt.Errorf("stopping PHP: a thread could not be ended within %v and is left behind: %w", grace, err)
		}
		e.stopErr = err
	})
	return e.stopErr
}
