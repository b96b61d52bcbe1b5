package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// startPhotos serves docs/examples/photos exactly as it lies there.
func startPhotos(t *testing.T) (server *harness.Server, pictures string) {
	t.Helper()
	folder := filepath.Join(harness.Checkout(), "docs", "examples", "photos")
	caddyfile, err := os.ReadFile(filepath.Join(folder, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	storage := t.TempDir()
	server = harness.Start(t, harness.Config{
		Caddyfile: strings.NewReplacer(
			"{$PHOTOS_ADMIN:127.0.0.1:2019}", "{$IGOR_TEST_ADMIN}",
			"{$PHOTOS_ADDRESS::8080}", "{$IGOR_TEST_ADDRESS}").Replace(string(caddyfile)),
		Dir: folder,
		Env: []string{"PHOTOS_DIR=" + storage, "PHOTOS_DEMO=1"},
	})
	return server, filepath.Join(storage, "pictures")
}

// photo is a JPEG with enough in it that nothing about it is trivial.
func photo(t *testing.T, width, height int) []byte {
	t.Helper()
	random := rand.New(rand.NewSource(int64(width*height + 1)))
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			noise := uint8(random.Intn(24))
			picture.SetRGBA(x, y, color.RGBA{uint8(x*200/width) + noise, uint8(y*200/height) + noise, 120 + noise, 255})
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, picture, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func uploadPhoto(t *testing.T, s *harness.Server, name string, content []byte) (id string) {
	t.Helper()
	answer := s.Upload("/upload.php", "picture", name, "image/jpeg", content)
	answer.MustContain(201, `"id"`)
	var decoded struct{ ID string }
	if err := json.Unmarshal([]byte(answer.Body), &decoded); err != nil || len(decoded.ID) != 32 {
		t.Fatalf("upload.php answered %q", answer.Body)
	}
	return decoded.ID
}

type progress struct {
	Size          string
	Width, Height int
	Bytes         int
	Done, Of      int
	URL           string
}

func decode(t *testing.T, event harness.Event) progress {
	t.Helper()
	var p progress
	if err := json.Unmarshal([]byte(event.Data), &p); err != nil {
		t.Fatalf("event %+v: %v", event, err)
	}
	return p
}

func names(events []harness.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

func TestPhotosWholeFlow(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	s.Get("/").MustContain(200, "<h1>Photos</h1>", "/app.js")

	id := uploadPhoto(t, s, "holiday.jpg", photo(t, 3000, 2000))
	events := s.Events("/events.php?id="+id, nil)
	if got := names(events); got != "waiting progress progress progress progress done" {
		t.Fatalf("events were %s: %+v", got, events)
	}
	// Live, not all at the end: the sizes came one after the other.
	if first, last := events[1].At, events[4].At; last-first < 5*time.Millisecond {
		t.Errorf("the first size came after %s, the last after %s: they were not sent as they were made", first, last)
	}
	want := map[string][2]int{"large": {1600, 1067}, "medium": {800, 533}, "small": {400, 267}, "thumb": {160, 107}}
	for number, event := range events[1:5] {
		p := decode(t, event)
		if p.Done != number+1 || p.Of != 4 {
			t.Errorf("update %d says %d of %d", number+1, p.Done, p.Of)
		}
		answer := s.Get(p.URL).MustContain(200)
		if kind := answer.Header.Get("Content-Type"); kind != "image/jpeg" {
			t.Errorf("%s is served as %q", p.URL, kind)
		}
		picture, err := jpeg.Decode(strings.NewReader(answer.Body))
		if err != nil {
			t.Fatalf("%s: %v", p.URL, err)
		}
		size := picture.Bounds().Size()
		if size.X != want[p.Size][0] || abs(size.Y-want[p.Size][1]) > 1 || size.X != p.Width || size.Y != p.Height || len(answer.Body) != p.Bytes {
			t.Errorf("%s is %v and %d bytes; announced %+v, want %v", p.Size, size, len(answer.Body), p, want[p.Size])
		}
	}

	// A browser that reconnects does not start the work again.
	again := s.Events("/events.php?id="+id, nil)
	if names(again) != "problem" || !strings.Contains(again[0].Data, "upload is gone") {
		t.Errorf("asked again, the events were %+v", again)
	}
}

func TestPhotosRefusesWhatIsNoPicture(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	s.Upload("/upload.php", "picture", "page.jpg", "image/jpeg", []byte("<?php phpinfo();")).MustContain(415, "not a picture")
	s.Upload("/upload.php", "other", "a.jpg", "image/jpeg", photo(t, 8, 8)).MustContain(400, "Choose one picture")
	s.Get("/upload.php").MustContain(405, "POST")
	s.Get("/events.php?id=../../etc/passwd").MustContain(400, "needs the id")
	s.Get("/events.php?id[]=1").MustContain(400, "needs the id")
	// Nothing of the example but its public folder can be fetched.
	for _, path := range []string{"/thumbnails.php", "/../thumbnails.php", "/photos.php", "/Caddyfile", "/pictures/", "/pictures/../incoming/"} {
		if answer := s.Get(path); strings.Contains(answer.Body, "PHOTOS_LIFETIME") || strings.Contains(answer.Body, "num_threads") {
			t.Errorf("%s gives the example's source away: %d %q", path, answer.Status, answer.Body)
		}
	}
}

func TestPhotosDamagedPicture(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	whole := photo(t, 1200, 900)
	events := s.Events("/events.php?id="+uploadPhoto(t, s, "cut.jpg", whole[:len(whole)/2]), nil)
	if names(events) != "waiting problem" || !strings.Contains(events[1].Data, "damaged") {
		t.Fatalf("events were %+v", events)
	}
	// The worker is as well as before.
	events = s.Events("/events.php?id="+uploadPhoto(t, s, "whole.jpg", whole), nil)
	if !strings.HasSuffix(names(events), " done") {
		t.Fatalf("after a damaged picture the events were %+v", events)
	}
}

func TestPhotosWorkerDiesInMidPicture(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	content := photo(t, 1000, 800)
	// More often than there are workers: a replacement that did not come would be missed.
	for range 4 {
		events := s.Events("/events.php?id="+uploadPhoto(t, s, "crash.jpg", content), nil)
		if names(events) != "waiting progress progress problem" {
			t.Fatalf("events were %+v", events)
		}
		if problem := events[3].Data; !strings.Contains(problem, "ran out of memory") || !strings.Contains(problem, "try again") {
			t.Fatalf("the page was told %q", problem)
		}
		events = s.Events("/events.php?id="+uploadPhoto(t, s, "next.jpg", content), nil)
		if names(events) != "waiting progress progress progress progress done" {
			t.Fatalf("after the crash the events were %+v", events)
		}
	}
	s.WaitLog("Allowed memory size of")
}

func TestPhotosTwoVisitorsAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	content := photo(t, 1600, 1200)
	var visitors sync.WaitGroup
	for range 8 {
		id := uploadPhoto(t, s, "same.jpg", content)
		visitors.Go(func() {
			events := s.Events("/events.php?id="+id, nil)
			if names(events) != "waiting progress progress progress progress done" {
				t.Errorf("events were %+v", events)
				return
			}
			for _, event := range events[1:5] {
				if p := decode(t, event); !strings.HasPrefix(p.URL, "/pictures/"+id+"/") {
					t.Errorf("visitor of %s was shown %s", id, p.URL)
				}
			}
		})
	}
	visitors.Wait()
}

func TestPhotosVisitorLeaves(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	content := photo(t, 2400, 1800)
	for range 4 {
		s.Events("/events.php?id="+uploadPhoto(t, s, "left.jpg", content), func(e harness.Event) bool { return e.Name != "progress" })
	}
	events := s.Events("/events.php?id="+uploadPhoto(t, s, "stays.jpg", content), nil)
	if names(events) != "waiting progress progress progress progress done" {
		t.Fatalf("after others had left the events were %+v", events)
	}
}

func abs(n int) int { return max(n, -n) }

// --- In a browser ----------------------------------------------------------------------------------------

func chromium(t *testing.T) context.Context {
	t.Helper()
	var binary string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			binary = path
			break
		}
	}
	if binary == "" {
		t.Fatal("no Chromium on this machine; docker/provision.sh test installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(binary), chromedp.WindowSize(1100, 900), chromedp.UserDataDir(t.TempDir()),
		// Containers have neither user namespaces for its sandbox nor a large /dev/shm.
		chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	limited, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	allocator, endAllocator := chromedp.NewExecAllocator(limited, options...)
	t.Cleanup(endAllocator)
	browser, endBrowser := chromedp.NewContext(allocator)
	t.Cleanup(endBrowser)
	return browser
}

// page asks the page for the value of an expression.
func page[T any](t *testing.T, browser context.Context, expression string) T {
	t.Helper()
	value, err := chromedp.Run(browser, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func TestPhotosInABrowser(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	folder := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := photo(t, 2000, 1500)

	browser := chromium(t)
	var mutex sync.Mutex
	var complaints []string
	err := chromedp.Listen(browser, func(event any) {
		mutex.Lock()
		defer mutex.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			// The page asks for what is refused, and Chromium notes that: no complaint of the page's.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				complaints = append(complaints, e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	// await waits until an expression is true.
	await := func(expression string) error {
		_, err := chromedp.Run(browser, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(30*time.Second)))
		return err
	}
	// shows uploads a file and waits until the newest card is in a state; it returns the card's text.
	shows := func(path, state string) string {
		t.Helper()
		cards := page[int](t, browser, `document.querySelectorAll(".card").length`)
		err := chromedp.Do(browser, chromedp.SetUploadFiles("#picture", []string{path}))
		if err == nil {
			err = await(fmt.Sprintf(`document.querySelectorAll(".card").length == %d && document.querySelector(".card").dataset.state == %q`, cards+1, state))
		}
		if err != nil {
			t.Fatalf("%s did not become %q: %v; the page:\n%s\nthe log:\n%s", filepath.Base(path), state, err,
				page[string](t, browser, `document.body.innerText`), s.Log.Tail(40))
		}
		return page[string](t, browser, `document.querySelector(".card").innerText`)
	}

	if err := chromedp.Do(browser, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	if text := shows(file("holiday.jpg", good), "done"); !strings.Contains(text, "4 sizes made") {
		t.Errorf("the card says %q", text)
	}
	if err := await(`[...document.querySelectorAll(".card img")].every(i => i.complete)`); err != nil {
		t.Error(err)
	}
	if seen := page[int](t, browser, `[...document.querySelectorAll(".card img")].filter(i => i.naturalWidth > 0).length`); seen != 4 {
		t.Errorf("%d of 4 pictures can be seen", seen)
	}
	if text := shows(file("broken.jpg", []byte("no picture at all")), "problem"); !strings.Contains(text, "not a picture") {
		t.Errorf("for a broken file the page says %q", text)
	}
	if text := shows(file("cut.jpg", good[:len(good)/2]), "problem"); !strings.Contains(text, "damaged") {
		t.Errorf("for a damaged picture the page says %q", text)
	}
	if text := shows(file("crash.jpg", good), "problem"); !strings.Contains(text, "ran out of memory") {
		t.Errorf("for a worker that died the page says %q", text)
	}
	if text := shows(file("next.jpg", good), "done"); !strings.Contains(text, "4 sizes made") {
		t.Errorf("after the crash the card says %q", text)
	}

	if folder := os.Getenv("IGOR_TEST_SCREENSHOTS"); folder != "" {
		shot, err := chromedp.Run(browser, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "photos.png"), shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mutex.Lock()
	defer mutex.Unlock()
	if len(complaints) > 0 {
		t.Errorf("the browser complained: %q", complaints)
	}
}
