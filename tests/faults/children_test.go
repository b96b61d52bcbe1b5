package faults

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The ways for a script to have a child; each gives back what it was given, if all goes well.
const ways = `<?php
function way(string $way, string $n): string {
	switch ($way) {
		case 'exec': return exec('echo ' . escapeshellarg($n));
		case 'shell_exec': return trim(shell_exec('cat <<E' . "\n$n\nE\n"));
		case 'popen': $p = popen('echo ' . escapeshellarg($n), 'r'); $line = trim(fgets($p)); return pclose($p) === 0 ? $line : 'status';
		case 'proc_open':
			$p = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
			fwrite($pipes[0], $n); fclose($pipes[0]);
			$back = stream_get_contents($pipes[1]); fclose($pipes[1]);
			return ($status = proc_close($p)) === 0 ? $back : "status $status";
		case 'fork': // waits for this one
		case 'fork and wait': // waits for any: only its own will do
			$pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
			$child = pcntl_fork();
			if ($child === 0) {
				fclose($pair[0]);
				fwrite($pair[1], $n);
				echo "the child's own words";
				exit(7);
			}
			fclose($pair[1]);
			$back = stream_get_contents($pair[0]);
			$ended = $way === 'fork' ? pcntl_waitpid($child, $status) : pcntl_wait($status);
			if ($ended !== $child) return "waited for $ended, the child was $child";
			return pcntl_wexitstatus($status) === 7 ? $back : "exit status " . pcntl_wexitstatus($status);
	}
}
`

// groupOf lists the processes of a group that are not the process after which it is called, as PID and name; zombies are none.
func groupOf(t testing.TB, group int) []string {
	t.Helper()
	var found []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // ended meanwhile
		}
		pid, rest, _ := strings.Cut(string(data), " (")
		name, rest, _ := strings.Cut(rest, ") ")
		// state, parent, group
		if f := strings.Fields(rest); pid != strconv.Itoa(group) && f[2] == strconv.Itoa(group) && f[0] != "Z" && f[0] != "X" {
			found = append(found, pid+" "+name)
		}
	}
	return found
}

// stopAlone stops the server, which must leave nobody behind.
func stopAlone(t testing.TB, s *harness.Server) {
	t.Helper()
	group := s.PID()
	s.Stop()
	harness.Eventually(t, "the end of all children", func() error {
		if left := groupOf(t, group); len(left) > 0 {
			return fmt.Errorf("the server has stopped, and these live on: %v", left)
		}
		return nil
	})
}

var childrenFiles = harness.Files{
	"ways.php": ways,
	"runner.php": `<?php
		require __DIR__ . '/ways.php';
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) $job->complete(way($job->payload['way'], $job->payload['n']));`,
	"child.php": `<?php
		require __DIR__ . '/ways.php';
		echo isset($_GET['task']) ? Igor\Worker::send('runner', $_GET, 50)->await() : way($_GET['way'], $_GET['n']);`,
	"http_worker.php": `<?php
		require __DIR__ . '/ways.php';
		while (frankenphp_handle_request(function () { echo way($_GET['way'], $_GET['n']); }));`,
}

// TestChildrenUnderLoad: programs and forked children of requests, of an HTTP worker and of background workers, many at
// once: each parent gets its own child's answer, no bystander another's, and nobody is left.
func TestChildrenUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 10\n}",
		Site:   site("worker http_worker.php 1\n", harness.BackgroundWorker("runner", "runner.php", "num 2")),
		Files:  files(childrenFiles),
	})
	l := startLoad(t, s)
	var number atomic.Int64
	places := []string{"/child.php?", "/child.php?task&", "/http_worker.php?"}
	all := []string{"exec", "shell_exec", "popen", "proc_open", "fork", "fork and wait"}
	harness.Parallel(len(places), func(place int) {
		for i := range 10 * len(all) {
			n := fmt.Sprintf("number %d", number.Add(1))
			way := all[i%len(all)]
			r, err := s.TryGet(places[place] + "way=" + url.QueryEscape(way) + "&n=" + url.QueryEscape(n))
			if err != nil || r.Status != 200 || r.Body != n {
				t.Errorf("%s by %s: %d %q, %v, want %q", way, places[place], r.Status, r.Body, err, n)
				return
			}
		}
	})
	l.end()
	if p := poolOf(t, s, "runner"); p.Counters.Crashes != 0 || p.Counters.Completed != p.Counters.Accepted {
		t.Errorf("the pool whose workers had the children counts %+v", p.Counters)
	}
	stopAlone(t, s)
}

// TestForkedChildEndsWithItsScript: whatever a forked child does with what is its parent's, it ends with its script, and
// the parent's answer is as if there were none.
func TestForkedChildEndsWithItsScript(t *testing.T) {
	t.Parallel()
	// What the child does; each ends by itself unless it hangs.
	const deeds = `<?php
		function deed(string $deed): void {
			switch ($deed) {
				case 'return': return;
				case 'exit': exit(0);
				case 'print': echo str_repeat('printed by the child ', 100000); return; // more than anybody takes
				case 'flush': echo 'by the child'; flush(); ob_start(); echo 'x'; ob_end_flush(); return;
				case 'headers': header('X-Child: 1'); http_response_code(418); headers_send(); return;
				case 'input': file_get_contents('php://input'); return;
				case 'finish': frankenphp_finish_request(); return;
				case 'throw': throw new DomainException('thrown by the child');
				case 'fatal': undefined_function();
				case 'warning': trigger_error('warned by the child', E_USER_WARNING); error_log('logged by the child'); frankenphp_log('said by the child'); return;
				case 'memory': str_repeat('x', 1 << 40);
				case 'shutdown': register_shutdown_function(function () { echo str_repeat('y', 1 << 20); }); return;
				case 'workers': try { frankenphp_worker_task_send('forker', []); } catch (RuntimeException) { return; } // that it may not
				case 'programs': exec('true'); proc_close(proc_open(['true'], [], $pipes)); return;
				case 'grandchild': if (($child = pcntl_fork()) !== 0) pcntl_waitpid($child, $status); return;
			}
		}
		// False in the child.
		function parents(string $deed): bool {
			$child = pcntl_fork();
			if ($child === 0) { deed($deed); return false; }
			pcntl_waitpid($child, $status); // which is what would hang
			echo 'parent ', $deed, pcntl_wifexited($status) ? '' : ' killed';
			return true;
		}
		`
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 10\n}",
		Site:   site("worker http_worker.php 1\n", harness.BackgroundWorker("forker", "forker.php", "num 1")),
		Files: files(harness.Files{
			"deeds.php": deeds,
			"fork.php": `<?php
				require __DIR__ . '/deeds.php';
				if (isset($_GET['task'])) { echo Igor\Worker::send('forker', $_GET, 50)->await(); return; }
				parents($_GET['deed']);`,
			"forker.php": `<?php
				require __DIR__ . '/deeds.php';
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					ob_start();
					if (!parents($job->payload['deed'])) return;
					$job->complete(ob_get_clean());
				}`,
			"http_worker.php": `<?php
				require __DIR__ . '/deeds.php';
				while (frankenphp_handle_request(function () { parents($_GET['deed']); }));`,
		}),
	})
	l := startLoad(t, s)
	for _, deed := range []string{"return", "exit", "print", "flush", "headers", "input", "finish", "throw", "fatal", "warning", "memory",
		"shutdown", "workers", "programs", "grandchild"} {
		for _, place := range []string{"/fork.php?", "/fork.php?task&", "/http_worker.php?"} {
			s.Get(place+"deed="+deed).MustBe(200, "parent "+deed)
		}
		body := strings.NewReader(strings.Repeat("z", 1<<20)) // more than is read ahead
		if r := s.Do(s.Request("POST", "/fork.php?deed="+deed, body)); r.Status != 200 || r.Body != "parent "+deed {
			t.Errorf("with a body to read: %s gave %d %q", deed, r.Status, r.Body)
		}
	}
	l.end()
	for _, text := range []string{"thrown by the child", "warned by the child", "logged by the child", "said by the child"} {
		s.WaitLog(text) // nothing that it says is lost
	}
	stopAlone(t, s)
}

// TestForkedChildrenThatNobodyWaitsFor: one that would run for ever ends with the server; those that have ended are
// no zombies for long.
func TestForkedChildrenThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Site:   site("worker http_worker.php 1\n", harness.BackgroundWorker("forker", "forker.php", "num 1")),
		Files: files(harness.Files{
			"endless.php": `<?php
				if (isset($_GET['task'])) { echo Igor\Worker::send('forker', ['endless' => 1], 50)->await(); return; }
				if (($child = pcntl_fork()) === 0) for (;;) sleep(1000);
				echo $child;`,
			"short.php": `<?php
				if (isset($_GET['task'])) { Igor\Worker::send('forker', ['short' => 1], 50)->await(); echo 'parent'; return; }
				if (pcntl_fork() !== 0) echo 'parent';`,
			"forker.php": `<?php
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					$child = pcntl_fork();
					if ($child === 0 && isset($job->payload['endless'])) for (;;) sleep(1000);
					if ($child === 0) exit(0);
					$job->complete((string) $child);
					if (isset($job->payload['short'])) exit(0);
				}`,
			"http_worker.php": `<?php
				while (frankenphp_handle_request(function () { if (pcntl_fork() !== 0) echo 'parent'; }));`,
		}),
	})
	l := startLoad(t, s)
	for _, path := range []string{"/endless.php", "/endless.php?task"} {
		if pid, err := strconv.Atoi(s.Get(path).Body); err != nil || syscall.Kill(pid, 0) != nil {
			t.Errorf("%s: its child %d lives no more", path, pid)
		}
	}
	for _, path := range []string{"/short.php", "/http_worker.php", "/short.php?task"} {
		for range 40 {
			s.Get(path).MustBe(200, "parent")
		}
		// The last ones may be zombies until another script ends.
		harness.Eventually(t, "children of "+path, func() error {
			s.Get(path).MustBe(200, "parent")
			if n := zombies(t, s.PID()); n > 5 {
				return fmt.Errorf("%d of 40 children are zombies", n)
			}
			return nil
		})
	}
	l.end()
	stopAlone(t, s)
}

// zombies counts a process's children that have ended and were not waited for.
func zombies(t testing.TB, parent int) int {
	t.Helper()
	count := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		data, _ := os.ReadFile(stat)
		_, rest, _ := strings.Cut(string(data), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] == "Z" && f[1] == strconv.Itoa(parent) {
			count++
		}
	}
	return count
}

// TestSignalsOfChildren: a script can end its children by signals, as on the command line; and it can take no
// signal from the server.
func TestSignalsOfChildren(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Site:   site(harness.BackgroundWorker("signaller", "signaller.php", "num 1")),
		Files: files(harness.Files{
			"signals.php": `<?php
				function ended($process): string {
					for ($i = 0; $i < 20000; ++$i) {
						$status = proc_get_status($process);
						if (!$status['running']) return $status['signaled'] ? "signal $status[termsig]" : "exit $status[exitcode]";
						usleep(1000);
					}
					proc_terminate($process, 9);
					return 'goes on';
				}
				function signals(): string {
					$p = proc_open(['sleep', '1000'], [], $pipes);
					proc_terminate($p);
					$all[] = ended($p);
					$p = proc_open('exec sleep 1000', [], $pipes);
					proc_terminate($p, 2);
					$all[] = ended($p);
					$p = proc_open(['timeout', '0.1', 'sleep', '1000'], [], $pipes);
					$all[] = ended($p);
					$p = popen('kill -TERM $$; echo goes on', 'r');
					$all[] = json_encode(fgets($p));
					pclose($p);
					if (($child = pcntl_fork()) === 0) for (;;) sleep(1000);
					posix_kill($child, SIGTERM);
					pcntl_waitpid($child, $status);
					$all[] = pcntl_wifsignaled($status) ? 'signal ' . pcntl_wtermsig($status) : 'exit';
					// In the child they are its own.
					if (($child = pcntl_fork()) === 0) {
						pcntl_async_signals(true);
						pcntl_signal(SIGTERM, function () { exit(9); });
						posix_kill(getmypid(), SIGTERM);
						for (;;) sleep(1);
					}
					pcntl_waitpid($child, $status);
					$all[] = 'exit ' . pcntl_wexitstatus($status);
					$all[] = json_encode([pcntl_signal(SIGTERM, function () {}), pcntl_signal(SIGINT, SIG_IGN), pcntl_signal(SIGCHLD, SIG_IGN), pcntl_alarm(1),
						pcntl_sigprocmask(SIG_SETMASK, []), pcntl_sigtimedwait([SIGTERM], $info, 0), @pcntl_exec('/bin/true')]);
					return implode(', ', $all);
				}
				if (isset($_GET['task'])) { echo Igor\Worker::send('signaller', [], 50)->await(); return; }
				if (isset($_GET['here'])) echo signals();`,
			"signaller.php": `<?php
				require __DIR__ . '/signals.php';
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) $job->complete(signals());`,
		}),
	})
	l := startLoad(t, s)
	const want = "signal 15, signal 2, exit 124, false, signal 15, exit 9, [false,false,false,0,false,false,false]"
	s.Get("/signals.php?here").MustBe(200, want)
	s.Get("/signals.php?task").MustBe(200, want)
	s.WaitLog("a script wanted signals, which are the server's own")
	l.end()
	stopAlone(t, s) // which SIGTERM still does
}

// TestProgramsInTheBackground: what a script leaves behind on purpose holds nothing of the server's: no connection stays
// open for it, and no sender waits for it.
func TestProgramsInTheBackground(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Site:   site(harness.BackgroundWorker("leaver", "leaver.php", "num 1")),
		Files: files(harness.Files{
			"leave.php": `<?php
				$open = [fopen(__FILE__, 'r'), fopen(__DIR__ . '/left', 'a'), stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0)];
				if (isset($_GET['task'])) {
					$task = frankenphp_worker_task_send('leaver', [], 50);
					$r = [$task]; $n = null; stream_select($r, $n, $n, 50); // so that there is a descriptor
					$child = frankenphp_worker_task_read($task)['child'];
					try { frankenphp_worker_task_read($task); } catch (RuntimeException $e) { echo $e->getPrevious()->getReason()->name, ' ', $child; }
					return;
				}
				echo 'left ', exec('sleep 1000 > /dev/null 2>&1 & echo $!');`,
			"leaver.php": `<?php
				$signals = frankenphp_worker_get_signaling_stream();
				while (fgets($signals) === "task\n") {
					[$stream] = frankenphp_worker_task_receive();
					$r = [$stream, $signals]; $n = null; stream_select($r, $n, $n, 0);
					frankenphp_worker_task_update($stream, ['child' => exec('sleep 1000 > /dev/null 2>&1 & echo $!')]);
					exit(1);
				}`,
		}),
	})
	defer syscall.Kill(-s.PID(), syscall.SIGKILL) // these children are meant to stay
	for path, want := range map[string]string{"/leave.php": "left ", "/leave.php?task": "Exited "} {
		request := s.Request("GET", path, nil)
		request.Close = true
		begin := time.Now()
		r := s.Do(request) // to the connection's end
		child, found := strings.CutPrefix(r.Body, want)
		if r.Status != 200 || !found {
			t.Fatalf("%s answered %d %q", path, r.Status, r.Body)
		}
		if took := time.Since(begin); took > loadPatience {
			t.Errorf("%s took %s", path, took)
		}
		// While it starts it opens files of its own.
		harness.Eventually(t, path+": its child holds nothing", func() error {
			names, err := os.ReadDir("/proc/" + child + "/fd")
			for _, name := range names {
				if target, err := os.Readlink("/proc/" + child + "/fd/" + name.Name()); err != nil || target != "/dev/null" {
					return fmt.Errorf("it holds %s, %s, %v", name.Name(), target, err)
				}
			}
			return err
		})
	}
	s.Stop()
}
