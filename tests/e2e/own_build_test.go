package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// A Caddy of one's own with Igor in it, built by the README's commands.
func TestCaddyBuildOfOnesOwn(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	program := fencedBlock(t, "README.md", "go", "caddycmd.Main()")
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	// The versions that the server is built with, as a user's own go.mod has some: "the newest of each" is another test every
	// day, and wants more of the network than the module proxy.
	sums, err := os.ReadFile(filepath.Join(harness.Checkout(), "caddy-plugin", "go.sum"))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "go.sum"), sums, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	console := strings.ReplaceAll(fencedBlock(t, "README.md", "console", "go mod init"), "/path/to/igor", harness.Checkout())
	for line := range strings.Lines(console) {
		command, isCommand := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !isCommand {
			t.Fatalf("no command: %q", line)
		}
		shell := exec.Command("sh", "-c", command)
		shell.Dir = folder
		shell.Env = append(os.Environ(), "PATH="+filepath.Join(runtime.GOROOT(), "bin")+":"+os.Getenv("PATH"), "GOFLAGS=-mod=mod -buildvcs=false")
		if out, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	out, err := exec.Command(filepath.Join(folder, "my-caddy"), "php-cli", "-r", "echo 6 * 7, ' by ', PHP_SAPI;").CombinedOutput()
	if err != nil || string(out) != "42 by cli" {
		t.Errorf("php-cli of the Caddy that was built: %v, %q", err, out)
	}
	mustRefuseToBeReplaced(t, filepath.Join(folder, "my-caddy"))
}
