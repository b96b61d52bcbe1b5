package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

const exhaustionWorker = `<?php
$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
	while ([$stream, $p] = frankenphp_worker_task_receive()) {
		switch ($p['do']) {
			case 'echo':
				frankenphp_worker_task_update($stream, ['echo' => $p['text'] ?? '']);
				break;
			case 'large':
				frankenphp_worker_task_update($stream, ['large' => str_repeat('x', 8 << 20)]);
				break;
			case 'log':
				for ($i = 0; $i < $p['lines']; ++$i) frankenphp_log(str_repeat('z', 1000), 0, ['line' => $i]);
				frankenphp_worker_task_update($stream, ['logged' => $i]);
				break;
		}
		fclose($stream);
	}
}
`

// withoutDescriptors runs code while the process may open no descriptor more. What it says comes afterwards: the answer needs none,
// but the log may.
const withoutDescriptors = `<?php
function without_descriptors(callable $code): array {
	$limits = posix_getrlimit(POSIX_RLIMIT_NOFILE);
	$warnings = [];
	set_error_handler(function ($type, $text) use (&$warnings) { $warnings[] = $text; return true; });
	posix_setrlimit(POSIX_RLIMIT_NOFILE, 0, $limits[1]);
	try {
		$result = $code();
	} catch (Throwable $e) {
		$result = get_class($e) . ': ' . $e->getMessage();
	}
	posix_setrlimit(POSIX_RLIMIT_NOFILE, $limits[0], $limits[1]);
	restore_error_handler();
	return [$result, $warnings];
}
`

func TestWithoutDescriptors(t *testing.T) {
	s := harness.Start(t, harness.Config{
		Global: "igor {\n" + harness.BackgroundWorker("shop", "worker.php", "num 1") + "\n}",
		Files: harness.Files{
			"worker.php":  exhaustionWorker,
			"without.php": withoutDescriptors,
			"page.php":    `<?php echo 'page';`,
			"select.php": `<?php require 'without.php';
				$task = frankenphp_worker_task_send('shop', ['do' => 'echo', 'text' => 'read it']);
				[$selected, $warnings] = without_descriptors(function () use ($task) {
					$read = [$task]; $write = $except = null;
					return stream_select($read, $write, $except, 0);
				});
				echo json_encode($selected), "\n", implode("\n", $warnings), "\n";
				[$result] = without_descriptors(fn() => [
					frankenphp_worker_task_read($task),
					frankenphp_worker_task_read($task),
				]);
				echo json_encode($result), "\n";
				[$result] = without_descriptors(function () {
					$task = frankenphp_worker_task_send('shop', ['do' => 'echo', 'text' => 'sent without']);
					return frankenphp_worker_task_read($task);
				});
				echo json_encode($result), "\n";
				// And with them again.
				$task = frankenphp_worker_task_send('shop', ['do' => 'echo', 'text' => 'again']);
				$read = [$task]; $write = $except = null;
				echo stream_select($read, $write, $except, 30), json_encode(frankenphp_worker_task_read($task));`,
			"include.php": `<?php require 'without.php';
				[$result, $warnings] = without_descriptors(fn() => [@include __DIR__ . '/never_cached.php', fopen(__FILE__, 'r')]);
				echo json_encode($result), implode("\n", $warnings);`,
			"never_cached.php": `<?php return 'included';`,
		},
	})
	answer := s.Get("/select.php").MustContain(200,
		"Could not make a descriptor to wait on: Too many open files",
		`[{"echo":"read it"},null]`, `{"echo":"sent without"}`, `1{"echo":"again"}`)
	if strings.Contains(answer.Body, "Fatal") {
		t.Error(answer.Body)
	}
	s.Get("/include.php").MustContain(200, "[false,false]", "Too many open files")

	before := s.Descriptors()
	for range 20 {
		s.Get("/select.php").MustContain(200, `1{"echo":"again"}`)
	}
	after := s.Descriptors()
	if total, was := sum(after), sum(before); total > was+8 {
		t.Errorf("%d descriptors, %d before: %v", total, was, after)
	}
	s.Client().CloseIdleConnections()
	s.Get("/page.php").MustBe(200, "page")
}

// fullDisk is a folder on a file system of its own that is small.
func fullDisk(t *testing.T, kilobytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=1777", kilobytes)); err != nil {
		t.Skipf("a small file system is needed, and mounting one needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestUploadsOnAFullDisk(t *testing.T) {
	dir := fullDisk(t, 256)
	s := harness.Start(t, harness.Config{
		Global: "igor {\nphp_ini upload_tmp_dir " + dir + "\nphp_ini post_max_size 64M\nphp_ini upload_max_filesize 64M\n}",
		Site:   "php_server {\nworker worker.php 1\n}",
		Files: harness.Files{
			"page.php": `<?php foreach ($_FILES as $name => $f) echo $name, ' ', $f['error'], ' ', $f['size'], "\n"; echo UPLOAD_ERR_CANT_WRITE;`,
			"worker.php": `<?php while (frankenphp_handle_request(function () {
				foreach ($_FILES as $name => $f) echo $name, ' ', $f['error'], ' ', $f['size'], "\n"; echo UPLOAD_ERR_CANT_WRITE;
			}));`,
		},
	})
	large, small := bytes.Repeat([]byte("x"), 4<<20), []byte("fits")
	for _, page := range []string{"/page.php", "/worker.php"} {
		for range 3 {
			s.Upload(page, "file", "large.bin", "application/octet-stream", large).MustBe(200, "file 7 0\n7")
			if left := filesIn(t, dir); len(left) > 0 {
				t.Errorf("%s: left behind: %v", page, left)
			}
			s.Upload(page, "file", "small.txt", "text/plain", small).MustBe(200, "file 0 4\n7")
		}
	}
}

func TestSessionsOnAFullDisk(t *testing.T) {
	dir := fullDisk(t, 64)
	s := harness.Start(t, harness.Config{
		Global: "igor {\nphp_ini session.save_path " + dir + "\n}",
		Files: harness.Files{
			"full.php":  `<?php session_start(); $_SESSION['all'] = str_repeat('x', 1 << 20); echo 'the page';`,
			"small.php": `<?php session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; echo $_SESSION['n'];`,
		},
	})
	s.Get("/full.php").MustContain(200, "the page")
	s.WaitLog("Failed to write session data")
	if left := filesIn(t, dir); len(left) > 1 {
		t.Errorf("left behind: %v", left)
	}
	for _, name := range filesIn(t, dir) {
		_ = os.Remove(filepath.Join(dir, name))
	}
	s.Get("/small.php").MustBe(200, "1")
}

// TestLogOnAFullDisk: what cannot be written is lost; who wanted it written is not held up.
func TestLogOnAFullDisk(t *testing.T) {
	dir := fullDisk(t, 64)
	s := harness.Start(t, harness.Config{
		Global: "log full {\noutput file " + filepath.Join(dir, "igor.log") + " {\nroll_disabled\n}\nlevel DEBUG\n}\n" +
			"igor {\n" + harness.BackgroundWorker("shop", "worker.php", "num 1") + "\n}",
		Files: harness.Files{
			"worker.php": exhaustionWorker,
			"page.php": `<?php
				$task = frankenphp_worker_task_send('shop', ['do' => 'log', 'lines' => 500]);
				echo json_encode(frankenphp_worker_task_read($task));`,
		},
	})
	for range 3 {
		s.Get("/page.php").MustBe(200, `{"logged":500}`)
	}
	if info, err := os.Stat(filepath.Join(dir, "igor.log")); err != nil || info.Size() > 64<<10 {
		t.Errorf("the log on the full disk: %v, %v", info, err)
	}
}

// TestPayloadsBeyondTheMemoryLimit: a payload that the receiver has no room for ends the receiver's script, as
// anything else of that size would. Nothing of it stays.
func TestPayloadsBeyondTheMemoryLimit(t *testing.T) {
	s := harness.Start(t, harness.Config{
		Global: "igor {\n" + harness.BackgroundWorker("shop", "worker.php", "num 1", "php_ini memory_limit 32M") +
			"\n" + harness.BackgroundWorker("tight", "worker.php", "num 1", "php_ini memory_limit 6M") + "\n}",
		Files: harness.Files{
			"worker.php": exhaustionWorker,
			"sender.php": `<?php
				ini_set('memory_limit', '6M');
				$task = frankenphp_worker_task_send('shop', ['do' => 'large']);
				frankenphp_worker_task_read($task);
				echo 'read';`,
			"receiver.php": `<?php
				$task = frankenphp_worker_task_send('tight', ['do' => 'echo', 'text' => str_repeat('x', 8 << 20)], 60.0);
				try {
					frankenphp_worker_task_read($task);
					echo 'read';
				} catch (RuntimeException $e) {
					echo $e->getPrevious()->getReason()->name;
				}`,
			"fits.php": `<?php
				$task = frankenphp_worker_task_send('shop', ['do' => 'large']);
				echo strlen(frankenphp_worker_task_read($task)['large']);`,
		},
		AllowInLog: []string{"Allowed memory size"},
	})
	round := func() {
		if answer := s.Get("/sender.php"); strings.Contains(answer.Body, "read") {
			t.Errorf("the sender read what does not fit: %.100q", answer.Body)
		}
		s.Get("/receiver.php").MustBe(200, "MemoryLimit")
	}
	for range 10 {
		round()
	}
	before := s.Memory()
	const rounds = 60
	for range rounds {
		round()
	}
	// Each round's two payloads are 16 MiB.
	if grown := s.Memory() - before; grown > rounds*16<<20/8 {
		t.Errorf("%d MiB more after %d rounds", grown>>20, rounds)
	}
	s.Get("/fits.php").MustBe(200, "8388608")
	for _, name := range []string{"shop", "tight"} {
		p := harness.JSONOf[pool](t, s.AdminDo(http.MethodGet, "/igor/pools/global/"+name, "", ""))
		ended := p.Counters.Completed + p.Counters.Cancelled + p.Counters.TimedOut + sum(p.Counters.Failed)
		if ended != p.Counters.Accepted || len(p.Tasks) != 0 {
			t.Errorf("%s: %d accepted, %d ended, %v left", name, p.Counters.Accepted, ended, p.Tasks)
		}
	}
}
