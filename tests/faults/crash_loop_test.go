package faults

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// TestCrashLoop: a worker whose script dies at its start is started again ever more seldom, until the breaker opens; who
// sends to it is told so, and everybody who looks at the server. Then one is tried; when the file is mended that one closes
// the breaker. All with the settings that a pool has by itself, and all others serve on.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	gate := harness.NewGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Site:   site(harness.BackgroundWorker("crasher", "crasher.php", "num 1", "env GATE "+gate.Path)),
		Files: files(harness.Files{
			"crasher.php": `<?php
				if (is_file(__DIR__ . '/broken')) {
					if (is_file(__DIR__ . '/held')) file_get_contents($_SERVER['GATE']);
					throw new LogicException('broken for the time being');
				}
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					if (isset($job->payload['exit'])) exit(1);
					$job->complete('done');
				}`,
			"crash.php": `<?php
				try {
					echo Igor\Worker::send('crasher', $_GET, 50)->await();
				} catch (RuntimeException $e) {
					$p = $e instanceof Igor\TaskFailed ? $e : $e->getPrevious();
					echo $e->getMessage(), ' | ', $p?->getReason()->name, ': ', $p?->getErrorMessage();
				}`,
		}),
	})
	l := startLoad(t, s)
	broken, held := filepath.Join(s.Root, "broken"), filepath.Join(s.Root, "held")
	breaker := func(want string) {
		t.Helper()
		if p := poolOf(t, s, "crasher"); p.Breaker != want || (want != "closed" && (p.ConsecutiveFailures != 6 || p.LastFailure.Message != "broken for the time being")) {
			t.Errorf("the admin API says of the pool %+v, want its breaker %s", p, want)
		}
		for _, state := range []string{"closed", "open", "half_open"} {
			value := 0.0
			if state == want {
				value = 1
			}
			if got := metric(t, s, fmt.Sprintf(`igor_pool_breaker{kind="tasks",pool="crasher",scope="shop",state=%q}`, state)); got != value {
				t.Errorf("the metric of the breaker's state %q is %v, want %v", state, got, value)
			}
		}
		ready := s.Get("/readyz")
		if open := want != "closed"; (ready.Status == 503) != open || strings.Contains(ready.Body, "breaker_open") != open {
			t.Errorf("with the breaker %s, readiness says %d %s", want, ready.Status, ready.Body)
		}
		s.Get("/livez").MustContain(200)
	}
	s.Get("/crash.php").MustBe(200, "done")
	breaker("closed")

	// It dies of a task, and from then on at its start.
	if err := writeFile(broken); err != nil {
		t.Fatal(err)
	}
	s.Get("/crash.php?exit").MustContain(200, "Exited: ")
	opened := at(t, s.WaitLogFor("the breaker opens", func(e harness.Entry) bool {
		return e.Message == "background worker keeps failing, its breaker is open" && e.Field("worker") == "crasher"
	}))
	breaker("open")
	var pauses []float64
	for _, e := range s.Log.Entries() {
		if e.Field("worker") == "crasher" && strings.HasPrefix(e.Message, "background worker ") {
			ms, err := strconv.ParseFloat(e.Field("restart_in_ms"), 64)
			if err != nil {
				t.Fatal(err)
			}
			pauses = append(pauses, ms)
		}
	}
	// The first is the one that died of its task; the sixth that fails at its start opens the breaker.
	bounds := []float64{100, 100, 200, 400, 800, 1600, 10000}
	if len(pauses) != len(bounds) {
		t.Fatalf("the worker was started again after %v ms, want %d pauses", pauses, len(bounds))
	}
	full := 0
	for i, pause := range pauses[:6] {
		if pause < math.Floor(bounds[i]/2) || pause > bounds[i] {
			t.Errorf("pause %d was %v ms, want half to all of %v", i, pause, bounds[i])
		}
		if pause == bounds[i] {
			full++
		}
	}
	if full > 3 {
		t.Errorf("the pauses %v have no jitter", pauses)
	}
	if pauses[6] != 10000 {
		t.Errorf("the breaker opened for %v ms, want 10 s", pauses[6])
	}
	for range 5 {
		s.Get("/crash.php").MustBe(200, `background worker "crasher" failed 6 times in a row and is not started for now (max_consecutive_failures) | `+
			`UncaughtException: broken for the time being`)
	}
	l.awaitMore()

	// Ten seconds later one is tried.
	if err := writeFile(held); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the next try", func() error {
		if p := poolOf(t, s, "crasher"); p.Breaker != "half_open" {
			return fmt.Errorf("the breaker is %s", p.Breaker)
		}
		return nil
	})
	if waited := time.Since(opened); waited < 9*time.Second {
		t.Errorf("it was tried again %s after the breaker opened, want 10 s", waited)
	}
	breaker("half_open")
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	reader := gate.AwaitReader(t)
	reader.Close() // and it fails again
	harness.Eventually(t, "the try's failure", func() error {
		if p := poolOf(t, s, "crasher"); p.Breaker != "open" {
			return fmt.Errorf("the breaker is %s", p.Breaker)
		}
		return nil
	})

	// Mended: the next try finds it well.
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "recovery", func() error {
		if p := poolOf(t, s, "crasher"); p.Breaker != "closed" {
			return fmt.Errorf("the breaker is %s", p.Breaker)
		}
		return nil
	})
	s.Get("/crash.php").MustBe(200, "done")
	breaker("closed")
	l.end()
	if p := poolOf(t, s, "steady"); p.Counters.Completed != p.Counters.Accepted || p.Counters.Crashes != 0 {
		t.Errorf("the other pool counts %+v", p.Counters)
	}
}
