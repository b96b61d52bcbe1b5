package igor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// The endpoints that FrankenPHP 1.12 has, with its paths, statuses and documents, so that scripts and dashboards made for
// it go on working.

// restartsAtOnce bounds how many pools boot side by side: each boot keeps a CPU busy, and workers serve meanwhile.
const restartsAtOnce = 4

// frankenPHPRestart restarts all workers, and answers when the new ones are ready.
func frankenPHPRestart(w http.ResponseWriter, r *http.Request, _ []string) error {
	if err := restartAll(r); err != nil {
		return libraryError(err)
	}
	caddy.Log().Info("workers restarted from admin api")
	_, err := w.Write([]byte("workers restarted successfully\n"))
	return err
}

func restartAll(r *http.Request) error {
	report, _, err := theReporter.read(r.Context())
	if errors.Is(err, errNotRunning) {
		return nil // no workers
	}
	if err != nil {
		return err
	}
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		failures []error
		slots    = make(chan struct{}, restartsAtOnce)
	)
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				err := theReporter.operator.Control(p.Handle, bridge.Restart)
				if err != nil && !errors.Is(err, bridge.ErrGone) { // gone: a reload came between
					mu.Lock()
					failures = append(failures, fmt.Errorf("%s: %w", p.title(scope.Label), err))
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return errors.Join(failures...)
}

// threadDebugState is a thread in FrankenPHP's words. The names of the fields are its.
type threadDebugState struct {
	Index                    int
	Name                     string
	State                    string
	IsWaiting                bool
	IsBusy                   bool
	WaitingSinceMilliseconds int64
	CurrentURI               string
	CurrentMethod            string
	RequestStartedAt         int64 // Unix time in milliseconds
	RequestCount             uint64
	MemoryUsage              uint64
}

type debugState struct {
	ThreadDebugStates   []threadDebugState
	ReservedThreadCount int
}

// frankenPHPStates has FrankenPHP's names of states that have others here. Idle and busy threads are both ready.
var frankenPHPStates = map[string]string{
	"idle":     "ready",
	"busy":     "ready",
	"starting": "booting",
	"stopping": "shutting down",
}

func frankenPHPThreads(w http.ResponseWriter, r *http.Request, _ []string) error {
	state := debugState{ThreadDebugStates: []threadDebugState{}}
	report, _, err := theReporter.read(r.Context())
	if err != nil && !errors.Is(err, errNotRunning) {
		return libraryError(err)
	}
	if err == nil {
		state = threadStates(report, time.Now())
	}
	body, err := json.MarshalIndent(state, "", "    ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(body)
	return err
}

func threadStates(report *Report, now time.Time) debugState {
	result := debugState{
		ThreadDebugStates:   []threadDebugState{},
		ReservedThreadCount: max(0, report.HTTP.MaxThreads-report.HTTP.Threads),
	}
	add := func(name, state, request string, sinceMS int64, requests, memory uint64) {
		s := threadDebugState{
			Index:        len(result.ThreadDebugStates),
			Name:         name,
			State:        state,
			IsWaiting:    state == "idle",
			IsBusy:       state != "idle",
			RequestCount: requests,
			MemoryUsage:  memory,
		}
		if known, ok := frankenPHPStates[state]; ok {
			s.State = known
		}
		if s.IsWaiting {
			s.WaitingSinceMilliseconds = sinceMS
		} else if request != "" {
			s.CurrentMethod, s.CurrentURI, _ = strings.Cut(request, " ")
			s.RequestStartedAt = now.UnixMilli() - sinceMS
		}
		result.ThreadDebugStates = append(result.ThreadDebugStates, s)
	}
	for i := range report.HTTP.List {
		t := &report.HTTP.List[i]
		add("Regular PHP Thread", t.State, t.Request, t.SinceMS, t.Requests, 0)
	}
	for i := range report.Scopes {
		for j := range report.Scopes[i].Pools {
			p := &report.Scopes[i].Pools[j]
			prefix := "Worker PHP Thread - "
			if p.Kind == kindTasks {
				prefix = "Background Worker PHP Thread - "
			}
			for k := range p.Workers {
				worker := &p.Workers[k]
				add(prefix+p.File, worker.State, worker.Request, worker.SinceMS, worker.Handled, worker.Memory)
			}
		}
	}
	return result
}
