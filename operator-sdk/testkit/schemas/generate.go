// Writes the schemas of built-in kinds: see README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscaling1 "k8s.io/api/autoscaling/v1"
	autoscaling2 "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Each published document, and what adds the Go types behind it.
var groups = []struct {
	document string
	types    func(*runtime.Scheme) error
}{
	{"api__v1", core.AddToScheme},
	{"apis__admissionregistration.k8s.io__v1", admissionregistration.AddToScheme},
	{"apis__apiextensions.k8s.io__v1", apiextensions.AddToScheme},
	{"apis__apiregistration.k8s.io__v1", apiregistration.AddToScheme},
	{"apis__apps__v1", apps.AddToScheme},
	{"apis__authentication.k8s.io__v1", authentication.AddToScheme},
	{"apis__authorization.k8s.io__v1", authorization.AddToScheme},
	{"apis__autoscaling__v1", autoscaling1.AddToScheme},
	{"apis__autoscaling__v2", autoscaling2.AddToScheme},
	{"apis__batch__v1", batch.AddToScheme},
	{"apis__coordination.k8s.io__v1", coordination.AddToScheme},
	{"apis__discovery.k8s.io__v1", discovery.AddToScheme},
	{"apis__events.k8s.io__v1", events.AddToScheme},
	{"apis__networking.k8s.io__v1", networking.AddToScheme},
	{"apis__policy__v1", policy.AddToScheme},
	{"apis__rbac.authorization.k8s.io__v1", rbac.AddToScheme},
	{"apis__scheduling.k8s.io__v1", scheduling.AddToScheme},
	{"apis__storage.k8s.io__v1", storage.AddToScheme},
}

func main() {
	folder := os.Args[1]
	schemas := map[string]map[string]any{}
	scheme := runtime.NewScheme()
	for _, group := range groups {
		if err := group.types(scheme); err != nil {
			panic(err)
		}
		bytes, err := os.ReadFile(filepath.Join(folder, group.document+"_openapi.json"))
		if err != nil {
			panic(err)
		}
		var document struct {
			Components struct{ Schemas map[string]map[string]any }
		}
		if err := json.Unmarshal(bytes, &document); err != nil {
			panic(err)
		}
		for name, schema := range document.Components.Schemas {
			schemas[name] = withoutDescriptions(schema).(map[string]any)
		}
	}
	seen := map[reflect.Type]bool{}
	for _, goType := range scheme.AllKnownTypes() {
		mark(goType, schemas, seen)
	}
	names := []string{}
	for name := range schemas {
		names = append(names, name)
	}
	sort.Strings(names)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, name := range names {
		line, err := json.Marshal(schemas[name])
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(out, "%s %s\n", name, line)
	}
}

func withoutDescriptions(value any) any {
	switch value := value.(type) {
	case map[string]any:
		delete(value, "x-kubernetes-group-version-kind")
		if _, isText := value["description"].(string); isText {
			delete(value, "description")
		}
		for key, inner := range value {
			value[key] = withoutDescriptions(inner)
		}
	case []any:
		for index, inner := range value {
			value[index] = withoutDescriptions(inner)
		}
	}
	return value
}

// Notes at each property what Go writes when it is zero: nothing ("x-zero": "dropped"), or a value of its own
// ("x-zero": "written"); a pointer with omitempty is left as it is given and has no note.
func mark(goType reflect.Type, schemas map[string]map[string]any, seen map[reflect.Type]bool) {
	for goType.Kind() == reflect.Pointer || goType.Kind() == reflect.Slice || goType.Kind() == reflect.Map {
		goType = goType.Elem()
	}
	if goType.Kind() != reflect.Struct || seen[goType] {
		return
	}
	seen[goType] = true
	named, _ := reflect.Zero(goType).Interface().(interface{ OpenAPIModelName() string })
	var properties map[string]any
	if named != nil {
		if schema, ok := schemas[named.OpenAPIModelName()]; ok {
			properties, _ = schema["properties"].(map[string]any)
		}
	}
	if properties != nil {
		fields(goType, properties, schemas, seen)
	}
}

func fields(goType reflect.Type, properties map[string]any, schemas map[string]map[string]any, seen map[reflect.Type]bool) {
	for index := range goType.NumField() {
		field := goType.Field(index)
		tag := strings.Split(field.Tag.Get("json"), ",")
		if tag[0] == "-" {
			continue
		}
		if field.Anonymous && tag[0] == "" {
			fields(field.Type, properties, schemas, seen)
			continue
		}
		mark(field.Type, schemas, seen)
		property, ok := properties[tag[0]].(map[string]any)
		if !ok {
			continue
		}
		omitempty, omitzero := false, false
		for _, option := range tag[1:] {
			omitempty = omitempty || option == "omitempty"
			omitzero = omitzero || option == "omitzero"
		}
		kind := field.Type.Kind()
		switch {
		case kind == reflect.Pointer && (omitempty || omitzero), kind == reflect.Interface:
		case omitzero, omitempty && kind != reflect.Struct:
			property["x-zero"] = "dropped"
		default:
			property["x-zero"] = zero(field.Type)
		}
	}
}

// What Go writes for a zero value.
func zero(goType reflect.Type) any {
	bytes, err := json.Marshal(reflect.Zero(goType).Interface())
	if err != nil {
		panic(err)
	}
	if goType.Kind() == reflect.Struct && bytes[0] == '{' {
		return map[string]any{"written": map[string]any{}}
	}
	return map[string]any{"written": json.RawMessage(bytes)}
}
