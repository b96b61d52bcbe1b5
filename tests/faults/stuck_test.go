package faults

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The ways for a worker to hang in a task. GATE is a named pipe that nobody writes to, LOCKED a file that another process
// has locked, SILENT the port of a server that never answers.
const hang = `<?php
function hang(string $how) {
	switch ($how) {
		case 'loop': for (;;);
		case 'loop that catches everything': for (;;) try { for (;;); } catch (Throwable) {} finally { for (;;); }
		case 'loop in C': for (;;) array_sum(range(1, 100000));
		case 'sleep': sleep(1000);
		case 'sleep again and again': for (;;) usleep(100000);
		case 'named pipe': file_get_contents($_SERVER['GATE']);
		case 'flock': flock(fopen($_SERVER['LOCKED'], 'r'), LOCK_EX);
		case 'stream without a timeout':
			$s = stream_socket_client("tcp://127.0.0.1:$_SERVER[SILENT]");
			stream_set_timeout($s, 1000);
			fgets($s);
		case 'socket': $s = socket_create(AF_INET, SOCK_STREAM, 0); socket_connect($s, '127.0.0.1', (int) $_SERVER['SILENT']); socket_read($s, 10);
		case 'stream_select': $r = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); $n = null; stream_select($r, $n, $n, null);
		case 'HTTP client': ini_set('default_socket_timeout', 1000); file_get_contents("http://127.0.0.1:$_SERVER[SILENT]/");
		case 'curl': $c = curl_init("http://127.0.0.1:$_SERVER[SILENT]/"); curl_setopt($c, CURLOPT_RETURNTRANSFER, true); curl_exec($c);
		case 'another worker': Igor\Worker::send('elsewhere', [])->await();
		case 'gethostbyname': gethostbyname('igor.invalid.example');
		case 'program': exec('cat ' . escapeshellarg($_SERVER['GATE'])); // nothing ends the wait for it but its end
	}
}
`

var stuckFiles = harness.Files{
	"hang.php": hang,
	"stuck.php": `<?php
		require __DIR__ . '/hang.php';
		$run = bin2hex(random_bytes(8));
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) {
			$job->update(['run' => $run]);
			if (isset($job->payload['how'])) hang($job->payload['how']);
			$job->complete();
			unset($job);
		}`,
	"elsewhere.php": `<?php
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) while (!$job->isCancelled() && !$inbox->isStopping()) usleep(1000);`,
	"hang_in.php": `<?php
		set_time_limit(0);
		$asked = hrtime(true);
		$task = Igor\Worker::send($_GET['pool'], ['how' => $_GET['how']], 50, 0.4);
		$accepted = hrtime(true); // or later, on a machine that has other things to do
		$told = $task->read() ?? [];
		try { $task->await(); $told['reason'] = 'completed'; } catch (Igor\TaskFailed $e) {
			$end = hrtime(true);
			$told += ['took' => ($end - $accepted) / 1e6, 'since_asked' => ($end - $asked) / 1e6, 'reason' => $e->getReason()->name, 'message' => $e->getErrorMessage() ?? $e->getMessage()];
		}
		echo json_encode($told);`,
	"work_in.php": `<?php
		try {
			$task = Igor\Worker::send($_GET['pool'], [], 50);
			$run = $task->read()['run'];
			$task->await();
			echo json_encode(['run' => $run]);
		} catch (RuntimeException $e) { echo json_encode(['error' => $e->getMessage()]); }`,
}

type hanged struct {
	Run, Reason, Message, Error string
	Took                        float64 // from the acceptance
	SinceAsked                  float64 `json:"since_asked"`
}

// silentServer accepts connections and says nothing; its port.
func silentServer(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// lockedFile is one that this process has locked.
func lockedFile(t testing.TB) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "locked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// silentResolver has the server ask a name server that never answers, which takes a mount namespace of its own.
func silentResolver(t testing.TB) []string {
	t.Helper()
	if os.Getuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		t.Log("not root, or no mount namespaces here: gethostbyname is left out")
		return nil
	}
	const address = "127.0.0.97"
	conn, err := net.ListenPacket("udp", address+":53")
	if err != nil {
		t.Logf("%v: gethostbyname is left out", err)
		return nil
	}
	t.Cleanup(func() { conn.Close() })
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+address+"\noptions timeout:30 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, file}
}

// TestStuckWorkers: a task in which its worker hangs frees its sender at the deadline. The worker is interrupted, or if
// that does not help its thread is left behind and another takes its place: at once, so the next task is done.
func TestStuckWorkers(t *testing.T) {
	t.Parallel()
	gate := harness.NewGate(t)
	wrap := silentResolver(t)
	ways := []string{"loop", "loop that catches everything", "loop in C", "sleep", "sleep again and again", "named pipe", "flock",
		"stream without a timeout", "socket", "stream_select", "HTTP client", "curl", "another worker", "program"}
	if wrap != nil {
		ways = append(ways, "gethostbyname")
	}
	env := []string{"env GATE " + gate.Path, "env LOCKED " + lockedFile(t), "env SILENT " + silentServer(t), "stop_grace 200ms"}
	pools := []string{harness.BackgroundWorker("elsewhere", "elsewhere.php", "num 1", "stop_grace 200ms")}
	for i := range ways {
		pools = append(pools, harness.BackgroundWorker(fmt.Sprint("p", i), "stuck.php", append(env, "num 1")...))
	}
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 10\n}", Site: site(pools...), Files: files(stuckFiles), Wrap: wrap,
	})
	defer syscall.Kill(-s.PID(), syscall.SIGKILL) // of programs that nobody ends
	l := startLoad(t, s)
	for i, how := range ways {
		t.Run(how, func(t *testing.T) {
			name := fmt.Sprint("p", i)
			bestOf(t, 5, "from the acceptance to the sender's error", 450, func() float64 {
				stuck := harness.JSONOf[hanged](t, s.Get("/hang_in.php?pool="+name+"&how="+url.QueryEscape(how)))
				if stuck.Reason != "Deadline" || stuck.SinceAsked < 400 {
					t.Errorf("the sender got %+v, want reason Deadline after 400 ms", stuck)
				}
				// The worker is there again without anybody's help, as another run.
				next := harness.JSONOf[hanged](t, s.Get("/work_in.php?pool="+name))
				if next.Error != "" || next.Run == "" || next.Run == stuck.Run {
					t.Errorf("the next task got %+v; the stuck one was in run %q", next, stuck.Run)
				}
				return stuck.Took
			})
			p := poolOf(t, s, name)
			lost := p.states()["lost"]
			if p.Counters.Crashes != p.Counters.TimedOut || len(p.Tasks) != 0 || p.Breaker != "closed" {
				t.Errorf("each stuck worker is a crash; the pool is %+v", p)
			}
			// One that waits for another worker hears of it by an exception.
			told := how == "another worker" && p.LastFailure.Message == "interrupted: this script was told to end"
			if lost == 0 && p.LastFailure.Reason != "deadline" && !told {
				t.Errorf("the last failure is %+v, want reason deadline", p.LastFailure)
			}
			if got := metric(t, s, fmt.Sprintf(`igor_workers{kind="tasks",pool=%q,scope="shop",state="lost"}`, name)); got != float64(lost) {
				t.Errorf("the metric says %v lost, the report %d", got, lost)
			}
			switch how {
			case "program":
				if lost == 0 {
					t.Error("nothing but its end ends the wait for a program, and yet no thread is lost")
				}
			case "gethostbyname", "curl": // as their libraries like it
			default:
				if lost != 0 {
					t.Errorf("%d threads are lost, which an interrupt should have ended", lost)
				}
			}
			t.Logf("%d interrupted, %d lost", p.Counters.Crashes-lost, lost)
		})
	}
	l.end()

	// One that comes back after all is lost no longer.
	last := "p" + fmt.Sprint(len(ways)-1)
	if wrap != nil {
		last = "p" + fmt.Sprint(len(ways)-2)
	}
	gate.AwaitReader(t).Close()
	harness.Eventually(t, "the return of lost threads", func() error {
		if lost := poolOf(t, s, last).states()["lost"]; lost != 0 {
			return fmt.Errorf("%d are lost", lost)
		}
		return nil
	})
	if took := s.Stop(); took > 6*time.Second {
		t.Errorf("the shutdown took %s with a grace of 200 ms", took)
	}
}

// TestLostWorkersAreReplacedUpToABound: sixteen threads that nothing ends are replaced, then senders are told that there
// is nobody. Health, metrics and the admin API say so, others serve on, and the shutdown is bounded all the same.
func TestLostWorkersAreReplacedUpToABound(t *testing.T) {
	t.Parallel()
	const bound = 16 // Pool::kMostLost
	gate := harness.NewGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 24\n}",
		Site:   site(harness.BackgroundWorker("stuck", "stuck.php", "num 16", "stop_grace 200ms", "env GATE "+gate.Path)),
		Files:  files(stuckFiles),
	})
	defer syscall.Kill(-s.PID(), syscall.SIGKILL) // of the programs that nobody ends
	l := startLoad(t, s)
	for round := 1; round <= 2; round++ {
		harness.Parallel(bound, func(int) {
			if r, err := s.TryGet("/hang_in.php?pool=stuck&how=program"); err != nil || !strings.Contains(r.Body, `"reason":"Deadline"`) {
				t.Errorf("a sender got %q, %v", r.Body, err)
			}
		})
		harness.Eventually(t, "all are lost", func() error {
			if lost := poolOf(t, s, "stuck").states()["lost"]; lost != round*bound {
				return fmt.Errorf("%d are", lost)
			}
			return nil
		})
		next := harness.JSONOf[hanged](t, s.Get("/work_in.php?pool=stuck"))
		if round == 1 && next.Error != "" {
			t.Errorf("with %d replaced, a task got %q", bound, next.Error)
		}
		if round == 2 && !strings.Contains(next.Error, `no more threads for background worker "stuck": 32 of them could not be stopped`) {
			t.Errorf("with %d lost, a task got %+v", round*bound, next)
		}
		s.Get("/readyz")
		if live := s.Get("/livez"); (live.Status == 503) != (round == 2) || strings.Contains(live.Body, "lost_threads") != (round == 2) {
			t.Errorf("with %d lost, liveness says %d %s", round*bound, live.Status, live.Body)
		}
		if got := metric(t, s, `igor_workers{kind="tasks",pool="stuck",scope="shop",state="lost"}`); got != float64(round*bound) {
			t.Errorf("the metric says %v are lost, want %d", got, round*bound)
		}
	}
	s.WaitLog("worker could not be stopped, its thread is left behind")
	l.end()
	if took := s.Stop(); took > 6*time.Second {
		t.Errorf("the shutdown took %s with a grace of 200 ms", took)
	}
}
