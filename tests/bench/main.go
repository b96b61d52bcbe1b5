// Command bench measures what tasks and requests cost: Igor, the floors of the machine, what one would do instead, and
// any other server that has the same PHP functions, in turn. See docs/benchmarks.md for what came out, and
// `./dev bench --help`.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// Children get a signal when the thread that started them ends: that is the main one, which never does.
func init() { runtime.LockOSThread() }

type options struct {
	only, skip             *regexp.Regexp
	rounds                 int
	batch                  time.Duration
	list, report, noCounts bool
	against, name, dialect string
	output, compare        string
	igor, build            string
}

func parseOptions(arguments []string) (*options, error) {
	flags := flag.NewFlagSet("./dev bench", flag.ContinueOnError)
	o := new(options)
	only := flags.String("only", "", "only cases whose name matches this `pattern` (a regular expression)")
	skip := flags.String("skip", "", "no cases whose name matches this `pattern`")
	quick := flags.Bool("quick", false, "two short rounds: whether all works, not how fast it is")
	flags.IntVar(&o.rounds, "rounds", 8, "so many rounds of each case")
	flags.DurationVar(&o.batch, "batch", 150*time.Millisecond, "so long for one contestant in one round; some cases take a multiple")
	flags.BoolVar(&o.list, "list", false, "list the cases and contestants, and measure nothing")
	flags.BoolVar(&o.report, "report", false, "write docs/benchmarks.md and its plots from all results there are")
	flags.BoolVar(&o.noCounts, "no-counts", false, "don't count system calls")
	flags.StringVar(&o.against, "against", "", "`command` that starts another server with the same PHP functions in the foreground;\n"+
		"{caddyfile}, {root} and {port} are put in, and in the environment as BENCH_CADDYFILE,\nBENCH_ROOT and BENCH_PORT: 'frankenphp run --config {caddyfile}'")
	flags.StringVar(&o.name, "name", "the other server", "what the server of --against is called")
	flags.StringVar(&o.dialect, "dialect", "frankenphp", "the Caddyfile for it is written for `frankenphp` (no queues) or igor")
	flags.StringVar(&o.output, "json", "", "results go to this `file`, in place of those that it has of the same cases\n(default build/bench/results.json)")
	flags.StringVar(&o.compare, "compare", "", "compare with the results in this `file`")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q; ./dev bench --help lists the options", flags.Arg(0))
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, err
	}
	if *skip != "" {
		if o.skip, err = regexp.Compile(*skip); err != nil {
			return nil, err
		}
	}
	if o.dialect != "frankenphp" && o.dialect != "igor" {
		return nil, fmt.Errorf("--dialect is frankenphp or igor, not %q", o.dialect)
	}
	if *quick {
		o.rounds, o.batch = 2, 30*time.Millisecond
	}
	o.build = filepath.Join(checkout(), "build")
	if o.output == "" {
		o.output = filepath.Join(o.build, "bench", "results.json")
	}
	if o.igor = os.Getenv("IGOR_BIN"); o.igor == "" {
		o.igor = filepath.Join(o.build, "bin", "igor")
	}
	return o, nil
}

func (o *options) selects(name string) bool {
	return o.only.MatchString(name) && (o.skip == nil || !o.skip.MatchString(name))
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if err == nil {
		err = bench(o)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(o *options) error {
	all, err := readResults(o.output)
	if errors.Is(err, os.ErrNotExist) {
		all, err = new(results), nil
	}
	if err != nil {
		return err
	}
	// Now: it may be the very file that this run writes to.
	var before *results
	if o.compare != "" {
		if before, err = readResults(o.compare); err != nil {
			return err
		}
	}
	command := o.igor + " run --config {caddyfile} --adapter caddyfile"
	t := &suite{
		batch: o.batch, results: all, tools: findTools(o.build), capacity: make(map[string]map[string]float64),
		igor:     &brand{label: "Igor", command: command, dialect: "igor"},
		spinless: &brand{label: "Igor, spin off", command: command, dialect: "igor", env: []string{"IGOR_SPIN=0"}},
	}
	brands := []*brand{t.igor, t.spinless}
	if o.against != "" {
		t.rival = &brand{label: o.name, command: o.against, dialect: o.dialect, guest: true}
		brands = append(brands, t.rival)
	}
	for _, b := range brands {
		s, err := b.start(&setup{threads: 2})
		if err != nil {
			return err
		}
		if err := s.stop(); err != nil {
			return err
		}
	}
	cases := t.build()
	if o.list {
		list(cases, o)
		return nil
	}
	all.Machine = describeMachine(checkout())
	all.Machine.Rounds, all.Machine.Batch, all.Machine.PHP = o.rounds, o.batch.String(), t.igor.probed.PHP
	for _, b := range brands {
		all.Machine.Servers = append(all.Machine.Servers, fmt.Sprintf("%s (PHP %s, SAPI %s, opcache %v)", b.label, b.probed.PHP, b.probed.SAPI, b.probed.Opcache))
	}
	if err := run(o, t, cases); err != nil {
		return err
	}
	printTargets(os.Stdout, all)
	if before != nil {
		printComparison(os.Stdout, before, all, o)
	}
	if o.report {
		return writeReport(filepath.Join(checkout(), "docs"), all)
	}
	return nil
}

func list(cases []testCase, o *options) {
	for _, c := range cases {
		if !o.selects(c.name) {
			continue
		}
		fmt.Printf("%-28s %s\n", c.name, c.about)
		for _, e := range c.entries {
			fmt.Printf("%-28s   %s", "", e.contestant)
			if e.missing != "" {
				fmt.Printf(" (not present: %s)", e.missing)
			}
			fmt.Println()
		}
	}
}
