package igor

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"
)

var update = flag.Bool("update", false, "write the JSON that Caddyfiles are adapted to into the golden files")

const separator = "\n----------\n"

func adapt(t *testing.T, text string) ([]byte, error) {
	t.Helper()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	for _, w := range warnings {
		t.Logf("warning: %s", w)
	}
	return config, err
}

// TestAdapt compares the JSON of every form of a Caddyfile with its golden file.
func TestAdapt(t *testing.T) {
	for _, file := range golden(t, "adapt") {
		t.Run(filepath.Base(file.path), func(t *testing.T) {
			config, err := adapt(t, file.input)
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, config, "", "\t"); err != nil {
				t.Fatal(err)
			}
			if *update {
				file.write(t, pretty.String())
				return
			}
			if pretty.String() != file.want {
				t.Errorf("got:\n%s\nwant:\n%s", pretty.String(), file.want)
			}
		})
	}
}

// TestAdaptErrors compares the whole message of each refused Caddyfile: it must name the file, the line and the remedy.
func TestAdaptErrors(t *testing.T) {
	for _, file := range golden(t, "errors") {
		t.Run(filepath.Base(file.path), func(t *testing.T) {
			_, err := adapt(t, file.input)
			if err == nil {
				t.Fatalf("accepted, but should be refused with: %s", file.want)
			}
			if *update {
				file.write(t, err.Error())
				return
			}
			if err.Error() != file.want {
				t.Errorf("got:\n%s\nwant:\n%s", err, file.want)
			}
			if !strings.Contains(err.Error(), "Caddyfile:") {
				t.Errorf("the message names no line: %s", err)
			}
		})
	}
}

type goldenFile struct{ path, input, want string }

func (f goldenFile) write(t *testing.T, want string) {
	t.Helper()
	if err := os.WriteFile(f.path, []byte(f.input+separator+want+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func golden(t *testing.T, folder string) (files []goldenFile) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.caddyfiletest"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files in %s (%v)", folder, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		input, want, found := strings.Cut(string(data), separator)
		if !found && !*update {
			t.Fatalf("%s: no separator line", path)
		}
		files = append(files, goldenFile{path, strings.TrimSuffix(input, "\n"), strings.TrimSpace(want)})
	}
	return files
}

// validate does what "igor validate" does: it provisions the configuration and starts nothing.
func validate(t *testing.T, config []byte) error {
	t.Helper()
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		return err
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	return caddy.Validate(cfg)
}

// site makes a folder with the files, and goes there for the time of the test.
func site(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

func TestValidateAcceptsAndStartsNothing(t *testing.T) {
	b := useFakeBackend(t)
	dir := site(t, map[string]string{"public/index.php": "", "worker.php": "", "public/own.php": ""})
	for _, block := range []string{"igor", "frankenphp"} {
		config, err := adapt(t, `{
	`+block+` {
		worker worker.php 2 {
			name global
			background
		}
	}
}
:8080 {
	php_server {
		root `+dir+`/public
		worker {
			name own
			file own.php
			background
		}
		worker {
			file ../worker.php
			background
		}
	}
}`)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, config); err != nil {
			t.Fatalf("%s: %v", block, err)
		}
	}
	if calls := b.calls(); len(calls) > 0 {
		t.Errorf("validation called the library: %v", calls)
	}
}

// TestProvisionErrors are the errors that need the file system. They come from the JSON, and still name the line.
func TestProvisionErrors(t *testing.T) {
	useFakeBackend(t)
	worker := func(lines string) string {
		return ":8080 {\n\tphp_server {\n\t\troot {dir}/public\n\t\tworker {\n\t\t\tname w\n\t\t\tbackground\n\t\t\t" + lines + "\n\t\t}\n\t}\n}"
	}
	for name, c := range map[string]struct {
		caddyfile string
		want      string
	}{
		"missing": {worker("file nope.php"),
			`worker "w" (Caddyfile:4): the script {dir}/public/nope.php does not exist ("nope.php" is relative to the php_server's root, {dir}/public); create it or correct "file"`},
		"missing, absolute": {worker("file /nowhere/nope.php"),
			`worker "w" (Caddyfile:4): the script /nowhere/nope.php does not exist; create it or correct "file"`},
		"directory": {worker("file ../folder"),
			`worker "w" (Caddyfile:4): the script {dir}/folder is a directory ("../folder" is relative to the php_server's root, {dir}/public); "file" must name a PHP file`},
		"device": {worker("file /dev/null"),
			`worker "w" (Caddyfile:4): the script /dev/null is not a regular file; "file" must name a PHP file`},
		"below a file": {worker("file ../worker.php/x"),
			`worker "w" (Caddyfile:4): the script {dir}/worker.php/x can't be looked at ("../worker.php/x" is relative to the php_server's root, {dir}/public): not a directory; correct its path or permissions`},
		"global, relative to the working directory": {"{\n\tigor {\n\t\tworker nope.php {\n\t\t\tname g\n\t\t\tbackground\n\t\t}\n\t}\n}\n:8080",
			`worker "g" (Caddyfile:3): the script {dir}/nope.php does not exist ("nope.php" is relative to the working directory, {dir}); create it or correct "file"`},
		"no root of its own": {":8080 {\n\tphp_server {\n\t\tworker nope.php {\n\t\t\tname w\n\t\t\tbackground\n\t\t}\n\t}\n}",
			`worker "w" (Caddyfile:3): the script {dir}/nope.php does not exist ("nope.php" is relative to the working directory, because the php_server has no "root" of its own, {dir}); create it or correct "file"`},
		"both global blocks": {"{\n\tigor {\n\t}\n\tfrankenphp {\n\t}\n}\n:8080",
			`both an "igor" block (Caddyfile:2) and a "frankenphp" block (Caddyfile:4) are given, and they are the same thing; put all settings in one of them`},
		"missing root": {":8080 {\n\tphp_server {\n\t\troot {dir}/nowhere\n\t}\n}",
			`php: root "{dir}/nowhere": lstat {dir}/nowhere: no such file or directory; create the directory, or set resolve_root_symlink to false when it comes into being later`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := site(t, map[string]string{"public/index.php": "", "worker.php": "", "folder/x": ""})
			config, err := adapt(t, strings.ReplaceAll(c.caddyfile, "{dir}", dir))
			if err != nil {
				t.Fatal(err)
			}
			err = validate(t, config)
			want := strings.ReplaceAll(c.want, "{dir}", dir)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got:\n%v\nwant in it:\n%s", err, want)
			}
		})
	}
}

func TestUnreadableScript(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read every file")
	}
	useFakeBackend(t)
	dir := site(t, map[string]string{"w.php": ""})
	if err := os.Chmod("w.php", 0); err != nil {
		t.Fatal(err)
	}
	w := WorkerConfig{Name: "w", Background: true, FileName: "w.php"}
	err := w.resolve(dir, "the working directory")
	if err == nil || !strings.Contains(err.Error(), "can't be read") {
		t.Errorf("got %v", err)
	}
}

// TestJSONErrors: JSON is refused for the same reasons as a Caddyfile.
func TestJSONErrors(t *testing.T) {
	useFakeBackend(t)
	site(t, map[string]string{"w.php": ""})
	app := func(fields string) string { return `{"apps":{"igor":{` + fields + `}}}` }
	worker := func(fields string) string {
		return app(`"workers":[{"name":"w","file_name":"w.php","background":true,` + fields + `}]`)
	}
	httpWorker := func(fields string) string { return app(`"workers":[{"file_name":"w.php",` + fields + `}]`) }
	for config, want := range map[string]string{
		app(`"num_threads":-1`):                                          "num_threads -1: must be between 1 and 4096",
		app(`"max_wait_time":-5`):                                        "max_wait_time -5ns: must be above zero",
		app(`"php_ini":{"a=b":"c"}`):                                     `php_ini "a=b": is not the name of a php.ini setting`,
		app(`"php_ini":{"a":"b\nc"}`):                                    `php_ini a: its value has a line break`,
		worker(`"num":-1`):                                               "num -1: must be between 0 and 4096",
		worker(`"num":3,"max_threads":2`):                                "max_threads 2: is below num 3",
		worker(`"queue":-1`):                                             "queue -1: must be between 0 and",
		worker(`"overflow":"drop"`):                                      `overflow "drop": must be "block"`,
		worker(`"updates":-1`):                                           "updates -1: must be between 1 and 65536",
		worker(`"max_payload":-1`):                                       "max_payload -1: must be between",
		worker(`"timeout":-1`):                                           "timeout -1ns: must be above zero",
		worker(`"stop_grace":"-1s"`):                                     "stop_grace -1s: must be above zero",
		worker(`"max_consecutive_failures":-2`):                          "max_consecutive_failures -2: must be between -1",
		worker(`"match_path":["/x"]`):                                    `a background worker takes tasks, not requests`,
		worker(`"watch":["a[b"]`):                                        `watch "a[b": is not a pattern`,
		worker(`"watch":[""]`):                                           `watch "": is empty`,
		worker(`"dispatch":"fair"`):                                      `dispatch "fair": must be "shared"`,
		worker(`"num":"many"`):                                           `number of threads "many": is not a whole number`,
		worker(`"num":"0%"`):                                             `number of threads "0%": must be between 1% and 10000% of the CPUs`,
		worker(`"max_tasks":-1`):                                         "max_tasks -1: must be between 1 and",
		worker(`"max_memory":-1`):                                        "max_memory -1: must be between 1 byte and 1TiB",
		worker(`"boot_timeout":-1`):                                      "boot_timeout -1ns: must be above zero",
		worker(`"max_wait_time":"1s"`):                                   "requests don't wait for a background worker",
		worker(`"max_requests":5`):                                       `write "max_tasks 5"`,
		worker(`"php_ini":{"a b":"c"}`):                                  `php_ini "a b": is not the name`,
		httpWorker(`"queue":5`):                                          `queue: is for workers that take tasks, and worker "w.php" has no "background"`,
		httpWorker(`"max_tasks":5`):                                      `write "max_requests"`,
		httpWorker(`"match_path":["x"]`):                                 `match "x": a path starts with "/"`,
		httpWorker(`"num":-3`):                                           "num -3: must be between 0 and 4096",
		app(`"max_threads":-2`):                                          `max_threads -2: must be between 1 and 4096, or "auto"`,
		app(`"num_threads":4,"max_threads":2`):                           "max_threads 2: is below num_threads 4",
		app(`"max_requests":-2`):                                         "max_requests -2: must be between",
		app(`"max_idle_time":-2`):                                        "max_idle_time -2ns: must be above zero",
		app(`"num_threads":2,"workers":[{"file_name":"w.php","num":2}]`): `num_threads 2: HTTP workers alone have 2 threads ("num")`,
		app(`"max_threads":2,"workers":[{"file_name":"w.php","num":2}]`): `max_threads 2: HTTP workers alone have 2 threads ("num")`,
		app(`"max_threads":9,"workers":[{"file_name":"w.php","num":2,"max_threads":10}]`):                                           `is above the global max_threads 9; lower it`,
		`{"apps":{"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[{"handler":"php","request_body_timeout":-1}]}]}}}}}`: `request_body_timeout -1ns: must be above zero`,
		worker(`"env":{"A=B":"c"}`):                                                  `env "A=B"`,
		worker(`"env":{"A":"\u0000"}`):                                               `env A: its value contains a NUL byte`,
		app(`"workers":[{"file_name":"w.php"},{"file_name":"w.php"}]`):               `worker "w.php": the global block has two HTTP workers of this file`,
		app(`"workers":[{"background":true}]`):                                       "no script given",
		app(`"workers":[{"name":"a\u0000b","file_name":"w.php","background":true}]`): "control characters",
		app(`"workers":[{"file_name":"w.php","background":true,"num":1}]`):           "num 1: a worker without a name",
		app(`"workers":[{"name":"w","file_name":"w.php","background":true},{"name":"w","file_name":"w.php","background":true}]`):                                                           `name "w": the global block has two workers of this name`,
		app(`"workers":[{"file_name":"w.php","background":true},{"file_name":"w.php","background":true}]`):                                                                                 `without a "name"`,
		worker(`"restart_backoff_min":"2s","restart_backoff_max":"1s"`):                                                                                                                    "the first pause is longer than the longest",
		`{"apps":{"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[{"handler":"php","split_path":[""]}]}]}}}}}`:                                                                `split ""`,
		`{"apps":{"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[{"handler":"php","split_path":["．php"]}]}]}}}}}`:                                                            "only visible ASCII",
		`{"apps":{"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[{"handler":"php","env":{"":"x"}}]}]}}}}}`:                                                                   `env ""`,
		`{"apps":{"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[{"handler":"php","workers":[{"file_name":"w.php","overflow":"block"}]}]}]}}}}}`:                             `has no "background"`,
		`{"apps":{"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[{"handler":"php","server_idx":3,"workers":[{"name":"w","background":true,"file_name":"gone.php"}]}]}]}}}}}`: `gone.php does not exist`,
		app(`"workers":[{"name":"` + strings.Repeat("n", 256) + `","file_name":"w.php","background":true}]`):                                                                               "is 256 bytes long",
	} {
		err := validate(t, []byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", config, err, want)
		}
	}
}

func TestSuggestions(t *testing.T) {
	for given, want := range map[string]string{
		"nmae": "name", "dispach": "dispatch", "fle": "file", "backgroud": "background", "queu": "queue", "num_thread": "", "xyz": "", "timeuot": "timeout",
		"maxthreads": "max_threads", "n": "", "": "", strings.Repeat("long", 40): "", "ENV": "",
	} {
		if got := nearest(given, workerDirectives); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestPHPIniText(t *testing.T) {
	got := phpIniText(map[string]string{
		"memory_limit": "256M", "error_reporting": "E_ALL & ~E_DEPRECATED", "opcache.enable": "1", "a.path": "/var/log/x;y",
		"quoted": `say "hi"`, "both": `it's "x" $y \z`, "empty": "", "session.save_path": "tcp://h:1?a=b",
	})
	want := `a.path='/var/log/x;y'
both="it's \"x\" \$y \\z"
empty=
error_reporting=E_ALL & ~E_DEPRECATED
memory_limit=256M
opcache.enable=1
quoted='say "hi"'
session.save_path='tcp://h:1?a=b'
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// FuzzWorkerBlock: whatever stands in a worker block, the parser ends without a panic, and what it accepts is accepted
// again when it comes as JSON.
func FuzzWorkerBlock(f *testing.F) {
	for _, seed := range []string{
		"worker a.php 2 {\n background\n name x\n}", "worker {\n file a\n num many\n}", "worker a watch", "worker {\n}",
		"worker a {\n background\n restart_backoff 1s 2s\n env A B\n max_payload 5MB\n match /a /b\n}", "worker { {\n} }",
		"worker a.php 50% {\n max_threads 3\n max_requests 5\n max_memory 1MB\n watch a/**/*.{b,c}\n php_ini a b\n php_ini {\n c d\n }\n}",
		"worker a.php auto {\n background\n name b\n dispatch least_busy\n timeout none\n max_tasks 4\n boot_timeout 1s\n}",
		"worker a.php {\n background\n queue -1\n overflow reject\n timeout 1d\n updates 0\n}", "worker \"\" \"\" {\n name \"\"\n}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := caddyfile.NewTestDispenser(text)
		if !d.Next() {
			return
		}
		w, err := parseWorker(d, "this block", nil)
		if err != nil {
			if !strings.Contains(err.Error(), "Testfile:") {
				t.Fatalf("no line in %q", err)
			}
			return
		}
		data, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var again WorkerConfig
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if err := again.check(); err != nil {
			t.Fatalf("accepted from a Caddyfile, refused from JSON: %v\n%s", err, data)
		}
		_ = again.poolOptions(0, 0)
	})
}

// FuzzBlocks: the same for whole files, with the text in the global block, in a php_server and in a php block.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{
		"num_threads 4\nmax_threads auto\nmax_requests 0\nphp_ini a b", "root /x\nsplit .php .inc\nindex off\nhide *.a", "env A {b}\nworker a.php {\n match /x/*\n}",
		"try_files {path} a.php\nfile_server off\nresolve_root_symlink no", "worker a.php 2\nworker a.php 3", "max_threads 3\nnum_threads 4", "hot_reload\n}", "import x",
		"worker {\n file a\n num 5\n}\nnum_threads 5", "php_ini {\n}\nphp_ini {\n a b\n}", "worker a.php watch {\n watch\n}", "name \"\"\nroot \"\"",
	} {
		f.Add(seed)
	}
	adapter := caddyconfig.GetAdapter("caddyfile")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "import") {
			return // reads other files
		}
		for _, file := range []string{
			"{\n igor {\n" + text + "\n }\n}\n:8080 {\n php_server\n}",
			":8080 {\n php_server {\n" + text + "\n }\n}",
			":8080 {\n php /x* {\n" + text + "\n }\n}",
		} {
			config, _, err := adapter.Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
			if err != nil {
				continue
			}
			var cfg caddy.Config
			if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
				t.Fatalf("%v in what became of\n%s\n%s", err, file, config)
			}
			if raw := cfg.AppsRaw["igor"]; raw != nil {
				var app App
				if err := caddy.StrictUnmarshalJSON(raw, &app); err != nil {
					t.Fatalf("%v in %s", err, raw)
				}
				if err := errors.Join(app.check(), checkWorkers(app.Workers, "here"), app.checkThreads()); err != nil {
					t.Fatalf("accepted from a Caddyfile, refused from JSON: %v\n%s", err, raw)
				}
			}
		}
	})
}
