package detect_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// The folder bin of a site, given by mistake, and other libraries are told as such.
func TestLibrariesWithoutAProgramAreTold(t *testing.T) {
	m := csharp(t, [3]string{"App.dll", "public class A : System.Web.UI.Page { }", "-target:library -r:System.Web.dll"}, [3]string{"Zip.dll", "public class Z { }", "-target:library"})
	for name, c := range map[string]struct {
		files        fstest.MapFS
		seen, remedy string
	}{
		"of a site": {m, "assemblies without a program: App.dll", "give winpack the folder of the site"},
		"of none":   {fstest.MapFS{"Zip.dll": m["Zip.dll"]}, "assemblies without a program: Zip.dll", "the program that uses them"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, c.files)
			if r.App.Kind != detect.KindUnknown || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Message, c.seen) || !strings.Contains(r.Findings[0].Remedy, c.remedy) {
				t.Errorf("got %s %+v", r.App.Kind, r.Findings)
			}
		})
	}
}

// A program of C++/CLI starts in native code and has no entry point in IL.
func TestProgramThatStartsInNativeCodeIsNoLibrary(t *testing.T) {
	m := csharp(t, [3]string{"App.exe", "static class P { static void Main() { } }", ""})
	data := bytes.Clone(m["App.exe"].Data)
	i := bytes.Index(data, []byte{72, 0, 0, 0, 2, 0, 5, 0}) // the CLI header: its size and the version of the runtime
	if i < 0 {
		t.Fatal("no CLI header")
	}
	copy(data[i+16:], []byte{0x10, 0, 0, 0, 0, 0x20, 0, 0}) // not ILONLY, NATIVE_ENTRYPOINT, and an address
	r := look(t, fstest.MapFS{"App.exe": {Data: data}})
	if r.App.Kind != detect.KindNetFXConsole || r.App.Program == nil || !slices.ContainsFunc(r.Facts, func(f detect.Fact) bool { return f.Key == "mixed-mode" }) {
		t.Errorf("got %s %+v with %v", r.App.Kind, r.App.Program, r.Facts)
	}
}

// A program whose only window is a message hangs where it shows one, and is not said
// to use no window.
func TestMessageBoxesAreTold(t *testing.T) {
	r := look(t, csharp(t, [3]string{"App.exe", `using System.Runtime.InteropServices; static class P {
		[DllImport("user32")] static extern int MessageBoxW(int w, string a, string b, int c);
		static void Main() { MessageBoxW(0, "a", "b", 0); } }`, "-target:winexe"}))
	if r.App.Kind != detect.KindNetFXConsole || !slices.Contains(rules(r), "WP1008") {
		t.Errorf("got %s with %v", r.App.Kind, rules(r))
	}
	source := filepath.Join(t.TempDir(), "m.c")
	if err := os.WriteFile(source, []byte("#include <windows.h>\nint main(void) { return MessageBoxA(0, \"a\", \"b\", 0); }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r = look(t, mingw(t, source))
	if r.App.Kind != detect.KindNativeConsole || !slices.Contains(rules(r), "WP1008") {
		t.Errorf("got %s with %v", r.App.Kind, rules(r))
	}
}

func mingw(t *testing.T, source string) fstest.MapFS {
	t.Helper()
	const cc = "x86_64-w64-mingw32-gcc"
	needTool(t, cc, "gcc-mingw-w64-x86-64")
	exe := source + ".exe"
	if out, err := exec.Command(cc, "-o", exe, source, "-mwindows").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"App.exe": {Data: data}}
}

// Programs of Go look services up by name, so that their imports say nothing: what
// they call does.
func TestServicesWrittenInGo(t *testing.T) {
	const head = `//go:build windows

package main

import "golang.org/x/sys/windows/svc"

type handler struct{}

func (handler) Execute([]string, <-chan svc.ChangeRequest, chan<- svc.Status) (bool, uint32) { return false, 0 }

func main() {
`
	for name, c := range map[string]struct {
		body string
		kind detect.Kind
		find string
	}{
		"runs as a service only":     {`_ = svc.Run("billing", handler{})`, detect.KindNativeService, "WP1108"},
		"looks at the parent first":  {`if yes, _ := svc.IsWindowsService(); yes { _ = svc.Run("billing", handler{}) }`, detect.KindNativeConsole, ""},
		"only says what it could do": {`_ = svc.Cmd(1); println(handler{}.Execute != nil)`, detect.KindNativeConsole, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, golang(t, head+c.body+"\n}\n"))
			if r.App.Kind != c.kind || slices.Contains(rules(r), "WP1108") != (c.find != "") {
				t.Errorf("got %s with %v", r.App.Kind, rules(r))
			}
		})
	}
}

// Go loads netapi32.dll at the first call into it, so that no import table shows what Nano
// Server lacks.
func TestGoProgramsThatLookUpUsersNeedServerCore(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		base string
	}{
		"looks up a user":        {`u, _ := user.Lookup("shop"); println(u.Uid)`, detect.FamilyServerCore},
		"asks for its own alone": {`u, _ := user.Current(); println(u.Uid)`, detect.FamilyNanoServer},
		"names the package only": {`println(user.UnknownUserError("x").Error())`, detect.FamilyNanoServer},
	} {
		t.Run(name, func(t *testing.T) {
			app := golang(t, "//go:build windows\n\npackage main\n\nimport \"os/user\"\n\nfunc main() { "+c.body+" }\n")
			r, err := detect.Inspect(app, detect.Options{Name: "x", Closure: true})
			if err != nil {
				t.Fatal(err)
			}
			base := detect.FamilyNanoServer
			for _, f := range r.Needs.Families {
				base = f.Family
				if e := f.Evidence[0]; e.Length == 0 || !strings.HasPrefix(string(app["app.exe"].Data[e.Offset:]), "syscall.Net") {
					t.Errorf("the evidence lies elsewhere: %+v", e)
				}
			}
			asked := slices.ContainsFunc(r.Closure.Modules, func(m detect.Module) bool {
				return m.Name == "netapi32.dll" && m.Askers[0].How == detect.HowLoad
			})
			if base != c.base || asked != (base != detect.FamilyNanoServer) || r.App.Kind != detect.KindNativeConsole {
				t.Errorf("got %s on %s, needs %+v, modules %+v", r.App.Kind, base, r.Needs.Families, r.Closure.Modules)
			}
		})
	}
}

// golang compiles a program for Windows with the modules of this one.
func golang(t *testing.T, source string) fstest.MapFS {
	t.Helper()
	dir, err := os.MkdirTemp(".", "testdata-go-") // in the module, for its dependencies
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(t.TempDir(), "app.exe")
	cmd := exec.Command("go", "build", "-o", exe, "./"+dir)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"app.exe": {Data: data}}
}
