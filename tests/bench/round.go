package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The quantiles that are reported, and their names.
var quantiles = []struct {
	name  string
	share float64
}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}}

// round is what one contestant did in one round of one case: numbers by name. Times are in nanoseconds ("p50" and so
// on), "rate" is per second, "cpu" in microseconds per operation, "voluntary" and "involuntary" are context switches
// per operation; others are the case's own.
type round struct {
	numbers map[string]float64
	times   *hdrhistogram.Histogram // null where only quantiles are known
}

// newTimes is a histogram for anything from a nanosecond to a minute, true to three digits.
func newTimes() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(time.Minute), 3) }

func roundOf(times *hdrhistogram.Histogram) *round {
	r := &round{numbers: make(map[string]float64), times: times}
	for _, q := range quantiles {
		r.numbers[q.name] = float64(times.ValueAtPercentile(q.share))
	}
	return r
}

// summary of one number over the rounds: the median, and where it lies with a probability of 95%.
type summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// summarize by the bootstrap: medians of many samples drawn from the rounds. Nothing is assumed of how the numbers are
// distributed. The same numbers always give the same interval.
func summarize(values []float64) summary {
	const draws = 2000
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	if len(sorted) == 0 {
		return summary{math.NaN(), math.NaN(), math.NaN()}
	}
	random := rand.New(rand.NewPCG(1, 2))
	medians := make([]float64, draws)
	sample := make([]float64, len(sorted))
	for i := range medians {
		for j := range sample {
			sample[j] = sorted[random.IntN(len(sorted))]
		}
		slices.Sort(sample)
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	return summary{median(sorted), medians[draws*25/1000], medians[draws*975/1000]}
}
