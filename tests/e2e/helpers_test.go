package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// jsonOf reads a response's body as JSON into a new T.
func jsonOf[T any](t testing.TB, r harness.Response) T {
	t.Helper()
	var value T
	if r.Status != 200 {
		t.Fatalf("answered %d %q, want 200 and JSON", r.Status, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), &value); err != nil {
		t.Fatalf("%v in %q", err, r.Body)
	}
	return value
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// insecureClient believes any certificate: Caddy's own authority is new in each test.
func insecureClient(t testing.TB) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// rawConn is a connection on which a test writes HTTP/1.1 by hand, for what Go's client would not do.
type rawConn struct {
	net.Conn
	*bufio.Reader
}

func dial(t testing.TB, s *harness.Server) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{conn, bufio.NewReader(conn)}
}

func (c *rawConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// send writes lines, each ended with CRLF.
func (c *rawConn) send(t testing.TB, lines ...string) {
	t.Helper()
	if _, err := c.Conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// statusOf sends one request line and returns the status of the answer.
func (c *rawConn) statusOf(t testing.TB, requestLine string) int {
	t.Helper()
	c.send(t, requestLine, "Host: localhost", "Connection: close", "")
	response, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		t.Fatalf("%s: %v", requestLine, err)
	}
	response.Body.Close()
	return response.StatusCode
}

// gate holds PHP scripts up until the test lets them go: a script reads the named pipe, which blocks
// until the test opens it. So a test knows what is under way without looking at a clock.
type gate struct{ path string }

func newGate(t testing.TB) *gate {
	t.Helper()
	dir, err := os.MkdirTemp("", "igor-gate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gate{filepath.Join(dir, "gate")}
	if err := syscall.Mkfifo(g.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// awaitReader opens the gate's writing end, which succeeds when a script has come to it.
func (g *gate) awaitReader(t testing.TB) *os.File {
	t.Helper()
	opened := make(chan *os.File, 1)
	go func() {
		file, err := os.OpenFile(g.path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
		}
		opened <- file
	}()
	select {
	case file := <-opened:
		return file
	case <-time.After(20 * time.Second):
		t.Fatal("no script came to the gate within 20 s")
		return nil
	}
}

// parallel runs the function n times at once and waits for all of them.
func parallel(n int, run func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			run(i)
		}()
	}
	all.Wait()
}

// backgroundWorker is a worker block of the Caddyfile.
func backgroundWorker(name, file string, lines ...string) string {
	return fmt.Sprintf("worker {\n name %s\n file %s\n background\n %s\n}\n", name, file, strings.Join(lines, "\n "))
}

// caddyfileHead begins a whole Caddyfile, for tests that need more than one site block; SITE is its address.
const caddyfileHead = `{
	admin {$IGOR_TEST_ADMIN}
	persist_config off
	auto_https off
	log {
		format json
	}
}
SITE {`

// eventually tries until it works, for what the server does at its own time and tells nobody of.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: not within 20 s: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// awaitFile waits until a script has written a file.
func awaitFile(t testing.TB, path, content string) {
	t.Helper()
	eventually(t, path, func() error {
		if data, err := os.ReadFile(path); err != nil || string(data) != content {
			return fmt.Errorf("it holds %q, want %q (%v)", data, content, err)
		}
		return nil
	})
}
