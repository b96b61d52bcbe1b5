package igor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// Report is what the pools of the serving configuration and the HTTP threads are and have done: the library's document,
// see docs/reference/report.md. Everything that shows or counts something (admin API, metrics, health, igor workers) takes
// it from one of these, so that no two of them can disagree.
type Report struct {
	HTTP   HTTPReport    `json:"http"`
	Memory MemoryReport  `json:"memory"`
	Scopes []ScopeReport `json:"scopes"`
}

// HTTPReport tells of the threads that run a script per request.
type HTTPReport struct {
	Threads    int                `json:"threads"`
	MaxThreads int                `json:"max_threads"`
	Busy       int                `json:"busy"`
	Queued     int                `json:"queued"`
	Requests   uint64             `json:"requests"`
	List       []HTTPThreadReport `json:"list"`
}

// HTTPThreadReport tells of one of them.
type HTTPThreadReport struct {
	Name     string `json:"name"`
	State    string `json:"state"` // one of httpThreadStates
	SinceMS  int64  `json:"since_ms"`
	Requests uint64 `json:"requests"`
	Request  string `json:"request,omitempty"` // "GET /x.php", while it is busy
}

// MemoryReport tells of what the process holds beside Go's memory and that of scripts. The C library's allocator is not
// asked where it does not count.
type MemoryReport struct {
	EngineStates int     `json:"engine_states"`
	Allocated    *uint64 `json:"allocated,omitempty"` // bytes in use
	Free         *uint64 `json:"free,omitempty"`      // bytes that the allocator keeps for later
}

// ScopeReport tells of the pools of one php_server, or of the global ones.
type ScopeReport struct {
	Label  string       `json:"label"`
	Global bool         `json:"global"`
	Pools  []PoolReport `json:"pools"`
}

// PoolReport tells of one pool.
type PoolReport struct {
	Handle              bridge.Pool      `json:"handle"`
	Name                string           `json:"name"`
	Kind                string           `json:"kind"` // kindTasks or kindRequests
	File                string           `json:"file"`
	CatchAll            bool             `json:"catch_all"`
	Num                 int              `json:"num"`
	MaxThreads          int              `json:"max_threads"`
	State               string           `json:"state"`   // one of poolStates
	Breaker             string           `json:"breaker"` // one of breakerStates
	ConsecutiveFailures int              `json:"consecutive_failures"`
	EverReady           bool             `json:"ever_ready"`
	Queue               QueueReport      `json:"queue"`
	Workers             []WorkerReport   `json:"workers"`
	Tasks               []TaskReport     `json:"tasks"`
	TasksOmitted        int              `json:"tasks_omitted"`
	Counters            CounterReport    `json:"counters"`
	Histograms          HistogramsReport `json:"histograms"`
	Snapshot            *SnapshotReport  `json:"snapshot,omitempty"`
	LastFailure         *FailureReport   `json:"last_failure,omitempty"`
}

// QueueReport tells of what waits for a worker.
type QueueReport struct {
	Length         int `json:"length"`
	Bound          int `json:"bound"`
	BlockedSenders int `json:"blocked_senders"`
}

// WorkerReport tells of one worker: a PHP thread that runs the pool's script.
type WorkerReport struct {
	Index   uint32 `json:"index"`
	State   string `json:"state"` // one of workerStates
	SinceMS int64  `json:"since_ms"`
	Tasks   int    `json:"tasks"`   // that it holds
	Handled uint64 `json:"handled"` // since its script began
	Starts  uint64 `json:"starts"`
	Memory  uint64 `json:"memory"`
	Request string `json:"request,omitempty"`
	Old     bool   `json:"old,omitempty"` // of workers that others have replaced: another may have this index
}

// TaskReport tells of a task that has not ended.
type TaskReport struct {
	ID           uint64  `json:"id"`
	State        string  `json:"state"` // taskQueued or taskRunning
	AgeMS        int64   `json:"age_ms"`
	PayloadBytes uint64  `json:"payload_bytes"`
	Sender       string  `json:"sender"`
	Worker       *uint32 `json:"worker,omitempty"` // once it runs
	Old          bool    `json:"old,omitempty"`    // of workers that others have replaced
}

// CounterReport counts since the pool was first configured; reloads and restarts do not begin again.
type CounterReport struct {
	Accepted     uint64            `json:"accepted"`
	Refused      uint64            `json:"refused"`
	Started      uint64            `json:"started"`
	Completed    uint64            `json:"completed"`
	Cancelled    uint64            `json:"cancelled"`
	TimedOut     uint64            `json:"timed_out"`
	Failed       map[string]uint64 `json:"failed"` // by reason
	Updates      uint64            `json:"updates"`
	PayloadBytes uint64            `json:"payload_bytes"`
	Requests     uint64            `json:"requests"`
	Starts       uint64            `json:"starts"`
	Crashes      uint64            `json:"crashes"`
	Restarts     map[string]uint64 `json:"restarts"` // by reason
}

// FailedAll is the number of failed tasks, whatever the reason.
func (c *CounterReport) FailedAll() uint64 {
	var n uint64
	for _, count := range c.Failed {
		n += count
	}
	return n
}

// HistogramsReport are times in microseconds.
type HistogramsReport struct {
	BoundsUS []uint64        `json:"bounds_us"`
	Wait     HistogramReport `json:"wait"`
	Run      HistogramReport `json:"run"`
	Total    HistogramReport `json:"total"`
}

// HistogramReport counts per bucket (not cumulated); the last bucket is above all bounds.
type HistogramReport struct {
	Counts []uint64 `json:"counts"`
	SumUS  uint64   `json:"sum_us"`
}

// SnapshotReport tells of the variables that the pool's workers published last.
type SnapshotReport struct {
	Version uint64 `json:"version"`
	AgeMS   int64  `json:"age_ms"`
	Bytes   uint64 `json:"bytes"`
}

// FailureReport tells of the last run of a worker that did not end cleanly.
type FailureReport struct {
	Reason     string `json:"reason"`
	Message    string `json:"message"`
	File       string `json:"file"`
	Line       int    `json:"line"`
	ExitStatus int    `json:"exit_status"`
	AgeMS      int64  `json:"age_ms"`
}

// The words of the report.
const (
	kindTasks    = "tasks"
	kindRequests = "requests"

	taskQueued  = "queued"
	taskRunning = "running"

	breakerClosed = "closed"
)

var (
	httpThreadStates = []string{"idle", "busy", "lost"}
	poolStates       = []string{"running", "paused", "draining", "drained", "stopping"}
	breakerStates    = []string{breakerClosed, "open", "half_open"}
	workerStates     = []string{"starting", "idle", "busy", "restarting", "stopping", "lost"}
)

// count is how many of the workers are in one of the states.
func (p *PoolReport) count(states ...string) int {
	n := 0
	for i := range p.Workers {
		for _, state := range states {
			if p.Workers[i].State == state {
				n++
			}
		}
	}
	return n
}

// today is how many workers there are without those that others have replaced.
func (p *PoolReport) today() int {
	n := 0
	for i := range p.Workers {
		if !p.Workers[i].Old {
			n++
		}
	}
	return n
}

// title names the pool in messages.
func (p *PoolReport) title(scope string) string {
	name := fmt.Sprintf("pool %q", p.Name)
	if p.Name == "" {
		name = "the catch-all"
	}
	return fmt.Sprintf("%s of scope %q", name, scope)
}

// operator is the library as operation needs it. Tests put another in its place.
type operator interface {
	Report(g bridge.Generation) ([]byte, error)
	Control(p bridge.Pool, action bridge.Action) error
	RestartWorker(p bridge.Pool, index uint32) error
	CancelTask(g bridge.Generation, id uint64) error
}

func (library) Report(g bridge.Generation) ([]byte, error)        { return g.Report() }
func (library) Control(p bridge.Pool, action bridge.Action) error { return p.Control(action) }
func (library) RestartWorker(p bridge.Pool, index uint32) error   { return p.RestartWorker(index) }
func (library) CancelTask(g bridge.Generation, id uint64) error   { return g.CancelTask(id) }

// reportPatience is how long a report may take. No PHP thread is asked for one, and it takes well below a millisecond: when
// it does not come, something inside the library hangs.
const reportPatience = 3 * time.Second

var (
	errNotRunning = errors.New("PHP is not running: no configuration with a php or php_server directive has started")
	errNoAnswer   = errors.New("PHP does not answer: its state could not be read in time; the process has to be restarted")
)

// reporter reads reports, one at a time. Those who ask while one is being read share the next, so that a crowd of probes
// costs two reports, what one has just done is in the report that one gets, and a library that hangs holds up one thread.
//
// Thread-safe.
type reporter struct {
	operator operator
	patience time.Duration

	mu      sync.Mutex
	reading bool
	next    *pendingReport // of those who came while one was being read
}

type pendingReport struct {
	done   chan struct{} // closed once the rest is there
	report *Report
	load   *load
	err    error
}

// theReporter reads what the serving configuration is doing.
var theReporter = &reporter{operator: library{}, patience: reportPatience}

// read gives the report of the load that serves, and that load. It waits for at most the reporter's patience. The report is
// shared: nobody changes it.
func (r *reporter) read(ctx context.Context) (*Report, *load, error) {
	p := r.ask()
	timer := time.NewTimer(r.patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.report, p.load, p.err
	case <-timer.C:
		return nil, nil, errNoAnswer
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// ask makes sure that a report is read that begins after this call.
func (r *reporter) ask() *pendingReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return r.next
	}
	p := &pendingReport{done: make(chan struct{})}
	if r.reading {
		r.next = p
		return p
	}
	r.reading = true
	go r.serve(p)
	return p
}

// serve reads p's report, and then those that were asked for meanwhile.
func (r *reporter) serve(p *pendingReport) {
	for p != nil {
		p.report, p.load, p.err = r.fetch()
		close(p.done)
		r.mu.Lock()
		p, r.next = r.next, nil
		r.reading = p != nil
		r.mu.Unlock()
	}
}

func (r *reporter) fetch() (*Report, *load, error) {
	for {
		l := running.newest()
		if l == nil {
			return nil, nil, errNotRunning
		}
		text, err := r.operator.Report(l.generation)
		if errors.Is(err, bridge.ErrGone) {
			if running.newest() != l {
				continue // a reload came between
			}
			return nil, nil, errNotRunning
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading the state of PHP: %w", err)
		}
		report := new(Report)
		if err := json.Unmarshal(text, report); err != nil {
			return nil, nil, fmt.Errorf("reading the state of PHP: %w", err)
		}
		if l.engine != nil && l.engine.permits != nil {
			report.HTTP.addPermits(l.engine.permits.count())
		}
		return report, l, nil
	}
}

// addPermits says how many scripts may run at once, which the library does not know, and makes the list one of so many
// threads: those that rest beyond that number can't all run, and one that nobody has needed yet is idle, too.
func (h *HTTPReport) addPermits(c permitCount) {
	h.Threads, h.MaxThreads, h.Queued = c.total, c.most, c.waiting
	surplus := len(h.List) - c.total
	h.List = slices.DeleteFunc(h.List, func(t HTTPThreadReport) bool {
		if surplus <= 0 || t.State != "idle" {
			return false
		}
		surplus--
		return true
	})
	for i := len(h.List); i < c.total; i++ {
		h.List = append(h.List, HTTPThreadReport{Name: "http-" + strconv.Itoa(i), State: "idle"})
	}
}
