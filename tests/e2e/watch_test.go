package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// A worker that watches files is restarted when they change, with the new code; one that does not start then leaves the old
// one in its place; and one that watches others lives on.
func TestWatch(t *testing.T) {
	t.Parallel()
	worker := `<?php
		$me = bin2hex(random_bytes(8));
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) $job->complete("$me " . (require __DIR__ . '/lib/WHICH/code.php'));`
	root := harness.WriteFiles(t, harness.Files{
		"a.php":          strings.Replace(worker, "WHICH", "a", 1),
		"b.php":          strings.Replace(worker, "WHICH", "b", 1),
		"lib/a/code.php": `<?php return 'one';`,
		"lib/b/code.php": `<?php return 'one';`,
		"index.php":      `<?php echo Igor\Worker::send($_GET['to'], [])->await();`,
	})
	// opcache does not take up files that are as new as these; of older ones it looks at the time every other second only.
	for _, file := range []string{"a.php", "b.php", "lib/a/code.php", "lib/b/code.php"} {
		if err := os.Chtimes(filepath.Join(root, file), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	s := harness.Start(t, harness.Config{Root: root, Site: `php_server {
		worker {
			file a.php
			name a
			background
			num 1
			watch lib/a/**/*.php
		}
		worker {
			file b.php
			name b
			background
			num 1
			watch lib/b
		}
	}`})
	ask := func(name string) (boot, code string) {
		t.Helper()
		r := s.Get("/?to=" + name).MustContain(http.StatusOK)
		boot, code, _ = strings.Cut(r.Body, " ")
		return boot, code
	}
	restarted := func(e harness.Entry, name string) bool {
		return strings.Contains(e.Message, "files changed") && strings.Contains(e.Field("worker"), `"`+name+`"`)
	}
	// change writes a file and waits until the worker was restarted because of it, or could not be.
	change := func(name, file, text string) {
		t.Helper()
		before := 0
		for _, e := range s.Log.Entries() {
			if restarted(e, name) {
				before++
			}
		}
		path := filepath.Join(s.Root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		// As editors do it: never half a file.
		if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
		seen := 0
		s.WaitLogFor(fmt.Sprintf("restart of %s", name), func(e harness.Entry) bool {
			if restarted(e, name) {
				seen++
			}
			return seen > before
		})
	}

	firstA, code := ask("a")
	firstB, _ := ask("b")
	if code != "one" {
		t.Fatalf("a answered with code %q", code)
	}
	change("a", "lib/a/code.php", `<?php return 'two';`)
	secondA, code := ask("a")
	if secondA == firstA || code != "two" {
		t.Errorf("after a change: %s (before: %s), %q", secondA, firstA, code)
	}
	if boot, code := ask("b"); boot != firstB || code != "one" {
		t.Errorf("b, whose files did not change, was %s and is %s", firstB, boot)
	}
	change("a", "lib/a/new/folder/more.php", `<?php`)
	thirdA, _ := ask("a")
	if thirdA == secondA {
		t.Error("a file in a new folder did not restart a")
	}
	// Its script itself is broken: the old worker goes on.
	if err := os.WriteFile(filepath.Join(s.Root, "a.php"), []byte(`<?php throw new LogicException('half written');`), 0o644); err != nil {
		t.Fatal(err)
	}
	change("a", "lib/a/new/folder/more.php", `<?php // again`)
	failure := s.WaitLogFor("the failure", func(e harness.Entry) bool { return strings.Contains(e.Message, "the old ones go on") })
	if !strings.Contains(failure.Field("error"), "half written") || !strings.Contains(failure.Field("worker"), `worker "a" (`) {
		t.Errorf("the failure says %s", failure.Raw)
	}
	if boot, _ := ask("a"); boot != thirdA {
		t.Error("a worker that could not be restarted is gone")
	}
	change("b", "lib/b/code.php", `<?php return 'two';`)
	if boot, code := ask("b"); boot == firstB || code != "two" {
		t.Errorf("b after its change: %s, %q", boot, code)
	}
}

// HTTP workers that are restarted because of a change: no request is lost, and each is answered by either code.
func TestWatchUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `php_server {
		worker {
			file app.php
			num 2
			watch lib/*.php
		}
	}`, harness.Files{
		"app.php": `<?php
			$code = require __DIR__ . '/lib/code.php';
			while (frankenphp_handle_request(function () use ($code) { usleep(500); echo "code $code"; }));`,
		"lib/code.php": `<?php return 0;`,
	})
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r, err := s.TryGet("/app.php"); err != nil || r.Status != http.StatusOK || !strings.HasPrefix(r.Body, "code ") {
					t.Errorf("while files change: %d %q, %v", r.Status, r.Body, err)
					return
				}
			}
		})
	}
	for version := 1; version <= 5 && !t.Failed(); version++ {
		temporary := filepath.Join(s.Root, "lib/code.tmp")
		if err := os.WriteFile(temporary, fmt.Appendf(nil, "<?php return %d;", version), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(s.Root, "lib/code.php")); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("code %d", version)
		for begin := time.Now(); s.Get("/app.php").Body != want; {
			if time.Since(begin) > 20*time.Second {
				t.Fatalf("version %d does not come; the log:\n%s", version, s.Log.Tail(20))
			}
		}
	}
	close(stop)
	clients.Wait()
	if failures := s.Log.Find("the old ones go on"); len(failures) > 0 {
		t.Errorf("a restart failed: %s", failures[0].Raw)
	}
}
