package igor

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// What the tests of operation (report, admin, metrics, health, commands) share: a library that tells what it is told to.

// fakeOperator answers with a report of the test's, and writes down what is asked of it.
type fakeOperator struct {
	mu      sync.Mutex
	report  Report
	err     error
	blocked chan struct{} // when set, reports hang until it is closed
	reads   int
	log     []string
	answers map[string]error // to what is in log
}

// useFakeOperator puts one in the library's place, with a load of generation 7 that runs.
func useFakeOperator(t *testing.T, report Report) *fakeOperator {
	t.Helper()
	o := &fakeOperator{report: report, answers: make(map[string]error)}
	oldReporter, oldProgress := theReporter, theProgress
	theReporter, theProgress = &reporter{operator: o, patience: reportPatience}, new(progress)
	l := newLoad()
	l.generation = 7
	running.add(l)
	t.Cleanup(func() {
		running.remove(l)
		theReporter, theProgress = oldReporter, oldProgress
	})
	return o
}

// readCount is how many reports were begun.
func (o *fakeOperator) readCount() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reads
}

// change makes the next report another.
func (o *fakeOperator) change(change func(r *Report)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.report)
}

func (o *fakeOperator) Report(g bridge.Generation) ([]byte, error) {
	o.mu.Lock()
	o.reads++
	blocked := o.blocked
	o.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	return json.Marshal(o.report)
}

func (o *fakeOperator) call(format string, args ...any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	call := fmt.Sprintf(format, args...)
	o.log = append(o.log, call)
	return o.answers[call]
}

func (o *fakeOperator) calls() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	calls := slices.Clone(o.log)
	slices.Sort(calls) // some are made side by side
	return calls
}

func (o *fakeOperator) Control(p bridge.Pool, action bridge.Action) error {
	name := map[bridge.Action]string{bridge.Pause: "pause", bridge.Resume: "resume", bridge.Drain: "drain", bridge.Restart: "restart"}[action]
	return o.call("%s %d", name, p)
}

func (o *fakeOperator) RestartWorker(p bridge.Pool, index uint32) error {
	return o.call("restart worker %d of %d", index, p)
}

func (o *fakeOperator) CancelTask(g bridge.Generation, id uint64) error {
	return o.call("cancel %d of %d", id, g)
}

// testHistograms has bounds of 1 ms, 10 ms and 100 ms.
func testHistograms(run ...uint64) HistogramsReport {
	h := HistogramsReport{BoundsUS: []uint64{1000, 10000, 100000}}
	h.Wait = HistogramReport{Counts: []uint64{1, 0, 0, 0}, SumUS: 500}
	h.Run = HistogramReport{Counts: run, SumUS: 1_250_000}
	h.Total = HistogramReport{Counts: []uint64{0, 0, 0, 1}, SumUS: 2_000_000}
	return h
}

// testReport has a scope with each kind of pool, and a name that has to be escaped.
func testReport() Report {
	zero := uint32(0)
	allocated, free := uint64(30<<20), uint64(20<<20)
	return Report{
		HTTP: HTTPReport{Threads: 2, MaxThreads: 5, Busy: 1, Queued: 3, Requests: 1234, List: []HTTPThreadReport{
			{Name: "http-0", State: "idle", SinceMS: 1500, Requests: 1000},
			{Name: "http-1", State: "busy", SinceMS: 12, Requests: 234, Request: "GET /x.php?a=1"},
		}},
		Memory: MemoryReport{EngineStates: 6, Allocated: &allocated, Free: &free},
		Scopes: []ScopeReport{
			{Label: "global", Global: true, Pools: []PoolReport{{
				Handle: 11, Name: "thumbs", Kind: kindTasks, File: "/srv/thumbs.php", Num: 1, MaxThreads: 4,
				State: "running", Breaker: breakerClosed, EverReady: true,
				Queue: QueueReport{Length: 1, Bound: 100, BlockedSenders: 2},
				Workers: []WorkerReport{
					{Index: 0, State: "busy", SinceMS: 40, Tasks: 1, Handled: 17, Starts: 2, Memory: 2 << 20},
					{Index: 1, State: "idle", SinceMS: 4000, Handled: 3, Starts: 1, Memory: 1 << 20},
				},
				Tasks: []TaskReport{
					{ID: 9, State: taskRunning, AgeMS: 1200, PayloadBytes: 2048, Sender: "POST /upload.php", Worker: &zero},
					{ID: 10, State: taskQueued, AgeMS: 12, PayloadBytes: 220, Sender: "cli"},
				},
				TasksOmitted: 1,
				Counters: CounterReport{
					Accepted: 30, Refused: 4, Started: 20, Completed: 12, Cancelled: 3, TimedOut: 2,
					Failed:  map[string]uint64{"exited": 1, "fatal_error": 9},
					Updates: 55, PayloadBytes: 7000, Starts: 5, Crashes: 2,
					Restarts: map[string]uint64{"ended": 1, "crashed": 2, "recycled": 3, "restarted": 4},
				},
				Histograms: testHistograms(0, 10, 10, 0),
				Snapshot:   &SnapshotReport{Version: 3, AgeMS: 1500, Bytes: 100},
			}}},
			{Label: "php_server 1", Pools: []PoolReport{
				{
					Handle: 12, Name: "/srv/app/index.php", Kind: kindRequests, File: "/srv/app/index.php", Num: 2, MaxThreads: 2,
					State: "running", Breaker: breakerClosed, EverReady: true,
					Workers: []WorkerReport{
						{Index: 0, State: "busy", SinceMS: 30, Handled: 7, Starts: 1, Memory: 4 << 20, Request: "POST /order"},
						{Index: 1, State: "starting", SinceMS: 5, Starts: 3},
					},
					Counters:   CounterReport{Requests: 77, Starts: 4, Crashes: 1, Restarts: map[string]uint64{"ended": 0, "crashed": 1, "recycled": 1, "restarted": 0}},
					Histograms: testHistograms(1, 1, 1, 1),
				},
				{
					Handle: 13, Name: "thumbs", Kind: kindTasks, File: "/srv/app/thumbs.php", MaxThreads: 1,
					State: "paused", Breaker: breakerClosed, Queue: QueueReport{Bound: 10},
					Counters:   CounterReport{Failed: map[string]uint64{"exited": 0}, Restarts: map[string]uint64{"ended": 0}},
					Histograms: testHistograms(0, 0, 0, 0),
				},
				{
					Handle: 14, Name: "thumbs", Kind: kindRequests, File: "/srv/app/thumbs.php", Num: 1, MaxThreads: 1,
					State: "running", Breaker: breakerClosed,
					Counters:   CounterReport{Restarts: map[string]uint64{"ended": 0}},
					Histograms: testHistograms(0, 0, 0, 0),
				},
				{
					Handle: 15, Name: "a/b", Kind: kindTasks, File: "/srv/app/any.php", CatchAll: true, MaxThreads: 1,
					State: "running", Breaker: breakerClosed, Queue: QueueReport{Bound: 10},
					Counters:   CounterReport{Restarts: map[string]uint64{"ended": 0}},
					Histograms: testHistograms(0, 0, 0, 0),
				},
			}},
		},
	}
}
