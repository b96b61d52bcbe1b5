package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The php-server command: a site without a Caddyfile.

// phpServer runs it in a directory until the test ends, and returns a client of it, which asks until the answer is as wanted.
// It waits until workers are ready: what changes before is not watched.
func phpServer(t *testing.T, directory string, flags ...string) func(path, want string) {
	t.Helper()
	address := "127.0.0.1:" + freePort(t)
	home := t.TempDir()
	cmd := exec.Command(harness.Binary(t), append([]string{"php-server", "--listen", address}, flags...)...)
	cmd.Dir = directory
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	output, err := os.Create(filepath.Join(home, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			said, _ := os.ReadFile(output.Name())
			t.Logf("php-server said:\n%s", said)
		}
	})
	eventually(t, "workers", func() error {
		select {
		case <-ended:
			t.Fatal("php-server has ended")
		default:
		}
		if said, err := os.ReadFile(output.Name()); err != nil || !strings.Contains(string(said), `"workers are ready"`) {
			return fmt.Errorf("not ready (%v)", err)
		}
		return nil
	})
	return func(path, want string) {
		t.Helper()
		eventually(t, path, func() error {
			select {
			case <-ended:
				t.Fatalf("%s: php-server has ended", path)
			default:
			}
			request, err := http.NewRequest("GET", "http://"+address+path, nil)
			if err != nil {
				return err
			}
			request.Host = "whatever.name.leads.here"
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if body, _ := io.ReadAll(response.Body); response.StatusCode != 200 || string(body) != want {
				return fmt.Errorf("%d %q, want %q", response.StatusCode, body, want)
			}
			return nil
		})
	}
}

// With --worker the script is run in worker mode, and with --watch again when a file changes.
func TestPHPServerWorkers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		// In one step, so that no worker ever starts with half a file.
		if err := os.WriteFile(path+".tmp", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
	}
	write("src/version.php", `<?php return 'one';`)
	write("public/plain.php", `<?php echo isset($_SERVER['FRANKENPHP_WORKER']) ? 'worker' : 'script';`)
	write("public/index.php", `<?php
		$version = require __DIR__ . '/../src/version.php';
		while (frankenphp_handle_request(function () use ($version) { echo "$version ", $_SERVER['FRANKENPHP_WORKER']; })) {}`)
	get := phpServer(t, dir, "--root", "public", "--worker", "public/index.php,2", "--watch=src/*.php")
	get("/", "one 1")
	get("/plain.php", "script")
	write("src/version.php", `<?php return 'two';`)
	get("/", "two 1")
}

// Flags that can't be are refused with a remedy.
func TestPHPServerRefusals(t *testing.T) {
	t.Parallel()
	for flags, want := range map[string]string{
		"--worker index.php,many": "write the number of threads",
		"--worker missing.php":    "does not exist",
		"--watch":                 "add --worker",
		"--root nowhere":          "name the directory of the site",
	} {
		cmd := exec.Command(harness.Binary(t), append([]string{"php-server", "--listen", "127.0.0.1:" + freePort(t)}, strings.Fields(flags)...)...)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("php-server %s: %v, %q is not in\n%s", flags, err, want, out)
		}
	}
}
