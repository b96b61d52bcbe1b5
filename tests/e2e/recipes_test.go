package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The examples that docs/recipes tells of, served as they lie in docs/examples. That the pages show these files is for
// tests/rules/docs to check.

// startExample serves docs/examples/NAME with its own Caddyfile, on the test's address.
func startExample(t *testing.T, name string, environment ...string) *harness.Server {
	t.Helper()
	return harness.Start(t, exampleConfig(t, name, environment...))
}

func exampleConfig(t *testing.T, name string, environment ...string) harness.Config {
	t.Helper()
	folder := filepath.Join("docs", "examples", name)
	caddyfile := repositoryFile(t, filepath.Join(folder, "Caddyfile"))
	const address = "http://localhost:8080 {"
	if strings.Count(caddyfile, address) != 1 {
		t.Fatalf("%s/Caddyfile does not serve %s, where the documentation says that it is:\n%s", folder, address, caddyfile)
	}
	caddyfile = strings.Replace(caddyfile, address, "{$IGOR_TEST_ADDRESS} {", 1)
	options := "\tadmin {$IGOR_TEST_ADMIN}\n\tlog {\n\t\tformat json\n\t}\n"
	if rest, ok := strings.CutPrefix(caddyfile, "{\n"); ok {
		caddyfile = "{\n" + options + rest
	} else {
		caddyfile = "{\n" + options + "}\n" + caddyfile
	}
	return harness.Config{
		Caddyfile: caddyfile,
		Dir:       filepath.Join(harness.Checkout(), folder),
		Env:       environment,
	}
}

// mustBeWell fails the test when the log tells of an error in a script.
func mustBeWell(t *testing.T, s *harness.Server) {
	t.Helper()
	for _, text := range []string{"Fatal error", "Warning"} {
		for _, entry := range s.Log.Find(text) {
			t.Errorf("logged: %s", entry.Raw)
		}
	}
}

func TestRecipeThumbnails(t *testing.T) {
	t.Parallel()
	s := startExample(t, "thumbnails")
	small := s.Post("/?width=200", "image/jpeg", string(photo(t, 1200, 900))).MustContain(200)
	config, err := jpeg.DecodeConfig(strings.NewReader(small.Body))
	if err != nil || config.Width != 200 || config.Height != 150 {
		t.Errorf("the thumbnail is %+v, want 200 by 150 (%v)", config, err)
	}
	if mime := small.Header.Get("Content-Type"); mime != "image/jpeg" {
		t.Errorf("its type is %s", mime)
	}
	s.Post("/", "image/jpeg", "not a picture").MustBe(422, "this is no picture\n")
	s.Post("/?width=9", "image/jpeg", "x").MustBe(400, "width must be from 16 to 2000\n")
	// A picture that says that it is huge, and is a few bytes long.
	var bomb bytes.Buffer
	if err := jpeg.Encode(&bomb, image.NewGray(image.Rect(0, 0, 6000, 6000)), nil); err != nil {
		t.Fatal(err)
	}
	s.Post("/", "image/jpeg", bomb.String()).MustBe(422, "this picture has more than 24 megapixels\n")
	mustBeWell(t, s)
}

func TestRecipeInvoices(t *testing.T) {
	t.Parallel()
	s := startExample(t, "invoices")
	answer := s.Get("/?number=1042&to="+url.QueryEscape(`Grace (Murray) Höpper\`)).MustContain(200, "%PDF-1.4\n", "Invoice 1042")
	if mime := answer.Header.Get("Content-Type"); mime != "application/pdf" {
		t.Errorf("its type is %s", mime)
	}
	pdf := answer.Body
	if !strings.Contains(pdf, "(For Grace \\(Murray\\) H\xf6pper\\\\) Tj") || !strings.Contains(pdf, "45.50 \x80) Tj") {
		t.Errorf("the text is not as it must be:\n%q", pdf)
	}
	// The table at its end says where each object begins: a reader follows it.
	start, err := strconv.Atoi(regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindStringSubmatch(pdf)[1])
	if err != nil || !strings.HasPrefix(pdf[start:], "xref\n0 6\n") {
		t.Fatalf("startxref does not lead to the table: %v", err)
	}
	for i, entry := range regexp.MustCompile(`(\d{10}) 00000 n \n`).FindAllStringSubmatch(pdf[start:], -1) {
		at, _ := strconv.Atoi(entry[1])
		if want := fmt.Sprintf("%d 0 obj\n", i+1); !strings.HasPrefix(pdf[at:], want) {
			t.Errorf("at %d there is %.20q, want %q", at, pdf[at:], want)
		}
	}
	if stream := regexp.MustCompile(`(?s)/Length (\d+) >>\nstream\n(.*)endstream`).FindStringSubmatch(pdf); stream[1] != fmt.Sprint(len(stream[2])) {
		t.Errorf("its length is %d, and it says %s", len(stream[2]), stream[1])
	}
	mustBeWell(t, s)
}

func TestRecipeMail(t *testing.T) {
	t.Parallel()
	smtp := newMailServer(t)
	s := startExample(t, "mail", "SMTP_SERVER="+smtp.address)
	order := func(to string) {
		t.Helper()
		s.Post("/", "application/x-www-form-urlencoded", "to="+url.QueryEscape(to)).MustBe(200, "Thank you!\n")
	}
	order("ada@example.org")
	order("grace@example.org")
	first, second := smtp.next(t), smtp.next(t)
	if !strings.Contains(first.text, "\r\nSubject: Welcome\r\n") || !strings.HasSuffix(first.text, "\r\n\r\nGood to see you.\r\n.\r\nYours, the shop\r\n") {
		t.Errorf("the mail is %q", first.text)
	}
	if first.connection != second.connection {
		t.Errorf("two mails came over connections %d and %d", first.connection, second.connection)
	}
	// The server hangs up, as servers do after a while: the next mail takes another connection.
	smtp.hangUp()
	order("alan@example.org")
	if third := smtp.next(t); third.to != "alan@example.org" || third.connection == first.connection {
		t.Errorf("after the server had hung up: %+v", third)
	}
	// One that is refused is logged, and does no harm to the next.
	order("nobody@example.org")
	s.WaitLog("550 no such user")
	order("edsger@example.org")
	if fourth := smtp.next(t); fourth.to != "edsger@example.org" {
		t.Errorf("after a refusal: %+v", fourth)
	}
	s.Post("/", "application/x-www-form-urlencoded", "to=x").MustBe(400, "to must be an e-mail address\n")
}

func TestRecipeWebhooks(t *testing.T) {
	t.Parallel()
	type delivery struct {
		path, body, id string
		at             time.Time
	}
	var mutex sync.Mutex
	var deliveries []delivery
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mutex.Lock()
		defer mutex.Unlock()
		seen := 0
		for _, d := range deliveries {
			if d.path == r.URL.Path {
				seen++
			}
		}
		deliveries = append(deliveries, delivery{r.URL.Path, string(body), r.Header.Get("Webhook-Id"), time.Now()})
		if r.URL.Path == "/twice" && seen < 2 || r.URL.Path == "/down" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	of := func(path string) []delivery {
		mutex.Lock()
		defer mutex.Unlock()
		var found []delivery
		for _, d := range deliveries {
			if d.path == path {
				found = append(found, d)
			}
		}
		return found
	}
	database := "WEBHOOKS_DB=" + filepath.Join(t.TempDir(), "outbox.sqlite")
	s := startExample(t, "webhooks", database, "WEBHOOKS_FIRST_PAUSE=0.2")
	post := func(s *harness.Server, path string) {
		t.Helper()
		form := url.Values{"url": {receiver.URL + path}, "body": {`{"order":42}`}}
		s.Post("/", "application/x-www-form-urlencoded", form.Encode()).MustBe(202, "will be delivered\n")
	}
	post(s, "/well")
	post(s, "/twice")
	eventually(t, "all is delivered", func() error {
		if len(of("/well")) != 1 || len(of("/twice")) != 3 || s.Get("/").Body != "[]" {
			return fmt.Errorf("%+v, %s", deliveries, s.Get("/").Body)
		}
		return nil
	})
	if got := of("/well")[0]; got.body != `{"order":42}` || got.id == "" {
		t.Errorf("it was delivered as %+v", got)
	}
	tries := of("/twice")
	if first, second := tries[1].at.Sub(tries[0].at), tries[2].at.Sub(tries[1].at); first < 200*time.Millisecond || second < 400*time.Millisecond {
		t.Errorf("the pauses were %s and %s, want 0.2 s and 0.4 s at least", first, second)
	}
	if tries[0].id != tries[2].id {
		t.Errorf("one delivery had the ids %s and %s", tries[0].id, tries[2].id)
	}

	// What was not delivered when the server died is, once there is one again.
	post(s, "/down")
	eventually(t, "it was tried", func() error {
		if len(of("/down")) == 0 || !strings.Contains(s.Get("/").Body, "status 503") {
			return fmt.Errorf("%+v, %s", deliveries, s.Get("/").Body)
		}
		return nil
	})
	s.Kill()
	before := len(of("/down"))
	again := startExample(t, "webhooks", database, "WEBHOOKS_FIRST_PAUSE=0.2")
	eventually(t, "it is tried again after the crash", func() error {
		if len(of("/down")) <= before {
			return fmt.Errorf("still %d times", before)
		}
		return nil
	})
	mustBeWell(t, again)
}

func TestRecipeCatalog(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "catalog.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(repositoryFile(t, "docs/examples/catalog/catalog.json"))
	s := startExample(t, "catalog", "CATALOG_SOURCE="+source)
	s.Get("/?sku=tea").MustBe(200, "Tea: 4.50 EUR\n")
	s.Get("/?sku=hat").MustBe(404, "no such article\n")

	write(`[{"sku": "tea", "name": "Tea", "cents": 500}]`)
	s.Get("/?sku=tea").MustBe(200, "Tea: 4.50 EUR\n") // nobody has said that there is news
	s.Get("/refresh.php").MustBe(200, "told\n")
	eventually(t, "the new price", func() error {
		if got := s.Get("/?sku=tea"); got.Body != "Tea: 5.00 EUR\n" {
			return fmt.Errorf("%q", got.Body)
		}
		return nil
	})
	// A source that is broken leaves what there was.
	write(`[{"sku": "tea"`)
	s.Get("/refresh.php").MustBe(200, "told\n")
	s.WaitLog("catalog: Syntax error")
	s.Get("/?sku=tea").MustBe(200, "Tea: 5.00 EUR\n")
	// Without a catalogue to begin with there is no site.
	_, err := harness.TryStart(t, exampleConfig(t, "catalog", "CATALOG_SOURCE=/nowhere/catalog.json"))
	if err == nil || !strings.Contains(err.Error(), "/nowhere/catalog.json can't be read") {
		t.Errorf("a server without its catalogue started, or did not say why: %v", err)
	}
	// The example's own file is found without the variable.
	startExample(t, "catalog").Get("/?sku=mug").MustBe(200, "Mug: 12.00 EUR\n")
	mustBeWell(t, s)
}

func TestRecipeProgress(t *testing.T) {
	t.Parallel()
	s := startExample(t, "progress")
	s.Get("/").MustContain(200, "new EventSource('/events.php?year=2026')")
	events := s.Events("/events.php?year=2026", nil)
	if got, want := names(events), strings.Repeat("progress ", 12)+"done"; got != want {
		t.Fatalf("events were %s", got)
	}
	if last := events[12].Data; last != `{"sum":158028}` {
		t.Errorf("the end is %s", last)
	}
	// Who leaves takes the work along, which shows that updates are sent as they are made: else none would be left then.
	s.Events("/events.php?year=1999", func(e harness.Event) bool { return false })
	s.WaitLog("nobody waits for 1999 any more")
	mustBeWell(t, s)
}

// One thread, many waits: the other server answers nobody before all have asked.
func TestRecipeEventLoop(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Amp/autoload.php", "php-amphp-amp")
	const visitors = 20
	var arrived sync.WaitGroup
	arrived.Add(visitors)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		arrived.Wait()
		fmt.Fprintf(w, "answer to %s", r.URL.Path)
	}))
	defer slow.Close()
	config := exampleConfig(t, "event-loop")
	// A grace that is longer than the test waits for the server's end.
	config.Caddyfile = strings.Replace(config.Caddyfile, "timeout 60s", "timeout 60s\n stop_grace 1m", 1)
	s := harness.Start(t, config)
	query := url.Values{}
	want := map[string]string{}
	for i := range visitors {
		asked := fmt.Sprintf("%s/%d", slow.URL, i)
		query.Add("url[]", asked)
		want[asked] = fmt.Sprintf("answer to /%d", i)
	}
	got := jsonOf[map[string]string](t, s.Get("/?"+query.Encode()))
	for asked, answer := range want {
		if got[asked] != answer {
			t.Errorf("%s: %q, want %q", asked, got[asked], answer)
		}
	}
	s.Stop() // fails the test when the loop does not end as it is told to
	mustBeWell(t, s)
}
