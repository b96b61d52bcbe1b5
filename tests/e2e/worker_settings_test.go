package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What a worker block says, as its script meets it.
func TestWorkerSettings(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Global: `igor {
			num_threads 6
			php_ini precision 9
		}`,
		Site: `php_server {
			worker {
				file http.php
				num 1
				max_requests 3
				php_ini memory_limit 77M
				php_ini {
					error_prepend_string "a;b 'c' = d"
				}
			}
			worker {
				file busy.php
				num 1
				max_wait_time 100ms
			}
			worker {
				file tasks.php
				name tasks
				background
				num 1
				max_tasks 2
				php_ini memory_limit 66M
			}
		}`,
		Files: harness.Files{
			"http.php": `<?php
				$me = bin2hex(random_bytes(8));
				while (frankenphp_handle_request(function () use ($me) {
					echo implode('|', [$me, ini_get('memory_limit'), ini_get('precision'), ini_get('error_prepend_string')]);
				}));`,
			"busy.php": `<?php
				while (frankenphp_handle_request(function () { if (isset($_GET['gate'])) file_get_contents($_GET['gate']); echo 'done'; }));`,
			"tasks.php": `<?php
				$me = bin2hex(random_bytes(8));
				$inbox = Igor\Worker::current();
				while ($job = $inbox->receive()) $job->complete("$me|" . ini_get('memory_limit'));`,
			"index.php": `<?php echo Igor\Worker::send('tasks', [])->await();`,
			"plain.php": `<?php echo ini_get('memory_limit') === '66M' || ini_get('memory_limit') === '77M' ? 'leaked' : 'own';`,
		},
	})
	// times asks so often and gives the ids of those that answered, each as often as it did.
	times := func(n int, path, want string) map[string]int {
		t.Helper()
		boots := make(map[string]int)
		for range n {
			id, rest, _ := strings.Cut(s.Get(path).MustContain(http.StatusOK).Body, "|")
			if rest != want {
				t.Fatalf("%s answered %q, want %q", path, rest, want)
			}
			boots[id]++
		}
		return boots
	}
	if boots := times(9, "/http.php", "77M|9|a;b 'c' = d"); len(boots) != 3 {
		t.Errorf("9 requests with max_requests 3 were answered by %v", boots)
	}
	if boots := times(6, "/", "66M"); len(boots) != 3 {
		t.Errorf("6 tasks with max_tasks 2 were done by %v", boots)
	}
	s.Get("/plain.php").MustBe(http.StatusOK, "own")

	answered := make(chan harness.Response, 1)
	go func() {
		r, _ := s.TryGet("/busy.php?gate=" + g.path)
		answered <- r
	}()
	gate := g.awaitReader(t)
	if r := s.Get("/busy.php"); r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("a request that waited for a busy worker got %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
	}
	s.Get("/plain.php").MustBe(http.StatusOK, "own") // other scripts have threads of their own
	gate.Close()
	if r := <-answered; r.Status != http.StatusOK || r.Body != "done" {
		t.Errorf("the request that held the worker got %d %q", r.Status, r.Body)
	}
	awaitAnswer(t, s, "/busy.php", "done")
}

// Requests that come while no worker runs are told so in the log, and not that all of them are busy.
func TestRefusedByTheBreaker(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server {\n worker {\n file index.php\n num 1\n max_consecutive_failures 1\n restart_backoff 1m 1m\n}\n}",
		harness.Files{"index.php": `<?php
			if (file_exists(__DIR__ . '/broken')) throw new DomainException('no database');
			while (frankenphp_handle_request(function () { touch(__DIR__ . '/broken'); exit('fine'); }));`})
	s.Get("/").MustBe(http.StatusOK, "fine")
	if r := s.Get("/"); r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("a request that no worker runs for got %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
	}
	s.WaitLogFor("the reason of the 503", func(e harness.Entry) bool {
		return e.Logger == "http.log.error" && strings.HasPrefix(e.Message, "the worker failed") && strings.Contains(e.Message, "is tried again later")
	})
}

// allForms has every directive there is.
const allForms = `{
	frankenphp {
		num_threads 9
		max_threads auto
		max_wait_time 10s
		max_idle_time 30s
		max_requests 5000
		php_ini {
			memory_limit 99M
		}
		worker {root}/public/global.php 1
	}
}

http://localhost:1 {
	php_server {
		name shop
		root {root}/public
		split_path .php
		index index.php
		try_files {path} index.php
		hide *.bak
		env A b
		resolve_root_symlink
		worker index.php 1
		worker other.php watch
		worker {
			file ../api.php
			name api
			num 50%
			max_threads 3
			match /api/*
			watch {root}/**/*.php
			env A c
			php_ini memory_limit 1G
			max_wait_time 1s
			max_requests 100
			max_memory 100MiB
			boot_timeout 5s
			stop_grace 1s
			max_consecutive_failures -1
			restart_backoff 1s 2s
		}
		worker {
			file ../api.php
			name tasks
			background
			num auto
			queue 5
			overflow reject
			dispatch round_robin
			timeout none
			updates 3
			max_payload 1MiB
			max_tasks 100
		}
	}
}
`

// The commands that read a configuration take every form of it.
func TestCommandsReadEveryForm(t *testing.T) {
	t.Parallel()
	dir := harness.WriteFiles(t, harness.Files{"public/index.php": "", "public/other.php": "", "public/global.php": "", "api.php": ""})
	text := strings.ReplaceAll(allForms, "{root}", dir)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"validate", "--config", file}, {"adapt", "--config", file}, {"fmt", "--diff", file}} {
		output, status := harness.Run(t, dir, command...)
		if status != 0 {
			t.Errorf("igor %s: %d\n%s", command[0], status, output)
		}
		if command[0] == "adapt" {
			for _, want := range []string{`"max_threads":-1`, `"num":"50%"`, `"match_path":["/api/*"]`, `"dispatch":"round_robin"`, `"hide":["*.bak"`} {
				if !strings.Contains(output, want) {
					t.Errorf("igor adapt does not show %s:\n%s", want, output)
				}
			}
			adapted := filepath.Join(dir, "config.json")
			if err := os.WriteFile(adapted, []byte(output[strings.Index(output, `{"apps"`):]), 0o600); err != nil {
				t.Fatal(err)
			}
			if output, status := harness.Run(t, dir, "validate", "--config", adapted); status != 0 {
				t.Errorf("igor validate of what adapt wrote: %d\n%s", status, output)
			}
		}
	}
}
