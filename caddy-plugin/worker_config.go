package igor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// Limits of what a worker block may ask for. They are far above any use that makes sense on one machine, and catch a slip
// of the finger before it becomes ten thousand threads.
const (
	maxWorkerThreads = 4096
	maxQueue         = 10_000_000
	maxUpdates       = 65_536
	maxNameBytes     = 255
	maxPayloadLimit  = 4 << 30
	maxMemoryLimit   = 1 << 40
	maxDuration      = 365 * 24 * time.Hour

	defaultStopGrace = 5 * time.Second
)

// WorkerConfig is one pool of PHP workers: the worker directive, in the global block or in a php_server.
//
// With Background its threads take tasks; without, they are HTTP workers, which answer requests in a loop of
// frankenphp_handle_request() instead of starting the application for each. The two have most settings in common.
//
// A zero value means "not given", and the default is used. The rules for the values are in check and resolve; both the
// Caddyfile and JSON go through them.
type WorkerConfig struct {
	// The name that PHP code sends tasks to, and that logs and metrics show. A background worker without a name is the
	// catch-all of its scope: it answers for every name that no other worker of the scope has. An HTTP worker's default
	// is its file.
	Name string `json:"name,omitempty"`

	// The worker script. Relative paths start at the php_server's root, or at the working directory in the global block.
	FileName string `json:"file_name,omitempty"`

	// Whether this is a pool of background workers, which take tasks instead of HTTP requests.
	Background bool `json:"background,omitempty"`

	// How many threads start at boot; the server is not up before they are ready. A number, "auto" (one per CPU) or a
	// share of the CPUs such as "50%". Background workers' default is 0: the first task starts one. HTTP workers' is two
	// per CPU.
	Num ThreadCount `json:"num,omitzero"`

	// The most threads the pool may have, at least num. Default of background workers: num, or 1; for a catch-all, where
	// it is the most names it answers for, 16. Default of HTTP workers: num, and as many as the global max_threads allows.
	MaxThreads int `json:"max_threads,omitempty"`

	// Environment variables of the script.
	Env map[string]string `json:"env,omitempty"`

	// php.ini settings of the script, stronger than the engine's.
	PHPIni map[string]string `json:"php_ini,omitempty"`

	// How many accepted tasks may wait for a worker. Default: 0, so that a sender waits while no worker does.
	Queue int `json:"queue,omitempty"`

	// What happens to a sender when the queue is full: "block" (default) until its timeout, or "reject" at once.
	Overflow string `json:"overflow,omitempty"`

	// Which of the waiting threads gets a task: "shared" (default; the last to wait, whose memory is the warmest),
	// "least_busy" or "round_robin".
	Dispatch string `json:"dispatch,omitempty"`

	// The deadline of a task, from its acceptance, in wall-clock time. Default: none.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many updates of a task may wait to be read by its sender. Default: 16.
	Updates int `json:"updates,omitempty"`

	// The most bytes of one payload. Default: 64 MiB.
	MaxPayload int64 `json:"max_payload,omitempty"`

	// How long a request may wait for one of these HTTP workers before it is answered with 503. Default: as the global one.
	MaxWaitTime caddy.Duration `json:"max_wait_time,omitempty"`

	// After how many tasks a background worker starts afresh. Default: never.
	MaxTasks int `json:"max_tasks,omitempty"`

	// After how many requests an HTTP worker starts afresh. Default: the global max_requests.
	MaxRequests int `json:"max_requests,omitempty"`

	// A worker starts afresh when its script holds more bytes than this between two tasks or requests. Default: never.
	MaxMemory int64 `json:"max_memory,omitempty"`

	// How long the threads of num may take until they are ready. Default: 60s.
	BootTimeout caddy.Duration `json:"boot_timeout,omitempty"`

	// How long a worker may go on after it was told to stop. Default: 5s.
	StopGrace caddy.Duration `json:"stop_grace,omitempty"`

	// After how many failures in a row the pool gives up. -1: never. Default: 6.
	MaxConsecutiveFailures int `json:"max_consecutive_failures,omitempty"`

	// The first and the longest pause before a failed worker is started again. Defaults: 100ms and 10s.
	RestartBackoffMin caddy.Duration `json:"restart_backoff_min,omitempty"`
	RestartBackoffMax caddy.Duration `json:"restart_backoff_max,omitempty"`

	// The paths that this HTTP worker answers, as in Caddy's path matcher. Default: the one that leads to its file.
	MatchPath []string `json:"match_path,omitempty"`

	// Patterns of files whose changes restart the worker, such as "src/**/*.php".
	Watch []string `json:"watch,omitempty"`

	// Where the worker was declared, "Caddyfile:12". Only for messages.
	Source string `json:"source,omitempty"`

	watched []watchPattern    // Watch, resolved
	own     map[string]string // Env before the php_server's was added
}

// fieldError is a refused value. The Caddyfile parser uses the directive's name to point at its line.
type fieldError struct {
	directive string
	message   string
}

func (e *fieldError) Error() string { return e.message }

func refuse(directive, format string, args ...any) error {
	return &fieldError{directive: directive, message: fmt.Sprintf(format, args...)}
}

// label names the worker in messages: worker "thumbnails" (Caddyfile:12).
func (w *WorkerConfig) label() string {
	name := `catch-all worker`
	if w.Name != "" {
		name = fmt.Sprintf("worker %q", w.Name)
	} else if !w.Background {
		name = fmt.Sprintf("worker %q", w.FileName)
	}
	if w.Source != "" {
		return name + " (" + w.Source + ")"
	}
	return name
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

// dispatches are the values of dispatch.
var dispatches = map[string]bridge.Dispatch{
	"": bridge.Shared, "shared": bridge.Shared, "least_busy": bridge.LeastBusy, "round_robin": bridge.RoundRobin,
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
		{"max_threads", w.MaxThreads, 0, maxWorkerThreads, "the most threads of the pool, such as 4"},
		{"queue", w.Queue, 0, maxQueue, "the number of tasks that may wait for a worker, such as 100 (0: none)"},
		{"updates", w.Updates, 0, maxUpdates, "the number of a task's updates that may wait to be read, such as 16"},
		{"max_tasks", w.MaxTasks, 0, math.MaxInt32, "the number of tasks after which a worker starts afresh, such as 1000"},
		{"max_requests", w.MaxRequests, 0, math.MaxInt32, "the number of requests after which a worker starts afresh, such as 1000"},
		{"max_consecutive_failures", w.MaxConsecutiveFailures, -1, math.MaxInt32, "the number of failures in a row after which the pool gives up, such as 6 (-1: never)"},
	} {
		if n.value < n.lowest || n.value > n.highest {
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

// nameHTTPWorkers gives those without a name that of their file, with a number when several have one file.
func nameHTTPWorkers(workers []WorkerConfig) {
	taken := make(map[string]bool)
	for i := range workers {
		if w := &workers[i]; !w.Background {
			taken[w.Name] = true
		}
	}
	for i := range workers {
		w := &workers[i]
		if w.Background || w.Name != "" {
			continue
		}
		w.Name = w.FileName
		for n := 2; taken[w.Name]; n++ {
			w.Name = w.FileName + "#" + strconv.Itoa(n)
		}
		taken[w.Name] = true
	}
}

// resolve makes the script's path absolute and makes sure that it can be read, so that a slip in the path is told before
// anything starts. base is the directory for relative paths, baseIs says in messages what it is.
func (w *WorkerConfig) resolve(base, baseIs string) error {
	given := w.FileName
	file := caddy.NewReplacer().ReplaceKnown(given, "")
	if !filepath.IsAbs(file) {
		file = filepath.Join(base, file)
	}
	file = filepath.Clean(file)
	hint := ""
	if !filepath.IsAbs(given) {
		hint = fmt.Sprintf(" (%q is relative to %s, %s)", given, baseIs, base)
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the script %s does not exist%s; create it or correct \"file\"", w.label(), file, hint)
	case err != nil:
		return fmt.Errorf("%s: the script %s can't be looked at%s: %w; correct its path or permissions", w.label(), file, hint, unwrapPath(err))
	case info.IsDir():
		return fmt.Errorf("%s: the script %s is a directory%s; \"file\" must name a PHP file", w.label(), file, hint)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: the script %s is not a regular file%s; \"file\" must name a PHP file", w.label(), file, hint)
	}
	f, err := os.Open(file) //nolint:gosec // the administrator's own path
	if err != nil {
		return fmt.Errorf("%s: the script %s can't be read%s: %w; make it readable for the user that the server runs as", w.label(), file, hint, unwrapPath(err))
	}
	_ = f.Close()
	w.FileName = file
	w.own = w.Env
	return w.resolveWatch()
}

// resolveWatch finds the folders of the patterns. Relative ones start where the server does, as in FrankenPHP.
func (w *WorkerConfig) resolveWatch() error {
	w.watched = nil
	for _, given := range w.Watch {
		base, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("finding the working directory: %w", err)
		}
		pattern := newWatchPattern(given, base)
		if info, err := os.Stat(pattern.dir); err != nil || !info.IsDir() {
			return fmt.Errorf(`%s: watch %q: the folder %s does not exist; create it or correct "watch" (relative patterns start at the working directory, %s)`, w.label(), given, pattern.dir, base)
		}
		w.watched = append(w.watched, pattern)
	}
	return nil
}

// unwrapPath leaves the path out of a file error, where the message has named it already.
func unwrapPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// inheritEnv gives the worker its php_server's variables, except those that it sets itself.
func (w *WorkerConfig) inheritEnv(env map[string]string) {
	merged := make(map[string]string, len(env)+len(w.Env))
	for k, v := range env {
		merged[k] = v
	}
	for k, v := range w.Env {
		merged[k] = v
	}
	w.Env = merged
}

// stopGrace is the grace in force.
func (w *WorkerConfig) stopGrace() time.Duration {
	if w.StopGrace > 0 {
		return time.Duration(w.StopGrace)
	}
	return defaultStopGrace
}

// threads is the number that starts at boot.
func (w *WorkerConfig) threads() int {
	num := w.Num.here()
	if num == 0 && !w.Background {
		num = 2 * runtime.GOMAXPROCS(0)
	}
	if w.MaxThreads > 0 && (w.Background || w.Num.IsZero() || w.Num.Percent != 0) && (w.Name != "" || !w.Background) {
		num = min(num, w.MaxThreads)
	}
	return num
}

// poolOptions is the worker in the library's terms. spare is how many threads HTTP workers may have beyond num, all
// together; maxRequests is the engine's.
func (w *WorkerConfig) poolOptions(spare, maxRequests int) *bridge.PoolOptions {
	o := &bridge.PoolOptions{
		Name:                   w.Name,
		File:                   w.FileName,
		Env:                    packWorkerEnv(w.Env),
		INI:                    phpIniText(w.settings()),
		Num:                    w.threads(),
		MaxThreads:             w.MaxThreads,
		Queue:                  w.Queue,
		Reject:                 w.Overflow == "reject",
		Dispatch:               dispatches[w.Dispatch],
		Updates:                w.Updates,
		MaxPayload:             uint64(w.MaxPayload),
		TaskTimeout:            time.Duration(w.Timeout),
		MaxTasks:               uint64(w.MaxTasks),
		MaxMemory:              uint64(w.MaxMemory),
		BootTimeout:            time.Duration(w.BootTimeout),
		StopGrace:              w.stopGrace(),
		MaxConsecutiveFailures: w.MaxConsecutiveFailures,
		BackoffMin:             time.Duration(w.RestartBackoffMin),
		BackoffMax:             time.Duration(w.RestartBackoffMax),
	}
	if !w.Background {
		o.Kind = bridge.Requests
		o.MaxWait = time.Duration(w.MaxWaitTime)
		o.MaxTasks = uint64(cmp.Or(w.MaxRequests, maxRequests))
		if o.MaxThreads == 0 {
			o.MaxThreads = min(o.Num+spare, maxWorkerThreads)
		}
	}
	return o
}

// packWorkerEnv replaces the placeholders that are known without a request.
func packWorkerEnv(vars map[string]string) (packed []byte) {
	repl := caddy.NewReplacer()
	for _, key := range sortedKeys(vars) {
		packed = bridge.AppendEnv(packed, key, repl.ReplaceKnown(vars[key], ""))
	}
	return packed
}

// settings is php_ini, and what watching needs: opcache looks at a file's time only every other second otherwise, and a
// worker that was restarted because of a change would run the old code.
func (w *WorkerConfig) settings() map[string]string {
	if len(w.Watch) == 0 {
		return w.PHPIni
	}
	settings := map[string]string{"opcache.validate_timestamps": "1", "opcache.revalidate_freq": "0"}
	maps.Copy(settings, w.PHPIni)
	return settings
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// phpIniText writes settings as php.ini lines. A value that php.ini would read as more than a plain word is quoted.
func phpIniText(settings map[string]string) string {
	var b strings.Builder
	for _, key := range sortedKeys(settings) {
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(iniValue(settings[key]))
		b.WriteByte('\n')
	}
	return b.String()
}

// iniValue quotes a value for php.ini unless it is a number, a word or an expression over constants such as
// "E_ALL & ~E_DEPRECATED", which must stay bare to be understood.
func iniValue(v string) string {
	if _, err := strconv.ParseFloat(v, 64); err == nil || v == "" {
		return v
	}
	bare := true
	for _, c := range v {
		isWord := c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !isWord && !strings.ContainsRune(" &|~^", c) {
			bare = false
			break
		}
	}
	if bare {
		return v
	}
	if !strings.ContainsRune(v, '\'') {
		return "'" + v + "'" // nothing in it is special
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(v) + `"`
}
