package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// row is what a table has of one contestant, by column; terminal and report show the same.
var columns = []string{"contestant", "p50", "95%", "p90", "p99", "p99.9", "per second", "CPU", "switches", "system calls", "futex", "else"}

func row(r *result) []string {
	cells := []string{r.Contestant}
	if r.Missing != "" {
		return append(cells, "–: "+r.Missing)
	}
	if p50, known := r.Numbers["p50"]; known {
		cells = append(cells, duration(p50.Median), duration(p50.Low)+" – "+duration(p50.High))
		for _, q := range quantiles[1:] {
			value, known := r.quantile(q.name, q.share)
			cells = append(cells, cell(duration(value), known))
		}
	} else {
		cells = append(cells, "", "", "", "", "")
	}
	rate, known := r.Numbers["rate"]
	cells = append(cells, cell(amount(rate.Median), known))
	cpu, known := r.Numbers["cpu"]
	cells = append(cells, cell(duration(cpu.Median*1000), known))
	voluntary, known := r.Numbers["voluntary"]
	cells = append(cells, cell(fmt.Sprintf("%.2f + %.2f", voluntary.Median, r.Numbers["involuntary"].Median), known))
	calls, known := r.Counts["syscalls"]
	cells = append(cells, cell(fmt.Sprintf("%.2f", calls), known))
	cells = append(cells, cell(fmt.Sprintf("%.2f", r.Counts["futex calls"]), known))
	var others []string
	for _, name := range []string{"percent", "kB", "MB without", "wakes", "descriptors", "wanted rate"} {
		if value, known := r.Numbers[name]; known {
			others = append(others, fmt.Sprintf("%s %s", name, amount(value.Median)))
		}
	}
	return append(cells, strings.Join(others, ", "))
}

func cell(text string, known bool) string {
	if !known {
		return ""
	}
	return text
}

// duration of so many nanoseconds, to three digits.
func duration(nanoseconds float64) string {
	switch {
	case nanoseconds < 0:
		return "-" + duration(-nanoseconds)
	case nanoseconds < 1e3:
		return digits(nanoseconds) + " ns"
	case nanoseconds < 1e6:
		return digits(nanoseconds/1e3) + " µs"
	case nanoseconds < 1e9:
		return digits(nanoseconds/1e6) + " ms"
	}
	return digits(nanoseconds/1e9) + " s"
}

func digits(value float64) string {
	switch {
	case math.Abs(value) >= 100:
		return fmt.Sprintf("%.0f", value)
	case math.Abs(value) >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

func amount(value float64) string {
	whole := fmt.Sprintf("%.0f", value)
	if math.Abs(value) < 100 {
		return digits(value)
	}
	for place := len(whole) - 3; place > 0; place -= 3 {
		whole = whole[:place] + "," + whole[place:]
	}
	return whole
}

// printCase prints the columns in which somebody has something.
func printCase(to io.Writer, measured []*result) {
	if len(measured) == 0 {
		return
	}
	fmt.Fprintf(to, "\n%s: %s\n", measured[0].Case, measured[0].About)
	rows := [][]string{columns}
	for _, r := range measured {
		rows = append(rows, row(r))
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, cells := range filled(rows) {
		fmt.Fprintln(table, "  "+strings.Join(cells, "\t"))
	}
	table.Flush()
}

// filled drops columns that are empty in all rows but the first.
func filled(rows [][]string) [][]string {
	kept := make([][]string, len(rows))
	for column := range rows[0] {
		used := column < 2
		for _, cells := range rows[1:] {
			used = used || (column < len(cells) && cells[column] != "")
		}
		if !used {
			continue
		}
		for i, cells := range rows {
			if column < len(cells) {
				kept[i] = append(kept[i], cells[column])
			}
		}
	}
	return kept
}
