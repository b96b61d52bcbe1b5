package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"golang.org/x/perf/benchmath"
)

// printComparison says, for each number that both runs have, how it changed, and with what probability chance alone
// would make as much of a difference (Mann and Whitney's test; a difference counts below 0.05).
func printComparison(to io.Writer, before, after *results, o *options) {
	fmt.Fprintf(to, "\ncompared with %s (~: no difference that shows):\n", o.compare)
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  case\tcontestant\twhat\tbefore\tnow\tchange\tp")
	for _, now := range after.Results {
		then := before.find(now.Case, now.Contestant)
		if then == nil || now.Missing != "" || !o.selects(now.Case) {
			continue
		}
		for _, which := range []string{"p50", "rate", "cpu", "percent", "kB"} {
			old, new := then.Rounds[which], now.Rounds[which]
			// Where times are known, the rate says the same again.
			if len(old) == 0 || len(new) == 0 || (which == "rate" && len(now.Rounds["p50"]) > 0 && now.Numbers["wanted rate"].Median == 0 && !isThroughput(now.Case)) {
				continue
			}
			show := map[string]func(float64) string{"p50": duration, "cpu": func(v float64) string { return duration(v * 1000) }}[which]
			if show == nil {
				show = amount
			}
			change, comparison := changeOf(old, new)
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\t%.3f\n", now.Case, now.Contestant, which, show(then.Numbers[which].Median), show(now.Numbers[which].Median), change, comparison.P)
		}
		for name, new := range now.Counts {
			if old, known := then.Counts[name]; known {
				fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%+.1f%%\t\n", now.Case, now.Contestant, name, digits(old), digits(new), (new/old-1)*100)
			}
		}
	}
	table.Flush()
}

// changeOf two series of rounds: in percent of the median, or ~ where chance may have made it.
func changeOf(old, new []float64) (string, benchmath.Comparison) {
	thresholds := &benchmath.DefaultThresholds
	a, b := benchmath.NewSample(old, thresholds), benchmath.NewSample(new, thresholds)
	comparison := benchmath.AssumeNothing.Compare(a, b)
	center := benchmath.AssumeNothing.Summary(a, 0.95).Center
	return comparison.FormatDelta(center, benchmath.AssumeNothing.Summary(b, 0.95).Center), comparison
}

func isThroughput(name string) bool {
	return len(name) > 5 && (name[:5] == "crowd" || name[:5] == "http/")
}
