package igor

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

var appDirectives = []string{"num_threads", "max_wait_time", "php_ini", "worker"}

var laterAppDirectives = map[string]string{
	"max_threads":   `the number of HTTP threads does not change while the server runs; remove it and set "num_threads" to what a busy hour needs`,
	"max_idle_time": `the number of HTTP threads does not change while the server runs; remove it`,
	"max_requests":  `HTTP threads are not restarted after a number of requests; remove it`,
	"hot_reload":    `browsers are not told of changed files; remove it`,
}

// UnmarshalCaddyfile reads the global options block igor, or frankenphp, which is the same:
//
//	{
//	    igor {
//	        num_threads   <number>
//	        max_wait_time <duration>
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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "num_threads":
			if a.NumThreads, err = intArg(d, "8"); err == nil && a.NumThreads == 0 {
				err = d.Err(`num_threads 0: at least one thread is needed; write "num_threads 8", or leave it out for twice the number of CPUs`)
			}
		case "max_wait_time":
			a.MaxWaitTime, err = durationArg(d, "10s")
		case "php_ini":
			err = a.parsePHPIni(d)
		case "worker":
			var w WorkerConfig
			w, err = parseWorker(d, "the global block", a.Workers)
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
	return nil
}

// parsePHPIni reads php_ini in both of its forms.
func (a *App) parsePHPIni(d *caddyfile.Dispenser) error {
	set := func(key string, values []string) error {
		if len(values) != 1 {
			return d.Errf(`php_ini %s: a key and a value expected, but %d given; write "php_ini memory_limit 256M" (quote a value with spaces)`, key, len(values))
		}
		if err := checkIni(key, values[0]); err != nil {
			return d.WrapErr(err)
		}
		if a.PHPIni == nil {
			a.PHPIni = make(map[string]string)
		}
		a.PHPIni[key] = values[0]
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

	httpcaddyfile.RegisterGlobalOption("igor", parseGlobalBlock("igor"))
	httpcaddyfile.RegisterGlobalOption("frankenphp", parseGlobalBlock("frankenphp"))

	httpcaddyfile.RegisterHandlerDirective("php", parsePHP)
	httpcaddyfile.RegisterDirectiveOrder("php", httpcaddyfile.Before, "file_server")
	httpcaddyfile.RegisterDirective("php_server", parsePHPServer)
	httpcaddyfile.RegisterDirectiveOrder("php_server", httpcaddyfile.Before, "file_server")
}

var _ caddyfile.Unmarshaler = (*App)(nil)
