package igor

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// scriptPath is what a request's path means to PHP.
type scriptPath struct {
	name     string // SCRIPT_NAME: the path up to and with the script, below the document root
	pathInfo string // PATH_INFO: what follows it
	filename string // SCRIPT_FILENAME: the script's absolute path
}

var (
	errNULInPath = errors.New("the request's path contains a NUL byte")
	errTwoPaths  = errors.New("the request's escaped and decoded paths select different scripts")
)

// splitScriptPath finds the script that r asks for below root.
//
// The path is cleaned in the same way as Caddy's matchers clean it, so that what they judged is what runs: without that,
// /admin.php/../../other.php would be judged as other.php and run admin.php. For the same reason the escaped form of the
// path must name the same script: a matcher with a "%" in its pattern looks at that one.
func splitScriptPath(r *http.Request, root string, split []string) (scriptPath, error) {
	raw := r.URL.Path
	if strings.IndexByte(raw, 0) >= 0 {
		// PHP would see a path that ends at the NUL and might run what is no script.
		return scriptPath{}, caddyhttp.Error(http.StatusBadRequest, errNULInPath)
	}
	path := cleanPath(raw)
	p := scriptPath{name: path}
	if at := splitPosition(path, split); at >= 0 {
		p.name, p.pathInfo = path[:at], path[at:]
	}
	if r.URL.RawPath != "" {
		escaped, err := url.PathUnescape(cleanPath(r.URL.EscapedPath()))
		if err != nil {
			return scriptPath{}, caddyhttp.Error(http.StatusBadRequest, errTwoPaths)
		}
		name := escaped
		if at := splitPosition(escaped, split); at >= 0 {
			name = escaped[:at]
		}
		if name != p.name {
			return scriptPath{}, caddyhttp.Error(http.StatusBadRequest, errTwoPaths)
		}
	}
	if p.pathInfo == "" {
		// A rewrite may have left the rest of the path with the file matcher that found the script.
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			p.pathInfo, _ = repl.GetString("http.matchers.file.remainder")
		}
	}
	p.filename = joinBelow(root, p.name)
	return p, nil
}

// cleanPath takes every "." and ".." out of a request's path, which is made to start with a slash first: of "..", as a
// request for "*" or a proxy's may have it, cleaning alone would leave ".."
func cleanPath(path string) string {
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	return caddyhttp.NormalizedPath(path, true)
}

// joinBelow puts a cleaned path under root. path.Clean has taken every "..", so plain concatenation can't leave root.
func joinBelow(root, path string) string {
	if root == "/" {
		return path
	}
	return root + path
}

// splitPosition is the index at which path divides into script and path info, behind the first substring of split that
// ends the path or a segment of it; -1 without one. split must be lower-case ASCII. Letters compare without regard to
// case, and only ASCII letters do: folding others would make a file PHP whose name only looks like it.
func splitPosition(path string, split []string) int {
	for _, s := range split {
		for i := 0; i+len(s) <= len(path); i++ {
			end := i + len(s)
			if (end == len(path) || path[end] == '/') && equalFoldASCII(path[i:end], s) {
				return end
			}
		}
	}
	return -1
}

func equalFoldASCII(s, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
