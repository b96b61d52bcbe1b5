package igor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/igor-php/igor/caddy-plugin/bridge"
	"github.com/igor-php/igor/caddy-plugin/internal/packed"
)

// request makes a request as Caddy gives it to handlers.
func request(method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, target, body)
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	original, originalURL := *r, *r.URL
	original.URL = &originalURL
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, original)
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8080}))
	return r.WithContext(ctx)
}

func TestSplitScriptPath(t *testing.T) {
	type result struct{ name, info, file string }
	for path, want := range map[string]result{
		"/index.php":                 {"/index.php", "", "/srv/index.php"},
		"/a/b.php/c/d":               {"/a/b.php", "/c/d", "/srv/a/b.php"},
		"/a.PHP/x":                   {"/a.PHP", "/x", "/srv/a.PHP"},
		"/a.php/":                    {"/a.php", "/", "/srv/a.php"},
		"/a.phpx/b.php":              {"/a.phpx/b.php", "", "/srv/a.phpx/b.php"},
		"/a.php.txt":                 {"/a.php.txt", "", "/srv/a.php.txt"},
		"/../../etc/passwd.php":      {"/etc/passwd.php", "", "/srv/etc/passwd.php"},
		"/admin.php/../../other.php": {"/other.php", "", "/srv/other.php"},
		"/a/./b//c.php":              {"/a/b/c.php", "", "/srv/a/b/c.php"},
		"/%2e%2e/%2e%2e/x.php":       {"/x.php", "", "/srv/x.php"},
		"/x.php/%2e%2e/y.php":        {"/y.php", "", "/srv/y.php"},
		"/x.php/..":                  {"/", "", "/srv/"},
		"":                           {"/", "", "/srv/"},
		"..":                         {"/", "", "/srv/"},
		"../x.php":                   {"/x.php", "", "/srv/x.php"},
		"*":                          {"/*", "", "/srv/*"},
		"/":                          {"/", "", "/srv/"},
		"/a b+c.php":                 {"/a b+c.php", "", "/srv/a b+c.php"},
		"/file.ｐｈｐ":                  {"/file.ｐｈｐ", "", "/srv/file.ｐｈｐ"},
		"/\u017fcript.php/\xff":      {"/\u017fcript.php", "/\xff", "/srv/\u017fcript.php"},
		"/uploads/evil.jpg/x.php":    {"/uploads/evil.jpg/x.php", "", "/srv/uploads/evil.jpg/x.php"},
	} {
		r := request("GET", "/", nil)
		r.URL.Path = path
		if decoded, err := url.PathUnescape(path); err == nil && decoded != path {
			r.URL.Path = decoded
		}
		got, err := splitScriptPath(r, "/srv", []string{".php"})
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if (result{got.name, got.pathInfo, got.filename}) != want {
			t.Errorf("%q became %+v, want %+v", path, got, want)
		}
	}
}

func TestSplitScriptPathRefuses(t *testing.T) {
	for name, u := range map[string]*url.URL{
		"NUL":                       {Path: "/a.php\x00.txt"},
		"an escaped slash":          {Path: "/admin.php/../other.php", RawPath: "/admin.php%2f..%2fother.php"},
		"an escaped slash and dots": {Path: "/admin.php/../../other.php", RawPath: "/admin.php/%2e%2e%2f../other.php"},
	} {
		r := request("GET", "/", nil)
		r.URL = u
		_, err := splitScriptPath(r, "/srv", []string{".php"})
		var handlerErr caddyhttp.HandlerError
		if !errors.As(err, &handlerErr) || handlerErr.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSplitScriptPath: no path leads out of the root, and the script's name always ends as a script's does when there is
// path info behind it.
func FuzzSplitScriptPath(f *testing.F) {
	for _, seed := range []string{"/a.php/b", "/..%2f..%2fx.php", "/a/../../b.php", "\\..\\x.php", "//x.php//y.php", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := request("GET", "/", nil)
		r.URL = &url.URL{Path: path}
		p, err := splitScriptPath(r, "/srv/root", []string{".php"})
		if err != nil {
			return
		}
		clean := filepath.Clean(p.filename)
		if clean != "/srv/root" && !strings.HasPrefix(clean, "/srv/root/") {
			t.Fatalf("%q leads to %q", path, p.filename)
		}
		if p.pathInfo != "" && !strings.EqualFold(p.name[len(p.name)-4:], ".php") {
			t.Fatalf("%q: path info %q behind %q", path, p.pathInfo, p.name)
		}
		if strings.ContainsRune(p.filename, 0) {
			t.Fatalf("%q: a NUL in %q", path, p.filename)
		}
	})
}

func pairsOf(t *testing.T, buf []byte) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for r := packed.NewReader(buf); ; {
		k, v, ok := r.Next()
		if !ok {
			return m
		}
		m[string(k)] = string(v)
	}
}

func TestServerVariables(t *testing.T) {
	r := request("POST", "https://user@example.com:8443/app/index.php/a/b?x=1&y=%20", strings.NewReader("12345"))
	r.RemoteAddr = "[fe80::1%eth0]:4711"
	r.Header = http.Header{
		"Content-Type": {"text/plain"}, "Content-Length": {"5"}, "Cookie": {"a=1", "b=2"}, "Accept": {"x", "y"},
		"Proxy": {"evil"}, "X_Real_Ip": {"spoof"}, "X.Real.Ip": {"spoof"}, "X-Real-Ip": {"good"}, "Host": {"evil"},
		"Authorization": {"Basic dXNlcjpwdw=="}, "App-Env": {"spoof"},
	}
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.auth.user.id", "user")
	r.URL.Path, r.URL.RawQuery = "/app/index.php/a/b", "x=1&rewritten=1"

	script, err := splitScriptPath(r, "/srv/root", []string{".php"})
	if err != nil {
		t.Fatal(err)
	}
	var d bridge.RequestData
	fillRequest(&d, r, &requestTarget{
		root: "/srv/root", script: script,
		env: bridge.AppendEnv(nil, "HTTP_APP_ENV", "prod"), dynamicEnv: []envPair{{"DYNAMIC", "d"}},
	})
	want := map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": serverSoftware,
		"DOCUMENT_ROOT": "/srv/root", "SCRIPT_FILENAME": "/srv/root/app/index.php", "SCRIPT_NAME": "/app/index.php",
		"DOCUMENT_URI": "/app/index.php", "PHP_SELF": "/app/index.php/a/b", "PATH_INFO": "/a/b",
		"PATH_TRANSLATED": "/srv/root/a/b", "REQUEST_METHOD": "POST", "REQUEST_URI": "/app/index.php/a/b?x=1&y=%20",
		"QUERY_STRING": "x=1&rewritten=1", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "5",
		"REMOTE_ADDR": "fe80::1", "REMOTE_HOST": "fe80::1", "REMOTE_PORT": "4711", "SERVER_NAME": "example.com",
		"SERVER_PORT": "8443", "HTTP_HOST": "example.com:8443", "REQUEST_SCHEME": "https", "SERVER_ADDR": "10.0.0.1",
		"HTTPS": "on", "SSL_PROTOCOL": "TLSv1.3", "SSL_CIPHER": "TLS_AES_128_GCM_SHA256", "AUTH_TYPE": "Basic",
		"REMOTE_USER": "user", "REMOTE_IDENT": "", "HTTP_CONTENT_TYPE": "text/plain", "HTTP_CONTENT_LENGTH": "5",
		"HTTP_COOKIE": "a=1; b=2", "HTTP_ACCEPT": "x, y", "HTTP_X_REAL_IP": "good", "HTTP_AUTHORIZATION": "Basic dXNlcjpwdw==",
		"HTTP_APP_ENV": "prod", "DYNAMIC": "d",
	}
	got := pairsOf(t, d.Get(bridge.ServerVars))
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if w, ok := want[key]; !ok || w != got[key] {
			t.Errorf("%s = %q, want %q (known: %v)", key, got[key], w, ok)
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
	for field, want := range map[bridge.Field]string{
		bridge.ScriptFilename: "/srv/root/app/index.php", bridge.Method: "POST", bridge.Query: "x=1&rewritten=1",
		bridge.RequestURI: "/app/index.php/a/b?x=1&y=%20", bridge.ContentType: "text/plain", bridge.Cookie: "a=1; b=2",
		bridge.Authorization: "Basic dXNlcjpwdw==",
	} {
		if got := string(d.Get(field)); got != want {
			t.Errorf("field %d = %q, want %q", field, got, want)
		}
	}
	if got := pairsOf(t, d.Get(bridge.Env)); got["HTTP_APP_ENV"] != "prod" || got["DYNAMIC"] != "d" || len(got) != 2 {
		t.Errorf("env = %v", got)
	}
	headers := pairsOf(t, d.Get(bridge.RequestHeaders))
	if headers["Host"] != "example.com:8443" || headers["Proxy"] != "" || headers["Cookie"] != "a=1; b=2" {
		t.Errorf("headers = %v", headers)
	}
}

func TestServerVariablesOfASmallRequest(t *testing.T) {
	r := request("GET", "http://[::1]/", nil)
	r.RemoteAddr = "@" // a Unix socket
	var d bridge.RequestData
	script, _ := splitScriptPath(r, "/srv", []string{".php"})
	fillRequest(&d, r, &requestTarget{root: "/srv", script: script})
	got := pairsOf(t, d.Get(bridge.ServerVars))
	for key, want := range map[string]string{
		"SERVER_NAME": "::1", "SERVER_PORT": "80", "REMOTE_ADDR": "@", "REMOTE_PORT": "", "CONTENT_LENGTH": "", "PATH_INFO": "",
		"AUTH_TYPE": "", "REMOTE_USER": "", "REQUEST_SCHEME": "http",
	} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
	for _, key := range []string{"HTTPS", "PATH_TRANSLATED", "SSL_PROTOCOL"} {
		if v, ok := got[key]; ok {
			t.Errorf("%s is set to %q", key, v)
		}
	}
}

func BenchmarkFillRequest(b *testing.B) {
	r := request("GET", "http://localhost:8080/index.php?x=1", nil)
	r.Header = http.Header{"User-Agent": {"curl/8"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Cookie": {"session=1234567890"}}
	script, _ := splitScriptPath(r, "/srv", []string{".php"})
	var d bridge.RequestData
	target := &requestTarget{root: "/srv", script: script}
	b.ReportAllocs()
	for b.Loop() {
		fillRequest(&d, r, target)
	}
}

// step is one event of a scripted conversation, and what must have come with the call that brings it.
type step struct {
	wantKind  bridge.InputKind
	wantInput string
	event     bridge.Event
	err       error
}

// script is an exchange that follows a plan.
type script struct {
	t       *testing.T
	steps   []step
	aborted int
	onNext  func(n int)
	n       int
}

func (s *script) Abort() { s.aborted++ }

func (s *script) Next(kind bridge.InputKind, input []byte, event *bridge.Event) error {
	s.t.Helper()
	if s.n >= len(s.steps) {
		s.t.Fatalf("call %d of Next, after the end", s.n+1)
	}
	if s.onNext != nil {
		s.onNext(s.n)
	}
	st := s.steps[s.n]
	s.n++
	if kind != st.wantKind || string(input) != st.wantInput {
		s.t.Errorf("call %d of Next brought %d %.40q, want %d %.40q", s.n, kind, input, st.wantKind, st.wantInput)
	}
	*event = st.event
	return st.err
}

func headers(pairs ...string) (buf []byte) {
	for i := 0; i < len(pairs); i += 2 {
		buf = packed.AppendPair(buf, pairs[i], pairs[i+1])
	}
	return buf
}

func play(t *testing.T, w http.ResponseWriter, r *http.Request, steps ...step) (*script, error) {
	t.Helper()
	s := &script{t: t, steps: steps}
	err := serveExchange(w, r, s, new(requestBuffers), false)
	if s.n != len(steps) {
		t.Errorf("stopped after %d of %d events (%v)", s.n, len(steps), err)
	}
	return s, err
}

func TestExchangeInOneEvent(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Server", "Caddy")
	w.Header().Set("Vary", "Accept-Encoding")
	s, err := play(t, w, request("GET", "/", nil), step{event: bridge.Event{
		Kind: bridge.EventFinished, Flags: bridge.HasHeaders, Status: 201, Body: []byte("hello"),
		Headers: headers("Content-type", "text/html; charset=UTF-8", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "server", "mine",
			"Vary", "Cookie", "x-odd", "z", "X-Control", "a\vb"),
	}})
	if err != nil || s.aborted != 0 {
		t.Fatal(err, s.aborted)
	}
	want := http.Header{"Content-Type": {"text/html; charset=UTF-8"}, "Set-Cookie": {"a=1", "b=2"}, "Server": {"mine"},
		"Vary": {"Accept-Encoding", "Cookie"}, "X-Odd": {"z"}}
	if !maps.EqualFunc(w.Header(), want, slices.Equal) {
		t.Errorf("headers %v, want %v", w.Header(), want)
	}
	if w.Code != 201 || w.Body.String() != "hello" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}

func TestExchangeStreamsInput(t *testing.T) {
	w := httptest.NewRecorder()
	r := request("POST", "/", io.MultiReader(strings.NewReader("one"), strings.NewReader("two")))
	_, err := play(t, w, r,
		step{event: bridge.Event{Kind: bridge.EventInput, InputWanted: 8192}},
		step{wantKind: bridge.InputData, wantInput: "one", event: bridge.Event{Kind: bridge.EventInput, InputWanted: 2}},
		step{wantKind: bridge.InputData, wantInput: "tw", event: bridge.Event{Kind: bridge.EventInput}},
		step{wantKind: bridge.InputData, wantInput: "o", event: bridge.Event{Kind: bridge.EventInput, InputWanted: 1}},
		step{wantKind: bridge.InputEnd, event: bridge.Event{Kind: bridge.EventInput, InputWanted: 1}},
		step{wantKind: bridge.InputEnd, event: bridge.Event{Kind: bridge.EventFinished, Flags: bridge.HasHeaders, Status: 200}},
	)
	if err != nil {
		t.Fatal(err)
	}
}

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }

func TestExchangeTellsOfABrokenBody(t *testing.T) {
	finished := bridge.Event{Kind: bridge.EventFinished, Flags: bridge.HasHeaders, Status: 200, Body: []byte("x")}
	w := httptest.NewRecorder()
	_, err := play(t, w, request("POST", "/", brokenBody{io.ErrUnexpectedEOF}),
		step{event: bridge.Event{Kind: bridge.EventInput}}, step{wantKind: bridge.InputError, event: finished})
	var handlerErr caddyhttp.HandlerError
	if !errors.As(err, &handlerErr) || handlerErr.StatusCode != http.StatusBadRequest || w.Body.Len() > 0 {
		t.Errorf("a body that was cut: %v, %q", err, w.Body)
	}
	tooLarge := caddyhttp.Error(http.StatusRequestEntityTooLarge, errors.New("too large"))
	w = httptest.NewRecorder()
	_, err = play(t, w, request("POST", "/", brokenBody{tooLarge}),
		step{event: bridge.Event{Kind: bridge.EventInput}}, step{wantKind: bridge.InputError, event: finished})
	handlerErr = caddyhttp.HandlerError{}
	if !errors.As(err, &handlerErr) || handlerErr.StatusCode != http.StatusRequestEntityTooLarge || w.Body.Len() > 0 {
		t.Errorf("a body over its limit: %v, %q", err, w.Body)
	}
	_, err = play(t, httptest.NewRecorder(), request("POST", "/", brokenBody{http.ErrBodyReadAfterClose}),
		step{event: bridge.Event{Kind: bridge.EventInput}}, step{wantKind: bridge.InputEnd, event: finished})
	if err != nil {
		t.Error(err)
	}
}

func TestExchangeFlushesAndSendsEarlyHints(t *testing.T) {
	w := &flushRecorder{ResponseRecorder: httptest.NewRecorder()}
	_, err := play(t, w, request("GET", "/", nil),
		step{event: bridge.Event{Kind: bridge.EventOutput, Flags: bridge.Informational | bridge.Flush, Status: 103, Headers: headers("Link", "</a.css>")}},
		step{event: bridge.Event{Kind: bridge.EventOutput, Flags: bridge.HasHeaders | bridge.Flush, Status: 200, Headers: headers("Content-Type", "text/event-stream"), Body: []byte("data: 1\n\n")}},
		step{event: bridge.Event{Kind: bridge.EventOutput, Body: []byte("data: 2\n\n")}},
		step{event: bridge.Event{Kind: bridge.EventFinished, Body: []byte("end")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.statuses, []int{103, 200}) || w.flushes != 1 || w.Body.String() != "data: 1\n\ndata: 2\n\nend" {
		t.Errorf("statuses %v, %d flushes, body %q", w.statuses, w.flushes, w.Body)
	}
	if w.links[0] != "</a.css>" || w.Header().Get("Link") != "" {
		t.Errorf("the link went out with %v and stayed in %v", w.links, w.Header())
	}
}

// flushRecorder counts flushes and keeps every status.
type flushRecorder struct {
	*httptest.ResponseRecorder
	statuses []int
	links    []string
	flushes  int
}

func (w *flushRecorder) WriteHeader(status int) {
	w.statuses = append(w.statuses, status)
	w.links = append(w.links, w.Header().Get("Link"))
	if status >= 200 {
		w.ResponseRecorder.WriteHeader(status)
	}
}
func (w *flushRecorder) Flush() { w.flushes++ }

func TestExchangeRefusals(t *testing.T) {
	refused := bridge.Event{Kind: bridge.EventFinished, Flags: bridge.Refused}
	broken := refused
	broken.Body = []byte("the worker is shutting down")
	for name, one := range map[string]struct {
		step step
		why  string
	}{
		"no thread in time": {step{event: refused}, errOverloaded.Error()},
		"no worker runs":    {step{event: broken}, "the worker is shutting down"},
		"engine stopping":   {step{err: bridge.ErrState}, bridge.ErrState.Error()},
		"handle gone":       {step{err: bridge.ErrGone}, bridge.ErrGone.Error()},
	} {
		w := httptest.NewRecorder()
		_, err := play(t, w, request("GET", "/", nil), one.step)
		var handlerErr caddyhttp.HandlerError
		if !errors.As(err, &handlerErr) || handlerErr.StatusCode != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %v %v", name, err, w.Header())
		} else if handlerErr.Err.Error() != one.why {
			t.Errorf("%s: the error says %q, want %q", name, handlerErr.Err, one.why)
		}
		if w.Body.Len() != 0 {
			t.Errorf("%s: the client was told %q", name, w.Body)
		}
	}
	for _, status := range []int{99, 101, 1000} {
		_, err := play(t, httptest.NewRecorder(), request("GET", "/", nil),
			step{event: bridge.Event{Kind: bridge.EventFinished, Flags: bridge.HasHeaders, Status: status}})
		if err == nil {
			t.Errorf("status %d was sent", status)
		}
	}
}

func TestExchangeCutsAnAnswerWhoseRestIsLost(t *testing.T) {
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("recovered %v, want the connection to be cut", got)
		}
	}()
	_, err := play(t, httptest.NewRecorder(), request("GET", "/", nil),
		step{event: bridge.Event{Kind: bridge.EventOutput, Flags: bridge.HasHeaders, Status: 200, Body: []byte("a part")}},
		step{event: bridge.Event{Kind: bridge.EventFinished, Flags: bridge.Refused}},
	)
	t.Errorf("returned with %v", err)
}

// goneWriter fails as a connection does whose client left.
type goneWriter struct{ *httptest.ResponseRecorder }

func (goneWriter) Write([]byte) (int, error) { return 0, net.ErrClosed }

func TestExchangeGoesOnWhenTheClientIsGone(t *testing.T) {
	s, err := play(t, goneWriter{httptest.NewRecorder()}, request("GET", "/", nil),
		step{event: bridge.Event{Kind: bridge.EventOutput, Flags: bridge.HasHeaders, Status: 200, Body: []byte("x")}},
		step{event: bridge.Event{Kind: bridge.EventOutput, Body: []byte("y")}},
		step{event: bridge.Event{Kind: bridge.EventFinished}},
	)
	if err != nil || s.aborted != 1 {
		t.Errorf("%v, aborted %d times", err, s.aborted)
	}
}

func TestExchangeAbortsWithTheContext(t *testing.T) {
	r := request("GET", "/", nil)
	ctx, cancel := context.WithCancel(r.Context())
	aborted := make(chan struct{})
	x := &blockingExchange{aborted: aborted}
	go cancel()
	if err := serveExchange(httptest.NewRecorder(), r.WithContext(ctx), x, new(requestBuffers), false); err != nil {
		t.Error(err)
	}
}

// blockingExchange is a script that runs until its client is gone.
type blockingExchange struct{ aborted chan struct{} }

func (x *blockingExchange) Abort() { close(x.aborted) }
func (x *blockingExchange) Next(_ bridge.InputKind, _ []byte, event *bridge.Event) error {
	<-x.aborted
	*event = bridge.Event{Kind: bridge.EventFinished}
	return nil
}

func mustSymlink(t *testing.T, old, link string) {
	t.Helper()
	if err := os.Symlink(old, link); err != nil {
		t.Fatal(err)
	}
}

func TestDocumentRoots(t *testing.T) {
	dir := site(t, map[string]string{"release-1/x.php": ""})
	mustSymlink(t, "release-1", "current")
	for _, c := range []struct {
		root    string
		resolve bool
		want    string
	}{
		{filepath.Join(dir, "current"), true, filepath.Join(dir, "release-1")},
		{filepath.Join(dir, "current"), false, filepath.Join(dir, "current")},
		{"", true, "/from/vars"},
		{"{http.vars.other}/x", true, "/other/x"},
	} {
		root, err := newDocumentRoot(c.root, c.resolve)
		if err != nil {
			t.Fatal(err)
		}
		repl := caddy.NewReplacer()
		repl.Set("http.vars.root", "/from/vars")
		repl.Set("http.vars.other", "/other")
		if got, err := root.of(repl); err != nil || got != c.want {
			t.Errorf("%q: %q, %v; want %q", c.root, got, err, c.want)
		}
	}
	if _, err := newDocumentRoot("nowhere", true); err == nil || !strings.Contains(err.Error(), "create the directory") {
		t.Errorf("a root that is not there: %v", err)
	}
}

func TestPHPServerCommand(t *testing.T) {
	site(t, map[string]string{"public/index.php": "", "public/a,b.php": "", "src/x.php": ""})
	text, err := phpServerCaddyfile(phpServerFlags{
		domain: "example.com", root: "public", listen: "127.0.0.1:8443", accessLog: true, debug: true, compress: true,
		workers: []string{"public/index.php,3", "public/a,b.php,50%"}, watch: []string{defaultWatchPattern, "src/**/*.{php,twig}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := adapt(t, text)
	if err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	for _, want := range []string{"https://example.com:8443 {", "bind 127.0.0.1", "root * `public`", "\tlog\n", "encode zstd gzip", "debug"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	var adapted struct {
		Apps struct {
			Igor App `json:"igor"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &adapted); err != nil {
		t.Fatal(err)
	}
	workers := adapted.Apps.Igor.Workers
	if len(workers) != 2 {
		t.Fatalf("%d workers in\n%s", len(workers), config)
	}
	for i, want := range []WorkerConfig{{FileName: "public/index.php", Num: threads(3)}, {FileName: "public/a,b.php", Num: ThreadCount{Percent: 50}}} {
		if w := workers[i]; !strings.HasSuffix(w.FileName, want.FileName) || w.Num != want.Num ||
			!slices.Equal(w.Watch, []string{defaultWatchPattern, "src/**/*.{php,twig}"}) {
			t.Errorf("worker %d: %+v", i, w)
		}
	}

	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://:8080 {\n\tbind 127.0.0.1\n", ":8080": "http://:8080 {\n\troot", "[::1]:8080": "http://:8080 {\n\tbind ::1\n", "": "http:// {\n\troot",
	} {
		text, err := phpServerCaddyfile(phpServerFlags{listen: listen})
		if err != nil {
			t.Fatalf("--listen %s: %v", listen, err)
		}
		if _, err := adapt(t, text); err != nil || !strings.Contains(text, want) {
			t.Errorf("--listen %s: %v, want %q in\n%s", listen, err, want, text)
		}
	}
	plain, err := phpServerCaddyfile(phpServerFlags{workers: []string{"public/index.php"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapt(t, plain); err != nil || strings.Contains(plain, "num") || strings.Contains(plain, "watch") {
		t.Errorf("%v in\n%s", err, plain)
	}
	index := []string{"public/index.php"}
	for _, bad := range []phpServerFlags{
		{root: "nowhere"}, {root: "public/index.php"}, {domain: "example.com", listen: "8443"}, {domain: "a{b"},
		{listen: "8080"}, {listen: "127.0.0.1"}, {listen: ":port"}, {listen: "http://localhost:8080"},
		{workers: []string{""}}, {workers: []string{",2"}}, {workers: []string{"public/index.php,many"}}, {workers: []string{"a`b"}},
		{watch: []string{"src"}}, {workers: index, watch: []string{""}}, {workers: index, watch: []string{"{$HOME}/*.php"}},
	} {
		if text, err := phpServerCaddyfile(bad); err == nil || !strings.HasPrefix(err.Error(), "php-server: ") {
			t.Errorf("%+v: %v, and\n%s", bad, err, text)
		}
	}
}
