package igor

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzWatchPattern: whatever is accepted names a folder, and a file that matches lies in a folder that is watched; else its
// change would never be heard of.
func FuzzWatchPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{defaultWatchPattern, "/srv/app/src/a.php"}, {"src/**/*.{php,twig}", "/srv/app/src/b/c.twig"}, {"/etc/app.ini", "/etc/app.ini"},
		{"../shared/*.php", "/srv/shared/a.php"}, {"[a-c]?/{x,y/z}.php", "/srv/app/a1/y/z.php"}, {`a\*b`, "/srv/app/a*b"}, {"**", "/srv/app/a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, given, file string) {
		if checkWatchPattern(given) != nil {
			return
		}
		p := newWatchPattern(given, "/srv/app")
		if !filepath.IsAbs(p.dir) || !strings.HasPrefix(p.glob, "/") {
			t.Fatalf("%q: folder %q, pattern %q", given, p.dir, p.glob)
		}
		file = filepath.Clean("/" + file)
		if p.matches(file) && !p.covers(filepath.Dir(file)) {
			t.Errorf("%q: %q matches, but its folder is not watched (folder %q, pattern %q)", given, file, p.dir, p.glob)
		}
	})
}

// FuzzThreadCount: what is accepted is written as it is read.
func FuzzThreadCount(f *testing.F) {
	for _, seed := range []string{"4", "50%", "auto", "0", "-1", "1e3", "100%%", " 2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		count, err := parseThreadCount(text)
		if err != nil {
			return
		}
		again, err := parseThreadCount(count.String())
		if err != nil || again != count {
			t.Errorf("%q was read as %v, and that as %v (%v)", text, count, again, err)
		}
	})
}
