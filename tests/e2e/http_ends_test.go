package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// All the ways in which a request's script can end, and that the thread serves the next one as if nothing
// had been.

func TestEndsOfScripts(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: `igor {
			num_threads 1
			php_ini memory_limit 32M
			php_ini display_errors 0
		}`,
		Files: harness.Files{
			"index.php": `<?php
			function recurse(array $in) { return recurse([$in]) + 1; }
			final class Chatty { function __destruct() { if (isset($_GET['dtor'])) throw new LogicException('in a destructor'); } }
			$chatty = new Chatty();
			if (isset($_GET['out'])) { echo "before "; }
			if (isset($_GET['flush'])) { flush(); }
			if (isset($_GET['shutdown'])) register_shutdown_function(function () { echo " shut down"; });
			if (isset($_GET['handler'])) set_exception_handler(function (Throwable $e) { http_response_code(503); echo get_class($e); });
			switch ($_GET['do']) {
				case 'exit': exit;
				case 'exit text': exit('text');
				case 'exit 3': exit(3);
				case 'return': return;
				case 'throw': throw new DomainException('thrown on purpose');
				case 'undefined': undefined_function();
				case 'type': strlen([]);
				case 'compile': eval('final class Broken implements Countable {}');
				case 'parse': eval('$a = ;');
				case 'user': trigger_error('as asked', E_USER_ERROR);
				case 'memory': $s = str_repeat('x', 100 << 20);
				case 'memory slowly': $all = []; while (true) $all[] = str_repeat('y', 1000);
				case 'recursion': recurse([]);
				case 'time': set_time_limit(1); while (true);
				case 'shutdown throws': register_shutdown_function(fn() => throw new RuntimeException('in shutdown')); break;
				case 'shutdown exits': register_shutdown_function(function () { echo "a"; exit; }); register_shutdown_function(function () { echo "b"; }); break;
				case 'fiber': (new Fiber(function () { throw new DomainException('in a fiber'); }))->start();
				case 'fiber exit': (new Fiber(function () { exit('in a fiber'); }))->start();
				case 'generator': $g = (function () { try { yield 1; } finally { echo "finally"; } })(); $g->current(); exit;
			}`,
			"ok.php":     `<?php echo "ok";`,
			"broken.php": "<?php\n\necho 'never';\n}",
		},
	})
	for _, c := range []struct {
		path   string
		status int
		body   string
		log    string // in the message of an error-level entry
		line   string
	}{
		{"/?do=exit&out", 200, "before ", "", ""},
		{"/?do=exit%20text", 200, "text", "", ""},
		{"/?do=exit%203&out&shutdown", 200, "before  shut down", "", ""},
		{"/?do=return&out", 200, "before ", "", ""},
		{"/?do=throw", 500, "", "Uncaught DomainException: thrown on purpose", "14"},
		{"/?do=throw&out&flush", 200, "before ", "Uncaught DomainException: thrown on purpose", "14"},
		{"/?do=throw&shutdown", 500, " shut down", "Uncaught DomainException: thrown on purpose", "14"},
		{"/?do=throw&handler", 503, "DomainException", "", ""},
		{"/?do=undefined", 500, "", "Call to undefined function undefined_function()", "15"},
		{"/?do=type", 500, "", "TypeError", "16"},
		{"/?do=compile", 500, "", "Class Broken contains 1 abstract method", "1"},
		{"/?do=parse", 500, "", "syntax error, unexpected token", "1"},
		{"/?do=user", 500, "", "as asked", "19"},
		{"/?do=memory", 500, "", "Allowed memory size of 33554432 bytes exhausted", "20"},
		{"/?do=memory%20slowly&shutdown", 500, " shut down", "Allowed memory size of 33554432 bytes exhausted", "21"},
		{"/?do=recursion", 500, "", "", ""},
		{"/?do=time", 500, "", "Maximum execution time of 1 second exceeded", "23"},
		{"/?do=shutdown%20throws&out", 200, "before ", "in shutdown", "24"},
		{"/?do=shutdown%20exits", 200, "a", "", ""},
		{"/?do=fiber", 500, "", "in a fiber", "26"},
		{"/?do=fiber%20exit", 200, "in a fiber", "", ""},
		{"/?do=generator", 200, "finally", "", ""},
		{"/?do=exit&dtor", 500, "", "in a destructor", "3"},
		{"/broken.php", 500, "", "Parse error", "4"},
	} {
		seen := len(s.Log.Entries())
		r := s.Get(c.path)
		if r.Status != c.status || r.Body != c.body {
			t.Errorf("%s answered %d %q, want %d %q", c.path, r.Status, r.Body, c.status, c.body)
		}
		if c.log != "" {
			e := s.WaitLogFor(c.log, func(e harness.Entry) bool {
				return e.Level == "error" && strings.Contains(e.Message, c.log) && strings.HasPrefix(e.Field("url"), strings.Split(c.path, " ")[0])
			})
			if e.Logger != "igor.php" || e.Field("line") != c.line || e.Field("file") == "" || e.Field("thread") == "" || e.Field("method") != "GET" {
				t.Errorf("%s logged %s, want logger igor.php, line %s, file, thread and method", c.path, e.Raw, c.line)
			}
		}
		s.Get("/ok.php").MustBe(200, "ok")
		if c.log == "" && c.status == 200 {
			for _, e := range s.Log.Entries()[seen:] {
				if e.Level == "error" || e.Level == "warn" {
					t.Errorf("%s logged %s", c.path, e.Raw)
				}
			}
		}
	}
}

// With display_errors the visitor sees what the log says, as HTML; the status is then PHP's own, 200.
func TestDisplayedErrors(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Config{
		Global: "igor {\n php_ini display_errors 1\n}",
		Files:  harness.Files{"index.php": `<?php throw new DomainException('<shown>');`},
	})
	s.Get("/").MustContain(200, "<b>Fatal error</b>", "DomainException: &lt;shown&gt;")
}

// The response is complete with fastcgi_finish_request(); the script works on, and what it prints then
// reaches nobody, least of all the connection's next request.
func TestFinishRequest(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.StartSite(t, "php_server", harness.Files{
		"index.php": `<?php
			header('X-Early: 1');
			echo "answer";
			$done = [$_GET['f'](), $_GET['f']()];
			echo "late"; header('X-Late: 1'); flush(); ob_start(); echo "later"; ob_end_flush(); ob_flush(); flush();
			file_get_contents($_GET['gate']);
			for ($i = 0; $i < 100; ++$i) { echo str_repeat('x', 10000); flush(); }
			file_put_contents(__DIR__ . '/after', json_encode([$done, connection_aborted(), connection_status()]));`,
		"next.php": `<?php echo "next";`,
	})
	for _, function := range []string{"fastcgi_finish_request", "frankenphp_finish_request"} {
		r := s.Get("/?f="+function+"&gate="+g.path).MustBe(200, "answer")
		if r.Header.Get("X-Early") != "1" || r.Header.Get("X-Late") != "" {
			t.Errorf("%s: the answer has %v", function, r.Header)
		}
		s.Get("/next.php").MustBe(200, "next")
		gate := g.awaitReader(t)
		s.Get("/next.php").MustBe(200, "next")
		gate.Close()
		awaitFile(t, filepath.Join(s.Root, "after"), "[[true,false],0,0]")
		for range 5 {
			s.Get("/next.php").MustBe(200, "next")
		}
		os.Remove(filepath.Join(s.Root, "after"))
	}
}

// A client that goes away ends the script at its next output, unless the script wants otherwise.
func TestClientAbort(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 1\n}",
		Files: harness.Files{
			"index.php": `<?php
			register_shutdown_function(function () {
				file_put_contents(__DIR__ . '/end', json_encode([connection_aborted(), connection_status(), $GLOBALS['reached'] ?? false]));
			});
			if (isset($_GET['ignore'])) ignore_user_abort(true);
			echo "first"; flush();
			file_get_contents($_GET['gate']);
			for ($i = 0; $i < 50 && !connection_aborted(); ++$i) { echo str_repeat('x', 100000); flush(); }
			$reached = true;`,
			"next.php": `<?php echo "next", connection_aborted();`,
		},
	})
	for _, c := range []struct{ query, want string }{
		{"", "[1,1,false]"},
		{"&ignore", "[1,1,true]"},
	} {
		conn := dial(t, s)
		conn.send(t, "GET /?gate="+g.path+c.query+" HTTP/1.1", "Host: "+strings.TrimPrefix(s.URL, "http://"), "")
		response, err := http.ReadResponse(conn.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "first" {
			t.Fatalf("%q, %v", first, err)
		}
		gate := g.awaitReader(t)
		conn.Conn.Close()
		gate.Close()
		awaitFile(t, filepath.Join(s.Root, "end"), c.want)
		os.Remove(filepath.Join(s.Root, "end"))
		s.Get("/next.php").MustBe(200, "next0")
	}
}

// Scripts run in Fibers, deep ones too, and what they print comes in order.
func TestFibers(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		function nest(int $n) { if ($n === 0) { echo "<"; flush(); Fiber::suspend(); echo ">"; return; }
			$f = new Fiber(nest(...)); $f->start($n - 1); Fiber::suspend(); $f->resume(); }
		$fibers = [];
		for ($i = 0; $i < 20; ++$i) { $fibers[] = $f = new Fiber(nest(...)); $f->start(10); }
		foreach ($fibers as $f) { $f->resume(); }
		echo strlen(file_get_contents('php://input')), count($fibers);`})
	parallel(4, func(int) {
		for range 5 {
			if r, err := s.TryGet("/"); err != nil || r.Body != strings.Repeat("<", 20)+strings.Repeat(">", 20)+"020" {
				t.Errorf("%q, %v", r.Body, err)
			}
		}
	})
}

// frankenphp_log() and error_log() are records of the server's log, with their level and fields.
func TestScriptsLog(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, "php_server", harness.Files{"index.php": `<?php
		frankenphp_log('plain');
		frankenphp_log('with context', FRANKENPHP_LOG_LEVEL_WARN, ['user' => 7, 'tags' => ['a', 'b'], 'level' => 'mine', 'text' => "ä\n"]);
		frankenphp_log('broken', FRANKENPHP_LOG_LEVEL_ERROR);
		frankenphp_log('detail', FRANKENPHP_LOG_LEVEL_DEBUG);
		error_log('from error_log');
		file_put_contents('php://stderr', "to stderr\n");
		echo "ok";`})
	s.Get("/?x=1").MustBe(200, "ok")
	e := s.WaitLog("with context")
	if e.Level != "warn" || e.Field("user") != "7" || e.Field("tags") != "[a b]" || e.Field("context.level") != "mine" || e.Field("text") != "ä\n" ||
		e.Field("url") != "/?x=1" {
		t.Errorf("a record with context came as %s", e.Raw)
	}
	for message, level := range map[string]string{"plain": "info", "broken": "error", "detail": "debug", "from error_log": "info"} {
		if e := s.WaitLog(message); e.Level != level || !strings.HasPrefix(e.Logger, "igor.php") {
			t.Errorf("%q came as %s, want level %s", message, e.Raw, level)
		}
	}
	s.WaitLog("to stderr")
}
