package dockerfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

var update = flag.Bool("update", false, "rewrite the goldens in fixtures")

// TestFixturesGiveTheirPlanAndDockerfile starts from each case's detect.json. A
// case that gives no plan has a plan.json with the error, and no Dockerfile.
func TestFixturesGiveTheirPlanAndDockerfile(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	root, err := fixtures.Root()
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(root, name, "detect.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		done++
		t.Run(name, func(t *testing.T) {
			var rep detect.Report
			if err := json.Unmarshal(data, &rep); err != nil {
				t.Fatal(err)
			}
			p, err := New(rep, catalog(t), Options{})
			golden := struct {
				Error string `json:"error,omitempty"`
				Plan  Plan   `json:"plan"`
			}{Plan: p}
			var files map[string][]byte
			if err != nil {
				golden.Error = err.Error()
			} else {
				p.Name = name // the folder's name decides where files lie
				files = render(t, p).Content
			}
			var out bytes.Buffer
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(golden); err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join(root, name, "plan.json"), out.Bytes())
			for _, file := range []string{"Dockerfile", "Dockerfile.ltsc2022", "Dockerfile.ltsc2025", scriptFile} {
				compare(t, filepath.Join(root, name, file), files[file])
			}
			if text := files["Dockerfile"]; text != nil {
				if got := lint(t, text); len(got) > 0 {
					t.Errorf("BuildKit warns: %s", got)
				}
			}
		})
	}
	if done == 0 {
		t.Fatal("no case has a detect.json")
	}
}

// compare compares with a golden; want nil means that there is none.
func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		var err error
		if got == nil {
			if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else {
			err = os.WriteFile(path, got, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-golden +now; go test ./pkg/dockerfile -update rewrites it):\n%s", path, diff)
	}
}
