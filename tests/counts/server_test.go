package counts

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Nobody spins: how often a spin is in vain depends on time.
func start(t *testing.T) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Config{
		Env: []string{"IGOR_SPIN=0"},
		Site: `php_server {
			worker {
				name receive
				file receive.php
				background
				num 1
			}
			worker {
				name select
				file select.php
				background
				num 1
			}
			worker {
				name queued
				file receive.php
				background
				num 1
				queue 300
			}
			worker {
				file hello_worker.php
				num 2
			}
		}`,
		Files: harness.Files{
			"hello.php": `<?php echo "hello\n";`,
			"hello_worker.php": `<?php
				while (frankenphp_handle_request(static function (): void { echo "hello\n"; }));`,
			"receive.php": `<?php
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					$job->update($job->payload);
					$job->complete();
				}`,
			"select.php": `<?php
				$signals = frankenphp_worker_get_signaling_stream();
				for (;;) {
					$read = [$signals];
					$write = $except = [];
					if (!stream_select($read, $write, $except, null)) continue;
					if (fgets($signals) === "stop\n") break;
					while ($task = frankenphp_worker_task_receive()) {
						frankenphp_worker_task_update(...$task);
						fclose($task[0]);
					}
				}`,
			// So many tasks, $at_once of them sent before the first is read: prints how often the process's threads slept.
			// The youngest is read first: by then the others are done, and nobody sleeps between two of them.
			"send.php": `<?php
				$before = getrusage()['ru_nvcsw'];
				for ($left = (int) $_GET['tasks']; $left > 0; $left -= $at_once) {
					$at_once = min($left, (int) ($_GET['at_once'] ?? 1));
					$streams = [];
					for ($i = 0; $i < $at_once; ++$i) {
						$streams[] = frankenphp_worker_task_send($_GET['worker'], [$i]);
					}
					foreach (array_reverse($streams, true) as $i => $stream) {
						if (frankenphp_worker_task_read($stream) !== [$i]) exit('wrong answer');
						fclose($stream);
					}
				}
				echo getrusage()['ru_nvcsw'] - $before;`,
			"descriptors.php": `<?php
				$open = static fn (): int => count(scandir('/proc/self/fd'));
				$before = $open();
				$streams = [];
				for ($i = 0; $i < 64; ++$i) $streams[] = frankenphp_worker_task_send('queued', [$i]);
				echo $open() - $before, ' ';
				$read = $streams;
				$write = $except = [];
				stream_select($read, $write, $except, null);
				echo $open() - $before, ' ';
				array_map(fclose(...), $streams);
				unset($streams, $read);
				echo $open() - $before;`,
		},
	})
}

func send(t *testing.T, s *harness.Server, worker string, tasks, atOnce int) float64 {
	t.Helper()
	answer := s.Get(fmt.Sprintf("/send.php?worker=%s&tasks=%d&at_once=%d", worker, tasks, atOnce)).MustContain(200)
	slept, err := strconv.ParseFloat(answer.Body, 64)
	if err != nil {
		t.Fatalf("the sender answers %q", answer.Body)
	}
	return slept
}

func TestTaskContextSwitches(t *testing.T) {
	s := start(t)
	const tasks = 2000
	for worker, most := range map[string]float64{"receive": 3, "select": 3} {
		send(t, s, worker, 100, 1)
		if got := send(t, s, worker, tasks, 1) / tasks; got > most {
			t.Errorf("%s: %.2f voluntary context switches per serial task, at most %g", worker, got, most)
		}
	}
	send(t, s, "queued", 256, 256)
	if got := send(t, s, "queued", 8*256, 256) / (8 * 256); got > 1.2 {
		t.Errorf("%.2f voluntary context switches per task with 256 outstanding, at most 1.2", got)
	}
}

func TestTaskDescriptors(t *testing.T) {
	s := start(t)
	var quiet, selected, closed int
	answer := s.Get("/descriptors.php").MustContain(200)
	if _, err := fmt.Sscan(answer.Body, &quiet, &selected, &closed); err != nil {
		t.Fatalf("%v: %q", err, answer.Body)
	}
	// The server has descriptors of its own that come and go; a few are not one for each task.
	const others = 4
	if quiet > others {
		t.Errorf("%d descriptors for 64 tasks that nobody selects on", quiet)
	}
	if selected > 64+others {
		t.Errorf("%d descriptors for 64 tasks that are selected on", selected)
	}
	if closed > others {
		t.Errorf("%d descriptors are left of 64 tasks that were closed", closed)
	}
}

// Of Go's scheduler and monitor, which work by time, and not for a task.
var byTime = []string{"nanosleep", "epoll_pwait", "madvise", "sched_yield", "tgkill", "getpid", "rt_sigreturn", "restart_syscall"}

func TestTaskSystemCalls(t *testing.T) {
	s := start(t)
	for _, one := range []struct {
		name, worker   string
		tasks, atOnce  int
		futex, another float64 // at most, per task
	}{
		{"serial, receive", "receive", 400, 1, 7, 1},
		{"serial, select", "select", 400, 1, 5.5, 4},
		// A worker that is faster than its sender, which depends on the machine, sleeps and is woken for each of them.
		{"256 outstanding", "queued", 4 * 256, 256, 2.5, 0.3},
	} {
		send(t, s, one.worker, 50, one.atOnce)
		none := traced(t, s, func() { send(t, s, one.worker, 0, 1) })
		calls := traced(t, s, func() { send(t, s, one.worker, one.tasks, one.atOnce) })
		check(t, one.name, calls, none, float64(one.tasks), one.futex, one.another)
	}
}

func TestRequestSystemCalls(t *testing.T) {
	s := start(t)
	const requests = 200
	for _, one := range []struct {
		path           string
		futex, another float64 // at most, per request
	}{
		{"/hello.php", 10, 25.5},
		{"/hello_worker.php", 12, 10},
	} {
		hello := func(count int) func() {
			return func() {
				for range count {
					s.Get(one.path).MustBe(200, "hello\n")
				}
			}
		}
		hello(50)()
		none := traced(t, s, hello(1))
		calls := traced(t, s, hello(requests))
		check(t, one.path, calls, none, requests, one.futex, one.another)
	}
}

func check(t *testing.T, name string, calls, none map[string]float64, operations, mostFutex, mostOther float64) {
	t.Helper()
	for _, call := range byTime {
		delete(calls, call)
	}
	futex, other := 0.0, 0.0
	for call, count := range calls {
		if call == "futex" {
			futex += (count - none[call]) / operations
		} else {
			other += max(0, count-none[call]) / operations
		}
	}
	t.Logf("%s: %.2f futex calls, %.2f others; all: %v", name, futex, other, calls)
	if futex > mostFutex {
		t.Errorf("%s: %.2f futex calls, at most %g: %v", name, futex, mostFutex, calls)
	}
	if other > mostOther {
		t.Errorf("%s: %.2f other system calls, at most %g: %v", name, other, mostOther, calls)
	}
}

// traced counts the system calls of all threads of the server while work is under way.
func traced(t *testing.T, s *harness.Server, work func()) map[string]float64 {
	t.Helper()
	table := filepath.Join(t.TempDir(), "calls")
	cmd := exec.Command("strace", "-f", "-c", "-o", table, "-p", strconv.Itoa(s.PID()))
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It says so when it has attached to all threads that there are.
	lines := bufio.NewReader(said)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(line, "attached") {
		rest, _ := io.ReadAll(lines)
		_ = cmd.Wait()
		if bytes.Contains(append([]byte(line), rest...), []byte("Operation not permitted")) {
			t.Skipf("strace may not trace here: %s%s", line, rest)
		}
		t.Fatalf("strace: %s%s", line, rest)
	}
	drained := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, lines); close(drained) }()
	work()
	_ = cmd.Process.Signal(os.Interrupt)
	<-drained
	_ = cmd.Wait() // it ends with the signal's status
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	calls := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		// % time, seconds, usecs/call, calls, errors (or nothing), name
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if count, err := strconv.ParseFloat(fields[3], 64); err == nil {
			calls[fields[len(fields)-1]] = count
		}
	}
	if len(calls) == 0 {
		t.Fatalf("strace counted nothing:\n%s", text)
	}
	return calls
}
