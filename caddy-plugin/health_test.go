package igor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func problems(h *Health) []string {
	var found []string
	for _, p := range h.Problems {
		found = append(found, strings.Trim(p.Problem+" "+p.Scope+"/"+p.Pool, " /"))
	}
	return found
}

// TestReady: what makes a process unfit, one report at a time.
func TestReady(t *testing.T) {
	pool := func(r *Report) *PoolReport { return &r.Scopes[0].Pools[0] }
	for _, row := range []struct {
		name    string
		options HealthOptions
		change  func(r *Report)
		want    []string
	}{
		{"well", HealthOptions{}, func(*Report) {}, nil},
		{"breaker open", HealthOptions{}, func(r *Report) { pool(r).Breaker = "open" }, []string{"breaker_open global/thumbs"}},
		{"breaker half open", HealthOptions{}, func(r *Report) { pool(r).Breaker = "half_open" }, []string{"breaker_open global/thumbs"}},
		{"breaker of an ignored pool", HealthOptions{IgnorePools: []string{"thumbs"}}, func(r *Report) { pool(r).Breaker = "open" }, nil},
		{"of another scope", HealthOptions{IgnorePools: []string{"php_server 1/thumbs"}}, func(r *Report) { pool(r).Breaker = "open" }, []string{"breaker_open global/thumbs"}},
		{"of this scope", HealthOptions{IgnorePools: []string{"global/thumbs"}}, func(r *Report) { pool(r).Breaker = "open" }, nil},
		{"nobody takes the task", HealthOptions{}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Workers = 30_000, nil
		}, []string{"wedged global/thumbs"}},
		{"not for long", HealthOptions{}, func(r *Report) { pool(r).Tasks[1].AgeMS, pool(r).Workers = 29_999, nil }, nil},
		{"a worker has just come free", HealthOptions{}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Workers = 60_000, []WorkerReport{{State: "idle", SinceMS: 3}}
		}, nil},
		{"its workers start and start", HealthOptions{WedgedAfter: caddy.Duration(time.Second)}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Workers = 60_000, []WorkerReport{{State: "starting", SinceMS: 1000}, {State: "lost", SinceMS: 60_000}}
		}, []string{"wedged global/thumbs"}},
		{"only a replaced worker does anything", HealthOptions{}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Workers = 60_000, []WorkerReport{{State: "stopping", SinceMS: 3, Old: true}}
		}, []string{"wedged global/thumbs"}},
		{"what waits is for replaced workers", HealthOptions{}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Tasks[1].Old, pool(r).Workers = 60_000, true, nil
		}, nil},
		{"work waits while others are worked on", HealthOptions{}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Workers[0].SinceMS, pool(r).Workers[1].SinceMS = 60_000, 60_000, 60_000
		}, nil},
		{"paused on purpose", HealthOptions{}, func(r *Report) {
			pool(r).Tasks[1].AgeMS, pool(r).Workers, pool(r).State = 60_000, nil, "paused"
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := useFakeOperator(t, testReport())
			o.change(row.change)
			h := checkReady(t.Context(), &row.options)
			if got := problems(h); !slices.Equal(got, row.want) {
				t.Errorf("problems %q, want %q", got, row.want)
			}
			if (h.Status == "ready") != (row.want == nil) {
				t.Errorf("status %q", h.Status)
			}
		})
	}
}

// TestWedgedOverTime: what only several looks can tell.
func TestWedgedOverTime(t *testing.T) {
	ready := func(o *HealthOptions) string { return strings.Join(problems(checkReady(context.Background(), o)), ",") }
	for _, row := range []struct {
		name   string
		change func(r *Report)
		moves  func(r *Report) // what goes on
		key    string
		after  time.Duration // of stillness until it is told
	}{
		{"busy workers that get nowhere", func(r *Report) { r.Scopes[0].Pools[0].Tasks[1].AgeMS = 3_600_000 },
			func(r *Report) { r.Scopes[0].Pools[0].Counters.Updates++ }, "wedged global/thumbs", 5 * time.Minute},
		{"requests that wait for HTTP workers", func(r *Report) { r.Scopes[1].Pools[0].Queue.Length = 1 },
			func(r *Report) { r.Scopes[1].Pools[0].Counters.Requests++ }, "wedged php_server 1//srv/app/index.php", 30 * time.Second},
		{"requests that wait for threads", func(*Report) {},
			func(r *Report) { r.HTTP.Requests++ }, "wedged", 30 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := useFakeOperator(t, testReport())
				o.change(func(r *Report) { r.HTTP.Queued = 0 })
				if row.key == "wedged" {
					o.change(func(r *Report) { r.HTTP.Queued = 2 })
				}
				o.change(row.change)
				options := new(HealthOptions)
				// As long as something moves between two looks, all is well.
				for range 5 {
					if got := ready(options); got != "" {
						t.Fatalf("while it moves: %s", got)
					}
					time.Sleep(row.after - time.Second)
					o.change(row.moves)
				}
				if got := ready(options); got != "" {
					t.Fatalf("it has just moved: %s", got)
				}
				time.Sleep(row.after - time.Millisecond)
				if got := ready(options); got != "" {
					t.Fatalf("too early: %s", got)
				}
				time.Sleep(time.Millisecond)
				if got := ready(options); got != row.key {
					t.Fatalf("after %v of stillness: %q, want %q", row.after, got, row.key)
				}
				// An empty queue is well, however long nothing moves.
				o.change(func(r *Report) {
					r.HTTP.Queued = 0
					for i := range r.Scopes {
						for j := range r.Scopes[i].Pools {
							r.Scopes[i].Pools[j].Queue.Length, r.Scopes[i].Pools[j].Tasks = 0, nil
						}
					}
				})
				if got := ready(options); got != "" {
					t.Fatalf("with nothing to do: %s", got)
				}
				time.Sleep(time.Hour)
				if got := ready(options); got != "" {
					t.Fatalf("with nothing to do for an hour: %s", got)
				}
			})
		})
	}
}

func TestReadyOfTheProcess(t *testing.T) {
	o := useFakeOperator(t, testReport())
	l := running.newest()
	o.err = errors.New("out of memory")
	if got := problems(checkReady(t.Context(), new(HealthOptions))); !slices.Equal(got, []string{"no_answer"}) {
		t.Errorf("without an answer: %q", got)
	}
	o.err = nil
	l.retiring.Store(true)
	if got := problems(checkReady(t.Context(), new(HealthOptions))); !slices.Equal(got, []string{"draining"}) {
		t.Errorf("while it retires: %q", got)
	}
	running.remove(l)
	if got := problems(checkReady(t.Context(), new(HealthOptions))); !slices.Equal(got, []string{"not_started"}) {
		t.Errorf("before it has booted: %q", got)
	}
	if h := checkLive(t.Context(), new(HealthOptions)); !h.well() || h.Status != "live" {
		t.Errorf("before it has booted it is not live: %+v", h)
	}
}

func TestLive(t *testing.T) {
	lost := func(n int) []WorkerReport { return slices.Repeat([]WorkerReport{{State: "lost"}}, n) }
	for _, row := range []struct {
		name   string
		most   int
		change func(r *Report)
		want   []string
	}{
		{"well", 0, func(*Report) {}, nil},
		{"some are lost and replaced", 0, func(r *Report) { r.Scopes[0].Pools[0].Workers = lost(16) }, nil},
		{"more than are replaced", 0, func(r *Report) { r.Scopes[0].Pools[0].Workers = lost(17) }, []string{"lost_threads global/thumbs"}},
		{"more than configured", 1, func(r *Report) { r.Scopes[0].Pools[0].Workers = lost(2) }, []string{"lost_threads global/thumbs"}},
		{"one HTTP thread", 0, func(r *Report) { r.HTTP.List[0].State = "lost" }, nil},
		{"all HTTP threads", 0, func(r *Report) { r.HTTP.List[0].State, r.HTTP.List[1].State = "lost", "lost" }, []string{"lost_threads"}},
		{"a breaker is no reason to restart", 0, func(r *Report) { r.Scopes[0].Pools[0].Breaker = "open" }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := useFakeOperator(t, testReport())
			o.change(row.change)
			if got := problems(checkLive(t.Context(), &HealthOptions{MaxLost: row.most})); !slices.Equal(got, row.want) {
				t.Errorf("problems %q, want %q", got, row.want)
			}
		})
	}
}

// TestHealthOverHTTP: statuses, bodies, and an answer in time when PHP hangs.
func TestHealthOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := useFakeOperator(t, testReport())
		ask := func(check, method string) (int, string) {
			w := httptest.NewRecorder()
			h := &HealthHandler{Check: check}
			if err := h.ServeHTTP(w, httptest.NewRequest(method, "/", nil), nil); err != nil {
				t.Error(err)
			}
			return w.Code, w.Body.String()
		}
		if status, body := ask("ready", "GET"); status != 200 || body != "{\n  \"status\": \"ready\"\n}\n" {
			t.Errorf("ready: %d %q", status, body)
		}
		if status, body := ask("live", "HEAD"); status != 200 || !strings.Contains(body, `"live"`) {
			t.Errorf("live: %d %q", status, body)
		}
		if status, _ := ask("ready", "POST"); status != 405 {
			t.Errorf("POST: %d", status)
		}
		o.blocked = make(chan struct{})
		defer close(o.blocked)
		for _, check := range []string{"ready", "live"} {
			began := time.Now()
			status, body := ask(check, "GET")
			var h Health
			if err := json.Unmarshal([]byte(body), &h); err != nil || status != 503 || !slices.Equal(problems(&h), []string{"no_answer"}) {
				t.Errorf("%s while PHP hangs: %d %s (%v)", check, status, body, err)
			}
			if took := time.Since(began); took > reportPatience {
				t.Errorf("%s answered after %v", check, took)
			}
		}
	})
}

func TestHealthOnAdmin(t *testing.T) {
	o := useFakeOperator(t, testReport())
	if h := adminJSON[Health](t, "/igor/health/live"); h.Status != "live" {
		t.Errorf("live: %+v", h)
	}
	o.change(func(r *Report) { r.Scopes[0].Pools[0].Breaker = "open" })
	if status, body, _ := adminDo(t, "GET", "/igor/health/ready"); status != 503 || !strings.Contains(body, "breaker_open") {
		t.Errorf("ready: %d %s", status, body)
	}
}
