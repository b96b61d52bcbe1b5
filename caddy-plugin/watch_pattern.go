package igor

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// defaultWatchPattern is what "watch" alone means; it starts at the working directory, as all relative patterns do.
const defaultWatchPattern = "./**/*.{env,php,twig,yaml,yml}"

// watchPattern says which files a worker wants to be restarted for: all that match glob, which are below dir.
type watchPattern struct {
	given string // as configured, for messages
	dir   string // absolute, without wildcards
	glob  string // absolute
	// Whether folders below dir can hold such files, too.
	recursive bool
}

func checkWatchPattern(pattern string) error {
	if pattern == "" {
		return refuse("watch", `watch "": is empty; name a folder or a pattern, such as "watch src/**/*.php", or write "watch" alone for %s`, defaultWatchPattern)
	}
	if strings.ContainsRune(pattern, 0) || !doublestar.ValidatePathPattern(pattern) {
		return refuse("watch", `watch %q: is not a pattern; "*" and "?" stand for letters, "**" for folders, "[a-z]" for one letter and "{php,twig}" for one of the words, as in "watch src/**/*.{php,twig}"`, pattern)
	}
	return nil
}

// newWatchPattern resolves a pattern. One that names a folder means all files in and below it.
func newWatchPattern(given, base string) watchPattern {
	pattern := given
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(base, pattern)
	}
	pattern = filepath.Clean(pattern)
	p := watchPattern{given: given}
	// The folder ends before the first name with a wildcard.
	names := strings.Split(pattern, string(filepath.Separator))
	fixed := len(names)
	for i, name := range names {
		if strings.ContainsAny(name, `*?[{\`) {
			fixed = i
			break
		}
	}
	if fixed == len(names) {
		// As FrankenPHP has it: without a wildcard it is a folder, unless its last name has a dot in it. What is there is
		// asked first.
		info, err := os.Stat(pattern)
		isFile := err == nil && !info.IsDir() || err != nil && strings.Contains(names[len(names)-1], ".")
		if isFile {
			fixed--
		} else {
			names = append(names, "**", "*")
		}
	}
	p.dir = strings.Join(names[:fixed], string(filepath.Separator))
	if p.dir == "" {
		p.dir = string(filepath.Separator)
	}
	// Events have the path that was watched, so a link on the way is followed once, here.
	if resolved, err := filepath.EvalSymlinks(p.dir); err == nil {
		p.dir = resolved
	}
	rest := names[fixed:]
	p.recursive = len(rest) > 1
	p.glob = escapeGlob(p.dir)
	if !strings.HasSuffix(p.glob, string(filepath.Separator)) {
		p.glob += string(filepath.Separator)
	}
	p.glob += strings.Join(rest, string(filepath.Separator))
	return p
}

// matches says whether a change of the file at the absolute path counts.
func (p *watchPattern) matches(file string) bool {
	ok, err := doublestar.PathMatch(p.glob, file)
	return ok && err == nil && !isTemporary(filepath.Base(file))
}

// covers says whether files of the folder can match, or of folders in it.
func (p *watchPattern) covers(dir string) bool {
	if dir == p.dir {
		return true
	}
	prefix := p.dir
	if !strings.HasSuffix(prefix, string(filepath.Separator)) {
		prefix += string(filepath.Separator)
	}
	return p.recursive && strings.HasPrefix(dir, prefix)
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `{`, `\{`).Replace(path)
}

// isTemporary knows what editors write beside a file while they save it. The save itself is an event of the file's own.
func isTemporary(name string) bool {
	switch {
	case name == "4913", // vim's try whether it may write here
		strings.HasSuffix(name, "~"),
		strings.HasSuffix(name, ".swp"), strings.HasSuffix(name, ".swo"), strings.HasSuffix(name, ".swx"),
		strings.HasSuffix(name, ".tmp"), strings.HasSuffix(name, ".part"), strings.HasSuffix(name, ".crdownload"),
		strings.HasSuffix(name, "___jb_tmp___"), strings.HasSuffix(name, "___jb_old___"),
		strings.HasPrefix(name, ".#"),
		strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#"),
		strings.HasPrefix(name, ".goutputstream-"):
		return true
	}
	return false
}
