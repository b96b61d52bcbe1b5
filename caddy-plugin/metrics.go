package igor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// collector gives Prometheus the numbers of one report per scrape. Nothing is counted here: each number comes from the
// library's own state, so it can't drift from it, and it goes on over a reload, because pools hand their counters on.
//
// Caddy has a registry for each load of the configuration; a collector is registered in each and has no state, so that it
// does not matter which of them is scraped.
type collector struct{}

// registerMetrics puts the collector into the registry of a load.
func registerMetrics(ctx caddy.Context) error {
	return registerCollector(ctx.GetMetricsRegistry())
}

func registerCollector(registry prometheus.Registerer) error {
	err := registry.Register(collector{})
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
		return nil
	}
	return err
}

// metric is a family of series.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType // of those that are no histograms
}

var (
	allMetrics []*metric // in the order of their declaration
	poolLabels = []string{"scope", "pool", "kind"}
)

func declare(kind prometheus.ValueType, name, help string, labels ...string) *metric {
	m := &metric{prometheus.NewDesc(name, help, labels, nil), kind}
	allMetrics = append(allMetrics, m)
	return m
}

func gauge(name, help string, labels ...string) *metric {
	return declare(prometheus.GaugeValue, name, help, labels...)
}

func counter(name, help string, labels ...string) *metric {
	return declare(prometheus.CounterValue, name, help, labels...)
}

func poolGauge(name, help string, labels ...string) *metric {
	return gauge(name, help, append(poolLabels[:3:3], labels...)...)
}

func poolCounter(name, help string, labels ...string) *metric {
	return counter(name, help, append(poolLabels[:3:3], labels...)...)
}

func poolHistogram(name, help string) *metric {
	return declare(prometheus.UntypedValue, name, help, poolLabels...)
}

// FrankenPHP's metrics, with its names and labels. A worker there is its name alone; those of one name are added up.
var (
	fTotalThreads  = gauge("frankenphp_total_threads", "PHP threads: those for requests and those of all workers.")
	fBusyThreads   = gauge("frankenphp_busy_threads", "PHP threads at work; a worker's thread always is.")
	fQueueDepth    = gauge("frankenphp_queue_depth", "Requests that wait for a thread that runs a script per request.")
	fTotalWorkers  = gauge("frankenphp_total_workers", "Threads of this worker.", "worker")
	fBusyWorkers   = gauge("frankenphp_busy_workers", "Threads of this worker that handle a request or hold a task.", "worker")
	fReadyWorkers  = gauge("frankenphp_ready_workers", "Threads of this worker whose script has asked for a request or task.", "worker")
	fWorkerQueue   = gauge("frankenphp_worker_queue_depth", "Requests or tasks that wait for this worker.", "worker")
	fWorkerCrashes = counter("frankenphp_worker_crashes", "Runs of this worker's script that did not end cleanly.", "worker")
	fWorkerStarts  = counter("frankenphp_worker_restarts", "Restarts of this worker's threads that were not due to a crash.", "worker")
	fRequestTime   = counter("frankenphp_worker_request_time", "Seconds that this worker's threads have spent on requests.", "worker")
	fRequestCount  = counter("frankenphp_worker_request_count", "Requests that this worker has handled.", "worker")
)

var (
	mUp    = gauge("igor_up", "1 when PHP runs and its state could be read for this scrape. Without it there are no other metrics of Igor.")
	mInfo  = gauge("igor_info", "Always 1; the versions are in the labels.", "version", "php_version")
	mReady = gauge("igor_ready", "1 when GET /igor/health/ready answers 200.")

	mHTTPThreads    = gauge("igor_http_threads", "Threads that run a script per request, by state.", "state")
	mHTTPMaxThreads = gauge("igor_http_threads_limit", "To how many they may be raised under load.")
	mHTTPQueue      = gauge("igor_http_queue_length", "Requests that wait for one of these threads.")
	mHTTPRequests   = counter("igor_http_requests_total", "Requests that these threads have handled.")

	mEngineStates = gauge("igor_engine_states", "Threads that keep a state of the PHP engine: those of workers, and each that has run a script per request.")
	mNativeMemory = gauge("igor_native_memory_bytes", "What the C library's allocator has handed out (allocated) and keeps for later (free). Neither Go's memory nor that of scripts is in it.", "state")

	mPoolState    = poolGauge("igor_pool_state", "1 for the state that the pool is in.", "state")
	mPoolBreaker  = poolGauge("igor_pool_breaker", "1 for the state that the pool's breaker is in.", "state")
	mPoolFailures = poolGauge("igor_pool_consecutive_failures", "Failures of the pool's script in a row; the breaker opens at max_consecutive_failures.")
	mQueueLength  = poolGauge("igor_queue_length", "Tasks or requests that wait for a worker.")
	mQueueBound   = poolGauge("igor_queue_bound", "How many tasks may wait.")
	mQueueBlocked = poolGauge("igor_queue_blocked_senders", "Senders that wait for a place in the queue.")

	mWorkers        = poolGauge("igor_workers", "Workers by state.", "state")
	mWorkersMin     = poolGauge("igor_workers_configured", "Workers that the pool starts with (num).")
	mWorkersMax     = poolGauge("igor_workers_limit", "To how many workers the pool may grow (max_threads).")
	mWorkersMemory  = poolGauge("igor_workers_memory_bytes", "Memory that the workers' scripts held when they were last asked.")
	mWorkerStarts   = poolCounter("igor_worker_starts_total", "Runs of the pool's script that were begun.")
	mWorkerCrashes  = poolCounter("igor_worker_crashes_total", "Runs that did not end cleanly.")
	mWorkerRestarts = poolCounter("igor_worker_restarts_total", "Runs that were followed by another, by what ended them.", "reason")

	mTasksAccepted = poolCounter("igor_tasks_accepted_total", "Tasks that the pool has taken from a sender.")
	mTasksRefused  = poolCounter("igor_tasks_refused_total", "Tasks that the pool has not taken.")
	mTasksStarted  = poolCounter("igor_tasks_started_total", "Tasks that a worker has taken up.")
	mTasksEnded    = poolCounter("igor_tasks_ended_total", "Tasks by how they ended; a failed one has its reason.", "outcome", "reason")
	mTasksInFlight = poolGauge("igor_tasks_in_flight", "Accepted tasks that have not ended.")
	mTaskUpdates   = poolCounter("igor_task_updates_total", "Updates that workers have sent.")
	mTaskPayload   = poolCounter("igor_task_payload_bytes_total", "Bytes of payloads sent with tasks and updates.")
	mTaskWait      = poolHistogram("igor_task_wait_seconds", "Time from a task's acceptance to its start.")
	mTaskRun       = poolHistogram("igor_task_run_seconds", "Time from a task's start to its end.")
	mTaskDuration  = poolHistogram("igor_task_duration_seconds", "Time from a task's acceptance to its end.")

	mRequests        = poolCounter("igor_requests_total", "Requests that HTTP workers have handled.")
	mRequestWait     = poolHistogram("igor_request_wait_seconds", "Time that requests have waited for an HTTP worker.")
	mRequestRun      = poolHistogram("igor_request_run_seconds", "Time that HTTP workers have spent on requests.")
	mRequestDuration = poolHistogram("igor_request_duration_seconds", "Time from a request's arrival to its end, for HTTP workers.")

	mSnapshotVersion = poolGauge("igor_snapshot_version", "How often the pool's published variables have changed.")
	mSnapshotAge     = poolGauge("igor_snapshot_age_seconds", "Time since the variables were published.")
	mSnapshotBytes   = poolGauge("igor_snapshot_bytes", "Size of the published variables.")
)

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range allMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (collector) Collect(ch chan<- prometheus.Metric) {
	s := scrape{ch}
	s.value(mInfo, 1, bridge.Version(), bridge.PHPVersion())
	report, l, err := theReporter.read(context.Background()) // bounded by the reporter's patience
	if err != nil {
		s.value(mUp, 0)
		s.value(mReady, 0)
		return
	}
	s.value(mUp, 1)
	s.bool(mReady, readiness(report, l, nil, new(HealthOptions)).well())
	s.http(&report.HTTP)
	s.memory(&report.Memory)
	s.frankenPHP(report)
	seen := make(map[poolKey]int)
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			// Prometheus refuses a whole scrape for two series of the same labels.
			label := strings.ToValidUTF8(scope.Label, "\uFFFD")
			key := poolKey{label, strings.ToValidUTF8(p.Name, "\uFFFD"), p.Kind}
			seen[key]++
			if n := seen[key]; n > 1 {
				key.scope = fmt.Sprintf("%s (%d)", key.scope, n)
			}
			s.pool(key, p)
		}
	}
}

// scrape is one answer under way.
type scrape struct{ ch chan<- prometheus.Metric }

func (s scrape) value(m *metric, value float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

func (s scrape) bool(m *metric, value bool, labels ...string) {
	number := 0.0
	if value {
		number = 1
	}
	s.value(m, number, labels...)
}

func (s scrape) http(h *HTTPReport) {
	states := make(map[string]int)
	for i := range h.List {
		states[h.List[i].State]++
	}
	if len(h.List) == 0 {
		states["busy"], states["idle"] = h.Busy, h.Threads-h.Busy
	}
	for _, state := range httpThreadStates {
		s.value(mHTTPThreads, float64(states[state]), state)
	}
	s.value(mHTTPMaxThreads, float64(h.MaxThreads))
	s.value(mHTTPQueue, float64(h.Queued))
	s.value(mHTTPRequests, float64(h.Requests))
}

func (s scrape) memory(m *MemoryReport) {
	s.value(mEngineStates, float64(m.EngineStates))
	if m.Allocated != nil && m.Free != nil {
		s.value(mNativeMemory, float64(*m.Allocated), "allocated")
		s.value(mNativeMemory, float64(*m.Free), "free")
	}
}

// frankenPHP gives what FrankenPHP gives.
func (s scrape) frankenPHP(report *Report) {
	type sums struct {
		total, busy, ready, queue       int
		crashes, restarts, requests, us uint64
	}
	var names []string
	byName := make(map[string]*sums)
	threads := 0
	for i := range report.Scopes {
		for j := range report.Scopes[i].Pools {
			p := &report.Scopes[i].Pools[j]
			if p.Name == "" {
				continue // a catch-all has no threads of its own; the pools that it makes have names
			}
			name := strings.ToValidUTF8(p.Name, "\uFFFD")
			n := byName[name]
			if n == nil {
				n = new(sums)
				byName[name] = n
				names = append(names, name)
			}
			threads += len(p.Workers)
			n.total += len(p.Workers)
			n.busy += p.count("busy")
			n.ready += p.count("busy", "idle")
			n.queue += p.Queue.Length
			n.crashes += p.Counters.Crashes
			for reason, count := range p.Counters.Restarts {
				if reason != "crashed" {
					n.restarts += count
				}
			}
			if p.Kind == kindRequests {
				n.requests += p.Counters.Requests
				n.us += p.Histograms.Run.SumUS
			}
		}
	}
	s.value(fTotalThreads, float64(report.HTTP.Threads+threads))
	s.value(fBusyThreads, float64(report.HTTP.Busy+threads))
	s.value(fQueueDepth, float64(report.HTTP.Queued))
	for _, name := range names {
		n := byName[name]
		s.value(fTotalWorkers, float64(n.total), name)
		s.value(fBusyWorkers, float64(n.busy), name)
		s.value(fReadyWorkers, float64(n.ready), name)
		s.value(fWorkerQueue, float64(n.queue), name)
		s.value(fWorkerCrashes, float64(n.crashes), name)
		s.value(fWorkerStarts, float64(n.restarts), name)
		s.value(fRequestTime, float64(n.us)/1e6, name)
		s.value(fRequestCount, float64(n.requests), name)
	}
}

func (s scrape) pool(key poolKey, p *PoolReport) {
	labels := []string{key.scope, key.name, key.kind}
	with := func(more ...string) []string { return append(labels[:3:3], more...) }

	for _, state := range poolStates {
		s.bool(mPoolState, p.State == state, with(state)...)
	}
	for _, state := range breakerStates {
		s.bool(mPoolBreaker, p.Breaker == state, with(state)...)
	}
	s.value(mPoolFailures, float64(p.ConsecutiveFailures), labels...)
	s.value(mQueueLength, float64(p.Queue.Length), labels...)
	memory := uint64(0)
	for i := range p.Workers {
		memory += p.Workers[i].Memory
	}
	for _, state := range workerStates {
		s.value(mWorkers, float64(p.count(state)), with(state)...)
	}
	s.value(mWorkersMin, float64(p.Num), labels...)
	s.value(mWorkersMax, float64(p.MaxThreads), labels...)
	s.value(mWorkersMemory, float64(memory), labels...)

	c := &p.Counters
	s.value(mWorkerStarts, float64(c.Starts), labels...)
	s.value(mWorkerCrashes, float64(c.Crashes), labels...)
	for reason, count := range c.Restarts {
		s.value(mWorkerRestarts, float64(count), with(reason)...)
	}
	if p.Kind == kindRequests {
		s.value(mRequests, float64(c.Requests), labels...)
		s.histogram(mRequestWait, p, &p.Histograms.Wait, labels)
		s.histogram(mRequestRun, p, &p.Histograms.Run, labels)
		s.histogram(mRequestDuration, p, &p.Histograms.Total, labels)
		return
	}

	s.value(mQueueBound, float64(p.Queue.Bound), labels...)
	s.value(mQueueBlocked, float64(p.Queue.BlockedSenders), labels...)
	s.value(mTasksAccepted, float64(c.Accepted), labels...)
	s.value(mTasksRefused, float64(c.Refused), labels...)
	s.value(mTasksStarted, float64(c.Started), labels...)
	s.value(mTasksEnded, float64(c.Completed), with("completed", "")...)
	s.value(mTasksEnded, float64(c.Cancelled), with("cancelled", "")...)
	s.value(mTasksEnded, float64(c.TimedOut), with("timed_out", "")...)
	for reason, count := range c.Failed {
		s.value(mTasksEnded, float64(count), with("failed", reason)...)
	}
	// Not the number of those that are listed: tasks that the workers before a restart still finish are in flight too.
	ended := c.Completed + c.Cancelled + c.TimedOut + c.FailedAll()
	s.value(mTasksInFlight, max(0, float64(c.Accepted)-float64(ended)), labels...)
	s.value(mTaskUpdates, float64(c.Updates), labels...)
	s.value(mTaskPayload, float64(c.PayloadBytes), labels...)
	s.histogram(mTaskWait, p, &p.Histograms.Wait, labels)
	s.histogram(mTaskRun, p, &p.Histograms.Run, labels)
	s.histogram(mTaskDuration, p, &p.Histograms.Total, labels)
	if v := p.Snapshot; v != nil {
		s.value(mSnapshotVersion, float64(v.Version), labels...)
		s.value(mSnapshotAge, float64(v.AgeMS)/1e3, labels...)
		s.value(mSnapshotBytes, float64(v.Bytes), labels...)
	}
}

// histogram adds up the report's buckets, as Prometheus wants them.
func (s scrape) histogram(m *metric, p *PoolReport, h *HistogramReport, labels []string) {
	buckets := make(map[float64]uint64, len(p.Histograms.BoundsUS))
	var count uint64
	for i, n := range h.Counts {
		count += n
		if i < len(p.Histograms.BoundsUS) {
			buckets[float64(p.Histograms.BoundsUS[i])/1e6] = count
		}
	}
	s.ch <- prometheus.MustNewConstHistogram(m.desc, count, float64(h.SumUS)/1e6, buckets, labels...)
}

var _ prometheus.Collector = collector{}
