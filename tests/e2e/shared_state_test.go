package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What threads of one process share: opcache's memory, the environment, the working folder, the locale.

// A script changes, and opcache is told to forget everything, again and again, while others and two workers use what it
// holds: memory that one thread reuses under another shows here.
func TestScriptsChangeUnderLoad(t *testing.T) {
	t.Parallel()
	class := func(version int) string {
		return fmt.Sprintf("<?php\nfinal class Data { const LIST = ['version' => %d, 'nested' => [[1, 2, 3], ['a' => 'b', 'c' => 'literal text']]];\n"+
			"  public static function text(): string { return 'some literal ' . self::LIST['nested'][1]['c']; } }\n", version)
	}
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n php_ini {\n opcache.file_update_protection 0\n opcache.revalidate_freq 0\n }\n}",
		Site:   "php_server {\n" + backgroundWorker("echo", "echo.php", "num 2") + "}",
		Files: harness.Files{
			"data.php": class(0),
			"echo.php": `<?php
				$s = frankenphp_worker_get_signaling_stream();
				while (fgets($s) !== "stop\n") while ([$t, $p] = frankenphp_worker_task_receive()) { frankenphp_worker_task_update($t, $p); fclose($t); }`,
			"index.php": `<?php
				require __DIR__ . '/data.php';
				$t = frankenphp_worker_task_send('echo', ['list' => Data::LIST, 'text' => 'literal']);
				$back = frankenphp_worker_task_read($t);
				echo json_encode([$back === ['list' => Data::LIST, 'text' => 'literal'], Data::text(), Data::LIST['nested'][0]]);`,
			"reset.php": `<?php echo json_encode(opcache_reset());`,
		},
	})
	const want = `[true,"some literal literal text",[1,2,3]]`
	end := time.Now().Add(1500 * time.Millisecond)
	parallel(8, func(client int) {
		for i := 0; time.Now().Before(end); i++ {
			if client == 0 {
				path := filepath.Join(s.Root, "data.php")
				if err := os.WriteFile(path+".new", []byte(class(i)), 0o644); err != nil {
					t.Error(err)
				}
				if err := os.Rename(path+".new", path); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond) // each version takes some of opcache's memory
				continue
			}
			path, want := "/", want
			if client == 1 && i%8 == 0 {
				path, want = "/reset.php", "true"
			}
			if r, err := s.TryGet(path); err != nil || r.Body != want {
				t.Errorf("%s: %d %q, %v; the log:\n%s", path, r.Status, r.Body, err, s.Log.Tail(5))
				return
			}
		}
	})
}

// Each request has an environment, a working folder and a locale of its own, whatever its neighbours do.
func TestProcessStateIsTheRequestsOwn(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Files: harness.Files{
			"index.php": `<?php
				$me = $_GET['n'];
				$clean = getenv('MINE') === false && getenv("OWN_$me") === false && getcwd() === __DIR__;
				putenv("MINE=$me"); putenv("OWN_$me=1"); chdir(__DIR__ . '/' . ($me % 4)); date_default_timezone_set($me % 2 ? 'Asia/Tokyo' : 'UTC');
				usleep(random_int(0, 2000));
				echo json_encode([$clean, getenv('MINE') === $me, count(preg_grep('/^OWN_/', array_keys(getenv()))), basename(getcwd()) === (string) ($me % 4),
					date_default_timezone_get() === ($me % 2 ? 'Asia/Tokyo' : 'UTC'), trim(file_get_contents('name')) === (string) ($me % 4)]);`,
			"0/name": "0", "1/name": "1", "2/name": "2", "3/name": "3",
		},
	})
	parallel(8, func(client int) {
		for i := range 60 {
			r, err := s.TryGet(fmt.Sprintf("/?n=%d", i*8+client))
			if err != nil || r.Body != "[true,true,1,true,true,true]" {
				t.Errorf("%q, %v", r.Body, err)
				return
			}
		}
	})
}

// The port is open before all is ready; a request that comes then waits or is refused, and never hangs.
func TestRequestsWhileBooting(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	root := harness.WriteFiles(t, harness.Files{
		"index.php": `<?php echo "served";`,
		"slow.php":  `<?php file_get_contents($_SERVER['GATE']); $s = frankenphp_worker_get_signaling_stream(); fgets($s);`,
	})
	started := make(chan *harness.Server, 1)
	go func() {
		s, err := harness.TryStart(t, harness.Config{Root: root,
			Site: "php_server {\n" + backgroundWorker("slow", "slow.php", "num 1", "env GATE "+g.path) + "}"})
		if err != nil {
			t.Error(err)
		}
		started <- s
	}()
	gate := g.awaitReader(t) // the worker runs, and is not ready
	select {
	case <-started:
		t.Error("the server says that it serves while a worker with num is not ready")
	default:
	}
	gate.Close()
	if s := <-started; s != nil {
		s.Get("/").MustBe(200, "served")
	}
}

// opcache_reset() has every thread see changed files, also where opcache does not look at them by itself.
func TestOpcacheResetForgetsWhatItHeld(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 4\n php_ini {\n opcache.validate_timestamps 0\n opcache.file_update_protection 0\n }\n}",
		Files: harness.Files{
			"version.php": `<?php echo "one";`,
			"reset.php":   `<?php echo json_encode(opcache_reset());`,
		},
	})
	if got := s.Get("/version.php").Body; got != "one" {
		t.Fatalf("got %q", got)
	}
	if err := os.WriteFile(filepath.Join(s.Root, "version.php"), []byte(`<?php echo "two";`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.Get("/version.php").Body; got != "one" {
		t.Fatalf("opcache looked at the file although it was told not to: got %q", got)
	}
	if got := s.Get("/reset.php").Body; got != "true" {
		t.Fatalf("opcache_reset() answered %q", got)
	}
	for range 20 { // whichever thread answers
		if got := s.Get("/version.php").Body; got != "two" {
			t.Fatalf("after the reset: got %q", got)
		}
	}
}
