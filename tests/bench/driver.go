package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"sync"
)

// measured is what Bench\measure() says in its first line. Clocks and counters are the process's, so that what several
// requests at once say can be put together.
type measured struct {
	Begin  int64              `json:"begin"` // nanoseconds of the monotonic clock
	End    int64              `json:"end"`
	Before [3]float64         `json:"before"` // microseconds of CPU, voluntary and involuntary context switches
	After  [3]float64         `json:"after"`
	Count  int                `json:"count"`
	Each   int                `json:"each"` // operations per time that follows, where not 1
	Warm   int                `json:"warm"` // calls before them
	Less   int64              `json:"less"` // what measuring itself takes, of each time
	Values map[string]float64 `json:"values"`
	times  []int64
}

func parseMeasured(answer []byte) (*measured, error) {
	head, packed, found := bytes.Cut(answer, []byte("\n"))
	m := &measured{Each: 1}
	if !found || json.Unmarshal(head, m) != nil {
		return nil, fmt.Errorf("the driver answers %.600s", answer)
	}
	if len(packed) != 8*m.Count {
		return nil, fmt.Errorf("%d bytes for %d times", len(packed), m.Count)
	}
	for ; len(packed) > 0; packed = packed[8:] {
		m.times = append(m.times, (int64(binary.LittleEndian.Uint64(packed))-m.Less)/int64(m.Each))
	}
	return m, nil
}

// drive asks the driver, so many times at once, and puts the answers together.
func (s *server) drive(query url.Values, parallel int) (*round, error) {
	answers := make([]*measured, parallel)
	failures := make([]error, parallel)
	var group sync.WaitGroup
	for i := range parallel {
		group.Go(func() {
			var body []byte
			if body, failures[i] = s.get("/driver.php?" + query.Encode()); failures[i] == nil {
				answers[i], failures[i] = parseMeasured(body)
			}
		})
	}
	group.Wait()
	for _, failure := range failures {
		if failure != nil {
			return nil, failure
		}
	}
	return together(answers), nil
}

func together(answers []*measured) *round {
	times := newTimes()
	first := *answers[0]
	operations, warm := 0, 0
	for _, one := range answers {
		first.Begin = min(first.Begin, one.Begin)
		first.End = max(first.End, one.End)
		for i := range first.Before {
			first.Before[i] = min(first.Before[i], one.Before[i])
			first.After[i] = max(first.After[i], one.After[i])
		}
		for _, time := range one.times {
			_ = times.RecordValue(max(time, 1))
		}
		operations += one.Count * one.Each
		warm += one.Warm * one.Each
	}
	r := roundOf(times)
	r.numbers["operations"] = float64(operations)
	r.numbers["warm"] = float64(warm)
	r.numbers["rate"] = float64(operations) / (float64(first.End-first.Begin) / 1e9)
	for i, name := range []string{"cpu", "voluntary", "involuntary"} {
		r.numbers[name] = (first.After[i] - first.Before[i]) / float64(operations)
	}
	for name, value := range first.Values {
		r.numbers[name] = value
	}
	return r
}

func number(value int) string { return strconv.Itoa(value) }
