package igor

import (
	"slices"
	"sync"
)

// runningLoads are the loads that have booted and whose generation is not closed yet, oldest first: usually one, and two while
// a reload goes on. Everything that looks at PHP from outside (admin API, metrics, health, commands) asks it which
// generation to look at, because none of that belongs to one load: Caddy mounts the new configuration's admin endpoint
// before it starts the new apps, and keeps the old apps when the new ones fail.
//
// Thread-safe. Its lock is held for as long as a slice operation takes.
type runningLoads struct {
	mu    sync.Mutex
	loads []*load
}

var running runningLoads

// add puts a load on the list that has just booted.
func (r *runningLoads) add(l *load) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads = append(r.loads, l)
}

// remove takes a load off that has closed its generation. One that never booted is not there, which is fine.
func (r *runningLoads) remove(l *load) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads = slices.DeleteFunc(r.loads, func(other *load) bool { return other == l })
}

// newest is the load that serves: the one booted last that is not retiring, because a configuration whose other apps
// failed to start retires while the one before it goes on. When all retire it is the last of them, and without any nil.
func (r *runningLoads) newest() *load {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range slices.Backward(r.loads) {
		if !l.retiring.Load() {
			return l
		}
	}
	if n := len(r.loads); n > 0 {
		return r.loads[n-1]
	}
	return nil
}

// all gives all loads, the newest first.
func (r *runningLoads) all() []*load {
	r.mu.Lock()
	defer r.mu.Unlock()
	loads := slices.Clone(r.loads)
	slices.Reverse(loads)
	return loads
}
