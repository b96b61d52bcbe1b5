package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Operators see where a task comes from: the request's method and path (never its query, where secrets are),
// the worker that sent it; and in worker mode each request is itself, not the one before.
func TestTasksTellWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	files := harness.Files{
		"holder.php": `<?php
			$inbox = Igor\Worker::current();
			$held = [];
			while ($job = $inbox->receive()) {
				if (isset($job->payload['release'])) {
					foreach ($held as $one) $one->complete();
					$held = [];
					$job->complete();
				} else {
					$held[] = $job;
				}
				unset($job);
			}`,
		"relay.php": `<?php
			$inbox = Igor\Worker::current();
			while ($job = $inbox->receive()) {
				$job->complete(Igor\Worker::send('holder', [])->await());
				unset($job);
			}`,
	}
	serve := `
		$serve = function () {
			if (isset($_GET['release'])) {
				Igor\Worker::send('holder', ['release' => true])->await();
			} elseif (isset($_GET['relay'])) {
				Igor\Worker::send('relay', [])->await();
			} else {
				$two = [Igor\Worker::send('holder', []), Igor\Worker::send('holder', [])];
				Igor\Task::all($two);
			}
			echo 'released';
		};`
	files["index.php"] = "<?php" + serve + "$serve();"
	files["worker.php"] = "<?php" + serve + "while (frankenphp_handle_request($serve));"
	long := "/" + strings.Repeat("\u00fc", 200)
	for _, mode := range []struct{ name, worker string }{{"classic", ""}, {"worker mode", "worker {\n file worker.php\n num 3\n match /*\n}\n"}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Config{
				Global: "igor {\n num_threads 10\n}",
				Site: "php_server {\n" + mode.worker + backgroundWorker("holder", "holder.php", "num 1", "queue 100") +
					backgroundWorker("relay", "relay.php", "num 1") + "}",
				Files: files,
			})
			for round := range 3 {
				paths := []string{fmt.Sprintf("/one-%d/x?password=secret", round), fmt.Sprintf("/two-%d?relay=1", round)}
				want := []string{fmt.Sprintf("GET /one-%d/x", round), fmt.Sprintf("GET /one-%d/x", round), fmt.Sprintf("GET /two-%d", round), "worker relay"}
				if mode.worker == "" {
					paths = append(paths, long)
					// 256 bytes, and the last character is whole: what a browser sends is escaped.
					want = append(want, "GET /"+strings.Repeat("%C3%BC", 200)[:251], "GET /"+strings.Repeat("%C3%BC", 200)[:251])
				}
				slices.Sort(want)
				done := make(chan struct{})
				go func() {
					defer close(done)
					parallel(len(paths), func(i int) {
						if r, err := s.TryGet(paths[i]); err != nil || r.Body != "released" {
							t.Errorf("%s: %d %q, %v", paths[i], r.Status, r.Body, err)
						}
					})
				}()
				eventually(t, "the tasks are held", func() error {
					var senders []string
					list := jsonOf[struct{ Tasks []struct{ Sender string } }](t, s.AdminDo("GET", "/igor/tasks", "", ""))
					for _, task := range list.Tasks {
						senders = append(senders, task.Sender)
					}
					slices.Sort(senders)
					if !slices.Equal(senders, want) {
						return fmt.Errorf("senders: %q, want %q", senders, want)
					}
					return nil
				})
				s.Get("/?release=1").MustBe(200, "released")
				<-done
			}
		})
	}
}
