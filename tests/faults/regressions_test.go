package faults

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What broke elsewhere and has no better place: see docs/architecture/regressions.md.

// TestRequestFunctionsWithoutARequest: what a script calls for its request, a background worker may call without one, as a
// library does that knows nothing of workers; and an HTTP worker before its first request and between two.
func TestRequestFunctionsWithoutARequest(t *testing.T) {
	t.Parallel()
	const calls = `<?php
		function calls(): array {
			$called = [];
			foreach ([
				fn() => header('X-A: 1'), fn() => header('Location: /'), fn() => header_remove(), fn() => setcookie('a', 'b'), fn() => http_response_code(418),
				fn() => headers_list(), fn() => headers_sent(), fn() => headers_send(103), fn() => headers_send(), fn() => flush(),
				fn() => header_register_callback(fn() => null), fn() => ob_start(), fn() => print('x'), fn() => ob_end_flush(), fn() => flush(), fn() => ob_implicit_flush(),
				fn() => frankenphp_finish_request(), fn() => fastcgi_finish_request(), fn() => print('late'), fn() => flush(),
				fn() => frankenphp_request_headers(), fn() => frankenphp_response_headers(), fn() => getallheaders(),
				fn() => connection_status(), fn() => connection_aborted(), fn() => ignore_user_abort(true), fn() => set_time_limit(0),
				fn() => file_get_contents('php://input'), fn() => file_put_contents('php://output', 'o'), fn() => is_uploaded_file('/etc/passwd'),
				fn() => request_parse_body(), fn() => frankenphp_log('logged'), fn() => error_log('logged too'), fn() => session_status(),
			] as $i => $call) {
				try { @$call(); } catch (Throwable $e) { $called[] = get_class($e); continue; }
				$called[] = $i;
			}
			return $called;
		}`
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 8\n}",
		Site:   site("worker {\n name http\n file http_worker.php\n num 1\n}\n", harness.BackgroundWorker("caller", "caller.php", "num 1")),
		Files: files(harness.Files{
			"calls.php": calls,
			"caller.php": `<?php
				require __DIR__ . '/calls.php';
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) $job->complete(count(calls()));`,
			"http_worker.php": `<?php
				require __DIR__ . '/calls.php';
				do { calls(); } while (frankenphp_handle_request(function () { echo "request $_GET[n]"; }));`,
			"call.php": `<?php echo Igor\Worker::send('caller', [], 50)->await();`,
		}),
	})
	l := startLoad(t, s)
	for range 20 {
		s.Get("/call.php").MustBe(200, "34")
		if r := s.Get("/http_worker.php?n=1").MustBe(200, "request 1"); r.Header.Get("X-A") != "" || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("what was set between two requests went out with one: %v", r.Header)
		}
	}
	l.end()
	for _, name := range []string{"caller", "http"} {
		if p := poolOf(t, s, name); p.Counters.Crashes != 0 {
			t.Errorf("%s crashed %d times; %+v", name, p.Counters.Crashes, p.LastFailure)
		}
	}
}

// TestFailureAfterTheAnswerIsLogged: a script that fails when its client has its answer already fails for somebody.
func TestFailureAfterTheAnswerIsLogged(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server {\n worker worker.php 1\n}", harness.Files{
		"index.php": `<?php
			echo 'answer'; fastcgi_finish_request();
			match ($_GET['do']) {
				'exception' => throw new DomainException('thrown after the answer'),
				'fatal' => undefined_after_the_answer(),
				'warning' => trigger_error('warned after the answer', E_USER_WARNING),
				'shutdown' => register_shutdown_function(fn() => throw new DomainException('thrown in shutdown after the answer')),
			};`,
		"worker.php": `<?php
			while (frankenphp_handle_request(function () {
				echo 'answer'; frankenphp_finish_request();
				throw new DomainException('thrown by the worker after the answer');
			}));`,
	})
	for do, text := range map[string]string{"exception": "thrown after the answer", "fatal": "undefined_after_the_answer()",
		"warning": "warned after the answer", "shutdown": "thrown in shutdown after the answer"} {
		s.Get("/index.php?do="+do).MustBe(200, "answer")
		if e := s.WaitLog(text); !strings.HasPrefix(e.Field("url"), "/index.php") || e.Field("file") != filepath.Join(s.Root, "index.php") || e.Field("line") == "" {
			t.Errorf("%s: logged as %s", do, e.Raw)
		}
	}
	s.Get("/worker.php").MustBe(200, "answer")
	if e := s.WaitLog("thrown by the worker after the answer"); e.Field("worker") == "" || e.Field("line") == "" {
		t.Errorf("logged as %s", e.Raw)
	}
}

// TestDescriptorsBeyondSelect: with more descriptors than stream_select() can look at, it says so instead of spinning or
// crashing, the log has warned before, and everything that needs none works on.
func TestDescriptorsBeyondSelect(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Site:   site(harness.BackgroundWorker("holder", "holder.php", "num 1", "queue 2000")),
		Files: files(harness.Files{
			"holder.php": `<?php
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) { $job->update(['n' => $job->payload['n']]); $job->complete(); unset($job); }`,
			"many.php": `<?php
				$files = $tasks = [];
				while (count($files) < 1100) $files[] = fopen(__FILE__, 'r');
				for ($i = 0; $i < 20; ++$i) $tasks[$i] = frankenphp_worker_task_send('holder', ['n' => $i], 50);
				$said = [];
				set_error_handler(function ($level, $message) use (&$said) { $said[] = $message; return true; });
				$r = $tasks; $n = null;
				$begin = hrtime(true);
				try { $selected = stream_select($r, $n, $n, 2); } catch (ValueError $e) { $selected = $e->getMessage(); }
				restore_error_handler();
				$right = 0;
				foreach ($tasks as $i => $task) {
					if (frankenphp_worker_task_read($task) === ['n' => $i] && frankenphp_worker_task_read($task) === null) ++$right;
				}
				echo json_encode([$right, $selected === false || is_string($selected), (bool) preg_grep('/FD_SETSIZE|descriptor/', $said)]);`,
		}),
	})
	l := startLoad(t, s)
	s.Get("/many.php").MustBe(200, "[20,true,true]")
	if e := s.WaitLog("the process is running out of descriptors that stream_select() can use"); e.Level != "warn" {
		t.Errorf("logged as %s", e.Raw)
	}
	l.end()
}

// TestDeeplyNestedSource: a file whose compilation recurses deeper than any stack is an error in whatever thread compiles it.
func TestDeeplyNestedSource(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n php_ini {\n memory_limit 1G\n display_errors 0\n }\n}",
		Site:   site("worker http_worker.php 1\n", harness.BackgroundWorker("compiler", "compiler.php", "num 1")),
		Files: files(harness.Files{
			"deep.php":        "<?php return $a" + strings.Repeat(" . $a", 100000) + ";",
			"http_worker.php": `<?php while (frankenphp_handle_request(function () { require __DIR__ . '/deep.php'; }));`,
			"compiler.php": `<?php
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					require __DIR__ . '/deep.php';
					$job->complete('compiled');
				}`,
			"compile.php": `<?php
				try { echo Igor\Worker::send('compiler', [], 50)->await(); } catch (Igor\TaskFailed $e) { echo $e->getMessage(); }`,
		}),
	})
	l := startLoad(t, s)
	const message = "Maximum call stack size"
	for range 3 {
		s.Get("/deep.php").MustBe(500, "")
		s.Get("/http_worker.php").MustBe(500, "")
		s.Get("/compile.php").MustContain(200, "FatalError: "+message)
	}
	s.WaitLog(message)
	l.end()
}
