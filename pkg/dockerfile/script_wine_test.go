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
	for _, name := range []string{"icacls", "appcmd", "sc", "reg", "ping", "app"} {
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
	system := regexp.MustCompile(`%SystemRoot%\\System32\\(?:inetsrv\\)?(icacls|appcmd|sc|reg|ping)\.exe`)
	script = system.ReplaceAllFunc(script, func(m []byte) []byte {
		return []byte(b.path(string(system.FindSubmatch(m)[1]) + ".exe"))
	})
	if p.Service != nil {
		// cmd.exe of Wine 8 does not know !NAME:a=b!, with which the script quotes the
		// environment: that part runs on Windows only, and is left out here.
		before, rest, ok1 := bytes.Cut(script, []byte("\r\n:registered\r\n"))
		_, after, ok2 := bytes.Cut(rest, []byte("\r\n:start\r\n"))
		if ok1 && ok2 {
			script = slices.Concat(before, []byte("\r\n:registered\r\n"), after)
		}
	}
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
	return code, out.String(), calls
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
	b.env = []string{"STUB_icacls=5"}
	code, stderr, calls := b.run(t, b.grantPlan())
	if code != 1 || !strings.Contains(stderr, "ContainerAdministrator") || len(calls) != 1 {
		t.Errorf("exit code %d, stderr %q, calls %q", code, stderr, calls)
	}
	b.env = []string{"STUB_appcmd=5"}
	code, stderr, calls = b.run(t, b.grantPlan())
	if code != 1 || !strings.Contains(stderr, "cannot configure IIS") || len(calls) != 2 {
		t.Errorf("exit code %d, stderr %q, calls %q", code, stderr, calls)
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
	code, stderr, calls := b.run(t, servicePlan(t, "my app/a&b 100%.exe", "--flag", `x "y" & z|^`))
	if code != 42 || stderr != "" {
		t.Errorf("exit code %d, stderr %q; the service's own is 42", code, stderr)
	}
	if len(calls) < 3 || calls[1][0] != "sc" || calls[1][1] != "start" || calls[2][0] != "ping" {
		t.Fatalf("calls %q, want sc create, sc start, ping", calls)
	}
	if want := []string{"sc", "create", "Order Service (v2)", "binPath=", `"C:\app\my app\a&b 100%.exe" "--flag" "x \"y\" & z|^"`, "start=", "demand"}; !slices.Equal(calls[0], want) {
		t.Errorf("sc is called with %q, want %q", calls[0], want)
	}
	// A container that is started again has the service: it is not made twice.
	b.env = []string{"STUB_WIN32=7"}
	code, _, calls = b.run(t, servicePlan(t, "a.exe"))
	if code != 7 || len(calls) == 0 || calls[0][0] == "sc" && calls[0][1] == "create" {
		t.Errorf("second start: exit code %d, calls %q", code, calls)
	}
}

func TestServiceScriptFailsAloud(t *testing.T) {
	b := newBench(t)
	b.env = []string{"STUB_sc=5"}
	if code, stderr, _ := b.run(t, servicePlan(t, "a.exe")); code != 1 || !strings.Contains(stderr, "cannot register or start") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}
