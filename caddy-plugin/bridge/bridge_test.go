package bridge

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// These tests look at what the border itself promises. What PHP does behind it is tested over HTTP.

// startPHP runs the engine for the time of a test.
func startPHP(t *testing.T) {
	t.Helper()
	if err := StartEngine(EngineOptions{INI: "memory_limit=64M\n"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := StopEngine(5 * time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestLibraryMatchesHeader(t *testing.T) {
	if err := CheckABI(); err != nil {
		t.Fatal(err)
	}
	if Version() == "" || !strings.HasPrefix(PHPVersion(), "8.") {
		t.Errorf("library %q with PHP %q", Version(), PHPVersion())
	}
}

func TestStaleHandlesAreGone(t *testing.T) {
	for _, handle := range []uint64{0, 1, 1 << 63, ^uint64(0)} {
		var event Event
		if err := Request(handle).Next(InputNone, nil, &event); !errors.Is(err, ErrGone) {
			t.Errorf("Next on request %#x: %v", handle, err)
		}
		Request(handle).Abort()
		Request(handle).Release()
		if err := Generation(handle).Close(); !errors.Is(err, ErrGone) {
			t.Errorf("Close on generation %#x: %v", handle, err)
		}
		if _, err := Generation(handle).OpenScope("x", false); !errors.Is(err, ErrGone) {
			t.Errorf("OpenScope on generation %#x: %v", handle, err)
		}
		if _, err := Scope(handle).AddPool(&PoolOptions{Name: "x", File: "/x.php", StopGrace: time.Second}); !errors.Is(err, ErrGone) {
			t.Errorf("AddPool on scope %#x: %v", handle, err)
		}
	}
}

func TestRequestsAreRefusedWithoutAnEngine(t *testing.T) {
	var d RequestData
	d.SetString(ScriptFilename, "/x.php")
	if _, err := d.Start(); !errors.Is(err, ErrState) {
		t.Errorf("Start() = %v", err)
	}
}

func TestEngineOptionsAreChecked(t *testing.T) {
	err := StartEngine(EngineOptions{SpareThreads: 4097})
	if err == nil || !strings.Contains(err.Error(), "4097; it must be from 0 to 4096") {
		t.Errorf("StartEngine() = %v", err)
	}
}

func TestTwoPoolsOfOneName(t *testing.T) {
	startPHP(t)
	g, err := OpenGeneration(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := g.Close(); !errors.Is(err, ErrGone) {
			t.Errorf("closed twice: %v", err)
		}
	}()
	s, err := g.OpenScope("test", false)
	if err != nil {
		t.Fatal(err)
	}
	pool := &PoolOptions{Name: "mail", File: "/x.php", StopGrace: time.Second, Env: AppendEnv(nil, "A", "b")}
	if _, err := s.AddPool(pool); err != nil {
		t.Fatal(err)
	}
	_, err = s.AddPool(pool)
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "mail") {
		t.Errorf("a second pool of the name: %v", err)
	}
}

// When the process ends while a reload's old workers still have their grace, two sides close: neither may find the
// other's threads in its way.
func TestTheEngineWaitsForAGenerationThatIsBeingClosed(t *testing.T) {
	startPHP(t)
	dir := t.TempDir()
	script, going := filepath.Join(dir, "s.php"), filepath.Join(dir, "going")
	code := `<?php
$signals = frankenphp_worker_get_signaling_stream();
while (fgets($signals) !== "stop\n");
touch($_SERVER["GOING"]);
while (file_exists($_SERVER["GOING"])) usleep(1000);
`
	if err := os.WriteFile(script, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	g, err := OpenGeneration(0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := g.OpenScope("test", false)
	if err != nil {
		t.Fatal(err)
	}
	pool := &PoolOptions{Name: "slow", File: script, Num: 1, StopGrace: time.Minute, Env: AppendEnv(nil, "GOING", going)}
	if _, err := s.AddPool(pool); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- g.Close() }()
	for {
		if _, err := os.Stat(going); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- StopEngine(5 * time.Second) }()
	// The engine has nothing else to wait for: it would be through before long.
	var early bool
	select {
	case err := <-stopped:
		t.Errorf("StopEngine() = %v while a worker had its grace", err)
		early = true
	case <-time.After(200 * time.Millisecond):
	}
	if err := os.Remove(going); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close() = %v", err)
	}
	if early {
		return
	}
	if err := <-stopped; err != nil {
		t.Errorf("StopEngine() = %v", err)
	}
}

func TestARequestFromStartToEnd(t *testing.T) {
	startPHP(t)
	if err := StartEngine(EngineOptions{}); !errors.Is(err, ErrState) {
		t.Errorf("a second engine: %v", err)
	}
	script := filepath.Join(t.TempDir(), "s.php")
	code := `<?php header("X-Length: " . strlen(file_get_contents("php://input"))); echo $_SERVER["K"], ini_get("memory_limit");`
	if err := os.WriteFile(script, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	var d RequestData
	d.SetString(ScriptFilename, script)
	d.SetString(Method, "POST")
	d.SetContentLength(5)
	d.SetToken(77)
	d.Begin(ServerVars)
	d.Pair("K", "V")
	d.End(ServerVars)
	request, err := d.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer request.Release()
	d.Reset() // the library has its own copy
	var event, last Event
	ran := make(chan error)
	go func() { ran <- request.Run(&last) }()
	attentions, err := OpenAttentions()
	if err != nil {
		t.Fatal(err)
	}
	defer attentions.Close()
	if token, err := attentions.Next(); token != 77 || err != nil {
		t.Fatalf("Attentions.Next() = %d, %v", token, err)
	}
	if err := request.Next(InputNone, nil, &event); err != nil || event.Kind != EventInput || event.InputWanted != 5 {
		t.Fatalf("%+v, %v", event, err)
	}
	if err := request.Next(InputEnd, []byte("12345"), &event); err != nil || event.Kind != EventFinished || event.Status != 200 || event.Flags&HasHeaders == 0 {
		t.Fatalf("%+v, %v", event, err)
	}
	if string(event.Body) != "V64M" || !strings.Contains(string(event.Headers), "X-Length\x01\x00\x00\x005") {
		t.Errorf("body %q, headers %q", event.Body, event.Headers)
	}
	if err := request.Next(InputNone, nil, &event); !errors.Is(err, ErrState) {
		t.Errorf("Next after the end: %v", err)
	}
	if err := <-ran; err != nil || last.Kind != EventNone {
		t.Errorf("Run() of a request that needed its caller: %+v, %v", last, err)
	}
}

func TestRunAlone(t *testing.T) {
	startPHP(t)
	script := filepath.Join(t.TempDir(), "s.php")
	if err := os.WriteFile(script, []byte(`<?php echo file_get_contents("php://input"), "!";`), 0o644); err != nil {
		t.Fatal(err)
	}
	var d RequestData
	d.SetString(ScriptFilename, script)
	d.SetString(Method, "POST")
	d.SetString(Body, "all of it")
	d.SetBodyWhole()
	d.SetContentLength(9)
	request, err := d.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer request.Release()
	var event Event
	if err := request.Run(&event); err != nil || event.Kind != EventFinished || event.Status != 200 || string(event.Body) != "all of it!" {
		t.Errorf("%+v, %v", event, err)
	}
	attentions, err := OpenAttentions()
	if err != nil {
		t.Fatal(err)
	}
	defer attentions.Close()
	CloseAttention()
	if token, err := attentions.Next(); !errors.Is(err, ErrGone) {
		t.Errorf("Attentions.Next() = %d, %v", token, err)
	}
}

func TestRequestDataKeepsFieldsApart(t *testing.T) {
	var d RequestData
	for range 2 {
		d.Reset()
		d.SetString(Query, "a=1")
		d.Begin(Env)
		d.Pair("K", "V")
		d.End(Env)
		d.SetString(Method, "GET")
		if q, m, c := string(d.Get(Query)), string(d.Get(Method)), string(d.Get(Cookie)); q != "a=1" || m != "GET" || c != "" {
			t.Errorf("query %q, method %q, cookie %q", q, m, c)
		}
		if n := len(d.Get(Env)); n != 10 {
			t.Errorf("env has %d bytes, want 10", n)
		}
	}
}

func TestMillisRoundsUp(t *testing.T) {
	for d, want := range map[time.Duration]uint32{
		-1: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1 << 62: 1<<32 - 1,
	} {
		if got := uint32(millis(d)); got != want {
			t.Errorf("millis(%v) = %d, want %d", d, got, want)
		}
	}
}

// The library watches for faults of native code, since before Go has started. Go's own stay what they are.
func TestNilPointerIsAPanic(t *testing.T) {
	defer func() {
		if err, ok := recover().(runtime.Error); !ok || !strings.Contains(err.Error(), "nil pointer") {
			t.Errorf("recovered %v", err)
		}
	}()
	var nowhere *int
	*nowhere = 1
}
