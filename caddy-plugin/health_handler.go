package igor

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// HealthHandler answers the probes of Kubernetes and load balancers: 200 when all is well and 503 when not, with a JSON
// document that says why. It is the igor_health directive.
//
// Thread-safe: constant after Provision. What it looks at belongs to the process, not to this load of the configuration.
type HealthHandler struct {
	// What is asked: "ready" (send requests here?) or "live" (or restart the process?).
	Check string `json:"check"`

	HealthOptions
}

// CaddyModule returns the Caddy module information.
func (HealthHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.igor_health",
		New: func() caddy.Module { return new(HealthHandler) },
	}
}

// Validate refuses what can't be meant.
func (h *HealthHandler) Validate() error {
	if h.Check != "ready" && h.Check != "live" {
		return refuse("igor_health", `igor_health %q: must be "ready" (whether requests should be sent here) or "live" (whether the process can go on)`, h.Check)
	}
	if err := checkDuration("wedged_after", time.Duration(h.WedgedAfter)); err != nil {
		return err
	}
	if err := checkDuration("stuck_after", time.Duration(h.StuckAfter)); err != nil {
		return err
	}
	if h.MaxLost < 0 || h.MaxLost > maxWorkerThreads {
		return refuse("max_lost", "max_lost %d: must be between 1 and %d; give the number of lost threads that a pool may have, such as 4", h.MaxLost, maxWorkerThreads)
	}
	return nil
}

// ServeHTTP answers.
func (h *HealthHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	check := checkReady
	if h.Check == "live" {
		check = checkLive
	}
	return writeHealth(w, check(r.Context(), &h.HealthOptions))
}

func writeHealth(w http.ResponseWriter, health *Health) error {
	body, err := json.MarshalIndent(health, "", "  ")
	if err != nil {
		return err
	}
	body = append(body, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if !health.well() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, err = w.Write(body)
	return err
}

// Interface guards
var (
	_ caddy.Validator             = (*HealthHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*HealthHandler)(nil)
)
