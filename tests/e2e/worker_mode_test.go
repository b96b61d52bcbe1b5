package e2e

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// HTTP worker mode under load: answers belong to their requests, and none is lost. What one request leaves behind for the
// next is tested one by one in tests/sapi/http_worker_test.cc.

// mixWorker answers with all that it was asked, and counts in the session.
const mixWorker = `<?php
	$id = bin2hex(random_bytes(8));
	$served = 0;
	while (frankenphp_handle_request(function () use ($id, &$served) {
		++$served;
		header("X-Run: $id");
		header('X-Mark: ' . ($_GET['mark'] ?? ''));
		switch ($_GET['do'] ?? '') {
			case 'exit':
				echo $_GET['mark'];
				exit(1);
			case 'fatal':
				header('X-Dies: 1');
				eval('class Twice {} class Twice {}');
			case 'throw':
				throw new Exception($_GET['mark']);
			case 'early':
				echo $_GET['mark'];
				frankenphp_finish_request();
				for ($i = 0; $i < 20; ++$i) {
					echo 'late', $_GET['mark'];
					flush();
				}
				return;
		}
		session_name('s');
		session_start();
		$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
		$_SESSION['owner'] ??= $_COOKIE['me'] ?? '?';
		if (random_int(0, 3) === 0) ob_start();
		echo implode('|', [$_GET['mark'] ?? '', $_COOKIE['me'] ?? '', $_SESSION['owner'], $_SESSION['n'],
			$_POST['field'] ?? '', isset($_FILES['f']) ? file_get_contents($_FILES['f']['tmp_name']) : '',
			$_SERVER['HTTP_X_TOKEN'] ?? '', file_get_contents('php://input')]);
	}));`

func mixSite(workers string) string {
	return "php_server {\n worker worker.php {\n" + workers + "\n match *\n }\n}"
}

// Two hundred clients, each with a connection, a cookie jar, a session and bodies of its own: no answer has anything of
// another's.
func TestWorkerModeDoesNotMixClients(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, mixSite("num 4"), harness.Files{"worker.php": mixWorker})
	const clients, rounds = 200, 8
	var group sync.WaitGroup
	for c := range clients {
		group.Add(1)
		go func() {
			defer group.Done()
			jar, _ := cookiejar.New(nil)
			transport := &http.Transport{MaxIdleConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Jar: jar, Transport: transport}
			address, _ := url.Parse(s.URL)
			me := fmt.Sprintf("client%d", c)
			jar.SetCookies(address, []*http.Cookie{{Name: "me", Value: me}})
			for round := range rounds {
				mark := fmt.Sprintf("m%d-%d", c, round)
				field, file, input := "", "", ""
				var body io.Reader
				kind := ""
				switch round % 4 {
				case 1:
					field = "field" + mark
					body, kind = strings.NewReader("field="+field), "application/x-www-form-urlencoded"
					input = "field=" + field
				case 2:
					file = strings.Repeat(mark, 500)
					var buffer bytes.Buffer
					form := multipart.NewWriter(&buffer)
					part, _ := form.CreateFormFile("f", "f.txt")
					_, _ = part.Write([]byte(file))
					form.Close()
					body, kind = &buffer, form.FormDataContentType()
				case 3:
					input = `{"mark":"` + mark + `"}`
					body, kind = strings.NewReader(input), "application/json"
				}
				method := http.MethodGet
				if body != nil {
					method = http.MethodPost
				}
				request, _ := http.NewRequest(method, s.URL+"/?mark="+mark, body)
				request.Header.Set("X-Token", "token-"+mark)
				if kind != "" {
					request.Header.Set("Content-Type", kind)
				}
				response, err := client.Do(request)
				if err != nil {
					t.Errorf("%s: %v", mark, err)
					return
				}
				answer, err := io.ReadAll(response.Body)
				response.Body.Close()
				want := strings.Join([]string{mark, me, me, fmt.Sprint(round + 1), field, file, "token-" + mark, input}, "|")
				if err != nil || response.StatusCode != 200 || string(answer) != want || response.Header.Get("X-Mark") != mark {
					t.Errorf("%s: %d %v mark %q\n got  %.200q\n want %.200q", mark, response.StatusCode, err, response.Header.Get("X-Mark"), answer, want)
					return
				}
			}
		}()
	}
	group.Wait()
}

// Scripts that are recycled, exit, die and throw while others wait: each request has its answer. One that finishes early
// and goes on printing never prints into the next response on its connection.
func TestWorkerModeLosesNothing(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, mixSite("num 3\n max_requests 7\n max_consecutive_failures -1"), harness.Files{"worker.php": mixWorker})
	kinds := []string{"", "early", "", "exit", "early", "throw", "", "fatal", "early", ""}
	var runs sync.Map
	var count atomic.Int64
	var group sync.WaitGroup
	for c := range 24 {
		group.Add(1)
		go func() {
			defer group.Done()
			transport := &http.Transport{MaxIdleConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for round := range 30 {
				kind := kinds[(c+round)%len(kinds)]
				mark := fmt.Sprintf("m%d-%d", c, round)
				response, err := client.Get(s.URL + "/?mark=" + mark + "&do=" + kind)
				if err != nil {
					t.Errorf("%s %s: %v", kind, mark, err)
					return
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				status, want := 200, mark
				switch kind {
				case "":
					want = mark + "||?|1||||"
				case "throw", "fatal":
					status, want = 500, ""
				}
				if kind == "throw" || kind == "fatal" {
					body = nil // the error page, as display_errors says
				}
				if err != nil || response.StatusCode != status || string(body) != want || response.Header.Get("X-Mark") != mark {
					t.Errorf("%s %s: %d %v %q, want %d %q", kind, mark, response.StatusCode, err, body, status, want)
					return
				}
				runs.Store(response.Header.Get("X-Run"), true)
				count.Add(1)
			}
		}()
	}
	group.Wait()
	distinct := 0
	runs.Range(func(any, any) bool { distinct++; return true })
	if want := int(count.Load()) / 7; distinct < want {
		t.Errorf("%d runs served %d requests, want at least %d of at most seven", distinct, count.Load(), want)
	}
}

// Clients that leave while their requests wait for a worker take them along: they keep nobody waiting, and nothing is done
// for them.
func TestClientLeavesWhileWaiting(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Files: harness.Files{"index.php": `<?php
			while (frankenphp_handle_request(function () {
				file_put_contents(__DIR__ . '/ran', $_GET['mark'], FILE_APPEND);
				if (isset($_GET['gate'])) file_get_contents($_GET['gate']);
				echo $_GET['mark'];
			})) {}`},
		Site: "php_server {\n name shop\n worker {\n file index.php\n name front\n num 1\n max_threads 1\n }\n}",
	})
	first := make(chan harness.Response, 1)
	go func() {
		r, err := s.TryGet("/?mark=a&gate=" + g.path)
		if err != nil {
			t.Error(err)
		}
		first <- r
	}()
	open := g.awaitReader(t)
	queued := func(want uint64) {
		t.Helper()
		eventually(t, "the queue", func() error {
			if p := poolOf(t, s, "/igor/pools/shop/front"); uint64(p.Queue.Length) != want {
				return fmt.Errorf("%d requests wait, want %d", p.Queue.Length, want)
			}
			return nil
		})
	}
	conn := dial(t, s)
	conn.send(t, "GET /?mark=b HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "")
	queued(1)
	conn.Conn.Close()
	queued(0)
	open.Close()
	(<-first).MustBe(200, "a")
	s.Get("/?mark=c").MustBe(200, "c")
	awaitFile(t, filepath.Join(s.Root, "ran"), "ac")
}
