package igor

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

var phpDirectives = []string{"name", "root", "split", "env", "resolve_root_symlink", "request_body_timeout", "worker"}

// phpServerDirectives are those that php_server has beyond php's.
var phpServerDirectives = []string{"index", "try_files", "file_server", "hide"}

var laterPHPDirectives = map[string]string{
	"hot_reload": `browsers are not told of changed files; remove it, and let "watch" in a worker restart it when files change`,
}

// UnmarshalCaddyfile reads the php directive's block:
//
//	php [<matcher>] {
//	    name                 <label>
//	    root                 <directory>
//	    split                <substrings...>
//	    env                  <key> <value>
//	    resolve_root_symlink [true|false]
//	    request_body_timeout <duration>
//	    worker               ...
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := noArgument(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		known, err := h.parseDirective(d, "php")
		if err != nil {
			return err
		}
		if !known {
			if slices.Contains(phpServerDirectives, d.Val()) {
				return d.Errf(`%s: is not part of "php", which only runs scripts; use "php_server" for it`, d.Val())
			}
			return unknownDirective(d, "php", phpDirectives, laterPHPDirectives)
		}
	}
	return nil
}

// noArgument refuses what stands behind php or php_server and is no matcher, which Caddy has taken away by now.
func noArgument(d *caddyfile.Dispenser) error {
	directive := d.Val()
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf(`%s: %q is not a matcher; a matcher starts with "/" or "@", and everything else (such as "root") goes into the block`, directive, args[0])
	}
	return nil
}

// parseDirective reads one line that php and php_server have in common. known is false for any other.
func (h *Handler) parseDirective(d *caddyfile.Dispenser, block string) (known bool, err error) {
	switch d.Val() {
	case "name":
		h.Name, err = oneArg(d, "shop")
	case "root":
		h.Root, err = oneArg(d, "/srv/app/public")
		if err == nil && h.Root == "" {
			err = d.Err(`root "": is empty; write "root /srv/app/public"`)
		}
	case "split", "split_path":
		h.SplitPath = d.RemainingArgs()
		if err = checkSplit(h.SplitPath); err != nil {
			err = d.WrapErr(err)
		}
	case "env":
		err = envArgs(d, &h.Env)
	case "resolve_root_symlink":
		args := d.RemainingArgs()
		value := true
		if len(args) > 1 {
			return true, d.Errf(`resolve_root_symlink: at most one value expected, but %d given; write "resolve_root_symlink false"`, len(args))
		}
		if len(args) == 1 {
			if value, err = strconv.ParseBool(args[0]); err != nil {
				return true, d.Errf(`resolve_root_symlink %q: must be true or false`, args[0])
			}
		}
		h.ResolveRootSymlink = &value
	case "request_body_timeout":
		var pause caddy.Duration
		pause, err = durationOrNoneArg(d, "60s")
		h.RequestBodyTimeout = &pause
	case "worker":
		var w WorkerConfig
		w, err = parseWorker(d, "this "+block+" block", h.Workers)
		h.Workers = append(h.Workers, w)
	default:
		return false, nil
	}
	return true, err
}

// checkSplit refuses what could make a path that is not a script look like one.
func checkSplit(split []string) error {
	if len(split) == 0 {
		return refuse("split", `split: a substring is missing; write "split .php"`)
	}
	for _, s := range split {
		if s == "" {
			return refuse("split", `split "": an empty substring would split every path at its start; write "split .php"`)
		}
		for i := range len(s) {
			if s[i] >= 0x80 || s[i] <= ' ' {
				return refuse("split", `split %q: only visible ASCII characters are allowed, because other letters can look the same in a path`, s)
			}
		}
	}
	return nil
}

// numberScope gives the block its number in this Caddyfile. A site with several addresses becomes several servers in JSON,
// each with a copy of the block: the number tells that these are one, so that its workers start once.
func numberScope(h httpcaddyfile.Helper, handler *Handler) {
	const key = "igor_scopes"
	// Named routes are adapted with a state of their own, before the sites: their numbers go downwards.
	n, _ := h.State[key].(int)
	n++
	h.State[key] = n
	handler.ServerIdx = n
	if h.IsNamedRoute() {
		handler.ServerIdx = -n
	}
}

// parsePHP makes the bare php handler of its directive.
func parsePHP(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := &Handler{}
	numberScope(h, handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// phpServer is a php_server block: a php handler, and what is done before and after it.
type phpServer struct {
	handler   Handler
	files     fileserver.FileServer
	noFiles   bool
	index     string // "off": no index file, no rewriting
	tryFiles  []string
	tryPolicy string
}

// parsePHPServer reads php_server, which serves a whole PHP site: php for scripts, files for the rest.
//
//	php_server [<matcher>] {
//	    root                 <directory>
//	    split                <substrings...>
//	    index                <file>|off
//	    try_files            <files...>
//	    file_server          off
//	    hide                 <files...>
//	    name                 <label>
//	    env                  <key> <value>
//	    resolve_root_symlink [true|false]
//	    request_body_timeout <duration>
//	    worker               ...
//	}
//
// It stands for these directives (the first two are one handler, Front, unless try_files or file_server say otherwise; and
// the matcher @php is the handler's own, scripts_only):
//
//	# a directory with an index file gets its slash
//	@directory { file {path}/index.php; not path */ }
//	redir @directory {path}/ 308
//	# what is not a file is the front controller's
//	try_files {path} {path}/index.php index.php
//	@php path *.php *.php/*
//	php @php
//	file_server
func parsePHPServer(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matchers, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	s := phpServer{index: "index.php"}
	numberScope(h, &s.handler)
	if err := s.unmarshal(h.Dispenser); err != nil {
		return nil, err
	}
	if len(s.handler.SplitPath) == 0 {
		s.handler.SplitPath = []string{".php"}
	}
	s.files.Root = s.handler.Root
	if err := s.files.FinalizeUnmarshalCaddyfile(h); err != nil {
		return nil, err
	}

	site := caddyhttp.Subroute{Routes: s.routes()}
	if matchers == nil {
		// Not a route yet: Caddy then keeps these routes together without a needless level.
		return []httpcaddyfile.ConfigValue{{Class: "route", Value: site}}, nil
	}
	return []httpcaddyfile.ConfigValue{{Class: "route", Value: caddyhttp.Route{
		MatcherSetsRaw: []caddy.ModuleMap{matchers},
		HandlersRaw:    []json.RawMessage{caddyconfig.JSONModuleObject(site, "handler", "subroute", nil)},
	}}}, nil
}

func (s *phpServer) unmarshal(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := noArgument(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "index":
			if s.index, err = oneArg(d, "index.php"); err == nil && s.index == "" {
				err = d.Err(`index "": is empty; name the index file, or write "index off" for none`)
			}
		case "try_files":
			if s.tryFiles = d.RemainingArgs(); len(s.tryFiles) == 0 {
				err = d.Err(`try_files: a file is missing; write "try_files {path} index.php"`)
			}
		case "file_server":
			var v string
			if v, err = oneArg(d, "off"); err == nil && v != "off" {
				err = d.Errf(`file_server %q: files are served unless it is "off"; remove the line, or use Caddy's own file_server beside php_server`, v)
			}
			s.noFiles = true
		case "hide":
			hide := d.RemainingArgs()
			if len(hide) == 0 {
				err = d.Err(`hide: a file is missing; write "hide *.bak" (names that begin with a dot are never served)`)
			}
			s.files.Hide = append(s.files.Hide, hide...)
		default:
			var known bool
			if known, err = s.handler.parseDirective(d, "php_server"); err == nil && !known {
				err = unknownDirective(d, "php_server", slices.Concat(phpDirectives, phpServerDirectives), laterPHPDirectives)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// routes is the site that the block stands for.
func (s *phpServer) routes() caddyhttp.RouteList {
	var routes caddyhttp.RouteList
	raw := func(v any) json.RawMessage { return caddyconfig.JSON(v, nil) }
	handlerOf := func(v any, name string) []json.RawMessage {
		return []json.RawMessage{caddyconfig.JSONModuleObject(v, "handler", name, nil)}
	}
	root := s.handler.Root

	// What a worker's "match" chooses goes there past the front controller, and so it is first; files are still served.
	var matched caddyhttp.MatchPath
	for _, w := range s.handler.Workers {
		matched = append(matched, w.MatchPath...)
	}
	if len(matched) > 0 {
		handler := s.handler
		handler.FilesFirst = !s.noFiles
		routes = append(routes, caddyhttp.Route{
			MatcherSetsRaw: []caddy.ModuleMap{{"path": raw(matched)}},
			HandlersRaw:    handlerOf(handler, "php"),
		})
	}

	// One route for all that follows: Caddy makes the chain of a request's handlers anew from each route that it passes.
	var site []json.RawMessage
	switch {
	case s.index == "off":
	case len(s.tryFiles) == 0 && !s.noFiles:
		front := Front{Root: root, SplitPath: s.handler.SplitPath}
		if s.index != "index.php" {
			front.Index = s.index
		}
		site = handlerOf(front, "php_front")
	default:
		dirIndex := "{http.request.uri.path}/" + s.index
		tryFiles, policy := s.tryFiles, "first_exist_fallback"
		slashed := len(tryFiles) == 0 || slices.Contains(tryFiles, dirIndex)
		switch {
		case len(tryFiles) == 0:
			tryFiles = []string{dirIndex, s.index}
		case !strings.HasSuffix(tryFiles[len(tryFiles)-1], ".php"):
			policy = "" // the last one is no front controller, so it must exist, too
		}
		if slashed {
			// The file matcher judges the cleaned path, so the answer must not repeat the raw one: /%2Fevil.com%2F..%2Fsub
			// would send browsers to another host. A reference that starts at the last segment can't leave this one.
			location := "./{http.request.orig_uri.path.file_escaped}/{http.request.orig_uri.prefixed_query}"
			routes = append(routes, caddyhttp.Route{
				MatcherSetsRaw: []caddy.ModuleMap{{
					"file": raw(fileserver.MatchFile{Root: root, TryFiles: []string{dirIndex}}),
					"not":  raw(caddyhttp.MatchNot{MatcherSetsRaw: []caddy.ModuleMap{{"path": raw(caddyhttp.MatchPath{"*/"})}}}),
				}},
				HandlersRaw: handlerOf(caddyhttp.StaticResponse{
					StatusCode: caddyhttp.WeakString(strconv.Itoa(http.StatusPermanentRedirect)),
					Headers:    http.Header{"Location": []string{location}},
				}, "static_response"),
			})
		}
		routes = append(routes, caddyhttp.Route{
			MatcherSetsRaw: []caddy.ModuleMap{{"file": raw(fileserver.MatchFile{
				Root: root, TryFiles: tryFiles, TryPolicy: policy, SplitPath: s.handler.SplitPath,
			})}},
			HandlersRaw: handlerOf(rewrite.Rewrite{URI: "{http.matchers.file.relative}{http.matchers.file.remainder}"}, "rewrite"),
		})
	}

	handler := s.handler
	handler.ScriptsOnly = true
	site = append(site, handlerOf(handler, "php")...)
	if !s.noFiles {
		site = append(append(site, handlerOf(Hide{}, "php_hide")...), handlerOf(s.files, "file_server")...)
	}
	return append(routes, caddyhttp.Route{HandlersRaw: site})
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
