package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"winpack": main})
}

// TestScripts runs the scripts of testdata. Beside the commands of testscript
// they have exitN COMMAND, which wants that exit code, nothing on stdout for
// wrong usage, and one line on stderr that starts with "winpack: ", or one for
// each mistake.
func TestScripts(t *testing.T) {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for _, code := range []int{1, 2, 3, 4} {
		commands["exit"+strconv.Itoa(code)] = func(ts *testscript.TestScript, neg bool, args []string) { wantExit(ts, code, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: commands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

func wantExit(ts *testscript.TestScript, code int, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != code {
		ts.Fatalf("exit code %d, want %d", got, code)
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "winpack: ") {
		ts.Fatalf("the last line of stderr is no error of winpack: %q", last)
	}
	if code == exitUsage && (len(lines) != 1 && !allErrors(lines) || ts.ReadFile("stdout") != "") {
		ts.Fatalf("wrong usage is not one line on stderr, or one for each mistake")
	}
}

// allErrors says whether each line is an error or a note before it.
func allErrors(lines []string) bool {
	return !slices.ContainsFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "winpack: ") && !strings.Contains(l, ": note: ") })
}

// A folder that may not be read is exit 1, seen as a user without privileges.
func TestUnreadableFolderIsAnErrorOfItsOwn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: file modes do not keep a reader out on Windows")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	winpack := filepath.Join(dir, "winpack")
	if err := os.WriteFile(winpack, self, 0o755); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o300); err != nil {
		t.Fatal(err)
	}
	partly := filepath.Join(dir, "partly")
	if err := os.Mkdir(partly, 0o755); err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(dir, "site")
	if err := os.Mkdir(site, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("<!doctype html><title>x</title>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"index.html": 0o644, "app.exe": 0o200} {
		if err := os.WriteFile(filepath.Join(partly, name), []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	secret, configured := filepath.Join(dir, "secret"), filepath.Join(dir, "configured")
	for _, app := range []string{secret, configured} {
		if err := os.CopyFS(app, os.DirFS(site)); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{filepath.Join(secret, "secret.txt"): 0o200, filepath.Join(configured, "winpack.toml"): 0o200, filepath.Join(dir, "other.toml"): 0o200} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	open := t.TempDir() // a folder that anybody may write to
	for _, d := range []string{open, filepath.Dir(open)} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	base := "oci:" + standinLayout(t, "iis", "ltsc2022")
	for d := strings.TrimPrefix(base, "oci:"); d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const reader, place = "permission denied: run winpack as a user that may read it", "permission denied: name a place that you may write to"
	for _, test := range []struct {
		command, app string
		code         int
		want         string
	}{
		{"detect", locked, exitFailed, "winpack: reading APP"},
		{"detect", partly, exitDone, "app.exe"},
		{"report", locked, exitFailed, "winpack: reading RESULTS"},
		{"dockerfile", site, exitFailed, "site.winpack"}, // its folder may not be written
		{"detect", configured, exitFailed, `winpack.toml": ` + reader},
		{"detect --config other.toml", site, exitFailed, `other.toml": ` + reader},
		{"build --os ltsc2022 --base " + base + " -o type=oci,dest=" + open + "/x.tar", secret, exitFailed, `reading "secret.txt": ` + reader},
		{"build --os ltsc2022 --base " + base + " -o type=oci,dest=x.tar", site, exitFailed, `writing "x.tar": ` + place},
		{"build --os ltsc2022 --base " + base + " -o type=oci,tar=false,dest=x", site, exitFailed, `writing "x": ` + place},
		{"build --os ltsc2022 --base " + base + " --iidfile id -o type=oci,dest=" + open + "/x.tar", site, exitFailed, `writing "id": ` + place},
	} {
		cmd := exec.Command(winpack, append(strings.Fields(test.command), test.app)...)
		cmd.Dir = dir
		unprivileged(cmd)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
			t.Errorf("%s %s: exit %d, want %d, with %q in\n%s", test.command, filepath.Base(test.app), code, test.code, test.want, out)
		}
	}
	if _, err := os.Stat(site + ".winpack"); err == nil {
		t.Error("something was written where nothing may be")
	}
	if left, err := os.ReadDir(open); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// standinLayout is a stand-in base image of a release as an OCI layout.
func standinLayout(t *testing.T, id, release string) string {
	t.Helper()
	row, err := standin.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	index, err := standin.NewIndex(row, osVersions(t, release), standin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if _, err := layout.Write(dir, index); err != nil {
		t.Fatal(err)
	}
	return dir
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// winpack runs the command and returns what it printed and its exit code.
func winpack(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("winpack", args...)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A desktop program is 3 for every command and format, and nothing is written.
func TestBlockedAppIsExit3(t *testing.T) {
	app := fixtures.Copy(t, "netfx-winforms")
	dir := filepath.Dir(app)
	for _, test := range []struct {
		args    string
		code    int
		printed bool
	}{
		{"detect", exitBlocked, true},
		{"detect --format json", exitBlocked, true},
		{"detect --fail-on error", exitBlocked, true},
		{"dockerfile", exitBlocked, false},
		{"dockerfile --fail-on warning", exitBlocked, false},
		{"dockerfile --stdout", exitBlocked, false},
		{"build --dry-run", exitBlocked, false},
		{"build -o type=oci,dest=image.tar --iidfile id", exitBlocked, false},
		{"build --dry-run --os ltsc1999", exitUsage, false},
	} {
		stdout, stderr, code := winpack(t, dir, append(strings.Fields(test.args), filepath.Base(app))...)
		if code != test.code || (stdout != "") != test.printed || strings.Count(stderr, "winpack: ") != 1 {
			t.Errorf("%s: exit %d, want %d\n%s%s", test.args, code, test.code, stdout, stderr)
		}
		if test.printed && !strings.Contains(stdout, "WP1001") {
			t.Errorf("%s does not name the blocker:\n%s", test.args, stdout)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("something was written beside a blocked app: %v, %v", entries, err)
	}
	// A file that was edited by hand comes first where it would be written over.
	if err := os.Mkdir(app+".winpack", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app+".winpack", "Dockerfile"), []byte("FROM x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"dockerfile": exitFailed, "build --dry-run": exitBlocked, "dockerfile --force": exitBlocked, "dockerfile --check": exitBlocked, "dockerfile --stdout": exitBlocked, "detect": exitBlocked} {
		_, stderr, code := winpack(t, dir, append(strings.Fields(args), filepath.Base(app))...)
		if code != want || strings.Contains(stderr, "edited by hand") != (want == exitFailed) {
			t.Errorf("%s of a blocked app with an edited file: exit %d, want %d\n%s", args, code, want, stderr)
		}
	}
}

// --fail-on is 4: detect prints, dockerfile writes, build does neither.
func TestFailOnIsExit4(t *testing.T) {
	app := fixtures.Copy(t, "demo") // it has a password in its configuration, an error
	dir := filepath.Dir(app)
	for _, test := range []struct {
		args  string
		code  int
		wrote string
	}{
		{"detect demo --fail-on error", exitFindings, ""},
		{"detect demo --format json --fail-on warning", exitFindings, ""},
		{"detect demo --fail-on never", exitDone, ""},
		{"build demo --fail-on error -o type=oci,dest=image.tar", exitFindings, ""},
		{"dockerfile demo --fail-on error", exitFindings, "demo.winpack"},
	} {
		stdout, stderr, code := winpack(t, dir, strings.Fields(test.args)...)
		if code != test.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", test.args, code, test.code, stdout, stderr)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "demo" && e.Name() != test.wrote {
				t.Errorf("%s wrote %s", test.args, e.Name())
			}
		}
		if test.wrote != "" && len(entries) != 2 {
			t.Errorf("%s wrote nothing", test.args)
		}
	}
}

// Secrets of an app's configuration are in no output.
func TestNoOutputHoldsASecret(t *testing.T) {
	app := fixtures.Copy(t, "demo")
	config, err := os.ReadFile(filepath.Join(app, "Web.config"))
	if err != nil {
		t.Fatal(err)
	}
	const secret = "Xyzzy-plugh-4711"
	changed := regexp.MustCompile(`(?i)(password|pwd)=[^;"]*`).ReplaceAll(config, []byte("${1}="+secret))
	if !strings.Contains(string(changed), secret) {
		t.Fatal("the demo has no password to look for")
	}
	if err := os.WriteFile(filepath.Join(app, "Web.config"), changed, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"detect demo", "detect demo -v", "detect demo -q", "detect demo --format json", "dockerfile demo --stdout", "dockerfile demo --format json"} {
		stdout, stderr, code := winpack(t, filepath.Dir(app), strings.Fields(args)...)
		if code != exitDone || strings.Contains(stdout+stderr, secret) {
			t.Errorf("%s: exit %d, and the password is in its output: %v", args, code, strings.Contains(stdout+stderr, secret))
		}
	}
}

// An interrupt is 130, whatever else there is to say.
func TestInterruptIsExit130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	app, file := t.TempDir(), filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(file, []byte("FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nCOPY . C:/app/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"detect", app}, {"dockerfile", app, "-o", filepath.Join(app, "out")}, {"build", app, "--dry-run"}, {"build", app, "-f", file, "--dry-run"}, {"init", app}} {
		if code := run(ctx, args, env{null, null, func(string) string { return "" }}); code != exitInterrupted {
			t.Errorf("%s after an interrupt ends with %d", args[0], code)
		}
	}
	if entries, _ := os.ReadDir(app); len(entries) != 0 {
		t.Errorf("something was written after an interrupt: %v", entries)
	}
}

// A full disk under stdout is an error, not silence.
func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: this system has no /dev/full")
	}
	defer full.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	app := fixtures.App(t, "static")
	for _, args := range [][]string{{"version"}, {"--help"}, {"detect", app}, {"detect", app, "--format", "json"}, {"dockerfile", app, "--stdout"}} {
		if code := run(t.Context(), args, env{full, null, func(string) string { return "" }}); code != exitFailed {
			t.Errorf("winpack %s on a full disk ends with %d", strings.Join(args, " "), code)
		}
	}
}

func TestNoColorWithoutATerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if colorful(null, func(string) string { return "" }) {
		t.Error("a file is colored")
	}
}

// What only a Windows builder can do ends a build with 1, naming who could; the
// Dockerfile is written all the same.
func TestPlanThatNeedsWindowsIsWrittenAndNotBuilt(t *testing.T) {
	app := fixtures.Copy(t, "aspnet-35")
	dir := filepath.Dir(app)
	_, stderr, code := winpack(t, dir, "build", "aspnet-35", "--dry-run")
	if code != exitFailed || !strings.Contains(stderr, "Docker engine on Windows") || !strings.Contains(stderr, "BuildKit") {
		t.Errorf("build: exit %d\n%s", code, stderr)
	}
	stdout, stderr, code := winpack(t, dir, "dockerfile", "aspnet-35")
	if code != exitDone || !strings.Contains(stdout, "takes Windows") || !strings.Contains(stdout, "by hand with a BuildKit worker on Windows:\n  docker buildx build ") {
		t.Errorf("dockerfile: exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code = winpack(t, dir, "dockerfile", "aspnet-35", "-o", "aspnet-35", "--os", "ltsc2022")
	if code != exitDone || !strings.Contains(stdout, "by hand with a Docker engine on Windows:\n  docker build ") {
		t.Errorf("dockerfile -o APP: exit %d\n%s%s", code, stdout, stderr)
	}
}

// A program that is no administrator can't grant at start: the Dockerfile takes a
// RUN for it, and the image that winpack builds does not.
func TestDockerfileThatGrantsByRUNSaysThatItTakesWindows(t *testing.T) {
	res := pipeline.Result{
		Report:  &report.Report{},
		Plan:    &dockerfile.Plan{Steps: []dockerfile.Step{{Kind: dockerfile.StepGrant}}, Config: dockerfile.Config{User: "ContainerUser"}},
		Written: &pipeline.Written{},
	}
	if text := writtenText(res.Written, false, res); !strings.Contains(text, "by RUN, which takes Windows") {
		t.Errorf("nothing is said of it:\n%s", text)
	}
	res.Plan.Config.User = "ContainerAdministrator"
	if text := writtenText(res.Written, false, res); strings.Contains(text, "takes Windows") {
		t.Errorf("it grants at start:\n%s", text)
	}
}
