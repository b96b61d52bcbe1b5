package igor

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var workerDirectives = []string{
	"name", "file", "num", "max_threads", "background", "match", "watch", "env", "php_ini", "queue", "overflow", "dispatch",
	"timeout", "updates", "max_payload", "max_wait_time", "max_tasks", "max_requests", "max_memory", "boot_timeout",
	"stop_grace", "max_consecutive_failures", "restart_backoff",
}

var laterWorkerDirectives = map[string]string{
	"max_idle_time": `how long a thread beyond "num" stays idle is said by "max_idle_time" in the global block; remove it here`,
}

// repeatable are the directives that add to what is there.
var repeatable = map[string]bool{"env": true, "php_ini": true, "watch": true}

// parseWorker reads a worker directive; d stands on its name.
//
//	worker [<file> [<num>|watch]] {
//	    name                     <name>
//	    file                     <file>
//	    num                      <threads at boot>|auto|<share of the CPUs>%
//	    max_threads              <threads>
//	    background
//	    match                    <paths...>
//	    watch                    [<patterns...>]
//	    env                      <key> <value>
//	    php_ini                  <key> <value>
//	    queue                    <tasks>
//	    overflow                 block|reject
//	    dispatch                 shared|least_busy|round_robin
//	    timeout                  <duration>|none
//	    updates                  <number>
//	    max_payload              <size>
//	    max_wait_time            <duration>
//	    max_tasks                <tasks>
//	    max_requests             <requests>
//	    max_memory               <size>
//	    boot_timeout             <duration>
//	    stop_grace               <duration>
//	    max_consecutive_failures <number>|-1
//	    restart_backoff          <min> <max>
//	}
//
// A background worker without a name is the catch-all of its scope.
func parseWorker(d *caddyfile.Dispenser, where string, before []WorkerConfig) (WorkerConfig, error) {
	w := WorkerConfig{Source: source(d)}
	// Where each directive stands, so that an error found later points at its line.
	at := map[string]caddyfile.Dispenser{"worker": *d}

	args := d.RemainingArgs()
	if len(args) > 0 {
		w.FileName = args[0]
	}
	if len(args) > 1 {
		if args[1] == "watch" {
			w.Watch = []string{defaultWatchPattern}
		} else {
			var err error
			if w.Num, err = parseThreads(d, "worker "+args[0], args[1]); err != nil {
				return w, err
			}
		}
	}
	if len(args) > 2 {
		return w, d.Errf(`worker: at most a file and a number expected, but %d given (%q is too many); put the rest in a block`, len(args), args[2])
	}

	for nesting := d.Nesting(); d.NextBlock(nesting); {
		directive := d.Val()
		if !repeatable[directive] {
			if first, twice := at[directive]; twice && directive != "worker" {
				return w, d.Errf(`%s: is given twice in this worker (first at %s); remove one`, directive, source(&first))
			}
		}
		at[directive] = *d
		if err := w.parseDirective(d); err != nil {
			return w, err
		}
	}

	all := append(before[:len(before):len(before)], w)
	if err := checkWorkers(all, where); err != nil {
		place := at["worker"]
		if refused, ok := errors.AsType[*fieldError](err); ok {
			if p, ok := at[refused.directive]; ok {
				place = p
			}
		}
		return w, place.WrapErr(err)
	}
	return w, nil
}

func parseThreads(d *caddyfile.Dispenser, directive, v string) (ThreadCount, error) {
	n, err := parseThreadCount(v)
	if err != nil {
		return n, d.Errf(`%s %q: %v; write "%s 2", "%s auto" (one per CPU) or "%s 50%%" (of the CPUs)`, directive, v, err, directive, directive, directive)
	}
	return n, nil
}

// countArg reads a number that means nothing when it is 0.
func countArg(d *caddyfile.Dispenser, example, zero string) (int, error) {
	directive := d.Val()
	n, err := intArg(d, example)
	if err == nil && n == 0 {
		err = d.Errf(`%s 0: %s; write "%s %s", or remove it`, directive, zero, directive, example)
	}
	return n, err
}

// parseDirective reads one line of a worker block.
func (w *WorkerConfig) parseDirective(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "name":
		if w.Name, err = oneArg(d, "thumbnails"); err == nil && w.Name == "" {
			err = d.Err(`name "": is empty; give a name, or leave "name" out for a catch-all`)
		}
	case "file":
		if w.FileName != "" {
			return d.Errf(`file: the script is already given as %q after "worker"; remove one of them`, w.FileName)
		}
		w.FileName, err = oneArg(d, "thumbnails.php")
	case "num":
		var v string
		if v, err = oneArg(d, "2"); err == nil {
			w.Num, err = parseThreads(d, "num", v)
		}
	case "background":
		w.Background = true
		err = noArgs(d)
	case "env":
		err = envArgs(d, &w.Env)
	case "queue":
		w.Queue, err = intArg(d, "100")
	case "overflow":
		w.Overflow, err = oneArg(d, "reject")
	case "dispatch":
		if w.Dispatch, err = oneArg(d, "round_robin"); err == nil && w.Dispatch == "" {
			err = d.Err(`dispatch "": is empty; write "dispatch shared", "dispatch least_busy" or "dispatch round_robin"`)
		}
	case "timeout":
		if args := d.RemainingArgs(); len(args) == 1 && args[0] == "none" {
			return nil
		} else if len(args) == 1 {
			w.Timeout, err = parseDuration(d, "timeout", args[0], "30s")
		} else {
			err = d.Errf(`timeout: one duration expected, but %d given; write "timeout 30s", or "timeout none"`, len(args))
		}
	case "max_wait_time":
		w.MaxWaitTime, err = durationArg(d, "10s")
	case "max_tasks":
		w.MaxTasks, err = countArg(d, "1000", "a worker has to take tasks")
	case "max_requests":
		w.MaxRequests, err = countArg(d, "1000", "a worker has to answer requests")
	case "max_memory":
		w.MaxMemory, err = sizeArg(d, "128MiB", maxMemoryLimit, "1TiB")
	case "boot_timeout":
		w.BootTimeout, err = durationArg(d, "60s")
	case "php_ini":
		err = parsePHPIni(d, &w.PHPIni)
	case "updates":
		if w.Updates, err = intArg(d, "16"); err == nil && w.Updates == 0 {
			err = d.Err(`updates 0: at least one place is needed; write "updates 16"`)
		}
	case "max_payload":
		w.MaxPayload, err = sizeArg(d, "16MiB", maxPayloadLimit, "4GiB")
	case "stop_grace":
		w.StopGrace, err = durationArg(d, "5s")
	case "max_consecutive_failures":
		if w.MaxConsecutiveFailures, err = intArg(d, "6"); err == nil && w.MaxConsecutiveFailures == 0 {
			err = d.Err(`max_consecutive_failures 0: a worker that has not failed is not given up; write "max_consecutive_failures 1" for no second try, or "max_consecutive_failures -1" to try for ever`)
		}
	case "restart_backoff":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf(`restart_backoff: the first and the longest pause expected, but %d given; write "restart_backoff 100ms 10s"`, len(args))
		}
		if w.RestartBackoffMin, err = parseDuration(d, "restart_backoff", args[0], "100ms 10s"); err == nil {
			w.RestartBackoffMax, err = parseDuration(d, "restart_backoff", args[1], "100ms 10s")
		}
	case "max_threads":
		w.MaxThreads, err = countArg(d, "4", "a pool needs at least one thread")
	case "match":
		if w.MatchPath = d.RemainingArgs(); len(w.MatchPath) == 0 {
			err = d.Err(`match: a path is missing; write "match /api/*"`)
		}
	case "watch":
		if args := d.RemainingArgs(); len(args) > 0 {
			w.Watch = append(w.Watch, args...)
		} else {
			w.Watch = append(w.Watch, defaultWatchPattern)
		}
	default:
		err = unknownDirective(d, "worker", workerDirectives, laterWorkerDirectives)
	}
	return err
}
