package igor

import (
	"net/http"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/sys/unix"
)

// Front decides what a path means to a PHP site, and rewrites the request to it: a file or script as it is, a directory to
// its index file (after a redirect that gives it its slash), and everything else to the front controller.
//
// It does what Caddy's file matcher does for
//
//	@directory { file {path}/index.php; not path */ }
//	redir @directory {path}/ 308
//	try_files {path} {path}/index.php index.php
//
// with one or two looks at the disk where those take a dozen, which was a third of the CPU time of a small request.
// php_server uses it unless it has a try_files of its own.
//
// Thread-safe: constant after Provision.
type Front struct {
	// The document root. Default: the site's root, {http.vars.root}.
	Root string `json:"root,omitempty"`

	// The index file and front controller. Default: index.php.
	Index string `json:"index,omitempty"`

	// As in the php handler.
	SplitPath []string `json:"split_path,omitempty"`

	files documentRoot
}

// CaddyModule returns the Caddy module information.
func (Front) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.php_front",
		New: func() caddy.Module { return new(Front) },
	}
}

// Provision sets the defaults and finds the root.
func (f *Front) Provision(caddy.Context) error {
	if f.Index == "" {
		f.Index = "index.php"
	}
	if len(f.SplitPath) == 0 {
		f.SplitPath = []string{".php"}
	}
	if err := checkSplit(f.SplitPath); err != nil {
		return err
	}
	for i, s := range f.SplitPath {
		f.SplitPath[i] = strings.ToLower(s)
	}
	var err error
	// Links are followed when the disk is looked at, so there is no need to resolve them now.
	f.files, err = newDocumentRoot(f.Root, false)
	return err
}

// ServeHTTP rewrites or redirects.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	root, err := f.files.of(repl)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	if strings.IndexByte(r.URL.Path, 0) >= 0 {
		return caddyhttp.Error(http.StatusBadRequest, errNULInPath)
	}
	clean := path.Clean("/" + r.URL.Path)
	slashed := clean != "/" && strings.HasSuffix(r.URL.Path, "/")
	if slashed {
		clean += "/"
	}
	switch at := splitPosition(clean, f.SplitPath); {
	case at >= 0: // a script, and perhaps its path info
		if isFile(joinBelow(root, clean[:at])) {
			f.rewrite(r, clean)
		} else {
			f.rewrite(r, "/"+f.Index)
		}
	default:
		found := look(joinBelow(root, clean))
		switch {
		case found == file && !slashed:
			f.rewrite(r, clean)
		case found == directory && isFile(joinBelow(root, path.Join(clean, f.Index))):
			if !slashed && clean != "/" {
				return f.addSlash(w, repl)
			}
			f.rewrite(r, path.Join(clean, f.Index))
		default:
			f.rewrite(r, "/"+f.Index)
		}
	}
	return next.ServeHTTP(w, r)
}

// entry is what there is under a name, links followed.
type entry int

const (
	nothing entry = iota // or what can't be looked at
	directory
	file // or anything else that is no directory
)

// look asks the system without os.Stat, whose description of a file costs as much as the system's part.
func look(name string) entry {
	var stat unix.Stat_t
	err := unix.Stat(name, &stat)
	for err == unix.EINTR { // some network filesystems
		err = unix.Stat(name, &stat)
	}
	switch {
	case err != nil:
		return nothing
	case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
		return directory
	default:
		return file
	}
}

func isFile(name string) bool { return look(name) == file }

// rewrite makes the request one for another path. What the client asked for stays in Caddy's original request.
func (f *Front) rewrite(r *http.Request, to string) {
	if r.URL.Path == to {
		return
	}
	r.URL.Path = to
	r.URL.RawPath = ""
	r.RequestURI = r.URL.RequestURI()
}

// addSlash sends the client to the directory itself. The path was judged clean, so the answer must not repeat the raw one:
// /%2Fevil.com%2F..%2Fsub would send browsers to another host. A reference that starts at the last segment can't leave this
// one.
func (f *Front) addSlash(w http.ResponseWriter, repl *caddy.Replacer) error {
	w.Header().Set("Location", repl.ReplaceAll("./{http.request.orig_uri.path.file_escaped}/{http.request.orig_uri.prefixed_query}", ""))
	w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Front)(nil)
	_ caddyhttp.MiddlewareHandler = (*Front)(nil)
)
