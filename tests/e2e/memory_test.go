package e2e

import (
	"fmt"
	"sync"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What the metrics say of the process's memory, for whoever wonders whose it is that grows.

const allocated, engineStates = `igor_native_memory_bytes{state="allocated"}`, "igor_engine_states"

func memorised(t *testing.T) *harness.Server {
	return harness.Start(t, harness.Config{
		Files: harness.Files{
			"index.php": `<?php
				if (isset($_GET['meet'])) {
					touch(__DIR__ . "/here-$_GET[meet]");
					while (count(glob(__DIR__ . '/here-*')) < 4) usleep(1000);
				} else {
					$task = frankenphp_worker_task_send('keeper', $_GET);
					while (frankenphp_worker_task_read($task) !== null);
				}
				echo 'ok';`,
			// A parsed document is libxml's memory, not PHP's.
			"keeper.php": `<?php
				$kept = null;
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) {
					$kept = null;
					if ($job->payload['do'] === 'keep') {
						$kept = new DOMDocument();
						$kept->loadXML('<all>' . str_repeat('<one a="b"/>', 50_000) . '</all>');
					}
					$job->complete();
				}`,
		},
		Global: "igor {\n num_threads 8\n}",
		Site:   "metrics /metrics\nphp_server {\n name shop\n" + backgroundWorker("keeper", "keeper.php", "num 1") + "}",
	})
}

func TestNativeMemoryIsSeen(t *testing.T) {
	s := memorised(t)
	s.Get("/?do=nothing").MustBe(200, "ok")
	before := scrape(t, s)[allocated]
	s.Get("/?do=keep").MustBe(200, "ok")
	kept := scrape(t, s)[allocated]
	s.Get("/?do=nothing").MustBe(200, "ok")
	after := scrape(t, s)[allocated]
	const document = 5 << 20 // at least
	if before == 0 || kept-before < document || kept-after < document {
		t.Errorf("a worker's library has allocated more than %d bytes, and freed them: seen were %.0f, %.0f and then %.0f", document, before, kept, after)
	}
}

// Each thread of the web server's that has run a script keeps a state of the engine.
func TestEngineStatesAreSeen(t *testing.T) {
	s := memorised(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			if r, err := s.TryGet(fmt.Sprintf("/?meet=%d", i)); err != nil || r.Body != "ok" {
				t.Errorf("%v %q", err, r.Body)
			}
		}()
	}
	all.Wait()
	if states := scrape(t, s)[engineStates]; states != 1+4 {
		t.Errorf("%v engine states, after a worker and four scripts that ran at the same time", states)
	}
}
