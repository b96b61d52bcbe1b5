package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The contract of the worker functions, row by row, through the server: each scenario is run in a request
// and in a background worker that sends to another. testdata/tasks has the scripts.

type scenario struct {
	name string
	php  string // the body of a function; what it returns is printed as JSON
	want string
}

// startTasks starts a server with the task scripts, their usual pools, and the scenarios.
func startTasks(t testing.TB, scenarios []scenario, morePools ...string) *harness.Server {
	t.Helper()
	files := harness.Files{}
	for _, name := range []string{"index.php", "lib.php", "tool.php", "jobs.php", "relay.php"} {
		content, err := os.ReadFile(filepath.Join(harness.Testdata(), "tasks", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	files["syntax.php"] = "<?php\n\nthis is no PHP;"
	files["deaf.php"] = "<?php\nwhile (true) { usleep(1000); }"
	files["failing.php"] = "<?php\nfrankenphp_worker_get_signaling_stream();\nthrow new DomainException('fails at start');"
	files["leaving.php"] = "<?php\nreturn;"
	var list strings.Builder
	list.WriteString("<?php\nenum Suit: string { case Hearts = 'h'; case Spades = 's'; }\nenum Direction { case Up; }\n" +
		"enum OnlyHere: string { case Known = 'known'; }\n" +
		"final class Plain { public $p = 1; }\nreturn [\n")
	for _, s := range scenarios {
		fmt.Fprintf(&list, "%q => function () {\n%s\n},\n", s.name, s.php)
	}
	list.WriteString("];\n")
	files["scenarios.php"] = list.String()
	patient := "max_consecutive_failures -1\n restart_backoff 1ms 1ms"
	pools := []string{
		backgroundWorker("tool", "tool.php", "num 2", patient, "env WORKER_ENV of-the-worker"),
		backgroundWorker("single", "tool.php", "num 1", patient),
		backgroundWorker("queued", "tool.php", "num 1", "queue 100", patient),
		backgroundWorker("rejecting", "tool.php", "num 1", "queue 1", "overflow reject", patient),
		backgroundWorker("lazy", "tool.php"),
		backgroundWorker("hasty", "tool.php", "num 1", "timeout 2s", patient),
		backgroundWorker("small", "tool.php", "num 1", "max_payload 1KiB", "updates 2"),
		backgroundWorker("jobs", "jobs.php", "num 3", patient),
		backgroundWorker("publisher", "jobs.php", "num 1", patient),
		backgroundWorker("relay", "relay.php", "num 2", patient),
		backgroundWorker("syntax", "syntax.php", patient),
		backgroundWorker("failing", "failing.php", "restart_backoff 1ms 1ms", "max_consecutive_failures 2"),
		backgroundWorker("deaf", "deaf.php", "stop_grace 100ms"),
		backgroundWorker("leaving", "leaving.php", patient),
	}
	return harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 16\n}",
		Site:   "php_server {\n" + strings.Join(append(pools, morePools...), "") + "}",
		Files:  files,
	})
}

func runScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	s := startTasks(t, scenarios)
	for _, c := range scenarios {
		for _, place := range []string{"request", "worker"} {
			r := s.Get("/?scenario=" + url.QueryEscape(c.name) + "&in=" + place)
			if r.Status != 200 || strings.ReplaceAll(r.Body, s.Root, "ROOT") != c.want {
				t.Errorf("%s, in a %s: %d\n%s\nwant\n%s", c.name, place, r.Status, r.Body, c.want)
			}
		}
	}
}

func TestTaskContract(t *testing.T) {
	t.Parallel()
	runScenarios(t, []scenario{
		{"an update comes back", `return updates(send('tool', 'echo', ['value' => 'x']));`, `[{"echo":"x"}]`},
		{"null again and again after the end", `$t = send('tool', 'nothing');
			return [frankenphp_worker_task_read($t), frankenphp_worker_task_read($t), frankenphp_worker_task_read($t)];`, `[null,null,null]`},
		{"updates in order, more than there are places", `return array_column(updates(send('tool', 'count', ['to' => 200])), 'n') === range(1, 200);`, `true`},
		{"two places", `return array_column(updates(send('small', 'count', ['to' => 50])), 'n') === range(1, 50);`, `true`},
		{"what a worker knows of itself", `return updates(send('tool', 'about'))[0];`,
			`{"name":"tool","background":true,"worker":true,"argv":["tool.php","tool",2],"limit":"0","env":"of-the-worker","getenv":"of-the-worker"}`},
		{"every type", `$v = ['null' => null, 'true' => true, 'false' => false, 'int' => PHP_INT_MIN, 'float' => -0.0, 'nan' => NAN, 'inf' => -INF,
				'string' => "a\0b\xff", 'empty' => '', 'list' => [1, [2, [3]]], 7 => 'int key', -3 => 'negative', '' => 'no key', '08' => 'not a number',
				'nothing' => []];
			$back = updates(send('tool', 'echo', ['value' => $v]))[0]['echo'];
			return [serialize($back) === serialize($v), array_keys($back) === array_keys($v)];`, `[true,true]`},
		{"enum cases", `return updates(send('tool', 'echo', ['value' => [OnlyHere::Known]]))[0]['echo'] === [OnlyHere::Known];`, `true`},
		{"sizes", `$seen = [];
			foreach ([0, 1, 7, 8, 1000, 65536, 1 << 20, 16 << 20] as $n) {
				$v = substr(str_repeat("\0\xfe\n\"x", intdiv($n, 5) + 1), 0, $n);
				$u = updates(send('tool', 'measure', ['value' => $v]))[0];
				$seen[] = $u === ['size' => $n, 'hash' => hash('xxh128', $v)];
			}
			return $seen;`, `[true,true,true,true,true,true,true,true]`},
		{"large updates", `return strlen(updates(send('tool', 'large', ['size' => 12 << 20]))[0]['value']);`, `12582912`},
		{"many elements", `$v = range(0, 99999); return updates(send('tool', 'echo', ['value' => $v]))[0]['echo'] === $v;`, `true`},
		{"two senders' streams do not mix", `$a = send('tool', 'echo', ['value' => 'a']); $b = send('tool', 'echo', ['value' => 'b']);
			return [updates($b), updates($a)];`, `[[{"echo":"b"}],[{"echo":"a"}]]`},
		{"a lazy pool starts with its first task", `return updates(send('lazy', 'echo', ['value' => 1]));`, `[{"echo":1}]`},
		{"the stream for PHP's own functions", `$t = send('tool', 'echo', ['value' => 1]);
			$r = [$t]; $n = null; $first = stream_select($r, $n, $n, 20);
			$meta = stream_get_meta_data($t);
			$seen = [$first, feof($t), frankenphp_worker_task_read($t), get_resource_type($t), $meta['stream_type'], $meta['mode'], $meta['seekable'],
				stream_set_blocking($t, false)];
			$r = [$t]; stream_select($r, $n, $n, 20);
			$seen[] = count($r); $seen[] = frankenphp_worker_task_read($t); $seen[] = feof($t);
			$r = [$t]; $seen[] = stream_select($r, $n, $n, 0); // readable at its end, and stays so
			$seen[] = @fgets($t); $seen[] = @fwrite($t, 'x');
			return $seen;`,
			`[1,false,{"echo":1},"stream","task","r",false,true,1,null,true,1,false,false]`},
	})
}

func TestTaskSendRefusals(t *testing.T) {
	t.Parallel()
	runScenarios(t, []scenario{
		{"no such worker", `return thrown(fn() => send('nobody', 'echo'));`,
			`"RuntimeException: no background worker named \"nobody\" in this php_server or the global block, and no catch-all"`},
		{"empty name", `return thrown(fn() => frankenphp_worker_task_send('', []));`,
			`"ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must not be empty"`},
		{"a NUL in the name", `return thrown(fn() => frankenphp_worker_task_send("to\0ol", []));`,
			`"ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must not contain any null bytes"`},
		{"a name of 10 kB", `return thrown(fn() => frankenphp_worker_task_send(str_repeat('n', 10000), []));`,
			`"ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must be a worker's name of at most 255 bytes, 10000 given"`},
		{"timeouts that are none", `return array_map(fn($s) => thrown(fn() => frankenphp_worker_task_send('tool', [], $s)), [-1, -0.001, NAN, INF, -INF]) ===
				array_fill(0, 5, 'ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more');`, `true`},
		{"nobody waits", `$t = send('single', 'hold', ['file' => $f = temporary()]);
			frankenphp_worker_task_read($t);
			$error = thrown(fn() => send('single', 'echo', [], 0.05));
			fclose($t);
			return [$error, written($f), updates(send('single', 'echo', ['value' => 'again']))];`,
			`["RuntimeException: timeout waiting for background worker \"single\" to accept task","[1,true,\"task closed\"]",[{"echo":"again"}]]`},
		{"timeout of zero", `$t = send('single', 'hold', ['file' => $f = temporary()]);
			frankenphp_worker_task_read($t);
			$error = thrown(fn() => send('single', 'echo', [], 0));
			fclose($t); written($f);
			return $error;`, `"RuntimeException: timeout waiting for background worker \"single\" to accept task"`},
		{"a full pool that refuses", `$t = send('rejecting', 'hold', ['file' => $f = temporary()]);
			frankenphp_worker_task_read($t);
			$queued = send('rejecting', 'echo', ['value' => 'queued']);
			$begin = hrtime(true);
			$error = thrown(fn() => send('rejecting', 'echo', [], 20));
			$quick = hrtime(true) - $begin < 5e9;
			fclose($t); written($f);
			return [$error, $quick, updates($queued)];`,
			`["Igor\\Overflow: background worker \"rejecting\" is full (overflow reject)",true,[{"echo":"queued"}]]`},
		{"values that can't cross", `$ref = 1; $deep = []; for ($i = 0; $i < 600; ++$i) $deep = [$deep];
			$out = [];
			foreach (['resource' => ['user' => ['photo' => fopen('php://memory', 'r')]], 'object' => [['a' => new Plain()]], 'closure' => ['f' => fn() => 1],
				'date' => ['d' => new DateTime()], 'reference' => ['r' => &$ref], 'deep' => $deep] as $what => $payload) {
				$out[$what] = preg_replace('/(\[0\])+/', '[0]', thrown(fn() => frankenphp_worker_task_send('tool', $payload)));
			}
			return $out;`, `{"resource":"ValueError: $payload['user']['photo']: resource cannot be sent; null, bool, int, float, string, array and enum cases can","object":"ValueError: $payload[0]['a']: object of class Plain cannot be sent; null, bool, int, float, string, array and enum cases can","closure":"ValueError: $payload['f']: closure cannot be sent; null, bool, int, float, string, array and enum cases can","date":"ValueError: $payload['d']: object of class DateTime cannot be sent; null, bool, int, float, string, array and enum cases can","reference":"ValueError: $payload['r']: reference cannot be sent; null, bool, int, float, string, array and enum cases can","deep":"ValueError: $payload[...][0]: array is nested deeper than 512 levels"}`},
		{"too large", `return [thrown(fn() => send('small', 'measure', ['value' => str_repeat('x', 2000)])), updates(send('small', 'echo', ['value' => 1]))];`, `["ValueError: $payload: 2072 bytes when encoded, more than the 1024 that the pool allows (max_payload)",[{"echo":1}]]`},
		{"an enum that the receiver lacks", `$t = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => Suit::Hearts]);
			return [thrown(fn() => updates($t)), updates(send('tool', 'echo', ['value' => 'next']))];`, `["RuntimeException: background worker exited without completing the task <- Igor\\TaskFailed UncaughtException LogicException: enum Suit::Hearts is not known here",[{"echo":"next"}]]`},
		{"a worker with a syntax error", `return [thrown(fn() => send('syntax', 'echo'))];`, `["RuntimeException: background worker exited without completing the task <- Igor\\TaskFailed UncaughtException ParseError: syntax error, unexpected identifier \"is\""]`},
		{"a worker that fails at its start", `for ($i = 0; $i < 1000; ++$i) { // until its breaker opens
				$error = thrown(fn() => send('failing', 'echo'));
				if (str_contains($error, 'is not started for now')) break;
				if (!str_contains($error, 'exited without completing')) return $error;
			}
			return preg_replace('/failed (twice|\d+ times)/', 'failed N times', $error);`,
			`"RuntimeException: background worker \"failing\" failed N times in a row and is not started for now (max_consecutive_failures) <- Igor\\TaskFailed UncaughtException DomainException: fails at start"`},
		{"a worker that never asks for its signals", `return thrown(fn() => send('deaf', 'echo', [], 0.2));`,
			`"RuntimeException: timeout waiting for background worker \"deaf\" to accept task"`},
		{"a worker that leaves at once", `return thrown(fn() => send('leaving', 'echo'));`, `"RuntimeException: background worker exited without completing the task <- Igor\\TaskFailed Exited"`},
		{"not in a worker's place", `$t = send('tool', 'nothing');
			if (isset($_SERVER['FRANKENPHP_WORKER_NAME'])) { // where the functions work, but not with the sender's side of a task
				return ['RuntimeException: frankenphp_worker_task_receive() can only be called in a background worker',
					'RuntimeException: frankenphp_worker_get_signaling_stream() can only be called in a background worker',
					str_replace('TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be a stream from frankenphp_worker_task_receive(), this is the sender\'s side of a task',
						'RuntimeException: frankenphp_worker_task_update() can only be called in a background worker', thrown(fn() => frankenphp_worker_task_update($t, [])))];
			}
			return [thrown(fn() => frankenphp_worker_task_receive()), thrown(fn() => frankenphp_worker_get_signaling_stream()),
				thrown(fn() => frankenphp_worker_task_update($t, []))];`,
			`["RuntimeException: frankenphp_worker_task_receive() can only be called in a background worker","RuntimeException: frankenphp_worker_get_signaling_stream() can only be called in a background worker","RuntimeException: frankenphp_worker_task_update() can only be called in a background worker"]`},
		{"streams of the wrong kind", `$t = send('tool', 'nothing'); updates($t); $closed = send('tool', 'nothing'); fclose($closed);
			return [thrown(fn() => frankenphp_worker_task_read(fopen('php://memory', 'r'))), thrown(fn() => frankenphp_worker_task_read($closed)),
				thrown(fn() => frankenphp_worker_task_read('text')), thrown(fn() => frankenphp_worker_task_read(stream_context_create())),
				fclose($t)];`, `["TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_send(), MEMORY stream given","TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream","TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, string given","TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream",true]`},
	})
}

// Only an explicit close completes a task. Everything else that ends the worker's side is an abort, and
// the sender learns its reason.
func TestEndsOfTasks(t *testing.T) {
	t.Parallel()
	const aborted = "RuntimeException: background worker exited without completing the task <- Igor\\\\TaskFailed "
	var rows []scenario
	for do, want := range map[string]string{
		"nothing":   "",
		"caught":    "",
		"finally":   "",
		"return":    "Exited",
		"throw":     "UncaughtException DomainException: the worker threw",
		"error":     "UncaughtException Error: Call to undefined function undefined_function()",
		"fatal":     "FatalError: Class Broken contains 1 abstract method and must therefore be declared abstract or implement the remaining methods (Countable::count)",
		"memory":    "MemoryLimit: Allowed memory size of 134217728 bytes exhausted (tried to allocate 1099511627808 bytes)",
		"static":    "Exited",
		"property":  "Exited",
		"closure":   "Exited",
		"cycle":     "Exited",
		"generator": "Exited",
		"fiber":     "Exited",
		"let go":    "Abandoned: the worker let go of the task's stream without fclose()",
	} {
		row := scenario{do, fmt.Sprintf(`$t = send('tool', %q); return [thrown(fn() => updates($t)), updates(send('tool', 'echo', ['value' => 'next']))];`, do),
			fmt.Sprintf(`["%s",[{"echo":"next"}]]`, aborted+want)}
		if want == "" {
			row.want = `["nothing was thrown",[{"echo":"next"}]]`
		}
		rows = append(rows, row)
	}
	for _, status := range []string{"0", "1", "255"} {
		rows = append(rows, scenario{"exit " + status, `$t = send('tool', 'exit', ['status' => ` + status + `]);
			try { frankenphp_worker_task_read($t); } catch (RuntimeException $e) { return [$e->getPrevious()->getReason()->name, $e->getPrevious()->getExitStatus()]; }`,
			`["Exited",` + status + `]`})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].name < rows[j].name })
	rows = append(rows, []scenario{
		{"the exception's place", `$t = send('tool', 'throw');
			try { frankenphp_worker_task_read($t); } catch (RuntimeException $e) { $p = $e->getPrevious();
				return [basename($p->getErrorFile()), $p->getErrorLine() > 0, str_contains($p->getErrorTrace(), 'perform()'), $p->getErrorClass()]; }`,
			`["tool.php",true,true,"DomainException"]`},
		{"the same abort each time", `$t = send('tool', 'exit', ['status' => 0]);
			return thrown(fn() => updates($t)) === thrown(fn() => updates($t));`, `true`},
		{"two tasks held, both aborted", `$a = send('single', 'second'); frankenphp_worker_task_read($a); $b = send('single', 'x'); frankenphp_worker_task_read($b);
			return [str_contains(thrown(fn() => updates($a)), 'Exited'), str_contains(thrown(fn() => updates($b)), 'Exited')];`, `[true,true]`},
		{"two tasks held, one completed", `$a = send('single', 'second', ['close' => true]); frankenphp_worker_task_read($a); $b = send('single', 'x'); 
			return [updates($b), str_contains(thrown(fn() => updates($a)), 'Exited')];`, `[[{"second":true}],true]`},
		{"a deadline", `$t = send('hasty', 'hold', ['file' => $f = temporary()]);
			$seen = [frankenphp_worker_task_read($t), thrown(fn() => frankenphp_worker_task_read($t))];
			return [...$seen, written($f), updates(send('hasty', 'echo', ['value' => 'next']))];`, `[{"holding":true},"RuntimeException: background worker exited without completing the task <- Igor\\TaskFailed Deadline: the task's time ran out","[1,true,\"task closed\"]",[{"echo":"next"}]]`},
		{"cancelled before pickup", `$hold = send('queued', 'hold', ['file' => $f = temporary()]); frankenphp_worker_task_read($hold);
			$t = send('queued', 'exit', ['status' => 9]); fclose($t);
			$next = send('queued', 'pid');
			fclose($hold); written($f);
			$one = updates($next)[0]['run'];
			return $one === updates(send('queued', 'pid'))[0]['run'];`, `true`},
		{"cancelled during work", `$t = send('single', 'hold', ['file' => $f = temporary()]); frankenphp_worker_task_read($t); fclose($t);
			return [written($f), updates(send('single', 'echo', ['value' => 'next']))];`, `["[1,true,\"task closed\"]",[{"echo":"next"}]]`},
		{"cancelled by letting go", `$t = send('single', 'hold', ['file' => $f = temporary()]); frankenphp_worker_task_read($t); unset($t);
			return written($f);`, `"[1,true,\"task closed\"]"`},
		{"cancelled with a full FIFO", `$t = send('single', 'flood', ['file' => $f = temporary()]); frankenphp_worker_task_read($t); fclose($t);
			return [written($f), updates(send('single', 'echo', ['value' => 'next']))];`, `["task closed",[{"echo":"next"}]]`},
		{"closed after the end", `$t = send('single', 'echo', ['value' => 1]); updates($t);
			return [fclose($t), thrown(fn() => frankenphp_worker_task_read($t)), updates(send('single', 'echo', ['value' => 2]))];`,
			`[true,"TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream",[{"echo":2}]]`},
		{"updates before the abort are delivered", `$t = send('single', 'second'); $u = frankenphp_worker_task_read($t); $b = send('single', 'x');
			return [$u, frankenphp_worker_task_read($b), str_contains(thrown(fn() => updates($t)), 'Exited')];`, `[{"first":true},{"second":true},true]`},
	}...)
	runScenarios(t, rows)
}
