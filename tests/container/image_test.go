// Package container builds the image that users build, and runs it as they do. It needs root, docker and debootstrap;
// IGOR_IMAGE with IGOR_BUILDER_IMAGE, IGOR_OFFICIAL_IMAGE and IGOR_PLAIN_IMAGE name images that are there instead of
// building them.
package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func checkout() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// command runs to its end, and fails the test when it does not end well.
func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tryCommand(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func tryCommand(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = checkout()
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if err != nil {
		return out.String() + problems.String(), err
	}
	return strings.TrimSpace(out.String()), nil
}

var images = sync.OnceValues(func() (built [2]string, err error) {
	built = [2]string{os.Getenv("IGOR_IMAGE"), os.Getenv("IGOR_BUILDER_IMAGE")}
	if built[0] != "" && built[1] != "" {
		return built, nil
	}
	bases, err := tryCommand("tests/container/base")
	if err != nil {
		return built, fmt.Errorf("%v\n%s", err, bases)
	}
	debian, php, _ := strings.Cut(bases, " ")
	built = [2]string{"igor-test", "igor-test-builder"}
	if err := build(built[0], php, debian); err != nil {
		return built, err
	}
	return built, build(built[1], php, debian, "--target", "builder")
})

// build makes an image of docker/Dockerfile.
func build(name, php, debian string, more ...string) error {
	args := append([]string{"build", "-f", "docker/Dockerfile", "-t", name, "--build-arg", "PHP_IMAGE=" + php,
		"--build-arg", "RUNTIME_IMAGE=" + debian, "--build-arg", "REVISION=test", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"}, more...)
	if out, err := tryCommand("docker", append(args, ".")...); err != nil {
		return fmt.Errorf("building the image: %v\n%s", err, out[max(0, len(out)-4000):])
	}
	return nil
}

// imageName is the name of the image under test.
func imageName(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("there is no docker on this machine")
	}
	if out, err := tryCommand("docker", "info"); err != nil {
		t.Skipf("docker does not run on this machine: %s", out)
	}
	built, err := images()
	if err != nil {
		t.Fatal(err)
	}
	return built[0]
}

// container is one that runs.
type container struct {
	t  testing.TB
	id string
}

// run starts a container, and arranges for its end. Its port stays the same when it is restarted.
func run(t testing.TB, args ...string) *container {
	t.Helper()
	c := &container{t, command(t, "docker", append([]string{"run", "-d", "-p", "127.0.0.1:" + freePort(t) + ":80"}, args...)...)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the container's log:\n%s", c.log())
		}
		tryCommand("docker", "rm", "-f", c.id)
	})
	return c
}

func (c *container) inspect(format string) string {
	c.t.Helper()
	return command(c.t, "docker", "inspect", "-f", format, c.id)
}

func (c *container) exec(args ...string) string {
	c.t.Helper()
	return command(c.t, "docker", append([]string{"exec", c.id}, args...)...)
}

func (c *container) log() string {
	out, _ := exec.Command("docker", "logs", c.id).CombinedOutput()
	return string(out)
}

func (c *container) url() string {
	c.t.Helper()
	return "http://" + strings.Fields(command(c.t, "docker", "port", c.id, "80/tcp"))[0]
}

// pid on the host, of the server: of the container's first process, or of its child where that is tini.
func (c *container) pid() int {
	c.t.Helper()
	first := c.inspect("{{.State.Pid}}")
	var pid int
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", first, first))
	if comm, _ := os.ReadFile("/proc/" + first + "/comm"); strings.TrimSpace(string(comm)) == "tini" {
		first = string(children)
	}
	if _, err := fmt.Sscan(first, &pid); err != nil {
		c.t.Fatalf("the container has no server: %v", err)
	}
	return pid
}

func eventually(t testing.TB, what string, within time.Duration, try func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		err := try()
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *container) awaitHealthy() {
	c.t.Helper()
	eventually(c.t, "healthy", 2*time.Minute, func() error {
		if health := c.inspect("{{.State.Health.Status}}"); health != "healthy" {
			return fmt.Errorf("it is %s", health)
		}
		return nil
	})
}

func (c *container) awaitExit() int {
	c.t.Helper()
	var status int
	fmt.Sscan(command(c.t, "docker", "wait", c.id), &status)
	return status
}

// files writes an application into a folder that a user who is not root may read.
func files(t testing.TB, contents map[string]string) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "igor-container-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	for name, content := range contents {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func get(url string) (int, string, error) {
	client := http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	return response.StatusCode, body.String(), err
}

// --- What is in it ------------------------------------------------------------------------------------------

func TestImageIsSmallAndSaysWhatIsInIt(t *testing.T) {
	name := imageName(t)
	var about []struct {
		Config struct {
			User, StopSignal string
			WorkingDir       string
			Labels           map[string]string
		}
	}
	if err := json.Unmarshal([]byte(command(t, "docker", "image", "inspect", name)), &about); err != nil {
		t.Fatal(err)
	}
	it := about[0]
	mustBeSmall(t, name)
	if it.Config.User != "igor" || it.Config.WorkingDir != "/app" || it.Config.StopSignal != "SIGTERM" {
		t.Errorf("user, folder and signal are %+v", it.Config)
	}
	if l := it.Config.Labels; l["org.opencontainers.image.licenses"] != "MIT" || l["org.opencontainers.image.revision"] != "test" {
		t.Errorf("labels are %v", l)
	}
	var sbom struct {
		SPDXVersion, SPDXID, DocumentNamespace string
		CreationInfo                           struct{ Created string }
		Packages                               []struct{ SPDXID, Name, VersionInfo string }
		Relationships                          []struct{ RelatedSpdxElement string }
	}
	if err := json.Unmarshal([]byte(command(t, "docker", "run", "--rm", "--entrypoint", "cat", name, "/usr/share/igor/sbom.spdx.json")), &sbom); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ids := map[string]bool{}
	for _, p := range sbom.Packages {
		found[p.Name] = p.VersionInfo
		ids[p.SPDXID] = true
	}
	for _, want := range []string{"igor", "php", "go", "libc6", "tini", "libssl3", "github.com/caddyserver/caddy/v2", "go.uber.org/zap"} {
		if found[want] == "" {
			t.Errorf("the SBOM does not tell of %s", want)
		}
	}
	if len(ids) != len(sbom.Packages) || len(sbom.Relationships) != len(sbom.Packages) || sbom.SPDXVersion != "SPDX-2.3" {
		t.Errorf("the SBOM has %d packages, %d ids, %d relationships", len(sbom.Packages), len(ids), len(sbom.Relationships))
	}
	mustKnowLanguages(t, name)
	for _, tool := range []string{"gcc", "make", "go", "php-config"} {
		if out, err := tryCommand("docker", "run", "--rm", "--entrypoint", "sh", name, "-c", "command -v "+tool); err == nil {
			t.Errorf("the image has %s, which only building needs", out)
		}
	}
}

// mustBeSmall: what docs/guide/docker.md says of its size, on a Debian that is as large as the official one.
func mustBeSmall(t *testing.T, name string) {
	t.Helper()
	var bytes int64
	fmt.Sscan(command(t, "docker", "image", "inspect", "-f", "{{.Size}}", name), &bytes)
	t.Logf("%s has %.1f MB", name, float64(bytes)/1e6)
	if bytes == 0 || bytes > 208e6 {
		t.Errorf("%s has %.1f MB, want at most 208", name, float64(bytes)/1e6)
	}
}

// mustKnowLanguages: the extension intl is there, and so are its data.
func mustKnowLanguages(t *testing.T, name string) {
	t.Helper()
	const script = `echo (new NumberFormatter('de', NumberFormatter::DECIMAL))->format(1234.5), ' ',
		transliterator_transliterate('Any-Latin; Latin-ASCII', 'Жук'), ' ', IntlChar::charName('ß'), ' ', Locale::getDisplayRegion('-JP', 'fr');`
	if out := command(t, "docker", "run", "--rm", name, "php-cli", "-r", script); out != "1.234,5 Zuk LATIN SMALL LETTER SHARP S Japon" {
		t.Errorf("intl says %q", out)
	}
}

// --- What it does -------------------------------------------------------------------------------------------

func TestServesAsAnUnprivilegedUser(t *testing.T) {
	app := files(t, map[string]string{"public/index.php": `<?php
		echo posix_uid(), ' ', PHP_VERSION_ID >= 80400 ? 'new' : 'old', ' ', opcache_get_status() ? 'cached' : 'not cached';
		function posix_uid() { return fileowner(tempnam('/tmp', 'x')); }`})
	// Where low ports are root's: the server has the capability.
	c := run(t, "-v", app+":/app:ro", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024", imageName(t))
	c.awaitHealthy()
	if status, body, err := get(c.url()); err != nil || status != 200 || body != "10001 new cached" {
		t.Errorf("it answered %d %q, %v", status, body, err)
	}
	for _, folder := range []string{"/data", "/config"} {
		if owner := c.exec("stat", "-c", "%U", folder); owner != "igor" {
			t.Errorf("%s is %s's", folder, owner)
		}
	}
	if health := c.exec("igor", "health", "--live"); health != "live" {
		t.Errorf("igor health --live says %q", health)
	}
	begin := time.Now()
	command(t, "docker", "stop", "-t", "30", c.id)
	if status := c.awaitExit(); status != 0 {
		t.Errorf("stopped, it exits with %d; took %v", status, time.Since(begin))
	}
}

// As a cluster runs it that trusts nobody: no capabilities, another user, nothing to write to but /tmp.
func TestServesWithoutPrivileges(t *testing.T) {
	app := files(t, map[string]string{"public/index.php": `<?php echo "served";`})
	c := run(t, "-v", app+":/app:ro", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "12345:12345", "--read-only",
		"--tmpfs", "/tmp", "-e", "XDG_DATA_HOME=/tmp", "-e", "XDG_CONFIG_HOME=/tmp", "-e", "HOME=/tmp", "-e", "SERVER_NAME=:8080",
		"-p", "127.0.0.1:0:8080", imageName(t))
	c.awaitHealthy()
	url := "http://" + strings.Fields(command(t, "docker", "port", c.id, "8080/tcp"))[0]
	if status, body, err := get(url); err != nil || status != 200 || body != "served" {
		t.Errorf("it answered %d %q, %v", status, body, err)
	}
}

// Children of scripts whose parents are gone are nobody's but the first process's.
func TestOrphansAreReaped(t *testing.T) {
	app := files(t, map[string]string{"public/index.php": `<?php exec('sh -c "sleep 0.1 & exec true"'); echo "done";`})
	c := run(t, "-v", app+":/app:ro", imageName(t))
	c.awaitHealthy()
	for range 20 {
		if status, body, err := get(c.url()); err != nil || body != "done" {
			t.Fatalf("it answered %d %q, %v", status, body, err)
		}
	}
	eventually(t, "no zombies, no orphans", 30*time.Second, func() error {
		out := command(t, "docker", "top", c.id, "-eo", "pid,stat,comm")
		if strings.Contains(out, "Z") || strings.Contains(out, "sleep") {
			return fmt.Errorf("there are:\n%s", out)
		}
		return nil
	})
}

func TestStopLosesNoTaskThatCanFinish(t *testing.T) {
	app := files(t, map[string]string{
		"public/index.php": `<?php
			$task = Igor\Worker::send('slow', ['n' => $_GET['n']]);
			echo $task->await();`,
		"slow.php": `<?php
			$inbox = Igor\Worker::current();
			while ($task = $inbox->receive()) { sleep(2); $task->complete("done {$task->payload['n']}"); }`,
	})
	c := run(t, "-v", app+":/app:ro", "-e", "IGOR_CONFIG=num_threads 16",
		"-e", "PHP_SERVER_CONFIG=worker {\n name slow\n file /app/slow.php\n num 4\n background\n}", imageName(t))
	c.awaitHealthy()
	url := c.url()
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			if status, body, err := get(fmt.Sprintf("%s/?n=%d", url, n)); err != nil || status != 200 || body != fmt.Sprintf("done %d", n) {
				t.Errorf("task %d: %d %q, %v", n, status, body, err)
			}
		})
	}
	eventually(t, "all tasks are under way", time.Minute, func() error {
		if out := c.exec("igor", "tasks", "--json"); strings.Count(out, `"running"`) < 4 {
			return fmt.Errorf("there are %s", out)
		}
		return nil
	})
	command(t, "docker", "stop", "-t", "30", c.id)
	all.Wait()
	if status := c.awaitExit(); status != 0 {
		t.Errorf("it exits with %d", status)
	}
}

// --- Crashes ------------------------------------------------------------------------------------------------

// crashing arguments are those of a container whose page does what ?how= says, with the extension that crashes.
func crashing(t testing.TB) []string {
	t.Helper()
	extension := filepath.Join(checkout(), "build", "tests", "faults", "crash.so")
	if _, err := os.Stat(extension); err != nil {
		t.Fatalf("%v (the target crash_extension makes it)", err)
	}
	content, err := os.ReadFile(extension)
	if err != nil {
		t.Fatal(err)
	}
	app := files(t, map[string]string{"crash.so": string(content),
		"public/index.php": `<?php if (isset($_GET['how'])) $_GET['how'](); echo "served";`})
	return []string{"-v", app + ":/app:ro", "-e", "IGOR_CONFIG=php_ini extension /app/crash.so"}
}

func TestFirstProcessEndsByACrash(t *testing.T) {
	name := imageName(t)
	for how, want := range map[string]int{"crash_segv": 139, "crash_abort": 134, "crash_stack": 139} {
		for _, entrypoint := range []string{"tini", "igor"} {
			t.Run(how+"_"+entrypoint, func(t *testing.T) {
				args := append(crashing(t), name)
				if entrypoint == "igor" {
					args = append(append([]string{"--entrypoint", "igor"}, args...), "run", "--config", "/etc/igor/Caddyfile")
				}
				c := run(t, args...)
				c.awaitHealthy()
				if status, body, err := get(c.url() + "/?how=" + how); err == nil {
					t.Errorf("it answered %d %q", status, body)
				}
				if status := c.awaitExit(); status != want {
					t.Errorf("it exits with %d, want %d", status, want)
				}
				if log := c.log(); !strings.Contains(log, `"msg":"native crash: the process ends"`) || !strings.Contains(log, how) {
					t.Errorf("the log has no line for it:\n%s", log)
				}
			})
		}
	}
}

// A supervisor has it serving again within three seconds, whatever ended it.
func TestServesAgainAfterACrash(t *testing.T) {
	c := run(t, append(append([]string{"--restart", "unless-stopped"}, crashing(t)...), imageName(t))...)
	c.awaitHealthy()
	url := c.url()
	var clients sync.WaitGroup
	over := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if status, body, err := get(url); err == nil && (status != 200 || body != "served") {
					t.Errorf("a client got %d %q", status, body)
				}
			}
		})
	}
	fastest := time.Hour
	for what, crash := range map[string]func(){
		"SIGSEGV from outside": func() { _ = syscall.Kill(c.pid(), syscall.SIGSEGV) },
		"SIGKILL":              func() { _ = syscall.Kill(c.pid(), syscall.SIGKILL) },
		"a native crash":       func() { _, _, _ = get(url + "/?how=crash_segv") },
	} {
		// Docker takes longer after a container that did not last 10 seconds.
		eventually(t, "it has lasted 11 s", time.Minute, func() error {
			started, err := time.Parse(time.RFC3339Nano, c.inspect("{{.State.StartedAt}}"))
			if err != nil || time.Since(started) < 11*time.Second {
				return fmt.Errorf("it was started %v ago, %v", time.Since(started), err)
			}
			return nil
		})
		before := c.pid()
		crash()
		eventually(t, "its end", 30*time.Second, func() error {
			if syscall.Kill(before, 0) == nil {
				return fmt.Errorf("process %d is still there", before)
			}
			return nil
		})
		took := eventually(t, "serving again", time.Minute, func() error {
			status, body, err := get(url)
			if err == nil && (status != 200 || body != "served") {
				err = fmt.Errorf("%d %q", status, body)
			}
			return err
		})
		t.Logf("after %s it serves again within %v", what, took)
		fastest = min(fastest, took)
	}
	close(over)
	clients.Wait()
	if fastest > 3*time.Second {
		t.Errorf("it took %v at best to serve again, want at most 3 s", fastest)
	}
}
