package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Snapshots of background workers, as many readers see them while they are replaced.

// A worker publishes without pause, requests read without pause: every snapshot is whole, nobody goes back
// in time, and within a request two reads differ only when a newer one came between them.
func TestSnapshotsUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 8\n}",
		Site:   "php_server {\n" + backgroundWorker("ticker", "ticker.php", "num 1", "stop_grace 10s") + "}",
		Files: harness.Files{
			"ticker.php": `<?php
				$inbox = Igor\Worker::current();
				for ($n = 1; !$inbox->isStopping(); ++$n) {
					// Sizes that differ, so that a torn one could not pass for another.
					frankenphp_worker_set_vars(['n' => $n, 'list' => array_fill(0, 1 + $n % 300, $n), 'map' => ["k$n" => ['deep' => ["v$n"]]], 'end' => $n]);
					if ($n % 50 === 0) usleep(200); // two CPUs are for readers too
				}`,
			"index.php": `<?php
				$check = function (array $v): int {
					$n = $v['n'];
					if ($v !== ['n' => $n, 'list' => array_fill(0, 1 + $n % 300, $n), 'map' => ["k$n" => ['deep' => ["v$n"]]], 'end' => $n]) exit("torn at $n");
					return $n;
				};
				$first = frankenphp_worker_get_vars('ticker');
				$last = $check($first);
				for ($i = 0; $i < 20; ++$i) {
					$next = frankenphp_worker_get_vars('ticker');
					$n = $check($next);
					if ($n < $last) exit("from $last back to $n");
					if ($n === $last && $next !== $first) exit("two of $n");
					[$last, $first] = [$n, $next];
				}
				echo $last;`,
		},
	})
	end := time.Now().Add(2 * time.Second)
	var reads atomic.Int64
	parallel(8, func(client int) {
		last := 0
		for time.Now().Before(end) {
			r, err := s.TryGet("/")
			n, notNumber := strconv.Atoi(r.Body)
			if err != nil || r.Status != 200 || notNumber != nil || n < last {
				t.Errorf("client %d, after %d: %d %q, %v", client, last, r.Status, r.Body, err)
				return
			}
			last = n
			reads.Add(21)
		}
	})
	t.Logf("%d reads", reads.Load())
}

// The first readers wait for the first snapshot; when the script dies before it, each of them is told of
// what the script died. One that has come, and does not wait yet, hears of the next time.
func TestFirstReadersOfASnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reader := fmt.Sprintf(`<?php
		file_put_contents('%s/' . $_GET['w'], '.', FILE_APPEND | LOCK_EX);
		try {
			echo json_encode(frankenphp_worker_get_vars($_GET['w'], 50));
		} catch (RuntimeException $e) {
			$p = $e->getPrevious();
			echo get_class($e), ': ', $e->getMessage(), ' <- ', $p ? implode(', ', [$p->getReason()->name, $p->getErrorClass(), $p->getErrorMessage(),
				basename((string) $p->getErrorFile()), $p->getErrorLine(), $p->getExitStatus()]) : 'nothing';
		}`, dir)
	slow, dies := newGate(t), newGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 40\n}",
		Site:   "php_server {\n" + backgroundWorker("slow", "slow.php") + backgroundWorker("dies", "dies.php", "restart_backoff 1s 1s", "max_consecutive_failures -1") + "}",
		Files: harness.Files{
			"index.php": reader,
			"slow.php": fmt.Sprintf(`<?php file_get_contents('%s'); frankenphp_worker_set_vars(['slow' => 'ready']);
				while (Igor\Worker::current()->receive());`, slow.path),
			"dies.php": fmt.Sprintf(`<?php
				$time = filesize(__DIR__ . '/died'); file_put_contents(__DIR__ . '/died', '.', FILE_APPEND); if ($time === 0) file_get_contents('%s');
				throw new DomainException("no database, time $time");`, dies.path),
			"died": "",
		},
	})
	var mutex sync.Mutex
	told := map[string]bool{} // the times that readers heard of
	number := regexp.MustCompile(`time \d+`)
	for _, c := range []struct {
		worker string
		gate   *gate
		want   string
	}{
		{"slow", slow, `{"slow":"ready"}`},
		{"dies", dies, "RuntimeException: background worker exited without completing the task <- UncaughtException, DomainException, no database, time N, dies.php, 3, 255"},
	} {
		opened := make(chan struct{})
		go func() {
			defer close(opened)
			awaitSize(t, filepath.Join(dir, c.worker), 40)
			c.gate.awaitReader(t).Close()
		}()
		parallel(40, func(i int) {
			r, err := s.TryGet("/?w=" + c.worker)
			if err != nil || number.ReplaceAllString(r.Body, "time N") != c.want {
				t.Errorf("reader %d of %s: %q, %v; want %q", i, c.worker, r.Body, err, c.want)
			}
			mutex.Lock()
			defer mutex.Unlock()
			told[number.FindString(r.Body)] = true
		})
		<-opened
	}
	if len(told) > 5 { // all who wait hear of it at once; those of the snapshot of none
		t.Errorf("forty readers were told of %v", told)
	}
}

// Enum cases, large and odd values, through the server; and what can't be had.
func TestSnapshotsOfEveryKind(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Site: "php_server {\n" + backgroundWorker("kinds", "kinds.php", "num 1", "max_payload 100MiB") +
			backgroundWorker("gone", "gone.php") + backgroundWorker("silent", "silent.php") + "}",
		Files: harness.Files{
			"kinds.php": `<?php
				require 'suits.php';
				$inbox = Igor\Worker::current();
				$inbox->publish(['suit' => Suit::Hearts, 'by suit' => [Suit::Spades, [Suit::Hearts]]]);
				while ($job = $inbox->receive()) {
					match ($job->payload['do']) {
						'huge' => $inbox->publish(['text' => str_repeat("0123456789abcdef", 4 << 20), 'list' => range(0, 299999)]),
						'object' => null,
						'die' => exit(3),
					};
					$job->complete();
					unset($job);
				}`,
			"suits.php":  `<?php enum Suit: string { case Hearts = 'h'; case Spades = 's'; }`,
			"gone.php":   `<?php // removed by the test`,
			"silent.php": `<?php while (Igor\Worker::current()->receive());`,
			"index.php": `<?php
				spl_autoload_register(fn($class) => $class === 'Suit' && require 'suits.php');
				$try = function (callable $do) { try { return $do(); } catch (Throwable $e) { return get_class($e) . ': ' . $e->getMessage(); } };
				echo json_encode($try(match ($_GET['do']) {
					'enum' => function () { $v = frankenphp_worker_get_vars('kinds'); return $v['suit'] === Suit::Hearts && $v['by suit'] === [Suit::Spades, [Suit::Hearts]]; },
					'huge' => function () {
						ini_set('memory_limit', '512M');
						Igor\Worker::send('kinds', ['do' => 'huge'])->await();
						$v = frankenphp_worker_get_vars('kinds');
						$before = memory_get_usage();
						$same = [];
						for ($i = 0; $i < 50; ++$i) $same[] = frankenphp_worker_get_vars('kinds');
						return [strlen($v['text']), md5($v['text']) === md5(str_repeat("0123456789abcdef", 4 << 20)), $v['list'] === range(0, 299999),
							memory_get_usage() - $before < 1 << 20, $same[49] === $v];
					},
					'stale' => function () {
						try { Igor\Worker::send('kinds', ['do' => 'die'])->await(); } catch (Igor\TaskFailed $e) { $reason = $e->getReason()->name; }
						$v = frankenphp_worker_get_vars('kinds', 0); // the last one, or the first of the next run
						return [$reason, isset($v['text']) || isset($v['suit'])];
					},
					'gone' => fn() => frankenphp_worker_get_vars('gone'),
					'silent' => fn() => frankenphp_worker_get_vars('silent', 0.05),
					'unknown' => fn() => frankenphp_worker_get_vars(['kinds', 'unknown']),
					'set' => fn() => frankenphp_worker_set_vars([]),
				}));`,
		},
	})
	if err := os.Remove(filepath.Join(s.Root, "gone.php")); err != nil {
		t.Fatal(err)
	}
	s.Get("/?do=enum").MustBe(200, "true")
	s.Get("/?do=huge").MustBe(200, "[67108864,true,true,true,true]")
	s.Get("/?do=stale").MustBe(200, `["Exited",true]`)
	s.Get("/?do=gone").MustBe(200, `"RuntimeException: background worker exited without completing the task"`)
	s.Get("/?do=silent").MustBe(200, `"RuntimeException: timeout waiting for background worker \"silent\" to publish its vars"`)
	s.Get("/?do=unknown").MustContain(200, `no background worker named \"unknown\"`)
	s.Get("/?do=set").MustBe(200, `"RuntimeException: frankenphp_worker_set_vars() can only be called in a background worker"`)
	if !strings.Contains(s.Log.Tail(200), "gone.php") {
		t.Error("the log does not name the script that is missing")
	}
}

// One HTTP worker of the global block answers for two php_servers in turns: within a request a name gives the
// same array again, in the next request it is looked up anew, where that request belongs. What the script has decoded
// it keeps while that is the latest, and no longer.
func TestSnapshotsInWorkerMode(t *testing.T) {
	t.Parallel()
	publisher := func(whose string) string {
		return fmt.Sprintf(`<?php
			$inbox = Igor\Worker::current();
			$inbox->publish(['whose' => '%s', 'n' => $n = 1, 'list' => range(1, 20000)]);
			while ($job = $inbox->receive()) {
				$inbox->publish(['whose' => '%[1]s', 'n' => ++$n, 'list' => range(1, 20000)]);
				$job->complete();
				unset($job);
			}`, whose)
	}
	s := harness.Start(t, harness.Config{
		Files: harness.Files{
			"a.php": publisher("a"), "b.php": publisher("b"),
			"index.php": `<?php
				$served = 0;
				$held = null; // of the request before
				while (frankenphp_handle_request(function () use (&$served, &$held) {
					if (isset($_GET['wrong'])) {
						foreach ([fn() => frankenphp_worker_set_vars([]), fn() => frankenphp_worker_task_receive(), fn() => frankenphp_worker_get_signaling_stream(),
							fn() => Igor\Worker::current()] as $do) {
							try { $do(); echo "done\n"; } catch (RuntimeException $e) { echo $e->getMessage(), "\n"; }
						}
						return;
					}
					if (isset($_GET['memory'])) {
						echo memory_get_usage();
						return;
					}
					$before = memory_get_usage();
					$v = frankenphp_worker_get_vars('vars');
					$one = memory_get_usage() - $before;
					$again = [];
					for ($i = 0; $i < 50; ++$i) $again[] = frankenphp_worker_get_vars('vars');
					$all = memory_get_usage() - $before;
					if (isset($_GET['next'])) {
						Igor\Worker::send('vars', [])->await();
						$newer = frankenphp_worker_get_vars('vars')['n'];
					}
					echo json_encode([++$served, $v['whose'], $v['n'], $newer ?? null, $again[49] === $v, $one > 300000, $all < $one + 100000,
						$held === null || $held['whose'] === $_GET['before']]);
					$held = isset($_GET['hold']) ? $v : null;
				}));`,
		},
		Caddyfile: `{
			admin {$IGOR_TEST_ADMIN}
			persist_config off
			auto_https off
			log {
				format json
			}
			igor {
				num_threads 4
				worker index.php 1
			}
		}
		{$IGOR_TEST_ADDRESS} {
			root .
			handle_path /a/* {
				php_server {
					` + backgroundWorker("vars", "a.php") + `
				}
			}
			handle_path /b/* {
				php_server {
					` + backgroundWorker("vars", "b.php") + `
				}
			}
		}`,
	})
	s.Get("/a/").MustBe(200, `[1,"a",1,null,true,true,true,true]`)
	s.Get("/b/").MustBe(200, `[2,"b",1,null,true,true,true,true]`)
	s.Get("/a/?next=1").MustBe(200, `[3,"a",1,2,true,false,true,true]`)
	s.Get("/a/?hold=1").MustBe(200, `[4,"a",2,null,true,false,true,true]`)
	s.Get("/b/?before=a&next=1").MustBe(200, `[5,"b",1,2,true,false,true,true]`)
	s.Get("/b/").MustBe(200, `[6,"b",2,null,true,false,true,true]`)
	before := jsonOf[int](t, s.Get("/a/?memory=1"))
	for range 10 {
		s.Get("/a/?next=1").MustContain(200, `"a"`)
	}
	if after := jsonOf[int](t, s.Get("/a/?memory=1")); after > before+200_000 {
		t.Errorf("after ten newer snapshots the script has %d bytes, %d before", after, before)
	}
	only := " can only be called in a background worker\n"
	s.Get("/b/?wrong=1").MustBe(200, "frankenphp_worker_set_vars()"+only+"frankenphp_worker_task_receive()"+only+
		"frankenphp_worker_get_signaling_stream()"+only+"Igor\\Worker::current()"+only)
}

// A reload that changes the worker leaves its last snapshot readable until the new one publishes; one that
// does not touch it leaves the very worker.
func TestSnapshotsAcrossAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := func(version, more string) string {
		return "php_server {\n" + more + backgroundWorker("v", "worker.php", "num 1", "env VERSION "+version) + "}"
	}
	s := harness.StartSite(t, site("1", ""), harness.Files{
		"worker.php": fmt.Sprintf(`<?php
			$inbox = Igor\Worker::current();
			$version = $_SERVER['VERSION'];
			$inbox->receive(0); // ready
			while (!file_exists('%s/' . $version) && !$inbox->isStopping()) usleep(1000);
			frankenphp_worker_set_vars(['version' => $version, 'boot' => bin2hex(random_bytes(8))]);
			while ($inbox->receive());`, dir),
		"index.php": `<?php echo json_encode(frankenphp_worker_get_vars('v', (float) ($_GET['timeout'] ?? 0)));`,
	})
	type vars struct{ Version, Boot string }
	publish := func(version string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, version), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Caddy closes connections that nobody has accepted when it takes up another configuration.
	read := func() vars {
		t.Helper()
		var r harness.Response
		eventually(t, "an answer", func() (err error) {
			r, err = s.TryGet("/")
			return err
		})
		return jsonOf[vars](t, r)
	}
	publish("1")
	first := jsonOf[vars](t, s.Get("/?timeout=20"))
	if first.Version != "1" {
		t.Fatalf("%+v", first)
	}
	s.Reload(harness.Config{Site: site("1", backgroundWorker("another", "worker.php"))}).MustContain(200)
	if now := read(); now != first {
		t.Errorf("a reload that leaves the worker as it is: %+v, before %+v", now, first)
	}
	s.Reload(harness.Config{Site: site("2", "")}).MustContain(200)
	for range 5 {
		if now := read(); now != first {
			t.Errorf("before the new worker has published: %+v, want %+v", now, first)
		}
	}
	publish("2")
	eventually(t, "the new worker's snapshot", func() error {
		if now := read(); now.Version != "2" {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
}
