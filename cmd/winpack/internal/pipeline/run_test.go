package pipeline

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/detect"
)

var update = flag.Bool("update", false, "write the goldens anew")

// The report of every fixture is the one beside it, and is what the schema says.
func TestReportOfEveryFixture(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	root, err := fixtures.Root()
	if err != nil {
		t.Fatal(err)
	}
	sch := schema.Compile(t, report.Schema)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			res := Run(t.Context(), Job{App: fixtures.App(t, name)})
			if res.Report == nil {
				t.Fatal(res.Err)
			}
			got, err := report.JSON(res.Report)
			if err != nil {
				t.Fatal(err)
			}
			if err := sch.Validate(t, got); err != nil {
				t.Error(err)
			}
			golden := filepath.Join(root, name, "report.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the report changed (-golden +now):\n%s", diff)
			}
		})
	}
}

// A name that Windows forbids is told with all else that was found: only a build fails
// for it.
func TestProgramWithANameThatWindowsForbidsIsReported(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no such names")
	}
	exe, err := os.ReadFile(filepath.Join(fixtures.App(t, "native-console"), "sum.exe"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"con.exe", "a:b.exe"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), exe, 0o644); err != nil {
			t.Fatal(err)
		}
		res := Run(t.Context(), Job{App: dir})
		if res.Err != nil || res.Report == nil || res.Report.App.Kind != detect.KindNativeConsole || res.Report.Base.Reference != "" {
			t.Errorf("%s: %v, %+v", name, res.Err, res.Report)
		}
		res = Run(t.Context(), Job{App: dir, NeedPlan: true})
		if res.Err == nil || isUsage(res.Err) || !strings.Contains(res.Err.Error(), "rename it") {
			t.Errorf("%s: a plan gives %v", name, res.Err)
		}
	}
}

func TestAppNameIsMadeSafe(t *testing.T) {
	for path, want := range map[string]string{
		"/srv/shop": "shop", "/srv/My Shop (2)": "My-Shop--2", "/": "app", "/srv/...": "app",
		"/srv/-rf": "rf", "/srv/a\x1b[2J": "a--2J", "/srv/caf\u00e9": "caf\u00e9", "/srv/a\xffb": "a-b", "/srv/Shop.Web": "Shop.Web",
		"/srv/$(reboot)": "reboot", "/srv/a\nRUN x": "a-RUN-x",
	} {
		if got := appName(path); got != want {
			t.Errorf("the app in %q is named %q, want %q", path, got, want)
		}
	}
}
