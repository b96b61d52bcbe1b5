package main

import (
	"fmt"
	"os"
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

func (f *fleet) stop() error {
	var failure error
	for _, s := range f.servers {
		if err := s.stop(); err != nil {
			failure = err
		}
	}
	f.setup, f.servers = nil, nil
	return failure
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
			if e.missing != "" || (e.rounds > 0 && number > e.rounds) {
				continue
			}
			s, err := on(e)
			if err != nil {
				return nil, err
			}
			measured, err := e.run(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.contestant, err)
			}
			if number > 0 {
				rounds[i] = append(rounds[i], measured)
			}
		}
	}
	var all []*result
	for i, e := range c.entries {
		if counting && e.counted && e.missing == "" {
			s, err := on(e)
			if err != nil {
				return nil, err
			}
			if counts[i], err = countsOf(e, s); err != nil {
				return nil, fmt.Errorf("%s: %w", e.contestant, err)
			}
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
