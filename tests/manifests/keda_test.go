package manifests

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

// kedaVersion is the release to whose schemas scaled-object.yaml is held.
const kedaVersion = "v2.21.0"

// kedaFile is a file of KEDA's module, fetched by itself: imported, it would bring along half of Kubernetes and every
// queue and database that KEDA can look at.
func kedaFile(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", "github.com/kedacore/keda/v2@"+kedaVersion)
	cmd.Dir = t.TempDir() // outside of any module, so that none is changed
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if problem := json.Unmarshal(out, &module); err != nil || problem != nil || module.Dir == "" {
		t.Fatalf("KEDA %s can't be fetched: %v %v %s", kedaVersion, err, problem, module.Error)
	}
	return text(t, filepath.Join(module.Dir, path))
}

// definition is what is needed of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Group string
		Names struct{ Kind string }
		// What an API server validates with.
		Versions []struct {
			Name   string
			Served bool
			Schema struct{ OpenAPIV3Schema *spec.Schema }
		}
	}
}

// closed makes unknown fields errors: an API server would drop them, or warn.
func closed(schema *spec.Schema) {
	if schema == nil {
		return
	}
	if len(schema.Properties) > 0 && schema.AdditionalProperties == nil {
		schema.AdditionalProperties = &spec.SchemaOrBool{Allows: false}
	}
	for name, property := range schema.Properties {
		closed(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil {
		closed(schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil {
		closed(schema.AdditionalProperties.Schema)
	}
}

// scaledObjectSchema is of the version that the manifest says.
func scaledObjectSchema(t *testing.T, apiVersion, kind string) *spec.Schema {
	t.Helper()
	var d definition
	if err := yaml.Unmarshal([]byte(kedaFile(t, "config/crd/bases/keda.sh_scaledobjects.yaml")), &d); err != nil {
		t.Fatal(err)
	}
	for _, version := range d.Spec.Versions {
		if version.Served && d.Spec.Group+"/"+version.Name == apiVersion && d.Spec.Names.Kind == kind {
			closed(version.Schema.OpenAPIV3Schema)
			return version.Schema.OpenAPIV3Schema
		}
	}
	t.Fatalf("KEDA %s serves no %s of %s", kedaVersion, kind, apiVersion)
	return nil
}

func TestScaledObjectFitsKEDAsDefinition(t *testing.T) {
	var manifest map[string]any
	if err := yaml.UnmarshalStrict([]byte(text(t, filepath.Join(folder, "scaled-object.yaml"))), &manifest); err != nil {
		t.Fatal(err)
	}
	schema := scaledObjectSchema(t, manifest["apiVersion"].(string), manifest["kind"].(string))
	if err := validate.AgainstSchema(schema, manifest, strfmt.Default); err != nil {
		t.Errorf("scaled-object.yaml: %v", err)
	}
	// The definition's only rule, which is written in CEL.
	k := decode[scaledObject](t, "scaled-object.yaml", "keda.sh/v1alpha1", "ScaledObject")
	if k.Spec.MinReplicaCount > k.Spec.MaxReplicaCount {
		t.Errorf("at least %d replicas, and at most %d", k.Spec.MinReplicaCount, k.Spec.MaxReplicaCount)
	}
	// What the schema is good for.
	for what, spoil := range map[string]func(spec map[string]any){
		"an unknown field":             func(spec map[string]any) { spec["minReplicas"] = 2.0 },
		"an unknown field of a list":   func(spec map[string]any) { spec["triggers"].([]any)[0].(map[string]any)["meta"] = "x" },
		"a number written as a string": func(spec map[string]any) { spec["maxReplicaCount"] = "10" },
		"no triggers":                  func(spec map[string]any) { delete(spec, "triggers") },
	} {
		var spoilt map[string]any
		if err := yaml.Unmarshal([]byte(text(t, filepath.Join(folder, "scaled-object.yaml"))), &spoilt); err != nil {
			t.Fatal(err)
		}
		spoil(spoilt["spec"].(map[string]any))
		if validate.AgainstSchema(schema, spoilt, strfmt.Default) == nil {
			t.Errorf("the definition lets pass %s", what)
		}
	}
}

// The definition says of a trigger's metadata that they are strings; which there are, KEDA has in a schema of its own.
func TestTriggersFitKEDAsScalers(t *testing.T) {
	type parameter struct {
		Name              string
		Type              string
		Optional          bool
		Default           any
		Readable          bool `json:"metadataVariableReadable"`
		AllowedValue      []string
		DeprecatedMessage string `json:"deprecated"`
	}
	var known struct {
		Scalers []struct {
			Type       string
			Parameters []parameter
		}
	}
	if err := json.Unmarshal([]byte(kedaFile(t, "schema/generated/scalers-schema.json")), &known); err != nil {
		t.Fatal(err)
	}
	k := decode[scaledObject](t, "scaled-object.yaml", "keda.sh/v1alpha1", "ScaledObject")
	for _, trigger := range k.Spec.Triggers {
		parameters := map[string]parameter{}
		for _, scaler := range known.Scalers {
			if scaler.Type == trigger.Type {
				for _, p := range scaler.Parameters {
					parameters[p.Name] = p
				}
			}
		}
		if len(parameters) == 0 {
			t.Errorf("KEDA %s has no scaler %q", kedaVersion, trigger.Type)
			continue
		}
		for name, value := range trigger.Metadata {
			p, there := parameters[name]
			if !there || !p.Readable || p.DeprecatedMessage != "" {
				t.Errorf("the scaler %s takes no %s from metadata (%s)", trigger.Type, name, p.DeprecatedMessage)
			}
			if len(p.AllowedValue) > 0 && !slices.Contains(p.AllowedValue, value) {
				t.Errorf("%s is %q, and may be %s", name, value, strings.Join(p.AllowedValue, ", "))
			}
		}
		for name, p := range parameters {
			if _, given := trigger.Metadata[name]; !given && !p.Optional && p.Default == nil && p.Readable {
				t.Errorf("the scaler %s wants %s", trigger.Type, name)
			}
		}
	}
}
