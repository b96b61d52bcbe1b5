package soak

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// history is what the scripts say that has happened, each side in a file of its own:
//
//	sent TASK POOL END UPDATES      by the sender; END is Completed, Cancelled, a reason of failure, or refused
//	run POOL RUN                    by a worker's script when it starts
//	got TASK POOL RUN               when it takes a task
//	complete|die|heard TASK UPDATES as its last word on it: it completes it, fails it or dies with it, or has found
//	                                that the other side ended it; and how many updates it has sent
//
// Lines stand in the files in the order of what happened. Between two looks tasks that have ended and were checked are
// forgotten; what stays are sums.
type history struct {
	dir     string
	offsets map[string]int64
	tasks   map[string]*taskHistory
	pools   map[string]*poolHistory
	// wants says what a request's tasks may end as; asked once for each task.
	wants func(task string) []string
}

type taskHistory struct {
	pool, end       string
	sent, worked    int // updates, as both sides count
	got             int
	word, run, lost string
}

// poolHistory are sums, in the words of the metrics.
type poolHistory struct {
	runs, accepted, refused, started, updates int
	ended                                     map[string]int // by sender's word
	deaths                                    int            // of the script, with a task in hand
	// Tasks whose worker was interrupted because it went on after the deadline, and so had no last word.
	unsaid int
	// Runs of the script that were: when that came at once, nobody has said either which task was got.
	interrupted int
}

func newHistory(dir string, wants func(task string) []string) *history {
	return &history{dir: dir, offsets: map[string]int64{}, tasks: map[string]*taskHistory{}, pools: map[string]*poolHistory{}, wants: wants}
}

func (h *history) task(id string) *taskHistory {
	t := h.tasks[id]
	if t == nil {
		t = &taskHistory{}
		h.tasks[id] = t
	}
	return t
}

func (h *history) pool(name string) *poolHistory {
	p := h.pools[name]
	if p == nil {
		p = &poolHistory{ended: map[string]int{}}
		h.pools[name] = p
	}
	return p
}

// lines gives what was written to a file since the last call.
func (h *history) lines(name string, each func(fields []string) error) error {
	path := filepath.Join(h.dir, name)
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	data := make([]byte, info.Size()-h.offsets[name])
	if _, err := file.ReadAt(data, h.offsets[name]); err != nil {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return fmt.Errorf("%s does not end with a whole line", path)
	}
	h.offsets[name] = info.Size()
	for line := range bytes.Lines(data) {
		if err := each(strings.Fields(string(line))); err != nil {
			return fmt.Errorf("%s: %q: %w", path, line, err)
		}
	}
	return nil
}

// look reads on in both files and checks every task. Nothing runs meanwhile.
func (h *history) look() []error {
	var errs []error
	note := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := h.lines("workers", h.workerLine); err != nil {
		return append(errs, err)
	}
	if err := h.lines("senders", h.senderLine); err != nil {
		return append(errs, err)
	}
	for id, t := range h.tasks {
		if t.lost != "" {
			note("task %s: %s", id, t.lost)
			continue
		}
		if t.end == "" {
			note("task %s was taken by a worker of %s, and nobody says that he sent it", id, t.pool)
			continue
		}
		if !slices.Contains(h.wants(id), t.end) {
			note("task %s ended as %q, may as %v", id, t.end, h.wants(id))
		}
		word := map[string]string{"Completed": "complete", "Cancelled": "heard", "Deadline": "heard"}[t.end]
		if word == "" {
			word = "die"
		}
		switch {
		case t.end == "refused":
			if t.got > 0 {
				note("task %s was refused, and a worker got it", id)
			}
		case t.got == 0:
			if t.end != "Cancelled" && t.end != "Deadline" {
				note("task %s ended as %q, and no worker ever got it", id, t.end)
			}
		case t.end == "Deadline" && t.word == "":
			h.pool(t.pool).unsaid++
		case t.word != word:
			note("task %s ended as %q for its sender, and its worker says %q", id, t.end, t.word)
		case t.end != "Cancelled" && t.sent != t.worked:
			note("task %s: %d updates were sent and %d came", id, t.worked, t.sent)
		case t.sent > t.worked:
			note("task %s: %d updates came, and only %d were sent", id, t.sent, t.worked)
		}
	}
	clear(h.tasks)
	return errs
}

func (h *history) workerLine(f []string) error {
	if len(f) == 3 && f[0] == "run" {
		h.pool(f[1]).runs++
		return nil
	}
	if len(f) < 3 {
		return fmt.Errorf("is no line of a worker")
	}
	t := h.task(f[1])
	if f[0] == "got" {
		if t.got++; t.got > 1 {
			t.lost = fmt.Sprintf("run twice, by %s and %s", t.run, f[3])
		}
		t.pool, t.run = f[2], f[3]
		h.pool(t.pool).started++
		return nil
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		return err
	}
	switch {
	case t.got == 0:
		t.lost = "somebody has done it who had not got it"
	case t.word != "":
		t.lost = fmt.Sprintf("its worker said %q and then %q", t.word, f[0])
	}
	t.word, t.worked = f[0], n
	p := h.pool(t.pool)
	p.updates += n
	if f[0] == "die" {
		p.deaths++
	}
	return nil
}

func (h *history) senderLine(f []string) error {
	if len(f) != 5 || f[0] != "sent" {
		return fmt.Errorf("is no line of a sender")
	}
	n, err := strconv.Atoi(f[4])
	if err != nil {
		return err
	}
	t := h.task(f[1])
	if t.end != "" {
		t.lost = "its sender tells of two ends"
	}
	if t.got > 0 && t.pool != f[2] {
		t.lost = "sent to " + f[2] + ", and got by a worker of " + t.pool
	}
	t.pool, t.end, t.sent = f[2], f[3], n
	p := h.pool(f[2])
	if f[3] == "refused" {
		p.refused++
		return nil
	}
	p.accepted++
	p.ended[f[3]]++
	return nil
}

// mostUpdates of one task.
const mostUpdates = 3

// reasons of failure, as PHP and as the metrics call them.
var reasons = map[string]string{
	"Exited": "exited", "UncaughtException": "uncaught_exception", "FatalError": "fatal_error", "MemoryLimit": "memory_limit",
	"WorkerLost": "worker_lost", "Shutdown": "shutdown", "Abandoned": "abandoned",
}

// runs of all pools' scripts.
func (h *history) runs() (all int) {
	for _, p := range h.pools {
		all += p.runs
	}
	return all
}

// compare holds the server's own numbers against the history.
func (h *history) compare(m metrics) []error {
	var errs []error
	same := func(pool, what string, history int, metric float64) {
		if float64(history) != metric {
			errs = append(errs, fmt.Errorf("pool %s: %s: the server counts %v, the history %d", pool, what, metric, history))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.pools)) {
		p := h.pools[name]
		same(name, "accepted", p.accepted, m.of("igor_tasks_accepted_total", name))
		same(name, "refused", p.refused, m.of("igor_tasks_refused_total", name))
		if started := m.of("igor_tasks_started_total", name); started < float64(p.started) || started > float64(p.started+p.interrupted) {
			same(name, "started", p.started, started)
		}
		if updates := m.of("igor_task_updates_total", name); p.unsaid == 0 || updates > float64(p.updates+mostUpdates*p.unsaid) {
			same(name, "updates", p.updates, updates)
		}
		same(name, "runs of the script", p.runs, m.of("igor_worker_starts_total", name))
		same(name, "in flight", 0, m.of("igor_tasks_in_flight", name))
		same(name, "completed", p.ended["Completed"], m.of("igor_tasks_ended_total", name, "outcome", "completed"))
		same(name, "cancelled", p.ended["Cancelled"], m.of("igor_tasks_ended_total", name, "outcome", "cancelled"))
		same(name, "timed out", p.ended["Deadline"], m.of("igor_tasks_ended_total", name, "outcome", "timed_out"))
		for reason, label := range reasons {
			same(name, "failed: "+reason, p.ended[reason], m.of("igor_tasks_ended_total", name, "outcome", "failed", "reason", label))
		}
		same(name, "sum of all ends", p.accepted, m.of("igor_tasks_ended_total", name))
		same(name, "durations measured", p.accepted, m.of("igor_task_duration_seconds_count", name))
	}
	return errs
}
