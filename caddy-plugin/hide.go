package igor

import (
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Hide keeps a php_server's files from being served that were never meant for visitors: those whose name, or a folder's on
// the way to them, begins with a dot (.env, .git/config, .htpasswd), and the source of PHP scripts, which would lie open
// when "split" names other endings. /.well-known/ is for visitors.
//
// The file_server's own "hide" can't do the first without hiding a whole site that lies below such a folder: it looks at
// names on the way to the document root, too.
//
// Thread-safe: has no state.
type Hide struct{}

// CaddyModule returns the Caddy module information.
func (Hide) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.php_hide",
		New: func() caddy.Module { return new(Hide) },
	}
}

var errHidden = errors.New("files whose names begin with a dot, and PHP sources, are not served")

// ServeHTTP answers as if the file was not there.
func (Hide) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if isHidden(r.URL.Path) {
		return caddyhttp.Error(http.StatusNotFound, errHidden)
	}
	return next.ServeHTTP(w, r)
}

func isHidden(urlPath string) bool {
	if !strings.HasPrefix(urlPath, "/") {
		urlPath = "/" + urlPath
	}
	if strings.Contains(urlPath, "//") || strings.Contains(urlPath, "/.") {
		urlPath = path.Clean(urlPath) // takes "." and ".." out, as the file server does
		below := strings.TrimPrefix(urlPath, "/.well-known")
		if below != "" && below[0] != '/' {
			below = urlPath
		}
		if strings.Contains(below, "/.") {
			return true
		}
	}
	name := strings.TrimRight(urlPath, "/")
	return len(name) >= 4 && equalFoldASCII(name[len(name)-4:], ".php")
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = (*Hide)(nil)
