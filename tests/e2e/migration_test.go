package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/igor-php/igor/tests/e2e/harness"
)

// The programs of docs/guide/from-*.md: what each page shows as "after", and of FrankenPHP the "before" too.

// blocksBefore is the first block of a language above the heading "After".
func blocksBefore(t *testing.T, page, language string) string {
	t.Helper()
	before, _, ok := strings.Cut(repositoryFile(t, page), "\n## After\n")
	if !ok {
		t.Fatalf("%s has no heading \"After\"", page)
	}
	_, rest, ok := strings.Cut(before, "\n```"+language+"\n")
	if !ok {
		t.Fatalf("%s has no %s block before \"After\"", page, language)
	}
	block, _, _ := strings.Cut(rest, "\n```\n")
	return block + "\n"
}

// suppliers answer nobody until all three were asked, when together is set.
func suppliers(t *testing.T, together bool) string {
	t.Helper()
	var asked sync.WaitGroup
	asked.Add(3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if together {
			asked.Done()
			asked.Wait()
		}
		fmt.Fprint(w, 1000+len(r.URL.Query().Get("name")))
	}))
	t.Cleanup(server.Close)
	return "SUPPLIERS=" + server.URL + "/?name="
}

func TestFromFrankenPHP(t *testing.T) {
	t.Parallel()
	const want = `{"north":1005,"south":1005,"west":1004}`
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		const page = "docs/guide/from-frankenphp.md"
		caddyfile := strings.Replace(blocksBefore(t, page, "caddyfile"), "http://localhost:8080 {", "{$IGOR_TEST_ADDRESS} {", 1)
		s := harness.Start(t, harness.Config{
			Caddyfile: "{\n\tadmin {$IGOR_TEST_ADMIN}\n" + strings.TrimPrefix(caddyfile, "{\n"),
			Files:     harness.Files{"public/index.php": blocksBefore(t, page, "php")},
			Env:       []string{suppliers(t, false)},
		})
		for range 3 {
			s.Get("/").MustBe(200, want)
		}
		mustBeWell(t, s)
	})
	t.Run("after", func(t *testing.T) {
		t.Parallel()
		s := startExample(t, "from-frankenphp", suppliers(t, true))
		s.Get("/").MustBe(200, want)
		s.Get("/supplier.php?name=north").MustContain(200, "10")
		mustBeWell(t, s)
	})
}

func TestFromMessenger(t *testing.T) {
	t.Parallel()
	debianPHP(t, "Symfony/Component/Messenger/autoload.php", "php-symfony-messenger")
	receipts := filepath.Join(t.TempDir(), "receipts.txt")
	s := startExample(t, "messenger", "RECEIPTS="+receipts)
	s.Get("/?order=42").MustBe(200, "Thank you!\n")
	awaitFile(t, receipts, "receipt for order 42 to ada@example.com\n")
	// A handler that fails is told to the sender, and the worker goes on.
	s.Get("/?order=-1").MustBe(200, "Thank you!\n")
	entry := s.WaitLog("there is no order -1")
	if !strings.Contains(entry.Message, "message failed: UncaughtException: DomainException") {
		t.Errorf("the sender's log says %q", entry.Message)
	}
	s.Get("/?order=43").MustBe(200, "Thank you!\n")
	eventually(t, "the next message", func() error {
		if text, _ := os.ReadFile(receipts); !strings.Contains(string(text), "order 43") {
			return fmt.Errorf("%q", text)
		}
		return nil
	})
	mustBeWell(t, s)
}

func TestFromSwoole(t *testing.T) {
	t.Parallel()
	s := startExample(t, "from-swoole")
	s.Get("/").MustBe(200, `{"dollars":108}`)
	s.Post("/", "text/plain", "to be or not to be").MustBe(200, `{"words":6}`)
	mustBeWell(t, s)
}
