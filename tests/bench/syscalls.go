package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// The events that are counted in a round of their own, and the names that their numbers go by per operation.
var counted = []struct{ event, name string }{
	{"raw_syscalls:sys_enter", "syscalls"},
	{"syscalls:sys_enter_futex", "futex calls"},
}

// canCount says why system calls can't be counted here, or nil. The kernel's tracepoints take root and tracefs.
func canCount() error {
	out, err := exec.Command("perf", perfArguments("true")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("perf: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func perfArguments(rest ...string) []string {
	var events []string
	for _, one := range counted {
		events = append(events, one.event)
	}
	return append([]string{"stat", "-x", ",", "-e", strings.Join(events, ",")}, rest...)
}

// countDuring counts what all threads of a process do while work is under way.
func countDuring(pid int, work func() error) (map[string]float64, error) {
	control, toPerf, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromPerf, acknowledge, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer fromPerf.Close()
	// Begins disabled, and says when it has done as it was told: no call of the work goes uncounted.
	perf := exec.Command("perf", perfArguments("-D", "-1", "--control", "fd:3,4", "-p", strconv.Itoa(pid))...)
	perf.ExtraFiles = []*os.File{control, acknowledge}
	var report bytes.Buffer
	perf.Stderr = &report
	err = perf.Start()
	control.Close()
	acknowledge.Close()
	if err != nil {
		toPerf.Close()
		return nil, err
	}
	answers := bufio.NewReader(fromPerf)
	tell := func(command string) error {
		if _, err := toPerf.WriteString(command + "\n"); err != nil {
			return err
		}
		_, err := answers.ReadString('\n')
		return err
	}
	failure := tell("enable")
	if failure == nil {
		failure = work()
	}
	if failure == nil {
		failure = tell("disable")
	}
	toPerf.Close()
	_ = perf.Process.Signal(os.Interrupt)
	_ = perf.Wait() // interrupted: its status says just that
	if failure != nil {
		return nil, fmt.Errorf("counting: %w %s", failure, report.String())
	}
	numbers := make(map[string]float64)
	for line := range strings.Lines(report.String()) {
		fields := strings.Split(line, ",")
		for _, one := range counted {
			if len(fields) > 2 && strings.HasPrefix(fields[2], one.event) {
				if number, err := strconv.ParseFloat(fields[0], 64); err == nil {
					numbers[one.name] = number
				}
			}
		}
	}
	if len(numbers) != len(counted) {
		return nil, fmt.Errorf("perf said: %s", report.String())
	}
	return numbers, nil
}
