package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Response of a request whose body was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   string
	Took   time.Duration

	t    testing.TB
	what string
}

// MustBe fails the test unless status and body are these, and returns the response.
func (r Response) MustBe(status int, body string) Response {
	r.t.Helper()
	if r.Status != status || r.Body != body {
		r.t.Fatalf("%s answered %d %q, want %d %q", r.what, r.Status, r.Body, status, body)
	}
	return r
}

// MustContain fails the test unless the status is this and the body contains each of the texts.
func (r Response) MustContain(status int, texts ...string) Response {
	r.t.Helper()
	if r.Status != status {
		r.t.Fatalf("%s answered %d %q, want %d", r.what, r.Status, r.Body, status)
	}
	for _, text := range texts {
		if !strings.Contains(r.Body, text) {
			r.t.Fatalf("%s answered %q, which does not contain %q", r.what, r.Body, text)
		}
	}
	return r
}

// Get a path (with its query).
func (s *Server) Get(path string) Response {
	s.t.Helper()
	return s.Do(s.Request(http.MethodGet, path, nil))
}

// Post a body.
func (s *Server) Post(path, contentType, body string) Response {
	s.t.Helper()
	request := s.Request(http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	return s.Do(request)
}

// Upload a file as a browser's form does.
func (s *Server) Upload(path, field, filename, contentType string, content []byte) Response {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf("form-data; name=%q; filename=%q", field, filename)},
		"Content-Type":        {contentType},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	part.Write(content)
	form.Close()
	request := s.Request(http.MethodPost, path, &body)
	request.Header.Set("Content-Type", form.FormDataContentType())
	return s.Do(request)
}

// Request for this server, to be given to Do.
func (s *Server) Request(method, path string, body io.Reader) *http.Request {
	s.t.Helper()
	request, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return request
}

// Do sends a request and reads the whole answer; a broken one fails the test.
func (s *Server) Do(request *http.Request) Response {
	s.t.Helper()
	response, err := s.TryDo(request)
	if err != nil {
		s.t.Fatalf("%s: %v; the log:\n%s", response.what, err, s.Log.Tail(40))
	}
	return response
}

// TryDo is Do for goroutines (which must not end a test) and for answers that may break off.
func (s *Server) TryDo(request *http.Request) (Response, error) {
	result := Response{t: s.t, what: request.Method + " " + request.URL.RequestURI()}
	begin := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return result, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	result.Status, result.Header, result.Body, result.Took = response.StatusCode, response.Header, string(body), time.Since(begin)
	return result, err
}

// TryGet is Get for goroutines.
func (s *Server) TryGet(path string) (Response, error) {
	request, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
	if err != nil {
		return Response{}, err
	}
	return s.TryDo(request)
}

// Event is a server-sent event.
type Event struct {
	Name string
	Data string
	At   time.Duration // since the request
}

// Events reads server-sent events until the response ends. `each` may be nil; when it returns false the
// connection is closed, as by a visitor who leaves.
func (s *Server) Events(path string, each func(Event) bool) []Event {
	s.t.Helper()
	begin := time.Now()
	response, err := s.client.Do(s.Request(http.MethodGet, path, nil))
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || !strings.HasPrefix(kind, "text/event-stream") {
		body, _ := io.ReadAll(response.Body)
		s.t.Fatalf("GET %s answered %d, %q, %q, want an event stream; the log:\n%s", path, response.StatusCode, kind, body, s.Log.Tail(40))
	}
	var events []Event
	var event Event
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event.Name = value
		case "data":
			event.Data += value
		case "":
			event.At = time.Since(begin)
			events = append(events, event)
			if each != nil && !each(event) {
				return events
			}
			event = Event{}
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Fatalf("GET %s broke off after %d events: %v", path, len(events), err)
	}
	return events
}

// --- Admin ---------------------------------------------------------------------------------------------

// AdminDo calls Caddy's admin API over its Unix socket.
func (s *Server) AdminDo(method, path, contentType, body string) Response {
	s.t.Helper()
	request, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := s.admin.Do(request)
	// With each load Caddy puts a new admin endpoint in the place of the old one, whose connections that nobody has taken yet
	// end without an answer. What only asks may ask again.
	for limit := time.Now().Add(5 * time.Second); errors.Is(err, io.EOF) && method == http.MethodGet && time.Now().Before(limit); {
		response, err = s.admin.Do(request)
	}
	if err != nil {
		s.t.Fatalf("admin %s %s: %v; the log:\n%s", method, path, err, s.Log.Tail(40))
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return Response{Status: response.StatusCode, Header: response.Header, Body: string(data), t: s.t, what: "admin " + method + " " + path}
}

// Reload loads another configuration into the running server. Only Global, Site and Caddyfile are looked
// at; address, admin endpoint and root stay.
func (s *Server) Reload(config Config) Response {
	s.t.Helper()
	s.config.Global, s.config.Site, s.config.Caddyfile = config.Global, config.Site, config.Caddyfile
	response := s.AdminDo(http.MethodPost, "/load", "text/caddyfile", s.caddyfile(filepath.Dir(s.Admin)))
	if response.Status == http.StatusOK {
		s.awaitOneListener()
	}
	return response
}

// awaitOneListener waits until Caddy has closed the listener of the configuration before, which it does beside its answer:
// until then that one may take connections, to answer as of old or to reset them. Those that are open to it are let go of.
func (s *Server) awaitOneListener() {
	s.t.Helper()
	port, err := strconv.Atoi(s.URL[strings.LastIndexByte(s.URL, ':')+1:])
	if err != nil {
		s.t.Fatal(err)
	}
	local := fmt.Sprintf(":%04X", port)
	Eventually(s.t, "the end of the old listener", func() error {
		listeners := 0
		for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			data, err := os.ReadFile(table)
			if err != nil {
				continue // no IPv6
			}
			for line := range strings.Lines(string(data)) {
				// sl, local address, remote address, state; 0A is LISTEN
				if f := strings.Fields(line); len(f) > 3 && f[3] == "0A" && strings.HasSuffix(f[1], local) {
					listeners++
				}
			}
		}
		if listeners > 1 {
			return fmt.Errorf("%d listeners on port %d", listeners, port)
		}
		return nil
	})
	s.client.CloseIdleConnections()
}

// --- What the process holds ------------------------------------------------------------------------------

// Descriptors that the process has open, by what they are ("socket", "eventfd", a path).
func (s *Server) Descriptors() map[string]int {
	s.t.Helper()
	kinds := map[string]int{}
	folder := fmt.Sprintf("/proc/%d/fd", s.PID())
	names, err := os.ReadDir(folder)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(folder, name.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if kind, _, isAnonymous := strings.Cut(target, ":["); isAnonymous {
			target = kind
		}
		kinds[target]++
	}
	return kinds
}

// Threads of the process.
func (s *Server) Threads() int { return int(s.status("Threads")) }

// Memory of the process (resident), in kB.
func (s *Server) Memory() int64 { return s.status("VmRSS") }

func (s *Server) status(field string) int64 {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			number, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return number
		}
	}
	s.t.Fatalf("/proc/%d/status has no %s", s.PID(), field)
	return 0
}
