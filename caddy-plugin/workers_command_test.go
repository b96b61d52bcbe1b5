package igor

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestWorkersTable(t *testing.T) {
	report := testReport()
	report.Scopes[1].Pools[0].Breaker = "open"
	report.Scopes[1].Pools[0].LastFailure = &FailureReport{Message: "Parse error:\x1b[31m line 3"}
	report.Scopes[0].Pools[0].Workers[1].State = "lost"
	got := workersTable(&WholeReport{Version: "0.1", PHPVersion: "8.4.1", Report: &report}, 0, 0)
	const file = "testdata/workers_table.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if strings.ContainsRune(got, '\x1b') {
		t.Error("a script's message can steer the terminal")
	}
}

// TestWorkersTableFits: never wider or higher than the terminal.
func TestWorkersTableFits(t *testing.T) {
	report := testReport()
	text := workersTable(&WholeReport{Report: &report}, 60, 5)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[4], "... and 4 more") {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 60 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	report.Scopes = nil
	if text := workersTable(&WholeReport{Report: &report}, 0, 0); !strings.Contains(text, "There are no workers.") {
		t.Errorf("without workers: %s", text)
	}
}

func TestQuantile(t *testing.T) {
	for _, row := range []struct {
		counts []uint64
		share  float64
		want   string
	}{
		{[]uint64{0, 0, 0, 0}, 0.5, "-"},
		{[]uint64{0, 10, 10, 0}, 0.5, "10ms"},
		{[]uint64{0, 10, 10, 0}, 0.75, "55ms"},
		{[]uint64{4, 0, 0, 0}, 0.5, "500us"},
		{[]uint64{1, 0, 0, 9}, 0.95, ">100ms"},
		{[]uint64{0, 0, 1, 0}, 1, "100ms"},
	} {
		h := testHistograms(row.counts...)
		if got := h.quantile(&h.Run, row.share); got != row.want {
			t.Errorf("quantile(%v, %v) = %s, want %s", row.counts, row.share, got, row.want)
		}
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0us", 950 * time.Microsecond: "950us", 1500 * time.Microsecond: "1.5ms", 12 * time.Second: "12s",
		3 * time.Minute: "3m", 50 * time.Hour: "2.1d", 90 * time.Minute: "90m", 5 * time.Hour: "5h",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("shortDuration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestTasksTable(t *testing.T) {
	one := uint32(1)
	got := tasksTable(&TaskList{Omitted: 3, Tasks: []OneTask{
		{"global", "thumbs", TaskReport{ID: 9, State: taskRunning, AgeMS: 1200, PayloadBytes: 2048, Sender: "POST /up\nload.php", Worker: &one}},
		{"php_server 1", "mail", TaskReport{ID: 1000, State: taskQueued, AgeMS: 12, PayloadBytes: 220, Sender: "cli"}},
	}})
	const want = `  ID  SCOPE         POOL    STATE    WORKER   AGE     SIZE  SENDER
   9  global        thumbs  running       1  1.2s  2.0 KiB  POST /up?load.php
1000  php_server 1  mail    queued        -  12ms    220 B  cli
... and 3 more
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestChoosePool(t *testing.T) {
	pools := []PoolSummary{
		{Scope: "global", Name: "thumbs", Kind: kindTasks, Path: "/1"},
		{Scope: "shop", Name: "thumbs", Kind: kindTasks, Path: "/2"},
		{Scope: "shop", Name: "thumbs", Kind: kindRequests, Path: "/3"},
		{Scope: "shop", Name: "a/b", Kind: kindTasks, Path: "/4"},
	}
	for _, row := range []struct{ name, scope, kind, path, problem string }{
		{"global/thumbs", "", "", "/1", ""},
		{"thumbs", "global", "", "/1", ""},
		{"a/b", "", "", "/4", ""},
		{"shop/a/b", "", "", "/4", ""},
		{"shop/thumbs", "", "requests", "/3", ""},
		{"thumbs", "", "", "", `"thumbs" are several pools: global/thumbs (tasks), shop/thumbs (tasks), shop/thumbs (requests); say which with --scope or --kind`},
		{"mail", "", "", "", `there is no pool "mail"; there are global/thumbs, shop/thumbs, shop/thumbs, shop/a/b`},
	} {
		p, err := choosePool(pools, row.name, row.scope, row.kind)
		if row.problem != "" {
			if err == nil || err.Error() != row.problem {
				t.Errorf("%s: %v, want %s", row.name, err, row.problem)
			}
		} else if err != nil || p.Path != row.path {
			t.Errorf("%s: %+v, %v, want %s", row.name, p, err, row.path)
		}
	}
}

func TestExplain(t *testing.T) {
	c := &adminClient{address: "localhost:2019"}
	for given, want := range map[string]string{
		`caddy responded with error: HTTP 404: {"error":"there is no pool \"x\""}`: `there is no pool "x"`,
		`caddy responded with error: HTTP 404: 404 page not found`:                 "the server at localhost:2019 has no such endpoint: is it Igor, and of this version?",
		"performing request: dial tcp: connection refused":                         "no server answers at localhost:2019: performing request: dial tcp: connection refused; give the address of its admin endpoint with --address, or its configuration with --config",
	} {
		if got := c.explain(errors.New(given)).Error(); got != want {
			t.Errorf("explain(%s) = %s, want %s", given, got, want)
		}
	}
}

func TestExplainIll(t *testing.T) {
	for answer, want := range map[string]string{
		`caddy responded with error: HTTP 503: {"status":"not ready","problems":[{"problem":"draining","message":"the server shuts down"},` +
			`{"problem":"breaker_open","message":"pool \"a\u001b\" has given up"}]}`: `not ready: the server shuts down; pool "a?" has given up`,
		`caddy responded with error: HTTP 503: busy`: `caddy responded with error: HTTP 503: busy`,
		`no server answers`:                          `no server answers`,
	} {
		if got := explainIll(errors.New(answer)).Error(); got != want {
			t.Errorf("%s is told as %q, want %q", answer, got, want)
		}
	}
}
