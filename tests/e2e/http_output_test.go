package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Responses: status, headers, bodies of any size, and when they reach the client.

func TestStatusAndHeaders(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		switch ($_GET['do']) {
			case 'code': http_response_code((int) $_GET['code']); echo "body"; break;
			case 'line': header('HTTP/1.1 418 I am a teapot'); echo "body"; break;
			case 'status': header('Status: 404 Nothing'); echo "body"; break;
			case 'location': header('Location: /else?where'); break;
			case 'location 307': header('Location: /else', true, 307); break;
			case 'location 201': http_response_code(201); header('Location: /made'); break;
			case 'several': header('X-A: 1'); header('X-A: 2', false); header('X-B: old'); header('x-b: new'); header('Vary: A');
				header('Vary: B', false); header_remove('X-Powered-By'); header('X-Empty:'); break;
			case 'type': header('Content-Type: application/json'); echo "{}"; break;
			case 'charset': ini_set('default_charset', 'ISO-8859-1'); header('Content-Type: text/plain'); echo "x"; break;
			case 'length': header('Content-Length: 4'); echo "four"; break;
			case 'long value': header('X-Long: ' . str_repeat('v', 20000)); echo "x"; break;
			case 'injection': header("X-One: 1\r\nX-Two: 2"); echo "x"; break;
			case 'callback': header_register_callback(fn() => header('X-Callback: yes')); echo "x"; break;
			case 'late': echo "x"; flush(); header('X-Late: 1'); break;
			case 'list': header('X-A: 1'); echo json_encode(headers_list()), http_response_code(); break;
		}`})
	for _, code := range []int{200, 201, 202, 206, 301, 302, 400, 401, 403, 404, 405, 418, 429, 451, 500, 501, 503, 599} {
		s.Get(fmt.Sprintf("/?do=code&code=%d", code)).MustBe(code, "body")
	}
	for _, code := range []int{204, 304} { // these have no body, whatever the script prints
		s.Get(fmt.Sprintf("/?do=code&code=%d", code)).MustBe(code, "")
		s.Get("/?do=code&code=200").MustBe(200, "body")
	}
	s.Get("/?do=line").MustBe(418, "body")
	s.Get("/?do=status").MustBe(404, "body")

	header := func(path string, status int, name string, want ...string) {
		t.Helper()
		r := s.Get(path)
		if got := r.Header.Values(name); r.Status != status || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s answered %d with %s: %q, want %d and %q", path, r.Status, name, got, status, want)
		}
	}
	header("/?do=location", 302, "Location", "/else?where")
	header("/?do=location%20307", 307, "Location", "/else")
	header("/?do=location%20201", 201, "Location", "/made")
	header("/?do=several", 200, "X-A", "1", "2")
	header("/?do=several", 200, "X-B", "new")
	header("/?do=several", 200, "Vary", "A", "B")
	header("/?do=several", 200, "X-Powered-By")
	header("/?do=type", 200, "Content-Type", "application/json")
	header("/?do=charset", 200, "Content-Type", "text/plain;charset=ISO-8859-1")
	header("/?do=length", 200, "Content-Length", "4")
	header("/?do=long%20value", 200, "X-Long", strings.Repeat("v", 20000))
	header("/?do=injection", 200, "X-Two")
	header("/?do=injection", 200, "X-One")
	header("/?do=callback", 200, "X-Callback", "yes")
	header("/?do=late", 200, "X-Late")
	header("/?do=code&code=200", 200, "Content-Type", "text/html; charset=UTF-8")
	s.Get("/?do=list").MustContain(200, `"X-A: 1"`, "200")
	s.WaitLog("Cannot modify header information")
}

// flush() sends; the client has the bytes while the script is still at work.
func TestFlushStreams(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.StartSite(t, "php_server", harness.Files{
		"flush.php":    `<?php header('X-Early: 1'); echo "first"; flush(); file_get_contents($_GET['gate']); echo " last";`,
		"buffered.php": `<?php ob_start(); echo "first"; ob_end_flush(); flush(); file_get_contents($_GET['gate']); echo " last";`,
		"implicit.php": `<?php ob_implicit_flush(); echo "first"; file_get_contents($_GET['gate']); echo " last";`,
		"headers.php":  `<?php header('X-Early: 1'); flush(); file_get_contents($_GET['gate']); echo "first last";`,
		"fiber.php": `<?php
			$fiber = new Fiber(function () {
				header('X-Early: 1');
				echo "fir"; Fiber::suspend(); echo "st"; flush(); file_get_contents($_GET['gate']); Fiber::suspend(); echo "st"; });
			$fiber->start(); $fiber->resume(); echo " la"; $fiber->resume();`,
		"large.php": `<?php echo "first", str_repeat(' ', 1 << 18); file_get_contents($_GET['gate']); echo " last";`,
	})
	for _, script := range []string{"flush", "buffered", "implicit", "headers", "fiber", "large"} {
		response, err := s.Client().Get(s.URL + "/" + script + ".php?gate=" + g.path)
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		body := bufio.NewReader(response.Body)
		first := ""
		if script != "headers" { // whose status line alone is what must come early
			bytes := make([]byte, 5)
			if _, err := io.ReadFull(body, bytes); err != nil {
				t.Fatalf("%s: %v", script, err)
			}
			first = string(bytes)
		}
		// What was read so far came while the script stands at the gate.
		g.awaitReader(t).Close()
		rest, err := io.ReadAll(body)
		response.Body.Close()
		if got := strings.ReplaceAll(first+string(rest), "  ", ""); err != nil || got != "first last" {
			t.Errorf("%s: %q, %v", script, got, err)
		}
	}
}

func TestOutputBuffering(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"nested.php":   `<?php ob_start(fn($b) => strtoupper($b)); echo "a"; ob_start(); echo "b"; ob_end_clean(); ob_start(); echo "c"; header('X-Still: 1'); exit;`,
		"callback.php": `<?php ob_start(fn($b) => strrev($b)); echo "abc"; register_shutdown_function(function () { echo "def"; });`,
		"gzip.php":     `<?php ob_start('ob_gzhandler'); echo str_repeat("x", 10000);`,
		"print.php":    "leading\n<?= 'printed' ?>\n\ntrailing",
	})
	if r := s.Get("/nested.php").MustBe(200, "AC"); r.Header.Get("X-Still") != "1" {
		t.Error("a header set while output was buffered is missing")
	}
	s.Get("/callback.php").MustBe(200, "fedcba")
	s.Get("/gzip.php").MustBe(200, strings.Repeat("x", 10000)) // Go's client asked for gzip and unpacks it
	s.Get("/print.php").MustBe(200, "leading\nprinted\ntrailing")
}

func TestLargeOutput(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n php_ini memory_limit 8M\n}",
		Files: harness.Files{
			"pieces.php": `<?php for ($i = 0; $i < 10240; ++$i) echo str_pad((string) $i, 1024, '.');`,
			"one.php":    `<?php echo str_repeat('0123456789abcdef', 1 << 18);`,
			"file.php":   `<?php readfile(__DIR__ . '/data');`,
			"data":       strings.Repeat("0123456789abcdef", 10<<16),
			"peak.php":   `<?php for ($i = 0; $i < 51200; ++$i) echo str_repeat('x', 1024);`,
		},
	})
	var want strings.Builder
	for i := range 10240 {
		line := fmt.Sprint(i)
		want.WriteString(line + strings.Repeat(".", 1024-len(line)))
	}
	if got := s.Get("/pieces.php").Body; got != want.String() {
		t.Errorf("10 MB in pieces came as %d bytes", len(got))
	}
	if got := s.Get("/one.php").Body; got != strings.Repeat("0123456789abcdef", 1<<18) {
		t.Errorf("4 MB in one piece came as %d bytes", len(got))
	}
	if got := s.Get("/file.php").Body; got != strings.Repeat("0123456789abcdef", 10<<16) {
		t.Errorf("a file of 10 MB came as %d bytes", len(got))
	}

	// A client that does not read: the script waits, and memory does not grow with what it has to say.
	before := s.Memory()
	conn := dial(t, s)
	conn.send(t, "GET /peak.php HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "Connection: close", "")
	status, err := conn.ReadString('\n')
	if err != nil || !strings.Contains(status, "200") {
		t.Fatalf("%q, %v", status, err)
	}
	for range 20 {
		s.Get("/one.php")
	}
	if grown := s.Memory() - before; grown > 40<<10 {
		t.Errorf("an answer of 50 MB that is not read made the process grow by %d kB", grown)
	}
	rest, err := io.ReadAll(conn.Reader)
	if err != nil || strings.Count(string(rest), "x") < 51200*1024 {
		t.Errorf("read late, the answer has %d bytes, %v", len(rest), err)
	}
}

func TestEarlyHints(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"index.php": `<?php
			header('Link: </style.css>; rel=preload; as=style');
			$sent = headers_send(103);
			header('X-Final: 1');
			echo "body ", $sent;`,
		"now.php": `<?php header('X-A: 1'); headers_send(202); @header('X-B: 1'); echo "body";`,
	})
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, " ", header.Get("Link"), header.Get("X-Final")))
		return nil
	}}
	request := s.Request(http.MethodGet, "/", nil)
	request = request.WithContext(httptrace.WithClientTrace(context.Background(), trace))
	r := s.Do(request).MustContain(200, "body ")
	if fmt.Sprint(hints) != "[103 </style.css>; rel=preload; as=style]" {
		t.Errorf("the hints were %q", hints)
	}
	if r.Header.Get("X-Final") != "1" || r.Header.Get("Link") == "" || len(r.Header.Values("Link")) != 1 {
		t.Errorf("the answer after the hints has %v", r.Header)
	}
	if r := s.Get("/now.php").MustBe(202, "body"); r.Header.Get("X-A") != "1" || r.Header.Get("X-B") != "" {
		t.Errorf("headers_send(202), then another header: %v", r.Header)
	}
}

// HTTP/1.0 without keep-alive, pipelined requests, HTTP/2 without TLS.
func TestProtocols(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "servers {\n protocols h1 h2c\n}",
		Files:  harness.Files{"index.php": `<?php echo $_SERVER['SERVER_PROTOCOL'], ' ', $_GET['n'] ?? '';`},
	})
	host := strings.TrimPrefix(s.URL, "http://")

	conn := dial(t, s)
	conn.send(t, "GET / HTTP/1.0", "Host: "+host, "")
	all, err := io.ReadAll(conn.Reader)
	if err != nil || !strings.HasSuffix(string(all), "HTTP/1.0 ") {
		t.Errorf("HTTP/1.0 was answered %q, %v", all, err)
	}

	conn = dial(t, s)
	for i := range 20 {
		conn.send(t, fmt.Sprintf("GET /?n=%d HTTP/1.1", i), "Host: "+host, "")
	}
	for i := range 20 {
		response, err := http.ReadResponse(conn.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		if string(body) != fmt.Sprintf("HTTP/1.1 %d", i) {
			t.Fatalf("of 20 pipelined requests, answer %d is %q", i, body)
		}
	}

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	parallel(20, func(i int) {
		response, err := client.Get(fmt.Sprintf("%s/?n=%d", s.URL, i))
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		if body, _ := io.ReadAll(response.Body); string(body) != fmt.Sprintf("HTTP/2.0 %d", i) {
			t.Errorf("over HTTP/2: %q", body)
		}
	})
}

// Two hundred requests that wait, on four threads: all are answered, first come, first served.
func TestManySlowRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 4\n}",
		Files:  harness.Files{"index.php": `<?php usleep(20000); echo "slow ", $_GET['n'];`},
	})
	parallel(200, func(i int) {
		r, err := s.TryGet(fmt.Sprintf("/?n=%d", i))
		if err != nil || r.Status != 200 || r.Body != fmt.Sprintf("slow %d", i) {
			t.Errorf("request %d: %d %q, %v", i, r.Status, r.Body, err)
		}
	})
}

// A request that waits longer than max_wait_time is refused with 503, and those that run are not harmed.
func TestMaxWaitTime(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 1\n max_wait_time 100ms\n}",
		Files:  harness.Files{"index.php": `<?php file_get_contents($_GET['gate']); echo "done";`, "quick.php": `<?php echo "quick";`},
	})
	done := make(chan harness.Response, 1)
	go func() {
		r, err := s.TryGet("/?gate=" + g.path)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	gate := g.awaitReader(t)
	if r := s.Get("/quick.php"); r.Status != 503 || r.Took.Milliseconds() < 90 {
		t.Errorf("with the only thread busy, a request got %d %q after %s, want 503 after 100 ms", r.Status, r.Body, r.Took)
	}
	gate.Close()
	if r := <-done; r.Status != 200 || r.Body != "done" {
		t.Errorf("the request that ran got %d %q", r.Status, r.Body)
	}
	awaitAnswer(t, s, "/quick.php", "quick")
}

// Files beside the scripts, and what must not be served.
func TestFilesAndPaths(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"index.php":         `<?php echo "index ", $_SERVER['REQUEST_URI'];`,
		"page.php":          `<?php echo "page ", $_SERVER['PATH_INFO'] ?? '';`,
		"dir/index.php":     `<?php echo "dir";`,
		"static/style.css":  "css",
		"static/a b.txt":    "space",
		"plain/nothing.txt": "x",
		"source.phps":       "<?php secret",
		"UPPER.PHP":         `<?php echo "upper";`,
	})
	s.Get("/static/style.css").MustBe(200, "css")
	if kind := s.Get("/static/style.css").Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/css") {
		t.Errorf("a style sheet has the type %q", kind)
	}
	s.Get("/static/a%20b.txt").MustBe(200, "space")
	s.Get("/").MustBe(200, "index /")
	s.Get("/no/such/page").MustBe(200, "index /no/such/page")
	s.Get("/page.php").MustBe(200, "page ")
	s.Get("/page.php/info").MustBe(200, "page /info")
	s.Get("/dir/").MustBe(200, "dir")
	if r := s.Get("/dir"); r.Status != 308 || !strings.HasSuffix(r.Header.Get("Location"), "dir/") {
		t.Errorf("a folder without its slash: %d %v", r.Status, r.Header)
	}
	s.Get("/UPPER.PHP").MustContain(200, "upper")
	s.Get("/no-such.php").MustContain(200, "index /no-such.php") // the front controller's, as with try_files

	// No path leads out of the root or to a script's source, however it is written.
	for _, path := range []string{
		"/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2f..%2fetc/passwd", "/..%5c..%5cetc/passwd",
		"/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/page.php%00.txt", "/page.php/%2e%2e/%2e%2e/etc/passwd", "/page%2ephp%00",
		"//etc/passwd", "/index.php/../../../etc/passwd", "/page.ph%70%00",
	} {
		conn := dial(t, s)
		conn.send(t, "GET "+path+" HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "Connection: close", "")
		response, err := http.ReadResponse(conn.Reader, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, _ := io.ReadAll(response.Body)
		if strings.Contains(string(body), "root:") || strings.Contains(string(body), "<?php") {
			t.Errorf("%s gave away %q", path, body)
		}
	}
	// The script's source is never served as a file.
	for _, path := range []string{"/page.php", "/page.php/", "/page.PHP", "/dir/index.php", "/UPPER.PHP", "/page.php%20", "/page.php."} {
		if r := s.Get(path); strings.Contains(r.Body, "<?php") {
			t.Errorf("%s gave away the source: %q", path, r.Body)
		}
	}
}

// The bare handler has no front controller: a script that is missing is 404, and other files are not its
// business. File server's `hide` hides dotfiles, as documented.
func TestBareHandlerAndHiddenFiles(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `
		@hidden path */.*
		respond @hidden 404
		@php path *.php *.php/*
		php @php
		file_server`, harness.Files{
		"index.php": `<?php echo "index";`,
		".env":      "SECRET=1",
		".git/HEAD": "ref",
		"file.txt":  "file",
	})
	s.Get("/index.php").MustBe(200, "index")
	s.Get("/file.txt").MustBe(200, "file")
	s.Get("/missing.php").MustContain(404, "")
	s.Get("/.env").MustBe(404, "")
	s.Get("/.git/HEAD").MustBe(404, "")
	s.Get("/index.php/more").MustBe(200, "index")
	s.WaitLogFor("the missing script's name", func(e harness.Entry) bool {
		return strings.Contains(e.Message, filepath.Join(s.Root, "missing.php"))
	})
}
