package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Bodies of requests: forms, uploads, raw input of any size.

func TestMethodsAndForms(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		header('X-Method: ' . $_SERVER['REQUEST_METHOD']);
		echo json_encode(['get' => $_GET, 'post' => $_POST, 'input' => file_get_contents('php://input'),
			'request' => $_REQUEST]);`})
	form := "application/x-www-form-urlencoded"

	s.Get("/?a=1&b[]=x&b[]=y&c[k]=v").MustBe(200,
		`{"get":{"a":"1","b":["x","y"],"c":{"k":"v"}},"post":[],"input":"","request":{"a":"1","b":["x","y"],"c":{"k":"v"}}}`)
	s.Post("/?a=1", form, "a=2&d=%C3%A4").MustBe(200,
		`{"get":{"a":"1"},"post":{"a":"2","d":"\u00e4"},"input":"a=2&d=%C3%A4","request":{"a":"2","d":"\u00e4"}}`)
	s.Post("/", "application/json", `{"a":1}`).MustBe(200, `{"get":[],"post":[],"input":"{\"a\":1}","request":[]}`)
	s.Post("/", form, "").MustBe(200, `{"get":[],"post":[],"input":"","request":[]}`)

	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, "PURGE"} {
		request := s.Request(method, "/", strings.NewReader("raw=1"))
		request.Header.Set("Content-Type", form)
		r := s.Do(request).MustBe(200, `{"get":[],"post":[],"input":"raw=1","request":[]}`)
		if r.Header.Get("X-Method") != method {
			t.Errorf("%s came as %q", method, r.Header.Get("X-Method"))
		}
	}
	r := s.Do(s.Request(http.MethodHead, "/", nil)).MustBe(200, "")
	if r.Header.Get("X-Method") != "HEAD" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("HEAD was answered with %v", r.Header)
	}
	s.Do(s.Request(http.MethodOptions, "/", nil)).MustContain(200, `"get":[]`)
}

// PHP 8.4 parses other methods' forms on request.
func TestRequestParseBody(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		[$post, $files] = request_parse_body();
		echo json_encode([$post, array_map(fn($f) => [$f['name'], file_get_contents($f['tmp_name'])], $files)]);`})
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("a", "1")
	file, _ := form.CreateFormFile("f", "f.txt")
	file.Write([]byte("content"))
	form.Close()
	request := s.Request(http.MethodPut, "/", &body)
	request.Header.Set("Content-Type", form.FormDataContentType())
	s.Do(request).MustBe(200, `[{"a":"1"},{"f":["f.txt","content"]}]`)
}

func TestUploads(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: `igor {
			php_ini upload_max_filesize 100K
			php_ini post_max_size 300K
		}`,
		Files: harness.Files{
			"index.php": `<?php
			$files = [];
			foreach ($_FILES as $field => $f) {
				foreach ((array) $f['name'] as $i => $name) {
					$tmp = ((array) $f['tmp_name'])[$i];
					$files[] = [$field, $name, ((array) $f['type'])[$i], ((array) $f['error'])[$i], ((array) $f['size'])[$i],
						$tmp === '' ? null : hash_file('sha256', $tmp), $tmp !== '' && is_uploaded_file($tmp)];
					$kept[] = $tmp;
				}
			}
			if (isset($_GET['move'])) move_uploaded_file($kept[0], __DIR__ . '/moved');
			echo json_encode(['post' => $_POST, 'files' => $files, 'kept' => $kept ?? []]);`,
			"exists.php": `<?php echo json_encode(array_map(file_exists(...), $_POST['kept']));`,
		},
	})
	upload := func(path string, fill func(*multipart.Writer)) harness.Response {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		fill(form)
		form.Close()
		request := s.Request(http.MethodPost, path, &body)
		request.Header.Set("Content-Type", form.FormDataContentType())
		return s.Do(request)
	}
	add := func(form *multipart.Writer, field, name string, content []byte) {
		file, err := form.CreateFormFile(field, name)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(content)
	}
	hash := func(content []byte) string {
		sum := sha256.Sum256(content)
		return hex.EncodeToString(sum[:])
	}
	binary := make([]byte, 90_000)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	type answer struct {
		Post  any
		Files [][]any
		Kept  []string
	}

	got := jsonOf[answer](t, upload("/", func(form *multipart.Writer) {
		form.WriteField("title", "two & more")
		add(form, "first", "ä b.bin", binary)
		add(form, "many[]", "1.txt", []byte("one"))
		add(form, "many[]", "2.txt", []byte("two"))
		add(form, "none", "empty.txt", nil)
	}))
	want := fmt.Sprint([][]any{
		{"first", "ä b.bin", "application/octet-stream", 0., 90_000., hash(binary), true},
		{"many", "1.txt", "application/octet-stream", 0., 3., hash([]byte("one")), true},
		{"many", "2.txt", "application/octet-stream", 0., 3., hash([]byte("two")), true},
		{"none", "empty.txt", "application/octet-stream", 0., 0., hash(nil), true},
	})
	if fmt.Sprint(got.Files) != want || fmt.Sprint(got.Post) != "map[title:two & more]" {
		t.Errorf("four files in a form came as\n%v %v, want\n%v", got.Files, got.Post, want)
	}
	// Temporary files go with their request, which ends a moment after its answer.
	left := "kept[]=" + strings.Join(got.Kept, "&kept[]=")
	eventually(t, "the end of temporary files", func() error {
		if r := s.Post("/exists.php", "application/x-www-form-urlencoded", left); r.Body != "[false,false,false,false]" {
			return fmt.Errorf("of %q there exist: %s", got.Kept, r.Body)
		}
		return nil
	})

	upload("/?move", func(form *multipart.Writer) { add(form, "f", "f", binary) })
	if moved, err := os.ReadFile(filepath.Join(s.Root, "moved")); err != nil || !bytes.Equal(moved, binary) {
		t.Errorf("the moved file: %d bytes, %v", len(moved), err)
	}

	// One file over upload_max_filesize: that one says so, the others are there.
	got = jsonOf[answer](t, upload("/", func(form *multipart.Writer) {
		add(form, "big", "big", make([]byte, 101<<10))
		add(form, "small", "small", []byte("x"))
	}))
	if len(got.Files) != 2 || got.Files[0][3] != 1. || got.Files[1][3] != 0. {
		t.Errorf("a file over upload_max_filesize came as %v, want error 1 for it and 0 for the other", got.Files)
	}

	// The whole over post_max_size: nothing is there, and the log says why.
	r := upload("/", func(form *multipart.Writer) {
		for i := range 4 {
			add(form, fmt.Sprint(i), "part", make([]byte, 90<<10))
		}
	})
	r.MustContain(200, `"post":[],"files":[]`)
	s.WaitLog("exceeds the limit of 307200 bytes")

	// A form that ends in the middle is no form.
	upload2 := s.Request(http.MethodPost, "/", strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhalf"))
	upload2.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	s.Do(upload2).MustContain(200, `"files":[]`)
}

// pattern gives n bytes that are not the same everywhere, without holding them.
type pattern struct{ at, n int64 }

func (p *pattern) Read(into []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	n := int(min(int64(len(into)), p.n-p.at))
	for i := range n {
		into[i] = byte((p.at + int64(i)) * 31 >> 3)
	}
	p.at += int64(n)
	return n, nil
}

func patternHash(n int64) string {
	sum := sha256.New()
	io.Copy(sum, &pattern{n: n})
	return hex.EncodeToString(sum.Sum(nil))
}

// A body is read as the script asks for it, whatever its size, with and without an announced length.
func TestLargeBodyIsStreamed(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: `igor {
			php_ini post_max_size 100M
			php_ini memory_limit 16M
		}`,
		Files: harness.Files{"index.php": `<?php
			$hash = hash_init('sha256');
			$in = fopen('php://input', 'rb');
			for ($n = 0; !feof($in); $n += strlen($piece)) hash_update($hash, $piece = fread($in, 65536));
			echo json_encode([$n, hash_final($hash), $_SERVER['CONTENT_LENGTH'], memory_get_peak_usage() < 8 << 20]);`},
	})
	const size = 50 << 20
	want := patternHash(size)
	send := func(length int64) harness.Response {
		request := s.Request(http.MethodPost, "/", io.NopCloser(&pattern{n: size}))
		request.ContentLength = length // -1: chunked
		request.Header.Set("Content-Type", "application/octet-stream")
		return s.Do(request)
	}
	send(size).MustBe(200, fmt.Sprintf(`[%d,"%s","%d",true]`, size, want, size))
	before := s.Memory()
	for range 3 {
		send(size).MustBe(200, fmt.Sprintf(`[%d,"%s","%d",true]`, size, want, size))
	}
	send(-1).MustBe(200, fmt.Sprintf(`[%d,"%s","",true]`, size, want))
	if grown := s.Memory() - before; grown > 60<<10 {
		t.Errorf("four bodies of 50 MB made the process grow by %d kB", grown)
	}
}

// A chunked form is a form like any other.
func TestChunkedForm(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php echo json_encode([$_POST, file_get_contents('php://input')]);`})
	request := s.Request(http.MethodPost, "/", io.NopCloser(strings.NewReader("a=1&b=2")))
	request.ContentLength = -1
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.Do(request).MustBe(200, `[{"a":"1","b":"2"},"a=1&b=2"]`)
}

// A script need not read what it was sent; the connection must stay in step all the same.
func TestUnreadBody(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"ignore.php": `<?php echo "ignored";`,
		"index.php":  `<?php echo "next";`,
	})
	for _, size := range []int64{1, 100_000, 3 << 20} {
		for range 5 {
			request := s.Request(http.MethodPut, "/ignore.php", io.NopCloser(&pattern{n: size}))
			request.ContentLength = size
			response, err := s.TryDo(request)
			// A server may answer and hang up on a client that still sends; what counts is what follows.
			if err == nil && response.Body != "ignored" {
				t.Errorf("a body of %d bytes that nobody read: %q", size, response.Body)
			}
			s.Get("/").MustBe(200, "next")
		}
	}
}

// A large body comes slowly; the script gets each piece when it is there, and answers while more is to come.
func TestBodyAndAnswerAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		$in = fopen('php://input', 'rb');
		$got = fread($in, 8192); // PHP reads its input in pieces of this size
		file_put_contents(__DIR__ . '/got', strlen($got));
		echo strlen($got), substr(stream_get_contents($in), -5);`})
	conn := dial(t, s)
	conn.send(t, "POST /index.php HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "Content-Length: 100000", "")
	conn.Conn.Write(make([]byte, 8192))
	awaitFile(t, filepath.Join(s.Root, "got"), "8192")
	conn.Conn.Write(append(make([]byte, 100_000-8192-5), "after"...))
	response, err := http.ReadResponse(conn.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != "8192after" {
		t.Errorf("got %q", body)
	}
}

// A client that takes its time over a small body keeps no PHP thread waiting.
func TestSlowSmallBodyHoldsNoThread(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 1\n}",
		Files: harness.Files{
			"index.php": `<?php echo file_get_contents('php://input');`,
			"next.php":  `<?php echo "next";`,
		},
	})
	conn := dial(t, s)
	conn.send(t, "POST /index.php HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "Content-Length: 10", "", "slow")
	s.Get("/next.php").MustBe(200, "next")
	conn.Conn.Write([]byte("poke"))
	response, err := http.ReadResponse(conn.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != "slow\r\npoke" {
		t.Errorf("got %q", body)
	}
}

// What PHP says of a request that it takes apart goes to the log, not to an error handler that a worker has set: one that
// throws, as Symfony's, would end the request before the callback has it.
func TestWorkerSurvivesWarningsOfTheParser(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n php_ini max_input_vars 10\n php_ini post_max_size 1M\n php_ini display_errors 0\n}",
		Site:   "php_server {\n worker {\n file index.php\n num 1\n php_ini memory_limit 4M\n}\n}",
		Files: harness.Files{"index.php": `<?php
			set_error_handler(fn($number, $message) => throw new ErrorException("handled: $message"));
			$n = 0;
			register_shutdown_function(function () {
				try { trigger_error('end'); } catch (ErrorException $e) { error_log($e->getMessage()); }
			});
			while (frankenphp_handle_request(function () use (&$n) {
				try { trigger_error('own'); } catch (ErrorException $e) { $own = $e->getMessage(); }
				echo ++$n, ' ', count($_GET), ' ', count($_POST), ' ', count($_COOKIE), " $own";
			}));`},
	})
	many := strings.Repeat("v[]=1&", 50)
	form := "application/x-www-form-urlencoded"
	s.Get("/?"+many).MustBe(200, "1 1 0 0 handled: own")
	s.WaitLog("Input variables exceeded 10")
	s.Post("/", form, many).MustBe(200, "2 0 1 0 handled: own")
	request := s.Request(http.MethodGet, "/", nil)
	request.Header.Set("Cookie", strings.Repeat("c[]=1; ", 50))
	s.Do(request).MustBe(200, "3 0 0 1 handled: own")
	s.Post("/", form, strings.Repeat("x", 2<<20)).MustBe(200, "4 0 0 0 handled: own")
	s.WaitLog("POST Content-Length of 2097152 bytes exceeds the limit of 1048576 bytes")
	s.Post("/", "multipart/form-data", "no boundary").MustBe(200, "5 0 0 0 handled: own")
	s.WaitLog("Missing boundary in multipart/form-data POST data")
}

// The same when it ends there: the handler is there for the shutdown functions.
func TestWorkerDiesOfARequestsForm(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n php_ini post_max_size 50M\n}",
		Site:   "php_server {\n worker {\n file index.php\n num 1\n php_ini memory_limit 4M\n}\n}",
		Files: harness.Files{"index.php": `<?php
			set_error_handler(fn($number, $message) => error_log("handled: $message"));
			register_shutdown_function(fn() => trigger_error('the end'));
			while (frankenphp_handle_request(fn() => print 'here'));`},
	})
	if r := s.Post("/", "application/x-www-form-urlencoded", "v="+strings.Repeat("x", 10<<20)); r.Status != 500 {
		t.Errorf("a form for which there is no memory got %d %q", r.Status, r.Body)
	}
	s.WaitLog("handled: the end")
	s.Get("/").MustBe(200, "here")
}

// A client that dies in the middle of its form: the script must not run on half of it.
func TestCutForm(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 1\n}",
		Files: harness.Files{
			"index.php": `<?php file_put_contents(__DIR__ . '/ran', json_encode($_POST)); echo "ran";`,
			"next.php":  `<?php echo "next";`,
		},
	})
	conn := dial(t, s)
	conn.send(t, "POST /index.php HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"),
		"Content-Type: application/x-www-form-urlencoded", "Content-Length: 1000", "", "amount=1")
	conn.Conn.Close()
	s.Get("/next.php").MustBe(200, "next") // the only thread is free again
	if data, err := os.ReadFile(filepath.Join(s.Root, "ran")); err == nil {
		t.Errorf("the script ran with the half form %s", data)
	}
}

// A body that breaks the rules of chunks is the client's mistake, and it is told so: scripts and HTTP workers see only that
// the body is broken.
func TestMalformedChunks(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server {\n worker worker.php 1\n}", harness.Files{
		"index.php":  `<?php echo strlen(file_get_contents('php://input'));`,
		"worker.php": `<?php while (frankenphp_handle_request(function () { echo strlen(file_get_contents('php://input')); })) {}`,
	})
	for _, script := range []string{"/index.php", "/worker.php"} {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded"} {
			conn := dial(t, s)
			conn.send(t, "POST "+script+" HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "Content-Type: "+kind,
				"Transfer-Encoding: chunked", "", "3", "a=b", "no length", "")
			response, err := http.ReadResponse(conn.Reader, nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", script, kind, err)
			}
			if response.StatusCode != 400 {
				body, _ := io.ReadAll(response.Body)
				t.Errorf("%s, %s: broken chunks were answered %d %q, want 400", script, kind, response.StatusCode, body)
			}
			response.Body.Close()
		}
		s.Post(script, "text/plain", "whole").MustBe(200, "5")
	}
}

// Caddy's own limit of bodies.
func TestRequestBodyLimit(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "request_body {\n max_size 1KB\n }\n php_server", harness.Files{
		"index.php": `<?php echo strlen(file_get_contents('php://input'));`})
	s.Post("/", "text/plain", strings.Repeat("x", 1000)).MustBe(200, "1000")
	if r := s.Post("/", "text/plain", strings.Repeat("x", 1001)); r.Status != 413 {
		t.Errorf("a body over Caddy's limit was answered %d %q, want 413", r.Status, r.Body)
	}
}

func TestCookiesAndSessions(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"cookie.php": `<?php
			setcookie('one', 'a b'); setcookie('two', '2', ['path' => '/x', 'httponly' => true, 'samesite' => 'Lax']);
			echo json_encode($_COOKIE);`,
		"count.php": `<?php ini_set('session.save_path', __DIR__); session_start(); echo $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;`,
	})
	request := s.Request(http.MethodGet, "/cookie.php", nil)
	request.Header.Set("Cookie", "x=1; y=%20; z[k]=v")
	r := s.Do(request).MustBe(200, `{"x":"1","y":" ","z":{"k":"v"}}`)
	if got := r.Header.Values("Set-Cookie"); fmt.Sprint(got) != "[one=a%20b two=2; path=/x; HttpOnly; SameSite=Lax]" {
		t.Errorf("two cookies came as %q", got)
	}

	// Two visitors, whose requests change threads as they like.
	counts := make([]int, 2)
	cookies := make([]string, 2)
	for round := range 40 {
		who := round % 2
		request := s.Request(http.MethodGet, "/count.php", nil)
		if cookies[who] != "" {
			request.Header.Set("Cookie", cookies[who])
		}
		counts[who]++
		r := s.Do(request).MustBe(200, fmt.Sprint(counts[who]))
		if cookies[who] == "" {
			cookies[who], _, _ = strings.Cut(r.Header.Get("Set-Cookie"), ";")
		}
	}
	// Eight at once in one session: its lock keeps the count right.
	parallel(8, func(int) {
		for range 5 {
			request := s.Request(http.MethodGet, "/count.php", nil)
			request.Header.Set("Cookie", cookies[0])
			if _, err := s.TryDo(request); err != nil {
				t.Error(err)
			}
		}
	})
	request = s.Request(http.MethodGet, "/count.php", nil)
	request.Header.Set("Cookie", cookies[0])
	s.Do(request).MustBe(200, "61")
}
