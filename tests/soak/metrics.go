package soak

import (
	"bufio"
	"regexp"
	"strconv"
	"strings"
)

// metrics is a scrape of the admin endpoint's /metrics.
type metrics []sample

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

func parseMetrics(text string) metrics {
	var m metrics
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		match := sampleLine.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			continue
		}
		s := sample{name: match[1], labels: map[string]string{}, value: value}
		for _, pair := range labelPair.FindAllStringSubmatch(match[2], -1) {
			s.labels[pair[1]] = pair[2]
		}
		m = append(m, s)
	}
	return m
}

// sum of all samples of a name that have these labels.
func (m metrics) sum(name string, labels ...string) (sum float64) {
samples:
	for _, s := range m {
		if s.name != name {
			continue
		}
		for i := 0; i < len(labels); i += 2 {
			if s.labels[labels[i]] != labels[i+1] {
				continue samples
			}
		}
		sum += s.value
	}
	return sum
}

// of is sum, of a pool.
func (m metrics) of(name, pool string, labels ...string) float64 {
	return m.sum(name, append(labels, "pool", pool)...)
}
