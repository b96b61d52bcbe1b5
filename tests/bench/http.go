package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const connections = 8

// wrkReport is what wrk.lua prints at its end.
type wrkReport struct {
	Requests     int64      `json:"requests"`
	Bytes        int64      `json:"bytes"`
	Microseconds int64      `json:"microseconds"`
	Errors       int64      `json:"errors"`
	Times        [][2]int64 `json:"times"` // microseconds, how often
}

// page is an HTTP case: a path, and what must come back.
type page struct {
	path   string
	body   int // bytes to send with POST; 0: GET
	answer string
}

// check asks once and compares, and says how many bytes the whole answer has.
func (p page) check(s *server) (int64, error) {
	request, err := p.request(s)
	if err != nil {
		return 0, err
	}
	transport := &countingTransport{}
	defer transport.close()
	body, status, err := transport.do(request)
	if err != nil {
		return 0, err
	}
	if status != http.StatusOK || string(body) != p.answer {
		return 0, fmt.Errorf("%s %s: status %d, %d bytes, not the %d that it should: %.300q\n%s", s.brand.label, p.path, status, len(body), len(p.answer), body, s.logTail())
	}
	return transport.received, nil
}

func (p page) request(s *server) (*http.Request, error) {
	if p.body == 0 {
		return http.NewRequest(http.MethodGet, s.url+p.path, nil)
	}
	request, err := http.NewRequest(http.MethodPost, s.url+p.path, strings.NewReader(strings.Repeat("x", p.body)))
	if err == nil {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	return request, err
}

// closedLoop has wrk ask as fast as it is answered, over a few connections.
func (p page) closedLoop(s *server, duration time.Duration) (*round, error) {
	size, err := p.check(s)
	if err != nil {
		return nil, err
	}
	before, err := spentBy(s.pid)
	if err != nil {
		return nil, err
	}
	switchesBefore, err := spentByThreads(s.pid)
	if err != nil {
		return nil, err
	}
	// wrk takes whole seconds.
	seconds := max(1, int(duration.Round(time.Second)/time.Second))
	cmd := exec.Command("wrk", "-t", "2", "-c", number(connections), "-d", number(seconds), "--timeout", "10", "-s", filepath.Join(here(), "wrk.lua"), s.url+p.path)
	if p.body > 0 {
		cmd.Env = append(os.Environ(), "BENCH_BODY_BYTES="+number(p.body))
	}
	output, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("wrk: %w: %s", err, output)
	}
	report, err := parseWrk(output)
	if err != nil {
		return nil, err
	}
	// Of the answers that were under way at the end, bytes count and requests don't. A large body may come in other chunks.
	slack := 8 + size/1000
	if report.Errors > 0 || report.Requests == 0 || report.Bytes < report.Requests*(size-slack) || report.Bytes > (report.Requests+connections)*(size+slack) {
		return nil, fmt.Errorf("%s %s: of %d answers of %d bytes each came %d bytes, and %d errors\n%s", s.brand.label, p.path, report.Requests, size, report.Bytes, report.Errors, s.logTail())
	}
	after, err := spentBy(s.pid)
	if err != nil {
		return nil, err
	}
	switchesAfter, err := spentByThreads(s.pid)
	if err != nil {
		return nil, err
	}
	times := newTimes()
	for _, one := range report.Times {
		_ = times.RecordValues(one[0]*1000, one[1])
	}
	r := roundOf(times)
	requests := float64(report.Requests)
	r.numbers["operations"] = requests
	r.numbers["rate"] = requests / (float64(report.Microseconds) / 1e6)
	r.numbers["cpu"] = float64((after - before).Microseconds()) / requests
	r.numbers["voluntary"] = float64(switchesAfter.voluntary-switchesBefore.voluntary) / requests
	r.numbers["involuntary"] = float64(switchesAfter.involuntary-switchesBefore.involuntary) / requests
	return r, nil
}

func parseWrk(output []byte) (*wrkReport, error) {
	for line := range bytes.Lines(output) {
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		report := new(wrkReport)
		if err := json.Unmarshal(line, report); err != nil {
			return nil, fmt.Errorf("wrk's report: %w: %s", err, line)
		}
		return report, nil
	}
	return nil, fmt.Errorf("wrk gave no report: %s", output)
}

// fixedRate asks at given moments, however long answers take. Times count from the moment at which a request was due,
// so that one which had to wait because the answers before it were late is not taken for a quick one.
func (p page) fixedRate(s *server, perSecond float64, duration time.Duration) (*round, error) {
	if _, err := p.check(s); err != nil {
		return nil, err
	}
	before, err := spentBy(s.pid)
	if err != nil {
		return nil, err
	}
	target := vegeta.Target{Method: http.MethodGet, URL: s.url + p.path}
	if p.body > 0 {
		target.Method, target.Body = http.MethodPost, []byte(strings.Repeat("x", p.body))
	}
	rate := vegeta.Rate{Freq: int(perSecond), Per: time.Second}
	attacker := vegeta.NewAttacker(vegeta.Workers(4), vegeta.MaxWorkers(256), vegeta.Connections(256))
	defer attacker.Stop()
	var results []*vegeta.Result
	began := time.Now().Add(time.Hour)
	pace := inFull{rate, uint64(perSecond * duration.Seconds())}
	for result := range attacker.Attack(vegeta.NewStaticTargeter(target), pace, 0, p.path) {
		if result.Code != http.StatusOK || string(result.Body) != p.answer {
			return nil, fmt.Errorf("%s %s: status %d, %s: %.300q\n%s", s.brand.label, p.path, result.Code, result.Error, result.Body, s.logTail())
		}
		results = append(results, result)
		// The earliest beginning that any of them tells of: one that was sent late tells of a later one.
		if start := result.Timestamp.Add(-due(result.Seq, rate)); start.Before(began) {
			began = start
		}
	}
	times := newTimes()
	for _, result := range results {
		_ = times.RecordValue(max(1, int64(result.Timestamp.Add(result.Latency).Sub(began.Add(due(result.Seq, rate))))))
	}
	after, err := spentBy(s.pid)
	if err != nil {
		return nil, err
	}
	r := roundOf(times)
	r.numbers["operations"] = float64(len(results))
	r.numbers["wanted rate"] = perSecond
	r.numbers["cpu"] = float64((after - before).Microseconds()) / float64(len(results))
	return r, nil
}

// inFull ends with a number of requests and not with the time: those that are late at the end are sent all the same.
type inFull struct {
	vegeta.Pacer
	requests uint64
}

func (p inFull) Pace(elapsed time.Duration, sent uint64) (wait time.Duration, stop bool) {
	if sent >= p.requests {
		return 0, true
	}
	return p.Pacer.Pace(elapsed, sent)
}

// due is when, after the beginning, a request is to be sent.
func due(number uint64, rate vegeta.Rate) time.Duration {
	return time.Duration(float64(number) / float64(rate.Freq) * float64(rate.Per))
}
