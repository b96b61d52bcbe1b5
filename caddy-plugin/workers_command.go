package igor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// The commands workers, tasks and health show and steer the pools of a server that runs, through its admin endpoint, as
// "caddy reload" does. They keep nothing and start nothing.

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "workers",
		Usage: "[--watch | --once | --json] [--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Shows the workers of the running server",
		Long: `
Shows the pools of the running server in a table: workers, queue, tasks, times and restarts. On a terminal
the table is kept up to date until Ctrl-C; anywhere else it is printed once.

The server is found through its admin endpoint: at --address, or where the configuration says, or at
Caddy's default address.`,
		CobraFunc: func(cmd *cobra.Command) {
			adminFlags(cmd)
			cmd.Flags().BoolP("watch", "w", false, "Keep the table up to date, also when the output is no terminal")
			cmd.Flags().Bool("once", false, "Print the table once, also on a terminal")
			cmd.Flags().Bool("json", false, "Print the whole report as JSON, once")
			cmd.Flags().Duration("interval", time.Second, "How often the table is kept up to date")
			cmd.MarkFlagsMutuallyExclusive("watch", "once", "json")
			cmd.Args = cobra.NoArgs
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(cmdWorkers)
			for _, c := range []struct{ name, use, short, long string }{
				{"restart", "restart [pool]", "Restarts a pool, or all", `
Starts new workers for the pool, waits until they are ready, and tells the old ones to stop. Without a name
all pools are restarted. When the new workers do not start, the old ones go on.`},
				{"pause", "pause <pool>", "Hands out no more tasks", `
Lets the pool's workers finish what they hold and gives them nothing more. Tasks are still taken, until the
queue is full.`},
				{"resume", "resume <pool>", "Ends a pause or a drain", `
Lets the pool's workers take up tasks again, and starts those that a drain has ended.`},
				{"drain", "drain <pool>", "Pauses a pool and ends its workers", `
Lets the pool's workers finish what they hold, and ends them. Tasks are still taken, until the queue is full.`},
			} {
				sub := &cobra.Command{Use: c.use, Short: c.short, Long: strings.TrimPrefix(c.long, "\n"), Args: cobra.ExactArgs(1)}
				sub.Flags().String("scope", "", "The scope of the pool, where several have one of that name")
				sub.Flags().String("kind", "", `"tasks" or "requests", where a scope has both under that name`)
				if c.name == "restart" {
					sub.Args = cobra.MaximumNArgs(1)
					sub.Flags().Int("worker", -1, "Restart only the worker of this index")
				}
				action := c.name
				sub.RunE = func(cmd *cobra.Command, args []string) error {
					return caddycmd.WrapCommandFuncForCobra(func(fs caddycmd.Flags) (int, error) {
						return cmdPoolAction(fs, action, args)
					})(cmd, args)
				}
				cmd.AddCommand(sub)
			}
		},
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "tasks",
		Usage: "[--json] [--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Shows the tasks under way in the running server",
		Long: `
Shows the tasks that wait for a worker or are with one: their ids, ages, sizes, and who has sent them.`,
		CobraFunc: func(cmd *cobra.Command) {
			adminFlags(cmd)
			cmd.Flags().Bool("json", false, "Print them as JSON")
			cmd.Args = cobra.NoArgs
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(cmdTasks)
			cancel := &cobra.Command{Use: "cancel <id>...", Short: "Cancels tasks", Args: cobra.MinimumNArgs(1), Long: `Cancels tasks by their ids, as their senders would. The senders' reads say so.
`}
			cancel.RunE = func(cmd *cobra.Command, args []string) error {
				return caddycmd.WrapCommandFuncForCobra(func(fs caddycmd.Flags) (int, error) {
					return cmdTasksCancel(fs, args)
				})(cmd, args)
			}
			cmd.AddCommand(cancel)
		},
	})
}

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "health",
		Usage: "[--live] [--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Says whether the running server is well",
		Long: `
Asks the running server whether requests should be sent to it, or with --live whether its process can go on. Exits with
0 when it is so, and otherwise with 1 and the reasons: the health check of a container, for example.`,
		CobraFunc: func(cmd *cobra.Command) {
			adminFlags(cmd)
			cmd.Flags().Bool("live", false, "Ask for liveness instead of readiness")
			cmd.Args = cobra.NoArgs
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(cmdHealth)
		},
	})
}

func adminFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringP("config", "c", "", "Configuration file that says where the admin endpoint is")
	cmd.PersistentFlags().StringP("adapter", "a", "", "Name of the adapter for the configuration file")
	cmd.PersistentFlags().String("address", "", "Address of the admin endpoint")
}

// adminClient talks to the admin endpoint that the flags name.
type adminClient struct{ address string }

func newAdminClient(fs caddycmd.Flags) (*adminClient, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(fs.String("address"), nil, fs.String("config"), fs.String("adapter"))
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	return &adminClient{address}, nil
}

// do sends a request and reads the answer into result, unless that is nil.
func (c *adminClient) do(method, path string, result any) error {
	body, err := c.raw(method, path)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("%s %s: the answer of the server can't be read, it may be of another version: %w", method, path, err)
	}
	return nil
}

func (c *adminClient) raw(method, path string) ([]byte, error) {
	response, err := caddycmd.AdminAPIRequest(c.address, method, path, make(http.Header), nil)
	if err != nil {
		return nil, c.explain(err)
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// explain takes the server's own sentence out of an answer that Caddy has wrapped, and says what to do when there is none.
func (c *adminClient) explain(err error) error {
	if _, body, ok := strings.Cut(err.Error(), "HTTP "); ok {
		_, text, _ := strings.Cut(body, ": ")
		var answer struct {
			Error string `json:"error"`
		}
		if json.Unmarshal([]byte(text), &answer) == nil && answer.Error != "" {
			return errors.New(answer.Error)
		}
		if strings.HasPrefix(body, "404") {
			return fmt.Errorf("the server at %s has no such endpoint: is it Igor, and of this version?", c.address)
		}
		return err
	}
	return fmt.Errorf(`no server answers at %s: %w; give the address of its admin endpoint with --address, or its configuration with --config`, c.address, err)
}

func (c *adminClient) report() (*WholeReport, error) {
	report := new(WholeReport)
	if err := c.do(http.MethodGet, "/igor/report", report); err != nil {
		return nil, err
	}
	if report.Report == nil {
		return nil, errors.New("the server's report is empty; it may be of another version")
	}
	return report, nil
}

// --- workers -------------------------------------------------------------------------------------------------

func cmdWorkers(fs caddycmd.Flags) (int, error) {
	client, err := newAdminClient(fs)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if fs.Bool("json") {
		text, err := client.raw(http.MethodGet, "/igor/report")
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		_, err = os.Stdout.Write(text)
		return caddy.ExitCodeSuccess, err
	}
	onTerminal := term.IsTerminal(int(os.Stdout.Fd()))
	if fs.Bool("once") || !onTerminal && !fs.Bool("watch") {
		report, err := client.report()
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		_, err = io.WriteString(os.Stdout, workersTable(report, 0, 0))
		return caddy.ExitCodeSuccess, err
	}
	interval := fs.Duration("interval")
	if interval < 50*time.Millisecond {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("--interval %v: must be at least 50ms", interval)
	}
	return watchWorkers(client, interval, onTerminal)
}

// watchWorkers shows the table until it is told to end. On a terminal it has the screen to itself, and gives it back.
func watchWorkers(client *adminClient, interval time.Duration, onTerminal bool) (int, error) {
	// Fails before the screen is taken when there is no server at all.
	if _, err := client.report(); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGWINCH)
	defer signal.Stop(signals)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()

	if onTerminal {
		fmt.Print("\x1b[?1049h\x1b[?25l") // another screen, no cursor
		defer fmt.Print("\x1b[?25h\x1b[?1049l")
	}
	for {
		width, height := 0, 0
		if onTerminal {
			width, height, _ = term.GetSize(int(os.Stdout.Fd()))
		}
		report, err := client.report()
		text := ""
		if err != nil {
			text = err.Error() + "\n" // a restart of the server, perhaps
		} else {
			text = workersTable(report, width, height)
		}
		if onTerminal {
			// Lines are cleared as they are written, so that nothing flickers.
			text = "\x1b[H" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\x1b[K\n") + "\x1b[K\x1b[J"
		} else {
			text += "\n"
		}
		if _, err := io.WriteString(os.Stdout, text); err != nil {
			return caddy.ExitCodeSuccess, nil //nolint:nilerr // whoever read it has gone
		}
		select {
		case <-ticker.C:
		case s := <-signals:
			if s != syscall.SIGWINCH {
				return caddy.ExitCodeSuccess, nil
			}
		}
	}
}

// cmdPoolAction restarts, pauses, resumes or drains.
func cmdPoolAction(fs caddycmd.Flags, action string, args []string) (int, error) {
	client, err := newAdminClient(fs)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	worker := -1
	if action == "restart" {
		worker = fs.Int("worker")
	}
	if len(args) == 0 {
		if worker >= 0 {
			return caddy.ExitCodeFailedStartup, errors.New(`--worker needs the name of its pool: "igor workers restart thumbs --worker 0"`)
		}
		text, err := client.raw(http.MethodPost, "/frankenphp/workers/restart")
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Print(string(text))
		return caddy.ExitCodeSuccess, nil
	}
	var pools []PoolSummary
	if err := client.do(http.MethodGet, "/igor/pools", &pools); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	pool, err := choosePool(pools, args[0], fs.String("scope"), fs.String("kind"))
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	path, query, _ := strings.Cut(pool.Path, "?")
	if worker >= 0 {
		path += fmt.Sprintf("/workers/%d", worker)
	}
	var result OnePool
	if err := client.do(http.MethodPost, path+"/"+action+"?"+query, &result); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if worker >= 0 {
		fmt.Printf("%s: worker %d told to restart\n", poolTitle(pool), worker)
	} else {
		fmt.Printf("%s: %s\n", poolTitle(pool), map[string]string{
			"restart": "restarted", "pause": "paused", "resume": "resumed", "drain": "draining",
		}[action])
	}
	return caddy.ExitCodeSuccess, nil
}

func poolTitle(p *PoolSummary) string { return clean(p.Scope) + "/" + clean(p.Name) }

// choosePool finds the pool that is meant by NAME or SCOPE/NAME.
func choosePool(pools []PoolSummary, name, scope, kind string) (*PoolSummary, error) {
	var found []*PoolSummary
	for i := range pools {
		p := &pools[i]
		if (p.Name == name || p.Scope+"/"+p.Name == name) && (scope == "" || scope == p.Scope) && (kind == "" || kind == p.Kind) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		var known []string
		for i := range pools {
			known = append(known, poolTitle(&pools[i]))
		}
		if len(known) == 0 {
			return nil, fmt.Errorf("there is no pool %q: the server has no workers", name)
		}
		return nil, fmt.Errorf("there is no pool %q; there are %s", name, strings.Join(known, ", "))
	default:
		var which []string
		for _, p := range found {
			which = append(which, poolTitle(p)+" ("+p.Kind+")")
		}
		return nil, fmt.Errorf("%q are several pools: %s; say which with --scope or --kind", name, strings.Join(which, ", "))
	}
}

// --- health --------------------------------------------------------------------------------------------------

func cmdHealth(fs caddycmd.Flags) (int, error) {
	client, err := newAdminClient(fs)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	path := "/igor/health/ready"
	if fs.Bool("live") {
		path = "/igor/health/live"
	}
	var health Health
	if err := client.do(http.MethodGet, path, &health); err != nil {
		return caddy.ExitCodeFailedStartup, explainIll(err)
	}
	fmt.Println(health.Status)
	return caddy.ExitCodeSuccess, nil
}

// explainIll takes the reasons out of the answer of a server that is not well; it comes as an error, wrapped by Caddy.
func explainIll(err error) error {
	_, text, _ := strings.Cut(err.Error(), "HTTP 503: ")
	var health Health
	if json.Unmarshal([]byte(text), &health) != nil || health.Status == "" {
		return err
	}
	reasons := make([]string, 0, len(health.Problems))
	for _, problem := range health.Problems {
		reasons = append(reasons, clean(problem.Message))
	}
	return fmt.Errorf("%s: %s", health.Status, strings.Join(reasons, "; "))
}

// --- tasks ---------------------------------------------------------------------------------------------------

func cmdTasks(fs caddycmd.Flags) (int, error) {
	client, err := newAdminClient(fs)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if fs.Bool("json") {
		text, err := client.raw(http.MethodGet, "/igor/tasks")
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		_, err = os.Stdout.Write(text)
		return caddy.ExitCodeSuccess, err
	}
	var list TaskList
	if err := client.do(http.MethodGet, "/igor/tasks", &list); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	_, err = io.WriteString(os.Stdout, tasksTable(&list))
	return caddy.ExitCodeSuccess, err
}

func cmdTasksCancel(fs caddycmd.Flags, ids []string) (int, error) {
	client, err := newAdminClient(fs)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	var failures []error
	for _, id := range ids {
		if err := client.do(http.MethodDelete, "/igor/tasks/"+url.PathEscape(id), nil); err != nil {
			failures = append(failures, err)
			continue
		}
		fmt.Printf("task %s cancelled\n", clean(id))
	}
	if err := errors.Join(failures...); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	return caddy.ExitCodeSuccess, nil
}
