package igor

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/igor-php/igor/caddy-plugin/bridge"
	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// logReader is where records come from: the library, or a test.
type logReader interface {
	NextLog(timeout time.Duration, record *bridge.LogRecord) error
	CloseLog()
}

type libraryLog struct{}

func (libraryLog) NextLog(timeout time.Duration, record *bridge.LogRecord) error {
	return bridge.NextLog(timeout, record)
}
func (libraryLog) CloseLog() { bridge.CloseLog() }

// sink brings what PHP and the library have to say into Caddy's log.
//
// One goroutine reads the library's queue for as long as an engine lives, across reloads: a record that comes while one
// configuration goes and another comes is not lost. The logger in force is that of the newest load that is attached;
// without any it is Caddy's default logger. When the engine has stopped, finish closes the queue and returns when its last
// record is written.
type sink struct {
	reader logReader
	done   chan struct{} // closed when the reading goroutine ends; start and finish take turns with it

	mu       sync.Mutex // guards attached; held for no longer than a list's change
	attached []attachedLogger
	loggers  atomic.Pointer[zap.Logger]
}

type attachedLogger struct {
	load   *load
	logger *zap.Logger
}

var logSink = newSink(libraryLog{})

func newSink(r logReader) *sink { return &sink{reader: r} }

// start begins reading. An engine calls it when it starts, and finish when it stops; engines follow one another.
func (s *sink) start() {
	s.done = make(chan struct{})
	go s.run(s.done)
}

// attach makes logger the one in force until the load detaches or a newer one comes.
func (s *sink) attach(l *load, logger *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = append(s.attached, attachedLogger{l, logger})
	s.loggers.Store(logger)
}

// detach takes the load's logger off. Harmless when it was never on.
func (s *sink) detach(l *load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.attached {
		if s.attached[i].load == l {
			s.attached = append(s.attached[:i:i], s.attached[i+1:]...)
			break
		}
	}
	if n := len(s.attached); n > 0 {
		s.loggers.Store(s.attached[n-1].logger)
	} else {
		s.loggers.Store(nil)
	}
}

// finish closes the queue and waits until all of it is written, or until it is clear that something is wrong.
func (s *sink) finish() {
	s.reader.CloseLog()
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		s.logger().Error("the log of PHP could not be written to its end within 5 seconds")
	}
}

func (s *sink) logger() *zap.Logger {
	if logger := s.loggers.Load(); logger != nil {
		return logger
	}
	return caddy.Log().Named("igor")
}

func (s *sink) run(done chan<- struct{}) {
	defer close(done)
	// A record is valid until this thread's next call.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var w recordWriter
	for {
		switch err := s.reader.NextLog(time.Minute, &w.record); {
		case err == nil:
			w.write(s.logger())
		case errors.Is(err, bridge.ErrTimeout):
		case errors.Is(err, bridge.ErrGone):
			return
		default:
			s.logger().Error("the log of PHP can't be read any further", zap.Error(err))
			return
		}
	}
}

// recordWriter turns one record after the other into log entries. It keeps named loggers and room for fields.
type recordWriter struct {
	record bridge.LogRecord
	base   *zap.Logger
	named  map[string]*zap.Logger
	fields []zap.Field
}

func (w *recordWriter) write(base *zap.Logger) {
	r := &w.record
	if r.Dropped > 0 {
		base.Warn("log records were lost, because more came than could be written", zap.Uint64("lost", r.Dropped))
	}
	entry := w.loggerNamed(base, r.Logger).Check(zapLevel(r.Level), string(r.Message))
	if entry == nil {
		return
	}
	if r.Time.UnixNano() > 0 {
		entry.Time = r.Time
	}
	w.fields = w.fields[:0]
	pairs := packed.NewReader(r.Fields)
	for key, value, ok := pairs.Next(); ok; key, value, ok = pairs.Next() {
		w.fields = append(w.fields, zap.String(string(key), string(value)))
	}
	if !usualLevel(r.Level) {
		w.fields = append(w.fields, zap.Int("php_level", r.Level))
	}
	w.addContext(r.ContextJSON)
	entry.Write(w.fields...)
}

func (w *recordWriter) loggerNamed(base *zap.Logger, name []byte) *zap.Logger {
	if w.base != base {
		w.base, w.named = base, make(map[string]*zap.Logger)
	}
	if len(name) == 0 {
		return base
	}
	logger, ok := w.named[string(name)]
	if !ok {
		logger = base.Named(string(name))
		w.named[string(name)] = logger
	}
	return logger
}

// reservedKeys are what log encoders write themselves. A context's key of that name gets a prefix: in a JSON line
// with one key twice, readers see only one of them.
var reservedKeys = map[string]bool{"level": true, "ts": true, "logger": true, "msg": true, "caller": true, "stacktrace": true}

// addContext makes fields of the context array that a script logged, in its order. Values keep their JSON form, so that
// large integers stay what they are.
func (w *recordWriter) addContext(context []byte) {
	if len(context) == 0 {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(context))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		w.fields = append(w.fields, zap.String("context", string(context)))
		return
	}
	before := len(w.fields)
	for dec.More() {
		keyToken, err := dec.Token()
		key, isString := keyToken.(string)
		var value json.RawMessage
		if err != nil || !isString || dec.Decode(&value) != nil {
			w.fields = append(w.fields[:before], zap.String("context", string(context)))
			return
		}
		if reservedKeys[key] || hasField(w.fields[:before], key) {
			key = "context." + key
		}
		w.fields = append(w.fields, contextField(key, value))
	}
	if _, err := dec.Token(); err != nil { // it was cut off
		w.fields = append(w.fields[:before], zap.String("context", string(context)))
	}
}

func contextField(key string, value json.RawMessage) zap.Field {
	var s string
	if value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return zap.String(key, s)
	}
	return zap.Reflect(key, value)
}

func hasField(fields []zap.Field, key string) bool {
	for i := range fields {
		if fields[i].Key == key {
			return true
		}
	}
	return false
}

// zapLevel maps slog's levels, of which any number is one, to zap's.
func zapLevel(level int) zapcore.Level {
	switch {
	case level >= bridge.LogError:
		return zapcore.ErrorLevel
	case level >= bridge.LogWarn:
		return zapcore.WarnLevel
	case level >= bridge.LogInfo:
		return zapcore.InfoLevel
	default:
		return zapcore.DebugLevel
	}
}

func usualLevel(level int) bool {
	switch level {
	case bridge.LogDebug, bridge.LogInfo, bridge.LogWarn, bridge.LogError:
		return true
	}
	return false
}
