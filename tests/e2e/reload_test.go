package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// reloadFiles are workers of each kind that say who they are: an id made at their boot, and the revision of the
// configuration that they were booted with.
var reloadFiles = harness.Files{
	"background.php": `<?php
		$me = bin2hex(random_bytes(8)) . ' ' . $_SERVER['REV'];
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) {
			usleep(300);
			$job->complete("$me {$job->payload['v']}");
		}`,
	"stable.php": `<?php
		$me = bin2hex(random_bytes(8)) . ' fixed';
		while (frankenphp_handle_request(function () use ($me) { echo "$me {$_GET['v']}"; }));`,
	"changing.php": `<?php
		$me = bin2hex(random_bytes(8)) . ' ' . $_SERVER['REV'];
		while (frankenphp_handle_request(function () use ($me) { echo "$me {$_GET['v']}"; }));`,
	"index.php": `<?php
		$tasks = [];
		for ($i = 0; $i < 8; $i++) $tasks[] = Igor\Worker::send($_GET['to'], ['v' => $_GET['v']]);
		foreach ($tasks as $task) $answers[$task->await()] = true;
		echo implode("\n", array_keys($answers));`,
}

// reloadSite is the site after so many reloads: each changes something, and every other one the workers whose names say so.
func reloadSite(reloads int) string {
	return fmt.Sprintf(`respond /plain "plain plain {query.v}"
	php_server {
		worker {
			file background.php
			name stable
			num 2
			background
			queue 100
			env REV fixed
		}
		worker {
			file background.php
			name changing
			num 1
			background
			queue 100
			env REV %d
		}
		worker stable.php 2
		worker {
			file changing.php
			num 1
			env REV %d
		}
	}
	header X-Reloads %d`, reloads/2, reloads/2, reloads)
}

// closedByReload says that a request got no answer because Caddy opens the port anew for each configuration (SO_REUSEPORT),
// and closes the old one with the connections in its queue, with a plain "respond" as with PHP.
func closedByReload(r harness.Response, err error) bool {
	return r.Status == 0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF))
}

// getBesideReload is Get while a reload may be under way: a request that this leaves without an answer is asked again.
func getBesideReload(t testing.TB, s *harness.Server, path string) harness.Response {
	t.Helper()
	for {
		r, err := s.TryGet(path)
		if closedByReload(r, err) {
			continue
		}
		if err != nil {
			t.Fatalf("GET %s: %v; the log:\n%s", path, err, s.Log.Tail(40))
		}
		return r
	}
}

// getAfterReload is Get of the configuration that says it is this revision: the one before may still answer on connections
// that are open, and its port may still be closing.
func getAfterReload(t testing.TB, s *harness.Server, revision int, path string) harness.Response {
	t.Helper()
	for {
		if r := getBesideReload(t, s, path); r.Header.Get("X-Revision") == fmt.Sprint(revision) {
			return r
		}
	}
}

// Fifty reloads under load: no request and no task is lost, workers whose configuration is the same live on, and those whose
// configuration is another are others.
func TestFiftyReloadsLoseNothing(t *testing.T) {
	t.Parallel()
	const reloads = 50
	s := harness.Start(t, harness.Config{Site: reloadSite(0), Files: reloadFiles})

	type target struct {
		path    string
		threads int
		fixed   bool // lives through all reloads
	}
	targets := []target{
		{"/?to=stable&v=%d", 2, true},
		{"/?to=changing&v=%d", 1, false},
		{"/stable.php?v=%d", 2, true},
		{"/changing.php?v=%d", 1, false},
		{"/plain?v=%d", 1, true},
	}
	var (
		mutex  sync.Mutex
		boots  = make([]map[string]map[string]bool, len(targets)) // revision -> ids
		served = make([]atomic.Int64, len(targets))
		resets = make([]atomic.Int64, len(targets))
		next   atomic.Int64
		stop   = make(chan struct{})
		done   sync.WaitGroup
	)
	for i := range boots {
		boots[i] = make(map[string]map[string]bool)
	}
	ask := func(i int) {
		v := fmt.Sprint(next.Add(1))
		r, err := s.TryGet(fmt.Sprintf(strings.Replace(targets[i].path, "%d", "%s", 1), v))
		if closedByReload(r, err) {
			resets[i].Add(1)
			return
		}
		if err != nil || r.Status != http.StatusOK {
			t.Errorf("%s: %d %q, %v", targets[i].path, r.Status, r.Body, err)
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		for line := range strings.Lines(r.Body) {
			words := strings.Fields(line)
			if len(words) != 3 || words[2] != v {
				t.Errorf("%s, asked with %s, answered %q", targets[i].path, v, r.Body)
				return
			}
			if boots[i][words[1]] == nil {
				boots[i][words[1]] = make(map[string]bool)
			}
			boots[i][words[1]][words[0]] = true
		}
		served[i].Add(1)
	}
	for i := range targets {
		for range 2 {
			done.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						ask(i)
					}
				}
			})
		}
	}
	for n := 1; n <= reloads; n++ {
		// Each configuration serves something of every kind before the next comes.
		var before [5]int64
		for i := range targets {
			before[i] = served[i].Load()
		}
		if r := s.Reload(harness.Config{Site: reloadSite(n)}); r.Status != http.StatusOK {
			t.Errorf("reload %d answered %d %s", n, r.Status, r.Body)
			break
		}
		for i := range targets {
			for served[i].Load() == before[i] && !t.Failed() {
				ask(i)
			}
		}
	}
	close(stop)
	done.Wait()
	if t.Failed() {
		t.Fatalf("the log:\n%s", s.Log.Tail(40))
	}
	if got := s.Get("/plain?v=0").Header.Get("X-Reloads"); got != fmt.Sprint(reloads) {
		t.Errorf("the last configuration is number %s", got)
	}
	for i, target := range targets {
		t.Logf("%-20s %5d answers, %d connections closed by Caddy, %d revisions", target.path, served[i].Load(), resets[i].Load(), len(boots[i]))
		seen := make(map[string]string)
		for revision, ids := range boots[i] {
			if len(ids) > target.threads {
				t.Errorf("%s: revision %s was answered by %d workers (%v), it has %d threads", target.path, revision, len(ids), ids, target.threads)
			}
			for id := range ids {
				if other, twice := seen[id]; twice {
					t.Errorf("%s: worker %s answered for revision %s and %s", target.path, id, revision, other)
				}
				seen[id] = revision
			}
		}
		if target.fixed && len(boots[i]) != 1 || !target.fixed && len(boots[i]) < reloads/2 {
			t.Errorf("%s: %d revisions", target.path, len(boots[i]))
		}
	}
}

// What a reload makes of workers whose script was changed, whose site moved in the file, and whose new form is broken.
func TestReloadJudgesEachPool(t *testing.T) {
	t.Parallel()
	const ok = http.StatusOK
	revision := 0
	site := func(before, lines string) string {
		return fmt.Sprintf("header X-Revision %d\n", revision) + before + `php_server {
			name app
			worker {
				file stable.php
				num 1
				` + lines + `
			}
			worker {
				file background.php
				name stable
				background
				num 1
				env REV fixed
			}
		}`
	}
	s := harness.Start(t, harness.Config{Site: site("", ""), Files: reloadFiles})
	who := func() (answering, background string) {
		t.Helper()
		answering, _, _ = strings.Cut(getAfterReload(t, s, revision, "/stable.php?v=1").MustContain(ok, "fixed 1").Body, " ")
		background, _, _ = strings.Cut(getAfterReload(t, s, revision, "/?to=stable&v=1").MustContain(ok, "fixed 1").Body, " ")
		return answering, background
	}
	reload := func(config string, want int) string {
		t.Helper()
		config = strings.Replace(config, fmt.Sprintf("X-Revision %d\n", revision), fmt.Sprintf("X-Revision %d\n", revision+1), 1)
		r := s.Reload(harness.Config{Site: config})
		if r.Status != want {
			t.Fatalf("the reload answered %d %s, want %d", r.Status, r.Body, want)
		}
		if want == ok {
			revision++
		}
		return r.Body
	}
	answering, background := who()

	// Another php_server comes before it in the file.
	reload(site("handle /other/* {\n php_server\n}\n", ""), ok)
	if h, b := who(); h != answering || b != background {
		t.Error("workers were restarted because of another site")
	}
	// Neither a configuration that can't work, nor one whose worker does not start, touches those that run.
	writeFile(t, s, "broken.php", `<?php throw new LogicException('not today');`)
	answer := reload(strings.Replace(site("", ""), "worker {", "worker broken.php 1\nworker {", 1), http.StatusBadRequest)
	if !strings.Contains(answer, "not today") || !strings.Contains(answer, "broken.php") {
		t.Errorf("a worker that does not start: %s", answer)
	}
	reload(site("", "max_requests none"), http.StatusBadRequest)
	if h, b := who(); h != answering || b != background {
		t.Error("workers were restarted because of a configuration that failed")
	}
	// The one whose script has changed is another, also with the same settings.
	writeFile(t, s, "stable.php", strings.Replace(reloadFiles["stable.php"], "<?php", "<?php /* changed */", 1))
	reload(site("respond /x x\n", ""), ok)
	h, b := who()
	if h == answering || b != background {
		t.Errorf("after a change of the HTTP worker's script: it is another: %v, the other is another: %v", h != answering, b != background)
	}
	reload(site("", "env X y"), ok)
	if again, b := who(); again == h || b != background {
		t.Errorf("after a change of the HTTP worker's settings: it is another: %v, the other is another: %v", again != h, b != background)
	}
}

// A worker that a reload leaves alone goes on in the run that it is in, and reaches the workers that came with the reload.
func TestAKeptWorkerReachesNewWorkers(t *testing.T) {
	t.Parallel()
	files := harness.Files{
		"kept.php": `<?php
			$boot = bin2hex(random_bytes(8));
			$inbox = Igor\Worker::current();
			while ($job = $inbox->receive()) {
				try {
					$job->complete([$boot, Igor\Worker::send($job->payload['to'], [])->await()]);
				} catch (RuntimeException $e) {
					$job->complete([$boot, $e->getMessage()]);
				}
			}`,
		"late.php": `<?php
			$inbox = Igor\Worker::current();
			while ($job = $inbox->receive()) $job->complete('late: ' . $_SERVER['REV']);`,
		"index.php": `<?php echo json_encode(Igor\Worker::send('kept', ['to' => 'late'])->await());`,
	}
	site := func(revision int, more string) string {
		return fmt.Sprintf("header X-Revision %d\nphp_server {\n name app\n", revision) + backgroundWorker("kept", "kept.php", "num 1") + more + "}"
	}
	s := harness.Start(t, harness.Config{Site: site(0, ""), Files: files})
	ask := func(revision int) (boot, answer string) {
		t.Helper()
		both := jsonOf[[]string](t, getAfterReload(t, s, revision, "/"))
		if len(both) != 2 || both[0] == "" {
			t.Fatalf("got %v", both)
		}
		return both[0], both[1]
	}
	boot, answer := ask(0)
	if !strings.Contains(answer, `no background worker named "late"`) {
		t.Errorf("before the reload: %s", answer)
	}
	for revision := 1; revision <= 2; revision++ { // first it is new, then another takes its place
		late := backgroundWorker("late", "late.php", "num 1", fmt.Sprintf("env REV %d", revision))
		s.Reload(harness.Config{Site: site(revision, late)}).MustContain(http.StatusOK)
		again, answer := ask(revision)
		if again != boot || answer != fmt.Sprintf("late: %d", revision) {
			t.Errorf("after reload %d: the same run: %v, %s", revision, again == boot, answer)
		}
	}
	s.Reload(harness.Config{Site: site(3, "")}).MustContain(http.StatusOK)
	if again, answer := ask(3); again != boot || !strings.Contains(answer, `no background worker named "late"`) {
		t.Errorf("after it was taken out: the same run: %v, %s", again == boot, answer)
	}
}

// writeFile puts a file into the server's root at once.
func writeFile(t testing.TB, s *harness.Server, name, text string) {
	t.Helper()
	path := filepath.Join(s.Root, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// While a configuration starts whose HTTP worker never becomes ready, requests may already come to it: Caddy starts its apps
// in any order. They are answered by the workers that go on, or, once that configuration is closed, told to come again.
func TestReloadThatFailsUnderLoad(t *testing.T) {
	t.Parallel()
	site := func(lines string) string {
		return "php_server {\nworker {\nfile app.php\nnum 1\nmax_consecutive_failures 3\nrestart_backoff 20ms 50ms\n" + lines + "\n}\n}"
	}
	s := harness.Start(t, harness.Config{Site: site(""), Files: harness.Files{
		"app.php": `<?php
			if (isset($_SERVER['BROKEN'])) throw new LogicException('not this one');
			while (frankenphp_handle_request(fn() => print('fine')));`,
	}})
	var served atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// A connection that is open leads to the configuration that goes on.
				request := s.Request(http.MethodGet, "/app.php", nil)
				request.Close = true
				r, err := s.TryDo(request)
				if closedByReload(r, err) {
					continue
				}
				if err == nil && r.Status == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" {
					continue
				}
				if err != nil || r.Status != http.StatusOK || r.Body != "fine" {
					t.Errorf("while a configuration failed to start: %d %q, %v", r.Status, r.Body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for n := range 6 {
		before := served.Load()
		r := s.Reload(harness.Config{Site: site(fmt.Sprintf("env BROKEN %d", n))})
		if r.Status != http.StatusBadRequest || !strings.Contains(r.Body, "not this one") {
			t.Errorf("a worker that does not start: %d %s", r.Status, r.Body)
		}
		for served.Load() < before+4 && !t.Failed() {
			runtime.Gosched()
		}
	}
	close(stop)
	clients.Wait()
}

// The new configuration's workers take over at once: they get what nobody has taken, what requests of the old one still
// send, and it is their snapshot that is read. The old one's finish what they have.
func TestNewWorkersTakeOverAtOnce(t *testing.T) {
	t.Parallel()
	gate := newGate(t)
	s := harness.Start(t, harness.Config{
		Site: takeOverSite(0),
		Files: harness.Files{
			"worker.php": `<?php
				$inbox = Igor\Worker::current();
				$inbox->publish(['revision' => $_SERVER['REV']]);
				while ($job = $inbox->receive()) {
					if (isset($job->payload['gate'])) {
						$job->update(['held']);
						file_get_contents($job->payload['gate']);
					}
					$job->complete($_SERVER['REV']);
					unset($job);
				}`,
			"index.php": `<?php
				$task = Igor\Worker::send('w', isset($_GET['gate']) ? ['gate' => $_GET['gate']] : []);
				if (isset($_GET['mark'])) file_put_contents($_GET['mark'], 'accepted');
				$mine = $task->await();
				echo $mine, ' ', Igor\Worker::send('w', [])->await(), ' ', frankenphp_worker_get_vars('w')['revision'];`,
		},
	})
	answer := func(query string) <-chan string {
		answered := make(chan string, 1)
		go func() { answered <- s.Get("/?" + query).Body }()
		return answered
	}
	held := answer("gate=" + url.QueryEscape(gate.path))
	writer := gate.awaitReader(t)
	mark := filepath.Join(t.TempDir(), "mark")
	queued := answer("mark=" + url.QueryEscape(mark))
	awaitFile(t, mark, "accepted")
	s.Reload(harness.Config{Site: takeOverSite(1)}).MustContain(http.StatusOK)
	if got := <-queued; got != "1 1 1" {
		t.Errorf("a task that waited, one that was sent later, the snapshot: %s", got)
	}
	getAfterReload(t, s, 1, "/").MustBe(http.StatusOK, "1 1 1")
	select {
	case got := <-held:
		t.Errorf("the task that ran has ended: %s", got)
	default:
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-held; got != "0 1 1" {
		t.Errorf("a task that ran, one that was sent later, the snapshot: %s", got)
	}
}

func takeOverSite(revision int) string {
	return fmt.Sprintf("header X-Revision %d\nphp_server {\n name app\n", revision) +
		backgroundWorker("w", "worker.php", "num 1", "queue 10", fmt.Sprintf("env REV %d", revision)) + "}"
}
