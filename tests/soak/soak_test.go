// Package soak drives the built server for a long time, with everything that may happen to it at once, and looks at what
// is left when it rests: every task's history on both sides, the server's own counters against it, descriptors, threads,
// memory, and the log.
//
//	IGOR_SOAK_TASKS     tasks in all (20000)
//	IGOR_SOAK_RESTARTS  restarts of workers in all (400)
//	IGOR_SOAK_MINUTES   go on for so long at least (0)
//	IGOR_SOAK_SEED      of the order of things; printed
package soak

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

const clients = 8

// form is how the work is cut into phases, and by how many bytes what is held may grow over those that are measured.
type form struct {
	warmUp, measured                 int
	resident, native, goHeap, pieces float64
}

// What is handed out and alive has its size after a few phases. Resident pages take some thirty, each with a reload, until
// every thread has met its largest payload. The allocator's pieces take longer: they grow ever more slowly with the number
// of phases, whatever is in them. The short form finds what grows without measure.
var (
	short = form{warmUp: 6, measured: 8, resident: 12 << 20, native: 1 << 20, goHeap: 3 << 20, pieces: 16 << 20}
	long  = form{warmUp: 30, measured: 30, resident: 2 << 20, native: 1 << 19, goHeap: 1 << 20, pieces: 16 << 20}
)

const longTasks = 100_000 // from so many on

func TestSoak(t *testing.T) {
	tasks, restarts := number(t, "IGOR_SOAK_TASKS", 20_000), number(t, "IGOR_SOAK_RESTARTS", 400)
	minutes := number(t, "IGOR_SOAK_MINUTES", 0)
	seed := uint64(number(t, "IGOR_SOAK_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("IGOR_SOAK_SEED=%d: %d tasks, %d restarts", seed, tasks, restarts)
	f := short
	if tasks >= longTasks {
		f = long
	}
	s := newSoak(t, seed)
	end := time.Now().Add(time.Duration(minutes) * time.Minute)
	phases := f.warmUp + f.measured
	for phase := 0; phase < phases || time.Now().Before(end) && !t.Failed(); phase++ {
		s.phase(phase, tasks/phases+1, restarts/phases+1)
	}
	s.judge(f)
}

func number(t *testing.T, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

type soak struct {
	t       *testing.T
	server  *harness.Server
	random  *rand.Rand
	history *history
	actions map[string]action // of a request
	variant int
	done    map[string]int // what the operator has done
	rests   []process      // after each phase
	fds     []map[string]int
	logged  int // entries of the log that were looked at
}

func newSoak(t *testing.T, seed uint64) *soak {
	s := &soak{t: t, random: rand.New(rand.NewPCG(seed, 0)), actions: map[string]action{}, done: map[string]int{}}
	dir := t.TempDir()
	for _, name := range []string{"workers", "senders"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.history = newHistory(dir, func(task string) []string {
		request, _, _ := strings.Cut(task, "-")
		return s.actions[request].ends
	})
	config := s.config()
	config.Root = filepath.Join(harness.Checkout(), "tests", "soak", "site")
	// Few arenas of the C library's allocator, so that what is free in one serves other threads too; and no caches of
	// threads', which it counts as handed out.
	config.Env = []string{"SOAK_HISTORY=" + dir, "MALLOC_ARENA_MAX=2", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"}
	s.server = harness.Start(t, config)
	return s
}

// config differs from the one before in half of its pools: a reload keeps some and changes others.
func (s *soak) config() harness.Config {
	var site strings.Builder
	site.WriteString("php_server {\n name soak\n worker front.php 4\n")
	pool := func(name, file string, lines ...string) {
		fmt.Fprintf(&site, "worker {\n name %s\n file %s\n background\n max_consecutive_failures -1\n restart_backoff 1ms 1ms\n %s\n}\n",
			name, file, strings.Join(lines, "\n "))
	}
	changing := fmt.Sprintf("env SOAK_VARIANT %d", s.variant)
	pool("steady", "worker.php", "num 2", "queue 100", changing)
	pool("kept", "worker.php", "num 3")
	pool("jobs", "jobs.php", "num 2", "queue 50", changing)
	pool("leaving", "worker.php", "num 4", "queue 10")
	pool("recycled", "worker.php", "num 3", "max_tasks 2", "dispatch round_robin", changing)
	pool("crashing", "worker.php", "num 4", "queue 20")
	pool("timed", "worker.php", "num 4", "queue 4", "timeout 30ms", changing)
	pool("publisher", "worker.php", "num 1")
	pool("rejecting", "worker.php", "num 1", "queue 2", "overflow reject", changing)
	site.WriteString("}")
	return harness.Config{Global: "igor {\n\tnum_threads 20\n}", Site: site.String()}
}

// phase is a share of the work, with an operator who steps in now and then, and a rest.
func (s *soak) phase(phase, tasks, restarts int) {
	work := &traffic{server: s.server, requests: plan(s.random, phase, tasks, restarts)}
	for _, r := range work.requests {
		s.actions[r.id] = r.action
	}
	begin := time.Now()
	work.start(clients)
	s.operate(work)
	work.all.Wait()
	took := time.Since(begin)
	for i, err := range work.errs {
		if i < 10 {
			s.t.Error(err)
		}
	}
	s.rest(phase, took, work.resets)
	clear(s.actions)
}

// operate does one thing after the other, each when so much more of the phase is done.
func (s *soak) operate(work *traffic) {
	operations := []func(*traffic){
		s.reload, s.restartPool, s.restartPool, s.restartWorker, s.restartWorker, s.restartWorker, s.pause, s.drain, s.restartHTTP,
	}
	s.random.Shuffle(len(operations), func(i, j int) { operations[i], operations[j] = operations[j], operations[i] })
	for i, operation := range operations {
		due := int64(len(work.requests) * (i + 1) / (len(operations) + 1))
		for work.done.Load() < due {
			time.Sleep(time.Millisecond)
		}
		operation(work)
	}
}

func (s *soak) reload(work *traffic) {
	s.done["reload"]++
	s.variant++
	work.reloads.Add(1)
	if r := s.server.Reload(s.config()); r.Status != http.StatusOK {
		s.t.Errorf("a reload was answered %d %q", r.Status, r.Body)
	}
	work.reloads.Add(1)
}

// anyPool is one of the background workers' pools, by the path of its endpoint.
func (s *soak) anyPool() string {
	names := []string{"steady", "kept", "jobs", "leaving", "recycled", "crashing", "timed", "publisher", "rejecting"}
	return "/igor/pools/soak/" + names[s.random.IntN(len(names))]
}

func (s *soak) post(what, path string) {
	s.done[what]++
	if r := s.server.AdminDo(http.MethodPost, path, "", ""); r.Status != http.StatusOK && !strings.Contains(r.Body, noWorker) {
		s.t.Errorf("POST %s was answered %d %q", path, r.Status, r.Body)
	}
}

func (s *soak) restartPool(*traffic) { s.post("restart of a pool", s.anyPool()+"/restart") }
func (s *soak) restartWorker(*traffic) {
	s.post("restart of a worker", s.anyPool()+"/workers/0/restart")
}
func (s *soak) pause(*traffic) {
	pool := s.anyPool()
	s.post("pause", pool+"/pause")
	s.post("resume", pool+"/resume")
}
func (s *soak) drain(*traffic) {
	pool := s.anyPool()
	s.post("drain", pool+"/drain")
	s.post("resume", pool+"/resume")
}
func (s *soak) restartHTTP(*traffic) { s.post("restart of all", "/frankenphp/workers/restart") }

// rest waits until the server has nothing to do, and looks at it.
func (s *soak) rest(phase int, took time.Duration, resets int) {
	m := s.awaitRest()
	s.checkLog()
	for i, err := range append(s.history.look(), s.history.compare(m)...) {
		if i < 10 {
			s.t.Errorf("phase %d: %v", phase, err)
		}
	}
	p := s.measure()
	s.rests = append(s.rests, p)
	s.fds = append(s.fds, s.server.Descriptors())
	var accepted int
	for _, pool := range s.history.pools {
		accepted += pool.accepted
	}
	threads := 0
	for _, n := range p.threads {
		threads += n
	}
	s.t.Logf("phase %2d: %.1f s, %d tasks and %d runs of workers so far, %d resets; %.1f MB, of which %.1f free; in use %.2f, Go %.2f; %d threads, %d engine states",
		phase, took.Seconds(), accepted, s.history.runs(), resets, mb(p.resident), mb(p.free), mb(p.native), mb(p.goHeap), threads, p.states)
}

func mb(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (s *soak) scrape() metrics {
	r := s.server.AdminDo(http.MethodGet, "/metrics", "", "")
	if r.Status != http.StatusOK {
		s.t.Fatalf("/metrics answered %d %q", r.Status, r.Body)
	}
	return parseMetrics(r.Body)
}

// awaitRest waits until no task is under way and all workers wait for one, old ones have ended, and nothing of that has
// changed for a moment.
func (s *soak) awaitRest() metrics {
	s.server.Client().CloseIdleConnections()
	limit := time.Now().Add(time.Minute)
	for {
		m := s.scrape()
		busy := m.sum("igor_tasks_in_flight") + m.sum("igor_queue_length") + m.sum("igor_http_threads", "state", "busy")
		for _, state := range []string{"starting", "busy", "restarting", "stopping", "lost"} {
			busy += m.sum("igor_workers", "state", state)
		}
		if busy == 0 && m.sum("igor_workers") == m.sum("igor_workers_configured") {
			return m
		}
		if time.Now().After(limit) {
			s.t.Fatalf("the server does not come to rest: %s", s.server.AdminDo(http.MethodGet, "/igor/report", "", "").Body)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// measure takes the least of some looks: Go collects and gives memory back when it likes.
func (s *soak) measure() process {
	var least process
	for i := range 5 {
		// Caddy's own endpoint; the collection comes before the profile, which nobody wants.
		s.server.AdminDo(http.MethodGet, "/debug/pprof/heap?gc=1", "", "")
		m := s.scrape()
		resident, err := residentOf(s.server.PID())
		if err != nil {
			s.t.Fatal(err)
		}
		now := process{
			states:   int(m.sum("igor_engine_states")),
			resident: resident,
			free:     int64(m.sum("igor_native_memory_bytes", "state", "free")),
			native:   int64(m.sum("igor_native_memory_bytes", "state", "allocated")),
			goHeap:   int64(m.sum("go_memstats_heap_alloc_bytes")),
		}
		if now.states == 0 || now.native == 0 || now.goHeap == 0 {
			s.t.Fatalf("the metrics lack what is looked at: %+v", now)
		}
		if i == 0 {
			least = now
		}
		if now.resident-now.free < least.resident-least.free {
			least.resident, least.free = now.resident, now.free
		}
		least.native, least.goHeap, least.states = min(least.native, now.native), min(least.goHeap, now.goHeap), now.states
		time.Sleep(50 * time.Millisecond)
	}
	var err error
	if least.threads, err = threadsOf(s.server.PID()); err != nil {
		s.t.Fatal(err)
	}
	return least
}

// noWorker is the answer to who wants to restart a worker that a drain has just ended.
const noWorker = "has no worker 0"

// provoked are messages of what the tasks do to their workers.
var provoked = []string{
	"background worker failed", "soak: thrown on purpose", "Class Soak ", "Allowed memory size of", "Possible integer overflow",
}

// checkLog finds errors that nobody asked for.
func (s *soak) checkLog() {
	reported := 0
	all := s.server.Log.Entries()
	news := all[s.logged:]
	s.logged = len(all)
entries:
	for _, e := range news {
		// Caddy has warnings of its own, about this very configuration.
		if e.Level == "debug" || e.Level == "info" || e.Level == "warn" && !strings.HasPrefix(e.Logger, "igor") {
			continue
		}
		// On a machine that is busy with others a worker may hear of a deadline so late that it is taken for stuck.
		if e.Field("worker") == "timed" && e.Field("reason") == "Deadline" {
			s.history.pool("timed").interrupted++
			continue
		}
		for _, text := range provoked {
			if strings.Contains(e.Message, text) && e.Field("worker") == "crashing" {
				continue entries
			}
		}
		if strings.Contains(e.Field("error"), noWorker) {
			continue
		}
		if reported++; reported <= 10 {
			s.t.Errorf("the log has what nobody provoked: %s", e.Raw)
		}
	}
}

// judge looks at what has grown.
func (s *soak) judge(f form) {
	before, last := s.rests[f.warmUp-1], s.rests[len(s.rests)-1]
	// Go makes a thread when all of its are inside the library, keeps it, and may find only late that it needs one more.
	own := filepath.Base(harness.Binary(s.t))
	if more := last.threads[own] - before.threads[own]; more > clients/2 {
		s.t.Errorf("%d more threads of Go's", more)
	}
	delete(before.threads, own)
	delete(last.threads, own)
	if !maps.Equal(before.threads, last.threads) {
		s.t.Errorf("threads before: %v, now: %v", before.threads, last.threads)
	}
	if fds := s.fds[len(s.fds)-1]; !maps.Equal(s.fds[f.warmUp-1], fds) {
		s.t.Errorf("descriptors before: %v, now: %v", s.fds[f.warmUp-1], fds)
	}
	s.mayGrow("memory without the allocator's pieces", f, f.resident, func(p process) int64 { return p.resident - p.free })
	s.mayGrow("the allocator's pieces", f, f.pieces, func(p process) int64 { return p.free })
	s.mayGrow("memory in use, without Go's,", f, f.native, func(p process) int64 { return p.native })
	s.mayGrow("Go's live memory", f, f.goHeap, func(p process) int64 { return p.goHeap })
	for _, name := range slices.Sorted(maps.Keys(s.history.pools)) {
		p := s.history.pools[name]
		s.t.Logf("%-10s %8d accepted, %6d refused, %6d runs, %6d deaths, ends %v", name, p.accepted, p.refused, p.runs, p.deaths, p.ended)
	}
	s.t.Logf("operator: %v", s.done)
}

// mayGrow judges one kind of memory over the phases that are measured. A thread of Go's that runs its first script gets a
// state of the engine: that is no growth, because the threads themselves are counted.
func (s *soak) mayGrow(what string, f form, most float64, of func(process) int64) {
	var values []float64
	var states []int
	for _, p := range s.rests[f.warmUp:] {
		values, states = append(values, float64(of(p))), append(states, p.states)
	}
	// Over as many phases as the form has, however long it has gone on.
	grown := growth(values, states) * float64(f.measured-1) / float64(len(values)-1)
	s.t.Logf("%s grew by %.2f MB in %d of %d phases, may by %.2f", what, grown/(1<<20), f.measured, len(values), most/(1<<20))
	if grown > most {
		s.t.Errorf("%s grew by %.2f MB, may by %.2f", what, grown/(1<<20), most/(1<<20))
	}
}
