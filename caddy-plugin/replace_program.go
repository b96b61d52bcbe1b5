package igor

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Caddy's commands that replace the program by one that Caddy's build service makes. That one could have neither Igor nor
// PHP in it, since both come from a C library: a server that worked would be gone. Each says what to do instead.
var programReplacements = map[string]string{
	"upgrade": "install the new version the way this one came: a newer image or Debian package, or ./dev build in a newer checkout",
	"add-package": "modules are added when the server is built: \"igor-build --with MODULE\" in the image's builder stage, " +
		"or an import in a Caddy build of your own",
	"remove-package": "modules are part of the build: leave out what \"igor-build --with\" or an import in a Caddy build of your own has added",
}

// refuseProgramReplacements takes these commands from the list of those that there are, and has them refuse. command is one
// that belongs to the tree already: Caddy hands out the tree to nobody, and begins it with its own commands.
func refuseProgramReplacements(command *cobra.Command) {
	for _, cmd := range command.Root().Commands() {
		instead, refused := programReplacements[cmd.Name()]
		if !refused {
			continue
		}
		reason := cmd.Name() + ": Caddy's build service cannot build Igor, and would put a server without PHP in the place of this one; " + instead
		cmd.Hidden = true
		cmd.Short = "Refused: a server with Igor in it is built elsewhere"
		cmd.Long = reason
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
			return caddy.ExitCodeFailedStartup, errors.New(reason)
		})
	}
}
