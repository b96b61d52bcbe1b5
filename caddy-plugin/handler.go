package igor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/timeouts"
	"go.uber.org/zap"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// Handler answers requests with PHP scripts below a document root. It is the php directive, the middle part of
// php_server, and the place where the workers of a php_server are configured.
//
// Lifetime: one per load of the configuration (and per server that the block applies to). Each request enters the load's
// gate, so that a reload knows when the last of them is done.
type Handler struct {
	// A label for the logs. Default: the number of the block.
	Name string `json:"name,omitempty"`

	// The document root. Default: the site's root, {http.vars.root}.
	Root string `json:"root,omitempty"`

	// The substrings that end the script's part of a path; what follows is PATH_INFO. Default: .php
	SplitPath []string `json:"split_path,omitempty"`

	// Whether a document root that is a symbolic link is resolved, once, when the configuration is loaded. Default: true.
	ResolveRootSymlink *bool `json:"resolve_root_symlink,omitempty"`

	// Environment variables for scripts and workers, also in $_SERVER. Placeholders are replaced for each request.
	Env map[string]string `json:"env,omitempty"`

	// The HTTP workers that answer requests of this block, and the background workers that only its scripts can reach.
	Workers []WorkerConfig `json:"workers,omitempty"`

	// Whether a path that is a file below the root, and no script, is left to the next handler. php_server sets it where
	// requests come that only a worker's "match" has chosen.
	FilesFirst bool `json:"files_first,omitempty"`

	// Whether a path that names no script is left to the next handler, in place of a matcher before this one. php_server sets
	// it.
	ScriptsOnly bool `json:"scripts_only,omitempty"`

	// How long a client may take over the next piece of a request's body, for which a PHP thread may be waiting; 0: as long
	// as it likes. Default: the server's read_idle_timeout, which is a minute.
	RequestBodyTimeout *caddy.Duration `json:"request_body_timeout,omitempty"`

	// Tells blocks apart. Handlers with the same number are one php_server and share its workers.
	ServerIdx int `json:"server_idx,omitempty"`

	app    *App
	load   *load
	scope  *scopeConfig
	logger *zap.Logger

	files      documentRoot
	timeouts   *timeouts.Timeouts // nil: the server's
	env        []byte             // packed, without placeholders
	dynamicEnv []envPair
	// For requests that HTTP workers answer: what the worker's own env adds to the block's, and env.
	workerEnv map[*httpWorker][]byte
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.php",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision resolves paths and puts the block's workers on the app's list. It starts nothing.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	h.app = app
	h.load = app.load

	resolve := h.ResolveRootSymlink == nil || *h.ResolveRootSymlink
	if h.files, err = newDocumentRoot(h.Root, resolve); err != nil {
		return err
	}
	if len(h.SplitPath) == 0 {
		h.SplitPath = []string{".php"}
	}
	if err := checkSplit(h.SplitPath); err != nil {
		return err
	}
	for i, s := range h.SplitPath {
		h.SplitPath[i] = strings.ToLower(s)
	}

	if h.RequestBodyTimeout != nil {
		if err := h.limitBody(ctx, time.Duration(*h.RequestBodyTimeout)); err != nil {
			return err
		}
	}
	if err := checkEnv(h.Env); err != nil {
		return err
	}
	for _, key := range sortedKeys(h.Env) {
		if value := h.Env[key]; strings.ContainsRune(value, '{') {
			h.dynamicEnv = append(h.dynamicEnv, envPair{key, value})
		} else {
			h.env = bridge.AppendEnv(h.env, key, value)
		}
	}

	where := "this php handler"
	if h.ServerIdx != 0 {
		where = "php_server " + strconv.Itoa(h.ServerIdx)
	}
	if err := checkWorkers(h.Workers, where); err != nil {
		return err
	}
	base, baseIs := h.files.dir, "the php_server's root"
	if base == "" {
		if base, err = os.Getwd(); err != nil {
			return fmt.Errorf("finding the working directory: %w", err)
		}
		baseIs = `the working directory, because the php_server has no "root" of its own`
	}
	for i := range h.Workers {
		w := &h.Workers[i]
		if err := w.resolve(base, baseIs); err != nil {
			return err
		}
		if resolve && !w.Background {
			// As the document root, so that a deployment that swaps a link takes effect at a reload.
			if file, err := filepath.EvalSymlinks(w.FileName); err == nil {
				w.FileName = file
			}
		}
		w.inheritEnv(h.Env)
	}
	if h.scope, err = app.addScope(h); err != nil {
		return err
	}
	h.packWorkerEnv(&h.scope.routing)
	if app.global != nil {
		h.packWorkerEnv(&app.global.routing)
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		h.load.watch(server)
	}
	return nil
}

// limitBody has Caddy's own handler of timeouts bound how long a client may pause in the middle of a body.
func (h *Handler) limitBody(ctx caddy.Context, pause time.Duration) error {
	if err := checkDuration("request_body_timeout", pause); err != nil {
		return err
	}
	if pause == 0 {
		pause = maxDuration // it takes 0 for "as the server has it"
	}
	h.timeouts = &timeouts.Timeouts{ReadTimeout: pause}
	return h.timeouts.Provision(ctx)
}

// packWorkerEnv prepares the variables of requests that these workers answer. The block wins, as in FrankenPHP: a worker of
// the global block answers for many sites, and each may tell its application who it is.
func (h *Handler) packWorkerEnv(routing *httpRouting) {
	for _, w := range routing.all() {
		vars := maps.Clone(w.config.own)
		maps.DeleteFunc(vars, func(key, _ string) bool {
			_, replaced := h.Env[key]
			return replaced
		})
		if h.workerEnv == nil {
			h.workerEnv = make(map[*httpWorker][]byte)
		}
		h.workerEnv[w] = append(packWorkerEnv(vars), h.env...)
	}
}

// requestBuffers are what a request needs from Go, kept from one to the next.
type requestBuffers struct {
	data  bridge.RequestData
	event bridge.Event
	input []byte
}

var bufferPool = sync.Pool{New: func() any { return new(requestBuffers) }}

// maxKeptBuffer bounds what an unusually large request leaves behind in the pool.
const maxKeptBuffer = 256 << 10

func putBuffers(b *requestBuffers) {
	if cap(b.data.Buf) > maxKeptBuffer {
		b.data.Buf = nil
	}
	b.event = bridge.Event{}
	bufferPool.Put(b)
}

// ServeHTTP runs the script that r asks for, or lets an HTTP worker answer. The next handler gets what files_first and
// scripts_only leave to it, and nothing else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.ScriptsOnly && splitPosition(cleanPath(r.URL.Path), h.SplitPath) < 0 {
		return next.ServeHTTP(w, r)
	}
	if h.timeouts == nil {
		return h.serve(w, r, next)
	}
	return h.timeouts.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return h.serve(w, r, next)
	}))
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	ctx := r.Context()
	if err := h.load.enter(ctx); err != nil {
		return unavailable(w, err)
	}
	defer h.load.leave()

	repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	root, err := h.files.of(repl)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	script, err := splitScriptPath(r, root, h.SplitPath)
	if err != nil {
		return err
	}
	if h.FilesFirst && splitPosition(script.name, h.SplitPath) < 0 && isFile(script.filename) {
		return next.ServeHTTP(w, r)
	}
	target := requestTarget{scope: h.scope.handle, root: root, script: script, env: h.env}
	worker := h.worker(r, script.filename)
	if worker != nil {
		target.script = worker.script(script)
		target.worker, target.env = worker.pool, h.workerEnv[worker]
	}
	if len(h.dynamicEnv) > 0 {
		target.dynamicEnv = make([]envPair, 0, len(h.dynamicEnv))
		for _, e := range h.dynamicEnv {
			target.dynamicEnv = append(target.dynamicEnv, envPair{e.key, repl.ReplaceAll(e.value, "")})
		}
	}

	engine := h.load.engine
	buffers := bufferPool.Get().(*requestBuffers)
	defer putBuffers(buffers)
	fillRequest(&buffers.data, r, &target)
	if err := readSmallBody(r, buffers); err != nil {
		return bodyError(err)
	}
	if worker == nil {
		if _, err := engine.permits.enter(ctx, engine.closing); err != nil {
			return unavailable(w, err)
		}
		return serveScript(w, r, buffers, engine.permits)
	}
	left, err := worker.gate.enter(ctx, engine.closing)
	if err != nil {
		return unavailable(w, err)
	}
	return serveWorker(w, r, buffers, worker.gate, left)
}

// startError is the answer when the library takes the request not at all.
func startError(w http.ResponseWriter, err error) error {
	if errors.Is(err, bridge.ErrInvalid) {
		return caddyhttp.Error(http.StatusBadRequest, err) // a NUL byte where PHP can have none
	}
	if errors.Is(err, bridge.ErrGone) {
		err = errClosed
	}
	return unavailable(w, err)
}

// errClosed says that a request came for a configuration that did not start after all, or is drained.
var errClosed = errors.New("the configuration that this request came for is closed; the one that serves answers the next")

// bodyError is the answer to a body that could not be read: what a handler that bounds bodies says of it, that it took too
// long, or else that the client broke the rules of HTTP. When it broke off, nobody hears that.
func bodyError(err error) error {
	if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return handlerErr
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return caddyhttp.Error(http.StatusRequestTimeout, fmt.Errorf("the client took too long over its request's body: %w", err))
	}
	return caddyhttp.Error(http.StatusBadRequest, err)
}

// worker finds the HTTP worker that answers r, whose script is the file: one of this block, or else of the global block;
// nil when a thread runs the script for this request alone.
func (h *Handler) worker(r *http.Request, file string) *httpWorker {
	if w := h.scope.routing.find(r, file); w != nil {
		return w
	}
	if global := h.app.global; global != nil {
		return global.routing.find(r, file)
	}
	return nil
}

// statusClientGone is what access logs show for a client that did not wait for its answer, as nginx has it and Caddy's own
// proxy. It is never sent.
const statusClientGone = 499

// errOverloaded says that no PHP thread came free within max_wait_time.
var errOverloaded = errors.New("no PHP thread was free within max_wait_time")

// unavailable is the answer when PHP can't take the request now. Clients may come again soon.
func unavailable(w http.ResponseWriter, err error) error {
	if errors.Is(err, context.Canceled) {
		return caddyhttp.Error(statusClientGone, err)
	}
	w.Header().Set("Retry-After", "1")
	return caddyhttp.Error(http.StatusServiceUnavailable, err)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
