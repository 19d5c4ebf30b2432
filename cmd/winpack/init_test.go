package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures"
)

var oneMark = regexp.MustCompile(`(?m)^# ?`)

// What init writes for each fixture is a winpack.toml that changes nothing; without
// a # it is one too, and says what winpack does by itself.
func TestInitWritesSettingsThatChangeNothing(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			app := fixtures.Copy(t, name)
			before := pipeline.Run(t.Context(), pipeline.Job{App: app})
			stdout, stderr, code := winpack(t, filepath.Dir(app), "init", filepath.Base(app))
			if code != exitDone || !strings.Contains(stdout, filepath.Join(filepath.Base(app), "winpack.toml")) {
				t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
			}
			file := filepath.Join(app, configName)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, all := range []bool{false, true} {
				if all {
					text = []byte(oneMark.ReplaceAllString(strings.ReplaceAll(string(text), "\n##", "\n###"), ""))
					if err := os.WriteFile(file, text, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := parseConfig(file, string(text)); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				job := pipeline.Job{App: app, Mirrors: map[string]string{}}
				if _, err := configure(&job, time.Now(), os.Stderr); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				after := pipeline.Run(t.Context(), job)
				if all {
					sameAnswer(t, before, after)
				} else if diff := cmp.Diff(reportText(t, before), reportText(t, after)); diff != "" {
					t.Errorf("it changes the report (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// Each line that init writes says what is so anyway: taking its # away changes neither
// the report nor a byte of what is written.
func TestEachLineOfInitChangesNothing(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			app := fixtures.Copy(t, name)
			stdout, stderr, code := winpack(t, filepath.Dir(app), "init", filepath.Base(app), "--stdout")
			if code != exitDone {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			run := func(text string) (string, map[string][]byte) {
				if err := os.WriteFile(filepath.Join(app, configName), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				job := pipeline.Job{App: app, Mirrors: map[string]string{}, Write: &pipeline.Write{Render: true, Optional: true}}
				if _, err := configure(&job, time.Now(), os.Stderr); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				res := pipeline.Run(t.Context(), job)
				var files map[string][]byte
				if res.Written != nil {
					files = res.Written.Content
				}
				return reportText(t, res), files
			}
			report, files := run("")
			table := ""
			for line := range strings.Lines(stdout) {
				setting, ok := strings.CutPrefix(line, "# ")
				switch {
				case strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "##") && !ok:
					t.Errorf("%q is neither a setting nor a note", line)
				case !ok:
				case strings.HasPrefix(setting, "["):
					table = setting
				default:
					gotReport, gotFiles := run(table + setting)
					key, _, _ := strings.Cut(setting, " ")
					lines[strings.Trim(table, "[]\n")+"."+key]++
					if diff := cmp.Diff(report, gotReport); diff != "" {
						t.Errorf("%schanges the report (-before +after):\n%s", setting, diff)
					}
					if diff := cmp.Diff(files, gotFiles); diff != "" {
						t.Errorf("%schanges what is written (-before +after):\n%s", setting, diff)
					}
				}
			}
		})
	}
	for _, key := range []string{".os", ".fail-on", ".mirror", ".insecure-registry", ".entrypoint", ".cmd", ".workdir", ".user", ".ports", ".ignore", ".write", "build.builder"} {
		if lines[key] == 0 {
			t.Errorf("no fixture has a line of %s: %v", key, lines)
		}
	}
}

func reportText(t *testing.T, res pipeline.Result) string {
	t.Helper()
	data, err := report.JSON(res.Report)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sameAnswer compares what settings that repeat what was decided must not change.
func sameAnswer(t *testing.T, before, after pipeline.Result) {
	t.Helper()
	if (before.Plan == nil) != (after.Plan == nil) {
		// A blocker that is accepted blocks no more.
		if before.Plan == nil && len(before.Report.Blockers()) > 0 {
			return
		}
		t.Fatalf("the plan is there before: %v, after: %v, %v", before.Plan != nil, after.Plan != nil, after.Err)
	}
	if before.Plan == nil {
		return
	}
	x, y := before.Plan, after.Plan
	if diff := cmp.Diff(x.Bases, y.Bases); diff != "" {
		t.Errorf("base images (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(x.AppEntrypoint(), y.AppEntrypoint()); diff != "" {
		t.Errorf("entrypoint (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(x.Service, y.Service); diff != "" {
		t.Errorf("service (-before +after):\n%s", diff)
	}
	for what, pair := range map[string][2]any{
		"env": {x.Config.Env, y.Config.Env}, "ports": {x.Config.Ports, y.Config.Ports}, "workdir": {x.Config.WorkingDir, y.Config.WorkingDir},
		"administrator": {x.Administrator(), y.Administrator()}, "needs Windows": {x.Builder.Windows, y.Builder.Windows},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s (-before +after):\n%s", what, diff)
		}
	}
}

// The image is the same with the file that init writes, and without.
func TestInitChangesNoImage(t *testing.T) {
	s := newSite(t)
	for _, fixture := range []string{"demo", "native-web"} {
		app := fixtures.Copy(t, fixture)
		before := s.build(t, app, "--dry-run")
		if _, stderr, code := winpack(t, filepath.Dir(app), "init", fixture); code != exitDone {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		if after := s.build(t, app, "--dry-run"); after != before {
			t.Errorf("%s: the image is %s after init, and was %s", fixture, after, before)
		}
	}
}

// A secret of the app's configuration is no setting and no reason.
func TestInitWritesNoSecret(t *testing.T) {
	app := fixtures.Copy(t, "demo")
	const secret = "Xyzzy-plugh-4711"
	config := filepath.Join(app, "Web.config")
	data, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`(?i)(password|pwd)=[^;"]*`).ReplaceAll(data, []byte("${1}="+secret))
	if err := os.WriteFile(config, changed, 0o644); err != nil || !strings.Contains(string(changed), secret) {
		t.Fatalf("the demo has no password to look for: %v", err)
	}
	stdout, stderr, code := winpack(t, filepath.Dir(app), "init", "demo", "--stdout")
	if code != exitDone || strings.Contains(stdout+stderr, secret) || !strings.Contains(stdout, `# rule = "WP1301"`) {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}
