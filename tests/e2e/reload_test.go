package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// reloadFiles are workers of each kind that say who they are: an id made at their boot, and the revision of the
// configuration that they were booted with.
var reloadFiles = harness.Files{
	"background.php": `<?php
		$me = bin2hex(random_bytes(8)) . ' ' . $_SERVER['REV'];
		$inbox = Igor\Worker::current();
		while ($job = $inbox->receive()) {
			usleep(300);
			$job->complete("$me {$job->payload['v']}");
		}`,
	"stable.php": `<?php
		$me = bin2hex(random_bytes(8)) . ' fixed';
		while (frankenphp_handle_request(function () use ($me) { echo "$me {$_GET['v']}"; }));`,
	"changing.php": `<?php
		$me = bin2hex(random_bytes(8)) . ' ' . $_SERVER['REV'];
		while (frankenphp_handle_request(function () use ($me) { echo "$me {$_GET['v']}"; }));`,
	"index.php": `<?php
		$tasks = [];
		for ($i = 0; $i < 8; $i++) $tasks[] = Igor\Worker::send($_GET['to'], ['v' => $_GET['v']]);
		foreach ($tasks as $task) $answers[$task->await()] = true;
		echo implode("\n", array_keys($answers));`,
}

// reloadSite is the site after so many reloads: each changes something, and every other one the workers whose names say so.
func reloadSite(reloads int) string {
	return fmt.Sprintf(`respond /plain "plain plain {query.v}"
	php_server {
		worker {
			file background.php
			name stable
			num 2
			background
			queue 100
			env REV fixed
		}
		worker {
			file background.php
			name changing
			num 1
			background
			queue 100
			env REV %d
		}
		worker stable.php 2
		worker {
			file changing.php
			num 1
			env REV %d
		}
	}
	header X-Reloads %d`, reloads/2, reloads/2, reloads)
}

// Fifty reloads under load: no request and no task is lost, workers whose configuration is the same live on, and those whose
// configuration is another are others.
func TestFiftyReloadsLoseNothing(t *testing.T) {
	t.Parallel()
	const reloads = 50
	s := harness.Start(t, harness.Config{Site: reloadSite(0), Files: reloadFiles})

	type target struct {
		path    string
		threads int
		fixed   bool // lives through all reloads
	}
	targets := []target{
		{"/?to=stable&v=%d", 2, true},
		{"/?to=changing&v=%d", 1, false},
		{"/stable.php?v=%d", 2, true},
		{"/changing.php?v=%d", 1, false},
		{"/plain?v=%d", 1, true},
	}
	var (
		mutex  sync.Mutex
		boots  = make([]map[string]map[string]bool, len(targets)) // revision -> ids
		served = make([]atomic.Int64, len(targets))
		resets = make([]atomic.Int64, len(targets))
		next   atomic.Int64
		stop   = make(chan struct{})
		done   sync.WaitGroup
	)
	for i := range boots {
		boots[i] = make(map[string]map[string]bool)
	}
	ask := func(i int) {
		v := fmt.Sprint(next.Add(1))
		r, err := s.TryGet(fmt.Sprintf(strings.Replace(targets[i].path, "%d", "%s", 1), v))
		// Caddy opens the port anew for each configuration (SO_REUSEPORT), and closes the old one with the connections in its
		// queue, with a plain "respond" as with PHP. What was answered must be right.
		if r.Status == 0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)) {
			resets[i].Add(1)
			return
		}
		if err != nil || r.Status != http.StatusOK {
			t.Errorf("%s: %d %q, %v", targets[i].path, r.Status, r.Body, err)
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		for line := range strings.Lines(r.Body) {
			words := strings.Fields(line)
			if len(words) != 3 || words[2] != v {
				t.Errorf("%s, asked with %s, answered %q", targets[i].path, v, r.Body)
				return
			}
			if boots[i][words[1]] == nil {
				boots[i][words[1]] = make(map[string]bool)
			}
			boots[i][words[1]][words[0]] = true
		}
		served[i].Add(1)
	}
	for i := range targets {
		for range 2 {
			done.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						ask(i)
					}
				}
			})
		}
	}
	for n := 1; n <= reloads; n++ {
		// Each configuration serves something of every kind before the next comes.
		var before [5]int64
		for i := range targets {
			before[i] = served[i].Load()
		}
		if r := s.Reload(harness.Config{Site: reloadSite(n)}); r.Status != http.StatusOK {
			t.Errorf("reload %d answered %d %s", n, r.Status, r.Body)
			break
		}
		for i := range targets {
			for served[i].Load() == before[i] && !t.Failed() {
				ask(i)
			}
		}
	}
	close(stop)
	done.Wait()
	if t.Failed() {
		t.Fatalf("the log:\n%s", s.Log.Tail(40))
	}
	if got := s.Get("/plain?v=0").Header.Get("X-Reloads"); got != fmt.Sprint(reloads) {
		t.Errorf("the last configuration is number %s", got)
	}
	for i, target := range targets {
		t.Logf("%-20s %5d answers, %d connections closed by Caddy, %d revisions", target.path, served[i].Load(), resets[i].Load(), len(boots[i]))
		seen := make(map[string]string)
		for revision, ids := range boots[i] {
			if len(ids) > target.threads {
				t.Errorf("%s: revision %s was answered by %d workers (%v), it has %d threads", target.path, revision, len(ids), ids, target.threads)
			}
			for id := range ids {
				if other, twice := seen[id]; twice {
					t.Errorf("%s: worker %s answered for revision %s and %s", target.path, id, revision, other)
				}
				seen[id] = revision
			}
		}
		if target.fixed && len(boots[i]) != 1 || !target.fixed && len(boots[i]) < reloads/2 {
			t.Errorf("%s: %d revisions", target.path, len(boots[i]))
		}
	}
}
