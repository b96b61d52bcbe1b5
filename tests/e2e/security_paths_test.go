package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Paths that lead where they must not.

// pathFiles are a site in which "SECRET", PHP's open tag and "EXECUTED" must never be seen by a visitor.
var pathFiles = harness.Files{
	"secret.txt":                      "SECRET outside",
	"outside.php":                     `<?php echo "EXECUTED", " outside";`,
	"public/index.php":                `<?php echo "front";`,
	"public/app.php":                  `<?php echo "app ", $_SERVER['PATH_INFO'];`,
	"public/uploads/photo.jpg":        `<?php echo "EXE", "CUTED";`,
	"public/uploads/photo.jpg.txt":    `text`,
	"public/.env":                     "SECRET=1",
	"public/.git/config":              "SECRET",
	"public/.htpasswd":                "SECRET",
	"public/sub/.hidden/file.txt":     "SECRET",
	"public/.well-known/.env":         "SECRET",
	"public/.well-known/security.txt": "for all",
	"public/folder.php/inner.php":     `<?php echo "EXE", "CUTED";`,
	"public/folder.php/file.txt":      "inner",
	"public/http.php":                 `<?php while (frankenphp_handle_request(function () { echo "front"; })) {}`,
	"public/background.php": `<?php
		$stream = frankenphp_worker_get_signaling_stream();
		while (($line = fgets($stream)) !== false) { if ($line === "stop\n") break; }`,
	"public/file.txt": "file",
}

func pathServer(t *testing.T, phpServer string) *harness.Server {
	root := harness.WriteFiles(t, pathFiles)
	for link, target := range map[string]string{"public/link.txt": "../secret.txt", "public/link.php": "../outside.php"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return harness.Start(t, harness.Config{Dir: filepath.Join(root, "public"), Root: filepath.Join(root, "public"), Site: phpServer})
}

func hostilePaths() []string {
	var paths []string
	for _, up := range []string{"..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "..;", "...", "%uff0e%uff0e"} {
		for _, slash := range []string{"/", "%2f", "%5c", "\\", "//", "/./", "%c0%af"} {
			for _, file := range []string{"secret.txt", "outside.php", "etc/passwd"} {
				for _, start := range []string{"/", "/uploads/", "/app.php/", "/.well-known/"} {
					paths = append(paths, start+up+slash+up+slash+file)
				}
			}
		}
	}
	return append(paths,
		// dotfiles
		"/.env", "//.env", "/./.env", "/%2eenv", "/%2Eenv", "/.env/", "/.env%20", "/.env%00", "/.ENV", "/.env.php", "/app.php/.env", "/.env/x.php",
		"/.git/config", "/.git//config", "/.git/./config", "/%2egit/config", "/.git%2fconfig", "/x/../.git/config", "/.git/config/x.php", "/.htpasswd",
		"/sub/.hidden/file.txt", "/sub/%2ehidden/file.txt", "/.well-known/.env", "/.well-known/../.env", "/.well-known/..%2f.env", "/.well-known%2f..%2f.env",
		// what is no script, posing as one
		"/uploads/photo.jpg/x.php", "/uploads/photo.jpg/.php", "/uploads/photo.jpg%00.php", "/uploads/photo.jpg%2f.php", "/uploads/photo.jpg;.php",
		"/uploads/photo.jpg%20.php", "/uploads/photo.jpg%0a.php", "/uploads/photo.jpg/%2e%2e/photo.jpg/x.php",
		// a folder that is called like a script
		"/folder.php", "/folder.php/", "/folder.php/inner.php", "/folder.php//inner.php", "/folder.php/./inner.php", "/folder.php%2finner.php",
		// the source of a script
		"/app.php%00", "/app.php%00.txt", "/app.php%20", "/app.php.", "/app.php%2e", "/app.php::$DATA", "/app.php~", "/app.phps", "/app.ph%70%00", "/app.PHP",
		"/app.php%5c", "/app.php\\", "/app.php;x", "/app.php%c0%80", "/%61pp.php%00", "/app.pHp/", "/app.php/.", "/app.php/..",
		// links that lead out are for those who made them; but not to sources
		"/background.php/../link.txt%00",
	)
}

// However a path is written, it gives away no file outside of the root, no dotfile and no source, and runs nothing that is
// no script; whatever it does, it is an answer.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]string{
		"front":     "php_server",
		"try_files": "php_server {\n try_files {path} {path}/index.php index.php\n}",
		"no index":  "php_server {\n index off\n}",
		"no files":  "php_server {\n file_server off\n}",
		"worker":    "php_server {\n index http.php\n worker http.php 1\n}",
		"match":     "php_server {\n worker http.php {\n  num 1\n  match *\n }\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pathServer(t, site)
			conn := dial(t, s)
			for _, path := range hostilePaths() {
				request := string(join("GET "+path+" HTTP/1.1", "Host: "+host(s), ""))
				if _, err := conn.Conn.Write([]byte(request)); err != nil {
					t.Fatal(err)
				}
				got := conn.await(t)
				if got.status == 400 { // Go hangs up on what is no URL
					conn.Conn.Close()
					conn = dial(t, s)
				}
				for _, never := range []string{"SECRET", "<?php", "EXECUTED", "root:"} {
					if strings.Contains(got.body, never) {
						t.Errorf("%s gave away %q", path, got.body)
					}
				}
				switch got.status {
				case 200, 308, 400, 403, 404:
				default:
					t.Errorf("%s was answered %d %q", path, got.status, got.body)
				}
				if location := got.header.Get("Location"); strings.HasPrefix(location, "//") || strings.Contains(location, "\\") {
					t.Errorf("%s is sent to %q", path, location)
				}
			}
		})
	}
}

// What is promised of the same site: the files and scripts that are meant to be seen.
func TestWhatPathsMayReach(t *testing.T) {
	t.Parallel()
	s := pathServer(t, "php_server")
	for path, want := range map[string]string{
		"/file.txt": "file", "/.well-known/security.txt": "for all", "/app.php/uploads/photo.jpg": "app /uploads/photo.jpg",
		"/folder.php/file.txt": "front", "/uploads/../file.txt": "file", "/uploads/photo.jpg.txt": "text",
		// Links are followed, in the root and out of it, as by Caddy's file server.
		"/link.txt": "SECRET outside", "/link.php": "EXECUTED outside",
		"/" + strings.Repeat("a/", 3000): "front", "/" + strings.Repeat("a", 8000): "front", "/" + strings.Repeat("x", 5000) + ".php": "front",
	} {
		if all := answersOf(t, exchangeRaw(t, s, join("GET "+path+" HTTP/1.1", "Host: "+host(s), "Connection: close", ""))); len(all) != 1 || all[0].status != 200 || all[0].body != want {
			t.Errorf("%.80s: %v, want %q", path, all, want)
		}
	}
	// A background worker's script below the root is a script like any other, which finds that it is no worker here.
	s.Get("/background.php").MustContain(200, "can only be called in a background worker")
}

// Targets that are no path, and methods that are none.
func TestOddTargetsAndMethods(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{Global: bothThreads, Site: bothSite(), Files: bothFiles(
		`echo json_encode([$_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI'], $_SERVER['SCRIPT_NAME'], $_SERVER['SERVER_NAME']]);`)})
	one := func(line string) answer {
		t.Helper()
		name := host(s)
		if strings.Contains(line, name) {
			name = "other.example" // the target's counts
		}
		all := answersOf(t, exchangeRaw(t, s, join(line, "Host: "+name, "Connection: close", "")))
		if len(all) != 1 {
			t.Fatalf("%q: %v", line, all)
		}
		return all[0]
	}
	for _, path := range bothWays {
		for line, want := range map[string]string{
			"GET http://" + host(s) + path + "?q HTTP/1.1": `["GET","%s?q","%s","127.0.0.1"]`,
			"GET //other.example/.." + path + " HTTP/1.1":  `["GET","//other.example/..%s","%s","127.0.0.1"]`,
			"PROPFIND " + path + " HTTP/1.1":               `["PROPFIND","%s","%s","127.0.0.1"]`,
			"get " + path + " HTTP/1.1":                    `["get","%s","%s","127.0.0.1"]`,
			"TRACE " + path + " HTTP/1.1":                  `["TRACE","%s","%s","127.0.0.1"]`,
		} {
			escaped := strings.ReplaceAll(path, "/", `\/`)
			want = strings.ReplaceAll(fmt.Sprintf(strings.ReplaceAll(want, "//other.example/..", `\/\/other.example\/..`), escaped, escaped), "\n", "")
			if got := one(line); got.status != 200 || got.body != want {
				t.Errorf("%s: %d %q, want %q", line, got.status, got.body, want)
			}
		}
	}
	for _, line := range []string{
		"CONNECT other.example:443 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET * HTTP/1.1", "GET /classic.php", "GET  /classic.php HTTP/1.1",
		"GET classic.php HTTP/1.1", "G\x01T / HTTP/1.1", "GET /\x7f HTTP/1.1", "GET / HTTP/9.9", "GET / HTTP/2.0", "PRI * HTTP/2.0", " / HTTP/1.1",
		"GET file:///etc/passwd HTTP/1.1", "GET http:// HTTP/1.1", "GET http://[::1 HTTP/1.1", "GET ?x HTTP/1.1", "(GET) / HTTP/1.1",
	} {
		for _, got := range answersOf(t, exchangeRaw(t, s, join(line, "Host: "+host(s), "Connection: close", ""))) {
			if got.status >= 500 && got.status != 505 && got.status != 501 || strings.Contains(got.body, "root:") {
				t.Errorf("%q was answered %d %q", line, got.status, got.body)
			}
		}
	}
	alive(t, s)
}
