package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for what must come, however much else the machine has to do.
const patience = time.Minute

// Eventually tries until it works, for what the server does at its own time and tells nobody of.
func Eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	limit := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// AwaitFile waits until a script has written a file.
func AwaitFile(t testing.TB, path, content string) {
	t.Helper()
	Eventually(t, path, func() error {
		if data, err := os.ReadFile(path); err != nil || string(data) != content {
			return fmt.Errorf("it holds %q, want %q (%v)", data, content, err)
		}
		return nil
	})
}

// Parallel runs the function n times at once and waits for all of them.
func Parallel(n int, run func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			run(i)
		}()
	}
	all.Wait()
}

// JSONOf reads a response's body as JSON into a new T.
func JSONOf[T any](t testing.TB, r Response) T {
	t.Helper()
	var value T
	if r.Status != 200 {
		t.Fatalf("answered %d %q, want 200 and JSON", r.Status, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), &value); err != nil {
		t.Fatalf("%v in %q", err, r.Body)
	}
	return value
}

// Gate holds PHP scripts up until the test lets them go: a script reads the named pipe, which blocks
// until the test opens it. So a test knows what is under way without looking at a clock.
type Gate struct{ Path string }

func NewGate(t testing.TB) *Gate {
	t.Helper()
	dir, err := os.MkdirTemp("", "igor-gate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &Gate{filepath.Join(dir, "gate")}
	if err := syscall.Mkfifo(g.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// AwaitReader opens the gate's writing end, which succeeds when a script has come to it.
func (g *Gate) AwaitReader(t testing.TB) *os.File {
	t.Helper()
	opened := make(chan *os.File, 1)
	go func() {
		file, err := os.OpenFile(g.Path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
		}
		opened <- file
	}()
	select {
	case file := <-opened:
		return file
	case <-time.After(patience):
		t.Fatalf("no script came to the gate within %s", patience)
		return nil
	}
}
