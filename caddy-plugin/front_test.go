package igor

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
)

// caddysWay is what Front must do, done with Caddy's own matchers: the redirect and the try_files that the essay names.
type caddysWay struct{ directory, tryFiles fileserver.MatchFile }

func newCaddysWay(t *testing.T, root string) *caddysWay {
	t.Helper()
	w := &caddysWay{
		directory: fileserver.MatchFile{Root: root, TryFiles: []string{"{http.request.uri.path}/index.php"}},
		tryFiles: fileserver.MatchFile{
			Root: root, TryPolicy: "first_exist_fallback", SplitPath: []string{".php"},
			TryFiles: []string{"{http.request.uri.path}", "{http.request.uri.path}/index.php", "index.php"},
		},
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	for _, m := range []*fileserver.MatchFile{&w.directory, &w.tryFiles} {
		if err := m.Provision(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// frontRequest is a request as it reaches handlers: with a replacer that knows it.
func frontRequest(u *url.URL) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.URL = u
	repl := caddy.NewReplacer()
	w := httptest.NewRecorder()
	return caddyhttp.PrepareRequest(r, repl, w, &caddyhttp.Server{})
}

func (c *caddysWay) judge(t *testing.T, u *url.URL) (to, location string) {
	t.Helper()
	r := frontRequest(u)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	match := func(m fileserver.MatchFile) bool {
		ok, err := m.MatchWithError(r)
		if err != nil {
			t.Fatalf("%s: %v", u, err)
		}
		return ok
	}
	if !strings.HasSuffix(r.URL.Path, "/") && match(c.directory) {
		return "", repl.ReplaceAll("./{http.request.orig_uri.path.file_escaped}/{http.request.orig_uri.prefixed_query}", "")
	}
	if !match(c.tryFiles) {
		return r.URL.Path, ""
	}
	parsed, err := url.Parse(repl.ReplaceAll("{http.matchers.file.relative}{http.matchers.file.remainder}", ""))
	if err != nil {
		t.Fatal(err)
	}
	if to = parsed.Path; !strings.HasPrefix(to, "/") {
		to = "/" + to
	}
	return to, ""
}

func (c *caddysWay) same(t *testing.T, f *Front, u *url.URL) {
	t.Helper()
	wantPath, wantLocation := c.judge(t, u)
	copied := *u
	r, w := frontRequest(&copied), httptest.NewRecorder()
	got := ""
	err := f.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		got = r.URL.Path
		return nil
	}))
	if err != nil {
		t.Fatalf("%q: %v", u.Path, err)
	}
	if location := w.Header().Get("Location"); got != wantPath || location != wantLocation {
		t.Errorf("%q: became %q, Location %q; Caddy's matchers say %q, Location %q", u.Path, got, location, wantPath, wantLocation)
	}
}

func frontSite(t *testing.T) string {
	t.Helper()
	return site(t, map[string]string{
		"index.php": "", "app.php": "", "style.css": "", "blog/index.php": "", "blog/post.php": "", "assets/x.js": "",
		"dir.php/readme.txt": "", "dir.php/index.php": "", "a b/index.php": "", "ü.txt": "", "UPPER.PHP": "", ".env": "",
	})
}

func newFront(t *testing.T, root string) *Front {
	t.Helper()
	f := &Front{Root: root}
	if err := f.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFrontDoesWhatCaddyDoes judges paths in both ways.
func TestFrontDoesWhatCaddyDoes(t *testing.T) {
	root := frontSite(t)
	c, f := newCaddysWay(t, root), newFront(t, root)
	for _, path := range []string{
		"/", "/index.php", "/style.css", "/nothing", "/nothing/", "/blog", "/blog/", "/blog/post.php", "/blog/none.php",
		"/app.php/path/info", "/index.php/", "/assets", "/assets/", "/assets/x.js", "/none.php/x", "/blog/../app.php",
		"//blog//post.php", "/a b/", "/a b", "/ü.txt", "/UPPER.PHP", "/UPPER.PHP/x", "/upper.php", "/.env", "/../../etc/passwd",
		"/blog/./", "/blog/x/..", "/style.css/x", "/style.css/", "/app.phpx", "/app.php.bak", "/dir.php/readme.txt", "/blog/index.php/x/y",
	} {
		c.same(t, f, &url.URL{Path: path, RawQuery: "q=1"})
	}
}

func TestFrontWithAnotherIndexAndLinks(t *testing.T) {
	root := site(t, map[string]string{"front.php": "", "real/front.php": ""})
	mustSymlink(t, "real", "linked")
	f := &Front{Root: root, Index: "front.php"}
	if err := f.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "/front.php", "/x": "/front.php", "/linked/": "/linked/front.php", "/real/": "/real/front.php"} {
		got := ""
		err := f.ServeHTTP(httptest.NewRecorder(), frontRequest(&url.URL{Path: path}), caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			got = r.URL.Path
			return nil
		}))
		if err != nil || got != want {
			t.Errorf("%s became %q (%v), want %q", path, got, err, want)
		}
	}
}

func TestFrontRefusesNUL(t *testing.T) {
	err := newFront(t, t.TempDir()).ServeHTTP(httptest.NewRecorder(), frontRequest(&url.URL{Path: "/a\x00.php"}), nil)
	if handlerErr, ok := err.(caddyhttp.HandlerError); !ok || handlerErr.StatusCode != http.StatusBadRequest {
		t.Errorf("got %v", err)
	}
}

// FuzzFront: whatever the path, what Front hands on is clean, so that it stays below the root when joined to it.
func FuzzFront(f *testing.F) {
	root := f.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.php"), nil, 0o644); err != nil {
		f.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "sub"), 0o755); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"/a.php/b", "/../outside.php", "..", "sub", "//sub", "/sub/..%2f", "/sub/", "/a.php/../.."} {
		f.Add(seed)
	}
	front := &Front{Root: root}
	if err := front.Provision(caddy.Context{}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, given string) {
		_ = front.ServeHTTP(httptest.NewRecorder(), frontRequest(&url.URL{Path: given}), caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			got := r.URL.Path
			clean := path.Clean("/" + got)
			if got != clean && got != clean+"/" {
				t.Errorf("%q became %q", given, got)
			}
			return nil
		}))
	})
}
