package igor

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var workerDirectives = []string{
	"name", "file", "num", "background", "env", "queue", "overflow", "timeout", "updates", "max_payload", "stop_grace",
	"max_consecutive_failures", "restart_backoff", "max_threads",
}

var laterWorkerDirectives = map[string]string{
	"max_requests":  "workers run until they end by themselves; remove it",
	"max_idle_time": "workers of a pool stay once they are started; remove it",
}

// parseWorker reads a worker directive; d stands on its name.
//
//	worker [<file> [<num>]] {
//	    name                     <name>
//	    file                     <file>
//	    num                      <threads at boot>
//	    background
//	    env                      <key> <value>
//	    queue                    <tasks>
//	    overflow                 block|reject
//	    timeout                  <duration>
//	    updates                  <number>
//	    max_payload              <size>
//	    stop_grace               <duration>
//	    max_consecutive_failures <number>|-1
//	    restart_backoff          <min> <max>
//	    max_threads              <threads>
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
			w.Watch = append(w.Watch, "")
		} else {
			num, err := parseInt(d, "worker "+args[0], args[1], "2")
			if err != nil {
				return w, err
			}
			w.Num = num
		}
	}
	if len(args) > 2 {
		return w, d.Errf(`worker: at most a file and a number expected, but %d given (%q is too many); put the rest in a block`, len(args), args[2])
	}

	for nesting := d.Nesting(); d.NextBlock(nesting); {
		directive := d.Val()
		if directive != "env" {
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
		w.Num, err = intArg(d, "2")
	case "background":
		w.Background = true
		err = noArgs(d)
	case "env":
		err = envArgs(d, &w.Env)
	case "queue":
		w.Queue, err = intArg(d, "100")
	case "overflow":
		w.Overflow, err = oneArg(d, "reject")
	case "timeout":
		w.Timeout, err = durationArg(d, "30s")
	case "updates":
		if w.Updates, err = intArg(d, "16"); err == nil && w.Updates == 0 {
			err = d.Err(`updates 0: at least one place is needed; write "updates 16"`)
		}
	case "max_payload":
		w.MaxPayload, err = sizeArg(d, "16MiB")
	case "stop_grace":
		w.StopGrace, err = durationArg(d, "5s")
	case "max_consecutive_failures":
		w.MaxConsecutiveFailures, err = intArg(d, "6")
	case "restart_backoff":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf(`restart_backoff: the first and the longest pause expected, but %d given; write "restart_backoff 100ms 10s"`, len(args))
		}
		if w.RestartBackoffMin, err = parseDuration(d, "restart_backoff", args[0], "100ms 10s"); err == nil {
			w.RestartBackoffMax, err = parseDuration(d, "restart_backoff", args[1], "100ms 10s")
		}
	case "max_threads":
		if w.MaxThreads, err = intArg(d, "4"); err == nil && w.MaxThreads == 0 {
			err = d.Err(`max_threads 0: a pool needs at least one thread; write "max_threads 4", or remove it`)
		}
	case "match":
		if w.MatchPath = d.RemainingArgs(); len(w.MatchPath) == 0 {
			err = d.Err(`match: a path is missing; write "match /api/*"`)
		}
	case "watch":
		w.Watch = append(d.RemainingArgs(), "")
	default:
		err = unknownDirective(d, "worker", workerDirectives, laterWorkerDirectives)
	}
	return err
}
