package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What a hostile client can do. The server's bounds are in docs/architecture/threat-model.md, with these tests.

// bothWays are the paths under which bothFiles answer: a script per request, and an HTTP worker.
var bothWays = []string{"/classic.php", "/worker.php"}

// bothSite is a site with one thread for each of them; lines go into its php_server.
func bothSite(lines ...string) string {
	return "php_server {\n worker worker.php 1\n " + strings.Join(lines, "\n ") + "\n}"
}

const bothThreads = "igor {\n num_threads 2\n}"

// bothFiles answer with the same code, the body of a function, in both ways.
func bothFiles(body string) harness.Files {
	return harness.Files{
		"app.php":     "<?php\nfunction answer(): void {\n" + body + "\n}",
		"classic.php": `<?php require __DIR__ . '/app.php'; answer();`,
		"worker.php":  `<?php require __DIR__ . '/app.php'; while (frankenphp_handle_request(answer(...))) {}`,
	}
}

// host is the server's address as in a Host header.
func host(s *harness.Server) string { return strings.TrimPrefix(s.URL, "http://") }

// answer is what came back on a connection.
type answer struct {
	status int
	header http.Header
	body   string
}

// await reads an answer; the test's patience is that of dial.
func (c *rawConn) await(t testing.TB) answer {
	t.Helper()
	response, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("half an answer, %d %q: %v", response.StatusCode, body, err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// exchangeRaw sends bytes as they are and gives all that comes back until the server hangs up, as it is asked to by the
// request ("Connection: close") or does by itself.
func exchangeRaw(t testing.TB, s *harness.Server, request []byte) []byte {
	t.Helper()
	return talk(t, dial(t, s), request, false)
}

// talk is exchangeRaw; leaving says that nothing follows, as for a server that waits for more.
func talk(t testing.TB, conn *rawConn, request []byte, leaving bool) []byte {
	t.Helper()
	defer conn.Conn.Close()
	_, _ = conn.Conn.Write(request) // the server may have hung up in the middle
	if leaving {
		_ = conn.Conn.(*net.TCPConn).CloseWrite()
	}
	got, err := io.ReadAll(conn.Reader)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatalf("the server kept the connection open after %.200q", request)
	}
	return got
}

// answersOf reads the answers in what came back.
func answersOf(t testing.TB, got []byte) (all []answer) {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(got))
	for {
		if _, err := reader.Peek(1); err != nil {
			return all
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%v in %.300q", err, got)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatalf("%v in %.300q", err, got)
		}
		all = append(all, answer{response.StatusCode, response.Header, string(body)})
	}
}

// dialNarrow connects as a client through whose window next to nothing passes, so that a server's buffers do not hide that
// it reads nothing.
func dialNarrow(t testing.TB, s *harness.Server) *rawConn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			if failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536); failed == nil {
				failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048)
			}
		})
		if err == nil {
			err = failed
		}
		return err
	}}
	conn, err := dialer.Dial("tcp", host(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{conn, bufio.NewReader(conn)}
}

// alive fails the test unless both ways still answer.
func alive(t testing.TB, s *harness.Server) {
	t.Helper()
	for _, path := range bothWays {
		if r := s.Get(path); r.Status != 200 {
			t.Fatalf("afterwards, %s answers %d %q", path, r.Status, r.Body)
		}
	}
}

func join(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// repeat makes n lines.
func repeat(n int, line func(i int) string) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprint(&all, line(i))
	}
	return all.String()
}
