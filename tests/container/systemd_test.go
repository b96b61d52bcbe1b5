package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bySystemd runs a container whose first process is systemd, with the shipped unit enabled.
func bySystemd(t *testing.T) *container {
	t.Helper()
	folder := files(t, map[string]string{"Dockerfile": `FROM ` + imageName(t) + `
USER root
RUN apt-get update && apt-get install -y --no-install-recommends systemd systemd-sysv && rm -rf /var/lib/apt/lists/*
COPY igor.service /etc/systemd/system/
COPY Caddyfile /etc/igor/Caddyfile
COPY app /srv/app
RUN systemctl enable igor
STOPSIGNAL SIGRTMIN+3
HEALTHCHECK NONE
ENTRYPOINT []
CMD ["/sbin/init"]
`,
		"Caddyfile": `{
	igor {
		php_ini extension /srv/app/crash.so
	}
}
:80 {
	php_server {
		root /srv/app
		worker slow.php 1 {
			name slow
			background
		}
	}
}
`,
		"app/index.php": `<?php
			if (isset($_GET['how'])) $_GET['how']();
			if (isset($_GET['task'])) echo Igor\Worker::send('slow', ['n' => 1])->await(), ' ';
			echo "served ", getenv('HOME');`,
		"app/slow.php": `<?php
			$inbox = Igor\Worker::current();
			while ($task = $inbox->receive()) { sleep(2); $task->complete('done'); }`,
	})
	for from, to := range map[string]string{"docker/igor.service": "igor.service", "build/tests/faults/crash.so": "app/crash.so"} {
		content, err := os.ReadFile(filepath.Join(checkout(), from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, to), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name := "igor-test-systemd"
	command(t, "docker", "build", "-q", "-t", name, folder)
	c := bootSystemd(t, name)
	eventually(t, "igor is active", time.Minute, func() error {
		if state, err := tryCommand("docker", "exec", c.id, "systemctl", "is-active", "igor"); err != nil {
			return fmt.Errorf("%s:\n%s", state, c.journal())
		}
		return nil
	})
	return c
}

// bootSystemd runs an image whose first process is systemd, until that has started.
func bootSystemd(t *testing.T, image string) *container {
	t.Helper()
	// What systemd needs of a kernel with either kind of control groups; nothing of it is igor's.
	options := []string{"--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--cgroupns", "host",
		"--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
		"-e", "container=docker"}
	if strings.Contains(command(t, "docker", "info", "-f", "{{.SecurityOptions}}"), "apparmor") {
		options = append(options, "--security-opt", "apparmor=unconfined")
	}
	c := run(t, append(options, image)...)
	eventually(t, "systemd has started", time.Minute, func() error {
		if state, err := tryCommand("docker", "exec", c.id, "systemctl", "is-system-running"); err != nil && !strings.Contains(state, "degraded") {
			return fmt.Errorf("%s", state)
		}
		return nil
	})
	return c
}

func (c *container) journal() string {
	out, _ := tryCommand("docker", "exec", c.id, "journalctl", "--no-pager", "-n", "500", "-u", "igor", "-o", "cat")
	return out
}

func (c *container) mainPID() int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.exec("systemctl", "show", "-P", "MainPID", "igor"))
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

func TestUnitUnderSystemd(t *testing.T) {
	c := bySystemd(t)
	url := c.url()
	served := func() error {
		status, body, err := get(url)
		if err == nil && (status != 200 || body != "served /var/lib/igor") {
			err = fmt.Errorf("%d %q", status, body)
		}
		return err
	}
	if err := served(); err != nil { // ready is what systemd was told
		t.Fatalf("%v\n%s", err, c.journal())
	}
	if user := c.exec("stat", "-c", "%U", fmt.Sprintf("/proc/%d", c.mainPID())); user != "igor" {
		t.Errorf("it runs as %s", user)
	}
	first := c.mainPID()
	c.exec("systemctl", "reload", "igor")
	if now := c.mainPID(); now != first {
		t.Errorf("a reload has made process %d of %d:\n%s", now, first, c.journal())
	}

	fastest := time.Hour
	for what, crash := range map[string]func(pid int){
		"a native crash":       func(int) { _, _, _ = get(url + "/?how=crash_segv") },
		"an abort":             func(int) { _, _, _ = get(url + "/?how=crash_abort") },
		"SIGSEGV from outside": func(pid int) { c.exec("sh", "-c", fmt.Sprint("kill -SEGV ", pid)) },
		"SIGKILL":              func(pid int) { c.exec("sh", "-c", fmt.Sprint("kill -KILL ", pid)) },
	} {
		before := c.mainPID()
		crash(before)
		took := eventually(t, "serving again after "+what, time.Minute, func() error {
			if now := c.mainPID(); now == before || now == 0 {
				return fmt.Errorf("the main process is %d", now)
			}
			return served()
		})
		t.Logf("after %s it serves again within %v", what, took)
		fastest = min(fastest, took)
	}
	if fastest > 3*time.Second {
		t.Errorf("it took %v at best to serve again, want at most 3 s", fastest)
	}
	if journal := c.journal(); !strings.Contains(journal, `"msg":"native crash: the process ends"`) {
		t.Errorf("the journal has no line for the crash:\n%s", journal)
	}

	// A stop waits for what is under way.
	answer := make(chan string, 1)
	go func() {
		_, body, err := get(url + "/?task=1")
		answer <- fmt.Sprint(body, err)
	}()
	eventually(t, "the task is under way", time.Minute, func() error {
		if out := c.exec("igor", "tasks", "--json"); !strings.Contains(out, `"running"`) {
			return fmt.Errorf("there are %s", out)
		}
		return nil
	})
	c.exec("systemctl", "stop", "igor")
	if got := <-answer; got != "done served /var/lib/igor<nil>" {
		t.Errorf("the task under way at the stop: %s", got)
	}
	if state := c.exec("systemctl", "show", "-P", "Result", "igor"); state != "success" {
		t.Errorf("stopped, its result is %s:\n%s", state, c.journal())
	}

	// One that can't start is not tried again and again.
	c.exec("sh", "-c", "echo '{' >/etc/igor/Caddyfile")
	if _, err := tryCommand("docker", "exec", c.id, "systemctl", "start", "igor"); err == nil {
		t.Error("it starts with a configuration that is none")
	}
	if restarts := c.exec("systemctl", "show", "-P", "ActiveState", "igor"); restarts != "failed" {
		t.Errorf("it is %s", restarts)
	}
}
