package faults

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Each fault stands on a line of its own, by which its place is known.
const commit = `<?php
function deep($n) { return deep($n + 1) + 1; }
final class Nested { function __toString(): string { return (string) new Nested(); } }
function inFiber(callable $do) { $fiber = new Fiber($do); $fiber->start(); }
final class Thrower { function __destruct() { throw new DomainException('in a destructor'); } }
function commit(string $fault) {
	switch ($fault) {
		case 'exit': exit();
		case 'exit 3': exit(3);
		case 'die': die('a last word');
		case 'return': return;
		case 'exception': throw new DomainException("thrown in the worker\0\xff\n");
		case 'exception with a cause': throw new LogicException('the effect', 7, new DomainException('the cause'));
		case 'undefined function': undefined_function();
		case 'type error': strlen([]);
		case 'parse error': require __DIR__ . '/does_not_parse.php';
		case 'missing file': require __DIR__ . '/missing.php';
		case 'compile error': require __DIR__ . '/does_not_compile.php';
		case 'user error': trigger_error('as asked', E_USER_ERROR);
		case 'destructor': $t = new Thrower(); unset($t);
		case 'memory at once': str_repeat('x', 1 << 40);
		case 'memory slowly': for ($all = [];;) $all[] = str_repeat('y', 10000);
		case 'recursion': deep(0);
		case 'recursion through C': (string) new Nested();
		case 'exception in a fiber': inFiber(function () { throw new DomainException('in a fiber'); });
		case 'exit in a fiber': inFiber(function () { exit(4); });
		case 'memory in a fiber': inFiber(function () { str_repeat('x', 1 << 40); });
		case 'recursion in a fiber': inFiber(fn() => deep(0));
		case 'recursion through C in a fiber': inFiber(fn() => (string) new Nested());
		case 'recursion through C in nested fibers': inFiber(fn() => inFiber(fn() => inFiber(fn() => (string) new Nested())));
		case 'time limit': set_time_limit(1); for (;;);
	}
}
`

var endsFiles = harness.Files{
	"commit.php":           commit,
	"does_not_parse.php":   "<?php\n\n$a = ;\n",
	"does_not_compile.php": "<?php\n\nfinal class Broken implements Countable {}\n",
	"faulty.php": `<?php
		$boot = hrtime(true);
		require __DIR__ . '/commit.php';
		$signals = frankenphp_worker_get_signaling_stream();
		$over = false;
		while (!$over && ($signal = fgets($signals)) !== false && $signal !== "stop\n") {
			while (!$over && [$stream, $p] = frankenphp_worker_task_receive()) {
				switch ($p['do']) {
					case 'boot':
						frankenphp_worker_task_update($stream, ['boot' => $boot]);
						break;
					case 'hold': // until it is let go, one update after the other
						for ($i = 0; !is_file($p['until']); ++$i) {
							frankenphp_worker_task_update($stream, ['n' => $i]);
							usleep(2000);
							clearstatcache();
						}
						break;
					default:
						frankenphp_worker_task_update($stream, ['at' => hrtime(true)]);
						commit($p['do']);
						$over = true; // it returned
						$kept = $stream;
						continue 2;
				}
				fclose($stream);
			}
		}`,
	// Has a worker commit a fault, and tells what came of it.
	"fault.php": `<?php
		$told = [];
		if (isset($_GET['object'])) {
			$task = Igor\Worker::send('faulty', ['do' => $_GET['do']], 50);
			$at = $task->read()['at'];
			try { $told['ended'] = $task->await(); } catch (Igor\TaskFailed $failed) { $end = hrtime(true); }
			$told['state'] = $task->state()->name;
		} else {
			$task = frankenphp_worker_task_send('faulty', ['do' => $_GET['do']], 50);
			$at = frankenphp_worker_task_read($task)['at'];
			try { $told['ended'] = frankenphp_worker_task_read($task); } catch (RuntimeException $e) { $end = hrtime(true); $failed = $e->getPrevious(); }
			$told['thrown'] = get_class($e) . ': ' . $e->getMessage();
		}
		echo json_encode($told + ['class' => get_class($failed), 'reason' => $failed->getReason()->name, 'status' => $failed->getExitStatus(),
			'error' => $failed->getErrorClass(), 'message' => $failed->getErrorMessage(), 'file' => basename((string) $failed->getErrorFile()),
			'line' => $failed->getErrorLine(), 'trace' => $failed->getErrorTrace() !== null, 'took' => ($end - $at) / 1e6, 'end' => $end],
			JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR);`,
	"boot.php": `<?php
		$task = frankenphp_worker_task_send('faulty', ['do' => 'boot'], 50);
		$told = frankenphp_worker_task_read($task);
		frankenphp_worker_task_read($task); // to its end
		echo json_encode($told);`,
	"hold.php": `<?php
		set_time_limit(0);
		$task = frankenphp_worker_task_send('faulty', ['do' => 'hold', 'until' => $_GET['until']], 50);
		for ($i = 0; $update = frankenphp_worker_task_read($task); ++$i) {
			if ($update['n'] !== $i) die("update $i was $update[n]");
			if ($i === 0) { echo 'held '; flush(); }
		}
		echo 'to its end';`,
}

type failure struct {
	Thrown, State        string
	Class, Reason, Error string
	Message, File        string
	Status, Line         int
	Trace                bool
	Took                 float64
	End                  int64
}

// TestWorkerFaults: whatever a worker dies of, its sender is told at once and in full, the worker is back as soon as
// the rules for that allow, and nobody else notices: not the sibling in the middle of its task, nor other pools and requests.
func TestWorkerFaults(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 8\n}",
		Site:   site(harness.BackgroundWorker("faulty", "faulty.php", "num 2")),
		Files:  files(endsFiles),
	})
	l := startLoad(t, s)
	letGo := filepath.Join(s.Root, "let-go")
	sibling := make(chan string, 1)
	go func() {
		r, err := s.TryGet("/hold.php?until=" + url.QueryEscape(letGo))
		sibling <- fmt.Sprint(r.Body, err)
	}()
	harness.Eventually(t, "the sibling's task", func() error {
		if states := poolOf(t, s, "faulty").states(); states["busy"] != 1 {
			return fmt.Errorf("the workers are %v", states)
		}
		return nil
	})

	const memory = "Allowed memory size of 134217728 bytes exhausted"
	const stack = "Maximum call stack size of"
	for _, c := range []struct {
		fault  string
		reason string
		error  string // the class of the exception
		texts  string // in the message
		file   string // commit.php where the fault has a place
		status int
		line   int // 0: that of the fault; -1: anywhere
	}{
		{"exit", "Exited", "", "exit status 0", "", 0, 0},
		{"exit 3", "Exited", "", "exit status 3", "", 3, 0},
		{"die", "Exited", "", "exit status 0", "", 0, 0},
		{"return", "Exited", "", "exit status 0", "", 0, 0},
		{"exception", "UncaughtException", "DomainException", "thrown in the worker\x00\ufffd\n", "commit.php", 255, 0},
		{"exception with a cause", "UncaughtException", "LogicException", "the effect", "commit.php", 255, 0},
		{"undefined function", "UncaughtException", "Error", "Call to undefined function undefined_function()", "commit.php", 255, 0},
		{"type error", "UncaughtException", "TypeError", "strlen(): Argument #1 ($string) must be of type string, array given", "commit.php", 255, 0},
		{"parse error", "UncaughtException", "ParseError", `syntax error, unexpected token ";"`, "does_not_parse.php", 255, 3},
		{"missing file", "UncaughtException", "Error", "Failed opening required", "commit.php", 255, 0},
		{"compile error", "FatalError", "", "Class Broken contains 1 abstract method", "does_not_compile.php", 255, 3},
		{"user error", "FatalError", "", "as asked", "commit.php", 255, 0},
		{"destructor", "UncaughtException", "DomainException", "in a destructor", "commit.php", 255, 5},
		{"memory at once", "MemoryLimit", "", memory, "commit.php", 255, 0},
		{"memory slowly", "MemoryLimit", "", memory, "commit.php", 255, 0},
		{"recursion", "MemoryLimit", "", memory, "commit.php", 255, 2},
		{"recursion through C", "FatalError", "Error", stack, "commit.php", 255, -1},
		{"exception in a fiber", "UncaughtException", "DomainException", "in a fiber", "commit.php", 255, 0},
		{"exit in a fiber", "Exited", "", "exit status 4", "", 4, 0},
		{"memory in a fiber", "MemoryLimit", "", memory, "commit.php", 255, 0},
		{"recursion in a fiber", "MemoryLimit", "", memory, "commit.php", 255, 2},
		{"recursion through C in a fiber", "FatalError", "Error", stack, "commit.php", 255, -1},
		{"recursion through C in nested fibers", "FatalError", "Error", stack, "commit.php", 255, -1},
		{"time limit", "FatalError", "", "Maximum execution time of 1 second exceeded", "commit.php", 255, -1},
	} {
		t.Run(c.fault, func(t *testing.T) {
			line := c.line
			if line == 0 && c.file != "" {
				line = lineOf(t, commit, "case '"+c.fault+"'")
			}
			tried := 0
			once := func() failure {
				path := "/fault.php?do=" + url.QueryEscape(c.fault)
				if tried++; tried%2 == 0 {
					path += "&object"
				}
				f := harness.JSONOf[failure](t, s.Get(path))
				if tried%2 == 0 && f.State != "Failed" {
					t.Errorf("the task's state is %q", f.State)
				} else if tried%2 == 1 && f.Thrown != "RuntimeException: background worker exited without completing the task" {
					t.Errorf("task_read threw %q", f.Thrown)
				}
				if f.Class != `Igor\TaskFailed` || f.Reason != c.reason || f.Error != c.error || !strings.Contains(f.Message, c.texts) ||
					f.File != c.file || (line >= 0 && f.Line != line) || f.Status != c.status || f.Trace != (c.error != "") {
					t.Errorf("the sender was told %+v; want reason %s, class %q, %q in the message, %q, line %d, status %d", f,
						c.reason, c.error, c.texts, c.file, line, c.status)
				}
				return f
			}
			// From the fault to its sender. The time limit is PHP's own second; and recursion is at fault only when it has
			// filled all of its memory.
			bound := 50.0
			switch c.fault {
			case "time limit":
				bound = 1500
			case "recursion", "recursion in a fiber":
				bound = 150
			}
			once() // both of its forms are looked at
			bestOf(t, 12, "from the fault to the sender", bound, func() float64 { return once().Took })

			// The worker is there again: at once after a clean end, else after half to all of the shortest backoff.
			least, most := 50.0, 100.0
			if c.reason == "Exited" && c.status == 0 {
				least, most = 0, 0
			}
			bestOf(t, 12, "from the fault to the worker's next boot", most+50, func() float64 {
				f := once()
				next := harness.JSONOf[struct{ Boot int64 }](t, s.Get("/boot.php"))
				pause := float64(next.Boot-f.End) / 1e6
				if f.Took+pause < least {
					t.Errorf("the worker was there again %.1f ms after the fault, sooner than its backoff of %.0f ms", f.Took+pause, least)
				}
				return pause
			})
			l.awaitMore()
		})
	}

	if err := writeFile(letGo); err != nil {
		t.Fatal(err)
	}
	if got := <-sibling; got != "held to its end<nil>" {
		t.Errorf("the sibling's task came back as %q", got)
	}
	l.end()
	if p := poolOf(t, s, "faulty"); p.Breaker != "closed" || len(p.Workers) != 2 || len(p.Tasks) != 0 || p.Counters.Completed+sum(p.Counters.Failed) != p.Counters.Accepted {
		t.Errorf("after it all the pool is %+v", p)
	}
	if p := poolOf(t, s, "steady"); p.Counters.Completed != p.Counters.Accepted || p.Counters.Crashes != 0 {
		t.Errorf("the other pool counts %+v", p.Counters)
	}
}
