// Package harness starts the built server (build/bin/igor) for end-to-end tests, talks to it, and proves
// at the end of each test that it went down cleanly.
//
//	s := harness.Start(t, harness.Config{
//		Files: harness.Files{"index.php": `<?php echo "hello";`},
//		Site:  `php_server`,
//	})
//	s.Get("/").MustBe(200, "hello")
//
// Every server has its own port, its own admin socket and its own folders, so tests run in parallel. A
// test that wants a server killed says so (Server.Kill); every other server gets SIGTERM when its test
// ends, and must then exit with status 0 within its time and without a crash in its log.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Files are a test's own scripts: path below the root, and content.
type Files map[string]string

// Config says what to serve. The zero value serves the e2e module's testdata folder with `php_server`.
type Config struct {
	// Global goes into the global options block: `igor { ... }`, for example.
	Global string
	// Site is the body of the site block after its `root`; empty: `php_server`.
	Site string
	// Root is the site's root; empty: a folder with Files, or testdata where there are none.
	Root string
	// Files are written to a new folder, which becomes the root.
	Files Files
	// Caddyfile replaces the whole generated file. `{$IGOR_TEST_ADDRESS}` and `{$IGOR_TEST_ADMIN}` in it
	// stand for the site's address and the admin endpoint that the harness chose, {$IGOR_TEST_PORT} for the
	// address's port.
	Caddyfile string
	// Dir is the server's working folder; empty: the root.
	Dir string
	// Env is added to the server's environment, as KEY=value.
	Env []string
	// Wrap is a command that executes the server in its own place: `unshare`, for one.
	Wrap []string
	// StopWithin bounds the shutdown at the end of the test; 0: 15 seconds.
	StopWithin time.Duration
	// Init makes the server the first process of a PID namespace, as in a container. Root only.
	Init bool
	// AllowInLog are texts of log lines that look like a crash but are what the test is about.
	AllowInLog []string
}

// Server is one running igor process.
type Server struct {
	URL   string // http://127.0.0.1:port
	Root  string
	Admin string // path of the admin endpoint's Unix socket
	Log   *Log

	t       testing.TB
	config  Config
	cmd     *exec.Cmd
	client  *http.Client
	admin   *http.Client
	exited  chan struct{} // closed once the process was waited for
	exitErr error         // valid after exited
	ended   time.Time     // likewise
	mutex   sync.Mutex
	killed  bool
	stopped bool
}

// Start starts a server, waits until it serves, and arranges for its end. It fails the test when the
// server does not come up.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	s, err := TryStart(t, config)
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return s
}

// StartSite is Start for the commonest case: a site block's body and some files.
func StartSite(t testing.TB, site string, files Files) *Server {
	t.Helper()
	return Start(t, Config{Site: site, Files: files})
}

// TryStart is Start for tests of a configuration that must not start: the error holds the log.
func TryStart(t testing.TB, config Config) (*Server, error) {
	t.Helper()
	binary := Binary(t)
	if config.Root == "" {
		if config.Files != nil {
			config.Root = WriteFiles(t, config.Files)
		} else {
			config.Root = Testdata()
		}
	}
	if config.Dir == "" {
		config.Dir = config.Root
	}
	if config.StopWithin == 0 {
		config.StopWithin = 15 * time.Second
	}
	home := shortTempDir(t)
	// A port that is free now may be taken a moment later by a connection; then another is tried.
	for attempt := 1; ; attempt++ {
		s, err := startOnce(t, binary, home, config)
		if err != nil && attempt < 5 && strings.Contains(err.Error(), "address already in use") {
			continue
		}
		return s, err
	}
}

func startOnce(t testing.TB, binary, home string, config Config) (*Server, error) {
	t.Helper()
	address := "127.0.0.1:" + FreePort(t)
	s := &Server{
		URL:    "http://" + address,
		Root:   config.Root,
		Admin:  filepath.Join(home, "admin.sock"),
		Log:    newLog(),
		t:      t,
		config: config,
		exited: make(chan struct{}),
	}
	s.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       2 * time.Minute,
	}
	s.admin = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", s.Admin)
			},
			// Each configuration has an admin server of its own; the one before closes what is kept open to it.
			DisableKeepAlives: true,
		},
		Timeout: time.Minute,
	}

	file := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(file, []byte(s.caddyfile(home)), 0o600); err != nil {
		return nil, err
	}
	command := append(slices.Clone(config.Wrap), binary, "run", "--config", file, "--adapter", "caddyfile")
	s.cmd = exec.Command(command[0], command[1:]...)
	s.cmd.Dir = config.Dir
	s.cmd.Env = append(os.Environ(),
		"HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home,
		"IGOR_TEST_ADDRESS="+s.URL, "IGOR_TEST_PORT="+address[strings.LastIndexByte(address, ':')+1:],
		"IGOR_TEST_ADMIN=unix/"+s.Admin, "GOTRACEBACK=all")
	s.cmd.Env = append(s.cmd.Env, config.Env...)
	output, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = input, input
	// The server must not outlive a test binary that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if config.Init {
		s.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	err = startOnLastingThread(s.cmd)
	input.Close()
	if err != nil {
		output.Close()
		return nil, err
	}
	drained := make(chan struct{})
	go func() {
		s.Log.read(output)
		output.Close()
		close(drained)
	}()
	go func() {
		s.exitErr = s.cmd.Wait()
		s.ended = time.Now()
		// The pipe's end comes when the last process that holds it is gone; a child that a script left
		// behind must not hide the exit.
		select {
		case <-drained:
		case <-time.After(2 * time.Second):
		}
		close(s.exited)
	}()

	if err := s.awaitServing(60 * time.Second); err != nil {
		s.Kill()
		return nil, err
	}
	t.Cleanup(func() { s.cleanup() })
	return s, nil
}

func (s *Server) caddyfile(home string) string {
	if s.config.Caddyfile != "" {
		return s.config.Caddyfile
	}
	site := s.config.Site
	if site == "" {
		site = "php_server"
	}
	return fmt.Sprintf(`{
	admin unix/%s
	persist_config off
	auto_https off
	storage file_system %s
	log {
		output stderr
		format json
		level DEBUG
	}
	%s
}
%s {
	root %q
	%s
}
`, s.Admin, home, indent(s.config.Global), s.URL, s.config.Root, indent(site))
}

// awaitServing returns when Caddy says that its first configuration serves, or the process has ended.
func (s *Server) awaitServing(limit time.Duration) error {
	serving := s.Log.notify(func(e Entry) bool { return e.Message == "serving initial configuration" })
	select {
	case <-serving:
		return nil
	case <-s.exited:
		return fmt.Errorf("igor ended (%v) before it served; its log:\n%s", s.exitErr, s.Log.Tail(60))
	case <-time.After(limit):
		s.signal(syscall.SIGQUIT)
		time.Sleep(time.Second) // for the goroutine dump to reach the log; the test has failed already
		return fmt.Errorf("igor did not serve within %s; its log:\n%s", limit, s.Log.Tail(200))
	}
}

// PID of the server process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Client is an HTTP client for this server: it follows no redirects and keeps connections.
func (s *Server) Client() *http.Client { return s.client }

func (s *Server) signal(signal syscall.Signal) { _ = s.cmd.Process.Signal(signal) }

// Signal sends a signal to the process.
func (s *Server) Signal(signal syscall.Signal) { s.signal(signal) }

// Kill ends the process at once, without asking for a clean end.
func (s *Server) Kill() {
	s.mutex.Lock()
	s.killed = true
	s.mutex.Unlock()
	s.signal(syscall.SIGKILL)
	<-s.exited
}

// AwaitCrash waits until the process has ended by itself, and says how and when. The end of the test then expects no other.
func (s *Server) AwaitCrash() (syscall.WaitStatus, time.Time) {
	s.t.Helper()
	s.mutex.Lock()
	s.killed = true
	s.mutex.Unlock()
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		s.signal(syscall.SIGKILL)
		<-s.exited
		s.t.Fatalf("the process did not end by itself within a minute; its log:\n%s", s.Log.Tail(60))
	}
	return s.cmd.ProcessState.Sys().(syscall.WaitStatus), s.ended
}

// Stop asks for a clean end and returns how long it took. It fails the test when the server does not
// end in time, ends with another status than 0, or crashes on the way.
func (s *Server) Stop() time.Duration {
	s.t.Helper()
	took, err := s.stop()
	if err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
	return took
}

func (s *Server) stop() (time.Duration, error) {
	s.mutex.Lock()
	if s.killed || s.stopped {
		s.mutex.Unlock()
		return 0, nil
	}
	s.stopped = true
	s.mutex.Unlock()
	s.client.CloseIdleConnections()
	s.admin.CloseIdleConnections()

	select {
	case <-s.exited:
		return 0, fmt.Errorf("the server had ended before it was asked to (%v); its log:\n%s", s.exitErr, s.Log.Tail(80))
	default:
	}
	begin := time.Now()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(s.config.StopWithin):
		dump := s.stacks()
		s.signal(syscall.SIGQUIT) // Go prints all goroutines
		select {
		case <-s.exited:
		case <-time.After(3 * time.Second):
			s.signal(syscall.SIGKILL)
			<-s.exited
		}
		return time.Since(begin), fmt.Errorf("not over after %s; threads:\n%s\nits log:\n%s",
			s.config.StopWithin, dump, s.Log.Tail(300))
	}
	took := s.ended.Sub(begin) // not until the last child that a script left behind has let go of the log
	var failure *exec.ExitError
	if errors.As(s.exitErr, &failure) {
		return took, fmt.Errorf("%v; its log:\n%s", s.exitErr, s.Log.Tail(120))
	}
	return took, s.Log.crash(s.config.AllowInLog)
}

// stacks of the process's native threads, where gdb is installed; a hang is then explained by the test.
func (s *Server) stacks() string {
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		return "(install gdb to see them)"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, gdb, "-p", fmt.Sprint(s.PID()), "-batch", "-ex", "thread apply all bt 25").CombinedOutput()
	return string(out)
}

func (s *Server) cleanup() {
	_, err := s.stop()
	if err != nil {
		s.t.Errorf("shutdown at the end of the test: %v", err)
		return
	}
	if s.t.Failed() {
		s.t.Logf("the server's log:\n%s", s.Log.Tail(120))
	}
}

// --- Surroundings ------------------------------------------------------------------------------------

// Binary is the server under test: $IGOR_BIN, or build/bin/igor of this checkout.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("IGOR_BIN")
	if path == "" {
		path = filepath.Join(Checkout(), "build", "bin", "igor")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("there is no server to test: %v (build it with ./dev build, or set IGOR_BIN)", err)
	}
	return path
}

// Checkout is the repository's root.
func Checkout() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Testdata is the folder of scripts that several tests share.
func Testdata() string { return filepath.Join(Checkout(), "tests", "e2e", "testdata") }

// WriteFiles writes files to a new folder, which goes with the test.
func WriteFiles(t testing.TB, files Files) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// shortTempDir is a folder whose path is short enough for a Unix socket in it (108 bytes), which
// t.TempDir with a long test name is not.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "igor-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// FreePort is a port that is the test's own until its end. That it is free now does not suffice: Caddy listens with
// SO_REUSEPORT, so that two servers which are given the same port both start, and answer each other's requests.
func FreePort(t testing.TB) string {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		// A name that other test binaries see, too, and that goes with the process.
		mark, err := net.Listen("unix", "@igor-test-port-"+port)
		listener.Close()
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mark.Close() })
		return port
	}
}

func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n\t")
}

// startOnLastingThread starts a command from a thread that lives as long as the test binary: the
// kernel sends Pdeathsig when the thread that started the child ends, not the process.
func startOnLastingThread(cmd *exec.Cmd) error {
	starterOnce.Do(func() {
		starter = make(chan func())
		go func() {
			runtime.LockOSThread()
			for work := range starter {
				work()
			}
		}()
	})
	result := make(chan error, 1)
	starter <- func() { result <- cmd.Start() }
	return <-result
}

var (
	starter     chan func()
	starterOnce sync.Once
)

// Run runs the server's binary with other arguments (`validate`, `php-cli`, ...) to its end.
func Run(t testing.TB, dir string, args ...string) (output string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(t), args...)
	cmd.Dir = dir
	home := shortTempDir(t)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	var buffer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buffer, &buffer
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("igor %s did not end within a minute:\n%s", strings.Join(args, " "), buffer.String())
	}
	var failure *exec.ExitError
	switch {
	case err == nil:
		return buffer.String(), 0
	case errors.As(err, &failure):
		return buffer.String(), failure.ExitCode()
	}
	t.Fatalf("igor %s: %v", strings.Join(args, " "), err)
	return "", 0
}
