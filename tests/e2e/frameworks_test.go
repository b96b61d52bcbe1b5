package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Code that was written without Igor in mind, from Debian's packages (docker/provision.sh, TEST_PACKAGES).

// debianPHP says where a package of Debian's PHP libraries is; without it the test fails and says what to
// install, because a test that is silently left out proves nothing.
func debianPHP(t *testing.T, file, packageName string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("/usr/share/php", file)); err != nil {
		t.Fatalf("%v; install %s (docker/provision.sh test does)", err, packageName)
	}
}

// An event loop that knows nothing of Igor selects on the signaling stream, on the streams of the tasks that
// it holds, and on its timers, and serves many tasks at once.
func TestAmphpLoopInABackgroundWorker(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Amp/autoload.php", "php-amphp-amp")
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 4\n}",
		Site:   "php_server {\n" + backgroundWorker("loop", "worker.php", "num 1") + "}",
		Root:   filepath.Join(harness.Testdata(), "frameworks", "amp"),
	})
	type result struct {
		Steps                         map[string]int
		Turns, Most, Ticks, Cancelled int
	}
	const tasks = 8
	ask := func(query string) result { return jsonOf[result](t, s.Get(fmt.Sprintf("/?tasks=%d%s", tasks, query))) }

	r := ask("")
	for id := 1; id <= tasks; id++ {
		if r.Steps[fmt.Sprint(id)] != 4 {
			t.Errorf("task %d made %d steps of 4", id, r.Steps[fmt.Sprint(id)])
		}
	}
	if r.Most < 2 || r.Turns <= tasks {
		t.Errorf("the tasks were served one by one: %+v", r)
	}
	if r.Ticks == 0 {
		t.Errorf("the loop's timer stood still: %+v", r)
	}
	// Two requests of eight tasks each, served by the one loop.
	parallel(2, func(int) { ask("") })

	ask("&cancel=1")
	eventually(t, "the loop sees that a sender has left", func() error {
		if r := ask(""); r.Cancelled != 1 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if took := s.Stop(); took.Seconds() > 4 {
		t.Errorf("the loop took %s to end when it was told to", took)
	}
	for _, text := range []string{"Uncaught", "Fatal error", "Warning"} {
		for _, entry := range s.Log.Find(text) {
			t.Errorf("logged: %+v", entry)
		}
	}
}
