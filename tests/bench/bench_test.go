package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	s := summarize([]float64{9, 1, 5, 3, 7, 2, 8, 4})
	if s.Median != 4.5 || s.Low >= s.Median || s.High <= s.Median || s.Low < 1 || s.High > 9 {
		t.Errorf("%+v", s)
	}
	if again := summarize([]float64{1, 2, 3, 4, 5, 7, 8, 9}); again != s {
		t.Errorf("the order matters: %+v and %+v", s, again)
	}
	if one := summarize([]float64{3}); one != (summary{3, 3, 3}) {
		t.Errorf("%+v", one)
	}
	if none := summarize(nil); !math.IsNaN(none.Median) {
		t.Errorf("%+v", none)
	}
}

// answer as the driver gives it.
func answer(head string, times ...uint64) []byte {
	text := []byte(head + "\n")
	for _, time := range times {
		text = binary.LittleEndian.AppendUint64(text, time)
	}
	return text
}

func TestAnswersOfSeveralRequestsTogether(t *testing.T) {
	first, err := parseMeasured(answer(`{"begin":1000000000,"end":1500000000,"before":[100,1,0],"after":[500,5,2],"count":2,"warm":1}`, 1000, 3000))
	if err != nil {
		t.Fatal(err)
	}
	second, err := parseMeasured(answer(`{"begin":1100000000,"end":2000000000,"before":[200,2,0],"after":[900,9,4],"count":2,"warm":1}`, 5000, 7000))
	if err != nil {
		t.Fatal(err)
	}
	r := together([]*measured{first, second})
	for name, wanted := range map[string]float64{"operations": 4, "warm": 2, "rate": 4, "cpu": 200, "voluntary": 2, "involuntary": 1} {
		if r.numbers[name] != wanted {
			t.Errorf("%s is %v, not %v", name, r.numbers[name], wanted)
		}
	}
	if p50, last := r.numbers["p50"], r.numbers["p99.9"]; p50 < 2990 || p50 > 3010 || last < 6990 || last > 7010 {
		t.Errorf("p50 %v, p99.9 %v", p50, last)
	}
}

func TestTimesOfManyAtOnce(t *testing.T) {
	m, err := parseMeasured(answer(`{"count":1,"each":1000,"less":5000}`, 105000))
	if err != nil || m.times[0] != 100 {
		t.Errorf("%v %+v", err, m)
	}
}

func TestDriverAnswersThatAreNone(t *testing.T) {
	for _, text := range [][]byte{nil, []byte("Fatal error: no"), answer(`{"count":2}`, 1), answer(`{"count":"x"}`)} {
		if m, err := parseMeasured(text); err == nil {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
}

func TestWrkReport(t *testing.T) {
	r, err := parseWrk([]byte("Running 1s test\n  2 threads\n\n{\"requests\":3,\"bytes\":300,\"microseconds\":1000000,\"errors\":1,\"times\":[[10,2],[20,1]]}\n"))
	if err != nil || r.Requests != 3 || r.Errors != 1 || len(r.Times) != 2 || r.Times[0] != [2]int64{10, 2} {
		t.Errorf("%v %+v", err, r)
	}
	if _, err := parseWrk([]byte("unable to connect\n")); err == nil {
		t.Error("no report is taken for one")
	}
}

func TestResultsOfSomeCasesReplaceTheirs(t *testing.T) {
	all := &results{Results: []*result{{Case: "a"}, {Case: "b", Contestant: "x"}, {Case: "b", Contestant: "y"}, {Case: "c"}}}
	all.replace("b", []*result{{Case: "b", Contestant: "z"}})
	all.replace("d", []*result{{Case: "d"}})
	var names []string
	for _, r := range all.Results {
		names = append(names, r.Case+r.Contestant)
	}
	if !slices.Equal(names, []string{"a", "bz", "c", "d"}) {
		t.Errorf("%v", names)
	}
}

func TestComparison(t *testing.T) {
	old := []float64{100, 101, 102, 103, 104, 105, 106, 107}
	if change, _ := changeOf(old, []float64{50, 51, 52, 53, 54, 55, 56, 57}); !strings.HasPrefix(change, "-4") {
		t.Errorf("half as long is %q", change)
	}
	if change, _ := changeOf(old, old); change != "~" {
		t.Errorf("the same is %q", change)
	}
}

// A server that answers wrongly is not measured, however fast it is.
func TestWrongAnswers(t *testing.T) {
	asked := 0
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/driver.php":
			http.Error(w, "wrong answer: not what was sent", http.StatusInternalServerError)
		case "/later":
			if asked > 5 {
				fmt.Fprint(w, "other\n")
				return
			}
			fmt.Fprint(w, "hello\n")
		default:
			fmt.Fprint(w, "hallo\n")
		}
	}))
	defer wrong.Close()
	s := &server{brand: &brand{label: "wrong"}, url: wrong.URL, pid: os.Getpid(), client: wrong.Client()}
	if _, err := s.drive(url.Values{"do": {"echo"}}, 2); err == nil || !strings.Contains(err.Error(), "not what was sent") {
		t.Errorf("the driver's error is %v", err)
	}
	if _, err := (page{path: "/", answer: "hello\n"}).closedLoop(s, time.Second); err == nil {
		t.Error("another body passes")
	}
	asked = 0
	if _, err := (page{path: "/later", answer: "hello\n"}).fixedRate(s, 200, 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a later body that is another gives %v", err)
	}
}

func TestTimesCountFromWhenARequestWasDue(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello\n") }))
	defer slow.Close()
	s := &server{brand: &brand{label: "one"}, url: slow.URL, pid: os.Getpid(), client: slow.Client()}
	r, err := (page{path: "/", answer: "hello\n"}).fixedRate(s, 100, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.numbers["operations"] != 10 || r.numbers["p50"] <= 0 || r.times.TotalCount() != 10 {
		t.Errorf("%+v", r.numbers)
	}
}

func TestCaddyfileOfAnotherServer(t *testing.T) {
	s := &setup{pools: []pool{{name: "a", script: "receive.php", number: 3, queue: 9}, {script: "select.php", most: 4}}, threads: 5, workers: 2}
	own, other := s.caddyfile("igor", 80, "/site"), s.caddyfile("frankenphp", 80, "/site")
	if !strings.Contains(own, "num_threads 9\n") || !strings.Contains(own, "queue 9\n") {
		t.Errorf("%s", own)
	}
	// 5 for requests, 3 + 4 in the background, 2 for each of two HTTP workers, and one to spare.
	if !strings.Contains(other, "num_threads 17\n") || strings.Contains(other, "queue") || !strings.Contains(other, "frankenphp {") {
		t.Errorf("%s", other)
	}
	for _, one := range []struct {
		probe probe
		pools int
	}{{probe{Tasks: true, Objects: true}, 2}, {probe{Tasks: true}, 1}, {probe{}, 0}} {
		if rest := s.fit(&one.probe); len(rest.pools) != one.pools || len(s.pools) != 2 {
			t.Errorf("%+v: %+v", one.probe, rest.pools)
		}
	}
}

// A short run against the built server, with itself as the other one: all kinds of cases, and all that is made of them.
func TestShortRun(t *testing.T) {
	folder := t.TempDir()
	output := filepath.Join(folder, "results.json")
	const cases = "^(serial/null|sparse/0.1ms|outstanding/16|payload/string-1000|updates/16|streams/64|fan-out/8|crowd/2x2|start/cold|snapshot/.*|http/task/worker|rate/hello/worker)$"
	// The second run measures one case again, and leaves the others as they are.
	for _, arguments := range [][]string{{"--only", cases}, {"--only", "^serial/null$", "--compare", output}} {
		o, err := parseOptions(append(arguments, "--quick", "--rounds", "1", "--no-counts", "--json", output))
		if err != nil {
			t.Fatal(err)
		}
		o.against, o.name = o.igor+" run --config {caddyfile} --adapter caddyfile", "another"
		if err := bench(o); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readResults(output)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range [][2]string{{"serial/null", "Igor, receive"}, {"serial/null", "another, select"}, {"crowd/2x2", "Igor, receive"},
		{"snapshot/64-readers", "another"}, {"http/task/worker", "Igor"}, {"rate/hello/worker", "another"}} {
		if r := all.find(one[0], one[1]); r == nil || r.Numbers["p50"].Median <= 0 {
			t.Errorf("%v: %+v", one, r)
		}
	}
	if err := writeReport(folder, all); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "benchmarks.md"))
	if err != nil || !bytes.Contains(text, []byte("| null | Igor, receive |")) {
		t.Errorf("%v\n%s", err, text)
	}
	for _, picture := range []string{"serial.svg", "payload.svg", "crowd.svg", "http.svg"} {
		if !fileExists(filepath.Join(folder, "benchmarks", picture)) {
			t.Errorf("there is no %s", picture)
		}
	}
}

// One that crashes is out of the case in which it does, and takes part in the next.
func TestGuestThatCrashes(t *testing.T) {
	o, err := parseOptions([]string{"--quick", "--no-counts"})
	if err != nil {
		t.Fatal(err)
	}
	command := o.igor + " run --config {caddyfile} --adapter caddyfile"
	own := &brand{label: "Igor", command: command, dialect: "igor"}
	guest := &brand{label: "guest", command: command, dialect: "frankenphp", guest: true}
	for _, b := range []*brand{own, guest} {
		s, err := b.start(&setup{threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		s.kill()
	}
	hello := page{path: "/hello.php", answer: "hello\n"}
	ask := func(s *server) (*round, error) {
		_, err := hello.check(s)
		return roundOf(newTimes()), err
	}
	crash := func(s *server) (*round, error) {
		if err := s.cmd.Process.Kill(); err != nil {
			return nil, err
		}
		<-s.exited
		s.exited <- nil
		return ask(s)
	}
	shared := &setup{threads: 2}
	var servers fleet
	first := testCase{name: "first", setup: shared, entries: []entry{{contestant: "Igor", brand: own, run: ask}, {contestant: "guest", brand: guest, run: crash}}}
	measured, err := runCase(o, &servers, first, false)
	if err != nil {
		t.Fatal(err)
	}
	if measured[0].Missing != "" || !strings.Contains(measured[1].Missing, "it failed: guest:") {
		t.Errorf("%+v %+v", measured[0], measured[1])
	}
	second := testCase{name: "second", setup: shared, entries: []entry{{contestant: "guest", brand: guest, run: ask}}}
	if measured, err = runCase(o, &servers, second, false); err != nil || measured[0].Missing != "" {
		t.Errorf("%v %+v", err, measured)
	}
	third := testCase{name: "third", setup: shared, entries: []entry{{contestant: "Igor", brand: own, run: crash}}}
	if _, err = runCase(o, &servers, third, false); err == nil {
		t.Error("our own may crash")
	}
	servers.drop(own)
	if err := servers.stop(); err != nil {
		t.Error(err)
	}
}

// A server without the functions for tasks takes part in what is left: HTTP.
func TestServerWithoutTasks(t *testing.T) {
	all := &probe{Objects: true, Tasks: true, Snapshots: true}
	suite := &suite{batch: time.Millisecond, results: new(results), igor: &brand{label: "Igor", probed: all}, spinless: &brand{label: "off", probed: all},
		rival: &brand{label: "plain", probed: new(probe)}}
	present := make(map[string]bool)
	for _, c := range suite.build() {
		for _, e := range c.entries {
			if e.brand == suite.rival && e.missing == "" {
				present[c.name] = true
			}
			if e.brand == suite.igor && e.missing != "" && e.missing != "wrk is not installed" {
				t.Errorf("%s: %s", c.name, e.missing)
			}
		}
	}
	for _, name := range []string{"http/respond", "http/hello/classic", "http/hello/worker", "http/in/classic", "rate/hello/worker"} {
		if !present[name] {
			t.Errorf("it does not take part in %s", name)
		}
	}
	for name := range present {
		if !strings.HasPrefix(name, "http/") && !strings.HasPrefix(name, "rate/") || strings.Contains(name, "task") || strings.Contains(name, "fan") {
			t.Errorf("it takes part in %s", name)
		}
	}
}
