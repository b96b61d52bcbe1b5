package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// result is what one contestant did in one case, over all rounds.
type result struct {
	Case       string               `json:"case"`
	About      string               `json:"about"`
	Contestant string               `json:"contestant"`
	Missing    string               `json:"missing,omitempty"` // why there are no numbers
	Numbers    map[string]summary   `json:"numbers,omitempty"`
	Rounds     map[string][]float64 `json:"rounds,omitempty"`
	// All times of all rounds, as HdrHistogram writes them; quantiles beyond p50 are of these, where they are known.
	Times []byte `json:"times,omitempty"`
	// System calls per operation, from a round of its own.
	Counts   map[string]float64 `json:"counts,omitempty"`
	Measured time.Time          `json:"measured"`
}

// results of a run, which a later run of some cases adds to.
type results struct {
	Machine machine   `json:"machine"`
	Results []*result `json:"results"`
}

func readResults(path string) (*results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := new(results)
	if err := json.Unmarshal(text, all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func (all *results) write(path string) error {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Whole or not at all: a run that is interrupted must not cost what the ones before it have measured.
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// find is null for what was not measured.
func (all *results) find(name, contestant string) *result {
	for _, r := range all.Results {
		if r.Case == name && r.Contestant == contestant && r.Missing == "" {
			return r
		}
	}
	return nil
}

// of a case, in the order of the contestants.
func (all *results) of(name string) []*result {
	var found []*result
	for _, r := range all.Results {
		if r.Case == name {
			found = append(found, r)
		}
	}
	return found
}

// replace takes the place of what an earlier run has of this case.
func (all *results) replace(name string, with []*result) {
	kept := all.Results[:0]
	place := -1
	for _, r := range all.Results {
		if r.Case == name {
			if place < 0 {
				place = len(kept)
			}
			continue
		}
		kept = append(kept, r)
	}
	if place < 0 {
		place = len(kept)
	}
	merged := append([]*result{}, kept[:place]...)
	merged = append(merged, with...)
	all.Results = append(merged, kept[place:]...)
}

func newResult(c testCase, e entry, rounds []*round) (*result, error) {
	r := &result{Case: c.name, About: c.about, Contestant: e.contestant, Missing: e.missing, Measured: time.Now().UTC().Truncate(time.Second)}
	if e.missing != "" {
		return r, nil
	}
	r.Numbers = make(map[string]summary)
	r.Rounds = make(map[string][]float64)
	var times *hdrhistogram.Histogram
	for _, one := range rounds {
		for name, value := range one.numbers {
			r.Rounds[name] = append(r.Rounds[name], value)
		}
		if one.times != nil {
			if times == nil {
				times = newTimes()
			}
			times.Merge(one.times)
		}
	}
	for name, values := range r.Rounds {
		r.Numbers[name] = summarize(values)
	}
	if times != nil {
		var err error
		if r.Times, err = times.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// quantile in nanoseconds: of all rounds together where their times are known, else the median of the rounds'.
func (r *result) quantile(name string, share float64) (float64, bool) {
	if name != "p50" && len(r.Times) > 0 {
		if times, err := hdrhistogram.Decode(r.Times); err == nil {
			return float64(times.ValueAtPercentile(share)), true
		}
	}
	s, known := r.Numbers[name]
	return s.Median, known
}
