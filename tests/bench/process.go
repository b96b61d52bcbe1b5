package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// spent is what a process has used up so far.
type spent struct {
	cpu                    time.Duration
	voluntary, involuntary int64
}

// tick is the unit of CPU times in /proc/PID/stat, USER_HZ, which has been 100 on every Linux that Go knows.
const tick = 10 * time.Millisecond

// spentBy reads CPU time, to a hundredth of a second, with the share of threads that have ended.
func spentBy(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may have spaces in it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, nil
}

// spentByThreads sums over the threads that are there: CPU time to the nanosecond, and context switches. For stretches
// in which no thread ends.
func spentByThreads(pid int) (spent, error) {
	var sum spent
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(threads) == 0 {
		return sum, fmt.Errorf("process %d has no threads (%v)", pid, err)
	}
	for _, thread := range threads {
		// A thread that ends while we look has no files any more.
		if text, err := os.ReadFile(thread + "/schedstat"); err == nil {
			if fields := strings.Fields(string(text)); len(fields) > 0 {
				nanoseconds, _ := strconv.ParseInt(fields[0], 10, 64)
				sum.cpu += time.Duration(nanoseconds)
			}
		}
		if text, err := os.ReadFile(thread + "/status"); err == nil {
			sum.voluntary += statusNumber(string(text), "voluntary_ctxt_switches:")
			sum.involuntary += statusNumber(string(text), "nonvoluntary_ctxt_switches:")
		}
	}
	return sum, nil
}

// statusNumber is the number in the line of a /proc/PID/status that begins with this.
func statusNumber(text, begin string) int64 {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, begin); found {
			number, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return number
		}
	}
	return 0
}

// resident memory of a process, in bytes.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return float64(statusNumber(string(text), "VmRSS:")) * 1024, err
}

// descriptors that a process has open.
func descriptors(pid int) (float64, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return float64(len(entries)), err
}
