package igor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// The tables that igor workers and igor tasks print: plain text, columns as wide as they must be.

// table lines its cells up. A cell that begins with a digit, a dash or a sign for "more than" stands at the right.
func table(rows [][]string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(rows))
	for r, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if rightAligned(rows, i) {
				b.WriteString(gap + cell)
			} else {
				b.WriteString(cell + gap)
			}
		}
		lines[r] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// rightAligned says whether all cells of a column below its head are numbers or empty.
func rightAligned(rows [][]string, column int) bool {
	for _, row := range rows[1:] {
		if column < len(row) && row[column] != "" && !strings.ContainsAny(row[column][:1], "0123456789->") {
			return false
		}
	}
	return len(rows) > 1
}

// clean takes out of a name what would do something to a terminal.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, name)
}

// workersTable is a line for the HTTP threads and a table of pools. With a width and height it fits a terminal.
func workersTable(report *WholeReport, width, height int) string {
	h := &report.HTTP
	head := fmt.Sprintf("Igor %s, PHP %s   scripts per request: %d of %d threads busy, %d waiting, %d done",
		report.Version, report.PHPVersion, h.Busy, h.Threads, h.Queued, h.Requests)
	rows := [][]string{{"SCOPE", "POOL", "KIND", "STATE", "READY", "BUSY", "ALL", "QUEUE", "FLIGHT", "DONE", "FAILED", "P50", "P95", "RESTARTS", "SNAPSHOT"}}
	var failures []string
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			rows = append(rows, poolRow(scope, p))
			if p.Breaker != breakerClosed && p.LastFailure != nil {
				failures = append(failures, fmt.Sprintf("%s/%s: %s", clean(scope.Label), clean(p.Name), clean(p.LastFailure.Message)))
			}
		}
	}
	lines := append([]string{head, ""}, table(rows)...)
	if len(rows) == 1 {
		lines = []string{head, "", "There are no workers."}
	}
	if len(failures) > 0 {
		lines = append(append(lines, ""), failures...)
	}
	if height > 1 && len(lines) > height {
		left := len(lines) - (height - 1)
		lines = append(lines[:height-1], fmt.Sprintf("... and %d more lines", left))
	}
	if width > 0 {
		for i, line := range lines {
			if utf8.RuneCountInString(line) > width {
				lines[i] = string([]rune(line)[:width-1]) + "…"
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func poolRow(scope *ScopeReport, p *PoolReport) []string {
	name := clean(p.Name)
	if p.Name == "" {
		name = "(catch-all)"
	}
	state := p.State
	switch {
	case p.Breaker == "open":
		state = "given up"
	case p.Breaker == "half_open":
		state = "trying again"
	}
	if lost := p.count("lost"); lost > 0 {
		state += fmt.Sprintf(", %d lost", lost)
	}
	queue := strconv.Itoa(p.Queue.Length)
	if p.Kind == kindTasks {
		queue += "/" + strconv.Itoa(p.Queue.Bound)
	}
	if p.Queue.BlockedSenders > 0 {
		queue += fmt.Sprintf("+%d", p.Queue.BlockedSenders)
	}
	c := &p.Counters
	inFlight, done := len(p.Tasks)+p.TasksOmitted, c.Completed
	if p.Kind == kindRequests {
		inFlight, done = p.count("busy"), c.Requests
	}
	var restarts uint64
	for _, n := range c.Restarts {
		restarts += n
	}
	snapshot := "-"
	if p.Snapshot != nil {
		snapshot = shortDuration(time.Duration(p.Snapshot.AgeMS) * time.Millisecond)
	}
	return []string{
		clean(scope.Label), name, p.Kind, state,
		strconv.Itoa(p.count("idle", "busy")), strconv.Itoa(p.count("busy")), fmt.Sprintf("%d/%d", p.today(), p.MaxThreads),
		queue, strconv.Itoa(inFlight), strconv.FormatUint(done, 10), strconv.FormatUint(c.FailedAll()+c.TimedOut, 10),
		p.Histograms.quantile(&p.Histograms.Run, 0.5), p.Histograms.quantile(&p.Histograms.Run, 0.95),
		strconv.FormatUint(restarts, 10), snapshot,
	}
}

// quantile estimates the time below which that share of all lies, even within its bucket as Prometheus does.
func (r *HistogramsReport) quantile(h *HistogramReport, share float64) string {
	var all uint64
	for _, n := range h.Counts {
		all += n
	}
	if all == 0 {
		return "-"
	}
	rank := share * float64(all)
	var below, lower float64
	for i, n := range h.Counts {
		if i == len(r.BoundsUS) {
			break
		}
		upper := float64(r.BoundsUS[i])
		if here := float64(n); below+here >= rank && here > 0 {
			us := lower + (upper-lower)*max(0, rank-below)/here
			return shortDuration(time.Duration(us * float64(time.Microsecond)))
		}
		below += float64(n)
		lower = upper
	}
	return ">" + shortDuration(time.Duration(lower*float64(time.Microsecond)))
}

// shortDuration keeps two or three digits.
func shortDuration(d time.Duration) string {
	number := func(value float64, unit string) string {
		digits := 0
		if value < 9.95 {
			digits = 1
		}
		return strings.TrimSuffix(strconv.FormatFloat(value, 'f', digits, 64), ".0") + unit
	}
	switch seconds := d.Seconds(); {
	case d < time.Millisecond:
		return number(math.Round(seconds*1e6), "us")
	case d < time.Second:
		return number(seconds*1e3, "ms")
	case d < 100*time.Second:
		return number(seconds, "s")
	case d < 100*time.Minute:
		return number(seconds/60, "m")
	case d < 48*time.Hour:
		return number(seconds/3600, "h")
	default:
		return number(seconds/86400, "d")
	}
}

func tasksTable(list *TaskList) string {
	if len(list.Tasks) == 0 {
		return "There are no tasks under way.\n"
	}
	rows := [][]string{{"ID", "SCOPE", "POOL", "STATE", "WORKER", "AGE", "SIZE", "SENDER"}}
	for i := range list.Tasks {
		t := &list.Tasks[i]
		worker := "-"
		if t.Worker != nil {
			worker = strconv.FormatUint(uint64(*t.Worker), 10)
		}
		rows = append(rows, []string{
			strconv.FormatUint(t.ID, 10), clean(t.Scope), clean(t.Pool), t.State, worker,
			shortDuration(time.Duration(t.AgeMS) * time.Millisecond), humanize.IBytes(t.PayloadBytes), clean(t.Sender),
		})
	}
	text := strings.Join(table(rows), "\n") + "\n"
	if list.Omitted > 0 {
		text += fmt.Sprintf("... and %d more\n", list.Omitted)
	}
	return text
}
