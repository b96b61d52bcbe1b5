package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// TestOpcacheGetsFull: scripts that change all the time fill opcache's memory with what is out of date, until opcache
// starts over, and a script asks it to at any time besides. Nobody runs code that has been overwritten.
func TestOpcacheGetsFull(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: `igor {
			num_threads 8
			php_ini {
				opcache.memory_consumption 8
				opcache.interned_strings_buffer 1
				opcache.max_wasted_percentage 1
				opcache.revalidate_freq 0
				opcache.file_update_protection 0
			}
		}`,
		Site: site(harness.BackgroundWorker("reader", "reader.php", "num 2")),
		Files: files(harness.Files{
			"status.php": `<?php $s = opcache_get_status(false)['opcache_statistics']; echo $s['oom_restarts'] + $s['manual_restarts'] + $s['hash_restarts'];`,
			"reset.php":  `<?php echo json_encode(opcache_reset());`,
			// Runs the code of a file that another client writes, and looks at what it gives.
			"read.php": `<?php echo isset($_GET['task']) ? Igor\Worker::send('reader', $_GET, 50)->await() : (require __DIR__ . "/changing-$_GET[file].php")($_GET['n']);`,
			"reader.php": `<?php
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) $job->complete((require __DIR__ . "/changing-{$job->payload['file']}.php")($job->payload['n']));`,
		}),
	})
	const count = 8
	write := func(file, version int) {
		// Constant arrays, strings and a closure: what lies in opcache's memory.
		var list strings.Builder
		for i := range 800 {
			fmt.Fprintf(&list, "'key %d of %d' => ['text %d %d', %d],\n", i, version, i, version, i)
		}
		path := filepath.Join(s.Root, fmt.Sprintf("changing-%d.php", file))
		content := "<?php return function (string $n): string { $list = [" + list.String() + "];\n" +
			"foreach ($list as $key => [$text, $i]) if (!str_starts_with($key, \"key $i of\") || !str_starts_with($text, \"text $i \")) return \"wrong $key\";\n" +
			"return 'right ' . count($list) . \" $n\"; };"
		if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	for file := range count {
		write(file, 0)
	}
	l := startLoad(t, s)
	var over atomic.Bool
	clients := make(chan struct{}, 4)
	for client := range cap(clients) {
		go func() {
			defer func() { clients <- struct{}{} }()
			for i := client; !over.Load(); i++ {
				if client == 0 {
					write(i%count, i)
					continue
				}
				path := fmt.Sprintf("/read.php?file=%d&n=%d", i%count, i)
				want := fmt.Sprintf("right 800 %d", i)
				if i%3 == 0 {
					path += "&task"
				}
				if client == 1 && i%40 == 0 {
					path, want = "/reset.php", "true"
				}
				if r, err := s.TryGet(path); err != nil || r.Body != want {
					t.Errorf("%s: %d %.200q, %v", path, r.Status, r.Body, err)
					return
				}
			}
		}()
	}
	restarts := ""
	limit := time.Now().Add(90 * time.Second)
	for restarts = "0"; (restarts == "0" || restarts == "1") && time.Now().Before(limit) && !t.Failed(); time.Sleep(50 * time.Millisecond) {
		restarts = s.Get("/status.php").MustContain(200).Body
	}
	over.Store(true)
	for range cap(clients) {
		<-clients
	}
	l.end()
	if restarts == "0" {
		t.Error("opcache did not start over within 90 s")
	}
	t.Logf("opcache has started over %s times", restarts)
	for _, name := range []string{"reader", "steady"} {
		if p := poolOf(t, s, name); p.Counters.Crashes != 0 || p.Counters.Completed != p.Counters.Accepted {
			t.Errorf("%s counts %+v", name, p.Counters)
		}
	}
}
