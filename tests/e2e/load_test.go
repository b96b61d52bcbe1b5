package e2e

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// Eight clients for some seconds ($IGOR_TEST_LOAD, as a Go duration; the default is short): every answer
// is right, nothing breaks, nothing grows.
func TestLoad(t *testing.T) {
	t.Parallel()
	duration := 2 * time.Second
	if text := os.Getenv("IGOR_TEST_LOAD"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("IGOR_TEST_LOAD: %v", err)
		}
	}
	s := startTasks(t, []scenario{
		{"hello", `return 'hello';`, `"hello"`},
		{"task", `$v = $_GET['v']; return updates(send('tool', 'echo', ['value' => $v]))[0]['echo'] === $v;`, `true`},
		{"crash", `return str_contains(thrown(fn() => updates(send('tool', 'exit', ['status' => 0]))), 'exited');`, `true`},
		{"finish", `echo '"early"'; fastcgi_finish_request(); echo "late"; flush(); return 'late';`, `"early"`},
		{"abort", `header('X-A: 1'); echo '"'; flush(); echo 'x"'; flush(); exit;`, `"x"`},
		{"cancel", `$t = send('queued', 'count', ['to' => 50]); frankenphp_worker_task_read($t); fclose($t); return true;`, `true`},
	})
	scenarios := []struct{ path, want string }{
		{"/?scenario=hello", `"hello"`}, {"/?scenario=task&v=%d", "true"}, {"/?scenario=task&v=%d", "true"}, {"/?scenario=finish", `"early"`},
		{"/?scenario=abort", `"x"`}, {"/?scenario=cancel", "true"}, {"/?scenario=crash", "true"},
	}
	var served atomic.Int64
	run := func(d time.Duration) {
		end := time.Now().Add(d)
		parallel(8, func(client int) {
			for i := client; time.Now().Before(end); i++ {
				c := scenarios[i%len(scenarios)]
				path := c.path
				if path[len(path)-1] == 'd' {
					path = fmt.Sprintf(path, i)
				}
				r, err := s.TryGet(path)
				if err != nil || r.Status != 200 || r.Body != c.want {
					t.Errorf("%s: %d %q, %v", path, r.Status, r.Body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	run(duration / 2) // warms everything up
	memory, threads := s.Memory(), s.Threads()
	run(duration / 2)
	if grown := s.Memory() - memory; grown > 16<<10+memory/10 {
		t.Errorf("the second half made the process grow by %d kB, from %d kB", grown, memory)
	}
	if now := s.Threads(); now > threads+6 {
		t.Errorf("there are %d threads, after the first half there were %d", now, threads)
	}
	t.Logf("%d requests in %s; %d kB, %d threads", served.Load(), duration, s.Memory(), s.Threads())
}
