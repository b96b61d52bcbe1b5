package igor

import (
	"sync"
	"time"
)

// poolKey names a pool across reports, reloads and restarts.
type poolKey struct{ scope, name, kind string }

func keyOf(s *ScopeReport, p *PoolReport) poolKey { return poolKey{s.Label, p.Name, p.Kind} }

// httpKey stands for the threads that run a script per request.
var httpKey = poolKey{kind: "http"}

// stillness is for how long, as far as is known, something has been waiting in a pool, and nothing has moved in it.
type stillness struct{ waiting, quiet time.Duration }

// progress remembers what moved between one look at the pools and the next, because a report only says what is: a pool that
// has three tasks in its queue now and had three a minute ago may have done thousands in between.
//
// Moved means: a task or request was begun, ended by its worker or updated. That a worker's script started again does not
// count, as one that ends at once each time gets nothing done. So the first look knows least; it takes two, as far apart
// as the patience is long, to find that busy workers do not get on.
//
// Thread-safe.
type progress struct {
	mu    sync.Mutex
	pools map[poolKey]progressSeen
}

type progressSeen struct {
	moves   uint64
	moved   time.Time // when moves was first seen
	waiting time.Time // since when the queue was seen not to be empty; zero: it was
}

var theProgress = new(progress)

// observe looks at a report and says how still its pools are.
func (g *progress) observe(report *Report, now time.Time) map[poolKey]stillness {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.pools
	g.pools = make(map[poolKey]progressSeen, len(before))
	still := make(map[poolKey]stillness)
	look := func(key poolKey, moves uint64, queued int) stillness {
		seen, known := before[key]
		if !known || seen.moves != moves {
			seen.moves, seen.moved = moves, now
		}
		var s stillness
		if queued == 0 {
			seen.waiting = time.Time{}
		} else {
			if seen.waiting.IsZero() {
				seen.waiting = now
			}
			s.waiting = now.Sub(seen.waiting)
		}
		s.quiet = now.Sub(seen.moved)
		g.pools[key] = seen
		still[key] = s
		return s
	}
	look(httpKey, report.HTTP.Requests, report.HTTP.Queued)
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			c := &p.Counters
			s := look(keyOf(scope, p), c.Started+c.Completed+c.Updates+c.Requests, p.Queue.Length)
			// What the report itself knows. Workers that hold nothing have not moved since they came to that state.
			s.waiting = max(s.waiting, p.oldestQueued())
			if p.count("busy") == 0 {
				s.quiet = max(s.quiet, p.sinceLastChange(s.waiting))
			}
			still[keyOf(scope, p)] = s
		}
	}
	return still
}

// oldestQueued is how long the first of the queued tasks has been waiting.
func (p *PoolReport) oldestQueued() time.Duration {
	var oldest int64
	for i := range p.Tasks {
		if p.Tasks[i].State == taskQueued && !p.Tasks[i].Old {
			oldest = max(oldest, p.Tasks[i].AgeMS)
		}
	}
	return time.Duration(oldest) * time.Millisecond
}

// sinceLastChange is how long all workers of today have been in their states, or all that time when there are none.
func (p *PoolReport) sinceLastChange(all time.Duration) time.Duration {
	for i := range p.Workers {
		if p.Workers[i].Old {
			continue // ends, whatever it does
		}
		all = min(all, time.Duration(p.Workers[i].SinceMS)*time.Millisecond)
	}
	return all
}
