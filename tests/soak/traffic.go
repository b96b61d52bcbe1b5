package soak

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// action is one kind of request, and what its tasks may end as.
type action struct {
	do, pool string
	count    int // tasks of one request
	size     int // of payloads and updates, at most
	ends     []string
	restarts float64 // of workers, that one such request brings about
	classic  bool    // only as a script of its own, not in worker mode
}

var (
	well   = []string{"Completed"}
	failed = []string{"Completed", "UncaughtException"}

	bulk = []action{
		{do: "complete", pool: "steady", count: 200, size: 600, ends: well},
		{do: "complete", pool: "steady", count: 100, size: 8000, ends: well},
		{do: "complete", pool: "steady", count: 10, size: 100_000, ends: well},
		{do: "complete", pool: "kept", count: 200, size: 600, ends: well},
		{do: "jobs", pool: "jobs", count: 200, size: 600, ends: failed},
	}
	restarting = []action{
		{do: "leave", pool: "leaving", count: 20, ends: well, restarts: 20},
		{do: "complete", pool: "recycled", count: 60, ends: well, restarts: 30},
		// When the worker has been told to stop, that is the reason.
		{do: "exit", pool: "crashing", count: 10, ends: []string{"Exited", "Shutdown"}, restarts: 10},
		{do: "throw", pool: "crashing", count: 10, ends: []string{"UncaughtException"}, restarts: 10},
		{do: "fatal", pool: "crashing", count: 10, ends: []string{"FatalError"}, restarts: 10},
		{do: "memory", pool: "crashing", count: 10, ends: []string{"MemoryLimit"}, restarts: 10},
	}
	others = []action{
		{do: "hello"},
		// As with "exit".
		{do: "let go", pool: "kept", count: 20, ends: []string{"Abandoned", "Shutdown"}},
		{do: "hold", pool: "timed", count: 20, ends: []string{"Deadline"}},
		{do: "cancel", pool: "kept", count: 20, ends: []string{"Cancelled"}},
		{do: "disconnect", pool: "kept", count: 1, ends: []string{"Cancelled"}, classic: true},
		{do: "snapshot", pool: "publisher", count: 10, ends: well},
		{do: "overflow", pool: "rejecting", count: 20, ends: []string{"Completed", "refused"}},
	}
)

// request is an action with a number, the first part of its tasks' ids.
type request struct {
	action
	id   string
	size int
	path string // of the script
}

// plan is what one phase asks of the server: so many tasks and restarts, and everything else beside them.
func plan(random *rand.Rand, phase, tasks, restarts int) (requests []request) {
	add := func(a action) {
		r := request{action: a, id: fmt.Sprintf("%d.%d", phase, len(requests)), path: "/"}
		if a.size > 0 {
			r.size = random.IntN(a.size)
		}
		if !a.classic && random.IntN(2) == 0 {
			r.path = "/front.php"
		}
		requests = append(requests, r)
		if a.do != "overflow" { // most of these are refused
			tasks -= a.count
		}
		restarts -= int(a.restarts)
	}
	for range 10 {
		for _, a := range others {
			add(a)
		}
	}
	for restarts > 0 {
		add(restarting[random.IntN(len(restarting))])
	}
	for tasks > 0 {
		add(bulk[random.IntN(len(bulk))])
	}
	random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return requests
}

// traffic is a phase under way.
type traffic struct {
	server   *harness.Server
	requests []request
	next     atomic.Int64 // index of the request that nobody has taken yet
	done     atomic.Int64
	// reloading counts begun and ended reloads: a connection may be reset in one.
	reloads atomic.Int64
	all     sync.WaitGroup
	mutex   sync.Mutex
	errs    []error
	resets  int
}

func (t *traffic) start(clients int) {
	for range clients {
		t.all.Add(1)
		go func() {
			defer t.all.Done()
			for {
				i := t.next.Add(1) - 1
				if i >= int64(len(t.requests)) {
					return
				}
				t.one(&t.requests[i])
				t.done.Add(1)
			}
		}()
	}
}

func (t *traffic) fail(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.errs = append(t.errs, err)
}

func (t *traffic) one(r *request) {
	before := t.reloads.Load()
	err := t.try(r)
	if err == nil {
		return
	}
	// While a reload was under way the old listener may have taken the connection and let it go. What the server did of
	// the request all the same is in the history.
	if before%2 == 1 || t.reloads.Load() != before {
		t.mutex.Lock()
		t.resets++
		t.mutex.Unlock()
		return
	}
	t.fail(fmt.Errorf("request %s (%s): %w", r.id, r.do, err))
}

func (t *traffic) try(r *request) error {
	query := strings.ReplaceAll(fmt.Sprintf("?do=%s&id=%s&pool=%s&count=%d&size=%d", r.do, r.id, r.pool, r.count, r.size), " ", "+")
	request, err := http.NewRequest(http.MethodGet, t.server.URL+r.path+query, nil)
	if err != nil {
		return err
	}
	if r.do == "disconnect" {
		return t.leave(request)
	}
	response, err := t.server.TryDo(request)
	if err != nil {
		return err
	}
	if response.Status != http.StatusOK || response.Body != "ok" {
		t.fail(fmt.Errorf("request %s (%s %s on %s) answered %d %q", r.id, r.do, r.pool, r.path, response.Status, response.Body))
	}
	return nil
}

// leave closes the connection in the middle of the answer.
func (t *traffic) leave(request *http.Request) error {
	request.Close = true
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	first := make([]byte, 1)
	if _, err := response.Body.Read(first); err != nil || first[0] != '.' {
		return fmt.Errorf("answered %d %q, %w", response.StatusCode, first, err)
	}
	return nil
}
