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
	threads  map[string]int // by name; Go's own have that of the program
	states   int            // of the PHP engine, one per thread that has run a script
	resident int64          // bytes, see residentOf
	free     int64          // of these, what the C library's allocator keeps in pieces for later
	native   int64          // bytes that this allocator has handed out
	goHeap   int64          // bytes of Go's that are alive
}

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

// residentOf is what the process has written: resident pages that belong to no file. How much of its files happens to be
// in memory is the system's business.
func residentOf(pid int) (bytes int64, err error) {
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
