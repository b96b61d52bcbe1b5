package faults

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// TestClientGone: the script of a client that has gone ends at its next output, and with it the task that it waits for;
// one that goes on without its client keeps its task. Nothing is left of either, however often it happens.
func TestClientGone(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 6\n}",
		Site:   site(harness.BackgroundWorker("endless", "endless.php", "num 2")),
		Files: files(harness.Files{
			// Works until it is told that nobody wants it any more.
			"endless.php": `<?php
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					try {
						for ($i = 0; $i < $job->payload['updates']; ++$i) $job->update(['n' => $i, 'ballast' => str_repeat('b', 100000)]);
						$job->complete($i);
					} catch (RuntimeException $e) {
						if ($e->getMessage() !== 'task closed' || !$job->isCancelled()) throw $e;
					}
					unset($job); // it is held until then
				}`,
			"watch.php": `<?php
				if (isset($_GET['alone'])) ignore_user_abort(true);
				$task = Igor\Worker::send('endless', ['updates' => (int) $_GET['updates'], 'ballast' => str_repeat('p', 1000000)], 50);
				foreach ($task as $n => $update) { echo "update $n\n"; flush(); }
				if (isset($_GET['alone'])) file_put_contents($_GET['alone'], $n + 1 . ' updates, aborted ' . connection_aborted());`,
		}),
	})
	// leave asks, reads the first update, and goes; by a reset where the client has more in its buffer than it has read.
	leave := func(query string) error {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		fmt.Fprintf(conn, "GET /watch.php?%s HTTP/1.1\r\nHost: %s\r\n\r\n", query, strings.TrimPrefix(s.URL, "http://"))
		for lines := bufio.NewReader(conn); ; {
			if line, err := lines.ReadString('\n'); err != nil || strings.HasPrefix(line, "update ") {
				return err
			}
		}
	}
	const rounds, clients = 60, 4
	round := func() {
		harness.Parallel(clients, func(int) {
			for range rounds {
				if err := leave("updates=1000000000"); err != nil {
					t.Errorf("a client that was to leave in the middle: %v", err)
				}
			}
		})
	}
	settled := func() pool {
		t.Helper()
		var p pool
		harness.Eventually(t, "nothing is left", func() error {
			if p = poolOf(t, s, "endless"); len(p.Tasks) != 0 || p.Queue.Length+p.Queue.BlockedSenders != 0 || p.states()["idle"] != 2 {
				return fmt.Errorf("%+v", p)
			}
			return nil
		})
		return p
	}

	l := startLoad(t, s)
	round() // after which memory is what it will be
	settled()
	before := s.Memory()
	round()
	round()
	p := settled()
	if c := p.Counters; c.Cancelled != 3*rounds*clients || c.Accepted != c.Cancelled || c.Crashes != 0 {
		t.Errorf("%d clients have gone; the pool counts %+v", 3*rounds*clients, c)
	}
	// 480 tasks with a megabyte in each payload, and more in their updates, have gone through meanwhile.
	if grown := s.Memory() - before; grown > 64<<10 {
		t.Errorf("the process has grown by %d kB, from %d kB", grown, before)
	}

	// Those that go on alone are served to their end.
	harness.Parallel(clients, func(client int) {
		file := filepath.Join(s.Root, fmt.Sprint("alone-", client))
		if err := leave("updates=300&alone=" + file); err != nil {
			t.Error(err)
		}
	})
	for client := range clients {
		harness.AwaitFile(t, filepath.Join(s.Root, fmt.Sprint("alone-", client)), "300 updates, aborted 1")
	}
	if c := settled().Counters; c.Completed != clients || c.Cancelled != 3*rounds*clients {
		t.Errorf("%d scripts went on alone; the pool counts %+v", clients, c)
	}
	l.end()
}
