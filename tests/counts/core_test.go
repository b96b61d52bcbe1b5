// Package counts guards what a task and a request cost by counting: instructions, allocations, system calls, context
// switches, descriptors. How long something takes depends on the machine's mood; how much of it there is does not.
//
// Each bound is what was counted when it was set, with room for another compiler or C library. One that fails after a
// change on purpose is to be raised with that change, by as much as it needs.
package counts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Of one operation of a sequence of core/sequences.cc: the most instructions (and what they were), the most allocations (as many as there were).
var core = map[string]struct{ instructions, allocations float64 }{
	"serial":      {4900, 3},   // 4,050
	"outstanding": {4700, 3},   // 3,860
	"updates":     {10500, 10}, // 8,700, with eight updates
	"descriptor":  {5300, 3},   // 4,350
	"cancel":      {2900, 3},   // 2,410
	"payload":     {425000, 1}, // 353,000, for a thousand rows
	"snapshot":    {70, 0},     // 57
}

type sequence struct {
	Name        string  `json:"name"`
	Operations  float64 `json:"operations"`
	Allocations float64 `json:"allocations"`
	Descriptors float64 `json:"descriptors"`
	Switches    float64 `json:"switches"`
}

func sequences(t *testing.T, wrap ...string) []sequence {
	t.Helper()
	program := filepath.Join(harness.Checkout(), "build", "tests", "counts", "sequences")
	command := append(wrap, program)
	cmd := exec.Command(command[0], command[1:]...)
	var said bytes.Buffer
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, said.String())
	}
	var all []sequence
	for line := range bytes.Lines(output) {
		var one sequence
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	if len(all) != len(core) {
		t.Fatalf("%d sequences, and bounds for %d", len(all), len(core))
	}
	return all
}

func TestCoreAllocations(t *testing.T) {
	for _, one := range sequences(t) {
		// A task from before may still be under way when the counting begins.
		if got, most := one.Allocations/one.Operations, core[one.Name].allocations; got > most+0.05 {
			t.Errorf("%s: %.2f allocations per operation, at most %.0f", one.Name, got, most)
		}
		// The worker may still have hold of the last task.
		if one.Descriptors > 1 {
			t.Errorf("%s: %.0f descriptors are left open", one.Name, one.Descriptors)
		}
	}
}

// Sender and worker each sleep once for a task: more than that is a wake-up for nothing.
func TestCoreContextSwitches(t *testing.T) {
	most := map[string]float64{"serial": 3, "outstanding": 0.7, "descriptor": 3, "cancel": 0.7, "payload": 0.5, "snapshot": 0.5}
	for _, one := range sequences(t) {
		bound, bounded := most[one.Name]
		if got := one.Switches / one.Operations; bounded && got > bound {
			t.Errorf("%s: %.2f voluntary context switches per operation, at most %g", one.Name, got, bound)
		}
	}
}

func TestCoreInstructions(t *testing.T) {
	output := filepath.Join(t.TempDir(), "callgrind")
	for _, one := range sequences(t, "valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file="+output) {
		got := instructions(t, output, one.Name) / one.Operations
		t.Logf("%s: %.0f instructions per operation, at most %.0f", one.Name, got, core[one.Name].instructions)
		if got > core[one.Name].instructions {
			t.Errorf("%s: %.0f instructions per operation, at most %.0f", one.Name, got, core[one.Name].instructions)
		}
	}
}

// instructions of the dump with this name.
func instructions(t *testing.T, output, name string) float64 {
	t.Helper()
	dumps, err := filepath.Glob(output + ".*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dump := range dumps {
		file, err := os.Open(dump)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		is := false
		for lines := bufio.NewScanner(file); lines.Scan(); {
			is = is || lines.Text() == "desc: Trigger: Client Request: "+name
			if total, found := strings.CutPrefix(lines.Text(), "totals: "); found && is {
				count, err := strconv.ParseFloat(total, 64)
				if err != nil {
					t.Fatal(err)
				}
				return count
			}
		}
	}
	t.Fatal(fmt.Errorf("callgrind left no dump named %s among %v", name, dumps))
	return 0
}
