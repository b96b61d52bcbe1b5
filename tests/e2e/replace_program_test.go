package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Caddy's own commands for upgrades would put a Caddy without Igor in the place of the program.
func TestTheProgramIsNotReplaced(t *testing.T) {
	t.Parallel()
	before, err := os.ReadFile(harness.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "igor")
	if err := os.WriteFile(program, before, 0o755); err != nil {
		t.Fatal(err)
	}
	mustRefuseToBeReplaced(t, program)
	if after, err := os.ReadFile(program); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the program is another one now, %v", err)
	}
}

func mustRefuseToBeReplaced(t *testing.T, program string) {
	t.Helper()
	for command, remedy := range map[string]string{
		"upgrade": "./dev build", "upgrade --keep-backup": "./dev build", "add-package": "igor-build --with", "add-package example.org/module": "igor-build --with",
		"remove-package github.com/igor-php/igor/caddy-plugin": "igor-build --with",
	} {
		name := strings.Fields(command)[0]
		out, err := exec.Command(program, strings.Fields(command)...).CombinedOutput()
		if exit, is := err.(*exec.ExitError); !is || exit.ExitCode() != 1 || !strings.Contains(string(out), name+": Caddy's build service cannot build Igor") ||
			!strings.Contains(string(out), remedy) {
			t.Errorf("%s: %v, %s", command, err, out)
		}
		if out, err := exec.Command(program, "help").CombinedOutput(); err != nil || strings.Contains(string(out), "  "+name) {
			t.Errorf("help: %v, it offers %s:\n%s", err, name, out)
		}
	}
}
