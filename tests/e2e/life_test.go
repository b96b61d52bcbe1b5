package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// How a server starts, takes another configuration, and stops, with work in its hands.

// Tasks that wait, that run and that are half read when the server is told to stop: it ends within the
// grace, and every sender gets an answer before that.
func TestShutdownWithTasks(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 8\n}",
		Site: "php_server {\n" + backgroundWorker("busy", "busy.php", "num 1", "queue 1", "stop_grace 2s") +
			backgroundWorker("stubborn", "stubborn.php", "num 1", "stop_grace 300ms") + "}",
		Files: harness.Files{
			// Told to stop in the middle of its task, it finishes that one and goes.
			"busy.php": `<?php
				$signals = frankenphp_worker_get_signaling_stream();
				while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
					while ([$stream, $p] = frankenphp_worker_task_receive()) {
						frankenphp_worker_task_update($stream, ['started' => 1]);
						while (!Igor\Worker::current()->isStopping()) usleep(1000);
						frankenphp_worker_task_update($stream, ['told to stop' => 1]);
						fclose($stream);
						return;
					}
				}`,
			"stubborn.php": `<?php
				$signals = frankenphp_worker_get_signaling_stream();
				while (fgets($signals)) while ([$stream, $p] = frankenphp_worker_task_receive()) {
					frankenphp_worker_task_update($stream, ['started' => 1]);
					while (true) {}
				}`,
			"index.php": `<?php
				set_time_limit(0);
				function say($what) { file_put_contents(__DIR__ . "/$_GET[as]", json_encode($what) . "\n", FILE_APPEND); }
				try {
					say('sending');
					$task = frankenphp_worker_task_send($_GET['to'], [], 20);
					say('accepted');
					while (null !== $u = frankenphp_worker_task_read($task)) say($u);
					say('completed');
				} catch (RuntimeException $e) {
					say([$e->getMessage(), $e->getPrevious()?->getReason()->name]);
				}
				echo "end";`,
			"gate.php": `<?php file_get_contents($_GET['gate']); echo "gate";`,
		},
	})
	answers := make(chan error, 8)
	ask := func(path string) {
		go func() {
			r, err := s.TryGet(path)
			if err == nil && r.Status != 200 && r.Status != 503 {
				err = fmt.Errorf("%s: %d %q", path, r.Status, r.Body)
			}
			answers <- err
		}()
	}
	said := func(as, content string) { t.Helper(); awaitFile(t, filepath.Join(s.Root, as), content) }
	ask("/?to=busy&as=running")
	said("running", "\"sending\"\n\"accepted\"\n{\"started\":1}\n")
	ask("/?to=busy&as=queued")
	said("queued", "\"sending\"\n\"accepted\"\n")
	ask("/?to=busy&as=waiting") // for a place in the queue
	said("waiting", "\"sending\"\n")
	ask("/?to=stubborn&as=stubborn")
	said("stubborn", "\"sending\"\n\"accepted\"\n{\"started\":1}\n")
	ask("/gate.php?gate=" + g.path) // a request that has nothing to do with tasks
	gate := g.awaitReader(t)
	gate.Close()

	took := s.Stop()
	for range 5 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if took > 4*time.Second {
		t.Errorf("the shutdown took %s, with graces of 2 s and 0.3 s", took)
	}
	said("running", "\"sending\"\n\"accepted\"\n{\"started\":1}\n{\"told to stop\":1}\n\"completed\"\n")
	said("queued", "\"sending\"\n\"accepted\"\n[\"background worker exited without completing the task\",\"Shutdown\"]\n")
	said("waiting", "\"sending\"\n[\"background worker \\\"busy\\\" is shutting down\",null]\n")
	said("stubborn", "\"sending\"\n\"accepted\"\n{\"started\":1}\n[\"background worker exited without completing the task\",\"Shutdown\"]\n")
}

// Workers that can't be asked to stop: the end is bounded all the same.
func TestShutdownOfStuckWorkers(t *testing.T) {
	for name, body := range map[string]string{
		"sleep":       `sleep(1000);`,
		"usleep loop": `while (true) usleep(1000000);`,
		"loop":        `while (true) {}`,
		"pipe":        `file_get_contents($_SERVER['GATE']);`,
		"lock":        `$a = fopen(__FILE__, 'r'); $b = fopen(__FILE__, 'r'); flock($a, LOCK_EX); flock($b, LOCK_EX);`,
		"internal":    `array_map(fn() => array_sum(range(1, 1000)), range(1, 1 << 21)); while (true) str_contains(str_repeat('a', 1 << 20), 'b');`,
		"finally":     `try { while (true) {} } finally { while (true) {} }`,
		"select":      `$s = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); while (true) { $r = [$s[0]]; $n = null; stream_select($r, $n, $n, null); }`,
		"child":       `exec('sleep 1000');`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			s := harness.Start(t, harness.Config{
				Site: "php_server {\n" + backgroundWorker("stuck", "stuck.php", "num 1", "stop_grace 200ms", "env GATE "+g.path) + "}",
				Files: harness.Files{
					"stuck.php": `<?php
						$signals = frankenphp_worker_get_signaling_stream();
						while (fgets($signals)) while ([$stream, $p] = frankenphp_worker_task_receive()) {
							frankenphp_worker_task_update($stream, ['started' => 1]);
							` + body + `
						}`,
					"index.php": `<?php
						$task = frankenphp_worker_task_send('stuck', []);
						echo json_encode(frankenphp_worker_task_read($task)); flush();
						try { frankenphp_worker_task_read($task); } catch (RuntimeException $e) { echo $e->getPrevious()->getReason()->name; }`,
				},
			})
			conn := dial(t, s)
			conn.send(t, "GET /index.php HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "Connection: close", "")
			for {
				line, err := conn.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(line, "started") {
					break
				}
			}
			answer := make(chan string, 1)
			go func() {
				var all strings.Builder
				for {
					line, err := conn.ReadString('\n')
					all.WriteString(line)
					if err != nil {
						answer <- all.String()
						return
					}
				}
			}()
			// The script's children are its own; they must not stay behind this test.
			defer syscall.Kill(-s.PID(), syscall.SIGKILL)
			if took := s.Stop(); took > 6*time.Second {
				t.Errorf("the shutdown took %s with a grace of 200 ms", took)
			}
			if got := <-answer; !strings.Contains(got, "Shutdown") && !strings.Contains(got, "WorkerLost") {
				t.Errorf("the sender got %q, want the reason Shutdown or WorkerLost", got)
			}
		})
	}
}

// HTTP requests that do not end: bounded, too.
func TestShutdownWithStuckRequests(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Global: "grace_period 500ms",
		Files: harness.Files{
			"sleep.php": `<?php echo "x"; flush(); file_get_contents($_GET['gate']);`,
			"loop.php":  `<?php set_time_limit(0); echo "x"; flush(); while (true) {}`,
		},
		StopWithin: 20 * time.Second,
	})
	for _, path := range []string{"/loop.php", "/sleep.php?gate=" + g.path} {
		response, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
	}
	if took := s.Stop(); took > 5*time.Second {
		t.Errorf("the shutdown took %s with a grace_period of 500 ms", took)
	}
}

// A pool with num that never gets ready fails the boot, with the script's own error.
func TestBootFailsWithItsWorkers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		lines        []string
		want         []string
	}{
		{"throws", `<?php throw new DomainException("no database");`, []string{"max_consecutive_failures 2", "restart_backoff 1ms 1ms"},
			[]string{`"broken`, "no database", "worker.php"}},
		{"does not parse", "<?php\n\nthis is no PHP;", []string{"max_consecutive_failures 2", "restart_backoff 1ms 1ms"},
			[]string{`"broken`, "syntax error", "worker.php"}},
		{"fatal", `<?php undefined_function();`, []string{"max_consecutive_failures 1"}, []string{`"broken`, "undefined_function"}},
		{"exits", `<?php exit(3);`, []string{"max_consecutive_failures 2", "restart_backoff 1ms 1ms"}, []string{`"broken`, "exit status 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := harness.TryStart(t, harness.Config{
				Site:  "php_server {\n" + backgroundWorker("broken", "worker.php", append(c.lines, "num 2")...) + "}",
				Files: harness.Files{"worker.php": c.script, "index.php": ""},
			})
			if err == nil {
				t.Fatal("the server started with a worker that can't")
			}
			message := ""
			for line := range strings.Lines(err.Error()) {
				if strings.Contains(line, "loading initial config") {
					message = line
				}
			}
			for _, want := range c.want {
				if !strings.Contains(strings.ReplaceAll(message, `\"`, `"`), want) {
					t.Errorf("the message does not have %q: %s", want, message)
				}
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("that took %s", took)
			}
		})
	}
}

const versionWorker = `<?php
	$signals = frankenphp_worker_get_signaling_stream();
	while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
		while ([$stream, $p] = frankenphp_worker_task_receive()) {
			frankenphp_worker_task_update($stream, ['version' => $_SERVER['VERSION']]);
			if (isset($p['gate'])) file_get_contents($p['gate']);
			frankenphp_worker_task_update($stream, ['version' => $_SERVER['VERSION']]);
			fclose($stream);
		}
	}`

func versionSite(version string) string {
	return "php_server {\n" + backgroundWorker("w", "worker.php", "num 1", "env VERSION "+version, "stop_grace 5s") + "}"
}

// Workers that never get ready keep no process alive that is told to end, although Caddy waits for the load under way.
func TestTerminationDuringBoot(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"index.php":   `<?php echo "up";`,
		"endless.php": `<?php file_put_contents(__DIR__ . '/booting', 'x'); while (true) usleep(1000);`,
	})
	s.Get("/").MustBe(200, "up")
	admin, err := net.Dial("unix", s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	config := fmt.Sprintf(`{"admin": {"listen": "unix/%s"}, "apps": {"igor": {"workers": [
		{"name": "endless", "background": true, "num": 1, "stop_grace": "100ms", "file_name": "%s/endless.php"}]}}}`, s.Admin, s.Root)
	fmt.Fprintf(admin, "POST /load HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(config), config)
	awaitFile(t, filepath.Join(s.Root, "booting"), "x")
	s.Stop() // fails the test when the process does not end
}

// A reload: the new workers are ready before the old ones stop, and a task that runs is finished by the
// worker that has it.
func TestReloadWithATaskRunning(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.StartSite(t, versionSite("one"), harness.Files{
		"worker.php": versionWorker,
		"index.php": `<?php
			$task = frankenphp_worker_task_send('w', isset($_GET['gate']) ? ['gate' => $_GET['gate']] : []);
			while ($u = frankenphp_worker_task_read($task)) { echo $u['version'], ' '; flush(); }`,
	})
	s.Get("/").MustBe(200, "one one ")
	running := make(chan string, 1)
	go func() {
		r, err := s.TryGet("/?gate=" + g.path)
		running <- fmt.Sprint(r.Body, err)
	}()
	gate := g.awaitReader(t)
	if r := s.Reload(harness.Config{Site: versionSite("two")}); r.Status != 200 {
		t.Fatalf("the reload answered %d %s", r.Status, r.Body)
	}
	s.Get("/").MustBe(200, "two two ")
	gate.Close()
	if got := <-running; got != "one one <nil>" {
		t.Errorf("the task that ran during the reload came back as %q", got)
	}
}

// Requests and tasks all the while, and reload after reload: nothing is lost and nothing is left.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 8\n}",
		Site:   versionSite("0"),
		Files: harness.Files{
			"worker.php": versionWorker,
			"index.php": `<?php
				$task = frankenphp_worker_task_send('w', []);
				while ($u = frankenphp_worker_task_read($task)) { $v = $u['version']; }
				echo "version $v";`,
		},
	})
	stop := make(chan struct{})
	done := make(chan int, 4)
	for range 4 {
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					done <- n
					return
				default:
				}
				r, err := s.TryGet("/")
				// Caddy opens the port anew for each configuration (SO_REUSEPORT), and closes the old one with the
				// connections in its queue, with a plain "respond" as with PHP. What was answered must be right.
				if r.Status == 0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)) {
					continue
				}
				if err != nil || r.Status != 200 || !strings.HasPrefix(r.Body, "version ") {
					t.Errorf("during reloads: %d %q, %v", r.Status, r.Body, err)
				}
				n++
			}
		}()
	}
	var threads int
	for i := 1; i <= 12; i++ {
		if r := s.Reload(harness.Config{Global: "igor {\n num_threads 8\n}", Site: versionSite(fmt.Sprint(i))}); r.Status != 200 {
			t.Fatalf("reload %d answered %d %s", i, r.Status, r.Body)
		}
		if i == 2 {
			threads = s.Threads()
		}
	}
	close(stop)
	served := 0
	for range 4 {
		served += <-done
	}
	s.Get("/").MustBe(200, "version 12")
	if now := s.Threads(); now > threads+8 {
		t.Errorf("after 12 reloads there are %d threads, after two there were %d", now, threads)
	}
	t.Logf("%d requests were served meanwhile", served)
}

// A new configuration that can't work is refused, and the old one serves on.
func TestReloadThatFails(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, versionSite("one"), harness.Files{
		"worker.php": versionWorker,
		"broken.php": `<?php throw new DomainException("cannot start");`,
		"index.php": `<?php
			$task = frankenphp_worker_task_send('w', []);
			while ($u = frankenphp_worker_task_read($task)) { echo $u['version'], ' '; }`,
	})
	broken := "php_server {\n" + backgroundWorker("w", "broken.php", "num 1", "max_consecutive_failures 2", "restart_backoff 1ms 1ms") + "}"
	for range 3 {
		r := s.Reload(harness.Config{Site: broken})
		if r.Status == 200 || !strings.Contains(r.Body, "cannot start") {
			t.Errorf("a reload with a worker that can't start answered %d %s", r.Status, r.Body)
		}
		s.Get("/").MustBe(200, "one one ")
	}
	r := s.Reload(harness.Config{Site: "php_server {\n worker nowhere.php {\n name w\n background\n }\n}"})
	if r.Status == 200 || !strings.Contains(r.Body, "nowhere.php") || !strings.Contains(r.Body, "does not exist") {
		t.Errorf("a reload with a missing script answered %d %s", r.Status, r.Body)
	}
	s.Get("/").MustBe(200, "one one ")
	if r := s.Reload(harness.Config{Site: versionSite("two")}); r.Status != 200 {
		t.Errorf("a good configuration after bad ones: %d %s", r.Status, r.Body)
	}
	s.Get("/").MustBe(200, "two two ")
}

// `igor reload` and `igor stop` do by command line what the admin API does.
func TestReloadAndStopCommands(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, versionSite("one"), harness.Files{
		"worker.php": versionWorker,
		"index.php":  `<?php echo frankenphp_worker_task_read(frankenphp_worker_task_send('w', []))['version'];`,
	})
	s.Get("/").MustBe(200, "one")
	file := filepath.Join(filepath.Dir(s.Admin), "Caddyfile")
	if output, status := harness.Run(t, s.Root, "reload", "--config", file, "--adapter", "caddyfile", "--address", "unix/"+s.Admin, "--force"); status != 0 {
		t.Errorf("igor reload: %d\n%s", status, output)
	}
	s.Get("/").MustBe(200, "one")
}

// SIGINT ends the server as SIGTERM does; SIGUSR1 and the signals of PHP's own extensions do not hurt.
func TestSignals(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, versionSite("one"), harness.Files{
		"worker.php": versionWorker,
		"index.php": `<?php
			if (isset($_GET['kill'])) posix_kill_self((int) $_GET['kill']);
			echo frankenphp_worker_task_read(frankenphp_worker_task_send('w', []))['version'];
			function posix_kill_self($n) { exec("kill -$n " . getmypid()); }`,
	})
	for _, signal := range []syscall.Signal{syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGHUP} {
		for range 20 {
			s.Signal(signal)
		}
		s.Get("/").MustBe(200, "one")
	}
	s.Get("/?kill=28").MustBe(200, "one")
	s.Signal(syscall.SIGINT)
	s.WaitLog("shutdown complete")
}
