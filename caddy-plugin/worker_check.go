package igor

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
)

// fieldError is a refused value. The Caddyfile parser uses the directive's name to point at its line.
type fieldError struct {
	directive string
	message   string
}

func (e *fieldError) Error() string { return e.message }

func refuse(directive, format string, args ...any) error {
	return &fieldError{directive: directive, message: fmt.Sprintf(format, args...)}
}

// check refuses what can be refused without looking at the file system.
func (w *WorkerConfig) check() error {
	if w.FileName == "" {
		return refuse("worker", `worker: no script given; write "worker /path/to/script.php { ... }" or "file /path/to/script.php" in the block`)
	}
	if strings.ContainsRune(w.FileName, 0) {
		return refuse("file", "file %q: a path can't contain a NUL byte", w.FileName)
	}
	if err := w.checkKind(); err != nil {
		return err
	}
	if err := checkName(w.Name); err != nil {
		return err
	}
	if err := w.checkNumbers(); err != nil {
		return err
	}
	switch w.Overflow {
	case "", "block", "reject":
	default:
		return refuse("overflow", `overflow %q: must be "block" (the sender waits) or "reject" (it gets an error at once)`, w.Overflow)
	}
	if _, known := dispatches[w.Dispatch]; !known {
		return refuse("dispatch", `dispatch %q: must be "shared" (the worker that waits for the shortest time), "least_busy" (the one with the fewest tasks) or "round_robin" (one after the other)`, w.Dispatch)
	}
	if err := w.checkDurations(); err != nil {
		return err
	}
	for key, value := range w.PHPIni {
		if err := checkIni(key, value); err != nil {
			return err
		}
	}
	for _, pattern := range w.MatchPath {
		if err := checkMatch(pattern); err != nil {
			return err
		}
	}
	for _, pattern := range w.Watch {
		if err := checkWatchPattern(pattern); err != nil {
			return err
		}
	}
	return checkEnv(w.Env)
}

// checkKind refuses settings that mean nothing to workers of this kind.
func (w *WorkerConfig) checkKind() error {
	if w.Background {
		if len(w.MatchPath) > 0 {
			return refuse("match", `match %s: a background worker takes tasks, not requests, so it can't have a "match"; remove "match", or remove "background"`, strings.Join(w.MatchPath, " "))
		}
		if w.MaxWaitTime != 0 {
			return refuse("max_wait_time", `max_wait_time %v: requests don't wait for a background worker; remove it (a sender gives its patience with the task), or remove "background"`, time.Duration(w.MaxWaitTime))
		}
		if w.MaxRequests != 0 {
			return refuse("max_requests", `max_requests %d: a background worker takes tasks, not requests; write "max_tasks %d"`, w.MaxRequests, w.MaxRequests)
		}
		return nil
	}
	for _, taskOnly := range []struct {
		directive string
		given     bool
		remedy    string
	}{
		{"queue", w.Queue != 0, `how long requests wait is said by "max_wait_time"`},
		{"overflow", w.Overflow != "", `how long requests wait is said by "max_wait_time"`},
		{"dispatch", w.Dispatch != "", "the worker that became idle last gets the next request"},
		{"timeout", w.Timeout != 0, `a request's time is limited by "php_ini max_execution_time"`},
		{"updates", w.Updates != 0, "only tasks have updates"},
		{"max_payload", w.MaxPayload != 0, `a request's size is limited by "php_ini post_max_size" and Caddy's "request_body"`},
		{"max_tasks", w.MaxTasks != 0, `write "max_requests"`},
	} {
		if taskOnly.given {
			return refuse(taskOnly.directive, `%s: is for workers that take tasks, and worker %q has no "background", so it answers HTTP requests: %s; remove it, or add "background"`, taskOnly.directive, w.FileName, taskOnly.remedy)
		}
	}
	return nil
}

func (w *WorkerConfig) checkNumbers() error {
	num := w.Num.here()
	for _, n := range []struct {
		directive string
		value     int
		lowest    int
		highest   int
		meaning   string
	}{
		{"num", num, 0, maxWorkerThreads, "the number of threads to start at boot, such as 2 (0: the first task starts one)"},
		{"max_threads", w.MaxThreads, 1, maxWorkerThreads, "the most threads of the pool, such as 4"},
		{"queue", w.Queue, 0, maxQueue, "the number of tasks that may wait for a worker, such as 100 (0: none)"},
		{"updates", w.Updates, 1, maxUpdates, "the number of a task's updates that may wait to be read, such as 16"},
		{"max_tasks", w.MaxTasks, 1, math.MaxInt32, "the number of tasks after which a worker starts afresh, such as 1000"},
		{"max_requests", w.MaxRequests, 1, math.MaxInt32, "the number of requests after which a worker starts afresh, such as 1000"},
		{"max_consecutive_failures", w.MaxConsecutiveFailures, -1, math.MaxInt32, "the number of failures in a row after which the pool gives up, such as 6 (-1: never)"},
	} {
		// 0 is left out, as far as this can tell; written in a Caddyfile it was refused before.
		if n.value != 0 && n.value < n.lowest || n.value > n.highest {
			meaning := n.meaning
			if n.directive == "num" && !w.Background {
				meaning = "the number of threads to start at boot, such as 2 (left out: two per CPU)"
			}
			return refuse(n.directive, "%s %d: must be between %d and %d; give %s", n.directive, n.value, n.lowest, n.highest, meaning)
		}
	}
	if w.Background && w.Name == "" && num > 0 {
		return refuse("num", `num %s: a worker without a name answers for names that are not known at boot, so it can't start threads then; give the worker a "name", or remove "num"`, w.Num)
	}
	// A share of the CPUs is not compared with max_threads, which bounds it: the same file runs on machines of all sizes.
	if (!w.Background || w.Name != "") && w.MaxThreads > 0 && w.Num.Percent == 0 && w.MaxThreads < num {
		return refuse("max_threads", `max_threads %d: is below num %d; raise "max_threads" or lower "num"`, w.MaxThreads, num)
	}
	for _, size := range []struct {
		directive string
		value     int64
		example   string
	}{{"max_payload", w.MaxPayload, "16MiB"}, {"max_memory", w.MaxMemory, "128MiB"}} {
		limit, limitText := int64(maxPayloadLimit), "4GiB"
		if size.directive == "max_memory" {
			limit, limitText = maxMemoryLimit, "1TiB"
		}
		if size.value < 0 || size.value > limit {
			return refuse(size.directive, "%s %d: must be between 1 byte and %s; give a size such as %s", size.directive, size.value, limitText, size.example)
		}
	}
	return nil
}

func (w *WorkerConfig) checkDurations() error {
	for _, d := range []struct {
		directive string
		value     caddy.Duration
	}{
		{"timeout", w.Timeout},
		{"max_wait_time", w.MaxWaitTime},
		{"boot_timeout", w.BootTimeout},
		{"stop_grace", w.StopGrace},
		{"restart_backoff", w.RestartBackoffMin},
		{"restart_backoff", w.RestartBackoffMax},
	} {
		if err := checkDuration(d.directive, time.Duration(d.value)); err != nil {
			return err
		}
	}
	if w.RestartBackoffMin > 0 && w.RestartBackoffMax > 0 && w.RestartBackoffMin > w.RestartBackoffMax {
		return refuse("restart_backoff", "restart_backoff %v %v: the first pause is longer than the longest; give the shorter one first", time.Duration(w.RestartBackoffMin), time.Duration(w.RestartBackoffMax))
	}
	return nil
}

// checkMatch refuses what Caddy's path matcher would never match.
func checkMatch(pattern string) error {
	if pattern == "" || (pattern[0] != '/' && pattern[0] != '*') {
		return refuse("match", `match %q: a path starts with "/" or "*"; write "match /api/*"`, pattern)
	}
	return nil
}

func checkName(name string) error {
	if len(name) > maxNameBytes {
		return refuse("name", "name %q...: is %d bytes long, at most %d are allowed", name[:32], len(name), maxNameBytes)
	}
	if !utf8.ValidString(name) {
		return refuse("name", "name %q: is not UTF-8", name)
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return refuse("name", "name %q: control characters are not allowed in a worker's name", name)
		}
	}
	return nil
}

func checkDuration(directive string, d time.Duration) error {
	if d < 0 || d > maxDuration {
		return refuse(directive, "%s %v: must be above zero and at most a year; give a duration such as 500ms, 30s or 5m", directive, d)
	}
	return nil
}

func checkEnv(env map[string]string) error {
	for key, value := range env {
		if err := checkEnvPair(key, value); err != nil {
			return err
		}
	}
	return nil
}

func checkEnvPair(key, value string) error {
	if key == "" || strings.ContainsAny(key, "=\x00") {
		return refuse("env", `env %q: a variable's name can't be empty or contain "=" or NUL; write "env NAME value"`, key)
	}
	if strings.ContainsRune(value, 0) {
		return refuse("env", "env %s: its value contains a NUL byte", key)
	}
	return nil
}

// checkWorkers looks at the workers of one scope together. where names the scope in messages.
func checkWorkers(workers []WorkerConfig, where string) error {
	type key struct {
		background bool
		name       string
	}
	names := make(map[key]*WorkerConfig, len(workers))
	files := make(map[string]*WorkerConfig) // of HTTP workers that are found by it
	also := func(first *WorkerConfig) string {
		if first.Source == "" {
			return ""
		}
		return " (the first is at " + first.Source + ")"
	}
	for i := range workers {
		w := &workers[i]
		if err := w.check(); err != nil {
			return err
		}
		if !w.Background && len(w.MatchPath) == 0 {
			if first, twice := files[w.FileName]; twice {
				return refuse("worker", `worker %q: %s has two HTTP workers of this file%s, and a request could be for either; give one a "match", or remove one`, w.FileName, where, also(first))
			}
			files[w.FileName] = w
		}
		if !w.Background && w.Name == "" {
			continue
		}
		if first, twice := names[key{w.Background, w.Name}]; !twice {
			names[key{w.Background, w.Name}] = w
		} else if w.Name == "" {
			return refuse("worker", `%s has two background workers without a "name"%s; only one can be the catch-all, so name the other`, where, also(first))
		} else {
			return refuse("name", "name %q: %s has two workers of this name%s; give each its own", w.Name, where, also(first))
		}
	}
	return nil
}
