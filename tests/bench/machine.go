package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// machine is where a run was made, as far as it matters and without its name.
type machine struct {
	CPU      string   `json:"cpu"`
	CPUs     int      `json:"cpus"`
	Virtual  string   `json:"virtual,omitempty"`
	Memory   string   `json:"memory"`
	Kernel   string   `json:"kernel"`
	System   string   `json:"system"`
	Go       string   `json:"go"`
	Compiler string   `json:"compiler"`
	PHP      string   `json:"php"`
	Revision string   `json:"revision"`
	Servers  []string `json:"servers"`
	Rounds   int      `json:"rounds"`
	Batch    string   `json:"batch"`
}

func describeMachine(checkout string) machine {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = lineOf("/proc/cpuinfo", "model name", ":")
	m.System = strings.Trim(lineOf("/etc/os-release", "PRETTY_NAME", "="), `"`)
	if kilobytes := strings.Fields(lineOf("/proc/meminfo", "MemTotal", ":")); len(kilobytes) > 0 {
		var amount float64
		if _, err := fmt.Sscan(kilobytes[0], &amount); err == nil {
			m.Memory = fmt.Sprintf("%.0f GB", amount/(1<<20))
		}
	}
	var name syscall.Utsname
	if syscall.Uname(&name) == nil {
		// Only the version: what follows it may be the name of a place.
		m.Kernel = "Linux " + strings.SplitN(text(name.Release[:]), "-", 2)[0] + " " + text(name.Machine[:])
	}
	for line := range strings.Lines(outputOf("lscpu")) {
		if rest, found := strings.CutPrefix(line, "Hypervisor vendor:"); found {
			m.Virtual = strings.TrimSpace(rest)
		}
	}
	m.Compiler = strings.TrimSpace(strings.SplitN(outputOf("c++", "--version"), "\n", 2)[0])
	m.Revision = strings.TrimSpace(outputOf("git", "-C", checkout, "describe", "--always", "--dirty"))
	return m
}

func text(field []int8) string {
	var letters strings.Builder
	for _, letter := range field {
		if letter == 0 {
			break
		}
		letters.WriteByte(byte(letter))
	}
	return letters.String()
}

func lineOf(path, begin, separator string) string {
	content, _ := os.ReadFile(path)
	for line := range strings.Lines(string(content)) {
		if rest, found := strings.CutPrefix(line, begin); found {
			return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), separator))
		}
	}
	return "unknown"
}

func outputOf(command string, arguments ...string) string {
	output, _ := exec.Command(command, arguments...).Output()
	return string(output)
}

func checkout() string { return filepath.Join(here(), "..", "..") }
