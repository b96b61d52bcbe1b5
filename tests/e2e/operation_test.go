package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The admin API, metrics, health and commands of a real server: what they say is compared with what the test did.

// operated is a server whose worker does as it is told, with one more pool that a test may break.
func operated(t testing.TB, workerLines ...string) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Config{Files: operatedFiles, Global: "igor {\n num_threads 16\n}", Site: operatedSite(workerLines...)})
}

func operatedSite(workerLines ...string) string {
	return "igor_health /readyz ready\nigor_health /livez live\nmetrics /metrics\nphp_server {\n name shop\n" +
		backgroundWorker("obedient", "obedient.php", workerLines...) + "}"
}

var operatedFiles = harness.Files{
	// Tells by a number of its own which run it is.
	"obedient.php": `<?php
		if (is_file(__DIR__ . '/broken')) throw new LogicException('broken');
		$boot = bin2hex(random_bytes(8));
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) {
			$do = $job->payload;
			match ($do['do']) {
				'boot' => $job->update(['boot' => $boot]),
				'exit' => exit(3),
				'throw' => throw new DomainException('as told'),
				// Nothing ends the wait for a child but the child's end.
				'child' => [$job->update(['at the gate' => true]), exec('cat ' . escapeshellarg($do['gate']))],
				'gate' => [$job->update(['at the gate' => true]), file_get_contents($do['gate'])],
			};
			$job->complete();
		}`,
	"index.php": `<?php
		if (!isset($_GET['do'])) { echo 'hello'; return; }
		try {
			$task = frankenphp_worker_task_send('obedient', $_GET, 20);
			$all = [];
			while (($update = frankenphp_worker_task_read($task)) !== null) $all[] = $update;
			echo json_encode($all);
		} catch (Throwable $e) {
			echo get_class($e), ': ', $e->getMessage(), ' <- ', $e->getPrevious()?->getReason()->name, ': ', $e->getPrevious()?->getErrorMessage();
		}`,
}

// scrape gives the values of /metrics by series, also while a reload is under way.
func scrape(t testing.TB, s *harness.Server) map[string]float64 {
	t.Helper()
	values := make(map[string]float64)
	for line := range strings.Lines(getBesideReload(t, s, "/metrics").MustContain(200).Body) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			values[line[:at]] = value
		}
	}
	return values
}

const obedientPath = "/igor/pools/shop/obedient"

type operatedPool struct {
	Name    string
	State   string
	Breaker string
	Queue   struct {
		Length         int
		BlockedSenders int `json:"blocked_senders"`
	}
	Workers []struct {
		Index  int
		State  string
		Starts int
		Old    bool
	}
	Tasks []operatedTask
}

type operatedTask struct {
	ID     uint64
	State  string
	Sender string
	Pool   string
	Old    bool
}

func poolOf(t testing.TB, s *harness.Server, path string) operatedPool {
	t.Helper()
	return jsonOf[operatedPool](t, s.AdminDo(http.MethodGet, path, "", ""))
}

func post(t testing.TB, s *harness.Server, path string) {
	t.Helper()
	s.AdminDo(http.MethodPost, path, "", "").MustContain(200)
}

// bootOf asks the pool's worker which run of its script it is.
func bootOf(t testing.TB, s *harness.Server) string {
	t.Helper()
	answer := jsonOf[[]map[string]string](t, s.Get("/?do=boot"))
	if len(answer) != 1 || answer[0]["boot"] == "" {
		t.Fatalf("got %v", answer)
	}
	return answer[0]["boot"]
}

// TestMetricsAreWhatHappened: known numbers of each end, and the same after a reload.
func TestMetricsAreWhatHappened(t *testing.T) {
	t.Parallel()
	quick := []string{"num 1", "queue 100", "max_consecutive_failures -1", "restart_backoff 1ms 1ms"}
	s := operated(t, quick...)
	for range 7 {
		s.Get("/?do=boot").MustContain(200, "boot")
	}
	for range 2 {
		s.Get("/?do=exit").MustContain(200, "RuntimeException")
	}
	for range 3 {
		s.Get("/?do=throw").MustContain(200, "RuntimeException")
	}
	// One more is cancelled while it runs.
	g := newGate(t)
	answer := make(chan harness.Response, 1)
	go func() {
		r, err := s.TryGet("/?do=gate&gate=" + url.QueryEscape(g.path))
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	gate := g.awaitReader(t)
	tasks := jsonOf[struct{ Tasks []operatedTask }](t, s.AdminDo(http.MethodGet, "/igor/tasks", "", "")).Tasks
	if len(tasks) != 1 || tasks[0].State != "running" || tasks[0].Pool != "obedient" || !strings.HasPrefix(tasks[0].Sender, "GET /") {
		t.Fatalf("tasks under way: %+v", tasks)
	}
	s.AdminDo(http.MethodDelete, fmt.Sprintf("/igor/tasks/%d", tasks[0].ID), "", "").MustContain(200, `"cancelled":true`)
	(<-answer).MustContain(200, "Abandoned: cancelled by an operator")
	s.AdminDo(http.MethodDelete, fmt.Sprintf("/igor/tasks/%d", tasks[0].ID), "", "").MustContain(404, "GET /igor/tasks lists")
	gate.Close()
	bootOf(t, s) // the worker goes on

	series := func(name, more string) string {
		return name + `{kind="tasks",` + more + `pool="obedient",scope="shop"}`
	}
	ended := func(outcome, reason string) string {
		return `igor_tasks_ended_total{kind="tasks",outcome="` + outcome + `",pool="obedient",reason="` + reason + `",scope="shop"}`
	}
	restarts := func(reason string) string {
		return `igor_worker_restarts_total{kind="tasks",pool="obedient",reason="` + reason + `",scope="shop"}`
	}
	want := map[string]float64{
		series("igor_tasks_accepted_total", ""):         14,
		series("igor_tasks_started_total", ""):          14,
		series("igor_tasks_refused_total", ""):          0,
		series("igor_tasks_in_flight", ""):              0,
		ended("completed", ""):                          8,
		ended("cancelled", ""):                          1,
		ended("failed", "exited"):                       2,
		ended("failed", "uncaught_exception"):           3,
		ended("failed", "fatal_error"):                  0,
		series("igor_task_updates_total", ""):           9,
		series("igor_task_wait_seconds_count", ""):      14,
		series("igor_task_duration_seconds_count", ""):  14,
		restarts("crashed"):                             5,
		series("igor_worker_crashes_total", ""):         5,
		series("igor_worker_starts_total", ""):          6,
		series("igor_queue_bound", ""):                  100,
		series("igor_queue_length", ""):                 0,
		`frankenphp_worker_crashes{worker="obedient"}`:  5,
		`frankenphp_worker_restarts{worker="obedient"}`: 0,
		`frankenphp_total_workers{worker="obedient"}`:   1,
		`frankenphp_ready_workers{worker="obedient"}`:   1,
		"igor_up":    1,
		"igor_ready": 1,
	}
	compare := func(when string) {
		t.Helper()
		eventually(t, "metrics "+when, func() error {
			got := scrape(t, s)
			for name, value := range want {
				if actual, there := got[name]; !there || actual != value {
					return fmt.Errorf("%s is %v (there: %v), want %v", name, actual, there, value)
				}
			}
			return nil
		})
	}
	compare("after a known number of tasks")

	// A reload that keeps the pool, and one that makes a successor of it: nothing begins again at 0.
	s.Reload(harness.Config{Global: "igor {\n num_threads 16\n}\n# changed", Site: operatedSite(quick...)}).MustContain(200)
	compare("after a reload without a change to the pool")
	s.Reload(harness.Config{Global: "igor {\n num_threads 16\n}", Site: operatedSite(append(quick, "updates 3")...)}).MustContain(200)
	want[series("igor_worker_starts_total", "")] = 7
	compare("after a reload that replaced the pool")
	bootOf(t, s)
	want[series("igor_tasks_accepted_total", "")]++
	want[series("igor_tasks_started_total", "")]++
	want[ended("completed", "")]++
	want[series("igor_task_updates_total", "")]++
	want[series("igor_task_wait_seconds_count", "")]++
	want[series("igor_task_duration_seconds_count", "")]++
	compare("of the successor")
}

// TestPauseAndResume: a paused pool holds what comes, and a resume lets it go.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := operated(t, "num 1", "queue 10")
	before := bootOf(t, s)
	for _, action := range []string{"pause", "drain"} {
		post(t, s, obedientPath+"/"+action)
		if action == "drain" {
			eventually(t, "the drain", func() error {
				if p := poolOf(t, s, obedientPath); p.State != "drained" {
					return fmt.Errorf("%+v", p)
				}
				return nil
			})
			s.AdminDo(http.MethodPost, obedientPath+"/restart", "", "").MustContain(http.StatusConflict, "is drained: resume it instead")
		} else if p := poolOf(t, s, obedientPath); p.State != "paused" {
			t.Fatalf("%+v", p)
		}
		answers := make([]harness.Response, 3)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				var err error
				if answers[i], err = s.TryGet("/?do=boot"); err != nil {
					t.Error(err)
				}
			})
		}
		eventually(t, "three queued tasks", func() error {
			if p := poolOf(t, s, obedientPath); p.Queue.Length != 3 || len(p.Tasks) != 3 || p.Tasks[0].State != "queued" {
				return fmt.Errorf("%+v", p)
			}
			return nil
		})
		// Held on purpose: the server is ready all the same.
		s.Get("/readyz").MustContain(200, `"ready"`)
		post(t, s, obedientPath+"/resume")
		all.Wait()
		for _, r := range answers {
			answer := jsonOf[[]map[string]string](t, r)
			if same := answer[0]["boot"] == before; same != (action == "pause") {
				t.Errorf("%s: answered by run %s, before it was %s", action, answer[0]["boot"], before)
			}
		}
		if p := poolOf(t, s, obedientPath); p.State != "running" {
			t.Errorf("after the resume: %+v", p)
		}
	}
}

// TestRestarts: of a pool, of one worker, and of all as FrankenPHP does; each time another run answers.
func TestRestarts(t *testing.T) {
	t.Parallel()
	s := operated(t, "num 1")
	last := bootOf(t, s)
	changed := func(what string) {
		t.Helper()
		eventually(t, what, func() error { // one worker is told to stop, and is not waited for
			boot := bootOf(t, s)
			if boot == last {
				return fmt.Errorf("the same run answers")
			}
			last = boot
			return nil
		})
	}
	post(t, s, obedientPath+"/restart")
	changed("the restart of a pool")
	post(t, s, obedientPath+"/workers/0/restart")
	changed("the restart of a worker")
	s.AdminDo(http.MethodPost, "/frankenphp/workers/restart", "", "").MustBe(200, "workers restarted successfully\n")
	changed("the restart of all")

	s.AdminDo(http.MethodPost, obedientPath+"/workers/9/restart", "", "").MustContain(404, "no worker 9")
	s.AdminDo(http.MethodPost, "/igor/pools/shop/nobody/restart", "", "").MustContain(404, "there is no pool")
	s.AdminDo(http.MethodGet, obedientPath+"/restart", "", "").MustContain(405, "takes POST")
	s.AdminDo(http.MethodGet, "/frankenphp/workers/restart", "", "").MustContain(405, "method not allowed")

	// Those that were replaced are listed until they have ended.
	eventually(t, "one worker", func() error {
		if p := poolOf(t, s, obedientPath); len(p.Workers) != 1 || p.Workers[0].Old {
			return fmt.Errorf("%+v", p.Workers)
		}
		return nil
	})
	var state struct {
		ThreadDebugStates []struct {
			Index     int
			Name      string
			State     string
			IsWaiting bool
		}
		ReservedThreadCount *int
	}
	threads := s.AdminDo(http.MethodGet, "/frankenphp/threads", "", "").MustContain(200)
	if err := json.Unmarshal([]byte(threads.Body), &state); err != nil || state.ReservedThreadCount == nil {
		t.Fatalf("%v in %s", err, threads.Body)
	}
	names := make(map[string]int)
	for i, thread := range state.ThreadDebugStates {
		names[thread.Name]++
		if thread.Index != i {
			t.Errorf("thread %d has index %d", i, thread.Index)
		}
	}
	if names["Regular PHP Thread"] != 16 || names["Background Worker PHP Thread - "+s.Root+"/obedient.php"] != 1 {
		t.Errorf("threads: %v", names)
	}
}

// TestReplacedWorkersAreSeen: what the old workers of a restarted pool, and of one that a reload changed, still run is
// listed until it has ended, and can be cancelled.
func TestReplacedWorkersAreSeen(t *testing.T) {
	t.Parallel()
	lines := []string{"num 1", "queue 10", "stop_grace 1h"}
	s := operated(t, lines...)
	first, second := newGate(t), newGate(t)
	answers := make(map[*gate]chan harness.Response)
	begin := func(g *gate) *os.File {
		answer := make(chan harness.Response, 1)
		answers[g] = answer
		go func() {
			r, err := s.TryGet("/?do=gate&gate=" + url.QueryEscape(g.path))
			if err != nil {
				t.Error(err)
			}
			answer <- r
		}()
		return g.awaitReader(t)
	}
	underWay := func() []operatedTask {
		t.Helper()
		return jsonOf[struct{ Tasks []operatedTask }](t, s.AdminDo(http.MethodGet, "/igor/tasks", "", "")).Tasks
	}
	expect := func(what string, tasks int) {
		t.Helper()
		eventually(t, what, func() error {
			listed, old, today := underWay(), 0, 0
			for _, task := range listed {
				if task.State != "running" || task.Pool != "obedient" || !task.Old {
					return fmt.Errorf("%+v", listed)
				}
			}
			p := poolOf(t, s, obedientPath)
			for _, w := range p.Workers {
				switch {
				case w.Old && w.State == "stopping":
					old++
				case !w.Old && w.State == "idle":
					today++
				default:
					return fmt.Errorf("%+v", p.Workers)
				}
			}
			if len(listed) != tasks || len(p.Tasks) != tasks || old != tasks || today != 1 || p.State != "running" {
				return fmt.Errorf("tasks %+v, pool %+v", listed, p)
			}
			return nil
		})
		getBesideReload(t, s, "/readyz").MustContain(200)
		if got := scrape(t, s)[`igor_workers{kind="tasks",pool="obedient",scope="shop",state="stopping"}`]; got != float64(tasks) {
			t.Errorf("%s: %v workers are stopping, say the metrics", what, got)
		}
	}

	held := begin(first)
	post(t, s, obedientPath+"/restart")
	bootOf(t, s) // the new worker answers meanwhile
	expect("after a restart", 1)

	alsoHeld := begin(second)
	// The task's worker is replaced by the reload, which does not wait for it.
	reloaded := make(chan harness.Response, 1)
	go func() {
		reloaded <- s.Reload(harness.Config{Global: "igor {\n num_threads 16\n}", Site: operatedSite(append(lines, "env REV 2")...)})
	}()
	expect("after a restart and a reload", 2)

	held.Close()
	(<-answers[first]).MustContain(200, "at the gate")
	expect("when one has ended", 1)
	s.AdminDo(http.MethodDelete, fmt.Sprintf("/igor/tasks/%d", underWay()[0].ID), "", "").MustContain(200, `"cancelled":true`)
	(<-answers[second]).MustContain(200, "cancelled")
	alsoHeld.Close()
	expect("when both have", 0)
	(<-reloaded).MustContain(200)
}

// TestAdminIsNotPublic: sites have none of it.
func TestAdminIsNotPublic(t *testing.T) {
	t.Parallel()
	s := operated(t, "num 1")
	for _, path := range []string{"/igor/report", "/igor/pools", obedientPath, "/igor/tasks", "/igor/health/ready", "/frankenphp/threads"} {
		s.AdminDo(http.MethodGet, path, "", "").MustContain(200)
		s.Get(path).MustBe(200, "hello") // the site's front controller, as for any path
	}
	boot := bootOf(t, s)
	s.Post("/frankenphp/workers/restart", "text/plain", "").MustBe(200, "hello")
	s.Post(obedientPath+"/restart", "text/plain", "").MustBe(200, "hello")
	if bootOf(t, s) != boot {
		t.Error("a site's visitor has restarted the workers")
	}
}

// A pool that a catch-all made is in no configuration, and steered like any other.
func TestCatchAllIsSteered(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Files: operatedFiles,
		Site:  "php_server {\n name shop\n worker obedient.php {\n  background\n }\n}",
	})
	if answer := s.AdminDo(http.MethodPost, obedientPath+"/restart", "", ""); answer.Status != 404 {
		t.Errorf("before anybody named it: %d %s", answer.Status, answer.Body)
	}
	boot := bootOf(t, s)
	post(t, s, obedientPath+"/restart")
	again := bootOf(t, s)
	if again == boot {
		t.Error("the restart did nothing")
	}
	post(t, s, obedientPath+"/workers/0/restart")
	third := bootOf(t, s)
	if third == again {
		t.Error("the restart of its worker did nothing")
	}
	s.AdminDo(http.MethodPost, "/frankenphp/workers/restart", "", "").MustContain(200, "successfully")
	if bootOf(t, s) == third {
		t.Error("the restart of all left it out")
	}
}

// TestReadiness goes false when a breaker opens, and true again when the pool is mended; liveness does not mind.
func TestReadiness(t *testing.T) {
	t.Parallel()
	s := operated(t, "max_consecutive_failures 2", "restart_backoff 1ms 1ms")
	s.Get("/readyz").MustContain(200, `"ready"`)
	broken := filepath.Join(s.Root, "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Get("/?do=boot").MustContain(200, "RuntimeException")
	status := func(want int, text string) {
		t.Helper()
		eventually(t, fmt.Sprintf("readiness %d", want), func() error {
			r := s.Get("/readyz")
			if r.Status != want || !strings.Contains(r.Body, text) {
				return fmt.Errorf("%d %s", r.Status, r.Body)
			}
			return nil
		})
	}
	status(503, "breaker_open")
	s.Get("/livez").MustContain(200, `"live"`)
	s.AdminDo(http.MethodGet, "/igor/health/ready", "", "").MustContain(503, `"breaker_open"`, `"obedient"`)
	s.AdminDo(http.MethodGet, "/igor/health/live", "", "").MustContain(200)
	out, err := exec.Command(harness.Binary(t), "health", "--address", "unix/"+s.Admin).CombinedOutput()
	if text := string(out); err == nil || !strings.Contains(text, "not ready: ") || !strings.Contains(text, "obedient") {
		t.Errorf("igor health says %q, %v", text, err)
	}
	if got := scrape(t, s); got["igor_ready"] != 0 || got[`igor_pool_breaker{kind="tasks",pool="obedient",scope="shop",state="closed"}`] != 0 {
		t.Errorf("metrics: ready %v", got["igor_ready"])
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	post(t, s, obedientPath+"/restart") // a new pool, with a breaker that has seen nothing
	status(200, `"ready"`)
	bootOf(t, s)
}

// TestHealthWhileAReloadBoots: the configuration that serves answers, until the new one does.
func TestHealthWhileAReloadBoots(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	files := harness.Files{"slow.php": `<?php
		file_get_contents('` + g.path + `');
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) $job->complete();`}
	for name, text := range operatedFiles {
		files[name] = text
	}
	s := harness.Start(t, harness.Config{Files: files, Site: operatedSite("num 1")})
	boot := bootOf(t, s)
	done := make(chan harness.Response, 1)
	go func() {
		done <- s.Reload(harness.Config{Global: "igor {\n" + backgroundWorker("slow", s.Root+"/slow.php", "num 1") + "}", Site: operatedSite("num 1")})
	}()
	gate := g.awaitReader(t) // it boots, and can't get on
	s.Get("/readyz").MustContain(200, `"ready"`)
	s.Get("/livez").MustContain(200, `"live"`)
	if _, there := scrape(t, s)[`igor_queue_length{kind="tasks",pool="slow",scope="global"}`]; there {
		t.Error("a pool that has not booted is in the metrics")
	}
	gate.Close()
	(<-done).MustContain(200)
	s.Get("/readyz").MustContain(200, `"ready"`)
	if _, there := scrape(t, s)[`igor_queue_length{kind="tasks",pool="slow",scope="global"}`]; !there {
		t.Error("the new pool is not in the metrics")
	}
	if bootOf(t, s) != boot {
		t.Error("a pool that did not change was restarted")
	}
}

// TestWorkersCommand runs the program beside the server.
func TestWorkersCommand(t *testing.T) {
	t.Parallel()
	s := operated(t, "num 1", "queue 10")
	boot := bootOf(t, s)
	igor := func(fails bool, args ...string) string {
		t.Helper()
		out, err := exec.Command(harness.Binary(t), append(args, "--address", "unix/"+s.Admin)...).CombinedOutput()
		if (err != nil) != fails {
			t.Fatalf("igor %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	has := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in:\n%s", part, text)
			}
		}
	}
	has(igor(false, "workers"), "SCOPE", "shop   obedient  tasks  running", "0/10")
	has(igor(false, "workers", "--json"), `"label":"shop"`)
	has(igor(false, "workers", "restart", "obedient"), "shop/obedient: restarted")
	if bootOf(t, s) == boot {
		t.Error("not restarted")
	}
	has(igor(false, "workers", "restart"), "workers restarted successfully")
	has(igor(false, "workers", "restart", "obedient", "--worker", "0"), "worker 0 told to restart")
	has(igor(false, "workers", "pause", "shop/obedient"), "shop/obedient: paused")
	has(igor(false, "workers", "--once"), "paused")
	answer := make(chan harness.Response, 1)
	go func() {
		r, err := s.TryGet("/?do=boot")
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	var id uint64
	eventually(t, "the queued task", func() error {
		tasks := poolOf(t, s, obedientPath).Tasks
		if len(tasks) != 1 {
			return fmt.Errorf("%+v", tasks)
		}
		id = tasks[0].ID
		return nil
	})
	has(igor(false, "tasks"), "SENDER", "obedient", "queued", "GET /")
	has(igor(false, "tasks", "--json"), `"omitted":0`)
	has(igor(false, "tasks", "cancel", fmt.Sprint(id)), "cancelled")
	(<-answer).MustContain(200, "Abandoned: cancelled by an operator")
	has(igor(true, "tasks", "cancel", fmt.Sprint(id)), "is under way")
	has(igor(false, "tasks"), "There are no tasks under way.")
	has(igor(false, "workers", "resume", "obedient"), "resumed")
	bootOf(t, s)
	if got := igor(false, "health"); got != "ready\n" {
		t.Errorf("igor health says %q", got)
	}
	if got := igor(false, "health", "--live"); got != "live\n" {
		t.Errorf("igor health --live says %q", got)
	}
	has(igor(true, "workers", "drain", "nobody"), "there is no pool", "shop/obedient")
	out, err := exec.Command(harness.Binary(t), "workers", "--address", "unix/"+s.Admin+".not").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--address") {
		t.Errorf("without a server: %v\n%s", err, out)
	}
}

// TestHTTPWorkersInOperation: requests are counted by pool, in both families of metrics, and a restart brings a new run.
func TestHTTPWorkersInOperation(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Files: harness.Files{"index.php": `<?php
			$boot = bin2hex(random_bytes(8));
			while (frankenphp_handle_request(function () use ($boot) { echo $boot; })) {}`},
		Site: "metrics /metrics\nphp_server {\n name shop\n worker {\n file index.php\n name front\n num 1\n }\n}",
	})
	boot := s.Get("/").MustContain(200).Body
	for range 8 {
		s.Get("/").MustBe(200, boot)
	}
	check := func(requests float64, restarts float64) {
		t.Helper()
		want := map[string]float64{
			`igor_requests_total{kind="requests",pool="front",scope="shop"}`:                           requests,
			`igor_request_duration_seconds_count{kind="requests",pool="front",scope="shop"}`:           requests,
			`igor_worker_restarts_total{kind="requests",pool="front",reason="restarted",scope="shop"}`: restarts,
			`frankenphp_worker_request_count{worker="front"}`:                                          requests,
			`frankenphp_worker_restarts{worker="front"}`:                                               restarts,
			`frankenphp_worker_crashes{worker="front"}`:                                                0,
			`frankenphp_total_workers{worker="front"}`:                                                 1,
			`frankenphp_ready_workers{worker="front"}`:                                                 1,
		}
		eventually(t, "metrics", func() error { // a response is read before its request is counted
			got := scrape(t, s)
			for name, value := range want {
				if actual, there := got[name]; !there || actual != value {
					return fmt.Errorf("%s is %v (there: %v), want %v", name, actual, there, value)
				}
			}
			if got[`frankenphp_worker_request_time{worker="front"}`] <= 0 {
				return fmt.Errorf("no time was spent on %v requests", requests)
			}
			return nil
		})
	}
	check(9, 0)
	s.AdminDo(http.MethodPost, "/igor/pools/shop/front/pause", "", "").MustContain(409, "not be made to pause")
	post(t, s, "/igor/pools/shop/front/restart")
	if again := s.Get("/").MustContain(200).Body; again == boot {
		t.Error("the same run answers after a restart")
	}
	check(10, 1)
}

// TestCountersOverReloads: while configurations come and go, each scrape succeeds and no counter falls.
func TestCountersOverReloads(t *testing.T) {
	t.Parallel()
	s := operated(t, "num 1", "queue 10")
	bootOf(t, s)
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		last := scrape(t, s)
		for scrapes := 0; ; scrapes++ {
			now := scrape(t, s)
			for name, value := range now {
				if counted := strings.HasPrefix(name, "igor_") && strings.Contains(name, "_total{"); counted && value < last[name] {
					t.Errorf("%s fell from %v to %v", name, last[name], value)
				}
			}
			accepted := `igor_tasks_accepted_total{kind="tasks",pool="obedient",scope="shop"}`
			if now["igor_up"] != 1 || now[accepted] < 1 {
				t.Errorf("scrape %d: up %v, accepted %v", scrapes, now["igor_up"], now[accepted])
			}
			last = now
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for i := range 10 {
		s.Reload(harness.Config{
			Global: fmt.Sprintf("igor {\n num_threads 16\n}\n# %d", i),
			Site:   operatedSite("num 1", fmt.Sprintf("queue %d", 10+i%3)),
		}).MustContain(200)
		bootOf(t, s)
	}
	close(stop)
	all.Wait()
}

// TestWedged: all that could work is held up while work waits, and health says so, for as long as it is so.
func TestWedged(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	site := strings.Replace(operatedSite("num 1", "queue 10"), "igor_health /readyz ready",
		"igor_health /readyz ready {\n wedged_after 50ms\n stuck_after 100ms\n}\nigor_health /patient ready", 1)
	s := harness.Start(t, harness.Config{Files: operatedFiles, Global: "igor {\n num_threads 16\n}", Site: site})
	s.Get("/readyz").MustContain(200)
	var all sync.WaitGroup
	ask := func(query string) {
		all.Go(func() {
			if _, err := s.TryGet("/?" + query); err != nil {
				t.Error(err)
			}
		})
	}
	ask("do=gate&gate=" + url.QueryEscape(g.path))
	gate := g.awaitReader(t)
	s.Get("/readyz").MustContain(200) // nobody waits
	ask("do=boot")
	ready := func(status int, text string) {
		t.Helper()
		eventually(t, "readiness "+text, func() error {
			if r := s.Get("/readyz"); r.Status != status || !strings.Contains(r.Body, text) {
				return fmt.Errorf("%d %s", r.Status, r.Body)
			}
			return nil
		})
	}
	ready(503, `"wedged"`)
	s.Get("/patient").MustContain(200) // a minute of work is nothing to it
	s.Get("/livez").MustContain(200)
	gate.Close()
	all.Wait()
	ready(200, `"ready"`)
}

// TestLiveness goes false when more threads are lost than configured.
func TestLiveness(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	site := strings.Replace(operatedSite("num 2", "queue 10", "stop_grace 50ms"), "igor_health /livez live",
		"igor_health /livez live {\n max_lost 1\n}\nigor_health /patient live", 1)
	s := harness.Start(t, harness.Config{Files: operatedFiles, Global: "igor {\n num_threads 16\n}", Site: site})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if _, err := s.TryGet("/?do=child&gate=" + url.QueryEscape(g.path)); err != nil {
				t.Error(err)
			}
		})
	}
	gate := g.awaitReader(t)
	eventually(t, "two workers at the gate", func() error {
		busy := 0
		for _, w := range poolOf(t, s, obedientPath).Workers {
			if w.State == "busy" {
				busy++
			}
		}
		if busy != 2 {
			return fmt.Errorf("%d", busy)
		}
		return nil
	})
	s.Get("/livez").MustContain(200, `"live"`)
	for i := range 2 {
		post(t, s, fmt.Sprintf("%s/workers/%d/restart", obedientPath, i))
	}
	eventually(t, "two lost threads", func() error {
		if r := s.Get("/livez"); r.Status != 503 || !strings.Contains(r.Body, "lost_threads") {
			return fmt.Errorf("%d %s %+v", r.Status, r.Body, poolOf(t, s, obedientPath))
		}
		return nil
	})
	s.Get("/patient").MustContain(200) // 16 are let go
	if got := scrape(t, s)[`igor_workers{kind="tasks",pool="obedient",scope="shop",state="lost"}`]; got != 2 {
		t.Errorf("%v lost workers in the metrics", got)
	}
	bootOf(t, s) // others have taken their places
	gate.Close()
	all.Wait()
}
