package igor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

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

// dispatches are the values of dispatch.
var dispatches = map[string]bridge.Dispatch{
	"": bridge.Shared, "shared": bridge.Shared, "least_busy": bridge.LeastBusy, "round_robin": bridge.RoundRobin,
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
