package e2e

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Clients that take their time, send too much, or come in numbers.

// A client that stops in the middle of its body gives the PHP thread back, and is told why.
func TestStalledBodyFreesItsThread(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   bothSite("request_body_timeout 300ms"),
		Files:  bothFiles(`file_put_contents(__DIR__ . '/ran', strlen(file_get_contents('php://input')) . "\n", FILE_APPEND); echo "answered";`),
	})
	for _, path := range bothWays {
		for what, head := range map[string][]string{
			"a small body":                {"Content-Length: 100", "", "half"},
			"a form":                      {"Content-Type: application/x-www-form-urlencoded", "Content-Length: 100000", "", "a=1&b"},
			"an upload":                   {"Content-Type: multipart/form-data; boundary=b", "Content-Length: 100000", "", "--b", `Content-Disposition: form-data; name="f"; filename="f"`, "", "x"},
			"a stream":                    {"Transfer-Encoding: chunked", "", "3", "abc"},
			"one that waits to be asked":  {"Expect: 100-continue", "Content-Length: 10", ""},
			"one that never sends a byte": {"Content-Length: 1000000", ""},
		} {
			conn := dial(t, s)
			conn.send(t, append([]string{"POST " + path + " HTTP/1.1", "Host: " + host(s)}, head...)...)
			// Whoever holds the only thread lets it go: nothing else ends the wait.
			s.Get(path).MustBe(200, "answered")
			got := conn.await(t)
			if got.status == http.StatusContinue {
				got = conn.await(t)
			}
			if got.status != http.StatusRequestTimeout {
				t.Errorf("%s, %s that stalls: %d %q, want 408", path, what, got.status, got.body)
			}
		}
	}
}

// Without a bound the script waits for its body, as ever.
func TestSlowBodyWithoutBound(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   bothSite("request_body_timeout 0"),
		Files:  bothFiles(`$in = fopen('php://input', 'r'); $got = fread($in, 8192); file_put_contents(__DIR__ . '/got', strlen($got)); echo strlen($got . stream_get_contents($in));`),
	})
	for _, path := range bothWays {
		os.Remove(filepath.Join(s.Root, "got"))
		conn := dial(t, s)
		conn.send(t, "POST "+path+" HTTP/1.1", "Host: "+host(s), "Content-Length: 100000", "")
		conn.Conn.Write(make([]byte, 8192))
		awaitFile(t, filepath.Join(s.Root, "got"), "8192")
		conn.Conn.Write(make([]byte, 100_000-8192))
		if got := conn.await(t); got.status != 200 || got.body != "100000" {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
}

// A small body is read before anybody waits for it: its client takes its time at nobody's expense.
func TestSlowSmallBodyHoldsNobody(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   bothSite("request_body_timeout 0"),
		Files:  bothFiles(`echo $_POST['a'] ?? "answered";`),
	})
	for _, path := range bothWays {
		conn := dial(t, s)
		conn.send(t, "POST "+path+" HTTP/1.1", "Host: "+host(s), "Content-Type: application/x-www-form-urlencoded", "Content-Length: 8", "")
		conn.Conn.Write([]byte("a=sl"))
		s.Get(path).MustBe(200, "answered")
		conn.Conn.Write([]byte("owly"))
		if got := conn.await(t); got.status != 200 || got.body != "slowly" {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
}

// A client that never pauses, but sends next to nothing, is cut off where a rate is asked for.
func TestTricklingBody(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads + "\nservers {\n timeouts {\n read_body_idle 500ms 1000000\n }\n}",
		Site:   bothSite(),
		Files:  bothFiles(`echo "answered", strlen(file_get_contents('php://input'));`),
	})
	for _, path := range bothWays {
		conn := dial(t, s)
		conn.send(t, "POST "+path+" HTTP/1.1", "Host: "+host(s), "Content-Length: 1000000", "")
		over := make(chan struct{})
		go func() {
			for tick := time.NewTicker(10 * time.Millisecond); ; {
				select {
				case <-over:
					tick.Stop()
					return
				case <-tick.C:
					conn.Conn.Write([]byte("x"))
				}
			}
		}()
		s.Get(path).MustBe(200, "answered0")
		if got := conn.await(t); got.status != http.StatusRequestTimeout {
			t.Errorf("%s: %d %q, want 408", path, got.status, got.body)
		}
		close(over)
	}
}

// The same over HTTP/2, where a deadline is a stream's: its neighbours on the connection go on.
func TestStalledBodyOverHTTP2(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "servers {\n protocols h1 h2c\n}\n" + bothThreads,
		Site:   bothSite("request_body_timeout 2s"),
		Files:  bothFiles(`echo "answered", strlen(file_get_contents('php://input'));`),
	})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	post := func(path string, body io.Reader) (int, string) {
		t.Helper()
		response, err := client.Post(s.URL+path, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	for _, path := range bothWays {
		body, sends := io.Pipe()
		go sends.Write([]byte("some of it"))
		if status, text := post(path, body); status != http.StatusRequestTimeout {
			t.Errorf("%s: %d %q, want 408", path, status, text)
		}
		sends.Close()
		if status, text := post(path, strings.NewReader("whole")); status != 200 || text != "answered5" {
			t.Errorf("%s, on the same connection: %d %q", path, status, text)
		}
	}
}

// A client that does not read its answer gives the PHP thread back, too.
func TestUnreadAnswerFreesItsThread(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   "@hasty query hasty=1\ntimeouts @hasty {\n write_timeout 300ms\n}\n" + bothSite(),
		Files: bothFiles(`
			if (!isset($_GET['much'])) { echo "answered"; return; }
			ignore_user_abort(isset($_GET['stubborn']));
			for ($i = 0; $i < 1024; ++$i) { echo str_repeat('x', 65536); if (isset($_GET['flush'])) flush(); }`),
	})
	for _, path := range bothWays {
		for _, query := range []string{"", "&flush", "&stubborn"} {
			conn := dialNarrow(t, s)
			conn.send(t, "GET "+path+"?much&hasty=1"+query+" HTTP/1.1", "Host: "+host(s), "")
			if _, err := conn.ReadString('\n'); err != nil { // it has the thread
				t.Fatal(err)
			}
			s.Get(path).MustBe(200, "answered")
			conn.Conn.Close()
		}
	}
	for _, path := range bothWays { // all of it, to those who read
		if r := s.Get(path + "?much"); r.Status != 200 || len(r.Body) != 64<<20 {
			t.Errorf("%s: %d, %d bytes", path, r.Status, len(r.Body))
		}
	}
}

// Answers that are complete keep nobody out, however slowly clients take them: they are more here than the pool lets in.
func TestFinishedAnswersKeepNobodyOut(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   "timeouts {\n write_timeout 1h\n}\n" + bothSite(),
		Files: bothFiles(`
			if (!isset($_GET['page'])) { echo "answered"; return; }
			echo str_repeat('x', 200_000);
			if ($_GET['page'] === 'flushed') flush(); // written while the script is at work, and the end after that
			echo str_repeat('y', 50_000);`),
	})
	for _, path := range bothWays {
		for i := range 16 {
			conn := dialNarrow(t, s)
			conn.send(t, "GET "+path+"?page="+[]string{"whole", "flushed"}[i%2]+" HTTP/1.1", "Host: "+host(s), "")
			if _, err := conn.ReadString('\n'); err != nil {
				t.Fatalf("%s, client %d: %v", path, i, err)
			}
		}
		s.Get(path).MustBe(200, "answered")
	}
}

// Who waits too long for a thread is told to come again, and waiting costs no thread.
func TestManyMoreClientsThanThreads(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 2\n max_wait_time 200ms\n}",
		Site:   bothSite(),
		Files:  bothFiles(`if (isset($_GET['gate'])) file_get_contents($_GET['gate']); echo "answered";`),
	})
	for _, path := range bothWays {
		done := make(chan harness.Response, 1)
		go func() {
			r, err := s.TryGet(path + "?gate=" + g.path)
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		held := g.awaitReader(t)
		before := s.Threads()
		var mu sync.Mutex
		statuses := map[string]int{}
		parallel(200, func(int) {
			r, err := s.TryGet(path)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[fmt.Sprint(r.Status, " ", r.Header.Get("Retry-After"))]++
		})
		if statuses["503 1"] != 200 {
			t.Errorf("%s: 200 requests that waited in vain got %v, want 503 and Retry-After: 1", path, statuses)
		}
		if more := s.Threads() - before; more > 40 {
			t.Errorf("%s: 200 requests that waited took %d threads", path, more)
		}
		held.Close()
		(<-done).MustBe(200, "answered")
		awaitAnswer(t, s, path, "answered")
	}
}

// Headers, variables and files have bounds, whoever counts them.
func TestTooMuchOfEverything(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "servers {\n max_header_size 1MB\n}\nigor {\n num_threads 2\n php_ini display_errors 0\n}",
		Site:   "request_body {\n max_size 4MB\n}\n" + bothSite(),
		Files: bothFiles(`echo json_encode(['get' => count($_GET), 'post' => count($_POST), 'cookie' => count($_COOKIE),
			'files' => array_sum(array_map(fn($f) => count((array) $f['name']), $_FILES)),
			'headers' => count(array_filter(array_keys($_SERVER), fn($n) => str_starts_with($n, 'HTTP_X'))),
			'forged' => isset($_SERVER['HTTP_Y_FORGED'])]);`),
	})
	type counts struct {
		Get, Post, Cookie, Files, Headers int
		Forged                            bool
	}
	const form = "application/x-www-form-urlencoded"
	pairs := func(n int, separator string) string {
		return repeat(n, func(i int) string { return fmt.Sprintf("k%d=v%s", i, separator) })
	}
	for _, path := range bothWays {
		if got := jsonOf[counts](t, s.Get(path+"?"+pairs(20_000, "&"))); got.Get == 0 || got.Get > 1000 {
			t.Errorf("%s: %d variables of a query, PHP's max_input_vars is 1000", path, got.Get)
		}
		if got := jsonOf[counts](t, s.Post(path, form, pairs(100_000, "&"))); got.Post == 0 || got.Post > 1001 {
			t.Errorf("%s: %d variables of a form, PHP's max_input_vars is 1000", path, got.Post)
		}
		request := s.Request(http.MethodGet, path, nil)
		request.Header.Set("Cookie", pairs(20_000, "; "))
		if got := jsonOf[counts](t, s.Do(request)); got.Cookie == 0 || got.Cookie > 1000 {
			t.Errorf("%s: %d cookies, PHP's max_input_vars is 1000", path, got.Cookie)
		}
		for _, parts := range []int{500, 20_000} {
			var body bytes.Buffer
			upload := multipart.NewWriter(&body)
			for i := range parts {
				file, _ := upload.CreateFormFile(fmt.Sprint("f", i), "f")
				file.Write([]byte("x"))
			}
			upload.Close()
			if got := jsonOf[counts](t, s.Post(path, upload.FormDataContentType(), body.String())); got.Files > 20 {
				t.Errorf("%s: %d files of %d, PHP's max_file_uploads is 20", path, got.Files, parts)
			}
		}
		// Very many headers, with one that makes the server look twice at all of them.
		many := "GET " + path + " HTTP/1.1\r\nHost: " + host(s) + "\r\nY_Forged: 1\r\nConnection: close\r\n" +
			repeat(40_000, func(i int) string { return fmt.Sprintf("X%d: v\r\n", i) }) + "\r\n"
		all := answersOf(t, exchangeRaw(t, s, []byte(many)))
		if len(all) != 1 || all[0].status != 200 || !strings.Contains(all[0].body, `"headers":40000,"forged":false`) {
			t.Errorf("%s: 40000 headers: %v", path, all)
		}
		// More of them than configured is refused before PHP hears of it.
		long := "GET " + path + " HTTP/1.1\r\nHost: " + host(s) + "\r\nX-Long: " + strings.Repeat("v", 2<<20) + "\r\n\r\n"
		if got := string(exchangeRaw(t, s, []byte(long))); got != "" && !strings.HasPrefix(got, "HTTP/1.1 431 ") {
			t.Errorf("%s: two megabytes of headers: %.200q, want 431", path, got)
		}
		for _, length := range []string{"Content-Length: 5000000", "Transfer-Encoding: chunked"} {
			conn := dial(t, s)
			conn.send(t, "POST "+path+" HTTP/1.1", "Host: "+host(s), "Content-Type: "+form, length, "")
			go func() {
				for range 80 { // 5 MB, as long as the server takes it
					if _, err := conn.Conn.Write(append([]byte("10000\r\n"), append(bytes.Repeat([]byte("x"), 65536), "\r\n"...)...)); err != nil {
						return
					}
				}
			}()
			if status, err := conn.ReadString('\n'); err != nil || !strings.HasPrefix(status, "HTTP/1.1 413 ") {
				t.Errorf("%s, %s: %q, %v; want 413", path, length, status, err)
			}
		}
		// PHP's own bound: the script runs without a form.
		if got := jsonOf[counts](t, s.Get(path)); got.Post != 0 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	alive(t, s)

	// Without a setting it is Caddy's bound, 16 KiB and what Go adds to it.
	s = harness.Start(t, harness.Config{Global: bothThreads, Site: bothSite(), Files: bothFiles(`echo strlen($_SERVER['HTTP_X_LONG'] ?? '');`)})
	for _, path := range bothWays {
		for size, want := range map[int]int{15 << 10: 200, 64 << 10: 431} {
			all := answersOf(t, exchangeRaw(t, s, join("GET "+path+" HTTP/1.1", "Host: "+host(s), "Connection: close", "X-Long: "+strings.Repeat("v", size), "")))
			if len(all) != 1 || all[0].status != want {
				t.Errorf("%s, %d bytes of headers: %v, want %d", path, size, all, want)
			}
		}
	}
}

// Temporary files of uploads go, however their request ends.
func TestTemporaryFilesGo(t *testing.T) {
	t.Parallel()
	temporary := t.TempDir()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 2\n php_ini upload_tmp_dir " + temporary + "\n php_ini memory_limit 16M\n php_ini post_max_size 20M\n php_ini upload_max_filesize 20M\n}",
		Site:   bothSite("request_body_timeout 2s"),
		Files: bothFiles(`
			$kept = array_filter($_FILES, fn($f) => is_uploaded_file($f['tmp_name']));
			if ($_FILES) file_put_contents(__DIR__ . '/seen', count($kept));
			switch ($_GET['end'] ?? '') {
				case 'fatal': no_such_function(); break;
				case 'exit': exit("exit");
				case 'throw': throw new Exception("thrown");
				case 'memory': str_repeat('x', 64 << 20); break;
				case 'leave': while (!connection_aborted()) { echo "."; flush(); usleep(1000); } break;
			}
			echo "answered";`),
	})
	empty := func() error {
		left, err := os.ReadDir(temporary)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%v are left", left)
		}
		return err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := range 3 {
		file, _ := form.CreateFormFile(fmt.Sprint("f", i), "f")
		file.Write(make([]byte, 100_000))
	}
	form.Close()
	for _, path := range bothWays {
		for _, end := range []string{"", "fatal", "exit", "throw", "memory", "leave"} {
			os.Remove(filepath.Join(s.Root, "seen"))
			conn := dial(t, s)
			conn.send(t, "POST "+path+"?end="+end+" HTTP/1.1", "Host: "+host(s), "Content-Type: "+form.FormDataContentType(),
				fmt.Sprint("Content-Length: ", body.Len()), "")
			conn.Conn.Write(body.Bytes())
			if end != "leave" {
				conn.await(t)
			}
			awaitFile(t, filepath.Join(s.Root, "seen"), "3")
			conn.Conn.Close()
			eventually(t, path+" "+end+": the end of temporary files", empty)
		}
		// The client leaves, or stops, in the middle of its second file.
		for _, stays := range []bool{false, true} {
			conn := dial(t, s)
			conn.send(t, "POST "+path+" HTTP/1.1", "Host: "+host(s), "Content-Type: "+form.FormDataContentType(),
				fmt.Sprint("Content-Length: ", body.Len()), "")
			conn.Conn.Write(body.Bytes()[:150_000])
			eventually(t, "a temporary file", func() error {
				if empty() == nil {
					return fmt.Errorf("there is none")
				}
				return nil
			})
			if !stays {
				conn.Conn.Close()
			}
			eventually(t, path+": the end of temporary files of half an upload", empty)
		}
		eventually(t, path+" answers", func() error { // a worker that died starts again
			if r, err := s.TryGet(path); err != nil || r.Status != 200 {
				return fmt.Errorf("%d, %v", r.Status, err)
			}
			return nil
		})
	}
}
