package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The smallest thing that must work, and the harness's own proof: start, answer, end.
func TestHello(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{
		"index.php":  `<?php echo "hello ", $_GET['name'] ?? 'world';`,
		"static.txt": "not PHP",
	})
	s.Get("/").MustBe(200, "hello world")
	s.Get("/index.php?name=Igor").MustBe(200, "hello Igor")
	s.Get("/static.txt").MustBe(200, "not PHP")
	s.Stop()
}

// One task there and back through the whole stack.
func TestTaskRoundTrip(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `php_server {
		worker {
			name upper
			file worker.php
			num 1
			background
		}
	}`, harness.Files{
		"index.php": `<?php
			$task = frankenphp_worker_task_send('upper', ['text' => $_GET['text']]);
			while (($update = frankenphp_worker_task_read($task)) !== null) {
				echo $update['text'], "\n";
			}`,
		"worker.php": `<?php
			$signals = frankenphp_worker_get_signaling_stream();
			while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
				while ($task = frankenphp_worker_task_receive()) {
					[$stream, $payload] = $task;
					frankenphp_worker_task_update($stream, ['text' => strtoupper($payload['text'])]);
					fclose($stream);
				}
			}`,
	})
	for i := range 50 {
		s.Get(fmt.Sprintf("/?text=task%d", i)).MustBe(200, fmt.Sprintf("TASK%d\n", i))
	}
	if took := s.Stop(); took.Seconds() > 4 {
		t.Errorf("the server took %s to stop an idle worker, which was told to and could", took)
	}
}

// A configuration that can't work ends the server with a message, and the harness reports it.
func TestBadConfigurationEndsTheServer(t *testing.T) {
	t.Parallel()
	_, err := harness.TryStart(t, harness.Config{Files: harness.Files{}, Site: "php_server {\n no_such_thing 1\n}"})
	if err == nil || !strings.Contains(err.Error(), "no_such_thing") {
		t.Fatalf("a Caddyfile with an unknown directive gave: %v", err)
	}
}
