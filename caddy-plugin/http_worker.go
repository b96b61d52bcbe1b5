package igor

import (
	"net/http"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/igor-php/igor/caddy-plugin/bridge"
)

// httpWorker is a pool of HTTP workers as requests see it.
type httpWorker struct {
	config *WorkerConfig
	match  caddyhttp.MatchPath // provisioned; empty: its file is what leads to it

	// Valid once the load is opened.
	pool bridge.Pool
	gate *permits
}

// httpRouting says which requests of a scope go to which of its HTTP workers. It is made while the configuration is
// provisioned and constant from then on.
type httpRouting struct {
	byFile   map[string]*httpWorker
	matching []*httpWorker // in the order of the configuration
}

// add makes the worker one that requests find.
func (r *httpRouting) add(config *WorkerConfig) (*httpWorker, error) {
	w := &httpWorker{config: config}
	if len(config.MatchPath) > 0 {
		w.match = append(caddyhttp.MatchPath(nil), config.MatchPath...)
		if err := w.match.Provision(caddy.Context{}); err != nil {
			return nil, refuse("match", "%s: %v", config.label(), err)
		}
		r.matching = append(r.matching, w)
		return w, nil
	}
	if r.byFile == nil {
		r.byFile = make(map[string]*httpWorker)
	}
	if first := r.byFile[config.FileName]; first != nil {
		return nil, refuse("worker", `%s: its file %s is that of %s, too, and a request could be for either; give one a "match", or remove one`, config.label(), config.FileName, first.config.label())
	}
	r.byFile[config.FileName] = w
	// A document root may have been resolved where the worker's path was not, or the other way round.
	if resolved, err := filepath.EvalSymlinks(config.FileName); err == nil && r.byFile[resolved] == nil {
		r.byFile[resolved] = w
	}
	return w, nil
}

// all are the workers, each once.
func (r *httpRouting) all() (workers []*httpWorker) {
	workers = append(workers, r.matching...)
	for file, w := range r.byFile {
		if file == w.config.FileName {
			workers = append(workers, w)
		}
	}
	return workers
}

// find gives the worker that answers r, whose script is the file; nil without one.
func (r *httpRouting) find(req *http.Request, file string) *httpWorker {
	for _, w := range r.matching {
		if ok, err := w.match.MatchWithError(req); ok && err == nil {
			return w
		}
	}
	if len(r.byFile) == 0 {
		return nil
	}
	return r.byFile[file]
}

// script is what a request that w answers is told of its script. A worker that was found by a pattern stands where a front
// controller would: at the top of the site, whatever the request's path.
func (w *httpWorker) script(p scriptPath) scriptPath {
	if len(w.match) > 0 && p.filename != w.config.FileName {
		p.name, p.pathInfo = "/"+filepath.Base(w.config.FileName), ""
	}
	p.filename = w.config.FileName
	return p
}
