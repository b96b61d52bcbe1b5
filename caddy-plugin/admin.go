package igor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// Admin is the part of Caddy's admin endpoint that shows and steers PHP: /igor/…, and the two endpoints that FrankenPHP has
// (admin_frankenphp.go). Caddy mounts it there by its module's name, and nowhere else; who may reach it is Caddy's business.
//
// It looks at the process and not at a load of the configuration, so it has nothing to provision: see runningLoads.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.igor",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes implements caddy.AdminRouter.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/igor/", Handler: caddy.AdminHandlerFunc(serveAdmin)},
		{Pattern: "/frankenphp/workers/restart", Handler: caddy.AdminHandlerFunc(serveAdmin)},
		{Pattern: "/frankenphp/threads", Handler: caddy.AdminHandlerFunc(serveAdmin)},
	}
}

// adminRoute is an endpoint. A {segment} of its path matches one segment of a request's, escaped there, so that names with
// slashes work.
type adminRoute struct {
	method, path string
	serve        func(w http.ResponseWriter, r *http.Request, segments []string) error
}

var adminRoutes []adminRoute // filled by init: the handlers' errors show the list

func init() {
	adminRoutes = []adminRoute{
		{"GET", "/igor/report", adminReport},
		{"GET", "/igor/pools", adminPools},
		{"GET", "/igor/pools/{scope}/{pool}", adminPool},
		{"POST", "/igor/pools/{scope}/{pool}/pause", adminControl(bridge.Pause, "pause")},
		{"POST", "/igor/pools/{scope}/{pool}/resume", adminControl(bridge.Resume, "resume")},
		{"POST", "/igor/pools/{scope}/{pool}/drain", adminControl(bridge.Drain, "drain")},
		{"POST", "/igor/pools/{scope}/{pool}/restart", adminControl(bridge.Restart, "restart")},
		{"POST", "/igor/pools/{scope}/{pool}/workers/{index}/restart", adminRestartWorker},
		{"GET", "/igor/tasks", adminTasks},
		{"DELETE", "/igor/tasks/{id}", adminCancel},
		{"GET", "/igor/health/ready", adminHealth(checkReady)},
		{"GET", "/igor/health/live", adminHealth(checkLive)},
		{"POST", "/frankenphp/workers/restart", frankenPHPRestart},
		{"GET", "/frankenphp/threads", frankenPHPThreads},
	}
	caddy.RegisterModule(Admin{})
}

// serveAdmin finds the endpoint.
func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	path := strings.Split(r.URL.EscapedPath(), "/")
	var allowed []string
	for i := range adminRoutes {
		route := &adminRoutes[i]
		segments, ok := matchPath(strings.Split(route.path, "/"), path)
		if !ok {
			continue
		}
		if r.Method == route.method || r.Method == http.MethodHead && route.method == http.MethodGet {
			return route.serve(w, r, segments)
		}
		allowed = append(allowed, route.method)
	}
	if len(allowed) > 0 {
		slices.Sort(allowed)
		methods := strings.Join(slices.Compact(allowed), ", ")
		w.Header().Set("Allow", methods)
		return adminError(http.StatusMethodNotAllowed, "method not allowed: %s %s takes %s", r.Method, r.URL.Path, methods)
	}
	return adminError(http.StatusNotFound, "there is no endpoint %s; names with a slash or a space in them must be escaped, as in /igor/pools/php_server%%201/thumbs", r.URL.Path)
}

// matchPath compares segment by segment and gives those that stand for something, unescaped.
func matchPath(pattern, path []string) (segments []string, ok bool) {
	if len(pattern) != len(path) {
		return nil, false
	}
	for i, want := range pattern {
		if !strings.HasPrefix(want, "{") {
			if want != path[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(path[i])
		if err != nil {
			return nil, false
		}
		segments = append(segments, value)
	}
	return segments, true
}

func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// libraryError is what the library's refusal means over HTTP.
func libraryError(err error) error {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errNotRunning), errors.Is(err, errNoAnswer):
		status = http.StatusServiceUnavailable
	case errors.Is(err, bridge.ErrGone):
		status = http.StatusNotFound
	case errors.Is(err, bridge.ErrInvalid), errors.Is(err, bridge.ErrState):
		status = http.StatusConflict
	case errors.Is(err, bridge.ErrTimeout):
		status = http.StatusGatewayTimeout
	}
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func writeJSON(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value) // a report is long enough without blanks
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(append(body, '\n'))
	return err
}

// --- What is -------------------------------------------------------------------------------------------------

// WholeReport is the answer of GET /igor/report.
type WholeReport struct {
	Version    string `json:"version"`
	PHPVersion string `json:"php_version"`
	*Report
}

func adminReport(w http.ResponseWriter, r *http.Request, _ []string) error {
	report, _, err := theReporter.read(r.Context())
	if err != nil {
		return libraryError(err)
	}
	return writeJSON(w, WholeReport{Version: bridge.Version(), PHPVersion: bridge.PHPVersion(), Report: report})
}

// PoolSummary is a pool in the answer of GET /igor/pools.
type PoolSummary struct {
	Scope      string         `json:"scope"`
	Global     bool           `json:"global"`
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	File       string         `json:"file"`
	CatchAll   bool           `json:"catch_all"`
	State      string         `json:"state"`
	Breaker    string         `json:"breaker"`
	Num        int            `json:"num"`
	MaxThreads int            `json:"max_threads"`
	Workers    map[string]int `json:"workers"` // by state; those that are 0 too
	Queue      QueueReport    `json:"queue"`
	InFlight   int            `json:"in_flight"`
	Path       string         `json:"path"` // of the pool's own endpoint
}

func adminPools(w http.ResponseWriter, r *http.Request, _ []string) error {
	report, _, err := theReporter.read(r.Context())
	if err != nil {
		return libraryError(err)
	}
	pools := []PoolSummary{}
	for i := range report.Scopes {
		scope := &report.Scopes[i]
		for j := range scope.Pools {
			p := &scope.Pools[j]
			states := make(map[string]int, len(workerStates))
			for _, state := range workerStates {
				states[state] = p.count(state)
			}
			pools = append(pools, PoolSummary{
				Scope: scope.Label, Global: scope.Global,
				Name: p.Name, Kind: p.Kind, File: p.File, CatchAll: p.CatchAll,
				State: p.State, Breaker: p.Breaker, Num: p.Num, MaxThreads: p.MaxThreads,
				Workers: states, Queue: p.Queue, InFlight: len(p.Tasks) + p.TasksOmitted, Path: poolPath(report, scope, p),
			})
		}
	}
	return writeJSON(w, pools)
}

// poolPath is the path of the pool's endpoint, with its kind where the name alone does not tell.
func poolPath(report *Report, scope *ScopeReport, p *PoolReport) string {
	path := "/igor/pools/" + escapeSegment(scope.Label) + "/" + escapeSegment(p.Name)
	if len(report.find(scope.Label, p.Name, "")) > 1 {
		path += "?kind=" + url.QueryEscape(p.Kind)
	}
	return path
}

// escapeSegment is url.PathEscape for names that could be taken for a step in a path as well.
func escapeSegment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// find gives the pools of that name; kind "" means any.
func (r *Report) find(scope, name, kind string) []*PoolReport {
	var found []*PoolReport
	for i := range r.Scopes {
		if r.Scopes[i].Label != scope {
			continue
		}
		for j := range r.Scopes[i].Pools {
			if p := &r.Scopes[i].Pools[j]; p.Name == name && (kind == "" || p.Kind == kind) {
				found = append(found, p)
			}
		}
	}
	return found
}

// lookUp finds the one pool that a request names.
func lookUp(r *http.Request, scope, name string) (*PoolReport, error) {
	report, _, err := theReporter.read(r.Context())
	if err != nil {
		return nil, libraryError(err)
	}
	kind := r.URL.Query().Get("kind")
	if kind != "" && kind != kindTasks && kind != kindRequests {
		return nil, adminError(http.StatusBadRequest, `kind %q: must be "tasks" or "requests"`, kind)
	}
	switch found := report.find(scope, name, kind); len(found) {
	case 0:
		return nil, adminError(http.StatusNotFound, "there is no pool %q in scope %q; GET /igor/pools lists all of them, with the paths of their endpoints", name, scope)
	case 1:
		return found[0], nil
	default:
		return nil, adminError(http.StatusConflict, `scope %q has background workers and HTTP workers of the name %q; add "?kind=tasks" or "?kind=requests"`, scope, name)
	}
}

// OnePool is the answer of the endpoints of one pool.
type OnePool struct {
	Scope string `json:"scope"`
	*PoolReport
}

func adminPool(w http.ResponseWriter, r *http.Request, segments []string) error {
	p, err := lookUp(r, segments[0], segments[1])
	if err != nil {
		return err
	}
	return writeJSON(w, OnePool{segments[0], p})
}

// OneTask is a task in the answer of GET /igor/tasks.
type OneTask struct {
	Scope string `json:"scope"`
	Pool  string `json:"pool"`
	TaskReport
}

// TaskList is that answer.
type TaskList struct {
	Tasks   []OneTask `json:"tasks"`
	Omitted int       `json:"omitted"` // how many more there are
}

func adminTasks(w http.ResponseWriter, r *http.Request, _ []string) error {
	report, _, err := theReporter.read(r.Context())
	if err != nil {
		return libraryError(err)
	}
	list := TaskList{Tasks: []OneTask{}}
	for i := range report.Scopes {
		for j := range report.Scopes[i].Pools {
			p := &report.Scopes[i].Pools[j]
			list.Omitted += p.TasksOmitted
			for _, t := range p.Tasks {
				list.Tasks = append(list.Tasks, OneTask{report.Scopes[i].Label, p.Name, t})
			}
		}
	}
	return writeJSON(w, list)
}

func adminHealth(check func(context.Context, *HealthOptions) *Health) func(http.ResponseWriter, *http.Request, []string) error {
	return func(w http.ResponseWriter, r *http.Request, _ []string) error {
		return writeHealth(w, check(r.Context(), new(HealthOptions)))
	}
}

// --- What is to be -------------------------------------------------------------------------------------------

// adminLog is where it is written down what an operator did.
func adminLog() *zap.Logger { return caddy.Log().Named("igor.admin") }

func adminControl(action bridge.Action, name string) func(http.ResponseWriter, *http.Request, []string) error {
	return func(w http.ResponseWriter, r *http.Request, segments []string) error {
		p, err := lookUp(r, segments[0], segments[1])
		if err != nil {
			return err
		}
		if p.Kind == kindRequests && action != bridge.Restart {
			return adminError(http.StatusConflict, "pool %q handles requests, and nobody would want them to wait: it can be restarted, but not be made to %s; background workers can", p.Name, name)
		}
		if p.State == "drained" && action == bridge.Restart {
			return adminError(http.StatusConflict, "pool %q is drained: resume it instead", p.Name)
		}
		err = theReporter.operator.Control(p.Handle, action)
		fields := []zap.Field{zap.String("action", name), zap.String("scope", segments[0]), zap.String("pool", p.Name)}
		if errors.Is(err, bridge.ErrGone) {
			return adminError(http.StatusNotFound, "pool %q is not there any more: the configuration was reloaded meanwhile; GET /igor/pools and try again", p.Name)
		}
		if err != nil {
			adminLog().Error("an operator's action on a pool failed", append(fields, zap.Error(err))...)
			return libraryError(err)
		}
		adminLog().Info("an operator acted on a pool", fields...)
		return adminPool(w, r, segments)
	}
}

func adminRestartWorker(w http.ResponseWriter, r *http.Request, segments []string) error {
	p, err := lookUp(r, segments[0], segments[1])
	if err != nil {
		return err
	}
	index, err := strconv.ParseUint(segments[2], 10, 32)
	if err == nil {
		err = theReporter.operator.RestartWorker(p.Handle, uint32(index))
	} else {
		err = bridge.ErrGone
	}
	if errors.Is(err, bridge.ErrGone) {
		return adminError(http.StatusNotFound, "pool %q has no worker %s; GET %s lists its workers", p.Name, segments[2], strings.Split(r.URL.EscapedPath(), "/workers/")[0])
	}
	if err != nil {
		return libraryError(err)
	}
	adminLog().Info("an operator restarted a worker", zap.String("scope", segments[0]), zap.String("pool", p.Name), zap.Uint64("worker", index))
	return adminPool(w, r, segments[:2])
}

func adminCancel(w http.ResponseWriter, r *http.Request, segments []string) error {
	gone := adminError(http.StatusNotFound, "no task %s is under way: it has ended, or never was; GET /igor/tasks lists those that are", segments[0])
	id, err := strconv.ParseUint(segments[0], 10, 64)
	if err != nil {
		return gone
	}
	// While a reload goes on, the tasks of the configuration before are still its own.
	for _, l := range running.all() {
		err := theReporter.operator.CancelTask(l.generation, id)
		if errors.Is(err, bridge.ErrGone) {
			continue
		}
		if err != nil {
			return libraryError(err)
		}
		adminLog().Info("an operator cancelled a task", zap.Uint64("task", id))
		return writeJSON(w, struct {
			ID        uint64 `json:"id"`
			Cancelled bool   `json:"cancelled"`
		}{id, true})
	}
	return gone
}

var _ caddy.AdminRouter = Admin{}
