// Command igor is the Caddy web server with Igor's PHP workers in it.
package main

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/igor-php/igor/caddy-plugin"
	_ "github.com/igor-php/igor/caddy-plugin/brotli"
)

func init() {
	caddy.CustomBinaryName = "igor"
	caddy.CustomLongDescription = `Igor is a web server for PHP applications that have slow work to do: Caddy, PHP, and pools
of named background PHP workers, in one process. HTTP scripts hand tasks to the workers and read their results as a stream.

Everything that Caddy does is here: Caddyfiles with the php_server, php and worker directives, HTTPS by itself, reload
without a pause. php-cli runs a script on the same PHP that serves.`
}

func main() { caddycmd.Main() }
