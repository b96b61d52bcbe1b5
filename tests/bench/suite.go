package main

import (
	"fmt"
	"net/url"
	"time"
)

// entry is one contestant in one case.
type entry struct {
	contestant string
	brand      *brand // null: needs no server
	missing    string // why it is not present; empty: it is
	run        func(s *server) (*round, error)
	rounds     int // at most; 0: as many as the case has
	// Whether a further run is made in which system calls are counted.
	counted bool
}

// testCase is what the contestants do in turn.
type testCase struct {
	name    string
	about   string
	setup   *setup
	rounds  int // at most; 0: as many as are asked for
	entries []entry
}

// suite makes the cases. It knows how long a batch is to go on.
type suite struct {
	batch    time.Duration
	igor     *brand
	spinless *brand // the same server with spinning off
	rival    *brand // of --against; null: none
	results  *results
	tools    tools
	capacity map[string]map[string]float64 // requests per second in the closed loop, by case and server
	cases    []testCase
}

// A way to wait for a task: with which script, and the driver's way of sending.
type style struct {
	name, pool, do string
	needs          needs
}

var (
	receive = style{"receive", "receive", "echo", objects}
	selects = style{"select", "select", "echo", tasks}
	looks   = style{"", "", "vars", snapshots}
	await   = style{"await", "await", "await", objects}
)

var scriptsWithObjects = map[string]bool{"receive.php": true, "await.php": true}

// fit removes the pools whose scripts need what a server does not have: they, or it, would fail at the start.
func (s *setup) fit(p *probe) *setup {
	rest := *s
	rest.pools = nil
	for _, one := range s.pools {
		if p.Tasks && (p.Objects || !scriptsWithObjects[one.script]) {
			rest.pools = append(rest.pools, one)
		}
	}
	return &rest
}

// needs is what a case asks of a server beyond PHP over HTTP.
type needs int

const (
	nothing needs = iota
	tasks
	objects
	snapshots
)

// lacked says what is not there, in half a sentence; empty: it is.
func (n needs) lacked(p *probe) string {
	switch {
	case n == snapshots && !p.Snapshots:
		return "it has no frankenphp_worker_get_vars()"
	case n != nothing && !p.Tasks:
		return "it has no frankenphp_worker_task_send()"
	case n == objects && !p.Objects:
		return "it has no Igor\\Inbox"
	}
	return ""
}

func echoPools(number, queue int) []pool {
	return []pool{
		{name: "receive", script: "receive.php", number: number, queue: queue},
		{name: "select", script: "select.php", number: number, queue: queue},
		{name: "await", script: "await.php", number: number, queue: queue},
	}
}

// serverEntry is missing where there is no such server, or it lacks what the case needs.
func serverEntry(b *brand, contestant string, what needs, counted bool, run func(*server) (*round, error)) entry {
	return entry{contestant: b.label + contestant, brand: b, run: run, counted: counted, missing: what.lacked(b.probed)}
}

func (t *suite) brands(spinless bool) []*brand {
	brands := []*brand{t.igor}
	if spinless {
		brands = append(brands, t.spinless)
	}
	if t.rival != nil {
		brands = append(brands, t.rival)
	}
	return brands
}

// task is a case of the driver's, for each server and style.
func (t *suite) task(c testCase, styles []style, spinless, counted bool, parallel int, query url.Values) testCase {
	for _, b := range t.brands(spinless) {
		for _, st := range styles {
			asked := url.Values{}
			for key, values := range query {
				asked[key] = values
			}
			if !asked.Has("do") {
				asked.Set("do", st.do)
			}
			if !asked.Has("worker") {
				asked.Set("worker", st.pool)
			}
			if !asked.Has("ms") {
				asked.Set("ms", number(int(t.batch.Milliseconds())))
			}
			name := ""
			if len(styles) > 1 || styles[0].needs == objects {
				name = ", " + st.name
			}
			c.entries = append(c.entries, serverEntry(b, name, st.needs, counted, func(s *server) (*round, error) { return s.drive(asked, parallel) }))
		}
	}
	return c
}

func (t *suite) add(c testCase) { t.cases = append(t.cases, c) }

func (t *suite) build() []testCase {
	t.floors()
	serial := &setup{pools: echoPools(1, 0), threads: 4}
	for _, payload := range []string{"null", "keys", "enum"} {
		about := map[string]string{"null": "one null", "keys": "10 keys", "enum": "an enum case"}[payload]
		c := testCase{name: "serial/" + payload, about: "one task after the other: " + about, setup: serial}
		c = t.task(c, []style{receive, selects, await}, true, true, 1, url.Values{"payload": {payload}, "least": {"200"}})
		t.add(t.withAlternatives(c, payload))
	}
	for _, gap := range []int{100, 1000, 10000} {
		c := testCase{name: fmt.Sprintf("sparse/%gms", float64(gap)/1000), about: fmt.Sprintf("a task every now and then, %g ms between two", float64(gap)/1000), setup: serial}
		t.add(t.task(c, []style{receive, selects}, true, false, 1, url.Values{"payload": {"keys"}, "pause": {number(gap)}, "least": {"30"}}))
	}
	for _, payload := range []string{"string-10", "string-64", "string-1000", "string-16384", "string-100000", "string-1048576", "string-10000000",
		"string-16777216", "ints-1000", "ints-100000", "maps-1000", "rows-1000", "depth-64"} {
		c := testCase{name: "payload/" + payload, about: "one task after the other, the payload comes back: " + payload, setup: serial}
		c = t.task(c, []style{receive, selects}, false, false, 1, url.Values{"payload": {payload}, "least": {"5"}})
		t.add(t.withAlternatives(t.withCodec(c, payload), payload))
	}
	queued := &setup{pools: echoPools(1, 1024), threads: 4}
	for _, count := range []int{1, 16, 256} {
		c := testCase{name: fmt.Sprintf("outstanding/%d", count), about: plural(count, "task") + " sent, then the answers read; time of them all", setup: queued}
		t.add(t.task(c, []style{receive, selects}, true, true, 1, url.Values{"do": {"many"}, "count": {number(count)}, "payload": {"keys"}}))
	}
	side := &setup{pools: []pool{{name: "updates", script: "updates.php", number: 1}, {name: "hold", script: "hold.php", number: 1}}, threads: 4}
	for _, count := range []int{1, 16, 1000} {
		c := testCase{name: fmt.Sprintf("updates/%d", count), about: "a task with " + plural(count, "update") + "; time of the task", setup: side}
		t.add(t.task(c, []style{selects}, false, true, 1, url.Values{"do": {"updates"}, "worker": {"updates"}, "count": {number(count)}}))
	}
	for _, count := range []int{1, 64, 500} {
		c := testCase{name: fmt.Sprintf("streams/%d", count), about: "stream_select() on the streams of " + plural(count, "task") + ", of which one is answered", setup: side}
		t.add(t.task(c, []style{selects}, false, true, 1, url.Values{"do": {"streams"}, "worker": {"hold"}, "count": {number(count)}, "payload": {"keys"}}))
	}
	for _, count := range []int{2, 8, 64} {
		fan := &setup{pools: echoPools(count, 0), threads: 4}
		c := testCase{name: fmt.Sprintf("fan-out/%d", count), about: fmt.Sprintf("a task to each of %d workers, then all answers", count), setup: fan}
		t.add(t.task(c, []style{receive, selects}, false, false, 1, url.Values{"do": {"many"}, "count": {number(count)}, "payload": {"keys"}}))
	}
	idle := &setup{pools: echoPools(1, 0)[:2], threads: 4}
	for i := range idle.pools {
		idle.pools[i].number = 257
	}
	c := testCase{name: "idle/256-beside-one", about: "one task after the other in a pool of 257 workers", setup: idle}
	t.add(t.task(c, []style{receive, selects}, false, false, 1, url.Values{"payload": {"null"}, "least": {"200"}}))
	t.idle()
	t.crowds()
	lazy := &setup{pools: []pool{{script: "select.php", most: 256}, {name: "once", script: "once.php", number: 1}}, threads: 4}
	c = testCase{name: "start/cold", about: "the first task of a lazy worker: a thread starts, PHP and the script too", setup: lazy}
	t.add(t.task(c, []style{selects}, false, false, 1, url.Values{"do": {"cold"}, "count": {"4"}, "payload": {"null"}}))
	c = testCase{name: "start/again", about: "each task needs the script to start again", setup: lazy}
	t.add(t.task(c, []style{selects}, false, false, 1, url.Values{"do": {"echo"}, "worker": {"once"}, "payload": {"null"}}))
	t.snapshots()
	t.http()
	return t.cases
}

// crowds: many senders, many workers.
func (t *suite) crowds() {
	for _, workers := range crowdSizes {
		crowd := &setup{pools: echoPools(workers, 0)[:2], threads: 66}
		for _, senders := range crowdSizes {
			st := []style{receive}
			if t.rival != nil && !t.rival.probed.Objects {
				st = []style{selects}
			}
			c := testCase{name: fmt.Sprintf("crowd/%dx%d", senders, workers), about: plural(senders, "sender") + ", each with one task after the other, and " + plural(workers, "worker"), setup: crowd}
			t.add(t.task(c, st, senders == workers, false, senders, url.Values{"payload": {"null"}, "ms": {number(int(t.batch.Milliseconds()) * 2 / 3)}}))
		}
	}
}

func (t *suite) snapshots() {
	published := &setup{pools: []pool{{name: "settings", script: "settings.php", number: 1}, {name: "catalog", script: "catalog.php", number: 1},
		{name: "publish", script: "publish.php", number: 1}}, threads: 66}
	t.firstLook("snapshot/first", "the first look at a snapshot in a request", "settings", published)
	t.firstLook("snapshot/first-large", "the first look in a request at one of 1,000 rows", "catalog", published)
	c := testCase{name: "snapshot/again", about: "each further look in that request", setup: published}
	t.add(t.task(c, []style{looks}, false, false, 1, url.Values{"do": {"vars"}, "worker": {"settings"}}))
	c = testCase{name: "snapshot/64-readers", about: "64 requests look all the time, the worker publishes every millisecond; time of a look", setup: published}
	t.add(t.task(c, []style{looks}, false, false, 64, url.Values{"do": {"vars"}, "worker": {"publish"}}))
}

// firstLook times the first look of each of a hundred requests.
func (t *suite) firstLook(name, about, worker string, published *setup) {
	c := testCase{name: name, about: about, setup: published}
	for _, b := range t.brands(false) {
		c.entries = append(c.entries, serverEntry(b, "", snapshots, false, func(s *server) (*round, error) {
			var answers []*measured
			for range 100 {
				body, err := s.get("/driver.php?do=first&worker=" + worker)
				if err != nil {
					return nil, err
				}
				answer, err := parseMeasured(body)
				if err != nil {
					return nil, err
				}
				answers = append(answers, answer)
			}
			r := together(answers)
			for _, name := range []string{"rate", "cpu", "voluntary", "involuntary"} {
				delete(r.numbers, name)
			}
			return r, nil
		}))
	}
	t.add(c)
}

func plural(count int, noun string) string {
	if count == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", count, noun)
}
