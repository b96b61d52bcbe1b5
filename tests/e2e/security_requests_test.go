package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// What clients say of themselves, and what scripts repeat of it.

// No header becomes, or takes the place of, a variable that the server sets.
func TestHeadersDoNotBecomeServerVariables(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads,
		Site:   bothSite("env HTTP_X_TENANT configured", "env REMOTE_USER configured"),
		Files:  bothFiles(`echo json_encode(['server' => $_SERVER, 'tenant' => getenv('HTTP_X_TENANT'), 'proxy' => getenv('HTTP_PROXY'), 'ini' => ini_get('memory_limit')]);`),
	})
	names := []string{
		"Proxy", "X-Tenant", "X_Tenant", "X_Forwarded_For", "Script-Filename", "Script_Filename", "SCRIPT_FILENAME", "Document-Root", "DOCUMENT_ROOT",
		"PHP-VALUE", "PHP_VALUE", "PHP-ADMIN-VALUE", "PHP_ADMIN_VALUE", "Remote-Addr", "REMOTE_ADDR", "Remote-User", "REMOTE_USER", "Https", "HTTPS",
		"Redirect-Status", "Request-Uri", "Orig-Path-Info", "Path-Info", "Query-String", "Auth-Type", "Server-Name", "Gateway-Interface", "PATH", "LD_PRELOAD",
		"Argv", "Argc", "Frankenphp-Worker", "FRANKENPHP_WORKER", "GLOBALS", "_SERVER", "PHP-AUTH-USER", "PHP_AUTH_USER", "Php-Self", "HTTP-PROXY", "HTTP_PROXY",
	}
	for _, path := range bothWays {
		var plain, attacked struct {
			Server        map[string]any
			Tenant, Proxy any
			Ini           string
		}
		plain = jsonOf[struct {
			Server        map[string]any
			Tenant, Proxy any
			Ini           string
		}](t, s.Get(path))
		var lines strings.Builder
		for i, name := range names {
			fmt.Fprintf(&lines, "%s: memory_limit=%d\r\n", name, i+1)
		}
		all := answersOf(t, exchangeRaw(t, s, []byte("GET "+path+" HTTP/1.1\r\nHost: "+host(s)+"\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.9\r\n"+lines.String()+"\r\n")))
		if len(all) != 1 || all[0].status != 200 {
			t.Fatalf("%s: %v", path, all)
		}
		attacked = jsonOf[struct {
			Server        map[string]any
			Tenant, Proxy any
			Ini           string
		}](t, harness.Response{Status: 200, Body: all[0].body})
		for name, value := range attacked.Server {
			if strings.HasPrefix(name, "HTTP_") || strings.HasPrefix(name, "REQUEST_TIME") || name == "REMOTE_PORT" {
				continue
			}
			if want := plain.Server[name]; fmt.Sprint(value) != fmt.Sprint(want) {
				t.Errorf("%s: $_SERVER[%q] is %v with those headers, %v without", path, name, value, want)
			}
		}
		for name, want := range map[string]any{
			"HTTP_X_TENANT": "configured", "REMOTE_USER": "configured", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_PROXY": nil, "REMOTE_ADDR": "127.0.0.1", "HTTPS": nil,
		} {
			if got := attacked.Server[name]; got != want {
				t.Errorf("%s: $_SERVER[%q] is %v, want %v", path, name, got, want)
			}
		}
		if attacked.Tenant != "configured" || attacked.Proxy != false || attacked.Ini != plain.Ini {
			t.Errorf("%s: getenv() says %v and %v, memory_limit is %q", path, attacked.Tenant, attacked.Proxy, attacked.Ini)
		}
	}
}

// A request has one length, one host and one end: what could be read in two ways is refused, and what follows is no second
// request for PHP and another one for whoever stands before the server.
func TestAmbiguousRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads, Site: bothSite(),
		Files: bothFiles(`echo json_encode([$_SERVER['REQUEST_URI'], $_SERVER['CONTENT_LENGTH'] ?? '', file_get_contents('php://input')]);`),
	})
	const smuggled = "GET /classic.php?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, path := range bothWays {
		for what, request := range map[string]string{
			"two lengths":           "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + smuggled,
			"a length with a sign":  "Content-Length: +5\r\n\r\nhello" + smuggled,
			"a negative length":     "Content-Length: -5\r\n\r\nhello" + smuggled,
			"no length":             "Content-Length: five\r\n\r\nhello" + smuggled,
			"a list of lengths":     "Content-Length: 5, 6\r\n\r\nhello" + smuggled,
			"an unknown encoding":   "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + smuggled,
			"two encodings":         "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled,
			"a list of encodings":   "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled,
			"a space in a name":     "Content-Length : 5\r\n\r\nhello" + smuggled,
			"a chunk without end":   "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello" + smuggled,
			"a negative chunk":      "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" + smuggled,
			"two hosts":             "Host: other.example\r\nContent-Length: 0\r\n\r\n" + smuggled,
			"a control in a header": "X-A: a\x00b\r\nContent-Length: 0\r\n\r\n" + smuggled,
			"a bare return":         "X-A: a\rContent-Length: 5\r\n\r\nhello" + smuggled,
		} {
			got := exchangeRaw(t, s, []byte("POST "+path+" HTTP/1.1\r\nHost: "+host(s)+"\r\n"+request))
			all := answersOf(t, got)
			if len(all) != 1 || all[0].status != 400 && all[0].status != 501 || bytes.Contains(got, []byte("smuggled")) {
				t.Errorf("%s, %s: %v, want one refusal", path, what, all)
			}
		}
		// A length beside chunks does not count.
		got := exchangeRaw(t, s, []byte("POST "+path+" HTTP/1.1\r\nHost: "+host(s)+"\r\nConnection: close\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+smuggled))
		all := answersOf(t, got)
		if want := fmt.Sprintf(`["%s","","hello"]`, strings.ReplaceAll(path, "/", `\/`)); len(all) != 1 || all[0].body != want {
			t.Errorf("%s: a length and chunks: %v, want %s", path, all, want)
		}
		for _, odd := range []string{"", "Host: a b\r\n", "Host: <x>\r\n", "Host: a/b\r\n", "Host: a\x01\r\n", "Host: a\\b\r\n"} {
			for _, refused := range answersOf(t, exchangeRaw(t, s, []byte("GET "+path+" HTTP/1.1\r\n"+odd+"Connection: close\r\n\r\n"))) {
				if refused.status != 400 {
					t.Errorf("%s, %q: %d %q, want 400", path, odd, refused.status, refused.body)
				}
			}
		}
	}
	alive(t, s)
}

// What a script makes of what it was sent must not become a header of its own.
func TestAnswersCannotBeSplit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{Global: bothThreads, Site: bothSite(), Files: bothFiles(`
		$v = $_GET['v'];
		ini_set('display_errors', 0);
		set_error_handler(fn() => true);
		try {
			switch ($_GET['in']) {
				case 'value': header("X-Good: $v"); break;
				case 'name': header("X-$v: good"); break;
				case 'line': header("HTTP/1.1 200 $v"); break;
				case 'location': header("Location: $v"); break;
				case 'type': header("Content-Type: $v"); break;
				case 'cookie': setcookie('c', $v); setrawcookie("d$v", 'x'); setrawcookie('e', $v); setcookie('f', 'x', ['path' => $v]); break;
				case 'status': header("Status: $v"); break;
				case 'mime': ini_set('default_mimetype', $v); break;
				case 'session': session_name($v); session_start(); break;
			}
		} catch (Throwable) {}
		echo "body";`)})
	values := []string{
		"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\r\n\r\nX-Evil: 1", "a\x00\r\nX-Evil: 1", "a\r\n X-Evil: 1", "a\u560d\u560aX-Evil: 1",
		"a: b\r\nX-Evil: 1", "a\x0bX-Evil: 1", "a\x85X-Evil: 1", "999999999", "0", "101", "é", "a b", "\x7f", "200\r\nX-Evil: 1",
	}
	for _, path := range bothWays {
		for _, in := range []string{"value", "name", "line", "location", "type", "cookie", "status", "mime", "session"} {
			for _, value := range values {
				var query strings.Builder
				for i := range len(value) {
					fmt.Fprintf(&query, "%%%02x", value[i])
				}
				got := exchangeRaw(t, s, join("GET "+path+"?in="+in+"&v="+query.String()+" HTTP/1.1", "Host: "+host(s), "Connection: close", ""))
				head, _, _ := bytes.Cut(got, []byte("\r\n\r\n"))
				if bytes.Contains(head, []byte("\nX-Evil")) || bytes.Contains(head, []byte("\rX-Evil")) {
					t.Errorf("%s: %q in a %s split the answer: %q", path, value, in, got)
				}
				if all := answersOf(t, got); len(all) != 1 {
					t.Errorf("%s: %q in a %s: %d answers in %q", path, value, in, len(all), got)
				}
			}
		}
	}
	alive(t, s)
}

// Garbage: each try is an answer or the end of the connection, and afterwards all is well.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: bothThreads, Site: bothSite("request_body_timeout 5s"),
		Files: bothFiles(`echo count($_GET), count($_POST), count($_FILES), count($_COOKIE), strlen(file_get_contents('php://input'));`),
	})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	upload := "--b\r\nContent-Disposition: form-data; name=\"f[a][]\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--b\r\nContent-Disposition: form-data; name=\"v\"\r\n\r\nvalue\r\n--b--\r\n"
	for try := range 400 {
		path := bothWays[try%2]
		seeds := []string{
			"GET " + path + "?a[b][c]=1&d=%zz HTTP/1.1\r\nHost: " + host(s) + "\r\nCookie: a=b; c[d]=%00\r\nRange: bytes=0-1,2-\r\n\r\n",
			"POST " + path + " HTTP/1.1\r\nHost: " + host(s) + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\na=1&b[]=2&c",
			"POST " + path + " HTTP/1.1\r\nHost: " + host(s) + "\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: " + fmt.Sprint(len(upload)) + "\r\n\r\n" + upload,
			"PUT " + path + "/extra HTTP/1.0\r\nHost: " + host(s) + "\r\nTransfer-Encoding: chunked\r\nAuthorization: Basic YTpi\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		}
		request := []byte(seeds[random.IntN(len(seeds))])
		if try%8 == 0 { // nothing but noise
			request = make([]byte, random.IntN(4096))
			for i := range request {
				request[i] = byte(random.Uint32())
			}
		}
		for range random.IntN(12) {
			if len(request) == 0 {
				break
			}
			at := random.IntN(len(request))
			switch random.IntN(4) {
			case 0:
				request[at] = byte(random.Uint32())
			case 1:
				request = append(request[:at], request[at+1:]...)
			case 2:
				request = append(request[:at], append([]byte(strings.Repeat(string(request[at]), random.IntN(300))), request[at:]...)...)
			case 3:
				request = request[:at]
			}
		}
		got := talk(t, dial(t, s), request, true)
		if len(got) > 0 && !bytes.HasPrefix(got, []byte("HTTP/1.")) {
			t.Fatalf("try %d: %q was answered %.300q", try, request, got)
		}
		if try%50 == 0 {
			alive(t, s)
		}
	}
	alive(t, s)
	for _, e := range s.Log.Entries() {
		if e.Level == "panic" || strings.Contains(e.Message, "panic") {
			t.Errorf("the log has %s", e.Raw)
		}
	}
}

// Errors as visitors see them: nothing of the request is markup there, and what Igor itself answers has no text.
func TestErrorsAreNoMarkup(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{Global: bothThreads, Site: bothSite(), Files: bothFiles(`throw new Exception("found " . $_GET['v']);`)})
	for _, path := range bothWays {
		r := s.Get(path + "?v=%3Cscript%3Ealert(1)%3C/script%3E")
		if strings.Contains(r.Body, "<script>") {
			t.Errorf("%s: %d %q", path, r.Status, r.Body)
		}
	}
	for _, target := range []string{"/<script>alert(1)</script>%00", "/classic.php/<script>%00"} {
		for _, got := range answersOf(t, exchangeRaw(t, s, join("GET "+target+" HTTP/1.1", "Host: "+host(s), "Connection: close", ""))) {
			if got.status != http.StatusBadRequest || strings.Contains(got.body, "<script>") {
				t.Errorf("%s: %d %q", target, got.status, got.body)
			}
		}
	}
}
