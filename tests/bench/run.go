package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// running servers, of one setup at a time: cases in a row that share it share them.
type fleet struct {
	setup   *setup
	servers map[*brand]*server
}

func (f *fleet) server(s *setup, b *brand) (*server, error) {
	if f.setup != s {
		if err := f.stop(); err != nil {
			return nil, err
		}
		f.setup, f.servers = s, make(map[*brand]*server)
	}
	if running := f.servers[b]; running != nil {
		return running, nil
	}
	running, err := b.start(s.fit(b.probed))
	if err == nil {
		f.servers[b] = running
	}
	return running, err
}

// stop ends them all. How a guest ends is its own affair: it has been measured.
func (f *fleet) stop() error {
	var failure error
	for b, s := range f.servers {
		if err := s.stop(); err != nil {
			if b.guest {
				fmt.Fprintln(os.Stderr, firstLine(err))
			} else {
				failure = err
			}
		}
	}
	f.setup, f.servers = nil, nil
	return failure
}

// drop a server that has failed; the next case has a new one.
func (f *fleet) drop(b *brand) {
	if s := f.servers[b]; s != nil {
		s.kill()
		delete(f.servers, b)
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return line
}

// run measures the selected cases, and keeps what is measured after each.
func run(o *options, t *suite, cases []testCase) error {
	counting := !o.noCounts
	if counting {
		if err := canCount(); err != nil {
			fmt.Fprintf(os.Stderr, "system calls are not counted: %v\n", err)
			counting = false
		}
	}
	var servers fleet
	defer func() { _ = servers.stop() }()
	began := time.Now()
	for _, c := range cases {
		if !o.selects(c.name) {
			continue
		}
		measured, err := runCase(o, &servers, c, counting)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		t.results.replace(c.name, measured)
		if err := t.results.write(o.output); err != nil {
			return err
		}
		printCase(os.Stdout, measured)
	}
	if err := servers.stop(); err != nil {
		return err
	}
	fmt.Printf("\n%s; results are in %s\n", time.Since(began).Round(time.Second), o.output)
	return nil
}

func runCase(o *options, servers *fleet, c testCase, counting bool) ([]*result, error) {
	count := o.rounds
	if c.rounds > 0 {
		count = min(count, c.rounds)
	}
	rounds := make([][]*round, len(c.entries))
	counts := make([]map[string]float64, len(c.entries))
	failures := make([]error, len(c.entries))
	// A guest that fails, in that it crashes or gives a wrong answer, is out of this case, and the others go on.
	failed := func(i int, err error) error {
		e := c.entries[i]
		err = fmt.Errorf("%s: %w", e.contestant, err)
		if e.brand == nil || !e.brand.guest {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err)
		failures[i] = err
		servers.drop(e.brand)
		return nil
	}
	on := func(e entry) (*server, error) {
		if e.brand == nil || c.setup == nil {
			return nil, nil
		}
		return servers.server(c.setup, e.brand)
	}
	// Round 0 warms up and does not count. Who begins differs from round to round.
	for number := range count + 1 {
		for i := range c.entries {
			i = (i + number) % len(c.entries)
			e := c.entries[i]
			if e.missing != "" || failures[i] != nil || (e.rounds > 0 && number > e.rounds) {
				continue
			}
			s, err := on(e)
			var measured *round
			if err == nil {
				measured, err = e.run(s)
			}
			if err != nil {
				if err := failed(i, err); err != nil {
					return nil, err
				}
				continue
			}
			if number > 0 {
				rounds[i] = append(rounds[i], measured)
			}
		}
	}
	var all []*result
	for i, e := range c.entries {
		if counting && e.counted && e.missing == "" && failures[i] == nil {
			s, err := on(e)
			if err == nil {
				counts[i], err = countsOf(e, s)
			}
			if err != nil {
				if err := failed(i, err); err != nil {
					return nil, err
				}
			}
		}
		if failures[i] != nil {
			e.missing = "it failed: " + firstLine(failures[i])
		}
		r, err := newResult(c, e, rounds[i])
		if err != nil {
			return nil, err
		}
		r.Counts = counts[i]
		all = append(all, r)
	}
	return all, nil
}

// countsOf makes one more round, in which system calls are counted.
func countsOf(e entry, s *server) (map[string]float64, error) {
	var measured *round
	counts, err := countDuring(s.pid, func() error {
		var err error
		measured, err = e.run(s)
		return err
	})
	if err != nil {
		return nil, err
	}
	for name := range counts {
		counts[name] /= measured.numbers["operations"] + measured.numbers["warm"]
	}
	return counts, nil
}
