package dockerfile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/winpack/winpack/fixtures/wine"
	"github.com/winpack/winpack/pkg/detect"
)

// bench is a folder of stand-ins for the programs that start scripts call: under
// Wine there is no IIS, and its icacls, sc and reg are not those of Windows. Every
// stand-in is testdata/stub.c, so what is tested is what cmd.exe makes of the script.
type bench struct {
	dir string
	env []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	wine.Prefix(t) // skips where Wine or mingw is missing
	dir := t.TempDir()
	out, err := exec.Command("x86_64-w64-mingw32-gcc", "-municode", "-o", filepath.Join(dir, "stub.exe"), "testdata/stub.c").CombinedOutput()
	if err != nil {
		t.Fatalf("compiling the stub: %v\n%s", err, out)
	}
	stub, err := os.ReadFile(filepath.Join(dir, "stub.exe"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"icacls", "appcmd", "sc", "powershell", "ping", "app"} {
		if err := os.WriteFile(filepath.Join(dir, name+".exe"), stub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &bench{dir: dir}
}

func (b *bench) path(name string) string { return wine.Path(filepath.Join(b.dir, name)) }

// run runs the plan's start script and returns its exit code, what it said on
// stderr, and each call of a stand-in: name and arguments.
func (b *bench) run(t *testing.T, p Plan, args ...string) (code int, stderr string, calls [][]string) {
	t.Helper()
	_, script, ok := p.StartScript(true)
	if !ok {
		t.Fatal("the plan has no start script")
	}
	system := regexp.MustCompile(`%SystemRoot%\\System32\\(?:inetsrv\\|WindowsPowerShell\\v1\.0\\)?(icacls|appcmd|sc|powershell|ping)\.exe`)
	script = system.ReplaceAllFunc(script, func(m []byte) []byte {
		return []byte(b.path(string(system.FindSubmatch(m)[1]) + ".exe"))
	})
	if err := os.WriteFile(filepath.Join(b.dir, "start.cmd"), script, 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(b.dir, "log")
	os.Remove(log)
	cmd := wine.Command(t, "cmd.exe", append([]string{"/d", "/c", b.path("start.cmd")}, args...)...)
	cmd.Env = slices.Concat(cmd.Env, []string{"STUB_LOG=" + wine.Path(log)}, b.env)
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	if ee, isExit := errors.AsType[*exec.ExitError](err); isExit {
		code = ee.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return code, out.String(), readCalls(t, log)
}

// readCalls reads what stand-ins noted: name and arguments of each call.
func readCalls(t *testing.T, log string) (calls [][]string) {
	t.Helper()
	data, _ := os.ReadFile(log)
	for line := range strings.Lines(string(data)) {
		var call []string
		for _, field := range strings.Split(strings.TrimSuffix(line, "\n"), " ") {
			raw, err := hex.DecodeString(field)
			if err != nil {
				t.Fatal(err)
			}
			units := make([]uint16, len(raw)/2)
			for i := range units {
				units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
			}
			call = append(call, string(utf16.Decode(units)))
		}
		calls = append(calls, call)
	}
	return calls
}

func (b *bench) grantPlan(entrypoint ...string) Plan {
	return Plan{
		Bases: []Base{{Administrator: true, Entrypoint: append([]string{b.path("app.exe")}, entrypoint...)}},
		Steps: []Step{
			{Kind: StepGrant, To: wine.Path(b.dir) + `\App Data & 100%`, Trustee: iisUsers},
			{Kind: StepStart, Why: "because", Commands: []string{appcmd + ` unlock config -section:system.webServer/asp`}},
		},
	}
}

// What Quote makes for Windows is one argument again behind cmd.exe.
func TestQuotedForWindowsIsOneArgument(t *testing.T) {
	b := newBench(t)
	var want []string
	line := "@" + Quote(b.path("app.exe"), true)
	for _, arg := range []string{`a\b`, `my site`, `C:\my site\`, `C:\my site\\`, `a&b|c>d`, `(x)^y!z`, `it's`, `x,y;z=1`, ``} {
		want, line = append(want, arg), line+" "+Quote(arg, true)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "line.cmd"), []byte(line+"\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(b.dir, "log")
	cmd := wine.Command(t, "cmd.exe", "/d", "/c", b.path("line.cmd"))
	cmd.Env = append(cmd.Env, "STUB_LOG="+wine.Path(log))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls := readCalls(t, log)
	if len(calls) != 1 || !slices.Equal(calls[0][1:], want) {
		t.Errorf("%s\ngives %q, want %q", line, calls, want)
	}
}

// Percent signs are tried in the entrypoint only: of arguments that come later cmd /c
// itself expands %NAME%, and Wine drops a name that has no value.
func TestGrantScriptGrantsThenRunsTheEntrypointWithItsArguments(t *testing.T) {
	b := newBench(t)
	b.env = []string{"STUB_app=37"}
	fixed := []string{"w3svc", `C:\Program Files\x\`, `say "hi & bye"`, "100% ^up^ !now!", "<a|b>", ""}
	code, stderr, calls := b.run(t, b.grantPlan(fixed...), "plain", "two words", `a "quoted" one`)
	if code != 37 || stderr != "" {
		t.Errorf("exit code %d, stderr %q; the app's own is 37", code, stderr)
	}
	want := [][]string{
		{"icacls", wine.Path(b.dir) + `\App Data & 100%`, "/grant", "*S-1-5-32-568:(OI)(CI)M", "/q"},
		{"appcmd", "unlock", "config", "-section:system.webServer/asp"},
		slices.Concat([]string{"app"}, fixed, []string{"plain", "two words", `a "quoted" one`}),
	}
	if len(calls) != len(want) {
		t.Fatalf("calls %q, want %q", calls, want)
	}
	for i := range want {
		if !slices.Equal(calls[i], want[i]) {
			t.Errorf("call %d is %q, want %q", i, calls[i], want[i])
		}
	}
	if info, err := os.Stat(filepath.Join(b.dir, "App Data & 100%")); err != nil || !info.IsDir() {
		t.Errorf("the folder that was missing is not made: %v", err)
	}
}

func TestGrantScriptThatMayNotGrantSaysSoAndEndsWith1(t *testing.T) {
	b := newBench(t)
	for _, test := range []struct {
		env, step, tool string
		admin           bool // the hint at the administrator
		calls           int
	}{
		{"STUB_icacls=5", "cannot grant write access to " + wine.Path(b.dir) + `\App Data & 100%: icacls ended with code 5`, "icacls says that 5 is 100% wrong & why", true, 1},
		{"STUB_icacls=1332", "icacls ended with code 1332", "icacls says that 1332", true, 1},
		{"STUB_appcmd=5", "cannot configure IIS: appcmd unlock config -section:system.webServer/asp ended with code 5", "appcmd says that 5", true, 2},
		{"STUB_appcmd=50", "cannot configure IIS", "appcmd says that 50 is 100% wrong & why", false, 2},
	} {
		b.env = []string{test.env}
		code, stderr, calls := b.run(t, b.grantPlan())
		if code != 1 || len(calls) != test.calls {
			t.Errorf("%s: exit code %d, calls %q", test.env, code, calls)
		}
		if !strings.Contains(stderr, test.step) || !strings.Contains(stderr, test.tool) || strings.Contains(stderr, "has done it") {
			t.Errorf("%s: stderr does not give the step and what the tool says:\n%s", test.env, stderr)
		}
		if strings.Contains(stderr, "ContainerAdministrator") != test.admin {
			t.Errorf("%s: the hint at the administrator: want %v in\n%s", test.env, test.admin, stderr)
		}
	}
}

func servicePlan(t *testing.T, path string, args ...string) Plan {
	return plan(t, with(netfxService("Order Service (v2)"), func(r *detect.Report) {
		r.App.Program.Path = path
		r.App.Program.Arguments = args
	}), Options{})
}

func TestServiceScriptRegistersWaitsAndEndsWithTheExitCode(t *testing.T) {
	b := newBench(t)
	b.env = []string{"STUB_WIN32=1066", "STUB_OWN=42"}
	code, stderr, calls := b.run(t, servicePlan(t, "my app/a&b 100%.exe", "--flag", `x "y" & z|^ !now!`))
	if code != 42 || stderr != "" {
		t.Errorf("exit code %d, stderr %q; the service's own is 42", code, stderr)
	}
	if len(calls) < 4 || calls[2][0] != "sc" || calls[2][1] != "start" || calls[2][2] != "Order Service (v2)" || calls[3][0] != "ping" {
		t.Fatalf("calls %q, want sc create, powershell, sc start, ping", calls)
	}
	if want := []string{"sc", "create", "Order Service (v2)", "binPath=", `"C:\app\my app\a&b 100%.exe" "--flag" "x \"y\" & z|^ !now!"`, "start=", "demand"}; !slices.Equal(calls[0], want) {
		t.Errorf("sc is called with %q, want %q", calls[0], want)
	}
	if want := []string{"powershell", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", strings.ReplaceAll(environment, "@NAME@", "Order Service (v2)")}; !slices.Equal(calls[1], want) {
		t.Errorf("the environment is handed over by %q, want %q", calls[1], want)
	}
	// A container that is started again has the service: it is not made twice, and
	// has the environment of this start.
	b.env = []string{"STUB_WIN32=7"}
	code, _, calls = b.run(t, servicePlan(t, "a.exe"))
	if code != 7 || len(calls) < 2 || calls[0][0] != "powershell" || calls[1][1] != "start" {
		t.Errorf("second start: exit code %d, calls %q", code, calls)
	}
}

func TestServiceScriptFailsAloud(t *testing.T) {
	for _, test := range []struct {
		env, step, tool string
		admin           bool
	}{
		{"STUB_sc=5", "cannot register the service Order Service (v2): sc create ended with code 5", "sc says that 5", true},
		{"STUB_sc=1073", "cannot register the service Order Service (v2)", "sc says that 1073 is 100% wrong & why", false},
		{"STUB_sc_start=1053", "cannot start the service Order Service (v2): sc start ended with code 1053", "sc says that 1053", false},
		{"STUB_powershell=1", "cannot hand the environment to the service Order Service (v2)", "powershell says that 1", true},
	} {
		b := newBench(t) // without the service
		b.env = []string{test.env}
		code, stderr, _ := b.run(t, servicePlan(t, "a.exe"))
		if code != 1 || !strings.Contains(stderr, test.step) || !strings.Contains(stderr, test.tool) || strings.Contains(stderr, "ContainerAdministrator") != test.admin {
			t.Errorf("%s: exit code %d, stderr\n%s", test.env, code, stderr)
		}
	}
}

// cmd sees none of what PowerShell is given: a quote, a percent or an exclamation
// mark in it would be cmd's, and a line of cmd has 8,191 characters.
func TestEnvironmentLineIsNothingToCmd(t *testing.T) {
	if strings.ContainsAny(environment, "\"%!\r\n") || len(environment) > 4000 {
		t.Errorf("%d characters: %s", len(environment), environment)
	}
}
