package igor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	var added *cobra.Command // to the tree, when the one after it is made
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
			added = cmd
		},
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "php-server",
		Usage: "[--domain <example.com>] [--root <path>] [--listen <addr>] [--worker <script>[,<threads>]]... [--watch[=<pattern>]]... [--access-log] [--debug] [--no-compress]",
		Short: "Serves a PHP site without a Caddyfile",
		Long: `
Serves the PHP site in a directory: scripts, and files beside them. For a site with background workers,
write a Caddyfile and use the run command.

Without --domain, the site is served over HTTP on port 80, or on what --listen says. With --domain it is
served over HTTPS; for a public domain, its DNS records must point here.

Each --worker is the script of an HTTP worker, and may say how many threads run it: --worker public/index.php,4.
With --watch they are restarted when files change: --watch alone for PHP files and the like below this directory,
--watch='src/**/*.php' for a pattern of your own.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Flags().StringP("domain", "d", "", "Domain name at which to serve the site")
			cmd.Flags().StringP("root", "r", "", "The directory of the site (default: this one)")
			cmd.Flags().StringP("listen", "l", "", "The address to listen on, such as :8080")
			cmd.Flags().StringArrayP("worker", "w", nil, "The script of an HTTP worker, and how many threads run it")
			cmd.Flags().StringArray("watch", nil, "Files whose changes restart the workers")
			cmd.Flags().Lookup("watch").NoOptDefVal = defaultWatchPattern
			cmd.Flags().BoolP("access-log", "a", false, "Log requests")
			cmd.Flags().BoolP("debug", "v", false, "Log more")
			cmd.Flags().Bool("no-compress", false, "Do not compress responses")
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(cmdPHPServer)
			refuseProgramReplacements(added)
		},
	})
}

// cmdPHPCLI is for help, and for who writes something before the command: bridge/php_cli.c runs it before Go begins.
func cmdPHPCLI(caddycmd.Flags) (int, error) {
	return caddy.ExitCodeFailedStartup, errors.New(`php-cli must be the first argument; write "igor php-cli script.php"`)
}

func cmdPHPServer(fs caddycmd.Flags) (int, error) {
	caddy.TrapSignals()
	workers, err := fs.GetStringArray("worker")
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	watch, err := fs.GetStringArray("watch")
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	text, err := phpServerCaddyfile(phpServerFlags{
		domain: fs.String("domain"), root: fs.String("root"), listen: fs.String("listen"), workers: workers, watch: watch,
		accessLog: fs.Bool("access-log"), debug: fs.Bool("debug"), compress: !fs.Bool("no-compress"),
	})
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

// phpServerFlags is what the php-server command was told.
type phpServerFlags struct {
	domain, root, listen       string
	workers, watch             []string
	accessLog, debug, compress bool
}

// phpServerCaddyfile writes the Caddyfile that the flags stand for.
func phpServerCaddyfile(f phpServerFlags) (string, error) {
	for flag, value := range map[string]string{"--domain": f.domain, "--root": f.root, "--listen": f.listen} {
		if strings.ContainsAny(value, "`{}\r\n\x00") {
			return "", fmt.Errorf("php-server: %s %q: has a character in it that can't be part of it; correct it, or write a Caddyfile", flag, value)
		}
	}
	root := f.root
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
	workers, err := phpServerWorkers(f.workers, f.watch)
	if err != nil {
		return "", err
	}
	// A site's address says for which host it is, and --listen where to listen: the site has to answer whatever name leads
	// there, and nowhere else.
	site, bind := f.domain, ""
	if site == "" {
		site = "http://"
	}
	if f.listen != "" {
		host, port, err := net.SplitHostPort(f.listen)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
			return "", fmt.Errorf("php-server: --listen %q: must be an address and a port, such as :8080 or 127.0.0.1:8080", f.listen)
		}
		if f.domain != "" {
			site = "https://" + f.domain
		}
		site, bind = site+":"+port, host
	}
	var b strings.Builder
	b.WriteString("{\n\tadmin off\n\tpersist_config off\n")
	if f.debug {
		b.WriteString("\tdebug\n")
	}
	b.WriteString(workers)
	fmt.Fprintf(&b, "}\n%s {\n", site)
	if bind != "" {
		fmt.Fprintf(&b, "\tbind %s\n", bind)
	}
	if f.accessLog {
		b.WriteString("\tlog\n")
	}
	if f.compress {
		// Brotli is the executable's, not this package's.
		if _, err := caddy.GetModule("http.encoders.br"); err == nil {
			b.WriteString("\tencode zstd br gzip\n")
		} else {
			b.WriteString("\tencode zstd gzip\n")
		}
	}
	fmt.Fprintf(&b, "\troot * `%s`\n\tphp_server\n}\n", root)
	return b.String(), nil
}

// phpServerWorkers writes the global block with the workers of --worker, each with the patterns of --watch.
func phpServerWorkers(workers, watch []string) (string, error) {
	if len(workers) == 0 {
		if len(watch) > 0 {
			return "", errors.New("php-server: --watch restarts workers, and there is none; add --worker, or leave --watch out: scripts without a worker are read anew when they change")
		}
		return "", nil
	}
	var b strings.Builder
	b.WriteString("\tigor {\n")
	for _, worker := range workers {
		// The last comma, if a number follows: a path may have commas of its own.
		file, num := worker, ""
		if i := strings.LastIndexByte(worker, ','); i >= 0 {
			if _, err := parseThreadCount(worker[i+1:]); err != nil {
				return "", fmt.Errorf("php-server: --worker %q: behind the comma: %w; write the number of threads, such as --worker index.php,4", worker, err)
			}
			file, num = worker[:i], worker[i+1:]
		}
		if file == "" || strings.ContainsAny(file, "`{}\r\n\x00") {
			return "", fmt.Errorf("php-server: --worker %q: is not the path of a script; correct it, or write a Caddyfile", worker)
		}
		fmt.Fprintf(&b, "\t\tworker {\n\t\t\tfile `%s`\n", file)
		if num != "" {
			fmt.Fprintf(&b, "\t\t\tnum %s\n", num)
		}
		for _, pattern := range watch {
			if pattern == "" || strings.ContainsAny(pattern, "`\r\n\x00") || strings.Contains(pattern, "{$") {
				return "", fmt.Errorf("php-server: --watch %q: is not a pattern of files; correct it, or write a Caddyfile", pattern)
			}
			fmt.Fprintf(&b, "\t\t\twatch `%s`\n", pattern)
		}
		b.WriteString("\t\t}\n")
	}
	b.WriteString("\t}\n")
	return b.String(), nil
}
