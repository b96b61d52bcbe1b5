package container

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Debian with systemd as its first process, without anything of Igor's.
func plainDebian(t *testing.T) *container {
	t.Helper()
	imageName(t) // makes the base; skips without docker
	base, err := tryCommand("tests/container/base")
	if err != nil {
		t.Fatal(base)
	}
	debian, _, _ := strings.Cut(base, " ")
	folder := files(t, map[string]string{"Dockerfile": `FROM ` + debian + `
RUN apt-get update && apt-get install -y --no-install-recommends systemd systemd-sysv
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
`})
	name := "igor-test-debian-systemd"
	command(t, "docker", "build", "-q", "-t", name, folder)
	return bootSystemd(t, name)
}

// The package on a Debian that has never heard of Igor: it installs, serves, is asked for its manual, and goes again.
func TestDebianPackage(t *testing.T) {
	c := plainDebian(t)
	made := strings.Fields(command(t, "sh", "-c", "./dev package >&2 && echo build/package/igor_*.deb build/package/igor-dev_*.deb"))
	if len(made) != 2 {
		t.Fatalf("./dev package made %q, want one package to run and one to build with", made)
	}
	command(t, "docker", "cp", filepath.Join(checkout(), made[0]), c.id+":/tmp/igor.deb")
	if out := c.exec("sh", "-c", "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /tmp/igor.deb curl 2>&1"); strings.Contains(out, "Warning: ") {
		t.Errorf("what it says when it is installed worries: %s", out)
	}
	eventually(t, "it serves its first page", time.Minute, func() error {
		status, body, err := get(c.url())
		if err == nil && (status != 200 || !strings.Contains(body, "Igor works")) {
			err = fmt.Errorf("%d %q", status, body)
		}
		return err
	})
	if user := c.exec("stat", "-c", "%U", fmt.Sprintf("/proc/%d", c.mainPID())); user != "igor" {
		t.Errorf("it runs as %s", user)
	}
	if out := c.exec("igor", "php-cli", "-r", "echo PHP_ZTS, extension_loaded('Zend OPcache') ? ' opcache ' : '', php_ini_scanned_files();"); out !=
		"1 opcache /etc/igor/php/conf.d/10-opcache.ini" {
		t.Errorf("its PHP is %q", out)
	}
	for _, file := range []string{"/usr/share/man/man8/igor.8", "/usr/share/bash-completion/completions/igor", "/usr/share/zsh/vendor-completions/_igor",
		"/usr/share/fish/vendor_completions.d/igor.fish", "/usr/lib/systemd/system/igor.service"} {
		// The base leaves manuals out when it unpacks.
		if out := c.exec("dpkg", "-L", "igor"); !strings.Contains(out, file) {
			t.Errorf("%s is not in the package:\n%s", file, out)
		}
	}
	for _, file := range []string{"/usr/bin/igor", "/usr/lib/igor/php/lib/libphp.so"} {
		if out := c.exec("sh", "-c", "grep -c '[.]debug_info' "+file+" || true"); out != "0" {
			t.Errorf("%s has debug information", file)
		}
	}
	// The base leaves manuals out when it unpacks, hence from the archive.
	manual := c.exec("sh", "-c", "dpkg-deb --fsys-tarfile /tmp/igor.deb | tar -xO ./usr/share/man/man8/igor.8")
	if !strings.Contains(manual, `.TH "igor"`) || !strings.Contains(manual, "igor - web server with background PHP workers") {
		t.Errorf("its manual is called and described otherwise: %.200s", manual)
	}
	if out := c.exec("dpkg", "-s", "igor"); !strings.Contains(out, "/etc/igor/Caddyfile") {
		t.Errorf("its configuration would be overwritten by the next version:\n%s", out)
	}
	if out, err := tryCommand("docker", "exec", c.id, "sh", "-c", "ldd /usr/bin/igor | grep -i 'not found'"); err == nil {
		t.Errorf("libraries that the package does not depend on: %s", out)
	}

	mustBuildExtension(t, c, made[1])

	c.exec("sh", "-c", "sed -i s/:80/:8080/ /etc/igor/Caddyfile && systemctl reload igor && curl -sf http://127.0.0.1:8080/ >/dev/null")
	c.exec("apt-get", "remove", "-y", "igor")
	if out := c.exec("sh", "-c", "pgrep -x igor || echo none; cat /etc/igor/Caddyfile"); !strings.HasPrefix(out, "none") || !strings.Contains(out, ":8080") {
		t.Errorf("removed, it left %s", out)
	}
	c.exec("apt-get", "purge", "-y", "igor")
	if out := c.exec("sh", "-c", "ls -d /var/lib/igor /etc/igor /usr/lib/igor 2>/dev/null || echo none"); out != "none" {
		t.Errorf("purged, it left %s", out)
	}
}

// mustBuildExtension: with the package for it, and what that depends on, a PHP extension is built and loads.
func mustBuildExtension(t *testing.T, c *container, development string) {
	t.Helper()
	command(t, "docker", "cp", filepath.Join(checkout(), development), c.id+":/tmp/igor-dev.deb")
	command(t, "docker", "cp", filepath.Join(checkout(), "docker", "examples", "custom", "hello"), c.id+":/tmp/hello")
	c.exec("sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /tmp/igor-dev.deb")
	c.exec("sh", "-c", "cd /tmp/hello && PATH=$PATH:/usr/lib/igor/php/bin && { phpize && ./configure && make && make install; } 2>&1")
	c.exec("sh", "-c", "echo extension=hello >/etc/igor/php/conf.d/hello.ini")
	if out := c.exec("igor", "php-cli", "-r", "echo hello();"); out != "hello from an extension" {
		t.Errorf("the extension says %q", out)
	}
	c.exec("sh", "-c", "rm /etc/igor/php/conf.d/hello.ini /usr/lib/igor/php/lib/php/extensions/*/hello.so")
}
