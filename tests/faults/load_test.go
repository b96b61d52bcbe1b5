// Package faults breaks one thing at a time in a real server under load, over HTTP, and looks at everybody
// else: the sender learns what happened, at once; nobody else notices.
package faults

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Those who must not notice: scripts of requests, an HTTP worker, and the tasks of a pool of their own.
var bystanders = harness.Files{
	"page.php": `<?php echo str_repeat("page $_GET[n] ", 200);`,
	"app.php": `<?php
		while (frankenphp_handle_request(function () { echo str_repeat("app $_GET[n] ", 200); }));`,
	"task.php": `<?php
		$task = frankenphp_worker_task_send('steady', ['n' => $_GET['n']], 50);
		while ($update = frankenphp_worker_task_read($task)) echo $update['text'];`,
	"steady.php": `<?php
		$signals = frankenphp_worker_get_signaling_stream();
		while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
			while ([$stream, $p] = frankenphp_worker_task_receive()) {
				for ($i = 0; $i < 4; ++$i) frankenphp_worker_task_update($stream, ['text' => str_repeat("task $p[n] ", 50)]);
				fclose($stream);
			}
		}`,
}

// site is a php_server with the bystanders' workers and those of a test.
func site(pools ...string) string {
	return "igor_health /readyz ready\nigor_health /livez live\nmetrics /metrics\nphp_server {\n name shop\n" +
		"worker app.php 1\n" + harness.BackgroundWorker("steady", "steady.php", "num 2") + strings.Join(pools, "") + "}"
}

// files are a test's own with the bystanders'.
func files(own harness.Files) harness.Files {
	all := maps.Clone(bystanders)
	maps.Copy(all, own)
	return all
}

// load is clients that ask and look at each answer, from startLoad() on until end(): none may fail, and
// none may be another's.
type load struct {
	t      *testing.T
	s      *harness.Server
	over   atomic.Bool
	all    sync.WaitGroup
	served [len(loadKinds)]atomic.Int64
}

var loadKinds = [...]string{"page", "app", "task"}

func startLoad(t *testing.T, s *harness.Server) *load {
	t.Helper()
	l := &load{t: t, s: s}
	var number atomic.Int64
	for kind, name := range loadKinds {
		l.all.Go(func() {
			for !l.over.Load() {
				n := number.Add(1)
				r, err := s.TryGet(fmt.Sprintf("/%s.php?n=%d", name, n))
				if want := strings.Repeat(fmt.Sprintf("%s %d ", name, n), 200); err != nil || r.Status != 200 || r.Body != want {
					t.Errorf("a bystander, %s number %d, got %d %.300q, %v; the log:\n%s", name, n, r.Status, r.Body, err, s.Log.Tail(10))
					return
				}
				l.served[kind].Add(1)
			}
		})
	}
	t.Cleanup(func() { l.over.Store(true); l.all.Wait() })
	l.awaitMore()
	return l
}

// awaitMore returns when each kind was served once more, by a request that began after this call: nobody is stuck.
func (l *load) awaitMore() {
	l.t.Helper()
	for kind, name := range loadKinds {
		was := l.served[kind].Load()
		harness.Eventually(l.t, "another "+name, func() error {
			if now := l.served[kind].Load(); now < was+2 {
				return fmt.Errorf("%d are served, there were %d", now, was)
			}
			return nil
		})
	}
}

// end stops the clients, when each kind has been served once more, and says how much they got.
func (l *load) end() {
	l.t.Helper()
	l.awaitMore()
	l.over.Store(true)
	l.all.Wait()
	for kind, name := range loadKinds {
		l.t.Logf("meanwhile: %d times %s", l.served[kind].Load(), name)
	}
}
