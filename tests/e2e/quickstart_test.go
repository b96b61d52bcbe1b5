package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// landscape is a picture of hills under a sky, for the documentation's own picture: hue turns its colours.
func landscape(t *testing.T, width, height int, hue float64) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	shade := func(light, at float64) color.RGBA {
		channel := func(phase float64) uint8 {
			return uint8(math.Max(0, math.Min(255, 255*light*(0.62+0.38*math.Cos(2*math.Pi*(hue+at+phase))))))
		}
		return color.RGBA{channel(0), channel(0.33), channel(0.67), 255}
	}
	for x := range width {
		u := float64(x) / float64(width)
		for y := range height {
			v := float64(y) / float64(height)
			c := shade(1-v/3, v/4)
			if math.Hypot((u-0.72)*float64(width)/float64(height), v-0.3) < 0.09 {
				c = color.RGBA{255, 250, 225, 255}
			}
			for hill := range 4 {
				h := float64(hill)
				if v > 0.5+h*0.12+0.06*math.Sin(u*(5+2*h)+hue*9+h*2)+0.02*math.Sin(u*23+h) {
					c = shade(0.72-h*0.15, 0.25+h*0.06)
				}
			}
			picture.SetRGBA(x, y, c)
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, picture, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// docs/quickstart.md, step by step, in a browser: pictures, a worker that is killed, what the log and the table say, and a
// picture after it. With IGOR_TEST_SCREENSHOTS it makes the page's picture, quickstart.png there (docs/images/photos.png).
func TestQuickstart(t *testing.T) {
	t.Parallel()
	s, _ := startPhotos(t)
	browser := chromium(t)
	folder := t.TempDir()
	upload := func(name string, content []byte, number int, state string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := chromedp.Do(browser, chromedp.SetUploadFiles("#picture", []string{path}))
		if err == nil {
			_, err = chromedp.Run(browser, chromedp.Poll[bool](fmt.Sprintf(
				`document.querySelectorAll(".card").length == %d && document.querySelector(".card").dataset.state == %q &&
				[...document.querySelectorAll(".card img")].every(i => i.complete)`, number, state), chromedp.WithPollingTimeout(30*time.Second)))
		}
		if err != nil {
			t.Fatalf("%s did not become %q: %v; the page:\n%s\nthe log:\n%s", name, state, err, page[string](t, browser, `document.body.innerText`), s.Log.Tail(40))
		}
	}
	if err := chromedp.Do(browser, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	upload("morning.jpg", landscape(t, 1800, 1200, 0.02), 1, "done")
	upload("evening.jpg", landscape(t, 1800, 1200, 0.33), 2, "done")
	savePicture(t, browser)

	upload("crash.jpg", landscape(t, 1200, 800, 0.3), 3, "problem")
	if text := page[string](t, browser, `document.querySelector(".card").innerText`); !strings.Contains(text, "ran out of memory on this picture and was replaced") {
		t.Errorf("for a worker that died the page says %q", text)
	}
	if died := s.WaitLog("Allowed memory size of"); died.Field("worker") != "thumbnails" || died.Field("task") == "" || died.Field("line") == "" {
		t.Errorf("of the worker's death the log says %s", died.Raw)
	}
	if failed := s.WaitLog("background worker failed"); failed.Field("reason") != "MemoryLimit" || failed.Field("restart_in_ms") == "" {
		t.Errorf("of its supervision the log says %s", failed.Raw)
	}
	upload("again.jpg", landscape(t, 900, 600, 0.8), 4, "done")

	// The table that the page tells of: one failed task, one restart.
	row := func() []string {
		table, status := harness.Run(t, s.Root, "workers", "--once", "--address", "unix/"+s.Admin)
		if status != 0 {
			t.Fatalf("igor workers: %s", table)
		}
		for line := range strings.Lines(table) {
			if fields := strings.Fields(line); len(fields) > 11 && fields[1] == "thumbnails" {
				return fields
			}
		}
		t.Fatalf("no thumbnails in\n%s", table)
		return nil
	}
	eventually(t, "the table", func() error {
		// SCOPE POOL KIND STATE READY BUSY ALL QUEUE FLIGHT DONE FAILED P50 P95 RESTARTS SNAPSHOT
		if f := row(); f[4] != "2" || f[9] != "3" || f[10] != "1" || f[13] != "1" {
			return fmt.Errorf("%v", f)
		}
		return nil
	})
	if said, status := harness.Run(t, s.Root, "workers", "restart", "thumbnails", "--address", "unix/"+s.Admin); status != 0 {
		t.Errorf("igor workers restart: %s", said)
	}
	upload("last.jpg", landscape(t, 600, 400, 0.9), 5, "done")
}

func savePicture(t *testing.T, browser context.Context) {
	t.Helper()
	folder := os.Getenv("IGOR_TEST_SCREENSHOTS")
	if folder == "" {
		return
	}
	// Not in the middle of a movement.
	_, err := chromedp.Run(browser, chromedp.Poll[bool](`document.getAnimations().every(a => a.playState == "finished")`, chromedp.WithPollingTimeout(30*time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	shot, err := chromedp.Run(browser, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "quickstart.png"), shot, 0o644); err != nil {
		t.Fatal(err)
	}
}
