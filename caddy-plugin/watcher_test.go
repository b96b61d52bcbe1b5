package igor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestWatchPatterns(t *testing.T) {
	dir := site(t, map[string]string{"src/a.php": "", "src/deep/b.php": "", "conf.d/x": "", "we[ir]d/a.php": ""})
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pattern string
		file    string
		want    bool
	}{
		{defaultWatchPattern, "src/deep/b.php", true},
		{defaultWatchPattern, "a.php", true},
		{defaultWatchPattern, ".env", true}, // "*" matches the empty name, too
		{defaultWatchPattern, "config/x.yml", true},
		{defaultWatchPattern, "config/x.yml.bak", false},
		{defaultWatchPattern, "a.js", false},
		{"src", "src/a.php", true},
		{"src", "src/any/thing", true},
		{"src", "srcs/a.php", false},
		{"conf.d", "conf.d/y", true}, // a folder, though its name has a dot
		{"src/a.php", "src/a.php", true},
		{"src/a.php", "src/b.php", false},
		{"src/a.php", "src/deep/a.php", false},
		{"src/new.php", "src/new.php", true}, // not there yet
		{"src/*.php", "src/a.php", true},
		{"src/*.php", "src/deep/b.php", false},
		{"src/**/*.php", "src/a.php", true},
		{"src/**/*.php", "src/deep/er/b.php", true},
		{"src/**/*.{php,twig}", "src/x/y.twig", true},
		{"src/**/*.{php,twig}", "src/x/y.twi", false},
		{"src/*/b.php", "src/deep/b.php", true},
		{"src/*/b.php", "src/b.php", false},
		{"we[ir]d/*.php", "wed/a.php", false},
		{"{dir}/src/**", "src/deep/b.php", true},
		{"src", "src/.a.php.swp", false},
		{"src", "src/a.php~", false},
		{"src", "src/.#a.php", false},
		{"src", "src/#a.php#", false},
		{"src", "src/4913", false},
		{"src", "src/a.php___jb_tmp___", false},
	} {
		p := newWatchPattern(strings.ReplaceAll(c.pattern, "{dir}", dir), dir)
		if got := p.matches(filepath.Join(dir, c.file)); got != c.want {
			t.Errorf("%s, %s: %v, want %v (%+v)", c.pattern, c.file, got, c.want, p)
		}
	}
}

// watched is a target whose restarts the test sees.
type watched struct {
	*watchTarget
	restarts chan struct{}
	err      chan error // what the next restarts answer
}

func watch(t *testing.T, dir string, patterns ...string) *watched {
	t.Helper()
	w := &watched{restarts: make(chan struct{}, 100), err: make(chan error, 100)}
	w.watchTarget = &watchTarget{label: strings.Join(patterns, " "), restart: func() error {
		w.restarts <- struct{}{}
		select {
		case err := <-w.err:
			return err
		default:
			return nil
		}
	}}
	for _, p := range patterns {
		w.patterns = append(w.patterns, newWatchPattern(p, dir))
	}
	return w
}

func (w *watched) await(t *testing.T, what string) {
	t.Helper()
	select {
	case <-w.restarts:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: %s was not restarted", what, w.label)
	}
}

func startWatching(t *testing.T, logger *zap.Logger, targets ...*watched) *fileWatcher {
	t.Helper()
	list := make([]*watchTarget, len(targets))
	for i := range targets {
		list[i] = targets[i].watchTarget
	}
	w, err := newFileWatcher(list, readyAtOnce(), logger, maxWatchedFolders)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func write(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("<?php // "+time.Now().String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWatcherRestartsWhatChanged goes through the ways in which files change. Each is seen by its target; that nobody else's
// was restarted is known once the last change of all, which comes after, has been.
func TestWatcherRestartsWhatChanged(t *testing.T) {
	dir := site(t, map[string]string{"a/x.php": "", "b/x.php": "", "b/.git/x.php": "", "quiet/x.php": "", "a/sub/y.php": ""})
	a, b, quiet := watch(t, dir, "a/**/*.php"), watch(t, dir, "b"), watch(t, dir, "quiet/*.php", "b/.git/*.txt")
	startWatching(t, zap.NewNop(), a, b, quiet)

	write(t, "a/x.php")
	a.await(t, "write")
	if err := os.Rename("a/x.php", "a/z.php"); err != nil {
		t.Fatal(err)
	}
	a.await(t, "rename")
	write(t, "a/x.tmp")
	if err := os.Rename("a/x.tmp", "a/x.php"); err != nil {
		t.Fatal(err)
	}
	a.await(t, "saved by an editor")
	if err := os.Remove("a/z.php"); err != nil {
		t.Fatal(err)
	}
	a.await(t, "remove")
	write(t, "a/new/and/deep/x.php")
	a.await(t, "a file in new folders")
	write(t, "a/new/and/deep/x.php")
	a.await(t, "a write in a new folder")
	if err := os.RemoveAll("a/sub"); err != nil {
		t.Fatal(err)
	}
	a.await(t, "a folder removed")
	write(t, "quiet/x.txt")
	write(t, "quiet/deep/x.php")
	write(t, "b/.git/x.php")
	write(t, "b/x.php~")
	if err := os.Chmod("quiet/x.php", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, "b/last")
	b.await(t, "any file")
	write(t, "a/last.php")
	a.await(t, "last")
	if n := len(quiet.restarts); n > 0 {
		t.Errorf("%d restarts of a worker whose files did not change", n)
	}
	if n := len(b.restarts); n > 0 {
		t.Errorf("%d further restarts for what is not watched", n)
	}
}

// TestWatcherSettles: a burst is one restart.
func TestWatcherSettles(t *testing.T) {
	dir := site(t, map[string]string{"a/x.php": "", "b/x": ""})
	a, b := watch(t, dir, "a"), watch(t, dir, "b")
	startWatching(t, zap.NewNop(), a, b)
	for range 50 {
		write(t, "a/x.php")
	}
	a.await(t, "burst")
	write(t, "b/x")
	b.await(t, "after it")
	// On a slow machine writing takes longer than it takes to settle; fifty it can't be.
	if n := len(a.restarts); n > 5 {
		t.Errorf("%d further restarts for one burst", n)
	}
}

func TestWatcherTellsOfFailures(t *testing.T) {
	dir := site(t, map[string]string{"a/x.php": ""})
	a := watch(t, dir, "a")
	core, logs := observer.New(zap.InfoLevel)
	startWatching(t, zap.New(core), a)
	a.err <- errors.New("syntax error")
	write(t, "a/x.php")
	a.await(t, "broken")
	write(t, "a/x.php")
	a.await(t, "mended")
	write(t, "a/x.php")
	a.await(t, "the one before has been logged")
	entries := logs.All()
	if len(entries) < 2 || !strings.Contains(entries[0].Message, "the old ones go on") || entries[0].ContextMap()["error"] != "syntax error" ||
		!strings.Contains(entries[1].Message, "workers restarted") {
		t.Errorf("the log has %v", entries)
	}
}

// TestWatcherFindsItsFolderAgain: a deployment that removes the folder and makes it anew.
func TestWatcherFindsItsFolderAgain(t *testing.T) {
	dir := site(t, map[string]string{"a/x.php": ""})
	a := watch(t, dir, "a")
	startWatching(t, zap.NewNop(), a)
	if err := os.RemoveAll("a"); err != nil {
		t.Fatal(err)
	}
	a.await(t, "removed")
	write(t, "a/x.php")
	a.await(t, "made anew")
	write(t, "a/x.php")
	a.await(t, "changed then")
}

func TestWatcherLimit(t *testing.T) {
	dir := site(t, map[string]string{"a/1/x": "", "a/2/x": "", "a/3/x": ""})
	a := watch(t, dir, "a")
	_, err := newFileWatcher([]*watchTarget{a.watchTarget}, readyAtOnce(), zap.NewNop(), 3)
	if err == nil || !strings.Contains(err.Error(), `a: watch "a": more than 3 folders would have to be watched; name the folders`) {
		t.Errorf("got %v", err)
	}
	gone := watch(t, dir, "nowhere/*.php")
	_, err = newFileWatcher([]*watchTarget{gone.watchTarget}, readyAtOnce(), zap.NewNop(), 3)
	if err == nil || !strings.Contains(err.Error(), "nowhere can't be watched: no such file or directory; create it") {
		t.Errorf("got %v", err)
	}
}

// TestLoadWatches: from the configuration to the library, and no longer than the load lives.
func TestLoadWatches(t *testing.T) {
	b := useFakeBackend(t)
	site(t, map[string]string{"w.php": "", "src/x.php": ""})
	w := WorkerConfig{Name: "w", Background: true, FileName: "w.php", Watch: []string{"src"}}
	if err := w.resolve(".", "here"); err != nil {
		t.Fatal(err)
	}
	a := fakeApp(w)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if settings := b.pools[0].INI; !strings.Contains(settings, "opcache.revalidate_freq=0\n") {
		t.Errorf("settings of a watching worker: %q", settings)
	}
	write(t, "src/x.php")
	for begin := time.Now(); !strings.Contains(strings.Join(b.calls(), ","), "restart 1"); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("not restarted: %v", b.calls())
		}
	}
	_ = a.Stop()
	<-a.load.retired
	<-a.load.files.done

	missing := WorkerConfig{Name: "w", Background: true, FileName: "w.php", Watch: []string{"lib/**/*.php"}}
	if err := missing.resolve(".", "here"); err == nil || !strings.Contains(err.Error(), `worker "w": watch "lib/**/*.php": the folder `) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func readyAtOnce() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}
