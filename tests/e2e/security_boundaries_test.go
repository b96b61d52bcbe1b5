package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Names, logs, the admin endpoint, and what one request must not see of another.

// hostileNames are what a client might make a script name a worker.
var hostileNames = []string{
	"a\nb", "a\r\nX-Evil: 1", "\x1b[31mred", "\xff\xfe", "\xff\xff", "\"},{\"x\":\"", `a"b\c`, "a/b", "..", ".", "a b", "ä", "\u202egnp", "{env.HOME}", "%s%n",
	strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("ä", 200), "'; DROP TABLE", "<b>", "\x00", "a\x00b", "", "\t", "a\u2028b",
}

// Names that come from requests make no more pools than a catch-all may have, and spoil neither metrics nor reports nor logs.
func TestWorkerNamesFromRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Site: "php_server {\n name shop\n worker worker.php {\n  background\n }\n}",
		Files: harness.Files{
			"worker.php": `<?php $inbox = Igor\Worker::current(); echo "works for ", $_SERVER['FRANKENPHP_WORKER_NAME'], "\n";
				while ($task = $inbox->receive()) { $task->complete('done'); unset($task); }`,
			"index.php": `<?php try { echo Igor\Worker::send($_GET['name'], [])->await(); } catch (Throwable $e) { echo "refused"; }`,
		},
	})
	before := s.Threads()
	done := 0
	ask := func(name string) {
		t.Helper()
		switch r := s.Get("/?name=" + url.QueryEscape(name)); {
		case r.Status == 200 && r.Body == "done":
			done++
		case r.Status != 200 || r.Body != "refused":
			t.Errorf("a task for %q: %d %q", name, r.Status, r.Body)
		}
	}
	for _, name := range hostileNames {
		ask(name)
	}
	for i := range 500 {
		ask(fmt.Sprint("name ", i))
	}
	if done == 0 || done > 16 {
		t.Errorf("%d names had their task done; a catch-all's bound is 16", done)
	}
	if more := s.Threads() - before; more > 16+32 {
		t.Errorf("%d threads more", more)
	}
	metrics := s.AdminDo(http.MethodGet, "/metrics", "", "")
	if metrics.Status != 200 {
		t.Fatalf("metrics: %d %.500q", metrics.Status, metrics.Body)
	}
	series := 0
	for line := range strings.Lines(metrics.Body) {
		if strings.HasPrefix(line, "igor_tasks_accepted_total{") {
			series++
		}
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, " ") {
			t.Errorf("a line of metrics is %q", line)
		}
	}
	if series == 0 || series > 17 {
		t.Errorf("%d series for the pools of a catch-all, want at most one for each of 16 names and itself", series)
	}
	for _, path := range []string{"/igor/report", "/igor/pools", "/igor/tasks"} {
		if r := s.AdminDo(http.MethodGet, path, "", ""); r.Status != 200 || !json.Valid([]byte(r.Body)) {
			t.Errorf("%s: %d %.300q", path, r.Status, r.Body)
		}
	}
	// Each pool can be steered by the path that the list gives, whatever its name is.
	var pools []struct{ Name, Path string }
	if err := json.Unmarshal([]byte(s.AdminDo(http.MethodGet, "/igor/pools", "", "").Body), &pools); err != nil {
		t.Fatal(err)
	}
	for _, pool := range pools {
		if strings.Contains(pool.Name, "\uFFFD") {
			continue // two such names may look the same
		}
		if r := s.AdminDo(http.MethodGet, pool.Path, "", ""); r.Status != 200 && pool.Name != "" {
			t.Errorf("pool %q at %s: %d %s", pool.Name, pool.Path, r.Status, r.Body)
		}
	}
	onlyJSON(t, s)
}

// onlyJSON fails the test when anything in the log is not one line of JSON.
func onlyJSON(t *testing.T, s *harness.Server) {
	t.Helper()
	for _, e := range s.Log.Entries() {
		if e.Level == "" {
			t.Errorf("a line of the log is %q", e.Raw)
		}
		if strings.ContainsAny(e.Raw, "\x1b\r\x00") || !utf8.ValidString(e.Raw) {
			t.Errorf("a line of the log has what JSON must not have: %q", e.Raw)
		}
	}
}

// However it comes there, one message is one line of the log, and can't pose as another.
func TestLogsCannotBeForged(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   "log\n" + bothSite(backgroundWorker("prints", "prints.php", "num 1")),
		Files: func() harness.Files {
			files := bothFiles(`$v = $_GET['v'];
				error_log($v); error_log("$v$v", 0); trigger_error($v, E_USER_WARNING); frankenphp_log($v, 0, [$v => $v, 'level' => $v]);
				Igor\Worker::send('prints', [$v])->await();
				throw new Exception($v);`)
			files["prints.php"] = `<?php $inbox = Igor\Worker::current();
				while ($task = $inbox->receive()) { echo $task->payload[0]; error_log($task->payload[0]); $task->complete(''); unset($task); }`
			return files
		}(),
	})
	forged := "forged\n{\"level\":\"panic\",\"msg\":\"forged\"}\r\n\x1b[2Jforged\x00\xff\u2028end"
	for _, path := range bothWays {
		s.Get(path + "?v=" + url.QueryEscape(forged))
		exchangeRaw(t, s, join("GET "+path+"?v=x HTTP/1.1", "Host: "+host(s), "Connection: close", "User-Agent: \x85\"}{\xff", "Referer: {\"level\":\"panic\"}", ""))
	}
	s.WaitLog("Uncaught Exception: forged")
	s.WaitLogFor("what the worker prints", func(e harness.Entry) bool { return e.Field("stream") == "output" })
	onlyJSON(t, s)
	for _, e := range s.Log.Entries() {
		if e.Level == "panic" {
			t.Errorf("a message posed as a record: %s", e.Raw)
		}
	}
}

// The admin endpoint's routes of PHP are guarded as Caddy's own are: by the host that is asked for, by the origin where
// that is enforced, and against pages that send without asking.
func TestAdminIsGuarded(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	admin := "127.0.0.1:" + port
	s := harness.Start(t, harness.Config{
		Files: harness.Files{
			"index.php": `<?php echo Igor\Worker::send('w', [])->await();`,
			"w.php":     `<?php $boot = uniqid(); $inbox = Igor\Worker::current(); while ($task = $inbox->receive()) { $task->complete($boot); unset($task); }`,
		},
		Caddyfile: `{
			admin ` + admin + ` {
				enforce_origin
				origins trusted.example
			}
			persist_config off
			auto_https off
			log {
				format json
			}
		}
		{$IGOR_TEST_ADDRESS} {
			root .
			php_server {
				name shop
				` + backgroundWorker("w", "w.php", "num 1") + `
			}
		}`,
	})
	do := func(method, path string, headers ...string) int {
		t.Helper()
		request, err := http.NewRequest(method, "http://"+admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			if request.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
				request.Host = headers[i+1]
			}
		}
		response, err := s.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	boot := s.Get("/").Body
	restart := "/igor/pools/shop/w/restart"
	for what, headers := range map[string][]string{
		"no origin":        {},
		"another origin":   {"Origin", "http://evil.example"},
		"another host":     {"Host", "evil.example", "Origin", "http://trusted.example"},
		"no-cors":          {"Origin", "http://trusted.example", "Sec-Fetch-Mode", "no-cors"},
		"a form of a page": {"Origin", "http://evil.example", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Mode", "navigate"},
		"a null origin":    {"Origin", "null"},
	} {
		own := do(http.MethodGet, "/config/", headers...)
		for _, route := range []struct{ method, path string }{
			{http.MethodGet, "/igor/report"}, {http.MethodGet, "/igor/tasks"}, {http.MethodGet, "/frankenphp/threads"}, {http.MethodGet, "/metrics"},
			{http.MethodPost, restart}, {http.MethodPost, "/frankenphp/workers/restart"}, {http.MethodDelete, "/igor/tasks/1"},
		} {
			if got := do(route.method, route.path, headers...); got != own || got < 400 {
				t.Errorf("%s: %s %s answered %d, Caddy's own /config/ %d", what, route.method, route.path, got, own)
			}
		}
	}
	if now := s.Get("/").Body; now != boot {
		t.Error("the worker was restarted by somebody who must not")
	}
	trusted := []string{"Origin", "http://trusted.example", "Host", "trusted.example"}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} { // a link or an image does nothing
		if got := do(method, restart, trusted...); got != http.StatusMethodNotAllowed {
			t.Errorf("%s %s answered %d, want 405", method, restart, got)
		}
	}
	if got := do(http.MethodPost, restart, trusted...); got != 200 {
		t.Errorf("the trusted origin: %d", got)
	}
	if now := s.Get("/").Body; now == boot {
		t.Error("the restart did nothing")
	}
	// The visitors' listener has none of it.
	for _, path := range []string{"/metrics", "/config/", "/igor/report", "/debug/pprof/"} {
		if r := s.Get(path); len(r.Body) != len(boot) {
			t.Errorf("%s at the site: %d %.100q", path, r.Status, r.Body)
		}
	}
}

// Requests that break off, die or overflow leave nothing of theirs to the next one on the same thread.
func TestNothingOfABrokenRequestIsSeen(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 2\n php_ini memory_limit 16M\n}",
		Site:   bothSite(),
		Files: bothFiles(`
			$seen = [$_SERVER['PHP_AUTH_USER'] ?? null, $_SERVER['PHP_AUTH_PW'] ?? null, $_SERVER['HTTP_AUTHORIZATION'] ?? null, $_SERVER['HTTP_X_SECRET'] ?? null, $_COOKIE, $_POST,
				array_keys($_FILES), file_get_contents('php://input'), headers_list() === ['X-Powered-By: PHP/' . PHP_VERSION], ob_get_level(),
				http_response_code(), session_status(), getenv('LEAKED'), ini_get('precision'), error_get_last(), connection_aborted(), getallheaders()['X-Secret'] ?? null];
			if (isset($_GET['end'])) {
				header('X-Leaked: 1'); http_response_code(418); setcookie('leaked', '1'); ob_start(); ob_start(); echo "leaked"; putenv('LEAKED=1'); ini_set('precision', 3);
				@$undefined['x'] .= $nothing;
				switch ($_GET['end']) {
					case 'fatal': no_such_function(); break;
					case 'memory': str_repeat('x', 64 << 20); break;
					case 'exit': exit;
					case 'leave': while (!connection_aborted()) { echo str_repeat('.', 4096); while (ob_get_level()) ob_end_flush(); flush(); usleep(1000); } break;
				}
				return;
			}
			echo json_encode($seen);`),
	})
	for _, path := range bothWays {
		clean := s.Get(path).Body
		if !strings.HasPrefix(clean, `[null,null,null,null,[],[],[],"",true,0,`) {
			t.Fatalf("%s: a first request sees %s", path, clean)
		}
		for _, end := range []string{"return", "fatal", "memory", "exit", "leave", "half a form"} {
			length := "9"
			if end == "half a form" {
				length = "100000"
			}
			conn := dial(t, s)
			conn.send(t, "POST "+path+"?end="+strings.ReplaceAll(end, " ", "+")+" HTTP/1.1", "Host: "+host(s), "Authorization: Basic dXNlcjpwYXNz", "X-Secret: s", "Cookie: secret=1",
				"Content-Type: application/x-www-form-urlencoded", "Content-Length: "+length, "", "secret=")
			switch end {
			case "leave":
				if _, err := conn.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			case "half a form":
			default:
				conn.await(t)
			}
			conn.Conn.Close()
			for range 4 {
				// A worker that died starts again before it answers.
				if r := s.Get(path); r.Status != 200 || r.Body != clean || r.Header.Get("X-Leaked") != "" || r.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s, after one that ended by %q: %d %q %v, want %q", path, end, r.Status, r.Body, r.Header, clean)
				}
			}
		}
	}
}
