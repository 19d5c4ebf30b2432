package kube

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/dockerfile"
)

var update = flag.Bool("update", false, "rewrite the goldens in fixtures and testdata")

// fixtureApps are the cases that have a plan, with their report and plan.
func fixtureApps(t *testing.T) map[string]app {
	t.Helper()
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	root, err := fixtures.Root()
	if err != nil {
		t.Fatal(err)
	}
	apps := map[string]app{}
	for _, name := range names {
		var a app
		var golden struct {
			Error string          `json:"error"`
			Plan  dockerfile.Plan `json:"plan"`
		}
		if !readJSON(t, filepath.Join(root, name, "plan.json"), &golden) || golden.Error != "" {
			continue
		}
		if !readJSON(t, filepath.Join(root, name, "report.json"), &a.report) {
			t.Fatalf("%s has a plan and no report", name)
		}
		a.plan, a.golden = golden.Plan, filepath.Join(root, name, "deployment.yaml")
		a.options = Options{Image: "registry.example.com/team/" + Name(name) + ":1"}
		apps[name] = a
	}
	if len(apps) < 20 {
		t.Fatalf("only %d cases have a plan", len(apps))
	}
	return apps
}

// app is what the manifests of a case are made of.
type app struct {
	report  report.Report
	plan    dockerfile.Plan
	options Options
	golden  string // path
}

func readJSON(t *testing.T, path string, into any) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return true
}

// TestFixturesGiveTheirManifests starts from each case's report.json and plan.json.
// A case that gives no plan has no manifests.
func TestFixturesGiveTheirManifests(t *testing.T) {
	for name, a := range fixtureApps(t) {
		t.Run(name, func(t *testing.T) { compare(t, a.golden, yamlOf(t, a)) })
	}
}

func yamlOf(t *testing.T, a app) []byte {
	t.Helper()
	m, err := New(a.report, a.plan, a.options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := YAML(m.Objects)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-golden +now; go test ./cmd/winpack/internal/kube -update rewrites it):\n%s", path, diff)
	}
}
