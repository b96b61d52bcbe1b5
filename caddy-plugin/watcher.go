package igor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// A save is several events, and a checkout of a branch thousands: workers are restarted when it has been quiet for
	// settleTime, or is still not quiet after settleLimit.
	settleTime  = 150 * time.Millisecond
	settleLimit = 2 * time.Second

	lostFolderRetry = time.Second

	// maxWatchedFolders bounds what one configuration watches: each folder takes kernel memory, of which all programs of a
	// user have a common share.
	maxWatchedFolders = 8192
)

// watchTarget is what is restarted when files change.
type watchTarget struct {
	label    string
	patterns []watchPattern
	restart  func() error

	dirty chan struct{} // has room for one: files have changed since the last restart began
}

// fileWatcher restarts workers when their files change. One per load, and none when no worker has "watch".
//
// It watches folders, because editors save by putting a new file in the old one's place; folders that come into being below
// one are watched, too. One goroutine reads the kernel's events, and one per target settles and restarts, so that workers
// that take long to boot are in no other's way. A restart is the library's: the new workers are ready before the old ones
// stop, and when they fail the old ones go on.
//
// Close does not wait for a restart under way; that ends with the load's generation.
type fileWatcher struct {
	notify  *fsnotify.Watcher
	targets []*watchTarget
	ready   <-chan struct{} // closed when there are workers to restart; what changes before is not forgotten
	folders map[string]bool // only the reader's, once it runs
	logger  *zap.Logger
	limit   int

	closeOnce sync.Once
	done      chan struct{}
}

// newFileWatcher watches for the targets; it is not ready before every folder is.
func newFileWatcher(targets []*watchTarget, ready <-chan struct{}, logger *zap.Logger, limit int) (*fileWatcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		if errors.Is(err, syscall.EMFILE) {
			return nil, fmt.Errorf("watch: the system allows no further watcher (%w); raise fs.inotify.max_user_instances with sysctl, or remove \"watch\"", err)
		}
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &fileWatcher{
		notify:  notify,
		targets: targets,
		ready:   ready,
		folders: make(map[string]bool),
		logger:  logger,
		limit:   limit,
		done:    make(chan struct{}),
	}
	for _, t := range targets {
		t.dirty = make(chan struct{}, 1)
		for i := range t.patterns {
			if err := w.addTree(t.patterns[i].dir, nil); err != nil {
				_ = notify.Close()
				return nil, fmt.Errorf("%s: watch %q: %w", t.label, t.patterns[i].given, err)
			}
		}
	}
	go w.read()
	for _, t := range targets {
		go w.serve(t)
	}
	return w, nil
}

// close ends the watching. Harmless when it is repeated.
func (w *fileWatcher) close() {
	w.closeOnce.Do(func() {
		close(w.done)
		_ = w.notify.Close()
	})
}

// skipped are folders in which nobody edits what a worker runs, and which are large. One that a pattern names is watched.
func skipped(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", "node_modules":
		return true
	}
	return false
}

// addTree watches a folder, and those below it that some pattern covers. Each file that is there is given to found, when
// the folder is new and may have been filled before it was watched.
func (w *fileWatcher) addTree(top string, found func(file string)) error {
	return filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == top:
			return fmt.Errorf("the folder %s can't be watched: %w; create it, or correct the pattern", top, unwrapPath(err))
		case err != nil:
			return nil // gone meanwhile, or nobody's to read
		case !entry.IsDir():
			if found != nil {
				found(path)
			}
			return nil
		case !w.covered(path) || path != top && skipped(entry.Name()):
			return fs.SkipDir
		}
		return w.addFolder(path)
	})
}

func (w *fileWatcher) covered(dir string) bool {
	for _, t := range w.targets {
		for i := range t.patterns {
			if t.patterns[i].covers(dir) {
				return true
			}
		}
	}
	return false
}

func (w *fileWatcher) addFolder(path string) error {
	if w.folders[path] {
		return nil
	}
	if len(w.folders) >= w.limit {
		return fmt.Errorf("more than %d folders would have to be watched; name the folders that hold the code, such as \"watch src/**/*.php\"", w.limit)
	}
	err := w.notify.Add(path)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the system allows no further watched folder after %d of them; raise fs.inotify.max_user_watches with sysctl, or name fewer folders", len(w.folders))
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone meanwhile
	case err != nil:
		return fmt.Errorf("the folder %s can't be watched: %w", path, err)
	}
	w.folders[path] = true
	return nil
}

// read takes the kernel's events until the end.
func (w *fileWatcher) read() {
	for {
		// A pattern's own folder that was removed may come back, of which no event tells.
		var retry <-chan time.Time
		if w.lostTop() {
			retry = time.After(lostFolderRetry)
		}
		select {
		case <-retry:
			w.findTops()
		case event, open := <-w.notify.Events:
			if !open {
				return
			}
			w.handle(event)
		case err, open := <-w.notify.Errors:
			if !open {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				// More changes than the kernel would remember: whose they were is not known.
				for _, t := range w.targets {
					t.changed()
				}
				continue
			}
			w.logger.Error("watching files", zap.Error(err))
		}
	}
}

func (w *fileWatcher) lostTop() bool {
	for _, t := range w.targets {
		for i := range t.patterns {
			if !w.folders[t.patterns[i].dir] {
				return true
			}
		}
	}
	return false
}

// findTops watches the patterns' folders that are there again.
func (w *fileWatcher) findTops() {
	for _, t := range w.targets {
		for i := range t.patterns {
			if dir := t.patterns[i].dir; !w.folders[dir] {
				_ = w.addTree(dir, w.changed) // not there yet: the next time
			}
		}
	}
}

func (w *fileWatcher) handle(event fsnotify.Event) {
	switch {
	case event.Has(fsnotify.Create):
		if info, err := os.Lstat(event.Name); err == nil && info.IsDir() {
			delete(w.folders, event.Name) // a new one of an old name
			if !w.covered(event.Name) || skipped(filepath.Base(event.Name)) {
				return
			}
			if err := w.addTree(event.Name, w.changed); err != nil {
				w.logger.Error("a new folder is not watched", zap.String("folder", event.Name), zap.Error(err))
			}
			return
		}
		w.changed(event.Name)
	case event.Has(fsnotify.Remove), event.Has(fsnotify.Rename):
		if w.folders[event.Name] {
			delete(w.folders, event.Name)
			for _, t := range w.targets {
				for i := range t.patterns {
					if t.patterns[i].covers(event.Name) {
						t.changed() // all that was in it
					}
				}
			}
			return
		}
		w.changed(event.Name)
	case event.Has(fsnotify.Write):
		w.changed(event.Name)
	}
}

// changed marks the targets that the file belongs to.
func (w *fileWatcher) changed(file string) {
	for _, t := range w.targets {
		for i := range t.patterns {
			if t.patterns[i].matches(file) {
				t.changed()
				break
			}
		}
	}
}

func (t *watchTarget) changed() {
	select {
	case t.dirty <- struct{}{}:
	default:
	}
}

// serve restarts the target after each change that has settled.
func (w *fileWatcher) serve(t *watchTarget) {
	for {
		select {
		case <-t.dirty:
		case <-w.done:
			return
		}
		if !w.settle(t) {
			return
		}
		select {
		case <-w.ready:
		case <-w.done:
			return
		}
		began := time.Now()
		err := t.restart()
		select {
		case <-w.done:
			return // what became of it is the next configuration's business
		default:
		}
		if err != nil {
			w.logger.Error("files changed, but the workers with the new code did not start; the old ones go on",
				zap.String("worker", t.label), zap.Error(err))
		} else {
			w.logger.Info("files changed: workers restarted", zap.String("worker", t.label), zap.Duration("took", time.Since(began)))
		}
	}
}

// settle waits until changes have come to rest; false at the end of the watching.
func (w *fileWatcher) settle(t *watchTarget) bool {
	limit := time.NewTimer(settleLimit)
	defer limit.Stop()
	quiet := time.NewTimer(settleTime)
	defer quiet.Stop()
	for {
		select {
		case <-t.dirty:
			quiet.Reset(settleTime)
		case <-quiet.C:
			return true
		case <-limit.C:
			return true
		case <-w.done:
			return false
		}
	}
}
