package igor

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/igor-php/igor/caddy-plugin/bridge"
	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// fakeLog is a queue of records that behaves as the library's.
type fakeLog struct {
	mu      sync.Mutex
	changed *sync.Cond
	records []bridge.LogRecord
	closed  bool
}

func newFakeLog() *fakeLog {
	f := &fakeLog{}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fakeLog) push(r bridge.LogRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, r)
	f.changed.Broadcast()
}

func (f *fakeLog) NextLog(_ time.Duration, record *bridge.LogRecord) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.records) == 0 {
		if f.closed {
			f.closed = false // the next engine opens it again
			return bridge.ErrGone
		}
		f.changed.Wait()
	}
	*record, f.records = f.records[0], f.records[1:]
	return nil
}

func (f *fakeLog) CloseLog() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.changed.Broadcast()
}

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.New(core).Named("igor"), logs
}

func TestLogRecordBecomesEntry(t *testing.T) {
	logger, logs := observed()
	at := time.Unix(1700000000, 42)
	w := recordWriter{record: bridge.LogRecord{
		Level: bridge.LogWarn, Time: at, Logger: []byte("php"), Message: []byte("Undefined variable $x"),
		Fields:      packed.AppendPair(packed.AppendPair(nil, "worker", "mail"), "line", "12"),
		ContextJSON: []byte(`{"user":"a\"b","n":9007199254740993,"worker":"mine","msg":"m","list":[1,{"x":null}]}`),
	}}
	w.write(logger)
	entry := logs.All()[0]
	if entry.LoggerName != "igor.php" || entry.Level != zapcore.WarnLevel || !entry.Time.Equal(at) || entry.Message != "Undefined variable $x" {
		t.Errorf("got %+v", entry.Entry)
	}
	encoded, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(entry.Entry, entry.Context)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"worker":"mail","line":"12","user":"a\"b","n":9007199254740993,"context.worker":"mine","context.msg":"m","list":[1,{"x":null}]}` + "\n"
	if encoded.String() != want {
		t.Errorf("got  %swant %s", encoded.String(), want)
	}
}

func TestLogLevels(t *testing.T) {
	for level, want := range map[int]zapcore.Level{
		-8: zap.DebugLevel, -4: zap.DebugLevel, -1: zap.DebugLevel, 0: zap.InfoLevel, 2: zap.InfoLevel, 4: zap.WarnLevel,
		7: zap.WarnLevel, 8: zap.ErrorLevel, 100: zap.ErrorLevel,
	} {
		logger, logs := observed()
		w := recordWriter{record: bridge.LogRecord{Level: level, Message: []byte("m")}}
		w.write(logger)
		entry := logs.All()[0]
		if entry.Level != want {
			t.Errorf("level %d became %v, want %v", level, entry.Level, want)
		}
		if _, kept := entry.ContextMap()["php_level"]; kept != (level%4 != 0 || level < -4 || level > 8) {
			t.Errorf("level %d: php_level kept: %v", level, kept)
		}
	}
}

func TestLogContextThatIsNoObject(t *testing.T) {
	for _, context := range []string{`[1,2]`, `{"a":1`, `{"a":}`, `x`} {
		logger, logs := observed()
		w := recordWriter{record: bridge.LogRecord{Message: []byte("m"), ContextJSON: []byte(context)}}
		w.write(logger)
		if got := logs.All()[0].ContextMap(); len(got) != 1 || got["context"] != context {
			t.Errorf("%s became %v", context, got)
		}
	}
}

func TestLogTellsOfLostRecords(t *testing.T) {
	logger, logs := observed()
	w := recordWriter{record: bridge.LogRecord{Message: []byte("m"), Dropped: 7}}
	w.write(logger)
	if logs.Len() != 2 || logs.All()[0].ContextMap()["lost"] != uint64(7) {
		t.Errorf("got %v", logs.All())
	}
}

// TestSinkOutlivesReloads: records go to the newest logger, to the old one again when the new load fails, and all of them
// are written when finish returns.
func TestSinkOutlivesReloads(t *testing.T) {
	source := newFakeLog()
	s := newSink(source)
	oldLogger, oldLogs := observed()
	newLogger, newLogs := observed()
	first, second, third := newLoad(), newLoad(), newLoad()
	count := func(logs *observer.ObservedLogs, want int) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); logs.Len() < want && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if logs.Len() != want {
			t.Fatalf("%d records, want %d", logs.Len(), want)
		}
	}
	push := func() { source.push(bridge.LogRecord{Message: []byte("m"), Logger: []byte("php")}) }

	s.attach(first, oldLogger)
	s.start()
	push()
	count(oldLogs, 1)
	s.attach(second, newLogger)
	push()
	count(newLogs, 1)
	s.detach(second) // its start failed
	push()
	count(oldLogs, 2)
	s.attach(third, newLogger)
	s.detach(first)
	for range 1000 {
		push()
	}
	s.finish()
	if newLogs.Len() != 1001 {
		t.Errorf("%d records written at the end, want 1001", newLogs.Len())
	}
	s.start() // a second engine
	push()
	s.finish()
	if newLogs.Len() != 1002 {
		t.Errorf("%d records after a second engine, want 1002", newLogs.Len())
	}
}

func FuzzLogContext(f *testing.F) {
	f.Add([]byte(`{"a":1,"a":2,"b":{"c":[]}}`))
	f.Add([]byte(`{"a":1`))
	f.Fuzz(func(t *testing.T, context []byte) {
		logger, logs := observed()
		w := recordWriter{record: bridge.LogRecord{Message: []byte("m"), ContextJSON: context}}
		w.write(logger)
		entry := logs.All()[0]
		encoded, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(entry.Entry, entry.Context)
		if err != nil || !json.Valid(encoded.Bytes()) {
			t.Fatalf("%q became %q (%v)", context, encoded, err)
		}
	})
}
