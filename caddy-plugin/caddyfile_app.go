package igor

import (
	"errors"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

var appDirectives = []string{"num_threads", "max_threads", "max_wait_time", "max_idle_time", "max_requests", "php_ini", "worker"}

var laterAppDirectives = map[string]string{
	"hot_reload": `browsers are not told of changed files; remove it, and let "watch" in a worker restart it when files change`,
}

// UnmarshalCaddyfile reads the global options block igor, or frankenphp, which is the same:
//
//	{
//	    igor {
//	        num_threads   <number>
//	        max_threads   <number>|auto
//	        max_wait_time <duration>
//	        max_idle_time <duration>
//	        max_requests  <number>
//	        php_ini       <key> <value>
//	        php_ini {
//	            <key> <value>
//	        }
//	        worker        ...
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the block's name
	block := d.Val()
	a.Source = source(d)
	if err := noArgs(d); err != nil {
		return err
	}
	// Where each directive stands, so that an error that concerns two points at the later one.
	at := map[string]caddyfile.Dispenser{block: *d}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		directive := d.Val()
		if first, twice := at[directive]; twice && directive != "php_ini" && directive != "worker" {
			return d.Errf(`%s: is given twice in this block (first at %s); remove one`, directive, source(&first))
		}
		at[directive] = *d
		switch directive {
		case "num_threads":
			if a.NumThreads, err = intArg(d, "8"); err == nil && a.NumThreads == 0 {
				err = d.Err(`num_threads 0: at least one thread is needed; write "num_threads 8", or leave it out for twice the number of CPUs`)
			}
		case "max_threads":
			err = a.parseMaxThreads(d)
		case "max_wait_time":
			a.MaxWaitTime, err = durationArg(d, "10s")
		case "max_idle_time":
			a.MaxIdleTime, err = durationArg(d, "5s")
		case "max_requests":
			// 0 is FrankenPHP's way to say "never".
			if a.MaxRequests, err = intArg(d, "1000"); err == nil && a.MaxRequests < 0 {
				err = d.WrapErr(a.check())
			}
		case "php_ini":
			err = parsePHPIni(d, &a.PHPIni)
		case "worker":
			var w WorkerConfig
			if w, err = parseWorker(d, "the global block", a.Workers); err == nil && len(w.MatchPath) > 0 {
				err = d.Errf(`match %s: a worker of the global block answers for its script only; put the worker into the php_server whose requests it shall answer`, strings.Join(w.MatchPath, " "))
			}
			a.Workers = append(a.Workers, w)
		default:
			err = unknownDirective(d, block, appDirectives, laterAppDirectives)
		}
		if err != nil {
			return err
		}
		if err := a.check(); err != nil {
			return d.WrapErr(err)
		}
	}
	if err := a.checkThreads(); err != nil {
		place := at[block]
		if refused, ok := errors.AsType[*fieldError](err); ok {
			if p, ok := at[refused.directive]; ok {
				place = p
			}
		}
		return place.WrapErr(err)
	}
	return nil
}

// checkThreads looks at the numbers of threads as far as this block says them. The workers of php_servers come to that when
// the configuration is loaded.
func (a *App) checkThreads() error {
	var workers []*WorkerConfig
	for i := range a.Workers {
		// A share of the CPUs is nobody's mistake on the machine that reads the file.
		if w := &a.Workers[i]; !w.Background && w.Num.Threads > 0 {
			workers = append(workers, w)
		}
	}
	_, err := a.plan(workers)
	return err
}

func (a *App) parseMaxThreads(d *caddyfile.Dispenser) error {
	v, err := oneArg(d, "16")
	if err != nil {
		return err
	}
	if v == "auto" {
		a.MaxThreads = autoThreads
		return nil
	}
	if a.MaxThreads, err = strconv.Atoi(v); err != nil || a.MaxThreads < 1 {
		return d.Errf(`max_threads %q: is not a number of threads; write "max_threads 16", or "max_threads auto" for as many as memory allows`, v)
	}
	return nil
}

// parsePHPIni reads php_ini in both of its forms.
func parsePHPIni(d *caddyfile.Dispenser, settings *map[string]string) error {
	set := func(key string, values []string) error {
		if len(values) != 1 {
			return d.Errf(`php_ini %s: a key and a value expected, but %d given; write "php_ini memory_limit 256M" (quote a value with spaces)`, key, len(values))
		}
		if err := checkIni(key, values[0]); err != nil {
			return d.WrapErr(err)
		}
		if *settings == nil {
			*settings = make(map[string]string)
		}
		(*settings)[key] = values[0]
		return nil
	}
	if args := d.RemainingArgs(); len(args) > 0 {
		return set(args[0], args[1:])
	}
	empty := true
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		empty = false
		if err := set(d.Val(), d.RemainingArgs()); err != nil {
			return err
		}
	}
	if empty {
		return d.Err(`php_ini: a key and a value are missing; write "php_ini memory_limit 256M", or a block of such lines`)
	}
	return nil
}

func checkIni(key, value string) error {
	if key == "" || strings.ContainsAny(key, "=;\"[] \t\r\n\x00") {
		return refuse("php_ini", `php_ini %q: is not the name of a php.ini setting; write it as in php.ini, such as "php_ini memory_limit 256M"`, key)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return refuse("php_ini", "php_ini %s: its value has a line break or NUL byte in it", key)
	}
	return nil
}

// parseGlobalBlock makes an app of the block; the App of that name is then found in the JSON. Both names at once are
// refused when the configuration is provisioned, because Caddy shows one option's parser nothing of another's.
func parseGlobalBlock(appName string) httpcaddyfile.UnmarshalGlobalFunc {
	return func(d *caddyfile.Dispenser, existing any) (any, error) {
		app := new(App)
		if err := app.UnmarshalCaddyfile(d); err != nil {
			return nil, err
		}
		if existing != nil {
			d.Reset()
			d.Next()
			return nil, d.Errf("%s: this block is given twice; put all of it in one", d.Val())
		}
		return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
	}
}

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(FrankenPHP{})
	caddy.RegisterModule(Handler{})
	caddy.RegisterModule(Front{})
	caddy.RegisterModule(Hide{})

	httpcaddyfile.RegisterGlobalOption("igor", parseGlobalBlock("igor"))
	httpcaddyfile.RegisterGlobalOption("frankenphp", parseGlobalBlock("frankenphp"))

	httpcaddyfile.RegisterHandlerDirective("php", parsePHP)
	httpcaddyfile.RegisterDirectiveOrder("php", httpcaddyfile.Before, "file_server")
	httpcaddyfile.RegisterDirective("php_server", parsePHPServer)
	httpcaddyfile.RegisterDirectiveOrder("php_server", httpcaddyfile.Before, "file_server")
}

var _ caddyfile.Unmarshaler = (*App)(nil)
