package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The groups of cases, as the report has them, and what is to be known about each.
var groups = []struct{ prefix, title, text string }{
	{"floor/", "Floors", "What the machine itself needs: two threads that hand something over and back, and copies. A task between two threads that sleep can't be cheaper than the first four."},
	{"core/", "The core without PHP", "One sender and one worker in C++: what of the times between scripts is the core's own. *spin off* is `IGOR_SPIN=0`."},
	{"serial/", "One task after the other", "Sent, answered by an update and completed by the worker, read, closed. *receive*: the worker waits in `Igor\\Inbox::receive()`; *select*: in `stream_select()` on its signaling stream; *await*: with the object API, the answer being the task's value. The sender is a script that a request runs in classic mode. *spin off* is the same server with `IGOR_SPIN=0`."},
	{"sparse/", "A task every now and then", "The same, with pauses, in which both sides fall asleep."},
	{"outstanding/", "Several tasks at once", "The pool has a queue of 1,024 places here, where the server has queues."},
	{"payload/", "Payloads", "The payload goes there and comes back, and is compared."},
	{"updates/", "Updates", ""},
	{"streams/", "Waiting on many streams", ""},
	{"fan-out/", "Fan-out", ""},
	{"idle/", "Idle workers", ""},
	{"crowd/", "Many senders and workers", "Tasks per second, of all senders together, over the number of workers."},
	{"start/", "Starts", ""},
	{"snapshot/", "Snapshots", ""},
	{"http/", "HTTP, closed loop", "CPU is the server's alone. Its times have the load generator's share in them, which is on the same CPUs."},
	{"rate/", "HTTP, fixed rate", "Times count from the moment at which a request was due, so that a late answer is not hidden by those that it kept waiting."},
}

// writeReport writes docs/benchmarks.md and its plots.
func writeReport(docs string, all *results) error {
	pictures := filepath.Join(docs, "benchmarks")
	if err := os.RemoveAll(pictures); err != nil {
		return err
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return err
	}
	drawn, err := plots(all, pictures)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	m := all.Machine
	fmt.Fprintf(&text, `# Benchmarks

Written by `+"`./dev bench --report`"+`; what is measured, and how, is in [a chapter of its own](#how-it-is-measured). Figures of other machines differ; ratios between contestants of one run say more.

- CPU: %s, %d of them%s
- memory: %s
- system: %s, %s
- PHP: %s; compiler %s; %s
- revision: %s
- %d rounds, %s for each contestant in each
`, m.CPU, m.CPUs, virtual(m), m.Memory, m.System, m.Kernel, m.PHP, m.Compiler, m.Go, m.Revision, m.Rounds, m.Batch)
	for _, server := range m.Servers {
		fmt.Fprintf(&text, "- %s\n", server)
	}
	text.WriteString("\n## Targets\n\n| what | wanted | measured | |\n|---|---|---|---|\n")
	for _, t := range targets(all) {
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", t.name, t.wanted, t.measured, t.verdict)
	}
	for _, picture := range drawn {
		fmt.Fprintf(&text, "\n![%s](benchmarks/%s)\n", picture[1], picture[0])
	}
	for _, g := range groups {
		if g.prefix == "crowd/" {
			writeCrowds(&text, all, g.title, g.text)
			continue
		}
		writeGroup(&text, all, g.prefix, g.title, g.text)
	}
	text.WriteString(method)
	return os.WriteFile(filepath.Join(docs, "benchmarks.md"), text.Bytes(), 0o644)
}

func virtual(m machine) string {
	if m.Virtual == "" {
		return ""
	}
	return " in a virtual machine (" + m.Virtual + ")"
}

func writeGroup(text *bytes.Buffer, all *results, prefix, title, about string) {
	rows := [][]string{append([]string{"case"}, columns...)}
	missing := make(map[string]string)
	var abouts []string
	for _, r := range all.Results {
		if !strings.HasPrefix(r.Case, prefix) {
			continue
		}
		if r.Missing != "" {
			missing[r.Contestant] = r.Missing
			continue
		}
		name := strings.TrimPrefix(r.Case, prefix)
		if line := fmt.Sprintf("- %s: %s\n", name, r.About); len(abouts) == 0 || abouts[len(abouts)-1] != line {
			abouts = append(abouts, line)
		}
		rows = append(rows, append([]string{name}, row(r)...))
	}
	if len(rows) == 1 {
		return
	}
	fmt.Fprintf(text, "\n## %s\n\n", title)
	if about != "" {
		text.WriteString(about + "\n\n")
	}
	// Where names say it all, as in a table of sizes, a list of them would only repeat it.
	if len(abouts) <= 16 {
		text.WriteString(strings.Join(abouts, "") + "\n")
	}
	for i, cells := range filled(rows) {
		fmt.Fprintf(text, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			text.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
		}
	}
	for _, contestant := range sortedKeys(missing) {
		fmt.Fprintf(text, "\nNot there: %s (%s).\n", contestant, missing[contestant])
	}
}

const method = `
## How it is measured

` + "```console" + `
$ ./dev bench                                # everything, ten minutes and more
$ ./dev bench --only 'serial|http/hello'     # some cases; the others' results stay
$ ./dev bench --list
$ ./dev bench --against 'frankenphp run --config {caddyfile}' --name FrankenPHP
$ ./dev bench --json after.json --compare before.json
` + "```" + `

- One run has all contestants, in turn: each round goes through them all, and each round another one begins. What the machine does meanwhile hits all of them.
- A first round of each case does not count. p50, rates, CPU and switches are medians of the rounds; the interval beside p50 holds the median with a probability of 95%, by the bootstrap. p90, p99 and p99.9 are of all rounds together, from histograms that are true to three digits. What one would do instead of tasks takes part in four rounds.
- Tasks are timed in PHP with ` + "`hrtime()`" + ` around each, by a script that sends them and returns all times. Both servers run the same scripts, from ` + "`tests/bench/site`" + `. Every answer is compared with what it must be, outside of the time that is taken.
- CPU and context switches (voluntary + involuntary) are the whole process's, per task or request, the script's comparing included. System calls are counted by ` + "`perf stat`" + ` in a round of its own, whose times don't count.
- HTTP in the closed loop: wrk, two threads, eight connections. The number of bytes that came must be that of as many right answers. At a fixed rate: vegeta, over as many connections as it takes; every body is compared.
- Floors are Google Benchmark programs, ` + "`tests/bench/floors`" + `. What is not installed is listed as not present; ` + "`docker/provision.sh rivals`" + ` installs what Debian has of it.
`

func sortedKeys(of map[string]string) []string { return slices.Sorted(maps.Keys(of)) }

var crowdSizes = []int{1, 2, 4, 8, 16, 64}

// writeCrowds makes a table per contestant: senders down, workers across.
func writeCrowds(text *bytes.Buffer, all *results, title, about string) {
	var contestants []string
	for _, senders := range crowdSizes {
		for _, r := range all.of(fmt.Sprintf("crowd/%dx%d", senders, senders)) {
			if r.Missing == "" && !slices.Contains(contestants, r.Contestant) {
				contestants = append(contestants, r.Contestant)
			}
		}
	}
	if len(contestants) == 0 {
		return
	}
	fmt.Fprintf(text, "\n## %s\n\n%s\n", title, about)
	for _, contestant := range contestants {
		fmt.Fprintf(text, "\n%s:\n\n| senders |", contestant)
		for _, workers := range crowdSizes {
			fmt.Fprintf(text, " %d |", workers)
		}
		text.WriteString("\n" + strings.Repeat("|---", len(crowdSizes)+1) + "|\n")
		for _, senders := range crowdSizes {
			fmt.Fprintf(text, "| %d |", senders)
			for _, workers := range crowdSizes {
				rate := ""
				if r := all.find(fmt.Sprintf("crowd/%dx%d", senders, workers), contestant); r != nil {
					rate = amount(r.Numbers["rate"].Median)
				}
				fmt.Fprintf(text, " %s |", rate)
			}
			text.WriteString("\n")
		}
	}
}
