package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// WordPress as it comes, one request at a time, on a database of its own: installed through its own pages, used as its
// author and its visitors do. It wants more than the other tests do, and so it is asked for:
//
//	IGOR_TEST_WORDPRESS=$(docker/provision.sh wordpress) ./dev test --only e2e --filter WordPress
func TestWordPress(t *testing.T) {
	t.Parallel()
	wordpress := os.Getenv("IGOR_TEST_WORDPRESS")
	if wordpress == "" {
		t.Skip("IGOR_TEST_WORDPRESS does not say where WordPress is (docker/provision.sh wordpress)")
	}
	if modules, _ := harness.Run(t, wordpress, "php-cli", "-m"); !strings.Contains(modules, "\nmysqli\n") {
		t.Fatalf("this PHP has no mysqli, which WordPress needs. It has:\n%s", modules)
	}
	database := startMariaDB(t)
	root := filepath.Join(t.TempDir(), "wordpress")
	if out, err := exec.Command("cp", "-r", wordpress, root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := fmt.Sprintf(`<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'wordpress'); define('DB_PASSWORD', 'wordpress');
define('DB_HOST', '%s'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define("{$name}_KEY", hash('sha256', "$name key")); define("{$name}_SALT", hash('sha256', "$name salt"));
}
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true);
$table_prefix = 'wp_';
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require ABSPATH . 'wp-settings.php';
`, database)
	if err := os.WriteFile(filepath.Join(root, "wp-config.php"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := harness.Start(t, harness.Config{Global: "igor {\n php_ini display_errors 0\n}", Root: root})

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	author := &http.Client{Jar: jar, Timeout: time.Minute}
	defer author.CloseIdleConnections()
	// ask sends what an author's browser would, follows redirections, and returns the page.
	ask := func(status int, method, path, contentType string, body io.Reader, header ...string) string {
		t.Helper()
		request := s.Request(method, path, body)
		request.Header.Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := author.Do(request)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status {
			t.Fatalf("%s %s answered %d (%v), want %d:\n%.2000s\nthe log:\n%s", method, path, response.StatusCode, err, status, text, s.Log.Tail(20))
		}
		return string(text)
	}
	get := func(path string) string { t.Helper(); return ask(200, "GET", path, "", nil) }
	post := func(path string, form url.Values) string {
		t.Helper()
		return ask(200, "POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	}
	contains := func(what, page, text string) {
		t.Helper()
		if !strings.Contains(page, text) {
			t.Fatalf("%s does not say %q:\n%.3000s", what, text, page)
		}
	}

	if got := s.Get("/"); got.Status != 302 || !strings.HasSuffix(got.Header.Get("Location"), "/wp-admin/install.php") {
		t.Fatalf("the first page is %d, to %s", got.Status, got.Header.Get("Location"))
	}
	const password = "a long one, 4711"
	contains("the installation", post("/wp-admin/install.php?step=2", url.Values{
		"weblog_title": {"Igor's blog"}, "user_name": {"ada"}, "admin_password": {password}, "admin_password2": {password}, "pw_weak": {"1"},
		"admin_email": {"ada@example.org"}, "blog_public": {"0"}, "language": {""},
	}), "Success!")
	get("/wp-login.php") // brings the cookie that the login looks for
	contains("the dashboard", post("/wp-login.php", url.Values{"log": {"ada"}, "pwd": {password}, "wp-submit": {"Log In"}, "testcookie": {"1"}}), "<title>Dashboard")

	// Addresses without index.php, which the front controller serves.
	nonce := regexp.MustCompile(`name="_wpnonce" value="([0-9a-f]+)"`).FindStringSubmatch(get("/wp-admin/options-permalink.php"))
	if nonce == nil {
		t.Fatal("the form for addresses has no nonce")
	}
	post("/wp-admin/options-permalink.php", url.Values{"_wpnonce": {nonce[1]}, "selection": {"/%postname%/"}, "permalink_structure": {"/%postname%/"}, "submit": {"1"}})

	rest := strings.TrimSpace(get("/wp-admin/admin-ajax.php?action=rest-nonce"))
	created := ask(201, "POST", "/wp-json/wp/v2/posts", "application/json",
		strings.NewReader(`{"title":"Hello Igor","content":"A post of a test.","status":"publish"}`), "X-WP-Nonce", rest)
	contains("the new post", created, `"slug":"hello-igor"`)

	// A picture, of which WordPress makes smaller ones with GD.
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 1200, 800)), nil); err != nil {
		t.Fatal(err)
	}
	var media struct {
		Details struct {
			Sizes map[string]struct {
				URL string `json:"source_url"`
			}
		} `json:"media_details"`
	}
	uploaded := ask(201, "POST", "/wp-json/wp/v2/media", "image/jpeg", &picture, "X-WP-Nonce", rest, "Content-Disposition", `attachment; filename="grey.jpg"`)
	if err := json.Unmarshal([]byte(uploaded), &media); err != nil || len(media.Details.Sizes) < 3 {
		t.Fatalf("of the picture there are %+v (%v)", media, err)
	}
	for name, size := range media.Details.Sizes {
		if got := s.Get(strings.TrimPrefix(size.URL, s.URL)); got.Status != 200 || got.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%s (%s): %d %s", name, size.URL, got.Status, got.Header.Get("Content-Type"))
		}
	}

	// Visitors, many at once: each gets the whole page, and nobody is taken for the author.
	parallel(8, func(int) {
		for range 6 {
			for path, text := range map[string]string{"/": "Hello Igor", "/hello-igor/": "A post of a test."} {
				got, err := s.TryGet(path)
				if err != nil || got.Status != 200 || !strings.Contains(got.Body, text) || !strings.Contains(got.Body, "</html>") || strings.Contains(got.Body, "wp-admin-bar") {
					t.Errorf("%s: %d, %d bytes, %v", path, got.Status, len(got.Body), err)
				}
			}
		}
	})
	s.Get("/no-such-post/").MustContain(404, "</html>")
	s.Get("/wp-includes/css/buttons.min.css").MustContain(200, ".wp-core-ui")
	for _, entry := range s.Log.Find("Fatal error") {
		t.Errorf("logged: %s", entry.Raw)
	}
}

// startMariaDB starts a server of the test's own with an empty database in it, and returns its address.
func startMariaDB(t *testing.T) string {
	t.Helper()
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		server = "/usr/sbin/mariadbd"
	}
	folder, err := os.MkdirTemp("", "igor-mariadb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(folder, "data")
	if out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--user="+me.Username, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v (docker/provision.sh wordpress installs it)\n%s", err, out)
	}
	begin := filepath.Join(folder, "begin.sql")
	sql := "CREATE DATABASE wordpress;\nCREATE USER wordpress@'127.0.0.1' IDENTIFIED BY 'wordpress';\nCREATE USER wordpress@localhost IDENTIFIED BY 'wordpress';\n" +
		"GRANT ALL ON wordpress.* TO wordpress@'127.0.0.1';\nGRANT ALL ON wordpress.* TO wordpress@localhost;\n"
	if err := os.WriteFile(begin, []byte(sql), 0o644); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + freePort(t)
	_, port, _ := strings.Cut(address, ":")
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(server, "--no-defaults", "--datadir="+data, "--socket="+filepath.Join(folder, "socket"), "--pid-file="+filepath.Join(folder, "pid"),
		"--bind-address=127.0.0.1", "--port="+port, "--user="+me.Username, "--init-file="+begin, "--innodb-buffer-pool-size=64M")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = command.Process.Kill()
			<-ended
		}
	})
	for limit := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(log.Name())
		if strings.Contains(string(text), "ready for connections") {
			return address
		}
		select {
		case <-ended:
			t.Fatalf("MariaDB has ended:\n%s", text)
		default:
		}
		if time.Now().After(limit) {
			t.Fatalf("MariaDB was not ready within a minute:\n%s", text)
		}
	}
}
