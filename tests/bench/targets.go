package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// target is what the project wants of itself, and how far it is. Nothing fails over it: a machine has its moods.
type target struct {
	name     string
	wanted   string
	measured string
	verdict  string // met, missed, or not measured
}

// numbers that targets are computed from. Unknown ones make the target "not measured".
type lookup struct {
	all     *results
	missing bool
}

func (l *lookup) number(name, contestant, which string) float64 {
	r := l.all.find(name, contestant)
	if r == nil {
		l.missing = true
		return 0
	}
	if value, known := r.Counts[which]; known {
		return value
	}
	for _, q := range quantiles {
		if q.name == which {
			value, known := r.quantile(which, q.share)
			l.missing = l.missing || !known
			return value
		}
	}
	value, known := r.Numbers[which]
	l.missing = l.missing || !known
	return value.Median
}

const (
	receiver = "Igor, receive"
	selector = "Igor, select"
	quietly  = "Igor, spin off, receive"
	quietlyS = "Igor, spin off, select"
)

func targets(all *results) []target {
	var list []target
	bound := func(name, wanted string, limit float64, show func(float64) string, below bool, value func(*lookup) float64) {
		l := &lookup{all: all}
		t := target{name: name, wanted: wanted, verdict: "not measured"}
		if measured := value(l); !l.missing {
			t.measured, t.verdict = show(measured), "missed"
			if (measured <= limit) == below {
				t.verdict = "met"
			}
		}
		list = append(list, t)
	}
	atMost := func(name, wanted string, limit float64, show func(float64) string, value func(*lookup) float64) {
		bound(name, wanted, limit, show, true, value)
	}
	times := func(value float64) string { return fmt.Sprintf("%.2f times", value) }
	plain := func(value float64) string { return fmt.Sprintf("%.2f", value) }
	one := func(name, contestant, which string) func(*lookup) float64 {
		return func(l *lookup) float64 { return l.number(name, contestant, which) }
	}
	ratio := func(name, contestant, which, overName, overContestant, overWhich string, factor float64) func(*lookup) float64 {
		return func(l *lookup) float64 {
			return l.number(name, contestant, which) / (factor * l.number(overName, overContestant, overWhich))
		}
	}
	const floor = "the machine"
	atMost("serial echo, worker in receive(), p50", "at most 5 µs", 5e3, duration, one("serial/null", receiver, "p50"))
	atMost("the same, p99", "at most 40 µs", 40e3, duration, one("serial/null", receiver, "p99"))
	bound("8 senders and 8 workers: throughput with spinning over without", "at least 0.97 times", 0.97, times, false,
		ratio("crowd/8x8", receiver, "rate", "crowd/8x8", quietly, "rate", 1))
	atMost("serial echo without spinning, worker in receive(), over a futex round trip between two CPUs", "at most 1.3 times", 1.3, times,
		ratio("serial/null", quietly, "p50", "floor/futex-two-cpus", floor, "p50", 1))
	atMost("serial echo, worker in stream_select(), p50", "at most 10 µs", 10e3, duration, one("serial/null", selector, "p50"))
	atMost("serial echo without spinning, worker in stream_select(), over an eventfd round trip between two CPUs", "at most 1.5 times", 1.5, times,
		ratio("serial/null", quietlyS, "p50", "floor/eventfd-two-cpus", floor, "p50", 1))
	atMost("256 idle workers beside one that works, over one alone", "at most 1.1 times", 1.1, times,
		ratio("idle/256-beside-one", receiver, "p50", "serial/null", receiver, "p50", 1))
	atMost("futex calls per serial task", "at most 4", 4, plain, one("serial/null", receiver, "futex calls"))
	atMost("the same without spinning", "at most 4", 4, plain, one("serial/null", quietly, "futex calls"))
	atMost("futex calls per task with 256 outstanding", "under 0.3", 0.3, plain, func(l *lookup) float64 {
		return l.number("outstanding/256", receiver, "futex calls") / 256
	})
	atMost("descriptors of 256 outstanding tasks", "0", 0, plain, one("outstanding/256", receiver, "descriptors"))
	atMost("echo of 10 MB over four copies of them", "at most 3 times", 3, times,
		ratio("payload/string-10000000", receiver, "p50", "floor/memcpy-10000000", floor, "p50", 4))
	atMost("echo of 1,000 ints, p50", "at most 15 µs", 15e3, duration, one("payload/ints-1000", receiver, "p50"))
	atMost("echo of 1,000 rows, p50", "at most 300 µs", 300e3, duration, one("payload/rows-1000", receiver, "p50"))
	atMost("the same over serialize() and unserialize()", "at most 0.6 times", 0.6, times,
		ratio("payload/rows-1000", receiver, "p50", "payload/rows-1000", "serialize() and unserialize()", "p50", 1))
	atMost("first look at a snapshot in a request, p50", "under 1 µs and its copy", 1e3, duration, one("snapshot/first", "Igor", "p50"))
	atMost("further looks, p50", "under 100 ns", 100, duration, one("snapshot/again", "Igor", "p50"))
	atMost("CPU of 64 idle workers", "under 0.1%", 0.1, func(v float64) string { return fmt.Sprintf("%.3f%%", v) }, one("idle/cpu", "Igor", "percent"))
	atMost("memory per idle worker, the engine's own share included", "under 1,024 kB", 1024, func(v float64) string { return amount(v) + " kB" }, one("idle/memory", "Igor", "kB"))
	for _, mode := range []string{"worker", "classic"} {
		bound("hello, "+mode+" mode: requests per second over Caddy's own respond", "at least 0.67 times", 2.0/3, times, false,
			ratio("http/hello/"+mode, "Igor", "rate", "http/respond", "Igor", "rate", 1))
	}
	for _, mode := range []string{"worker", "classic"} {
		atMost("hello and one task over hello, "+mode+" mode: CPU", "at most 10 µs more", 10e3, duration, func(l *lookup) float64 {
			return 1000 * (l.number("http/task/"+mode, "Igor", "cpu") - l.number("http/hello/"+mode, "Igor", "cpu"))
		})
	}
	for _, rival := range rivals(all) {
		bound("serial echo, p50 of "+rival+" over Igor's", "at least 4 times", 4, times, false, func(l *lookup) float64 {
			return l.number("serial/null", rival+", select", "p50") / l.number("serial/null", receiver, "p50")
		})
		for _, mode := range []string{"worker", "classic"} {
			bound("hello, "+mode+" mode: requests per second over "+rival+"'s", "at least 2 times", 2, times, false,
				ratio("http/hello/"+mode, "Igor", "rate", "http/hello/"+mode, rival, "rate", 1))
			for _, which := range []string{"p50", "p99"} {
				atMost("hello at a fixed rate, "+mode+" mode, "+which+" over "+rival+"'s", "below 1", 1, times,
					ratio("rate/hello/"+mode, "Igor", which, "rate/hello/"+mode, rival, which, 1))
			}
		}
	}
	return list
}

// rivals are the servers that --against has measured, by what they are called.
func rivals(all *results) []string {
	var names []string
	for _, r := range all.of("http/hello/classic") {
		if r.Contestant != "Igor" {
			names = append(names, r.Contestant)
		}
	}
	return names
}

func printTargets(to io.Writer, all *results) {
	fmt.Fprintln(to, "\ntargets (a figure counts only when nothing else ran on the machine):")
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, t := range targets(all) {
		fmt.Fprintln(table, "  "+strings.Join([]string{t.name, t.wanted, t.measured, t.verdict}, "\t"))
	}
	table.Flush()
}
