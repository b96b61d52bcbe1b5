package container

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The builder stage, as docker/examples/custom uses it.
func TestModulesAndExtensionsCanBeAdded(t *testing.T) {
	name := imageName(t)
	built, _ := images()
	// A package that tests use anyway, and so is at hand: what is tested is how one is added.
	command(t, "docker", "build", "-q", "-t", "igor-test-custom", "--build-arg", "IGOR="+name, "--build-arg", "BUILDER="+built[1],
		"--build-arg", "MODULE=github.com/chromedp/sysutil", "docker/examples/custom")
	app := files(t, map[string]string{"public/index.php": `<?php echo hello();`})
	c := run(t, "-v", app+":/app:ro", "igor-test-custom")
	c.awaitHealthy()
	if status, body, err := get(c.url()); err != nil || status != 200 || body != "hello from an extension" {
		t.Errorf("it answered %d %q, %v", status, body, err)
	}
	if out := c.exec("cat", "/usr/share/igor/sbom.spdx.json"); !strings.Contains(out, "github.com/chromedp/sysutil") {
		t.Error("the SBOM does not tell of the module")
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func TestCompose(t *testing.T) {
	name := imageName(t)
	compose := []string{"docker", "compose"}
	if exec.Command("docker", "compose", "version").Run() != nil {
		compose = []string{"docker-compose"}
	}
	// The example has a Caddyfile of its own, at another place than the image's.
	override := filepath.Join(files(t, map[string]string{"override.yaml": `services:
  app:
    command: ["run", "--config", "/app/Caddyfile"]
    environment:
      PHOTOS_ADDRESS: ":80"
`}), "override.yaml")
	app := filepath.Join(checkout(), "docs", "examples", "photos")
	port := freePort(t)
	site := "http://127.0.0.1:" + port
	for key, value := range map[string]string{"IGOR_IMAGE": name, "APP": app, "HTTP_PORT": "127.0.0.1:" + port, "HTTPS_PORT": "127.0.0.1:" + freePort(t)} {
		t.Setenv(key, value)
	}
	compose = append(compose, "-p", "igor-test-"+port, "-f", "docker/compose.yaml", "-f", override)
	up := func(args ...string) string { return command(t, compose[0], append(compose[1:], args...)...) }
	t.Cleanup(func() {
		if out, err := tryCommand(compose[0], append(compose[1:], "down", "-v")...); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	up("up", "-d")
	c := &container{t, up("ps", "-q", "app")}
	c.awaitHealthy()
	if status, body, err := get(site); err != nil || status != 200 || !strings.Contains(body, "<form") {
		t.Errorf("it answered %d %q, %v; the log:\n%s", status, body, err, c.log())
	}
	mustTakePhoto(t, site)
	if policy := c.inspect("{{.HostConfig.RestartPolicy.Name}} {{.Config.StopTimeout}}"); policy != "unless-stopped 30" {
		t.Errorf("its policy is %s", policy)
	}
	// Killed under load, of which some must fail.
	end := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					_, _, _ = get(site)
				}
			}
		})
	}
	defer load.Wait()
	defer close(end)
	before := c.inspect("{{.State.Pid}}")
	process, err := os.FindProcess(c.pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", time.Minute, func() error {
		if now := c.inspect("{{.State.Pid}}"); now == before || now == "0" {
			return &net.AddrError{Err: "it is the old one", Addr: now}
		}
		return nil
	})
	c.awaitHealthy()
	mustTakePhoto(t, site)
}
