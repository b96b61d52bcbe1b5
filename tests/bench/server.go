package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// pool of background workers that a case needs.
type pool struct {
	name, script string // name empty: the catch-all
	number, most int
	queue        int // where the server has queues
}

// setup is what a server must be configured with for a case. Cases in a row that share it share the process.
type setup struct {
	pools   []pool
	threads int // for HTTP requests in classic mode
	workers int // for each of the HTTP workers; 0: none
}

func (s *setup) background() int {
	sum := 0
	for _, p := range s.pools {
		sum += max(p.number, p.most, 1)
	}
	return sum
}

// caddyfile writes the configuration. With the dialect of FrankenPHP it is one that both servers read: threads of all
// kinds are counted together there, and a pool has no queue.
func (s *setup) caddyfile(dialect string, port int, root string) string {
	var text strings.Builder
	threads := s.threads
	if dialect != "igor" {
		threads += s.background() + 2*s.workers + 1
	} else {
		threads += 2 * s.workers
	}
	fmt.Fprintf(&text, `{
	admin off
	auto_https off
	persist_config off
	log {
		output stderr
		format json
		level INFO
	}
	%s {
		num_threads %d
	}
}
http://127.0.0.1:%d {
	root %q
	respond /respond "hello
"
	php_server {
`, dialect, threads, port, root)
	for _, p := range s.pools {
		text.WriteString("\t\tworker {\n")
		if p.name != "" {
			fmt.Fprintf(&text, "\t\t\tname %s\n", p.name)
		}
		fmt.Fprintf(&text, "\t\t\tfile %q\n\t\t\tbackground\n", filepath.Join(root, p.script))
		for _, line := range []struct {
			directive string
			value     int
		}{{"num", p.number}, {"max_threads", p.most}} {
			if line.value > 0 {
				fmt.Fprintf(&text, "\t\t\t%s %d\n", line.directive, line.value)
			}
		}
		if dialect == "igor" {
			fmt.Fprintf(&text, "\t\t\tqueue %d\n", p.queue)
		}
		text.WriteString("\t\t}\n")
	}
	if s.workers > 0 {
		for _, script := range []string{"hello_worker.php", "page_worker.php"} {
			fmt.Fprintf(&text, "\t\tworker {\n\t\t\tfile %q\n\t\t\tnum %d\n\t\t}\n", filepath.Join(root, script), s.workers)
		}
	}
	text.WriteString("\t}\n}\n")
	return text.String()
}

// brand is a server that takes part: how it is started, and what it can do.
type brand struct {
	label   string
	command string // with {port}, {root} and {caddyfile} in it; run by the shell
	dialect string
	env     []string
	guest   bool // not ours: where it fails, the run goes on without it
	probed  *probe
}

// probe is what a server says of itself.
type probe struct {
	PHP       string `json:"php"`
	SAPI      string `json:"sapi"`
	Opcache   bool   `json:"opcache"`
	Objects   bool   `json:"objects"`
	Tasks     bool   `json:"tasks"`
	Snapshots bool   `json:"snapshots"`
}

// server is a running one.
type server struct {
	brand  *brand
	url    string
	pid    int
	client *http.Client
	cmd    *exec.Cmd
	exited chan error
	log    string
	folder string
}

// here is the folder of the benchmark's sources: scripts are served from where they are.
func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// The last thing that Caddy does at its start, in all servers that are made of it. It may answer before: it opens its
// ports while others of its apps, and so workers, may still be starting.
const caddyIsUp = "serving initial configuration"

// start a server and wait until it is up.
func (b *brand) start(s *setup) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "igor-bench-")
	if err != nil {
		return nil, err
	}
	root := filepath.Join(here(), "site")
	caddyfile := filepath.Join(folder, "Caddyfile")
	if err := os.WriteFile(caddyfile, []byte(s.caddyfile(b.dialect, port, root)), 0o600); err != nil {
		return nil, err
	}
	logPath := filepath.Join(folder, "log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := strings.NewReplacer("{port}", fmt.Sprint(port), "{root}", root, "{caddyfile}", caddyfile).Replace(b.command)
	// exec: the process that is measured must be the server, not a shell around it.
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Env = append(os.Environ(), fmt.Sprintf("BENCH_PORT=%d", port), "BENCH_ROOT="+root, "BENCH_CADDYFILE="+caddyfile,
		"HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	cmd.Env = append(cmd.Env, b.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	running := &server{
		brand: b, url: fmt.Sprintf("http://127.0.0.1:%d", port), pid: cmd.Process.Pid, cmd: cmd, log: logPath, folder: folder,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}, Timeout: 2 * time.Minute},
		exited: make(chan error, 1),
	}
	go func() { running.exited <- cmd.Wait() }()
	if err := running.awaitAnswer(); err != nil {
		running.kill()
		return nil, fmt.Errorf("%s did not start: %w", b.label, err)
	}
	return running, nil
}

func (s *server) awaitAnswer() error {
	limit := time.After(time.Minute)
	for {
		if text, err := s.get("/driver.php?do=probe"); err == nil {
			s.brand.probed = new(probe)
			if err := json.Unmarshal(text, s.brand.probed); err != nil {
				return fmt.Errorf("the probe answers %q: %w", text, err)
			}
			return s.awaitWorkers()
		} else if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("it ended (%v); its log:\n%s", err, s.logTail())
		case <-limit:
			return fmt.Errorf("no answer within a minute; its log:\n%s", s.logTail())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// awaitWorkers until Caddy says that all is up. A server that does not say so is taken for up after a while.
func (s *server) awaitWorkers() error {
	for range 500 {
		if text, err := os.ReadFile(s.log); err == nil && bytes.Contains(text, []byte(caddyIsUp)) {
			return nil
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("it ended (%v); its log:\n%s", err, s.logTail())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// get a path; anything but 200 is an error with the answer in it.
func (s *server) get(path string) ([]byte, error) {
	response, err := s.client.Get(s.url + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d: %.600s\n%s", path, response.StatusCode, body, s.logTail())
	}
	return body, nil
}

func (s *server) logTail() string {
	text, _ := os.ReadFile(s.log)
	if len(text) > 4000 {
		text = text[len(text)-4000:]
	}
	return string(text)
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
	os.RemoveAll(s.folder)
}

// stop asks it to end. One that crashed meanwhile has answered wrongly, whatever it measured.
func (s *server) stop() error {
	s.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		defer os.RemoveAll(s.folder)
		if err != nil {
			return fmt.Errorf("%s ended badly: %w; its log:\n%s", s.brand.label, err, s.logTail())
		}
		return nil
	case <-ctx.Done():
		defer os.RemoveAll(s.folder)
		_ = s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("%s did not end within 20 s; its log:\n%s", s.brand.label, s.logTail())
	}
}
