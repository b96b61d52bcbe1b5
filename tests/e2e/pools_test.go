package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Pools of workers under more than one task.

// Two tasks on two workers are under way at the same time: each waits for the other.
func TestTwoWorkersWorkAtOnce(t *testing.T) {
	t.Parallel()
	s := startTasks(t, []scenario{{"meet", `
		$a = send('tool', 'meet', ['file' => $f = temporary()]); $b = send('tool', 'meet', ['file' => $f]);
		$met = [updates($a), updates($b)];
		unlink($f);
		return $met;`, ""}})
	for range 5 {
		s.Get("/?scenario=meet").MustBe(200, `[[{"met":true}],[{"met":true}]]`)
	}
}

// A worker's crash is its own: the sibling's task goes on, and its worker is the same afterwards.
func TestSiblingIsUnaffectedByACrash(t *testing.T) {
	t.Parallel()
	var rows []scenario
	for _, end := range []string{"exit", "throw", "fatal", "memory", "let go"} {
		rows = append(rows, scenario{end, fmt.Sprintf(`
			$hold = send('tool', 'hold', ['file' => $f = temporary()]);
			$first = frankenphp_worker_task_read($hold);
			$crash = send('tool', %q, ['status' => 1]);
			$error = thrown(fn() => updates($crash));
			$after = updates(send('tool', 'echo', ['value' => 'after']));
			$r = [$hold]; $n = null;
			$disturbed = stream_select($r, $n, $n, 0);
			fclose($hold);
			return [$first, strtok($error, '<'), $after, $disturbed, written($f)];`, end),
			`[{"holding":true},"RuntimeException: background worker exited without completing the task ",[{"echo":"after"}],0,"[1,true,\"task closed\"]"]`})
	}
	runScenarios(t, rows)
}

// stream_select() on one, two and two hundred tasks wakes for the one that has something to say.
func TestSelectOnTasks(t *testing.T) {
	t.Parallel()
	// One worker holds them all, and answers the one that it is told to.
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 4\n}",
		Site:   "php_server {\n" + backgroundWorker("holder", "holder.php", "num 1", "queue 1000") + "}",
		Files: harness.Files{
			"holder.php": `<?php
				$signals = frankenphp_worker_get_signaling_stream();
				$held = [];
				while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
					$held = array_filter($held, fn($stream) => !feof($stream)); // whose senders have gone
					while ($task = frankenphp_worker_task_receive()) {
						[$stream, $p] = $task;
						if (isset($p['answer'])) {
							frankenphp_worker_task_update($held[$p['answer']], ['number' => $p['answer']]);
							fclose($stream);
						} elseif (isset($p['end'])) {
							fclose($held[$p['end']]);
							unset($held[$p['end']]);
							fclose($stream);
						} else {
							$held[$p['hold']] = $stream;
						}
					}
				}`,
			"index.php": `<?php
				$streams = [];
				for ($i = 1; $i <= $_GET['n']; ++$i) $streams[$i] = frankenphp_worker_task_send('holder', ['hold' => $i]);
				$n = null;
				$wake = function () use ($streams, &$n) { $r = $streams; return stream_select($r, $n, $n, 20) ? array_keys($r) : 'timeout'; };
				$r = $streams;
				$out = [stream_select($r, $n, $n, 0)];
				foreach (array_unique([1, intdiv($_GET['n'] + 1, 2), (int) $_GET['n']]) as $i) {
					$order = frankenphp_worker_task_send('holder', ['answer' => $i]); // kept: to let go of it would cancel it
					$out[] = $wake() === [$i] && frankenphp_worker_task_read($streams[$i]) === ['number' => $i];
					$r = $streams;
					$out[] = stream_select($r, $n, $n, 0);
				}
				$order = frankenphp_worker_task_send('holder', ['end' => 1]);
				$out[] = $wake() === [1] && frankenphp_worker_task_read($streams[1]) === null && feof($streams[1]);
				echo json_encode($out);`,
		},
	})
	s.Get("/?n=1").MustBe(200, "[0,true,0,true]")
	s.Get("/?n=2").MustBe(200, "[0,true,0,true,0,true]")
	for range 3 {
		s.Get("/?n=200").MustBe(200, "[0,true,0,true,0,true,0,true]")
	}
	// Descriptors were made for stream_select; they went with their tasks.
	s.Get("/?n=1").MustBe(200, "[0,true,0,true]")
	if n := s.Descriptors()["anon_inode"]; n > 20 {
		t.Errorf("after select on hundreds of tasks, %d anonymous descriptors are open: %v", n, s.Descriptors())
	}
}

// Ten thousand tasks from eight requests at once, each with its own answer; and nothing is left of them.
func TestTenThousandTasks(t *testing.T) {
	t.Parallel()
	s := startTasks(t, []scenario{
		{"many", `
			$wrong = 0;
			for ($i = 0; $i < 1250; ++$i) {
				$value = bin2hex(random_bytes(8)) . $i;
				if (updates(send('tool', 'echo', ['value' => $value])) !== [['echo' => $value]]) ++$wrong;
			}
			return [$i, $wrong];`, ""},
		{"many at once", `
			$wrong = $sent = 0;
			for ($round = 0; $round < 25; ++$round) {
				$tasks = [];
				for ($i = 0; $i < 10; ++$i) { $value = bin2hex(random_bytes(8)); $tasks[$value] = send('queued', 'echo', ['value' => $value]); ++$sent; }
				$n = null;
				while ($tasks) {
					$r = $tasks;
					if (!stream_select($r, $n, $n, 20)) return 'timeout';
					foreach ($r as $value => $task) {
						if (updates($task) !== [['echo' => (string) $value]]) ++$wrong;
						unset($tasks[$value]);
					}
				}
			}
			return [$sent, $wrong];`, ""},
	})
	run := func(scenario, want string) {
		t.Helper()
		parallel(8, func(int) {
			r, err := s.TryGet("/?scenario=" + strings.ReplaceAll(scenario, " ", "+"))
			if err != nil || r.Body != want {
				t.Errorf("%s: %d %q, %v; the log:\n%s", scenario, r.Status, r.Body, err, s.Log.Tail(10))
			}
		})
	}
	run("many", "[1250,0]") // the first round warms everything up
	run("many at once", "[250,0]")
	threads, memory, descriptors := s.Threads(), s.Memory(), s.Descriptors()
	run("many", "[1250,0]")
	run("many at once", "[250,0]")
	if grown := s.Memory() - memory; grown > 12<<10 {
		t.Errorf("12,000 tasks made the process grow by %d kB", grown)
	}
	// Go may have started a thread or two meanwhile; one per task or request it is not.
	if now := s.Threads(); now > threads+4 {
		t.Errorf("12,000 tasks left %d threads where %d were", now, threads)
	}
	for kind, n := range s.Descriptors() {
		if kind != "socket" && n > descriptors[kind]+2 {
			t.Errorf("12,000 tasks left %d descriptors of %s where %d were", n, kind, descriptors[kind])
		}
	}
}

// Each php_server has workers of its own; the global block is the fallback, and has a catch-all here.
func TestScopes(t *testing.T) {
	t.Parallel()
	worker := `<?php
		$signals = frankenphp_worker_get_signaling_stream();
		while (($signal = fgets($signals)) !== false && $signal !== "stop\n")
			while ([$stream, $payload] = frankenphp_worker_task_receive()) {
				frankenphp_worker_task_update($stream, [basename($_SERVER['argv'][0]), $_SERVER['FRANKENPHP_WORKER_NAME']]);
				fclose($stream);
			}`
	s := harness.Start(t, harness.Config{
		Files: harness.Files{
			"index.php": `<?php
				try { echo json_encode(frankenphp_worker_task_read(frankenphp_worker_task_send($_GET['to'], []))); } catch (Exception $e) { echo $e->getMessage(); }`,
			"a.php": worker, "b.php": worker, "global.php": worker, "any.php": worker,
		},
		Caddyfile: `{
			admin {$IGOR_TEST_ADMIN}
			persist_config off
			auto_https off
			log {
				format json
			}
			igor {
				worker {
					name shared
					file global.php
					background
				}
				worker {
					name both
					file global.php
					background
				}
				worker any.php {
					background
					max_threads 2
				}
			}
		}
		{$IGOR_TEST_ADDRESS} {
			root .
			handle_path /a/* {
				php_server {
					` + backgroundWorker("both", "a.php", "num 1") + `
				}
			}
			handle_path /b/* {
				php_server {
					` + backgroundWorker("both", "b.php", "num 1") + backgroundWorker("own", "b.php") + `
				}
			}
		}`,
	})
	s.Get("/a/?to=both").MustBe(200, `["a.php","both"]`)
	s.Get("/b/?to=both").MustBe(200, `["b.php","both"]`)
	s.Get("/a/?to=shared").MustBe(200, `["global.php","shared"]`)
	s.Get("/b/?to=own").MustBe(200, `["b.php","own"]`)
	s.Get("/a/?to=one").MustBe(200, `["any.php","one"]`)
	s.Get("/a/?to=two").MustBe(200, `["any.php","two"]`)
	s.Get("/b/?to=one").MustBe(200, `["any.php","one"]`)
	s.Get("/a/?to=own").MustContain(200, `background worker "own" cannot be started: the catch-all runs as many names`)
}

func TestNoWorkersAtAll(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		try { frankenphp_worker_task_send('any', []); } catch (RuntimeException $e) { echo $e->getMessage(); }`})
	s.Get("/").MustBe(200, "no background worker configured in this php_server")
}

// What a worker prints, logs, throws or dies of is in the server's log, with its name.
func TestWorkersLog(t *testing.T) {
	t.Parallel()
	s := startTasks(t, []scenario{
		{"print", `return updates(send('tool', 'print'));`, ""},
		{"throw", `return thrown(fn() => updates(send('tool', 'throw')));`, ""},
		{"fatal", `return thrown(fn() => updates(send('tool', 'fatal')));`, ""},
	})
	s.Get("/?scenario=print").MustBe(200, "[]")
	for message, level := range map[string]string{
		"printed by the worker": "info", "logged by the worker": "warn", "noticed by the worker": "info",
	} {
		e := s.WaitLog(message)
		if e.Level != level || e.Field("worker") != "tool" || e.Field("thread") == "" || e.Field("task") == "" {
			t.Errorf("%q came as %s, want level %s, worker, thread and task", message, e.Raw, level)
		}
	}
	s.WaitLog("to stderr by the worker")
	s.Get("/?scenario=throw").MustContain(200, "the worker threw")
	s.Get("/?scenario=fatal").MustContain(200, "Class Broken")
	for _, message := range []string{"Uncaught DomainException: the worker threw", "Class Broken contains"} {
		e := s.WaitLog(message)
		if e.Level != "error" || e.Field("worker") != "tool" || e.Field("line") == "" || !strings.Contains(e.Field("file"), "tool.php") {
			t.Errorf("%q came as %s, want an error with worker, file and line", message, e.Raw)
		}
	}
}
