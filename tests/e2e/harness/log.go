package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Entry is one line of the server's log. Lines that are no JSON (a crash, a script that writes to
// standard error) have their text as Message and an empty Level.
type Entry struct {
	Level   string
	Logger  string
	Message string
	Fields  map[string]any // everything, with level, logger and msg
	Raw     string
}

// Field is a field of the entry as text; empty when it is not there.
func (e Entry) Field(name string) string {
	value, ok := e.Fields[name]
	if !ok {
		return ""
	}
	return fmt.Sprint(value)
}

// Log is all that the server wrote to its standard output and error.
type Log struct {
	mutex   sync.Mutex
	entries []Entry
	waiters []*waiter
}

type waiter struct {
	match func(Entry) bool
	found chan Entry
}

func newLog() *Log { return &Log{} }

func (l *Log) read(from io.Reader) {
	reader := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := reader.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			l.add(parse(line))
		}
		if err != nil {
			return
		}
	}
}

func parse(line string) Entry {
	e := Entry{Raw: line, Message: line}
	if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e.Fields) == nil {
		e.Level, _ = e.Fields["level"].(string)
		e.Logger, _ = e.Fields["logger"].(string)
		e.Message, _ = e.Fields["msg"].(string)
	}
	return e
}

func (l *Log) add(e Entry) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.entries = append(l.entries, e)
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		if w.match(e) {
			w.found <- e
		} else {
			kept = append(kept, w)
		}
	}
	l.waiters = kept
}

// notify gives the first entry that matches, already there or still to come.
func (l *Log) notify(match func(Entry) bool) <-chan Entry {
	found := make(chan Entry, 1)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, e := range l.entries {
		if match(e) {
			found <- e
			return found
		}
	}
	l.waiters = append(l.waiters, &waiter{match, found})
	return found
}

// Entries so far.
func (l *Log) Entries() []Entry {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]Entry(nil), l.entries...)
}

// Find returns the entries whose message contains a text.
func (l *Log) Find(text string) []Entry {
	var found []Entry
	for _, e := range l.Entries() {
		if strings.Contains(e.Message, text) {
			found = append(found, e)
		}
	}
	return found
}

// WaitLog returns the first entry whose message contains a text, and fails the test when none comes.
func (s *Server) WaitLog(text string) Entry {
	s.t.Helper()
	return s.WaitLogFor(text, func(e Entry) bool { return strings.Contains(e.Message, text) })
}

// WaitLogFor is WaitLog with a condition of the test's own.
func (s *Server) WaitLogFor(what string, match func(Entry) bool) Entry {
	s.t.Helper()
	select {
	case e := <-s.Log.notify(match):
		return e
	case <-time.After(patience):
		s.t.Fatalf("no log entry with %s within %s; the log:\n%s", what, patience, s.Log.Tail(60))
		return Entry{}
	}
}

// Tail is the last lines as text.
func (l *Log) Tail(lines int) string {
	entries := l.Entries()
	if len(entries) > lines {
		entries = entries[len(entries)-lines:]
	}
	var text strings.Builder
	for _, e := range entries {
		text.WriteString("    ")
		text.WriteString(e.Raw)
		text.WriteByte('\n')
	}
	return text.String()
}

// crash is an error when the log tells of one.
func (l *Log) crash(allowed []string) error {
	signs := []string{
		"panic:", "fatal error:", "SIGSEGV", "SIGABRT", "WARNING: DATA RACE", "AddressSanitizer",
		"runtime error: ", "terminate called", "Assertion `", "zend_mm_heap corrupted",
	}
lines:
	for _, e := range l.Entries() {
		for _, text := range allowed {
			if strings.Contains(e.Raw, text) {
				continue lines
			}
		}
		for _, sign := range signs {
			// A script's "Fatal error" is PHP's and is logged as JSON; a crash is not.
			if e.Level == "" && strings.Contains(e.Raw, sign) || e.Level == "panic" {
				return fmt.Errorf("the log tells of a crash (%q):\n%s", sign, l.Tail(200))
			}
		}
	}
	return nil
}
