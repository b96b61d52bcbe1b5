package igor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// The readers of single values in a Caddyfile. Each takes the arguments that must follow a directive's name, refuses more
// and fewer of them, and says in its error what was expected, with an example that can be copied.

func oneArg(d *caddyfile.Dispenser, example string) (string, error) {
	directive := d.Val()
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		return "", d.Errf(`%s: a value is missing; write "%s %s"`, directive, directive, example)
	case len(args) > 1:
		return "", d.Errf(`%s: one value expected, but %d given (%s); write "%s %s"`, directive, len(args), strings.Join(args, " "), directive, example)
	}
	return args[0], nil
}

func intArg(d *caddyfile.Dispenser, example string) (int, error) {
	directive := d.Val()
	v, err := oneArg(d, example)
	if err != nil {
		return 0, err
	}
	return parseInt(d, directive, v, example)
}

func parseInt(d *caddyfile.Dispenser, directive, v, example string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, d.Errf(`%s %q: is not a whole number; write "%s %s"`, directive, v, directive, example)
	}
	return n, nil
}

func durationArg(d *caddyfile.Dispenser, example string) (caddy.Duration, error) {
	directive := d.Val()
	v, err := oneArg(d, example)
	if err != nil {
		return 0, err
	}
	return parseDuration(d, directive, v, example)
}

func parseDuration(d *caddyfile.Dispenser, directive, v, example string) (caddy.Duration, error) {
	dur, err := caddy.ParseDuration(v)
	if err != nil {
		return 0, d.Errf(`%s %q: is not a duration; give a number with its unit (ms, s, m, h), as in "%s %s"`, directive, v, directive, example)
	}
	if dur <= 0 || dur > maxDuration {
		return 0, d.Errf(`%s %q: must be above zero and at most a year; write "%s %s"`, directive, v, directive, example)
	}
	// The library counts in milliseconds.
	return caddy.Duration((dur + time.Millisecond - 1).Truncate(time.Millisecond)), nil
}

// durationOrNoneArg takes 0 as well, for no bound.
func durationOrNoneArg(d *caddyfile.Dispenser, example string) (caddy.Duration, error) {
	directive := d.Val()
	v, err := oneArg(d, example)
	if err != nil || v == "0" {
		return 0, err
	}
	return parseDuration(d, directive, v, example)
}

func sizeArg(d *caddyfile.Dispenser, example string, limit uint64, limitText string) (int64, error) {
	directive := d.Val()
	v, err := oneArg(d, example)
	if err != nil {
		return 0, err
	}
	size, err := humanize.ParseBytes(v)
	if err != nil || size == 0 || size > limit {
		return 0, d.Errf(`%s %q: is not a size between 1 byte and %s; write "%s %s"`, directive, v, limitText, directive, example)
	}
	return int64(size), nil
}

func envArgs(d *caddyfile.Dispenser, env *map[string]string) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf(`env: a name and a value expected, but %d given; write "env NAME value" (quote a value with spaces)`, len(args))
	}
	if err := checkEnvPair(args[0], args[1]); err != nil {
		return d.WrapErr(err)
	}
	if *env == nil {
		*env = make(map[string]string)
	}
	(*env)[args[0]] = args[1]
	return nil
}

func noArgs(d *caddyfile.Dispenser) error {
	directive := d.Val()
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf(`%s: takes no value, but there is %q; write "%s" alone on its line`, directive, strings.Join(args, " "), directive)
	}
	return nil
}

// unknownDirective refuses d.Val(): with the nearest known name when it looks like a slip of the finger, and with the whole
// list. later has names that FrankenPHP knows and Igor does not have yet.
func unknownDirective(d *caddyfile.Dispenser, block string, known []string, later map[string]string) error {
	given := d.Val()
	if why, ok := later[given]; ok {
		return d.Errf(`%s: is not available in this version of Igor: %s`, given, why)
	}
	guess := ""
	if n := nearest(given, known); n != "" {
		guess = fmt.Sprintf("; did you mean %q?", n)
	}
	return d.Errf(`%s: unknown directive in the %s block%s (known: %s)`, given, block, guess, strings.Join(known, ", "))
}

// nearest finds the known name that is a few keystrokes away from given, or nothing.
func nearest(given string, known []string) string {
	best, bestDistance := "", 3
	if len(given) <= 3 {
		bestDistance = 2
	}
	for _, name := range known {
		if dist := editDistance(given, name); dist < bestDistance {
			best, bestDistance = name, dist
		}
	}
	return best
}

// editDistance counts the letters to insert, remove, replace or swap with their neighbour.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	var before, last, row [65]int
	if len(b) >= len(row) {
		return len(b)
	}
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// source says where a directive stands, for the messages that come after the Caddyfile has become JSON.
func source(d *caddyfile.Dispenser) string { return fmt.Sprintf("%s:%d", d.File(), d.Line()) }
