package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What a script learns of its request. php-fpm behind a web server is the measure: applications were
// written against that.

const dumpServer = `<?php echo json_encode($_SERVER);`

func TestServerVariables(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Files: harness.Files{"index.php": dumpServer, "app/page.php": dumpServer},
		Caddyfile: strings.Replace(caddyfileHead, "SITE", "{$IGOR_TEST_ADDRESS}, http://photos.example:{$IGOR_TEST_PORT}", 1) + `
			root .
			php_server {
				env FROM_SITE yes
			}
		}`,
	})
	port := s.URL[strings.LastIndexByte(s.URL, ':')+1:]

	request := s.Request(http.MethodPost, "/app/page.php/more/path?a=1&b=%20", strings.NewReader("x=y"))
	request.Host = "photos.example:8443"
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("User-Agent", "the test")
	request.Header.Set("X-Several-Words", "one")
	request.Header.Add("X-Several-Words", "two")
	request.Header.Add("Cookie", "a=1")
	request.Header.Add("Cookie", "b=2")
	got := jsonOf[map[string]any](t, s.Do(request))

	want := map[string]any{
		"GATEWAY_INTERFACE": "CGI/1.1",
		"SERVER_PROTOCOL":   "HTTP/1.1",
		"SERVER_NAME":       "photos.example",
		"SERVER_PORT":       "8443",
		"SERVER_ADDR":       "127.0.0.1",
		"REMOTE_ADDR":       "127.0.0.1",
		"REQUEST_METHOD":    "POST",
		"REQUEST_SCHEME":    "http",
		"REQUEST_URI":       "/app/page.php/more/path?a=1&b=%20",
		"QUERY_STRING":      "a=1&b=%20",
		"SCRIPT_NAME":       "/app/page.php",
		"SCRIPT_FILENAME":   filepath.Join(s.Root, "app/page.php"),
		"DOCUMENT_ROOT":     s.Root,
		"DOCUMENT_URI":      "/app/page.php",
		"PHP_SELF":          "/app/page.php/more/path",
		"PATH_INFO":         "/more/path",
		"PATH_TRANSLATED":   filepath.Join(s.Root, "more/path"),
		"CONTENT_TYPE":      "application/x-www-form-urlencoded",
		"CONTENT_LENGTH":    "3",
		"HTTP_HOST":         "photos.example:8443",
		"HTTP_USER_AGENT":   "the test",
		"HTTP_CONTENT_TYPE": "application/x-www-form-urlencoded",
		"HTTP_COOKIE":       "a=1; b=2",
		"FROM_SITE":         "yes",
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("$_SERVER[%s] is %#v, want %#v", name, got[name], value)
		}
	}
	if value := got["HTTP_X_SEVERAL_WORDS"]; value != "one, two" {
		t.Errorf("a header given twice is %#v, want %q", value, "one, two")
	}
	for _, name := range []string{"REMOTE_PORT", "SERVER_SOFTWARE", "REQUEST_TIME", "REQUEST_TIME_FLOAT"} {
		if got[name] == nil || got[name] == "" {
			t.Errorf("$_SERVER[%s] is %#v, want a value", name, got[name])
		}
	}
	for _, name := range []string{"HTTPS", "PHP_AUTH_USER", "FRANKENPHP_WORKER", "FRANKENPHP_WORKER_NAME", "argv_"} {
		if _, is := got[name]; is {
			t.Errorf("$_SERVER[%s] is %#v, want it absent", name, got[name])
		}
	}

	// Without anything special: the front controller, HTTP/1.1, no body.
	plain := jsonOf[map[string]any](t, s.Get("/pretty/url?x"))
	for name, value := range map[string]any{
		"REQUEST_URI": "/pretty/url?x", "SCRIPT_NAME": "/index.php", "PHP_SELF": "/index.php", "PATH_INFO": "",
		"QUERY_STRING": "x", "CONTENT_LENGTH": "", "CONTENT_TYPE": "", "SERVER_PORT": port, "SERVER_NAME": "127.0.0.1",
		"HTTP_HOST": "127.0.0.1:" + port, "REQUEST_METHOD": "GET",
	} {
		if plain[name] != value {
			t.Errorf("for a pretty URL, $_SERVER[%s] is %#v, want %#v", name, plain[name], value)
		}
	}
}

// Variables are of one request: nothing of the one before on the same thread is left.
func TestNothingIsLeftOfTheRequestBefore(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 1\n}",
		Files: harness.Files{"index.php": `<?php
			$seen = ['globals' => isset($GLOBALS['mark']), 'static' => Keep::$mark ?? null, 'get' => $_GET, 'post' => $_POST,
				'cookie' => $_COOKIE, 'files' => $_FILES, 'user' => $_SERVER['PHP_AUTH_USER'] ?? null, 'env' => getenv('MARK'),
				'header' => $_SERVER['HTTP_X_MARK'] ?? null, 'session' => session_id(), 'ini' => ini_get('precision'),
				'input' => file_get_contents('php://input'), 'cwd' => getcwd(), 'locale' => setlocale(LC_ALL, 0),
				'status' => http_response_code(), 'headers' => headers_list(), 'umask' => umask()];
			final class Keep { public static $mark; }
			if (isset($_GET['mark'])) {
				$GLOBALS['mark'] = Keep::$mark = 1; putenv('MARK=1'); ini_set('precision', '5'); chdir('/'); session_id('abc');
				http_response_code(201); header('X-Mark: 1'); setlocale(LC_ALL, 'C.UTF-8'); umask(077);
				exit('marked');
			}
			echo json_encode($seen);`},
	})
	before := s.Get("/").Body
	request := s.Request(http.MethodPost, "/?mark=1", strings.NewReader("field=value"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Cookie", "c=1")
	request.Header.Set("X-Mark", "1")
	request.SetBasicAuth("igor", "secret")
	s.Do(request).MustBe(201, "marked")
	if after := s.Get("/").Body; after != before {
		t.Errorf("after a request that set everything, the next one on its thread sees\n%s, before it was\n%s", after, before)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		echo json_encode([$_SERVER['PHP_AUTH_USER'] ?? null, $_SERVER['PHP_AUTH_PW'] ?? null, $_SERVER['PHP_AUTH_DIGEST'] ?? null,
			$_SERVER['HTTP_AUTHORIZATION'] ?? null]);`})
	request := s.Request(http.MethodGet, "/", nil)
	request.SetBasicAuth("igor", "p:w")
	s.Do(request).MustBe(200, `["igor","p:w",null,"Basic aWdvcjpwOnc="]`)
	request = s.Request(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", `Digest username="igor"`)
	s.Do(request).MustBe(200, `[null,null,"username=\"igor\"","Digest username=\"igor\""]`)
	request = s.Request(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer abc")
	s.Do(request).MustBe(200, `[null,null,null,"Bearer abc"]`)
}

// REMOTE_USER is whom Caddy has let in. Credentials that nobody has looked at make none, or a script that trusts it would
// take anybody for anyone.
func TestRemoteUserIsVerified(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "basic_auth /inside/* {\n igor $2y$04$SktDk5B2tm3r6r9krNPR5.IjEPfHeYUOxn.HYm.6z7hR3EF9LXBWy\n}\nphp_server", harness.Files{
		"index.php": `<?php echo "user '$_SERVER[REMOTE_USER]' type '$_SERVER[AUTH_TYPE]' sent ", $_SERVER['PHP_AUTH_USER'] ?? '-';`})
	for path, want := range map[string]string{"/": "user '' type '' sent igor", "/inside/": "user 'igor' type 'Basic' sent igor"} {
		request := s.Request(http.MethodGet, path, nil)
		request.SetBasicAuth("igor", "p:w")
		s.Do(request).MustBe(200, want)
	}
	s.Get("/").MustBe(200, "user '' type '' sent -")
	if r := s.Get("/inside/"); r.Status != http.StatusUnauthorized {
		t.Errorf("without credentials got %d", r.Status)
	}
}

// Names of headers become names of variables, and two headers must not meet in one that is trusted.
func TestHeadersThatPretendAreLeftOut(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		echo json_encode(['vars' => array_filter($_SERVER, fn($n) => str_starts_with($n, 'HTTP_'), ARRAY_FILTER_USE_KEY),
			'getenv' => getenv('HTTP_PROXY')]);`})
	request := s.Request(http.MethodGet, "/", nil)
	request.Header["Proxy"] = []string{"http://evil.example:80"}
	request.Header["X_Real_Ip"] = []string{"10.0.0.1"}
	request.Header["X-Real-Ip"] = []string{"192.0.2.7"}
	request.Header["X_Forged"] = []string{"1"}
	request.Header["X.Dotted"] = []string{"1"}
	got := jsonOf[struct {
		Vars   map[string]string
		Getenv any
	}](t, s.Do(request))
	if got.Vars["HTTP_X_REAL_IP"] != "192.0.2.7" {
		t.Errorf("HTTP_X_REAL_IP is %q, want what the header with hyphens said", got.Vars["HTTP_X_REAL_IP"])
	}
	for _, name := range []string{"HTTP_PROXY", "HTTP_X_FORGED", "HTTP_X_DOTTED"} {
		if value, is := got.Vars[name]; is {
			t.Errorf("%s is %q, want it absent", name, value)
		}
	}
	if got.Getenv != false {
		t.Errorf("getenv('HTTP_PROXY') is %v, want false", got.Getenv)
	}
}

func TestRequestHeadersFunctions(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		header('X-Answer: 42');
		echo json_encode([getallheaders() === frankenphp_request_headers(), apache_request_headers()['X-Custom-Name'] ?? null,
			isset(getallheaders()['Host']), frankenphp_response_headers()['X-Answer'] ?? null]);`})
	request := s.Request(http.MethodGet, "/", nil)
	request.Header.Set("X-Custom-Name", "value")
	s.Do(request).MustBe(200, `[true,"value",true,"42"]`)
}

func TestHTTPSVariables(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	harness.Start(t, harness.Config{
		Files: harness.Files{"index.php": `<?php echo json_encode([$_SERVER['HTTPS'] ?? null, $_SERVER['REQUEST_SCHEME'],
			$_SERVER['SERVER_PORT'], $_SERVER['SERVER_NAME'], $_SERVER['SERVER_PROTOCOL'], $_SERVER['SSL_PROTOCOL'] ?? null]);`},
		Caddyfile: `{
			admin {$IGOR_TEST_ADMIN}
			persist_config off
			skip_install_trust
			auto_https disable_redirects
			log {
				format json
			}
		}
		https://localhost:{$IGOR_TEST_HTTPS_PORT} {
			tls internal
			root .
			php_server
		}
		{$IGOR_TEST_ADDRESS} {
			respond "plain"
		}`,
		Env: []string{"IGOR_TEST_HTTPS_PORT=" + port},
	})
	client := insecureClient(t)
	// Caddy serves before it has made its certificate.
	var response *http.Response
	eventually(t, "an answer over TLS", func() (err error) {
		response, err = client.Get("https://localhost:" + port + "/")
		return err
	})
	defer response.Body.Close()
	var got []any
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if want := []any{"on", "https", port, "localhost", "HTTP/2.0", "TLSv1.3"}; !slices.Equal(got, want) {
		t.Errorf("over TLS, HTTPS, REQUEST_SCHEME, SERVER_PORT, SERVER_NAME, SERVER_PROTOCOL, SSL_PROTOCOL are %v, want %v", got, want)
	}
}

// opcache knows which SAPI it runs in and switches itself off elsewhere; nobody would notice but the bill.
func TestOpcacheIsOn(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		// By default a file of the last two seconds is not cached.
		Global: "igor {\n php_ini opcache.file_update_protection 0\n}",
		Files: harness.Files{"index.php": `<?php
			$status = opcache_get_status();
			echo json_encode([PHP_SAPI, $status['opcache_enabled'], $status['opcache_statistics']['hits'] > 0,
				isset($status['scripts'][__FILE__])]);`},
	})
	s.Get("/")
	s.Get("/").MustBe(200, `["frankenphp",true,true,true]`)
}

// php.ini text of the global block, and a php.ini file's absence.
func TestPHPIniSettings(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: `igor {
			php_ini memory_limit 77M
			php_ini {
				date.timezone Europe/Berlin
				error_reporting "E_ALL & ~E_DEPRECATED"
				user_agent "a b=c; 'd'"
			}
		}`,
		Files: harness.Files{"index.php": `<?php echo json_encode([ini_get('memory_limit'), date_default_timezone_get(),
			error_reporting() === (E_ALL & ~E_DEPRECATED), ini_get('user_agent'), ini_get('display_errors')]);`},
	})
	s.Get("/").MustContain(200, `["77M","Europe\/Berlin",true,"a b=c; 'd'",`)
}

// Environment variables of the process, of the site and of putenv(), which must not leave its request.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Env:  []string{"IGOR_TEST_PROCESS=process"},
		Site: "php_server {\n env SITE_VALUE {host}\n}",
		Files: harness.Files{"index.php": `<?php
			$before = getenv('PUT');
			putenv('PUT=here');
			$process = getenv('IGOR_TEST_PROCESS');
			putenv('IGOR_TEST_PROCESS'); // takes it away, for this request
			if (getenv('IGOR_TEST_PROCESS') !== false || isset(getenv()['IGOR_TEST_PROCESS']) || getenv()['PUT'] !== 'here') exit('putenv');
			echo json_encode([$process, $_SERVER['SITE_VALUE'], getenv('SITE_VALUE'), $before, getenv('PUT'),
				isset(getenv()['SITE_VALUE'])]);`},
	})
	for range 30 {
		s.Get("/").MustBe(200, `["process","127.0.0.1","127.0.0.1",false,"here",true]`)
	}
}

// Who wins: at boot the worker's own env, in a request the site's, where both name a variable.
func TestEnvironmentOfAnHTTPWorker(t *testing.T) {
	t.Parallel()
	dir := harness.WriteFiles(t, harness.Files{"env.php": `<?php
		$read = fn($source) => implode(' ', array_map(fn($name) => $source($name) ?: '-', ['FIXED', 'ASKED', 'OWN', 'SITE']));
		$server = fn($name) => $_SERVER[$name] ?? '';
		$boot = $read($server) . ', ' . $read(getenv(...));
		while (frankenphp_handle_request(function () use ($boot, $read, $server) {
			echo "boot: $boot; request: ", $read($server), ', ', $read(getenv(...));
		}));`})
	const own = "num 1\n env FIXED worker\n env ASKED worker\n env OWN worker\n"
	const site = "env FIXED site\n env ASKED {http.request.uri.query.as}\n env SITE site\n"
	for name, one := range map[string]struct{ global, site, boot string }{
		"of the global block": {
			global: "igor {\n worker {\n file " + dir + "/env.php\n " + own + "}\n}",
			site:   "php_server {\n root " + dir + "\n " + site + "}",
			boot:   "worker worker worker -, worker worker worker -",
		},
		"of the site": {
			site: "php_server {\n root " + dir + "\n " + site + "worker {\n file env.php\n " + own + "}\n}",
			boot: "worker worker worker site, worker worker worker site",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Config{Root: dir, Global: one.global, Site: one.site})
			for _, as := range []string{"one", "two"} {
				values := "site " + as + " worker site"
				s.Get("/env.php?as="+as).MustBe(200, "boot: "+one.boot+"; request: "+values+", "+values)
			}
		})
	}
}
