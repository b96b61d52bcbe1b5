package igor

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

func routing(t *testing.T, workers ...WorkerConfig) *httpRouting {
	t.Helper()
	s, err := newScopeConfig(workers)
	if err != nil {
		t.Fatal(err)
	}
	return &s.routing
}

func TestHTTPWorkersAreFound(t *testing.T) {
	dir := site(t, map[string]string{"real/index.php": ""})
	if err := os.Symlink("real", "link"); err != nil {
		t.Fatal(err)
	}
	r := routing(t,
		WorkerConfig{FileName: "/srv/app/index.php"},
		WorkerConfig{FileName: filepath.Join(dir, "link/index.php")},
		WorkerConfig{FileName: "/srv/api.php", MatchPath: []string{"/API/*", "/rpc"}},
		WorkerConfig{FileName: "/srv/late.php", MatchPath: []string{"/api/late/*", "*.json"}},
		WorkerConfig{Name: "background", FileName: "/srv/app/background.php", Background: true},
	)
	for _, c := range []struct{ path, file, want string }{
		{"/index.php", "/srv/app/index.php", "/srv/app/index.php"},
		{"/other.php", "/srv/app/other.php", ""},
		{"/background.php", "/srv/app/background.php", ""},
		{"/index.php", filepath.Join(dir, "link/index.php"), filepath.Join(dir, "link/index.php")},
		{"/index.php", filepath.Join(dir, "real/index.php"), filepath.Join(dir, "link/index.php")},
		{"/api/x", "/srv/app/api/x", "/srv/api.php"}, // Caddy's matchers don't mind the case
		{"/api/late/x", "/srv/app/api/late/x", "/srv/api.php"},
		{"/rpc", "/srv/app/rpc", "/srv/api.php"},
		{"/rpc/x", "/srv/app/rpc/x", ""},
		{"/a/b.json", "/srv/app/a/b.json", "/srv/late.php"},
		// A pattern is stronger than a file.
		{"/api/index.php", "/srv/app/index.php", "/srv/api.php"},
	} {
		got := r.find(request("GET", c.path, nil), c.file)
		if name := fileOf(got); name != c.want {
			t.Errorf("%s, %s: %q, want %q", c.path, c.file, name, c.want)
		}
	}
}

func fileOf(w *httpWorker) string {
	if w == nil {
		return ""
	}
	return w.config.FileName
}

// TestFindingAWorkerIsFree: it is done for each request.
func TestFindingAWorkerIsFree(t *testing.T) {
	r := routing(t, WorkerConfig{FileName: "/srv/app/index.php"})
	matching := routing(t, WorkerConfig{FileName: "/srv/api.php", MatchPath: []string{"/api/*"}})
	req := request("GET", "/api/users", nil)
	if n := testing.AllocsPerRun(100, func() {
		if r.find(req, "/srv/app/index.php") == nil || r.find(req, "/srv/app/other.php") != nil || new(httpRouting).find(req, "/x") != nil {
			t.Error("found wrongly")
		}
	}); n != 0 {
		t.Errorf("%v allocations to find a worker by its file", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if matching.find(req, "/x") == nil {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations to match a path", n)
	}
}

func TestScriptOfAWorker(t *testing.T) {
	p := scriptPath{name: "/index.php", pathInfo: "/a", filename: "/srv/real/index.php"}
	byFile := &httpWorker{config: &WorkerConfig{FileName: "/srv/link/index.php"}}
	if got := byFile.script(p); got != (scriptPath{"/index.php", "/a", "/srv/link/index.php"}) {
		t.Errorf("by file: %+v", got)
	}
	matching := &httpWorker{config: &WorkerConfig{FileName: "/srv/api.php"}, match: caddyhttp.MatchPath{"/api/*"}}
	if got := matching.script(scriptPath{name: "/api/users", filename: "/srv/public/api/users"}); got != (scriptPath{"/api.php", "", "/srv/api.php"}) {
		t.Errorf("by match: %+v", got)
	}
	if got := matching.script(scriptPath{name: "/api.php", pathInfo: "/users", filename: "/srv/api.php"}); got != (scriptPath{"/api.php", "/users", "/srv/api.php"}) {
		t.Errorf("by match, and its own script: %+v", got)
	}
}

func TestHTTPWorkerNames(t *testing.T) {
	workers := []WorkerConfig{
		{FileName: "/a.php"},
		{FileName: "/a.php", MatchPath: []string{"/x"}},
		{FileName: "/a.php", MatchPath: []string{"/y"}},
		{FileName: "/b.php", Name: "/c.php"},
		{FileName: "/c.php"},
		{FileName: "/d.php", Background: true},
	}
	nameHTTPWorkers(workers)
	var names []string
	for _, w := range workers {
		names = append(names, w.Name)
	}
	if want := []string{"/a.php", "/a.php#2", "/a.php#3", "/c.php", "/c.php#2", ""}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestOneFileTwice(t *testing.T) {
	for _, files := range [][2]string{{"/srv/a.php", "/srv/a.php"}} {
		_, err := newScopeConfig([]WorkerConfig{{FileName: files[0]}, {FileName: files[1]}})
		if err == nil || !strings.Contains(err.Error(), `its file /srv/a.php is that of worker`) {
			t.Errorf("%q: %v", files, err)
		}
	}
}

func TestThreadPlan(t *testing.T) {
	standard := defaultThreads()
	worker := func(num, maxThreads int) *WorkerConfig {
		return &WorkerConfig{FileName: "w", Num: threads(num), MaxThreads: maxThreads}
	}
	for name, c := range map[string]struct {
		app     App
		workers []*WorkerConfig
		want    threadPlan
		err     string
	}{
		"nothing said":               {want: threadPlan{standard, standard, 0}},
		"num_threads":                {app: App{NumThreads: 7}, want: threadPlan{7, 7, 0}},
		"workers are part of it":     {app: App{NumThreads: 7}, workers: []*WorkerConfig{worker(2, 0), worker(3, 0)}, want: threadPlan{7, 2, 0}},
		"none left":                  {app: App{NumThreads: 5}, workers: []*WorkerConfig{worker(2, 0), worker(3, 0)}, err: "num_threads 5: HTTP workers alone have 5 threads (\"num\"), and one more is needed for other scripts; raise num_threads to 6 at least"},
		"more workers than standard": {workers: []*WorkerConfig{worker(standard+4, 0)}, want: threadPlan{standard + 5, 1, 0}},
		"max_threads":                {app: App{NumThreads: 4, MaxThreads: 10}, want: threadPlan{4, 4, 6}},
		"max_threads alone":          {app: App{MaxThreads: standard + 3}, want: threadPlan{standard, standard, 3}},
		"max_threads below standard": {app: App{MaxThreads: 2}, want: threadPlan{2, 2, 0}},
		"max_threads and workers":    {app: App{MaxThreads: standard + 3}, workers: []*WorkerConfig{worker(standard+1, 0)}, want: threadPlan{standard + 2, 1, 1}},
		"max_threads too low":        {app: App{MaxThreads: 3}, workers: []*WorkerConfig{worker(3, 0)}, err: "max_threads 3: HTTP workers alone have 3 threads"},
		"a worker's max_threads":     {app: App{NumThreads: 8}, workers: []*WorkerConfig{worker(2, 5), worker(1, 2)}, want: threadPlan{8, 5, 4}},
		"a worker above all":         {app: App{MaxThreads: 8}, workers: []*WorkerConfig{worker(2, 9)}, err: `max_threads 9 of worker "w": is above the global max_threads 8`},
		"too many":                   {workers: []*WorkerConfig{worker(4096, 0)}, err: "4096 are possible all in all"},
	} {
		got, err := c.app.plan(c.workers)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %s", name, err, c.err)
			}
		case err != nil || got != c.want:
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	auto := App{NumThreads: 4, MaxThreads: autoThreads, PHPIni: map[string]string{"memory_limit": "-1"}}
	if got, err := auto.plan(nil); err != nil || got != (threadPlan{4, 4, 4}) {
		t.Errorf("auto without a memory limit: %+v, %v", got, err)
	}
}

func TestAutoMaxThreads(t *testing.T) {
	dir := t.TempDir()
	meminfo, cgroup := filepath.Join(dir, "meminfo"), filepath.Join(dir, "memory.max")
	if got := availableMemory(meminfo, cgroup); got != 0 {
		t.Errorf("without either file: %d", got)
	}
	if err := os.WriteFile(meminfo, []byte("MemFree: 1 kB\nMemTotal:        2048 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := availableMemory(meminfo, cgroup); got != 2<<20 {
		t.Errorf("of the machine: %d", got)
	}
	for limit, want := range map[string]uint64{"max\n": 2 << 20, "1048576\n": 1 << 20, "9999999999\n": 2 << 20} {
		if err := os.WriteFile(cgroup, []byte(limit), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := availableMemory(meminfo, cgroup); got != want {
			t.Errorf("container with %q: %d, want %d", limit, got, want)
		}
	}
	for text, want := range map[string]int64{"128M": 128 << 20, "1g": 1 << 30, "64K": 64 << 10, "-1": -1, "100": 100, "": 0, "much": 0, " 2 M ": 2 << 20} {
		if got := iniBytes(text); got != want {
			t.Errorf("iniBytes(%q) = %d, want %d", text, got, want)
		}
	}
	if got := autoMaxThreads(3, "1T"); got != 6 {
		t.Errorf("a limit that is none: %d", got)
	}
}

func TestThreadCounts(t *testing.T) {
	for text, want := range map[string]int{"3": 3, "auto": 4, "50%": 2, "1%": 1, "300%": 12} {
		c, err := parseThreadCount(text)
		if err != nil || c.on(4) != want {
			t.Errorf("%s of 4 CPUs: %d, %v, want %d", text, c.on(4), err, want)
		}
		data, err := c.MarshalJSON()
		var again ThreadCount
		if err != nil || again.UnmarshalJSON(data) != nil || again != c {
			t.Errorf("%s: %s became %v", text, data, again)
		}
	}
	two := 2 * runtime.GOMAXPROCS(0)
	for want, w := range map[int]WorkerConfig{
		two:     {},
		1:       {MaxThreads: 1},
		two + 1: {Num: threads(two + 1)},
		0:       {Background: true},
	} {
		if got := w.threads(); got != want {
			t.Errorf("%+v starts %d threads, want %d", w, got, want)
		}
	}
	share := WorkerConfig{Background: true, Name: "w", FileName: "w.php", Num: ThreadCount{Percent: maxPercent}, MaxThreads: 2}
	if got := share.threads(); got != 2 || share.check() != nil {
		t.Errorf("a share that is above max_threads: %d", got)
	}
}

// TestPoolsOfHTTPWorkers: what the library is asked for.
func TestPoolsOfHTTPWorkers(t *testing.T) {
	b := useFakeBackend(t)
	a := fakeApp(
		WorkerConfig{FileName: "/srv/a.php", Num: threads(2), MaxWaitTime: 5},
		WorkerConfig{FileName: "/srv/b.php", Num: threads(1), MaxThreads: 3, MaxRequests: 7},
		WorkerConfig{FileName: "/srv/c.php", Name: "c", Background: true, Dispatch: "round_robin", MaxTasks: 9, PHPIni: map[string]string{"memory_limit": "1G"}},
	)
	a.NumThreads, a.MaxThreads, a.MaxRequests = 5, 9, 100
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if e := b.engines[0]; e.SpareThreads != 4 || e.MaxRequests != 100 {
		t.Errorf("engine: %+v", e)
	}
	first, second, third := b.pools[0], b.pools[1], b.pools[2]
	if first.Kind != bridge.Requests || first.Name != "/srv/a.php" || first.Num != 2 || first.MaxThreads != 6 || first.MaxTasks != 100 || first.MaxWait != 5 {
		t.Errorf("first: %+v", first)
	}
	if second.MaxThreads != 3 || second.MaxTasks != 7 {
		t.Errorf("second: %+v", second)
	}
	if third.Kind != bridge.Tasks || third.Dispatch != bridge.RoundRobin || third.MaxTasks != 9 || third.INI != "memory_limit=1G\n" || third.MaxThreads != 0 {
		t.Errorf("third: %+v", third)
	}
	w := a.global.routing.find(request("GET", "/", nil), "/srv/a.php")
	if w.pool != 1 || cap(w.gate.free) != 12 || w.gate.maxWait != 5 {
		t.Errorf("its place in the routing: %+v, %d", w, cap(w.gate.free))
	}
	_ = a.Stop()
	<-a.load.retired
}

func TestHide(t *testing.T) {
	for path, hidden := range map[string]bool{
		"/.env": true, "/.git/config": true, "/a/.htpasswd": true, "/a/b.css": false, "/": false, "": false,
		"/.well-known/security.txt": false, "/.well-known": false, "/.well-known/.env": true, "/.well-knownish": true,
		"/a/.well-known/x": true, "/./a.css": false, "/a/../b.css": false, "/a/../.env": true, "//.env": true, "/a//b": false,
		"/..env": true, "/a.b.c": false, "/x.php": true, "/x.PHP": true, "/x.php/": true, "/x.phps": false, ".env": true,
		"/.well-known/../.env": true,
	} {
		w, called := httptest.NewRecorder(), false
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		err := Hide{}.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			called = true
			return nil
		}))
		handlerErr, _ := errors.AsType[caddyhttp.HandlerError](err)
		if called == hidden || hidden && handlerErr.StatusCode != http.StatusNotFound {
			t.Errorf("%q: served %v, %v", path, called, err)
		}
	}
}

func TestFilesFirst(t *testing.T) {
	dir := site(t, map[string]string{"public/api/doc.html": "", "public/api/index.php": ""})
	h := &Handler{FilesFirst: true, SplitPath: []string{".php"}, load: newLoad(), files: documentRoot{dir: dir + "/public"}}
	h.load.engine = &engine{permits: newPermits(1, 0, 0, 0, nil, nil), backend: &fakeBackend{}}
	h.load.once.Do(func() { close(h.load.opened) })
	h.scope, h.app = &scopeConfig{}, &App{}
	for path, want := range map[string]bool{"/api/doc.html": true, "/api/none.html": false, "/api/index.php": false, "/api/": false, "/api": false} {
		passed := false
		// The engine is not there, so that what PHP should answer is refused.
		_ = h.ServeHTTP(httptest.NewRecorder(), request("GET", path, nil), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			passed = true
			return nil
		}))
		if passed != want {
			t.Errorf("%s: left to the file server: %v, want %v", path, passed, want)
		}
	}
}

// TestScopeLabels: stable names for php_servers, from real configurations.
func TestScopeLabels(t *testing.T) {
	useFakeBackend(t)
	dir := site(t, map[string]string{"x/i": "", "y/i": ""})
	labels := func(caddyfile string) []string {
		config, err := adapt(t, caddyfile)
		if err != nil {
			t.Fatal(err)
		}
		var cfg *caddy.Config
		if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
			t.Fatal(err)
		}
		ctx, err := caddy.ProvisionContext(cfg)
		if err != nil {
			t.Fatal(err)
		}
		app, err := appOf(ctx)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ctx.App("http")
		if err != nil {
			t.Fatal(err)
		}
		labelScopes(app.scopes, v.(*caddyhttp.App))
		var names []string
		for _, s := range app.scopes {
			names = append(names, s.label)
		}
		slices.Sort(names)
		return names
	}
	for _, c := range []struct {
		caddyfile string
		want      []string
	}{
		{":8080 {\n\tphp_server\n}", []string{":8080"}},
		{"http://a.test, http://b.test {\n\tphp_server\n}", []string{"a.test"}},
		{"http://a.test {\n\tphp_server\n}\nhttp://b.test {\n\tphp_server\n}", []string{"a.test", "b.test"}},
		{"http://a.test {\n\tphp_server {\n\t\tname shop\n\t}\n}\nhttp://b.test {\n\tphp_server\n}", []string{"b.test", "shop"}},
		{"http://a.test {\n\tphp_server /x/* {\n\t\troot {dir}/x\n\t}\n\tphp_server {\n\t\troot {dir}/y\n\t}\n}", []string{"a.test " + dir + "/x", "a.test " + dir + "/y"}},
		{"http://a.test {\n\tphp_server /x/*\n\thandle /y/* {\n\t\tphp\n\t}\n}", []string{"a.test", "a.test #2"}},
		{"http://a.test {\n\tphp_server {\n\t\tname b.test\n\t}\n}\nhttp://b.test {\n\tphp_server\n}", []string{"b.test", "b.test #2"}},
	} {
		if got := labels(strings.ReplaceAll(c.caddyfile, "{dir}", dir)); !slices.Equal(got, c.want) {
			t.Errorf("%s\n got %q\nwant %q", c.caddyfile, got, c.want)
		}
	}
}
