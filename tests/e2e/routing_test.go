package e2e

import (
	"net/http"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Which of a site's files are served, and which requests go to which HTTP worker.

func TestHiddenFiles(t *testing.T) {
	t.Parallel()
	files := harness.Files{
		"index.php":                 `<?php http_response_code(404); echo 'front';`,
		".env":                      "SECRET=1",
		".git/config":               "SECRET=2",
		"sub/.htpasswd":             "SECRET=3",
		".well-known/security.txt":  "Contact: x",
		"dump.sql":                  "SECRET=4",
		"style.css":                 "a{}",
		"lib.php":                   `<?php /* SECRET=5 */`,
		"page.phtml":                `<?php echo 'page';`,
		"sub/.well-known/other.txt": "SECRET=6",
	}
	for name, site := range map[string]string{
		"front":     "php_server {\n hide *.sql\n}",
		"try_files": "php_server {\n try_files {path} index.php\n hide *.sql\n}",
		"index off": "php_server {\n index off\n hide *.sql\n}",
		"worker":    "php_server {\n worker w.php {\n match /none/*\n }\n hide *.sql\n}",
		"split":     "php_server {\n split .phtml\n index off\n hide *.sql\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "worker" {
				files := harness.Files{"w.php": `<?php while (frankenphp_handle_request(fn() => print('worker')));`, ".env": "SECRET=1", "dump.sql": "SECRET=4",
					"style.css": "a{}", "index.php": files["index.php"], ".well-known/security.txt": "Contact: x"}
				hidden(t, harness.StartSite(t, "php_server {\n worker w.php 1 {\n match *\n }\n hide *.sql\n}", files), "/.env", "/dump.sql")
				return
			}
			s := harness.StartSite(t, site, files)
			hidden(t, s, "/.env", "/.git/config", "/sub/.htpasswd", "/sub/.well-known/other.txt", "/dump.sql", "/%2eenv", "/sub/%2e%2e/.env",
				"/.git/", "//.env", "/x/..%2f.env", "/.well-known/..%2f.env")
			if name == "split" {
				hidden(t, s, "/lib.php", "/index.php")
				s.Get("/page.phtml").MustBe(http.StatusOK, "page")
			}
		})
	}
}

// hidden makes sure that none of the paths shows its file, and that others are served.
func hidden(t *testing.T, s *harness.Server, paths ...string) {
	t.Helper()
	for _, path := range paths {
		r := s.Get(path)
		if r.Status != http.StatusNotFound && r.Status != http.StatusBadRequest || len(r.Body) > 10 {
			t.Errorf("%s answered %d %q", path, r.Status, r.Body)
		}
	}
	s.Get("/style.css").MustBe(http.StatusOK, "a{}")
	s.Get("/.well-known/security.txt").MustBe(http.StatusOK, "Contact: x")
}

// sayWhere is an HTTP worker that tells by what names it was asked.
const sayWhere = `<?php
	$name = NAME;
	while (frankenphp_handle_request(function () use ($name) {
		$relative = fn($path) => str_replace(dirname($_SERVER['DOCUMENT_ROOT']) . '/', '', $path);
		echo $name, ' ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['PATH_INFO'] ?: '-', ' ', $relative($_SERVER['SCRIPT_FILENAME']), ' ',
			$_SERVER['REQUEST_URI'], ' ', $_SERVER['WHO'] ?? '-', ' ', getenv('WHO') ?: '-';
	}));`

func TestHTTPWorkerRouting(t *testing.T) {
	t.Parallel()
	dir := harness.WriteFiles(t, harness.Files{
		"public/index.php":     `<?php const NAME = 'front'; ?>` + sayWhere,
		"public/once.php":      `<?php echo 'once';`,
		"public/api/doc.txt":   "doc",
		"public/api/page.php":  `<?php echo 'page';`,
		"public/global.php":    `<?php const NAME = 'global'; ?>` + sayWhere,
		"public/both.php":      `<?php define('NAME', $_SERVER['SCOPE']); ?>` + sayWhere,
		"workers/api.php":      `<?php const NAME = 'api'; ?>` + sayWhere,
		"public/plain/own.php": `<?php const NAME = 'own'; ?>` + sayWhere,
	})
	s := harness.Start(t, harness.Config{
		Root: dir + "/public",
		Global: `frankenphp {
			worker ` + dir + `/public/global.php 1
			worker {
				file ` + dir + `/public/both.php
				num 1
				env SCOPE global
			}
		}`,
		Site: `
		handle /plain/* {
			php {
				root ` + dir + `/public
				worker plain/own.php 1
			}
		}
		handle {
			php_server {
				root ` + dir + `/public
				env WHO site
				worker index.php 1
				worker {
					file both.php
					num 1
					env SCOPE site
				}
				worker {
					file ../workers/api.php
					num 1
					match /api/* /rpc
					env WHO api
				}
			}
		}`,
	})
	for path, want := range map[string]string{
		"/":                  "front /index.php - public/index.php / site site",
		"/some/page?x=1":     "front /index.php - public/index.php /some/page?x=1 site site",
		"/index.php/info?x":  "front /index.php /info public/index.php /index.php/info?x site site",
		"/once.php":          "once",
		"/global.php":        "global /global.php - public/global.php /global.php site site",
		"/both.php":          "site /both.php - public/both.php /both.php site site",
		"/api/users?id=3":    "api /api.php - workers/api.php /api/users?id=3 site site",
		"/rpc":               "api /api.php - workers/api.php /rpc site site",
		"/api/doc.txt":       "doc",
		"/api/page.php":      "api /api.php - workers/api.php /api/page.php site site",
		"/plain/own.php/x":   "own /plain/own.php /x public/plain/own.php /plain/own.php/x - -",
		"/api/none.txt":      "api /api.php - workers/api.php /api/none.txt site site",
		"/apis":              "front /index.php - public/index.php /apis site site",
		"/index.php/../both": "front /index.php - public/index.php /index.php/../both site site",
	} {
		request := s.Request(http.MethodGet, "/", nil)
		request.URL.Opaque = path
		if r := s.Do(request); r.Status != http.StatusOK || r.Body != want {
			t.Errorf("%s answered %d %q, want %q", path, r.Status, r.Body, want)
		}
	}
}
