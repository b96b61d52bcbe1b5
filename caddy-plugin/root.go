package igor

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// documentRoot is the directory below which a site's files are: known when the configuration is loaded, or only with a
// request, when it has placeholders.
type documentRoot struct {
	dir    string // absolute; empty when it has placeholders
	format string // with placeholders
}

// siteRoot is what the site's "root" directive says.
const siteRoot = "http.vars.root"

// newDocumentRoot makes root absolute where that can be done now. Without one it is the site's, {http.vars.root}. With
// resolve a root that is a symbolic link is followed, once.
func newDocumentRoot(root string, resolve bool) (documentRoot, error) {
	if root == "" {
		return documentRoot{format: "{" + siteRoot + "}"}, nil
	}
	known := caddy.NewReplacer().ReplaceKnown(root, "")
	if strings.ContainsAny(known, "{}") {
		return documentRoot{format: known}, nil
	}
	dir, err := caddy.FastAbs(known)
	if err != nil {
		return documentRoot{}, fmt.Errorf("php: root %q can't be made absolute: %w", root, err)
	}
	if resolve {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return documentRoot{}, fmt.Errorf("php: root %q: %w; create the directory, or set resolve_root_symlink to false when it comes into being later", root, err)
		}
		dir = resolved
	}
	return documentRoot{dir: dir}, nil
}

// of is the root for a request.
func (d documentRoot) of(repl *caddy.Replacer) (string, error) {
	if d.dir != "" {
		return d.dir, nil
	}
	var dir string
	if d.format == "{"+siteRoot+"}" { // as nearly all have it
		dir, _ = repl.GetString(siteRoot)
	} else {
		dir = repl.ReplaceKnown(d.format, "")
	}
	dir, err := caddy.FastAbs(dir)
	if err != nil {
		return "", fmt.Errorf("php: root %q can't be made absolute: %w", d.format, err)
	}
	return dir, nil
}
