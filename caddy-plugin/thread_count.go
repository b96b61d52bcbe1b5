package igor

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// ThreadCount is a number of threads: a plain one, or a share of the machine's CPUs, which is computed where the
// configuration runs and not where it was written. In JSON it is a number, or "auto" (one per CPU) or "50%" as text.
type ThreadCount struct {
	Threads int
	Percent int // of the CPUs; 0: Threads counts
}

// maxPercent lets a pool that mostly waits have a hundred threads per CPU.
const maxPercent = 10_000

// threads is the plain number of it.
func threads(n int) ThreadCount { return ThreadCount{Threads: n} }

// IsZero says whether none was given.
func (c ThreadCount) IsZero() bool { return c == ThreadCount{} }

// On a machine with that many CPUs it is so many threads. A share is at least one.
func (c ThreadCount) on(cpus int) int {
	if c.Percent != 0 {
		return max(1, cpus*c.Percent/100)
	}
	return c.Threads
}

// here is on this machine.
func (c ThreadCount) here() int { return c.on(runtime.GOMAXPROCS(0)) }

func (c ThreadCount) String() string {
	switch {
	case c.Percent == 100:
		return "auto"
	case c.Percent != 0:
		return strconv.Itoa(c.Percent) + "%"
	}
	return strconv.Itoa(c.Threads)
}

// parseThreadCount reads a Caddyfile's form.
func parseThreadCount(s string) (ThreadCount, error) {
	if s == "auto" {
		return ThreadCount{Percent: 100}, nil
	}
	if share, ok := strings.CutSuffix(s, "%"); ok {
		n, err := strconv.Atoi(share)
		if err != nil || n < 1 || n > maxPercent {
			return ThreadCount{}, fmt.Errorf("must be between 1%% and %d%% of the CPUs", maxPercent)
		}
		return ThreadCount{Percent: n}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return ThreadCount{}, fmt.Errorf(`is not a whole number, "auto" or a share of the CPUs such as "50%%"`)
	}
	return ThreadCount{Threads: n}, nil
}

// MarshalJSON implements json.Marshaler.
func (c ThreadCount) MarshalJSON() ([]byte, error) {
	if c.Percent != 0 {
		return json.Marshal(c.String())
	}
	return json.Marshal(c.Threads)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *ThreadCount) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		c.Percent = 0
		return json.Unmarshal(data, &c.Threads)
	}
	parsed, err := parseThreadCount(text)
	if err != nil {
		return fmt.Errorf("number of threads %q: %w", text, err)
	}
	*c = parsed
	return nil
}
