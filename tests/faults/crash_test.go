package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// crashExtension is the PHP extension that crashes as it is told to (crash_extension/crash.c).
func crashExtension(t testing.TB) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(filepath.Dir(harness.Binary(t))), "tests", "faults", "crash.so")
	if dir := os.Getenv("IGOR_CRASH_EXTENSION"); dir != "" {
		path = dir
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v (the target crash_extension makes it; IGOR_CRASH_EXTENSION names another)", err)
	}
	return path
}

var crashFiles = harness.Files{
	"page.php": `<?php echo "page";`,
	"do.php":   "<?php\n\n$_GET['how']();\nfunction hang() { crash_hang_in_c(60); }\n",
	"app.php":  "<?php\n\nwhile (frankenphp_handle_request(function () {\n\t$_GET['how']();\n}));\n",
	"send.php": `<?php
		$task = frankenphp_worker_task_send('fragile', ['how' => $_GET['how']], 20);
		while ($update = frankenphp_worker_task_read($task)) echo $update['text'];`,
	"fragile.php": `<?php

		function inFiber() { $fiber = new Fiber('crash_stack'); $fiber->start(); }
		function inChild() {
			$pid = pcntl_fork();
			if ($pid === 0) crash_segv();
			pcntl_waitpid($pid, $status);
			return pcntl_wtermsig($status);
		}
		echo "a last word\n";
		$inbox = Igor\Worker::current();
		while ($task = $inbox->receive()) {
			error_log("doing {$task->payload['how']}");
			$task->update(['text' => 'signal ' . $task->payload['how']()]);
			$task->complete();
		}`,
}

func startFragile(t *testing.T, config harness.Config) *harness.Server {
	t.Helper()
	config.Global = "igor {\n php_ini extension " + crashExtension(t) + "\n}"
	config.Site = "php_server {\n name shop\n worker app.php 1\n worker {\n name fragile\n file fragile.php\n num 2\n background\n }\n}"
	config.Files = crashFiles
	return harness.Start(t, config)
}

// crashLines are the lines that tell of a crash.
func crashLines(s *harness.Server) []harness.Entry {
	var lines []harness.Entry
	for _, e := range s.Log.Entries() {
		if e.Level == "fatal" {
			lines = append(lines, e)
		}
	}
	return lines
}

// crash is what a test does to a server, and what the line has to say.
type crash struct {
	path   string // asked for, with the function's name after it
	how    string
	signal syscall.Signal
	fields map[string]string // "" for one that is not there, "*" for one that is, "?" for either
}

var (
	inPage   = map[string]string{"worker": "", "thread": "http-*", "script": "/do.php", "method": "GET", "url": "/do.php?how=*", "file": "/do.php", "line": "3", "task": ""}
	inApp    = map[string]string{"worker": "*/app.php", "thread": "*/app.php #0", "script": "/app.php", "method": "GET", "url": "/app.php?how=*", "file": "/app.php", "line": "4", "task": ""}
	inWorker = map[string]string{"worker": "fragile", "thread": "fragile #*", "script": "/fragile.php", "method": "", "url": "", "file": "/fragile.php", "line": "14", "task": "1"}
	pages    = map[string]map[string]string{"/do.php": inPage, "/app.php": inApp, "/send.php": inWorker}
)

var crashes = []crash{
	{"/send.php", "crash_segv", syscall.SIGSEGV, map[string]string{"function": "crash_segv", "address": "0x0", "library": "/crash.so+0x*", "cause": ""}},
	{"/send.php", "crash_bus", syscall.SIGBUS, map[string]string{"function": "crash_bus", "address": "0x*", "library": "/crash.so+0x*"}},
	{"/send.php", "crash_fpe", syscall.SIGFPE, map[string]string{"function": "crash_fpe", "address": "0x*", "library": "/crash.so+0x*"}},
	{"/send.php", "crash_ill", syscall.SIGILL, map[string]string{"function": "crash_ill", "address": "0x*", "library": "/crash.so+0x*"}},
	{"/send.php", "crash_abort", syscall.SIGABRT, map[string]string{"function": "crash_abort", "address": "", "library": ""}},
	{"/send.php", "crash_heap", syscall.SIGABRT, map[string]string{"function": "crash_heap"}},
	{"/send.php", "crash_zend_heap", syscall.SIGABRT, map[string]string{"function": "crash_zend_heap"}},
	{"/send.php", "crash_stack", syscall.SIGSEGV, map[string]string{"function": "crash_stack", "cause": "stack overflow", "address": "0x*"}},
	{"/send.php", "inFiber", syscall.SIGSEGV, map[string]string{"function": "crash_stack", "cause": "stack overflow", "file": "*", "line": "*"}},
	{"/send.php", "crash_thread", syscall.SIGSEGV, map[string]string{"worker": "", "thread": "php-fragile", "script": "", "task": "", "function": "", "file": "", "line": ""}},
	{"/send.php", "crash_twice", syscall.SIGSEGV, map[string]string{"worker": "?", "thread": "*", "script": "?", "task": "?", "function": "?", "file": "?", "line": "?"}}, // either thread's
	{"/send.php", "crash_engine", syscall.SIGSEGV, map[string]string{"function": "", "file": "", "line": ""}},
	{"/app.php", "crash_segv", syscall.SIGSEGV, map[string]string{"address": "0x0"}},
	{"/app.php", "crash_abort", syscall.SIGABRT, nil},
	{"/app.php", "crash_stack", syscall.SIGSEGV, map[string]string{"cause": "stack overflow"}},
	{"/do.php", "crash_segv", syscall.SIGSEGV, map[string]string{"address": "0x0"}},
	{"/do.php", "crash_ill", syscall.SIGILL, nil},
	{"/do.php", "crash_abort", syscall.SIGABRT, nil},
	{"/do.php", "crash_zend_heap", syscall.SIGABRT, nil},
	{"/do.php", "crash_stack", syscall.SIGSEGV, map[string]string{"cause": "stack overflow"}},
}

// check holds the line to what it must say.
func (c crash) check(t *testing.T, line harness.Entry) {
	t.Helper()
	want := map[string]string{"level": "fatal", "logger": "igor.engine", "msg": "native crash: the process ends", "pid": "*", "ts": "*"}
	for _, more := range []map[string]string{pages[c.path], {"function": c.how}, c.fields} {
		for name, value := range more {
			want[name] = value
		}
	}
	want["signal"] = "SIG" + map[syscall.Signal]string{
		syscall.SIGSEGV: "SEGV", syscall.SIGBUS: "BUS", syscall.SIGFPE: "FPE", syscall.SIGILL: "ILL", syscall.SIGABRT: "ABRT",
	}[c.signal]
	for name, value := range want {
		got := line.Field(name)
		begin, end, pattern := strings.Cut(value, "*")
		ok := got == value
		if pattern {
			ok = strings.HasPrefix(got, begin) && strings.HasSuffix(got, end) && got != ""
		}
		if strings.HasPrefix(value, "/") { // files lie in a folder of the test's, the extension in the build's
			begin = strings.TrimSuffix(begin, "?how=")
			ok = strings.Contains(got, begin)
		}
		if !ok && value != "?" {
			t.Errorf("the line says %s %q, want %q:\n%s", name, got, value, line.Raw)
		}
	}
	if !json.Valid([]byte(line.Raw)) {
		t.Errorf("the line is no JSON: %s", line.Raw)
	}
}

// at is when the line says that it happened.
func at(t *testing.T, line harness.Entry) time.Time {
	t.Helper()
	seconds, err := strconv.ParseFloat(fmt.Sprintf("%.6f", line.Fields["ts"]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

// A native crash ends the process by its signal and says in one line whose it was.
func TestNativeCrash(t *testing.T) {
	var mutex sync.Mutex
	fastest := time.Hour
	t.Run("ways", func(t *testing.T) {
		for _, c := range crashes {
			t.Run(strings.TrimSuffix(c.path[1:], ".php")+"_"+c.how, func(t *testing.T) {
				t.Parallel()
				s := startFragile(t, harness.Config{})
				if r, err := s.TryGet(c.path + "?how=" + c.how); err == nil {
					t.Fatalf("it answered %d %q; the log:\n%s", r.Status, r.Body, s.Log.Tail(30))
				}
				status, ended := s.AwaitCrash()
				lines := crashLines(s)
				if len(lines) != 1 {
					t.Fatalf("%d lines tell of the crash, want 1; the log:\n%s", len(lines), s.Log.Tail(60))
				}
				c.check(t, lines[0])
				if !status.Signaled() || status.Signal() != c.signal {
					t.Errorf("it ended with %v, %v (exit status %d), want %v", status.Signaled(), status.Signal(), status.ExitStatus(), c.signal)
				}
				mutex.Lock()
				fastest = min(fastest, ended.Sub(at(t, lines[0])))
				mutex.Unlock()
				if c.path == "/send.php" {
					wantInLog(t, s, "a last word")
					wantInLog(t, s, "doing "+c.how)
				}
				if c.how == "crash_zend_heap" {
					wantInLog(t, s, "zend_mm_heap corrupted")
				}
			})
		}
	})
	// Each is bounded by a timer; a machine that is busy may show only some of them in time.
	if fastest > time.Second {
		t.Errorf("the fastest of all crashes took %v until the process was gone, want at most 1 s", fastest)
	}
	t.Logf("the fastest of all crashes took %v until the process was gone", fastest)
}

func wantInLog(t *testing.T, s *harness.Server, text string) {
	t.Helper()
	for _, e := range s.Log.Entries() {
		if e.Message == text {
			return
		}
	}
	t.Errorf("the log has no %q:\n%s", text, s.Log.Tail(60))
}

// The kernel spares the first process of a PID namespace signals that would end another.
func TestNativeCrashOfAContainersFirstProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a PID namespace")
	}
	for _, c := range crashes {
		if c.how == "crash_segv" || c.how == "crash_abort" || c.how == "crash_ill" {
			t.Run(strings.TrimSuffix(c.path[1:], ".php")+"_"+c.how, func(t *testing.T) {
				t.Parallel()
				s := startFragile(t, harness.Config{Init: true})
				if r, err := s.TryGet(c.path + "?how=" + c.how); err == nil {
					t.Fatalf("it answered %d %q; the log:\n%s", r.Status, r.Body, s.Log.Tail(30))
				}
				status, _ := s.AwaitCrash()
				lines := crashLines(s)
				if len(lines) != 1 || lines[0].Field("pid") != "1" {
					t.Fatalf("%d lines tell of the crash, want 1 of PID 1; the log:\n%s", len(lines), s.Log.Tail(60))
				}
				c.check(t, lines[0])
				if signaled := status.Signaled() && status.Signal() == c.signal; !signaled && status.ExitStatus() != 128+int(c.signal) {
					t.Errorf("it ended with signal %v, exit status %d, want %v", status.Signal(), status.ExitStatus(), c.signal)
				}
			})
		}
	}
}

// With many requests and tasks under way, and a thread that no signal reaches.
func TestNativeCrashUnderLoad(t *testing.T) {
	t.Parallel()
	s := startFragile(t, harness.Config{})
	stuck := make(chan error, 1)
	go func() {
		_, err := s.TryGet("/do.php?how=hang")
		stuck <- err
	}()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				if r, err := s.TryGet("/page.php"); err != nil {
					return
				} else if r.Body != "page" {
					t.Errorf("a page answered %d %q", r.Status, r.Body)
				}
			}
		})
	}
	c := crash{path: "/send.php", how: "crash_segv", signal: syscall.SIGSEGV}
	_, _ = s.TryGet(c.path + "?how=" + c.how)
	status, _ := s.AwaitCrash()
	clients.Wait()
	<-stuck
	lines := crashLines(s)
	if len(lines) != 1 {
		t.Fatalf("%d lines tell of the crash, want 1; the log:\n%s", len(lines), s.Log.Tail(60))
	}
	c.check(t, lines[0])
	if status.Signal() != syscall.SIGSEGV {
		t.Errorf("it ended with %v", status.Signal())
	}
}

// A child that a script has forked crashes alone.
func TestNativeCrashOfAForkedChild(t *testing.T) {
	t.Parallel()
	s := startFragile(t, harness.Config{})
	s.Get("/send.php?how=inChild").MustBe(200, "signal 11")
	line := s.WaitLogFor("a crash", func(e harness.Entry) bool { return e.Level == "fatal" })
	if line.Field("pid") == fmt.Sprint(s.PID()) || line.Field("worker") != "fragile" || line.Field("signal") != "SIGSEGV" {
		t.Errorf("the line is %s", line.Raw)
	}
	s.Get("/page.php").MustBe(200, "page")
}

// An extension that crashes while PHP starts.
func TestNativeCrashAtTheStart(t *testing.T) {
	t.Parallel()
	_, err := harness.TryStart(t, harness.Config{
		Global: "igor {\n php_ini extension " + crashExtension(t) + "\n}",
		Env:    []string{"CRASH_AT_START=1"},
		Files:  crashFiles,
	})
	if err == nil {
		t.Fatal("it started")
	}
	for _, text := range []string{`"level":"fatal"`, `"signal":"SIGSEGV"`, `"thread":"php-main"`, "/crash.so+0x"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the log has no %s:\n%v", text, err)
		}
	}
}

// Somebody asks Go what it does, as one does with a server that hangs.
func TestSignalFromOutsideIsNoCrash(t *testing.T) {
	t.Parallel()
	s := startFragile(t, harness.Config{})
	s.Signal(syscall.SIGABRT)
	status, _ := s.AwaitCrash()
	if status.ExitStatus() != 2 {
		t.Errorf("SIGABRT from outside ended it with %v, %d, want Go's exit status 2", status.Signaled(), status.ExitStatus())
	}
	if lines := crashLines(s); len(lines) != 0 {
		t.Errorf("it was taken for a crash: %s", lines[0].Raw)
	}
	if !strings.Contains(s.Log.Tail(2000), "goroutine ") {
		t.Errorf("Go printed no goroutines:\n%s", s.Log.Tail(60))
	}
}
