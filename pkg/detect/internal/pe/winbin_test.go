package pe

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/fixtures/wine"
)

// said is what this package reads of a managed file, as far as a description of winbin
// can name it.
type said struct {
	Machine, Subsystem     uint16
	Plus, DLL, Starts      bool
	Flags                  uint32
	Architecture, Runtime  string
	Name, Version          string
	Target, Platform       string
	Refs, Types, Natives   []string
	Members, Calls, String []string
}

func says(t *testing.T, data []byte) said {
	t.Helper()
	f := open(t, data)
	c, err := f.CLR()
	if err != nil || c == nil {
		t.Fatalf("no CLR: %v", err)
	}
	a, err := f.Architecture()
	if err != nil {
		t.Fatal(err)
	}
	s := said{Machine: f.Machine, Subsystem: f.Subsystem, Plus: f.PE32Plus, DLL: f.IsDLL(), Starts: c.EntryPoint != 0, Flags: c.Flags,
		Architecture: a.Name, Runtime: c.RuntimeVersion.Value, Name: c.Name.Value, Version: c.Version, Target: c.TargetFramework.Value, Platform: c.TargetPlatform.Value}
	refs, err := c.AssemblyRefs()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refs {
		s.Refs = append(s.Refs, r.Name+" "+r.Version)
	}
	defs, err := c.TypeDefs()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defs {
		s.Types = append(s.Types, d.Name+" : "+d.Base)
	}
	natives, err := c.PInvokes()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range natives {
		s.Natives = append(s.Natives, n.Module+"!"+n.Function)
	}
	members, err := c.MemberRefs()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range members {
		if !strings.Contains(m.Name, "Attribute::") || strings.Contains(m.Name, "TargetFramework") { // mcs adds some of its own
			names[m.Name] = true
		}
	}
	s.Members = slices.Sorted(maps.Keys(names))
	if s.Starts {
		calls, err := c.CallsFrom(c.EntryPoint)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			s.Calls = append(s.Calls, fmt.Sprintf("%s calls %s %q", call.Caller, call.Member, call.Literal))
		}
	}
	if _, ok, err := c.FindString("a word of the code"); err != nil {
		t.Fatal(err)
	} else if ok {
		s.String = []string{"a word of the code"}
	}
	slices.Sort(s.Refs)
	slices.Sort(s.Types)
	slices.Sort(s.Calls)
	return s
}

const serviceSource = `
using System;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.ServiceProcess;
[assembly: AssemblyVersion("1.2.3.4")]
[assembly: TargetFramework(".NETFramework,Version=v4.7.2")]
namespace Spooler { public class Job : ServiceBase { public Job() { ServiceName = "LabelSpooler"; } } }
static class NativeMethods { [DllImport("user32.dll")] public static extern void PostQuitMessage(); }
static class Program { static void Main() {
	ServiceBase.Run(new Spooler.Job());
	Console.WriteLine("a word of the code, long enough for a header of twelve bytes");
	Console.WriteLine("2"); Console.WriteLine("3"); Console.WriteLine("4"); Console.WriteLine("5"); Console.WriteLine("6");
} }
`

// described is the program of serviceSource.
func described(cpu string, gui, library bool) winbin.Assembly {
	main := []string{"newobj Spooler.Job::.ctor", "call [System.ServiceProcess]System.ServiceProcess.ServiceBase::Run([System.ServiceProcess]System.ServiceProcess.ServiceBase)"}
	for _, text := range []string{"a word of the code, long enough for a header of twelve bytes", "2", "3", "4", "5", "6"} {
		main = append(main, "ldstr "+text, "call [mscorlib]System.Console::WriteLine(string)")
	}
	return winbin.Assembly{
		Name: "out", Version: "1.2.3.4", Target: ".NETFramework,Version=v4.7.2", CPU: cpu, GUI: gui, Library: library,
		Types: []string{"Spooler.Job : [System.ServiceProcess]System.ServiceProcess.ServiceBase"},
		Code: map[string][]string{
			"Spooler.Job::.ctor": {"ldarg.0", "call instance [System.ServiceProcess]System.ServiceProcess.ServiceBase::.ctor()",
				"ldarg.0", "ldstr LabelSpooler", "call instance [System.ServiceProcess]System.ServiceProcess.ServiceBase::set_ServiceName(string)"},
			"Program::Main": main,
		},
		Native: []string{"user32.dll!PostQuitMessage"},
	}
}

// TestWrittenAssembliesSayWhatMcsCompiles holds the writer of test binaries against a
// real compiler.
func TestWrittenAssembliesSayWhatMcsCompiles(t *testing.T) {
	for _, test := range []struct {
		cpu, platform string
		gui, library  bool
	}{
		{"anycpu", "anycpu", false, false}, {"x86", "x86", true, false}, {"prefer32", "anycpu32bitpreferred", false, false},
		{"x64", "x64", false, false}, {"anycpu", "anycpu", false, true},
	} {
		t.Run(fmt.Sprintf("%s gui=%v library=%v", test.cpu, test.gui, test.library), func(t *testing.T) {
			t.Parallel()
			target := "-target:exe"
			if test.gui {
				target = "-target:winexe"
			} else if test.library {
				target = "-target:library"
			}
			real := says(t, compile(t, serviceSource, ".cs", nil, "mcs", "-nologo", target, "-platform:"+test.platform, "-r:System.ServiceProcess.dll", "-out:OUT", "IN"))
			data, err := described(test.cpu, test.gui, test.library).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			written := says(t, data)
			if got, want := fmt.Sprintf("%+v", written), fmt.Sprintf("%+v", real); got != want {
				t.Errorf("the writer says\n%s\nand mcs\n%s", got, want)
			}
		})
	}
}

func TestMonoRunsWrittenAssemblies(t *testing.T) {
	needTool(t, "mono", "mono-runtime")
	dir := t.TempDir()
	write := func(name string, a winbin.Assembly) {
		t.Helper()
		data, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("Greet.dll", winbin.Assembly{Name: "Greet", Library: true, Code: map[string][]string{
		"Greet.Words::Say": {"ldstr said in a library", "call [mscorlib]System.Console::WriteLine(string)"}}})
	for _, cpu := range []string{"anycpu", "prefer32", "x64"} {
		name := cpu + ".exe"
		write(name, winbin.Assembly{Name: cpu, CPU: cpu, Refs: []string{"Greet 1.0.0.0"}, Target: ".NETFramework,Version=v4.5",
			Code: map[string][]string{"Program::Main": {"call [Greet]Greet.Words::Say()", "ldstr Grüße", "call [mscorlib]System.Console::WriteLine(string)"}}})
		cmd := exec.Command("mono", filepath.Join(dir, name))
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if want := "said in a library\nGrüße\n"; err != nil || string(out) != want {
			t.Errorf("%s: %v, %q, want %q", cpu, err, out, want)
		}
	}
}

// native is what this package reads of a native file.
func native(t *testing.T, data []byte) string {
	t.Helper()
	f := open(t, data)
	if len(f.Defects) > 0 {
		t.Fatalf("defects: %v", f.Defects)
	}
	a, err := f.Architecture()
	if err != nil {
		t.Fatal(err)
	}
	imports, err := f.Imports()
	if err != nil {
		t.Fatal(err)
	}
	exports, err := f.Exports()
	if err != nil {
		t.Fatal(err)
	}
	var from, to []string
	for _, im := range imports {
		for _, fn := range im.Functions {
			from = append(from, strings.ToLower(im.DLL)+"!"+fn.Name)
		}
	}
	for _, e := range exports {
		to = append(to, e.Name)
	}
	slices.Sort(from)
	version, err := f.FileVersion()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(f.Machine, f.PE32Plus, f.Subsystem, f.IsDLL(), f.HasCLR(), a.Name, from, to, version.Value)
}

func TestWrittenNativeFilesSayWhatMingwCompiles(t *testing.T) {
	const program = `
#include <windows.h>
void start(void) { MessageBoxA(0, "a", "b", 0); ExitProcess(0); }
`
	const library = `
#include <windows.h>
__declspec(dllexport) int one(void) { return 1; }
__declspec(dllexport) int two(void) { return 2; }
BOOL WINAPI start(HINSTANCE h, DWORD r, LPVOID p) { return TRUE; }
`
	imports := []string{"USER32.dll!MessageBoxA", "KERNEL32.dll!ExitProcess"}
	for _, test := range []struct {
		name, source, command string
		args                  []string
		native                winbin.Native
	}{
		{"x64 program", program, "x86_64-w64-mingw32-gcc", []string{"-Wl,-e,start"}, winbin.Native{Imports: imports}},
		{"x86 GUI program", program, "i686-w64-mingw32-gcc", []string{"-mwindows", "-Wl,-e,_start"}, winbin.Native{Machine: "x86", GUI: true, Imports: imports}},
		{"x64 library", library, "x86_64-w64-mingw32-gcc", []string{"-shared", "-Wl,-e,start"}, winbin.Native{DLL: true, Exports: []string{"two", "one"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"-nostdlib", "-o", "OUT", "IN"}, test.args...)
			real := native(t, compile(t, test.source, ".c", nil, test.command, append(args, "-luser32", "-lkernel32")...))
			data, err := test.native.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if written := native(t, data); written != real {
				t.Errorf("the writer says\n%s\nand gcc\n%s", written, real)
			}
		})
	}
}

func TestWrittenResourcesDelayedImportsAndHostsAreRead(t *testing.T) {
	data, err := winbin.Native{Host: true, Bind: `bin\Shop.dll`, Delayed: []string{"gdi32.dll!BitBlt", "ole32.dll!#7"}, Version: "20.11.1.0",
		Strings: map[string]string{"ProductName": "Node.js"}, Resources: []string{"10/PACKAGEINFO", "10/DVCLAL"}}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, data)
	h, err := f.AppHost()
	if err != nil || h == nil || !h.Bound || h.Bundle != nil || len(h.Candidates) != 1 || h.Candidates[0].Value != `bin\Shop.dll` {
		t.Fatalf("host %+v, %v", h, err)
	}
	delayed, err := f.DelayImports()
	if err != nil || len(delayed) != 2 || delayed[1].DLL != "ole32.dll" || delayed[1].Functions[0].Name != "#7" {
		t.Fatalf("delayed imports %+v, %v", delayed, err)
	}
	names, err := f.ResourceNames(10)
	if err != nil || len(names) != 2 || names[0].Value != "DVCLAL" || names[1].Value != "PACKAGEINFO" {
		t.Fatalf("names of resources %+v, %v", names, err)
	}
	if v, err := f.FileVersion(); err != nil || v.Value != "20.11.1" {
		t.Fatalf("version %+v, %v", v, err)
	}
	template, err := winbin.Native{Host: true}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if h, err := open(t, template).AppHost(); err != nil || h == nil || h.Bound {
		t.Fatalf("template %+v, %v", h, err)
	}
}

func TestDescriptionsThatCannotBeWrittenAreErrors(t *testing.T) {
	for _, a := range []winbin.Assembly{
		{CPU: "vax"}, {Version: "1.x"}, {Code: map[string][]string{"Program::Main": {"jump"}}}, {Code: map[string][]string{"Program::Main": {"call Other::Gone"}}},
		{Types: []string{"A : Missing"}},
	} {
		if _, err := a.Bytes(); err == nil {
			t.Errorf("%+v is written", a)
		}
	}
	for _, n := range []winbin.Native{{Machine: "vax"}, {Sections: []string{"longer than eight"}}, {Version: "1.2.x"}, {Resources: []string{"PACKAGEINFO"}}} {
		if _, err := n.Bytes(); err == nil {
			t.Errorf("%+v is written", n)
		}
	}
}

func TestWineStartsWrittenPrograms(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "written.exe")
	data, err := winbin.Native{Imports: []string{"kernel32.dll!ExitProcess", "advapi32.dll!StartServiceCtrlDispatcherW"}, Delayed: []string{"gdi32.dll!BitBlt"},
		Exports: []string{"here"}, Version: "1.2.3.4", Text: []string{"constant"}, Data: []string{"data"}}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := wine.Command(t, exe).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// A program that asks for what no DLL has is not started: the loader did read it.
	data, err = winbin.Native{Imports: []string{"kernel32.dll!NoSuchFunctionAtAll", "no-such-library.dll!Nothing"}}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := wine.Command(t, exe).CombinedOutput(); err == nil {
		t.Errorf("a program with a missing library starts: %s", cmp.Or(string(out), "no output"))
	}
}
