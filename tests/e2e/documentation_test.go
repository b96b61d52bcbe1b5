package e2e

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// repositoryFile reads a file of the repository.
func repositoryFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Checkout(), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fencedBlock is the fenced block of a language in which marker occurs; there must be one.
func fencedBlock(t *testing.T, path, language, marker string) string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(repositoryFile(t, path), -1) {
		if match[1] == language && strings.Contains(match[2], marker) {
			found = append(found, match[2])
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d %s blocks with %q in them, want one", path, len(found), language, marker)
	}
	return found[0]
}

// What the README promises of its example is what comes out. That its files are those of the README is
// for tests/rules/docs to check.
func TestREADMEExample(t *testing.T) {
	t.Parallel()
	example := "docs/examples/accounts"
	caddyfile := repositoryFile(t, example+"/Caddyfile")
	const address = "http://localhost:8080"
	if !strings.Contains(caddyfile, address) {
		t.Fatalf("the example does not serve %s, which the README says:\n%s", address, caddyfile)
	}
	s := harness.Start(t, harness.Config{
		Caddyfile: "{\n\tadmin {$IGOR_TEST_ADMIN}\n}\n" + strings.Replace(caddyfile, address, "{$IGOR_TEST_ADDRESS}", 1),
		Dir:       filepath.Join(harness.Checkout(), example),
	})
	// A hash has a salt: each is another.
	hash := regexp.MustCompile(`\$2y\$12\$[./A-Za-z0-9]{53}`)
	want := hash.ReplaceAllString(fencedBlock(t, "README.md", "text", "event: done"), "HASH")
	got := s.Get("/")
	if text := hash.ReplaceAllString(got.Body, "HASH"); strings.TrimSpace(text) != strings.TrimSpace(want) {
		t.Fatalf("the example prints\n%s\nand the README says\n%s", text, want)
	}
	if mime := got.Header.Get("Content-Type"); !strings.HasPrefix(mime, "text/event-stream") {
		t.Fatalf("its Content-Type is %q", mime)
	}
}

// The guide's worker with an event loop: many tasks in one thread, each on its time, cancelled ones let go. Those that end
// beside one that takes an hour show it, however slow the machine is.
func TestGuideEventLoopWorker(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `php_server {
		worker alarm.php 1 {
			name alarm
			background
			stop_grace 1m
		}
	}`, harness.Files{
		"alarm.php": fencedBlock(t, "docs/guide.md", "php", "'ring'"),
		"index.php": `<?php
			$send = fn(float $seconds) => Igor\Worker::send('alarm', ['seconds' => $seconds]);
			$never = $send(3600);
			echo implode(' ', Igor\Task::all([$send(0.6), $send(0.5), $send(0.4)]));
			$never->cancel();
			echo ' ', $send(0)->await();`,
	})
	s.Get("/").MustBe(200, "ring ring ring ring")
	s.Stop() // fails the test when the worker does not see it
}

// The guide's worker on the functions: completes what went well, and is told apart when it did not.
func TestGuideFunctionsWorker(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `php_server {
		worker render.php 1 {
			name render
			background
		}
	}`, harness.Files{
		"render.php": fencedBlock(t, "docs/guide.md", "php", "render($payload)"),
		"index.php": `<?php
			$task = frankenphp_worker_task_send('render', ['text' => $_GET['bad'] ?? false ? "\xff" : 'good']);
			try {
				while (($update = frankenphp_worker_task_read($task)) !== null) {
					echo json_encode($update);
				}
				echo ' done';
			} catch (RuntimeException $problem) {
				echo $problem->getPrevious()->getErrorClass();
			}`,
	})
	for range 3 {
		s.Get("/").MustBe(200, `{"size":15} done`)
		s.Get("/?bad=1").MustBe(200, "JsonException")
	}
}

// The guide's cancellable worker survives a sender that goes, and serves the next.
func TestGuideCancelledWorker(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `php_server {
		worker pages.php 1 {
			name pages
			background
		}
	}`, harness.Files{
		"pages.php": fencedBlock(t, "docs/guide.md", "php", "range(1, 100)"),
		"index.php": `<?php
			for ($i = 0; $i < 3; ++$i) {
				$task = Igor\Worker::send('pages', []);
				echo $task->read()['page'];
				$task->cancel();
			}
			$task = Igor\Worker::send('pages', []);
			foreach ($task as $update);
			echo ' ', $update['page'];`,
	})
	s.Get("/").MustBe(200, "111 100")
	if strings.Contains(s.Log.Tail(200), "background worker failed") {
		t.Error("a cancelled task ended the worker")
	}
}

// The Caddyfile of docker/kubernetes/configmap.yaml, with its site in another place: what the probes ask is answered, on the
// port of operation and not on that of the site.
func TestKubernetesConfiguration(t *testing.T) {
	t.Parallel()
	_, caddyfile, ok := strings.Cut(repositoryFile(t, "docker/kubernetes/configmap.yaml"), "  Caddyfile: |\n")
	if !ok {
		t.Fatal("the ConfigMap has no Caddyfile")
	}
	caddyfile = regexp.MustCompile(`(?m)^    `).ReplaceAllString(caddyfile, "")
	root := harness.WriteFiles(t, harness.Files{
		"public/index.php": `<?php echo Igor\Worker::send('jobs', ['n' => 20])->await();`,
		"worker.php":       `<?php $inbox = Igor\Worker::current(); while ($job = $inbox->receive()) { $job->complete(1 + $job->payload['n']); }`,
	})
	operation := "http://127.0.0.1:" + freePort(t)
	for from, to := range map[string]string{
		"{\n\t# How long": "{\n\tadmin {$IGOR_TEST_ADMIN}\n\t# How long",
		"http://:9180":    operation,
		"http://:8080":    "{$IGOR_TEST_ADDRESS}",
		"/srv/app":        root,
	} {
		if strings.Count(caddyfile, from) != 1 {
			t.Fatalf("%q is %d times in\n%s", from, strings.Count(caddyfile, from), caddyfile)
		}
		caddyfile = strings.Replace(caddyfile, from, to, 1)
	}
	s := harness.Start(t, harness.Config{Caddyfile: caddyfile, Root: root})
	s.Get("/").MustBe(200, "21")
	for path, want := range map[string]string{"/readyz": `"status":"ready"`, "/livez": `"status":"live"`, "/metrics": `igor_queue_length{kind="tasks",pool="jobs"`} {
		response, err := s.Client().Get(operation + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 || !strings.Contains(strings.ReplaceAll(string(body), `": "`, `":"`), want) {
			t.Errorf("%s answers %d %.300s, want %q in it (%v)", path, response.StatusCode, body, want, err)
		}
		// On the site's own port that is an ordinary path, the front controller's.
		s.Get(path).MustBe(200, "21")
	}
}
