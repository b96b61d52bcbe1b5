package igor

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// scraped is a scrape as text, and by series: `name{label="value"}` to its value.
func scraped(t *testing.T) (string, map[string]string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registerCollector(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := encode(t, families)
	series := make(map[string]string)
	for line := range strings.Lines(text) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			series[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return text, series
}

func encode(t *testing.T, families []*dto.MetricFamily) string {
	t.Helper()
	var b strings.Builder
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&b, family); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestMetrics(t *testing.T) {
	o := useFakeOperator(t, testReport())
	_, series := scraped(t)
	if n := o.readCount(); n != 1 {
		t.Errorf("%d reports were read for one scrape", n)
	}
	for name, want := range map[string]string{
		"igor_up":    "1",
		"igor_ready": "1",

		"frankenphp_total_threads":                                                                                "6",
		"frankenphp_busy_threads":                                                                                 "5",
		"frankenphp_queue_depth":                                                                                  "3",
		`frankenphp_total_workers{worker="thumbs"}`:                                                               "2",
		`frankenphp_busy_workers{worker="thumbs"}`:                                                                "1",
		`frankenphp_ready_workers{worker="thumbs"}`:                                                               "2",
		`frankenphp_worker_queue_depth{worker="thumbs"}`:                                                          "1",
		`frankenphp_worker_crashes{worker="thumbs"}`:                                                              "2",
		`frankenphp_worker_restarts{worker="thumbs"}`:                                                             "8", // all but those after a crash
		`frankenphp_total_workers{worker="/srv/app/index.php"}`:                                                   "2",
		`frankenphp_ready_workers{worker="/srv/app/index.php"}`:                                                   "1",
		`frankenphp_worker_request_count{worker="/srv/app/index.php"}`:                                            "77",
		`frankenphp_worker_request_time{worker="/srv/app/index.php"}`:                                             "1.25",
		`igor_http_threads{state="busy"}`:                                                                         "1",
		`igor_http_threads{state="lost"}`:                                                                         "0",
		"igor_http_threads_limit":                                                                                 "5",
		"igor_http_queue_length":                                                                                  "3",
		"igor_http_requests_total":                                                                                "1234",
		"igor_engine_states":                                                                                      "6",
		`igor_native_memory_bytes{state="allocated"}`:                                                             "3.145728e+07",
		`igor_native_memory_bytes{state="free"}`:                                                                  "2.097152e+07",
		`igor_pool_state{kind="tasks",pool="thumbs",scope="global",state="running"}`:                              "1",
		`igor_pool_state{kind="tasks",pool="thumbs",scope="php_server 1",state="paused"}`:                         "1",
		`igor_pool_breaker{kind="tasks",pool="thumbs",scope="global",state="closed"}`:                             "1",
		`igor_pool_breaker{kind="tasks",pool="thumbs",scope="global",state="open"}`:                               "0",
		`igor_queue_length{kind="tasks",pool="thumbs",scope="global"}`:                                            "1",
		`igor_queue_bound{kind="tasks",pool="thumbs",scope="global"}`:                                             "100",
		`igor_queue_blocked_senders{kind="tasks",pool="thumbs",scope="global"}`:                                   "2",
		`igor_workers{kind="tasks",pool="thumbs",scope="global",state="busy"}`:                                    "1",
		`igor_workers_memory_bytes{kind="tasks",pool="thumbs",scope="global"}`:                                    "3.145728e+06",
		`igor_worker_restarts_total{kind="tasks",pool="thumbs",reason="recycled",scope="global"}`:                 "3",
		`igor_tasks_accepted_total{kind="tasks",pool="thumbs",scope="global"}`:                                    "30",
		`igor_tasks_refused_total{kind="tasks",pool="thumbs",scope="global"}`:                                     "4",
		`igor_tasks_ended_total{kind="tasks",outcome="completed",pool="thumbs",reason="",scope="global"}`:         "12",
		`igor_tasks_ended_total{kind="tasks",outcome="cancelled",pool="thumbs",reason="",scope="global"}`:         "3",
		`igor_tasks_ended_total{kind="tasks",outcome="timed_out",pool="thumbs",reason="",scope="global"}`:         "2",
		`igor_tasks_ended_total{kind="tasks",outcome="failed",pool="thumbs",reason="fatal_error",scope="global"}`: "9",
		`igor_tasks_in_flight{kind="tasks",pool="thumbs",scope="global"}`:                                         "3",
		`igor_task_updates_total{kind="tasks",pool="thumbs",scope="global"}`:                                      "55",
		`igor_task_payload_bytes_total{kind="tasks",pool="thumbs",scope="global"}`:                                "7000",
		`igor_task_run_seconds_bucket{kind="tasks",pool="thumbs",scope="global",le="0.001"}`:                      "0",
		`igor_task_run_seconds_bucket{kind="tasks",pool="thumbs",scope="global",le="0.01"}`:                       "10",
		`igor_task_run_seconds_bucket{kind="tasks",pool="thumbs",scope="global",le="0.1"}`:                        "20",
		`igor_task_run_seconds_bucket{kind="tasks",pool="thumbs",scope="global",le="+Inf"}`:                       "20",
		`igor_task_run_seconds_sum{kind="tasks",pool="thumbs",scope="global"}`:                                    "1.25",
		`igor_task_duration_seconds_bucket{kind="tasks",pool="thumbs",scope="global",le="0.1"}`:                   "0",
		`igor_task_duration_seconds_count{kind="tasks",pool="thumbs",scope="global"}`:                             "1",
		`igor_requests_total{kind="requests",pool="/srv/app/index.php",scope="php_server 1"}`:                     "77",
		`igor_request_run_seconds_count{kind="requests",pool="/srv/app/index.php",scope="php_server 1"}`:          "4",
		`igor_snapshot_age_seconds{kind="tasks",pool="thumbs",scope="global"}`:                                    "1.5",
		`igor_snapshot_version{kind="tasks",pool="thumbs",scope="global"}`:                                        "3",
		`igor_snapshot_bytes{kind="tasks",pool="thumbs",scope="global"}`:                                          "100",
	} {
		if series[name] != want {
			t.Errorf("%s is %q, want %s", name, series[name], want)
		}
	}
	for _, name := range []string{
		`igor_tasks_accepted_total{kind="requests",pool="/srv/app/index.php",scope="php_server 1"}`,
		`igor_requests_total{kind="tasks",pool="thumbs",scope="global"}`,
		`igor_snapshot_version{kind="tasks",pool="a/b",scope="php_server 1"}`,
	} {
		if value, there := series[name]; there {
			t.Errorf("%s is %s, but there is no such thing", name, value)
		}
	}
}

// TestMetricsOfNothing: without PHP, or when it does not answer, that is what is told, and the scrape succeeds.
func TestMetricsOfNothing(t *testing.T) {
	o := useFakeOperator(t, testReport())
	o.err = errors.New("out of memory")
	if _, series := scraped(t); series["igor_up"] != "0" || series["igor_ready"] != "0" || len(series) != 3 {
		t.Errorf("got %v", series)
	}
}

// TestMetricsOfTwins: two scopes that end up with one label don't break the scrape.
func TestMetricsOfTwins(t *testing.T) {
	o := useFakeOperator(t, testReport())
	o.change(func(r *Report) {
		r.Scopes = append(r.Scopes, r.Scopes[0])
		r.Scopes[1].Pools[0].Name = "not \xff UTF-8"
	})
	_, series := scraped(t)
	for _, name := range []string{
		`igor_queue_length{kind="tasks",pool="thumbs",scope="global"}`,
		`igor_queue_length{kind="tasks",pool="thumbs",scope="global (2)"}`,
		`igor_queue_length{kind="requests",pool="not ` + "\uFFFD" + ` UTF-8",scope="php_server 1"}`,
	} {
		if _, there := series[name]; !there {
			t.Errorf("%s is missing", name)
		}
	}
	if sum := series[`frankenphp_worker_queue_depth{worker="thumbs"}`]; sum != "2" {
		t.Errorf("the sum over both is %s, want 2", sum)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for range 2 {
		if err := registerCollector(registry); err != nil {
			t.Error(err)
		}
	}
}

// TestMetricNames: what Igor names itself follows Prometheus's rules; FrankenPHP's names are what they are.
func TestMetricNames(t *testing.T) {
	useFakeOperator(t, testReport())
	text, series := scraped(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "frankenphp_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if len(series) < 100 {
		t.Errorf("only %d series", len(series))
	}
}

var metricName = regexp.MustCompile(`\b(?:igor|frankenphp)_[a-z_]+\b`)

// declaredMetrics are all names of series.
func declaredMetrics(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, m := range allMetrics {
		_, rest, _ := strings.Cut(m.desc.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		names[name] = true
		if m.kind == prometheus.UntypedValue {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[name+suffix] = true
			}
		}
	}
	if len(names) < 40 {
		t.Fatalf("only %d metrics are declared", len(names))
	}
	return names
}

// TestDashboard: the Grafana dashboard asks only for what there is.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../docker/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	declared := declaredMetrics(t)
	used := metricName.FindAllString(string(text), -1)
	if len(used) < 20 {
		t.Errorf("only %d metrics are used", len(used))
	}
	for _, name := range used {
		if !declared[name] {
			t.Errorf("uses %s, which is not there", name)
		}
	}
}

// TestMetricsAreDocumented: docs/reference/metrics.md has each metric with its labels, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := declaredMetrics(t)
	for _, name := range metricName.FindAllString(string(text), -1) {
		if !declared[name] && name != "igor_health" {
			t.Errorf("tells of %s, which is not there", name)
		}
	}
	labels := regexp.MustCompile(`variableLabels: \{(.*?)\}`)
	for _, m := range allMetrics {
		description := m.desc.String()
		_, rest, _ := strings.Cut(description, `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| `%s` \\|.*$", name)).FindString(string(text))
		if row == "" {
			t.Errorf("has no row for %s", name)
			continue
		}
		cells := strings.Split(row, "|")
		want := labels.FindStringSubmatch(description)[1]
		want = strings.TrimPrefix(strings.ReplaceAll(want, poolLabelsText, ""), ",")
		if got := strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(cells[2]), "`", ""), ", ", ","); got != want {
			t.Errorf("%s: the labels are %q there, but %q in the code", name, got, want)
		}
	}
}

// poolLabelsText is how a description shows the labels that all metrics of pools have.
var poolLabelsText = strings.Join(poolLabels, ",")
