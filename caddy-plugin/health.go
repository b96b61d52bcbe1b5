package igor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// HealthOptions says what counts as ill.
type HealthOptions struct {
	// How long work may wait while no worker takes anything up, until the pool counts as wedged. Default: 30s.
	WedgedAfter caddy.Duration `json:"wedged_after,omitempty"`

	// The same for a pool of background workers some of which are at work: how long none of them may begin, end or update
	// a task while others wait. Longer than the longest task that is well. Default: 5m.
	StuckAfter caddy.Duration `json:"stuck_after,omitempty"`

	// How many threads of one pool may be lost (blocked where nothing can end them) until the process has to be restarted.
	// Default: 16, from where on the pool does not replace them.
	MaxLost int `json:"max_lost,omitempty"`

	// Pools that readiness does not look at, as NAME or SCOPE/NAME.
	IgnorePools []string `json:"ignore_pools,omitempty"`
}

const (
	defaultWedgedAfter = 30 * time.Second
	defaultStuckAfter  = 5 * time.Minute
	defaultMaxLost     = 16 // as Pool::kMostLost in module/pool.h
)

func (o *HealthOptions) wedgedAfter() time.Duration {
	return cmp.Or(time.Duration(o.WedgedAfter), defaultWedgedAfter)
}

func (o *HealthOptions) stuckAfter() time.Duration {
	return cmp.Or(time.Duration(o.StuckAfter), defaultStuckAfter)
}

func (o *HealthOptions) maxLost() int { return cmp.Or(o.MaxLost, defaultMaxLost) }

func (o *HealthOptions) ignores(scope, pool string) bool {
	return slices.Contains(o.IgnorePools, pool) || slices.Contains(o.IgnorePools, scope+"/"+pool)
}

// Health is the answer to a check. Without problems it is well.
type Health struct {
	Status   string          `json:"status"` // "ready", "not ready", "live", "not live"
	Problems []HealthProblem `json:"problems,omitempty"`
}

// HealthProblem is a reason why a check fails.
type HealthProblem struct {
	Problem string `json:"problem"` // one of the problem… constants
	Scope   string `json:"scope,omitempty"`
	Pool    string `json:"pool,omitempty"`
	Message string `json:"message"`
}

// The kinds of problems.
const (
	problemNotStarted  = "not_started"
	problemDraining    = "draining"
	problemNoAnswer    = "no_answer"
	problemBreakerOpen = "breaker_open"
	problemWedged      = "wedged"
	problemLostThreads = "lost_threads"
)

func (h *Health) add(problem, scope, pool, format string, args ...any) {
	h.Problems = append(h.Problems, HealthProblem{problem, scope, pool, fmt.Sprintf(format, args...)})
}

func (h *Health) well() bool { return len(h.Problems) == 0 }

func (h *Health) finish(well, ill string) *Health {
	h.Status = well
	if !h.well() {
		h.Status = ill
	}
	return h
}

// checkReady says whether this process should be sent requests. No PHP thread is asked, so that it answers within the
// reporter's patience whatever scripts do.
//
// While a reload boots, the configuration before it serves, and answers.
func checkReady(ctx context.Context, o *HealthOptions) *Health {
	report, l, err := theReporter.read(ctx)
	return readiness(report, l, err, o)
}

func readiness(report *Report, l *load, err error, o *HealthOptions) *Health {
	h := new(Health)
	switch {
	case caddy.Exiting():
		h.add(problemDraining, "", "", "the server is shutting down")
	case errors.Is(err, errNotRunning):
		h.add(problemNotStarted, "", "", "no configuration has started yet: its workers are still booting, or did not start; the server's log says more")
	case err != nil:
		h.add(problemNoAnswer, "", "", "%v", err)
	case l.retiring.Load():
		h.add(problemDraining, "", "", "the configuration is being shut down, and no other has taken over")
	default:
		checkPools(h, report, o, theProgress.observe(report, time.Now()))
	}
	return h.finish("ready", "not ready")
}

func checkPools(h *Health, report *Report, o *HealthOptions, still map[poolKey]stillness) {
	if s := still[httpKey]; s.waiting >= o.wedgedAfter() && s.quiet >= o.wedgedAfter() {
		h.add(problemWedged, "", "", "%d requests wait for a PHP thread, and for %v no script has begun or ended; look for what blocks the %d busy threads, and set max_execution_time and max_wait_time",
			report.HTTP.Queued, s.quiet.Truncate(time.Second), report.HTTP.Busy)
	}
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			if o.ignores(scope.Label, p.Name) {
				continue
			}
			if p.Breaker != breakerClosed {
				h.add(problemBreakerOpen, scope.Label, p.Name, "%s has given up after %d failures in a row; the server's log has the script's error", p.title(scope.Label), p.ConsecutiveFailures)
				continue
			}
			if p.State != "running" {
				continue // somebody has paused it: work is meant to wait
			}
			patience := o.wedgedAfter()
			if p.Kind == kindTasks && p.count("busy") > 0 {
				patience = o.stuckAfter()
			}
			if s := still[keyOf(scope, p)]; s.waiting >= patience && s.quiet >= patience {
				h.add(problemWedged, scope.Label, p.Name, "%s is wedged: %d wait, the first for %v, and no worker has taken up, updated or ended anything for %v (%d of %d are busy); restart it, and look for what blocks its script",
					p.title(scope.Label), p.Queue.Length, s.waiting.Truncate(time.Second), s.quiet.Truncate(time.Second), p.count("busy"), p.today())
			}
		}
	}
}

// checkLive says whether this process can go on at all, or has to be restarted. Before PHP has started and after it has
// stopped there is nothing to be ill.
func checkLive(ctx context.Context, o *HealthOptions) *Health {
	h := new(Health)
	report, _, err := theReporter.read(ctx)
	switch {
	case errors.Is(err, errNotRunning):
	case err != nil:
		h.add(problemNoAnswer, "", "", "%v", err)
	default:
		checkLost(h, report, o)
	}
	return h.finish("live", "not live")
}

func checkLost(h *Health, report *Report, o *HealthOptions) {
	lost := 0
	for i := range report.HTTP.List {
		if report.HTTP.List[i].State == "lost" {
			lost++
		}
	}
	if lost > o.maxLost() || lost > 0 && lost == len(report.HTTP.List) {
		h.add(problemLostThreads, "", "", "%d of %d PHP threads for requests are lost: blocked where nothing can end them; restart the process", lost, len(report.HTTP.List))
	}
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			if lost := p.count("lost"); lost > o.maxLost() {
				h.add(problemLostThreads, scope.Label, p.Name, "%s has lost %d threads: blocked where nothing can end them; restart the process", p.title(scope.Label), lost)
			}
		}
	}
}
