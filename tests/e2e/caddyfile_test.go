package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Configurations through the executable: what is refused is refused by validate and run alike, with file,
// line and remedy; and FrankenPHP's documented forms work as they are.

func TestBadCaddyfiles(t *testing.T) {
	t.Parallel()
	worker := func(lines ...string) string {
		return "http://localhost:1 {\n\troot .\n\tphp_server {\n\t\tworker {\n\t\t\tname w\n\t\t\tfile w.php\n\t\t\tbackground\n\t\t\t" +
			strings.Join(lines, "\n\t\t\t") + "\n\t\t}\n\t}\n}\n"
	}
	for _, c := range []struct {
		name, caddyfile string
		want            []string
		adapts          bool // what only a look at the disk can tell
	}{
		{"unknown directive", worker("nun 2"), []string{"Caddyfile:8", `nun`, `"num"`}, false},
		{"num -1", worker("num -1"), []string{"Caddyfile:8", "num -1", "between 0 and"}, false},
		{"num many", worker("num many"), []string{"Caddyfile:8", `num "many"`, "not a whole number", "num 2"}, false},
		{"num without a value", worker("num"), []string{"Caddyfile:8", "num"}, false},
		{"missing script", worker("num 1", "env A b"), []string{"Caddyfile:4", "w.php", "does not exist", "create it"}, true},
		{"two of one name", strings.Replace(worker("num 1"), "\t}\n}\n", "\t\tworker x.php {\n\t\t\tname w\n\t\t\tbackground\n\t\t}\n\t}\n}\n", 1),
			[]string{"Caddyfile:11", `"w"`, "two workers of this name", "Caddyfile:4"}, false},
		{"match", worker("match /api/*"), []string{"Caddyfile:8", "match", "background"}, false},
		{"grace", worker("stop_grace soon"), []string{"Caddyfile:8", "stop_grace", "5s"}, false},
		{"queue", worker("queue -5"), []string{"Caddyfile:8", "queue -5"}, false},
		{"failures", worker("max_consecutive_failures -2"), []string{"Caddyfile:8", "max_consecutive_failures -2", "-1: never"}, false},
		{"unknown in php_server", "http://localhost:1 {\n\tphp_server {\n\t\tworkers 2\n\t}\n}\n", []string{"Caddyfile:3", "workers"}, false},
		{"unknown in the global block", "{\n\tigor {\n\t\tthreads 2\n\t}\n}\n", []string{"Caddyfile:3", "threads", "num_threads"}, false},
		{"php_ini", "{\n\tfrankenphp {\n\t\tphp_ini memory_limit\n\t}\n}\n", []string{"Caddyfile:3", "php_ini"}, false},
		{"both blocks", "{\n\tigor {\n\t}\n\tfrankenphp {\n\t}\n}\n:1 {\n\tphp_server\n}\n", []string{"igor", "frankenphp"}, true},
		{"folder for a script", strings.Replace(worker("num 1"), "file w.php", "file .", 1), []string{"Caddyfile:4", "directory", "PHP file"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := harness.WriteFiles(t, harness.Files{"Caddyfile": c.caddyfile})
			for _, command := range []string{"validate", "run", "adapt"} {
				output, status := harness.Run(t, dir, command, "--config", "Caddyfile", "--adapter", "caddyfile")
				if command == "adapt" && c.adapts {
					if status != 0 {
						t.Errorf("adapt: %d\n%s", status, output)
					}
					continue
				}
				if status == 0 {
					t.Errorf("igor %s accepted it:\n%s", command, output)
				}
				plain := strings.ReplaceAll(output, `\"`, `"`)
				for _, want := range c.want {
					if !strings.Contains(plain, want) {
						t.Errorf("igor %s does not say %q:\n%s", command, want, output)
					}
				}
			}
		})
	}
}

func TestUnreadableScript(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		// root reads everything; a link that leads nowhere is as unreadable to it as to anybody.
		dir := harness.WriteFiles(t, harness.Files{"Caddyfile": ":1 {\n\tphp_server {\n\t\tworker w.php {\n\t\t\tname w\n\t\t\tbackground\n\t\t}\n\t}\n}\n"})
		if err := os.Symlink("w.php", filepath.Join(dir, "w.php")); err != nil {
			t.Fatal(err)
		}
		output, status := harness.Run(t, dir, "validate", "--config", "Caddyfile", "--adapter", "caddyfile")
		if status == 0 || !strings.Contains(output, "w.php") || !strings.Contains(output, "can't be looked at") || !strings.Contains(output, "Caddyfile:3") {
			t.Errorf("validate: %d\n%s", status, output)
		}
		return
	}
	dir := harness.WriteFiles(t, harness.Files{"Caddyfile": ":1 {\n\tphp_server {\n\t\tworker w.php {\n\t\t\tname w\n\t\t\tbackground\n\t\t}\n\t}\n}\n", "w.php": ""})
	if err := os.Chmod(filepath.Join(dir, "w.php"), 0); err != nil {
		t.Fatal(err)
	}
	output, status := harness.Run(t, dir, "validate", "--config", "Caddyfile", "--adapter", "caddyfile")
	if status == 0 || !strings.Contains(output, "w.php can't be read") || !strings.Contains(output, "Caddyfile:3") {
		t.Errorf("validate: %d\n%s", status, output)
	}
}

// validate starts nothing: neither PHP nor a worker's script runs.
func TestValidateRunsNoScript(t *testing.T) {
	t.Parallel()
	dir := harness.WriteFiles(t, harness.Files{
		"Caddyfile": "http://localhost:1 {\n\tphp_server {\n\t\tworker w.php {\n\t\t\tname w\n\t\t\tnum 1\n\t\t\tbackground\n\t\t}\n\t}\n}\n",
		"w.php":     `<?php file_put_contents(__DIR__ . '/ran', 'x');`,
	})
	output, status := harness.Run(t, dir, "validate", "--config", "Caddyfile")
	if status != 0 || !strings.Contains(output, "Valid configuration") {
		t.Errorf("validate: %d\n%s", status, output)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("validate ran the worker's script")
	}
	if output, status := harness.Run(t, dir, "fmt", "Caddyfile"); status != 0 {
		t.Errorf("fmt: %d\n%s", status, output)
	}
	if output, status := harness.Run(t, dir, "list-modules"); status != 0 || !strings.Contains(output, "http.handlers.php") {
		t.Errorf("list-modules: %d\n%s", status, output)
	}
}

// JSON, as Caddy's API takes it.
func TestJSONConfiguration(t *testing.T) {
	t.Parallel()
	s := harness.StartSite(t, `respond "caddyfile"`, harness.Files{
		"index.php": `<?php echo $_SERVER['A'], frankenphp_worker_task_read(frankenphp_worker_task_send('w', []))['b'];`,
		"w.php": `<?php $s = frankenphp_worker_get_signaling_stream();
			while (fgets($s) !== "stop\n") while ([$t] = frankenphp_worker_task_receive()) { frankenphp_worker_task_update($t, ['b' => getenv('B')]); fclose($t); }`,
	})
	r := s.AdminDo("POST", "/load", "application/json", `{
		"admin": {"listen": "unix/`+s.Admin+`", "config": {"persist": false}},
		"apps": {
			"igor": {"num_threads": 2},
			"http": {"servers": {"s": {"listen": ["`+strings.TrimPrefix(s.URL, "http://")+`"], "automatic_https": {"disable": true}, "routes": [{"handle": [
				{"handler": "php", "root": "`+s.Root+`", "env": {"A": "a"}, "workers": [
					{"name": "w", "file_name": "w.php", "num": 1, "background": true, "env": {"B": "b"}}]}]}]}}}}}`)
	if r.Status != 200 {
		t.Fatalf("loading JSON: %d %s", r.Status, r.Body)
	}
	s.Get("/index.php").MustBe(200, "ab")
	r = s.AdminDo("POST", "/load", "application/json", `{"apps": {"igor": {"num_threads": -4}}}`)
	if r.Status == 200 || !strings.Contains(r.Body, "num_threads -4") {
		t.Errorf("num_threads of -4 in JSON: %d %s", r.Status, r.Body)
	}
}

// The forms of FrankenPHP's documentation, for what Igor has, served.
func TestFrankenPHPForms(t *testing.T) {
	t.Parallel()
	worker := `<?php $s = frankenphp_worker_get_signaling_stream();
		while (fgets($s) !== "stop\n") while ([$t] = frankenphp_worker_task_receive()) {
			frankenphp_worker_task_update($t, ['who' => $_SERVER['FRANKENPHP_WORKER_NAME'] . (getenv('APP_ENV') ?: '')]); fclose($t); }`
	files := harness.Files{
		"public/index.php": `<?php echo isset($_GET['to']) ? frankenphp_worker_task_read(frankenphp_worker_task_send($_GET['to'], []))['who'] : 'index ' . ini_get('memory_limit');`,
		"public/long.php":  `<?php echo str_repeat("the same line again\n", 5000);`,
		"public/file.txt":  "file",
		"public/bg.php":    worker,
		"bg.php":           worker,
	}
	head := "{\n\tadmin {$IGOR_TEST_ADMIN}\n\tpersist_config off\n\tauto_https off\n\tlog {\n\t\tformat json\n\t}\n\t"
	for _, c := range []struct{ name, caddyfile, to, who string }{
		{"the smallest", head + "}\n{$IGOR_TEST_ADDRESS}\n\nroot public/\nphp_server\n", "", ""},
		{"the image's", head + `skip_install_trust
			{$CADDY_GLOBAL_OPTIONS}
			frankenphp {
				{$FRANKENPHP_CONFIG}
			}
		}
		{$CADDY_EXTRA_CONFIG}
		{$IGOR_TEST_ADDRESS} {
			root {$SERVER_ROOT:public/}
			encode zstd br gzip
			{$CADDY_SERVER_EXTRA_DIRECTIVES}
			php_server {
				#worker /path/to/your/worker.php
			}
		}`, "", ""},
		{"written out", head + `}
		{$IGOR_TEST_ADDRESS} {
			root public
			route {
				@canonicalPath {
					file {path}/index.php
					not path */
				}
				redir @canonicalPath {path}/ 308
				@indexFiles file {
					try_files {path} {path}/index.php index.php
					split_path .php
				}
				rewrite @indexFiles {http.matchers.file.relative}
				@phpFiles path *.php
				php @phpFiles
				file_server
			}
		}`, "", ""},
		{"all options", head + `frankenphp {
				num_threads 4
				max_wait_time 10s
				php_ini {
					memory_limit 99M
					max_execution_time 15
				}
				worker {
					file bg.php
					num 1
					env APP_ENV prod
					name global
					max_consecutive_failures 6
					background
				}
			}
		}
		{$IGOR_TEST_ADDRESS} {
			php_server {
				root public
				split_path .php
				resolve_root_symlink false
				env APP_ENV dev
				name site
				worker {
					file bg.php
					name local
					background
				}
			}
		}`, "local", "localdev"},
		{"short form", head + `frankenphp {
				worker bg.php 2 {
					name global
					background
				}
			}
		}
		{$IGOR_TEST_ADDRESS} {
			root public
			php_server
		}`, "global", "global"},
		{"try_files for performance", head + `}
		{$IGOR_TEST_ADDRESS} {
			php_server {
				try_files {path} index.php
				root public
			}
		}`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Config{Caddyfile: c.caddyfile, Files: files})
			s.Get("/").MustContain(200, "index ")
			s.Get("/index.php").MustContain(200, "index ")
			s.Get("/pretty/url").MustContain(200, "index ")
			s.Get("/file.txt").MustBe(200, "file")
			if c.to != "" {
				s.Get("/?to="+c.to).MustBe(200, c.who)
			}
			if c.name == "the image's" { // which names an encoding that Caddy alone does not have
				for _, encoding := range []string{"zstd", "br", "gzip"} {
					request := s.Request("GET", "/long.php", nil)
					request.Header.Set("Accept-Encoding", encoding)
					if r := s.Do(request); r.Status != 200 || r.Header.Get("Content-Encoding") != encoding || len(r.Body) > 5000 {
						t.Errorf("asked for %s: %d, %q, %d bytes", encoding, r.Status, r.Header.Get("Content-Encoding"), len(r.Body))
					}
				}
			}
			if c.name == "all options" {
				s.Get("/").MustBe(200, "index 99M")
				s.Get("/?to=global").MustBe(200, "globalprod")
			}
		})
	}
}

// php-cli runs a script with the server's own executable.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := harness.WriteFiles(t, harness.Files{
		"script.php": `<?php echo implode(',', array_slice($argv, 1)), ' ', PHP_SAPI, "\n"; fwrite(STDERR, "error\n"); exit(7);`,
		"broken.php": `<?php throw new DomainException('on the command line');`,
		"signals.php": `<?php
			foreach ([SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGALRM] as $signal) {
				pcntl_signal($signal, function (int $number) { echo "got $number\n"; });
			}
			foreach ([SIGHUP, SIGINT, SIGTERM, SIGUSR1] as $signal) {
				posix_kill(getmypid(), $signal);
				pcntl_signal_dispatch();
			}
			pcntl_alarm(1);
			sleep(60);
			pcntl_signal_dispatch();
			pcntl_sigprocmask(SIG_BLOCK, [SIGUSR2]);
			posix_kill(getmypid(), SIGUSR2);
			echo 'waited for ', pcntl_sigwaitinfo([SIGUSR2]), "\n";`,
	})
	output, status := harness.Run(t, dir, "php-cli", "script.php", "a", "--b", "-c")
	if status != 7 || !strings.Contains(output, "a,--b,-c ") || !strings.Contains(output, "error") {
		t.Errorf("php-cli: %d %q", status, output)
	}
	output, status = harness.Run(t, dir, "php-cli", "broken.php")
	if status != 255 || !strings.Contains(output, "on the command line") {
		t.Errorf("php-cli of a script that throws: %d %q", status, output)
	}
	output, status = harness.Run(t, dir, "php-cli", "missing.php")
	if status == 0 || !strings.Contains(output, "missing.php") {
		t.Errorf("php-cli of a missing script: %d %q", status, output)
	}
	// There are no threads of Go's that a signal could come to.
	output, status = harness.Run(t, dir, "php-cli", "signals.php")
	if status != 0 || output != "got 1\ngot 2\ngot 15\ngot 10\ngot 14\nwaited for 12\n" {
		t.Errorf("php-cli of a script with signals: %d %q", status, output)
	}
	output, status = harness.Run(t, dir, "php-cli", "-h")
	if status != 0 || !strings.HasPrefix(output, "Usage: igor php-cli [options]") {
		t.Errorf("php-cli -h: %d %q", status, output)
	}
	output, status = harness.Run(t, dir, "version")
	if status != 0 || output == "" {
		t.Errorf("version: %d %q", status, output)
	}
}
