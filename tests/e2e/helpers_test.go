package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What the harness has for every room, under the short names that these tests use.

func jsonOf[T any](t testing.TB, r harness.Response) T { t.Helper(); return harness.JSONOf[T](t, r) }

func parallel(n int, run func(i int)) { harness.Parallel(n, run) }

func backgroundWorker(name, file string, lines ...string) string {
	return harness.BackgroundWorker(name, file, lines...)
}

func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	harness.Eventually(t, what, try)
}

// awaitAnswer asks until a thread is free that is about to be: an answer comes before the end of its request, and where
// max_wait_time is short the next one need not wait so long.
func awaitAnswer(t testing.TB, s *harness.Server, path, body string) {
	t.Helper()
	eventually(t, path+" answers again", func() error {
		if r := s.Get(path); r.Status != http.StatusOK || r.Body != body {
			return fmt.Errorf("%d %q", r.Status, r.Body)
		}
		return nil
	})
}

func awaitFile(t testing.TB, path, content string) { t.Helper(); harness.AwaitFile(t, path, content) }

type gate struct{ path string }

func newGate(t testing.TB) *gate { t.Helper(); return &gate{harness.NewGate(t).Path} }

func (g *gate) awaitReader(t testing.TB) *os.File {
	t.Helper()
	return (&harness.Gate{Path: g.path}).AwaitReader(t)
}

func freePort(t testing.TB) string { t.Helper(); return harness.FreePort(t) }

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
