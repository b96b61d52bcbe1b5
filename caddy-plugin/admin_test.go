package igor

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// adminDo asks the admin API as Caddy's mux would, and gives an error's status and text in Caddy's form.
func adminDo(t *testing.T, method, target string) (int, string, http.Header) {
	t.Helper()
	mux := http.NewServeMux()
	for _, route := range (Admin{}).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			err := route.Handler.ServeHTTP(w, r)
			if apiErr, ok := errors.AsType[caddy.APIError](err); ok {
				w.WriteHeader(apiErr.HTTPStatus)
				_, _ = w.Write([]byte(apiErr.Err.Error()))
			} else if err != nil {
				t.Errorf("%s %s: an error without a status: %v", method, target, err)
			}
		})
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Code, w.Body.String(), w.Header()
}

func adminJSON[T any](t *testing.T, target string) T {
	t.Helper()
	status, body, header := adminDo(t, http.MethodGet, target)
	if status != http.StatusOK || header.Get("Content-Type") != "application/json" {
		t.Fatalf("GET %s answers %d %q %q", target, status, header.Get("Content-Type"), body)
	}
	var value T
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("GET %s: %v in %s", target, err, body)
	}
	return value
}

func TestAdminShows(t *testing.T) {
	useFakeOperator(t, testReport())
	report := adminJSON[WholeReport](t, "/igor/report")
	if report.PHPVersion != bridge.PHPVersion() || len(report.Scopes) != 2 || report.HTTP.List[1].Request != "GET /x.php?a=1" {
		t.Errorf("report: %+v", report)
	}

	pools := adminJSON[[]PoolSummary](t, "/igor/pools")
	var paths []string
	for _, p := range pools {
		paths = append(paths, p.Path)
		one := adminJSON[OnePool](t, p.Path)
		if one.Scope != p.Scope || one.Name != p.Name || one.Kind != p.Kind || one.File != p.File {
			t.Errorf("%s leads to %s/%s (%s), not to %s/%s (%s)", p.Path, one.Scope, one.Name, one.Kind, p.Scope, p.Name, p.Kind)
		}
	}
	want := []string{"/igor/pools/global/thumbs", "/igor/pools/php_server%201/%2Fsrv%2Fapp%2Findex.php",
		"/igor/pools/php_server%201/thumbs?kind=tasks", "/igor/pools/php_server%201/thumbs?kind=requests", "/igor/pools/php_server%201/a%2Fb"}
	if !slices.Equal(paths, want) {
		t.Errorf("paths:\n got %q\nwant %q", paths, want)
	}
	if p := pools[0]; p.Workers["busy"] != 1 || p.Workers["idle"] != 1 || p.Workers["lost"] != 0 || p.InFlight != 3 {
		t.Errorf("summary: %+v", p)
	}

	tasks := adminJSON[TaskList](t, "/igor/tasks")
	if len(tasks.Tasks) != 2 || tasks.Omitted != 1 || tasks.Tasks[0].Pool != "thumbs" || tasks.Tasks[0].Sender != "POST /upload.php" || tasks.Tasks[1].Worker != nil {
		t.Errorf("tasks: %+v", tasks)
	}
}

// TestAdminSteers compares what is asked of the library, and each refusal.
func TestAdminSteers(t *testing.T) {
	for _, row := range []struct {
		method, target string
		answer         error // of the library
		status         int
		text           string // in the body
		call           string // of the library; empty: none
	}{
		{"POST", "/igor/pools/global/thumbs/pause", nil, 200, `"name":"thumbs"`, "pause 11"},
		{"POST", "/igor/pools/global/thumbs/resume", nil, 200, "", "resume 11"},
		{"POST", "/igor/pools/global/thumbs/drain", nil, 200, "", "drain 11"},
		{"POST", "/igor/pools/global/thumbs/restart", nil, 200, "", "restart 11"},
		{"POST", "/igor/pools/php_server%201/%2Fsrv%2Fapp%2Findex.php/restart", nil, 200, "", "restart 12"},
		{"POST", "/igor/pools/php_server%201/thumbs/restart", nil, 409, `add "?kind=tasks"`, ""},
		{"POST", "/igor/pools/php_server%201/thumbs/restart?kind=requests", nil, 200, `"handle":14`, "restart 14"},
		{"POST", "/igor/pools/php_server%201/thumbs/restart?kind=http", nil, 400, `must be "tasks" or "requests"`, ""},
		{"POST", "/igor/pools/php_server%201/a%2Fb/restart", nil, 200, `"catch_all":true`, "restart 15"},
		{"POST", "/igor/pools/php_server%201/a%2Fb/workers/0/restart", nil, 200, "", "restart worker 0 of 15"},
		{"POST", "/igor/pools/global/nobody/pause", nil, 404, "GET /igor/pools lists", ""},
		{"POST", "/igor/pools/nowhere/thumbs/pause", nil, 404, `no pool "thumbs" in scope "nowhere"`, ""},
		{"POST", "/igor/pools/global/thumbs/stop", nil, 404, "no endpoint", ""},
		{"POST", "/igor/pools/php_server%201/%2Fsrv%2Fapp%2Findex.php/pause", nil, 409, "not be made to pause", ""},
		{"GET", "/igor/pools/global/thumbs/pause", nil, 405, "takes POST", ""},
		{"DELETE", "/igor/report", nil, 405, "takes GET", ""},
		{"GET", "/igor/", nil, 404, "no endpoint", ""},
		{"POST", "/igor/pools/global/thumbs/restart", &bridge.Error{Message: "the script failed: Parse error"}, 500, "Parse error", "restart 11"},
		{"POST", "/igor/pools/global/thumbs/pause", bridge.ErrInvalid, 409, "", "pause 11"},
		{"POST", "/igor/pools/global/thumbs/pause", bridge.ErrState, 409, "", "pause 11"},
		{"POST", "/igor/pools/global/thumbs/restart", bridge.ErrTimeout, 504, "", "restart 11"},
		{"POST", "/igor/pools/global/thumbs/restart", bridge.ErrGone, 404, "reloaded meanwhile", "restart 11"},
		{"POST", "/igor/pools/global/thumbs/workers/1/restart", nil, 200, "", "restart worker 1 of 11"},
		{"POST", "/igor/pools/global/thumbs/workers/7/restart", bridge.ErrGone, 404, `no worker 7; GET /igor/pools/global/thumbs lists`, "restart worker 7 of 11"},
		{"POST", "/igor/pools/global/thumbs/workers/-1/restart", nil, 404, "no worker -1", ""},
		{"DELETE", "/igor/tasks/9", nil, 200, `"cancelled":true`, "cancel 9 of 7"},
		{"DELETE", "/igor/tasks/8", bridge.ErrGone, 404, "no task 8 is under way", "cancel 8 of 7"},
		{"DELETE", "/igor/tasks/x", nil, 404, "no task x is under way", ""},
		{"POST", "/igor/tasks/9", nil, 405, "takes DELETE", ""},
	} {
		t.Run(row.method+" "+row.target, func(t *testing.T) {
			o := useFakeOperator(t, testReport())
			o.answers[row.call] = row.answer
			status, body, header := adminDo(t, row.method, row.target)
			if status != row.status || !strings.Contains(body, row.text) {
				t.Errorf("answers %d %q, want %d with %q", status, body, row.status, row.text)
			}
			if (status == 405) != (header.Get("Allow") != "") {
				t.Errorf("%d with Allow: %q", status, header.Get("Allow"))
			}
			if calls := strings.Join(o.calls(), ","); calls != row.call {
				t.Errorf("asked the library for %q, want %q", calls, row.call)
			}
		})
	}
}

// TestCancelDuringAReload: the configuration before still has its tasks.
func TestCancelDuringAReload(t *testing.T) {
	o := useFakeOperator(t, testReport())
	newer := newLoad()
	newer.generation = 8
	running.add(newer)
	defer running.remove(newer)
	o.answers["cancel 9 of 8"] = bridge.ErrGone
	if status, body, _ := adminDo(t, "DELETE", "/igor/tasks/9"); status != 200 {
		t.Errorf("answers %d %q", status, body)
	}
	if calls := o.calls(); !slices.Equal(calls, []string{"cancel 9 of 7", "cancel 9 of 8"}) {
		t.Errorf("asked for %q", calls)
	}
}

func TestAdminWithoutPHP(t *testing.T) {
	useFakeOperator(t, testReport())
	running.remove(running.newest())
	for _, target := range []string{"/igor/report", "/igor/pools", "/igor/pools/global/thumbs", "/igor/tasks"} {
		if status, body, _ := adminDo(t, "GET", target); status != 503 || !strings.Contains(body, "PHP is not running") {
			t.Errorf("GET %s answers %d %q", target, status, body)
		}
	}
	if status, body, _ := adminDo(t, "DELETE", "/igor/tasks/9"); status != 404 {
		t.Errorf("cancelling answers %d %q", status, body)
	}
	if threads := adminJSON[debugState](t, "/frankenphp/threads"); len(threads.ThreadDebugStates) != 0 {
		t.Errorf("threads: %+v", threads)
	}
}

func TestFrankenPHPRestart(t *testing.T) {
	o := useFakeOperator(t, testReport())
	status, body, _ := adminDo(t, "POST", "/frankenphp/workers/restart")
	if status != 200 || body != "workers restarted successfully\n" {
		t.Errorf("answers %d %q", status, body)
	}
	if calls := o.calls(); !slices.Equal(calls, []string{"restart 11", "restart 12", "restart 13", "restart 14", "restart 15"}) {
		t.Errorf("restarted %q", calls)
	}
	o.answers["restart 12"] = errors.New("Parse error on line 3")
	status, body, _ = adminDo(t, "POST", "/frankenphp/workers/restart")
	if status != 500 || body != `pool "/srv/app/index.php" of scope "php_server 1": Parse error on line 3` {
		t.Errorf("answers %d %q", status, body)
	}
	if status, body, _ := adminDo(t, "GET", "/frankenphp/workers/restart"); status != 405 || !strings.Contains(body, "method not allowed") {
		t.Errorf("GET answers %d %q", status, body)
	}
}

// TestFrankenPHPThreads compares with a document in FrankenPHP's form, name by name.
func TestFrankenPHPThreads(t *testing.T) {
	report := testReport()
	got, err := json.MarshalIndent(threadStates(&report, time.UnixMilli(1_000_000)), "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/frankenphp_threads.json", append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("testdata/frankenphp_threads.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != strings.TrimSpace(string(want)) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
