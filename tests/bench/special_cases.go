package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tools are what the machine has beside the servers.
type tools struct {
	floors string // the programs of tests/bench/floors; empty: not built
	core   string
	php    string // the command line's PHP that the servers' was built with
	debian string // Debian's own, for what comes in packages
}

func findTools(build string) tools {
	var found tools
	if path := filepath.Join(build, "bench", "floors"); executable(path) {
		found.floors, found.core = path, filepath.Join(build, "bench", "core")
	}
	found.php = os.Getenv("BENCH_PHP")
	if path := "/usr/bin/php"; executable(path) {
		found.debian = path
	}
	return found
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// --- floors ----------------------------------------------------------------------------------------------

var floorNames = []string{"spin", "futex", "eventfd", "eventfd-poll"}
var floorPlaces = [][2]string{{"", "where the kernel puts them"}, {"-one-cpu", "both on one CPU"}, {"-two-cpus", "on two CPUs"}}
var copySizes = []int{64, 1 << 10, 16 << 10, 100_000, 1 << 20, 10_000_000, 16 << 20}

func (t *suite) floors() {
	floor := func(contestant, program, filter string, environment ...string) entry {
		e := entry{contestant: contestant, run: func(*server) (*round, error) { return t.runFloor(program, filter, environment...) }}
		if program == "" {
			e.missing = "Google Benchmark is not installed"
		}
		return e
	}
	const machine, core, spinless = "the machine", "the core", "the core, spin off"
	for _, name := range floorNames {
		for _, place := range floorPlaces {
			t.add(testCase{name: "floor/" + name + place[0], about: fmt.Sprintf("two threads hand over and back, %s: %s", place[1], name),
				entries: []entry{floor(machine, t.tools.floors, "^"+name+place[0]+"/")}})
		}
	}
	for _, size := range copySizes {
		t.add(testCase{name: fmt.Sprintf("floor/memcpy-%d", size), about: fmt.Sprintf("memcpy of %d bytes", size),
			entries: []entry{floor(machine, t.tools.floors, fmt.Sprintf("^memcpy/%d$", size))}})
	}
	for _, count := range []int{1, 16, 256} {
		filter := fmt.Sprintf("^task/%d/", count)
		t.add(testCase{name: fmt.Sprintf("core/task-%d", count), about: plural(count, "task") + " sent, then the answers read; time of them all",
			entries: []entry{floor(core, t.tools.core, filter), floor(spinless, t.tools.core, filter, "IGOR_SPIN=0")}})
	}
	t.add(testCase{name: "core/snapshot-100", about: "a hundred looks at a snapshot", entries: []entry{floor(core, t.tools.core, "^snapshot-100$")}})
}

func (t *suite) runFloor(program, filter string, environment ...string) (*round, error) {
	cmd := exec.Command(program, "--benchmark_format=json", "--benchmark_filter="+filter, fmt.Sprintf("--benchmark_min_time=%g", t.batch.Seconds()/3))
	cmd.Env = append(os.Environ(), environment...)
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	var report struct {
		Benchmarks []map[string]any `json:"benchmarks"`
	}
	if err := json.Unmarshal(output, &report); err != nil || len(report.Benchmarks) != 1 {
		return nil, fmt.Errorf("%s for %s gives %v: %s", program, filter, err, output)
	}
	r := &round{numbers: make(map[string]float64)}
	for _, name := range []string{"p50", "p90", "p99", "cpu", "voluntary", "involuntary"} {
		value, is := report.Benchmarks[0][name].(float64)
		if !is {
			return nil, fmt.Errorf("%s for %s gives no %s: %s", program, filter, name, output)
		}
		r.numbers[name] = value
	}
	r.numbers["p99.9"], _ = report.Benchmarks[0]["p999"].(float64)
	return r, nil
}

// withCodec adds what PHP's own serializer needs for a payload: beside it, a task is dear or cheap.
func (t *suite) withCodec(c testCase, payload string) testCase {
	query := url.Values{"do": {"codec"}, "payload": {payload}, "least": {"5"}, "ms": {number(int(t.batch.Milliseconds()) / 2)}}
	c.entries = append(c.entries, entry{contestant: "serialize() and unserialize()", brand: t.igor, run: func(s *server) (*round, error) { return s.drive(query, 1) }})
	return c
}

// --- what users would do instead ------------------------------------------------------------------------------

// withAlternatives adds those, where the machine has them.
func (t *suite) withAlternatives(c testCase, payload string) testCase {
	switch payload {
	case "null", "string-1000", "string-100000", "string-10000000", "ints-1000", "rows-1000":
	default:
		return c
	}
	milliseconds := number(int(t.batch.Milliseconds()))
	alternative := func(contestant, php, needs, script string) {
		// They take a hundred times as long as what they are compared with, and need to be known less well.
		e := entry{contestant: contestant, rounds: 4, run: func(*server) (*round, error) {
			return runScript(php, filepath.Join(here(), "rivals", script), milliseconds, payload)
		}}
		if why := lacks(php, needs); why != "" {
			e.missing = why
		}
		c.entries = append(c.entries, e)
	}
	alternative("ext-parallel, 2 channels", t.tools.php, `extension_loaded("parallel")`, "parallel.php")
	alternative("Messenger over Redis", t.tools.debian,
		`extension_loaded("redis") && is_executable("/usr/bin/redis-server") && is_file("/usr/share/php/Symfony/Component/Messenger/Bridge/Redis/autoload.php")`, "messenger.php")
	alternative("proc_open() per job", t.tools.php, `function_exists("proc_open")`, "proc_open.php")
	return c
}

var lacking = make(map[string]string)

// lacks says why a PHP can't do something; empty: it can.
func lacks(php, needs string) string {
	if php == "" {
		return "no such PHP here"
	}
	key := php + needs
	if why, known := lacking[key]; known {
		return why
	}
	why := ""
	if output, err := exec.Command(php, "-d", "display_errors=0", "-r", `exit((`+needs+`) ? 0 : 1);`).CombinedOutput(); err != nil {
		why = "not installed"
		if len(output) > 0 {
			why += ": " + strings.TrimSpace(string(output))
		}
	}
	lacking[key] = why
	return why
}

func runScript(php, script string, arguments ...string) (*round, error) {
	cmd := exec.Command(php, append([]string{"-d", "memory_limit=2G", "-d", "display_errors=stderr", script}, arguments...)...)
	var problems strings.Builder
	cmd.Stderr = &problems
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", script, err, problems.String())
	}
	answer, err := parseMeasured(output)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, problems.String())
	}
	r := together([]*measured{answer})
	if answer.After[0] == 0 {
		// Other processes did the work, and what they spent is not known.
		for _, name := range []string{"cpu", "voluntary", "involuntary"} {
			delete(r.numbers, name)
		}
	}
	return r, nil
}

// --- workers that have nothing to do ---------------------------------------------------------------------------

func (t *suite) idle() {
	const workers = 64
	waiting := &setup{pools: []pool{{name: "idle", script: "select.php", number: workers}}, threads: 4}
	none := &setup{threads: 4}
	cpu := testCase{name: "idle/cpu", about: fmt.Sprintf("CPU time of a server with %d idle workers, in percent of one CPU", workers), setup: waiting, rounds: 4}
	memory := testCase{name: "idle/memory", about: fmt.Sprintf("resident memory per idle worker (of %d) and of a server without any, and descriptors per worker", workers), rounds: 3}
	for _, b := range t.brands(false) {
		cpu.entries = append(cpu.entries, serverEntry(b, "", tasks, false, func(s *server) (*round, error) {
			before, err := spentByThreads(s.pid)
			if err != nil {
				return nil, err
			}
			began := time.Now()
			time.Sleep(max(10*t.batch, time.Second))
			after, err := spentByThreads(s.pid)
			if err != nil {
				return nil, err
			}
			seconds := time.Since(began).Seconds()
			return &round{numbers: map[string]float64{
				"percent":    (after.cpu - before.cpu).Seconds() / seconds * 100,
				"wakes":      float64(after.voluntary-before.voluntary) / seconds,
				"operations": 1,
			}}, nil
		}))
		memory.entries = append(memory.entries, entry{contestant: b.label, missing: tasks.lacked(b.probed), run: func(*server) (*round, error) {
			var memory, open [2]float64
			for i, s := range []*setup{none, waiting} {
				running, err := b.start(s)
				if err != nil {
					return nil, err
				}
				if memory[i], err = resident(running.pid); err == nil {
					open[i], err = descriptors(running.pid)
				}
				if err := running.stop(); err != nil {
					return nil, err
				}
				if err != nil {
					return nil, err
				}
			}
			return &round{numbers: map[string]float64{"kB": (memory[1] - memory[0]) / workers / 1024, "MB without": memory[0] / megabyte, "descriptors": (open[1] - open[0]) / workers}}, nil
		}})
	}
	t.add(cpu)
	t.add(memory)
}

// --- HTTP ---------------------------------------------------------------------------------------------------

const megabyte = 1 << 20

func (t *suite) http() {
	serving := &setup{pools: []pool{{name: "echo", script: "select.php", number: 8}}, threads: 8, workers: 4}
	pages := []struct {
		name, about string
		needs       needs
		page
	}{
		{"respond", "Caddy's own respond, no PHP", nothing, page{path: "/respond", answer: "hello\n"}},
		{"file", "a static file", nothing, page{path: "/static.txt", answer: "hello\n"}},
		{"hello/classic", "hello", nothing, page{path: "/hello.php", answer: "hello\n"}},
		{"hello/worker", "hello, in worker mode", nothing, page{path: "/hello_worker.php", answer: "hello\n"}},
		{"task/classic", "hello and one task", tasks, page{path: "/page.php?what=task", answer: "hello\n"}},
		{"task/worker", "hello and one task, in worker mode", tasks, page{path: "/page_worker.php?what=task", answer: "hello\n"}},
		{"fan/classic", "hello and 8 tasks at once", tasks, page{path: "/page.php?what=fan", answer: "hello\n"}},
		{"fan/worker", "hello and 8 tasks at once, in worker mode", tasks, page{path: "/page_worker.php?what=fan", answer: "hello\n"}},
		{"in/classic", "1 MB in", nothing, page{path: "/page.php?what=in", body: megabyte, answer: "1048576\n"}},
		{"in/worker", "1 MB in, in worker mode", nothing, page{path: "/page_worker.php?what=in", body: megabyte, answer: "1048576\n"}},
		{"out/classic", "1 MB out", nothing, page{path: "/page.php?what=out", answer: strings.Repeat("0123456789abcdef", 65536)}},
		{"out/worker", "1 MB out, in worker mode", nothing, page{path: "/page_worker.php?what=out", answer: strings.Repeat("0123456789abcdef", 65536)}},
	}
	for _, p := range pages {
		c := testCase{name: "http/" + p.name, about: fmt.Sprintf("%s; wrk with %d connections, as fast as it goes", p.about, connections), setup: serving}
		for _, b := range t.brands(false) {
			c.entries = append(c.entries, serverEntry(b, "", p.needs, true, func(s *server) (*round, error) { return p.closedLoop(s, 4*t.batch) }))
		}
		t.add(withLoadGenerator(c))
	}
	for _, p := range pages {
		if !strings.HasPrefix(p.name, "hello/") && !strings.HasPrefix(p.name, "task/") {
			continue
		}
		c := testCase{name: "rate/" + p.name, about: p.about + "; at a fixed rate", setup: serving}
		for _, b := range t.brands(false) {
			c.entries = append(c.entries, serverEntry(b, "", p.needs, false, func(s *server) (*round, error) {
				perSecond, err := t.rateFor("http/"+p.name, p.page, s)
				if err != nil {
					return nil, err
				}
				return p.fixedRate(s, perSecond, max(6*t.batch, 300*time.Millisecond))
			}))
		}
		t.add(withLoadGenerator(c))
	}
}

// withLoadGenerator is a case that has no contestants where there is no wrk.
func withLoadGenerator(c testCase) testCase {
	if _, err := exec.LookPath("wrk"); err != nil {
		for i := range c.entries {
			c.entries[i].missing = "wrk is not installed"
		}
	}
	return c
}

// shareOfRival is what a fixed rate is of the rival's capacity; without a rival, shareAlone of Igor's own, because the
// load generator that keeps a rate takes more of the same CPUs than wrk does.
const (
	shareOfRival = 0.6
	shareAlone   = 0.3
)

// rateFor takes the capacities from the closed loop of this run; without it, each contestant's is measured in its
// first round here, the one that does not count. From then on all are asked at the same rate.
func (t *suite) rateFor(closed string, p page, s *server) (float64, error) {
	if t.capacity[closed] == nil {
		t.capacity[closed] = make(map[string]float64)
	}
	known := t.capacity[closed]
	if known[s.brand.label] == 0 {
		if result := t.results.find(closed, s.brand.label); result != nil {
			known[s.brand.label] = result.Numbers["rate"].Median
		} else {
			r, err := p.closedLoop(s, time.Second)
			if err != nil {
				return 0, err
			}
			known[s.brand.label] = r.numbers["rate"]
		}
	}
	if t.rival != nil && known[t.rival.label] > 0 {
		return known[t.rival.label] * shareOfRival, nil
	}
	return known[s.brand.label] * shareAlone, nil
}
