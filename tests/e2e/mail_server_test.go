package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer speaks SMTP and keeps what it is sent. It refuses nobody@, and hangs up when it is told to.
type mailServer struct {
	address string
	mails   chan mail

	mutex sync.Mutex
	open  map[net.Conn]bool
}

type mail struct {
	connection int
	to, text   string
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailServer{address: listener.Addr().String(), mails: make(chan mail, 100), open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		listener.Close()
		m.hangUp()
	})
	go func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			m.mutex.Lock()
			m.open[conn] = true
			m.mutex.Unlock()
			go m.serve(conn, number)
		}
	}()
	return m
}

func (m *mailServer) serve(conn net.Conn, number int) {
	defer conn.Close()
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.example.org")
	lines := bufio.NewReader(conn)
	to := ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case verb == "EHLO":
			say("250-mail.example.org")
			say("250 8BITMIME")
		case strings.HasPrefix(line, "RCPT TO:"):
			to = strings.Trim(strings.TrimPrefix(line, "RCPT TO:"), "<>")
			if strings.HasPrefix(to, "nobody@") {
				say("550 no such user")
			} else {
				say("250 ok")
			}
		case verb == "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				// A dot at a line's beginning was doubled by the sender.
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			m.mails <- mail{number, to, text.String()}
			say("250 ok")
		case strings.HasPrefix(line, "MAIL FROM:"), verb == "RSET", verb == "NOOP":
			say("250 ok")
		default:
			say("500 what?")
		}
	}
}

// hangUp closes all connections.
func (m *mailServer) hangUp() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for conn := range m.open {
		conn.Close()
		delete(m.open, conn)
	}
}

// next mail that came.
func (m *mailServer) next(t *testing.T) mail {
	t.Helper()
	select {
	case got := <-m.mails:
		return got
	case <-time.After(30 * time.Second):
		t.Fatal("no mail came within 30 s")
		return mail{}
	}
}
