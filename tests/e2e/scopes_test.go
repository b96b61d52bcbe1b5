package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Names of workers: who finds whom, and how often a lazy one is started.

// bootingWorker notes each boot in a file, waits at a gate, publishes who it is and answers every task with
// the same.
func bootingWorker(dir string) string {
	return fmt.Sprintf(`<?php
		$me = ['name' => $_SERVER['FRANKENPHP_WORKER_NAME'], 'boot' => bin2hex(random_bytes(8))];
		file_put_contents('%[1]s/boots', $me['name'] . "\n", FILE_APPEND | LOCK_EX);
		while (!file_exists('%[1]s/go-on')) usleep(1000);
		frankenphp_worker_set_vars($me);
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) $job->complete($me);`, dir)
}

// firstCallers asks for names at once, with a thread for each caller, and lets the workers' boots go on only
// when every caller has come. It returns how often each name was booted, and the answers.
func firstCallers(t *testing.T, callers int, site func(dir string) string, names ...string) (boots map[string]int, answers []string) {
	t.Helper()
	dir := t.TempDir()
	s := harness.Start(t, harness.Config{
		Global: fmt.Sprintf("igor {\n num_threads %d\n}", callers),
		Site:   site(dir),
		Files: harness.Files{
			"worker.php": bootingWorker(dir),
			"index.php": fmt.Sprintf(`<?php
				file_put_contents('%s/arrivals', '.', FILE_APPEND | LOCK_EX);
				try {
					$name = $_GET['name'];
					// Half of the callers send, half of them read: both start a lazy worker.
					$by = $_GET['i'] %% 2 ? Igor\Worker::send($name, [], 60)->await() : frankenphp_worker_get_vars($name, 60);
					echo $by['name'], ' ', $by['boot'];
				} catch (Exception $e) {
					echo $e->getMessage();
				}`, dir),
		},
	})
	answers = make([]string, callers)
	released := make(chan struct{})
	go func() {
		defer close(released)
		awaitSize(t, filepath.Join(dir, "arrivals"), int64(callers))
		if err := os.WriteFile(filepath.Join(dir, "go-on"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}()
	parallel(callers, func(i int) {
		r, err := s.TryGet(fmt.Sprintf("/?name=%s&i=%d", names[i%len(names)], i))
		if err != nil || r.Status != 200 {
			t.Errorf("caller %d: %d, %v", i, r.Status, err)
		}
		answers[i] = r.Body
	})
	<-released
	data, err := os.ReadFile(filepath.Join(dir, "boots"))
	if err != nil {
		t.Fatal(err)
	}
	boots = map[string]int{}
	for line := range strings.Lines(string(data)) {
		boots[strings.TrimSpace(line)]++
	}
	return boots, answers
}

// awaitSize waits until scripts have written so many bytes to a file: one for each that came so far.
func awaitSize(t *testing.T, path string, size int64) {
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Size() >= size:
			return
		case time.Now().After(limit):
			t.Errorf("%s: %v, %v; want %d bytes", path, info, err, size)
			return
		}
	}
}

// A thousand callers at once name a worker that does not run yet: it is started once, and answers them all.
func TestAThousandFirstCallersStartALazyWorkerOnce(t *testing.T) {
	boots, answers := firstCallers(t, 1000, func(string) string {
		return "php_server {\n" + backgroundWorker("lazy", "worker.php") + "}"
	}, "lazy")
	if len(boots) != 1 || boots["lazy"] != 1 {
		t.Errorf("boots: %v, want one", boots)
	}
	for i, answer := range answers {
		if answer != answers[0] || !strings.HasPrefix(answer, "lazy ") {
			t.Fatalf("caller %d was answered %q, the first one %q", i, answer, answers[0])
		}
	}
}

// The same over as many names as a catch-all may make; the next name is refused with what to change.
func TestAThousandFirstCallersOfACatchAll(t *testing.T) {
	var names []string
	for i := range 16 {
		names = append(names, fmt.Sprintf("name-%02d", i))
	}
	boots, answers := firstCallers(t, 1000, func(string) string {
		return "php_server {\n worker worker.php {\n background\n }\n}"
	}, names...)
	if len(boots) != len(names) {
		t.Errorf("%d names were booted, want %d: %v", len(boots), len(names), boots)
	}
	for name, times := range boots {
		if times != 1 {
			t.Errorf("%s was booted %d times", name, times)
		}
	}
	for i, answer := range answers {
		if !strings.HasPrefix(answer, names[i%16]+" ") || answer != answers[i%16] {
			t.Fatalf("caller %d of %s was answered %q, the first one %q", i, names[i%16], answer, answers[i%16])
		}
	}
}

func TestACatchAllsSeventeenthName(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server {\n worker worker.php {\n background\n }\n}", harness.Files{
		"worker.php": `<?php frankenphp_worker_set_vars(['name' => $_SERVER['FRANKENPHP_WORKER_NAME']]);
			while (Igor\Worker::current()->receive());`,
		"index.php": `<?php
			for ($i = 1; $i <= 16; ++$i) if (frankenphp_worker_get_vars("n$i")['name'] !== "n$i") exit("wrong $i");
			foreach (['n17', 'n16', 'n18'] as $name) {
				try { echo frankenphp_worker_get_vars($name)['name'], "\n"; } catch (RuntimeException $e) { echo $e->getMessage(), "\n"; }
			}`,
	})
	full := "background worker \"%s\" cannot be started: the catch-all runs as many names as its max_threads allows\n"
	for range 2 {
		s.Get("/").MustBe(200, fmt.Sprintf(full, "n17")+"n16\n"+fmt.Sprintf(full, "n18"))
	}
}

// What one php_server names stays its own: neither a request nor a worker of another one can reach it,
// not even under the name that it has of its own.
func TestWorkersOfAnotherServerAreOutOfReach(t *testing.T) {
	t.Parallel()
	worker := `<?php
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) {
			try {
				$to = $job->payload['via'] ?? null;
				$job->complete($to === null ? basename($_SERVER['argv'][0]) : Igor\Worker::send($to, [])->await());
			} catch (Exception $e) {
				$job->complete($e->getMessage());
			}
			unset($job);
		}`
	s := harness.Start(t, harness.Config{
		Files: harness.Files{
			"index.php": `<?php
				$ask = function (callable $do) { try { return $do(); } catch (Exception $e) { return $e->getMessage(); } };
				echo $ask(fn() => Igor\Worker::send($_GET['to'], isset($_GET['via']) ? ['via' => $_GET['via']] : [])->await()), "\n",
					$ask(fn() => isset($_GET['vars']) ? frankenphp_worker_get_vars($_GET['vars'], 0.01) : '');`,
			"a.php": worker, "b.php": worker,
		},
		Caddyfile: strings.Replace(caddyfileHead, "SITE", "{$IGOR_TEST_ADDRESS}", 1) + `
			root .
			handle_path /a/* {
				php_server {
					` + backgroundWorker("same", "a.php") + backgroundWorker("only-a", "a.php") + `
				}
			}
			handle_path /b/* {
				php_server {
					` + backgroundWorker("same", "b.php") + `
				}
			}
			handle_path /c/* {
				php_server
			}
		}`,
	})
	refused := `no background worker named "only-a" in this php_server or the global block, and no catch-all`
	none := "no background worker configured in this php_server"
	s.Get("/a/?to=same").MustBe(200, "a.php\n")
	s.Get("/b/?to=same").MustBe(200, "b.php\n")
	s.Get("/a/?to=only-a").MustBe(200, "a.php\n")
	s.Get("/b/?to=only-a&vars=only-a").MustBe(200, refused+"\n"+refused)
	s.Get("/b/?to=same&via=only-a").MustBe(200, refused+"\n")
	s.Get("/a/?to=same&via=only-a").MustBe(200, "a.php\n")
	s.Get("/c/?to=same&vars=same").MustBe(200, none+"\n"+none)
}

// A pool with `num` whose script runs but never asks for anything ends the boot when its boot_timeout is over,
// with what is missing; neither a lazy pool like it nor one that publishes instead of asking does.
func TestBootTimeout(t *testing.T) {
	t.Parallel()
	files := harness.Files{
		"deaf.php":      `<?php while (true) { usleep(1000); }`,
		"publishes.php": `<?php frankenphp_worker_set_vars(['up' => true]); while (true) { usleep(1000); }`,
		"index.php":     `<?php echo json_encode(frankenphp_worker_get_vars('publishes'));`,
	}
	_, err := harness.TryStart(t, harness.Config{
		Site: "php_server {\n" + backgroundWorker("deaf", "deaf.php", "num 2", "boot_timeout 200ms", "stop_grace 50ms") + "}", Files: files,
	})
	if err == nil {
		t.Fatal("the server started with a worker that never gets ready")
	}
	for _, want := range []string{"deaf", "deaf.php", "was not ready in time", "frankenphp_worker_get_signaling_stream"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not have %q: %v", want, err)
		}
	}
	s := harness.Start(t, harness.Config{
		Site: "php_server {\n" + backgroundWorker("deaf", "deaf.php", "boot_timeout 1ms", "stop_grace 50ms") +
			backgroundWorker("publishes", "publishes.php", "num 1", "stop_grace 50ms") + "}",
		Files: files,
	})
	s.Get("/").MustBe(200, `{"up":true}`)
}
