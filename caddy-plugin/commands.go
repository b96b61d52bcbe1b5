package igor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "php-cli",
		Usage: "[options] script.php [args...]",
		Short: "Runs a PHP script on the command line",
		Long: `
Runs a PHP script as PHP's own command line would, on the same PHP that serves requests: same version,
same extensions, same php.ini. Options are those of the php command, such as -r, -d, -i and -v.`,
		CobraFunc: func(cmd *cobra.Command) {
			// The options are PHP's.
			cmd.DisableFlagParsing = true
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(cmdPHPCLI)
		},
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "php-server",
		Usage: "[--domain <example.com>] [--root <path>] [--listen <addr>] [--access-log] [--debug] [--no-compress]",
		Short: "Serves a PHP site without a Caddyfile",
		Long: `
Serves the PHP site in a directory: scripts, and files beside them. For a site with background workers,
write a Caddyfile and use the run command.

Without --domain, the site is served over HTTP on port 80, or on what --listen says. With --domain it is
served over HTTPS; for a public domain, its DNS records must point here.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Flags().StringP("domain", "d", "", "Domain name at which to serve the site")
			cmd.Flags().StringP("root", "r", "", "The directory of the site (default: this one)")
			cmd.Flags().StringP("listen", "l", "", "The address to listen on, such as :8080")
			cmd.Flags().BoolP("access-log", "a", false, "Log requests")
			cmd.Flags().BoolP("debug", "v", false, "Log more")
			cmd.Flags().Bool("no-compress", false, "Do not compress responses")
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(cmdPHPServer)
		},
	})
}

func cmdPHPCLI(caddycmd.Flags) (int, error) {
	args := os.Args[2:] // behind "igor php-cli"
	if len(args) == 0 {
		return caddy.ExitCodeFailedStartup, errors.New(`php-cli: no script given; write "igor php-cli script.php", or "igor php-cli -r 'code'"`)
	}
	status := bridge.RunCLI(append([]string{os.Args[0]}, args...))
	// PHP has written its own output; nothing of Caddy's belongs behind it.
	os.Exit(status)
	return status, nil
}

func cmdPHPServer(fs caddycmd.Flags) (int, error) {
	caddy.TrapSignals()
	text, err := phpServerCaddyfile(fs.String("domain"), fs.String("root"), fs.String("listen"),
		fs.Bool("access-log"), fs.Bool("debug"), !fs.Bool("no-compress"))
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "php-server"})
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if err := caddy.Load(config, true); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	select {}
}

// phpServerCaddyfile writes the Caddyfile that the flags stand for.
func phpServerCaddyfile(domain, root, listen string, accessLog, debug, compress bool) (string, error) {
	for flag, value := range map[string]string{"--domain": domain, "--root": root, "--listen": listen} {
		if strings.ContainsAny(value, "`{}\r\n\x00") {
			return "", fmt.Errorf("php-server: %s %q: has a character in it that can't be part of it; correct it, or write a Caddyfile", flag, value)
		}
	}
	if root == "" {
		root = "."
	}
	info, err := os.Stat(root)
	if err != nil {
		return "", fmt.Errorf("php-server: --root %s: %w; name the directory of the site", root, unwrapPath(err))
	}
	if !info.IsDir() {
		return "", fmt.Errorf("php-server: --root %s: is not a directory; name the directory of the site", root)
	}
	site, bind := domain, ""
	switch {
	case domain != "" && listen != "":
		host, port, err := net.SplitHostPort(listen)
		if err != nil || port == "" {
			return "", fmt.Errorf("php-server: --listen %q: beside --domain it must be an address and a port, such as :8443", listen)
		}
		site, bind = "https://"+domain+":"+port, host
	case domain == "" && listen == "":
		site = "http://"
	case domain == "":
		site = listen
		if !strings.Contains(site, "://") {
			site = "http://" + site
		}
	}
	var b strings.Builder
	b.WriteString("{\n\tadmin off\n\tpersist_config off\n")
	if debug {
		b.WriteString("\tdebug\n")
	}
	fmt.Fprintf(&b, "}\n%s {\n", site)
	if bind != "" {
		fmt.Fprintf(&b, "\tbind %s\n", bind)
	}
	if accessLog {
		b.WriteString("\tlog\n")
	}
	if compress {
		b.WriteString("\tencode zstd gzip\n")
	}
	fmt.Fprintf(&b, "\troot * `%s`\n\tphp_server\n}\n", root)
	return b.String(), nil
}
