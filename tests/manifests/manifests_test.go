// Package manifests checks docker/kubernetes: every document is decoded strictly into the type that Kubernetes itself
// decodes it into, so that a field with a wrong name or in a wrong place is found; and what must fit together does.
package manifests

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const folder = "../../docker/kubernetes"

// scaledObject has the fields of KEDA's type that are used here; keda_test.go holds them to KEDA's own schema.
type scaledObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		ScaleTargetRef struct {
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		MinReplicaCount int32 `json:"minReplicaCount"`
		MaxReplicaCount int32 `json:"maxReplicaCount"`
		CooldownPeriod  int32 `json:"cooldownPeriod"`
		Triggers        []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// decode reads a manifest as a T; unknown and doubled fields are errors.
func decode[T any](t *testing.T, file, apiVersion, kind string) T {
	t.Helper()
	var value T
	data := []byte(text(t, filepath.Join(folder, file)))
	if err := yaml.UnmarshalStrict(data, &value); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(data, &head); err != nil || head.APIVersion != apiVersion || head.Kind != kind {
		t.Fatalf("%s is %s of %s, want %s of %s (%v)", file, head.Kind, head.APIVersion, kind, apiVersion, err)
	}
	return value
}

func deployment(t *testing.T) (appsv1.Deployment, corev1.Container) {
	t.Helper()
	d := decode[appsv1.Deployment](t, "deployment.yaml", "apps/v1", "Deployment")
	if len(d.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%d containers", len(d.Spec.Template.Spec.Containers))
	}
	return d, d.Spec.Template.Spec.Containers[0]
}

func caddyfile(t *testing.T) string {
	t.Helper()
	return decode[corev1.ConfigMap](t, "configmap.yaml", "v1", "ConfigMap").Data["Caddyfile"]
}

// duration of a directive of the Caddyfile.
func duration(t *testing.T, directive string) time.Duration {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*` + directive + `\s+(\S+)$`).FindStringSubmatch(caddyfile(t))
	if found == nil {
		t.Fatalf("the Caddyfile has no %s", directive)
	}
	d, err := time.ParseDuration(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAllAreTested: a manifest that nothing here decodes would be checked by nobody.
func TestAllAreTested(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	source := text(t, "manifests_test.go")
	readme := text(t, filepath.Join(folder, "README.md"))
	for _, file := range files {
		name := filepath.Base(file)
		if !strings.Contains(source, `"`+name+`"`) {
			t.Errorf("%s is not decoded by any test", name)
		}
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("%s is not in the README", name)
		}
	}
	if len(files) < 6 {
		t.Errorf("only %d manifests", len(files))
	}
}

func TestSelectorsFindThePods(t *testing.T) {
	d, _ := deployment(t)
	labels := d.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{
		"deployment":        d.Spec.Selector.MatchLabels,
		"service":           decode[corev1.Service](t, "service.yaml", "v1", "Service").Spec.Selector,
		"disruption budget": decode[policyv1.PodDisruptionBudget](t, "disruption-budget.yaml", "policy/v1", "PodDisruptionBudget").Spec.Selector.MatchLabels,
	} {
		if len(selector) == 0 || !reflect.DeepEqual(selector, labels) {
			t.Errorf("the %s selects %v, and the pods are %v", what, selector, labels)
		}
	}
}

func TestPortsAndProbes(t *testing.T) {
	d, c := deployment(t)
	config := caddyfile(t)
	ports := map[string]int32{}
	for _, port := range c.Ports {
		ports[port.Name] = port.ContainerPort
		if !strings.Contains(config, "http://:"+jsonOf(t, port.ContainerPort)+" {") {
			t.Errorf("nothing in the Caddyfile listens on port %d", port.ContainerPort)
		}
	}
	for name, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil {
			t.Errorf("there is no %s probe over HTTP", name)
			continue
		}
		if _, there := ports[probe.HTTPGet.Port.StrVal]; !there {
			t.Errorf("the %s probe asks port %s", name, probe.HTTPGet.Port.String())
		}
		check := map[string]string{"startup": "ready", "readiness": "ready", "liveness": "live"}[name]
		if !strings.Contains(config, "igor_health "+probe.HTTPGet.Path+" "+check+"\n") {
			t.Errorf("the %s probe asks for %s, which does not say %q", name, probe.HTTPGet.Path, check)
		}
	}
	// The answer may take three seconds, and a boot as long as boot_timeout says, a minute.
	if c.ReadinessProbe.TimeoutSeconds <= 3 || c.LivenessProbe.TimeoutSeconds <= 3 {
		t.Errorf("a probe gives up after %d and %d seconds", c.ReadinessProbe.TimeoutSeconds, c.LivenessProbe.TimeoutSeconds)
	}
	if patience := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold; patience <= 60 {
		t.Errorf("a start may take %d seconds only", patience)
	}
	for _, port := range decode[corev1.Service](t, "service.yaml", "v1", "Service").Spec.Ports {
		if port.TargetPort.StrVal != "http" {
			t.Errorf("the service leads to port %s", port.TargetPort.String())
		}
	}
	if scraped := d.Spec.Template.Annotations["prometheus.io/port"]; scraped != jsonOf(t, ports["operation"]) {
		t.Errorf("Prometheus scrapes port %s", scraped)
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTheEndFitsIn: the kubelet must not kill what may still go on.
func TestTheEndFitsIn(t *testing.T) {
	d, c := deployment(t)
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil {
		t.Fatal("there is no preStop that sleeps")
	}
	grace := duration(t, "grace_period")
	if stop := duration(t, "stop_grace"); stop >= grace {
		t.Errorf("workers have %s to stop, of the %s that there are in all", stop, grace)
	}
	needed := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds)*time.Second + grace
	if given := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second; given < needed+5*time.Second {
		t.Errorf("a pod needs %s to end, and five seconds to spare, and has %s", needed, given)
	}
}

func TestMountsAreThere(t *testing.T) {
	d, c := deployment(t)
	volumes := map[string]corev1.Volume{}
	for _, v := range d.Spec.Template.Spec.Volumes {
		volumes[v.Name] = v
	}
	mounted := map[string]bool{}
	for _, m := range c.VolumeMounts {
		if _, there := volumes[m.Name]; !there {
			t.Errorf("%s is mounted and not there", m.Name)
		}
		mounted[m.MountPath] = true
	}
	name := decode[corev1.ConfigMap](t, "configmap.yaml", "v1", "ConfigMap").Name
	if got := volumes["config"].ConfigMap; got == nil || got.Name != name {
		t.Errorf("the volume is of %+v, and the ConfigMap is %s", got, name)
	}
	// What the server writes to must be writable, since the rest is not.
	if *c.SecurityContext.ReadOnlyRootFilesystem && !mounted["/tmp"] {
		t.Error("there is no place to write to")
	}
}

var metricName = regexp.MustCompile(`\bigor_[a-z_]+\b`)

func TestScalersLookAtWhatThereIs(t *testing.T) {
	d, _ := deployment(t)
	reference := text(t, "../../docs/reference/metrics.md")
	mustExist := func(what, query string) {
		t.Helper()
		names := metricName.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for no metric: %s", what, query)
		}
		for _, name := range names {
			if !strings.Contains(reference, "| `"+name+"` |") {
				t.Errorf("%s asks for %s, which is not there", what, name)
			}
		}
	}
	pool := regexp.MustCompile(`pool: *"?(\w+)|pool="(\w+)"`)
	mustBeOurs := func(what, query string) {
		t.Helper()
		for _, found := range pool.FindAllStringSubmatch(query, -1) {
			if name := found[1] + found[2]; !strings.Contains(caddyfile(t), "name "+name+"\n") {
				t.Errorf("%s asks for the pool %s, which the Caddyfile does not have", what, name)
			}
		}
	}

	h := decode[autoscalingv2.HorizontalPodAutoscaler](t, "autoscaler.yaml", "autoscaling/v2", "HorizontalPodAutoscaler")
	if ref := h.Spec.ScaleTargetRef; ref.Kind != "Deployment" || ref.Name != d.Name || ref.APIVersion != "apps/v1" {
		t.Errorf("the autoscaler scales %+v", ref)
	}
	for _, m := range h.Spec.Metrics {
		if m.Pods != nil {
			mustExist("the autoscaler", m.Pods.Metric.Name)
			mustBeOurs("the autoscaler", "pool: "+m.Pods.Metric.Selector.MatchLabels["pool"])
		}
	}
	if d.Spec.Replicas != nil {
		t.Error("the deployment says a number of replicas, and so does the autoscaler")
	}
	budget := decode[policyv1.PodDisruptionBudget](t, "disruption-budget.yaml", "policy/v1", "PodDisruptionBudget")
	if least := budget.Spec.MinAvailable.IntValue(); least >= int(*h.Spec.MinReplicas) {
		t.Errorf("%d of at least %d pods must stay: no node could ever be emptied", least, *h.Spec.MinReplicas)
	}

	k := decode[scaledObject](t, "scaled-object.yaml", "keda.sh/v1alpha1", "ScaledObject")
	if k.Spec.ScaleTargetRef.Name != d.Name || len(k.Spec.Triggers) == 0 {
		t.Errorf("KEDA scales %+v", k.Spec)
	}
	for _, trigger := range k.Spec.Triggers {
		mustExist("KEDA", trigger.Metadata["query"])
		mustBeOurs("KEDA", trigger.Metadata["query"])
	}
}

// TestCaddyfileIsAccepted by the server.
func TestCaddyfileIsAccepted(t *testing.T) {
	binary := os.Getenv("IGOR_BIN")
	if binary == "" {
		binary = "../../build/bin/igor"
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v; build the server with ./dev build, or set IGOR_BIN", err)
	}
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, binary, "adapt", "--adapter", "caddyfile", "--config", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
