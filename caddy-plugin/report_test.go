package igor

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

func TestRunningLoads(t *testing.T) {
	var r runningLoads
	if r.newest() != nil {
		t.Error("an empty list has a newest load")
	}
	first, second := newLoad(), newLoad()
	r.add(first)
	r.add(second)
	if r.newest() != second {
		t.Error("during a reload the new load, once booted, is the one that serves")
	}
	second.retiring.Store(true) // another app of the new configuration did not start
	if r.newest() != first {
		t.Error("when the new load is taken back the old one serves")
	}
	first.retiring.Store(true)
	if r.newest() != second {
		t.Error("when all retire the last of them is shown")
	}
	if all := r.all(); len(all) != 2 || all[0] != second {
		t.Errorf("all() = %v", all)
	}
	r.remove(second)
	r.remove(second)
	if r.newest() != first {
		t.Error("removed the wrong one")
	}
}

func TestReportIsRead(t *testing.T) {
	o := useFakeOperator(t, testReport())
	report, l, err := theReporter.read(t.Context())
	if err != nil || l.generation != 7 || report.HTTP.Requests != 1234 || report.Scopes[0].Pools[0].Counters.Failed["fatal_error"] != 9 {
		t.Fatalf("read() = %+v, %+v, %v", report, l, err)
	}
	o.err = errors.New("out of memory")
	if _, _, err := theReporter.read(t.Context()); err == nil || err.Error() != "reading the state of PHP: out of memory" {
		t.Errorf("read() = %v", err)
	}
	o.err = bridge.ErrGone // the engine was stopped under it
	if _, _, err := theReporter.read(t.Context()); !errors.Is(err, errNotRunning) {
		t.Errorf("read() = %v", err)
	}
}

func TestReportWithoutPHP(t *testing.T) {
	useFakeOperator(t, testReport())
	running.remove(running.newest())
	if _, _, err := theReporter.read(t.Context()); !errors.Is(err, errNotRunning) {
		t.Errorf("read() = %v", err)
	}
}

// TestReportOfAReload: a generation that is gone by the time of the question is no error when another has followed.
func TestReportOfAReload(t *testing.T) {
	useFakeOperator(t, testReport())
	old := running.newest()
	theReporter.operator = reloadingOperator{old: old, new: newLoad()}
	_, l, err := theReporter.read(t.Context())
	if err != nil || l == old {
		t.Errorf("read() = %v, %v", l, err)
	}
	running.remove(l)
}

// reloadingOperator has a reload happen during the first report.
type reloadingOperator struct {
	operator
	old, new *load
}

func (o reloadingOperator) Report(g bridge.Generation) ([]byte, error) {
	if g == o.old.generation {
		running.remove(o.old)
		o.new.generation = g + 1
		running.add(o.new)
		return nil, bridge.ErrGone
	}
	return json.Marshal(testReport())
}

// TestReportThatHangs: all who ask are answered in time, and one thread at most is held up.
func TestReportThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := useFakeOperator(t, testReport())
		o.blocked = make(chan struct{})
		began := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, _, err := theReporter.read(context.Background()); !errors.Is(err, errNoAnswer) {
					t.Errorf("read() = %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != reportPatience {
			t.Errorf("answered after %v, want %v", took, reportPatience)
		}
		if n := o.readCount(); n != 1 {
			t.Errorf("%d reports were begun while one hung", n)
		}
		close(o.blocked)
		synctest.Wait()
		if _, _, err := theReporter.read(context.Background()); err != nil {
			t.Errorf("once it goes on: %v", err)
		}
	})
}

// TestReportIsFresh: a report that was begun before the question does not answer it.
func TestReportIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := useFakeOperator(t, testReport())
		o.blocked = make(chan struct{})
		early := theReporter.ask()
		synctest.Wait()
		late, later := theReporter.ask(), theReporter.ask()
		if early == late || late != later {
			t.Error("those who come while a report is read must share the next one")
		}
		close(o.blocked)
		<-late.done
		if n := o.readCount(); n != 2 {
			t.Errorf("%d reports were read, want 2", n)
		}
	})
}
