package igor

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// threadPlan divides the PHP threads that the configuration allows. As in FrankenPHP, num_threads and max_threads count the
// threads for scripts and those of HTTP workers together, so a file that was written for it starts as many here. Background
// workers' threads are counted by nobody but their pools.
type threadPlan struct {
	total   int // num_threads: what starts
	scripts int // of those, the threads that run a script per request; at least one
	spare   int // max_threads beyond that: added under load
}

// autoThreads is max_threads auto.
const autoThreads = -1

// plan is the division for these workers.
func (a *App) plan(workers []*WorkerConfig) (threadPlan, error) {
	inWorkers, workersSpare := 0, 0
	for _, w := range workers {
		num := w.threads()
		inWorkers += num
		if w.MaxThreads > 0 {
			workersSpare += w.MaxThreads - num
		}
		if a.MaxThreads > 0 && w.MaxThreads > a.MaxThreads {
			return threadPlan{}, refuse("max_threads", "max_threads %d of %s: is above the global max_threads %d; lower it, or raise that one", w.MaxThreads, w.label(), a.MaxThreads)
		}
	}
	total := a.NumThreads
	switch {
	case total == 0:
		total = max(defaultThreads(), inWorkers+1)
		if a.MaxThreads > 0 {
			total = max(min(total, a.MaxThreads), inWorkers+1)
			if total > a.MaxThreads {
				return threadPlan{}, refuse("max_threads", "max_threads %d: HTTP workers alone have %d threads (\"num\"), and one more is needed for other scripts; raise max_threads to %d at least, or lower \"num\" of the workers", a.MaxThreads, inWorkers, inWorkers+1)
			}
		}
	case total <= inWorkers:
		return threadPlan{}, refuse("num_threads", "num_threads %d: HTTP workers alone have %d threads (\"num\"), and one more is needed for other scripts; raise num_threads to %d at least, or lower \"num\" of the workers", total, inWorkers, inWorkers+1)
	}
	if total > maxThreads {
		return threadPlan{}, refuse("num_threads", "num_threads %d: HTTP workers have %d threads (\"num\"), and %d are possible all in all; lower \"num\" of the workers", total, inWorkers, maxThreads)
	}
	p := threadPlan{total: total, scripts: total - inWorkers}
	switch a.MaxThreads {
	case 0:
		p.spare = workersSpare
	case autoThreads:
		p.spare = autoMaxThreads(total, a.PHPIni["memory_limit"]) - total
	default:
		p.spare = a.MaxThreads - total
	}
	p.spare = min(p.spare, maxThreads)
	return p, nil
}

// autoMaxThreads is as many threads as memory allows when each takes its whole memory_limit; twice num_threads when that
// can't be known.
func autoMaxThreads(total int, memoryLimit string) int {
	perThread := iniBytes(memoryLimit)
	if perThread <= 0 { // not given, or "no limit"
		perThread = 128 << 20
		if memoryLimit != "" {
			return 2 * total
		}
	}
	memory := availableMemory("/proc/meminfo", "/sys/fs/cgroup/memory.max")
	if memory == 0 {
		return 2 * total
	}
	return min(max(total, int(memory/uint64(perThread))), maxThreads)
}

// iniBytes reads a size as php.ini has it: 128M, 1G, 65536; -1 is none.
func iniBytes(s string) int64 {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	shift := 0
	switch s[len(s)-1] {
	case 'k', 'K':
		shift = 10
	case 'm', 'M':
		shift = 20
	case 'g', 'G':
		shift = 30
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n > 1<<32 {
		return 0
	}
	return n << shift
}

// availableMemory is what the machine has, or the container may take; 0 when it can't be read.
func availableMemory(meminfo, cgroup string) uint64 {
	var memory uint64
	if data, err := os.ReadFile(meminfo); err == nil {
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				memory, _ = humanize.ParseBytes(strings.Replace(strings.TrimSpace(rest), "kB", "KiB", 1))
			}
		}
	}
	if data, err := os.ReadFile(cgroup); err == nil {
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64); err == nil && (memory == 0 || limit < memory) {
			memory = limit
		}
	}
	return memory
}

// defaultThreads is the number of threads when none is configured: two per CPU, because scripts wait as often as they
// compute, and at least four, because some wait long for their tasks.
func defaultThreads() int { return max(4, 2*runtime.GOMAXPROCS(0)) }
