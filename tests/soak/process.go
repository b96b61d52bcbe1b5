package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is what the server holds when it rests.
type process struct {
	threads map[string]int // by name; Go's own have that of the program
	memory  int64          // bytes, see memoryOf
	goHeap  int64          // of these, what Go has from the system and has not given back
}

func (p process) native() int64 { return p.memory - p.goHeap }

func threadsOf(pid int) (map[string]int, error) {
	names := map[string]int{}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", pid))
	if err != nil {
		return nil, err
	}
	for _, path := range tasks {
		name, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		names[strings.TrimSpace(string(name))]++
	}
	return names, nil
}

// memoryOf is what the process has written: resident pages that belong to no file. How much of its files happens to be
// in memory is the system's business.
func memoryOf(pid int) (bytes int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && (f[0] == "RssAnon:" || f[0] == "RssShmem:") {
			kB, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0, err
			}
			bytes += kB << 10
		}
	}
	return bytes, nil
}

// slope of the least-squares line through values at 0, 1, 2...
func slope(values []float64) float64 {
	n := float64(len(values))
	var x, y, xx, xy float64
	for i, v := range values {
		at := float64(i)
		x, y, xx, xy = x+at, y+v, xx+at*at, xy+at*v
	}
	return (n*xy - x*y) / (n*xx - x*x)
}
