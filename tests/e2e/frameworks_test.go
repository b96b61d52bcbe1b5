package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// Code that was written without Igor in mind, from Debian's packages (docker/provision.sh, TEST_PACKAGES).

// debianPHP says where a package of Debian's PHP libraries is; without it the test fails and says what to
// install, because a test that is silently left out proves nothing.
func debianPHP(t *testing.T, file, packageName string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("/usr/share/php", file)); err != nil {
		t.Fatalf("%v; install %s (docker/provision.sh test does)", err, packageName)
	}
}

// An event loop that knows nothing of Igor selects on the signaling stream, on the streams of the tasks that
// it holds, and on its timers, and serves many tasks at once.
func TestAmphpLoopInABackgroundWorker(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Amp/autoload.php", "php-amphp-amp")
	s := harness.Start(t, harness.Config{
		Global: "igor {\n num_threads 4\n}",
		Site:   "php_server {\n" + backgroundWorker("loop", "worker.php", "num 1") + "}",
		Root:   filepath.Join(harness.Testdata(), "frameworks", "amp"),
	})
	type result struct {
		Steps                         map[string]int
		Turns, Most, Ticks, Cancelled int
	}
	const tasks = 8
	ask := func(query string) result { return jsonOf[result](t, s.Get(fmt.Sprintf("/?tasks=%d%s", tasks, query))) }

	r := ask("")
	for id := 1; id <= tasks; id++ {
		if r.Steps[fmt.Sprint(id)] != 4 {
			t.Errorf("task %d made %d steps of 4", id, r.Steps[fmt.Sprint(id)])
		}
	}
	if r.Most < 2 || r.Turns <= tasks {
		t.Errorf("the tasks were served one by one: %+v", r)
	}
	if r.Ticks == 0 {
		t.Errorf("the loop's timer stood still: %+v", r)
	}
	// Two requests of eight tasks each, served by the one loop.
	parallel(2, func(int) { ask("") })

	ask("&cancel=1")
	eventually(t, "the loop sees that a sender has left", func() error {
		if r := ask(""); r.Cancelled != 1 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if took := s.Stop(); took.Seconds() > 4 {
		t.Errorf("the loop took %s to end when it was told to", took)
	}
	for _, text := range []string{"Uncaught", "Fatal error", "Warning"} {
		for _, entry := range s.Log.Find(text) {
			t.Errorf("logged: %+v", entry)
		}
	}
}

// A small application of Symfony's components, once in worker mode and once without: the same answers, with
// sessions, cookies, uploads, streamed answers and tasks; in worker mode from one boot of the kernel.
func TestSymfonyApplication(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Symfony/Component/HttpKernel/autoload.php", "php-symfony-http-kernel")
	debianPHP(t, "Symfony/Component/Routing/autoload.php", "php-symfony-routing")
	folder := filepath.Join(harness.Testdata(), "frameworks", "symfony")
	for _, mode := range []struct{ name, worker string }{
		{"worker mode", "worker {\n file index.php\n num 2\n}\n"},
		{"worker mode, beginning anew", "worker {\n file index.php\n num 2\n env MAX_REQUESTS 7\n}\n"},
		{"classic", ""},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Config{
				Global: "igor {\n num_threads 6\n}",
				Site:   "php_server {\n root public\n" + mode.worker + backgroundWorker("thumbnails", "../thumbnails.php", "num 1", "queue 100") + "}",
				Root:   folder,
			})
			symfonyAnswers(t, s)
			symfonyVisitors(t, s)
			type about struct {
				Boot               string
				Served, Terminated int
				Worker             *string
				Sapi, Secret       string
			}
			boots := map[string]int{}
			for range 20 {
				a := jsonOf[about](t, s.Get("/about"))
				boots[a.Boot] = max(boots[a.Boot], a.Served)
				if a.Sapi != "frankenphp" || a.Secret != "from a file that the boot has read" {
					t.Errorf("not what the boot set up: %+v", a)
				}
				if mode.worker != "" && (a.Worker == nil || *a.Worker != "1" || a.Terminated < a.Served-2) {
					t.Errorf("in worker mode: %+v", a)
				}
			}
			served := 0
			for _, n := range boots {
				served += n
			}
			switch mode.name {
			case "worker mode":
				// The one that was busy last is asked first, so all of these may come from one of the two, and it may have
				// begun anew just before, because a visitor's request ended it.
				if len(boots) > 2 || served < 20 {
					t.Errorf("20 requests were served from %d boots of two workers, which served %d in all", len(boots), served)
				}
			case "worker mode, beginning anew":
				if len(boots) < 3 {
					t.Errorf("20 requests were served from %d boots of at most 7 requests each", len(boots))
				}
			case "classic":
				if len(boots) != 20 {
					t.Errorf("20 classic requests came from %d boots", len(boots))
				}
			}
		})
	}
}

// symfonyAnswers asks for each of the application's pages.
func symfonyAnswers(t *testing.T, s *harness.Server) {
	t.Helper()
	s.Get("/greet/igor").MustBe(200, "Hello igor")
	s.Get("/greet/igor?loud=3").MustBe(200, "Hello igor!!!")
	s.Get("/greet/igor").MustBe(200, "Hello igor") // the query of the request before is gone
	s.Get("/no/such/page").MustContain(404, "No route found")
	s.Get("/login").MustContain(405, "Method Not Allowed")
	s.Get("/breaks").MustBe(500, `{"error":"a controller threw"}`)
	s.Get("/leaves").MustBe(200, "left early")
	s.Post("/json", "application/json", `{"a":[1,"\u00fc"]}`).MustBe(200, `{"got":{"a":[1,"\u00fc"]},"superglobals":[[],[]]}`)
	s.Get("/thumbnails?sizes=100,200,300").MustBe(200, "100\n200\n300\n3 done\n")
	s.Get("/thumbnails?sizes=100,-5").MustBe(200, "100\nUncaughtException: no picture is -5 wide\n")
	picture := bytes.Repeat([]byte("\x89PNG\x00"), 50_000)
	s.Upload("/upload", "photo", "cat.png", "image/png", picture).
		MustBe(200, fmt.Sprintf(`{"files":{"photo":["cat.png",true,"%x"]},"form":[]}`, sha256.Sum256(picture)))
	s.Get("/about").MustContain(200, `"sapi":"frankenphp"`)
}

// symfonyVisitors lets visitors with sessions shop at once: nobody may see another's basket, name or notice.
func symfonyVisitors(t *testing.T, s *harness.Server) {
	t.Helper()
	parallel(12, func(visitor int) {
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: s.Client().CheckRedirect}
		defer client.CloseIdleConnections()
		ask := func(path string, form url.Values) string {
			var response *http.Response
			var err error
			if form == nil {
				response, err = client.Get(s.URL + path)
			} else {
				response, err = client.PostForm(s.URL+path, form)
			}
			if err != nil {
				t.Errorf("visitor %d, %s: %v", visitor, path, err)
				return ""
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			return string(body)
		}
		name := fmt.Sprintf("visitor-%d", visitor)
		ask("/login", url.Values{"user": {name}})
		basket := []string{}
		for i := range 5 {
			item := fmt.Sprintf("%s-item-%d", name, i)
			basket = append(basket, item)
			ask("/basket", url.Values{"item": {item}})
			items, _ := json.Marshal(basket)
			if got, want := ask("/basket", nil), fmt.Sprintf(`{"basket":%s,"notice":["added %s"]}`, items, item); got != want {
				t.Errorf("%s sees %s, not %s", name, got, want)
			}
			if got, want := ask("/whoami", nil), fmt.Sprintf(`{"user":"%s","cookie":"%s"}`, name, name); got != want {
				t.Errorf("%s is %s, not %s", name, got, want)
			}
		}
	})
	s.Get("/whoami").MustBe(200, `{"user":null,"cookie":null}`)
	s.Get("/basket").MustBe(200, `{"basket":[],"notice":[]}`)
}
