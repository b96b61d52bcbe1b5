package faults

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// How long a machine with much to do may take for a request that is served at all.
const loadPatience = time.Minute

// pool is what the admin API tells of one.
type pool struct {
	State               string
	Breaker             string
	ConsecutiveFailures int `json:"consecutive_failures"`
	Queue               struct {
		Length         int
		BlockedSenders int `json:"blocked_senders"`
	}
	Workers []struct {
		Index  int
		State  string
		Starts int
		Tasks  int
	}
	Tasks    []struct{ ID uint64 }
	Counters struct {
		Accepted, Completed, Cancelled int
		TimedOut                       int `json:"timed_out"`
		Failed                         map[string]int
		Crashes                        int
	}
	LastFailure struct{ Reason, Message, File string } `json:"last_failure"`
}

func poolOf(t testing.TB, s *harness.Server, name string) pool {
	t.Helper()
	return harness.JSONOf[pool](t, s.AdminDo(http.MethodGet, "/igor/pools/shop/"+name, "", ""))
}

func (p pool) states() map[string]int {
	states := map[string]int{}
	for _, w := range p.Workers {
		states[w.State]++
	}
	return states
}

// metric gives the value of one series of /metrics; NaN when it is not there. The labels are given as they
// are printed there.
func metric(t testing.TB, s *harness.Server, series string) float64 {
	t.Helper()
	for line := range strings.Lines(s.Get("/metrics").MustContain(200).Body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			return value
		}
	}
	return math.NaN()
}

// lineOf says on which line of a script a text is, the first that has it.
func lineOf(t testing.TB, script, text string) int {
	t.Helper()
	before, _, found := strings.Cut(script, text)
	if !found {
		t.Fatalf("the script has no %q", text)
	}
	return strings.Count(before, "\n") + 1
}

// bestOf repeats a measurement until it is below the bound, and fails the test when none of many is: the machine
// may be slow now and then, a systematic delay is there each time.
func bestOf(t testing.TB, tries int, what string, bound float64, measure func() float64) {
	t.Helper()
	best := math.Inf(1)
	for range tries {
		if best = min(best, measure()); best <= bound {
			return
		}
	}
	t.Error(fmt.Sprintf("%s: %.1f ms is the best of %d tries, want at most %.0f ms", what, best, tries, bound))
}

// writeFile makes an empty file, for a script that waits for it.
func writeFile(path string) error { return os.WriteFile(path, nil, 0o644) }

func sum(counts map[string]int) int {
	all := 0
	for _, n := range counts {
		all += n
	}
	return all
}
