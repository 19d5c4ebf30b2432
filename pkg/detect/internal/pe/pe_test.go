package pe

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures"
)

func TestPlatformOptionsGiveTheirArchitecture(t *testing.T) {
	for _, c := range []struct {
		platform, arch string
		prefer32       bool
	}{
		{"anycpu", "anycpu", false},
		{"anycpu32bitpreferred", "anycpu", true},
		{"x86", "x86", false},
		{"x64", "x64", false},
		{"arm", "", false},
	} {
		t.Run(c.platform, func(t *testing.T) {
			f := open(t, compile(t, "class P { static void Main() {} }", ".cs", nil, "mcs", "-platform:"+c.platform, "-out:OUT", "IN"))
			a, err := f.Architecture()
			if err != nil {
				t.Fatal(err)
			}
			if a.Name != c.arch || a.Prefer32 != c.prefer32 || a.Mixed {
				t.Errorf("Architecture = %+v, want %q, prefer 32 bits %v", a, c.arch, c.prefer32)
			}
		})
	}
}

func TestTargetOptionsGiveSubsystemAndKind(t *testing.T) {
	for _, c := range []struct {
		target    string
		subsystem uint16
		dll       bool
	}{{"exe", SubsystemConsole, false}, {"winexe", SubsystemGUI, false}, {"library", SubsystemConsole, true}} {
		f := open(t, compile(t, "class P { static void Main() {} }", ".cs", nil, "mcs", "-target:"+c.target, "-out:OUT", "IN"))
		if f.Subsystem != c.subsystem || f.IsDLL() != c.dll || !f.HasCLR() {
			t.Errorf("%s: subsystem %d, dll %v, managed %v", c.target, f.Subsystem, f.IsDLL(), f.HasCLR())
		}
		clr, err := f.CLR()
		if err != nil {
			t.Fatal(err)
		}
		if (clr.EntryPoint != 0) == c.dll {
			t.Errorf("%s: entry point %#x", c.target, clr.EntryPoint)
		}
	}
}

func TestGoProgramsOfEveryProcessor(t *testing.T) {
	for goarch, want := range map[string]string{"amd64": "x64", "386": "x86", "arm64": "arm64"} {
		data := compile(t, "package main\nfunc main() { println(1) }\n", ".go",
			[]string{"GOOS=windows", "GOARCH=" + goarch, "CGO_ENABLED=0", "GO111MODULE=off"}, "go", "build", "-o", "OUT", "IN")
		f := open(t, data)
		a, err := f.Architecture()
		if err != nil || a.Name != want || f.HasCLR() || f.PE32Plus == (goarch == "386") {
			t.Errorf("%s: %+v, PE32+ %v, managed %v, %v", goarch, a, f.PE32Plus, f.HasCLR(), err)
		}
		imports, err := f.Imports()
		if err != nil || len(imports) != 1 || imports[0].DLL != "kernel32.dll" {
			t.Fatalf("%s: imports %v, %v", goarch, imports, err)
		}
		stands(t, data, imports[0].Span, "kernel32.dll")
		if len(f.Defects) > 0 {
			t.Errorf("%s: defects %v", goarch, f.Defects)
		}
		for _, fn := range imports[0].Functions {
			stands(t, data, fn.Span, fn.Name)
		}
		if h, err := f.AppHost(); h != nil || err != nil {
			t.Errorf("%s: a .NET host: %+v, %v", goarch, h, err)
		}
	}
}

const exporting = `#include <windows.h>
__declspec(dllexport) int DotNetRuntimeDebugHeader = 1;
__declspec(dllexport) int answer(void) { return MessageBoxA(0, "a", "b", 0); }
BOOL WINAPI DllMain(HINSTANCE h, DWORD r, LPVOID p) { return TRUE; }
`

func TestMinGWImportsAndExports(t *testing.T) {
	for compiler, arch := range map[string]string{"x86_64-w64-mingw32-gcc": "x64", "i686-w64-mingw32-gcc": "x86"} {
		data := compile(t, exporting, ".c", nil, compiler, "-shared", "-s", "-o", "OUT", "IN")
		f := open(t, data)
		if a, _ := f.Architecture(); a.Name != arch || !f.IsDLL() {
			t.Errorf("%s: %+v, dll %v", compiler, a, f.IsDLL())
		}
		exports, err := f.Exports()
		if err != nil || len(exports) != 2 {
			t.Fatalf("%s: exports %v, %v", compiler, exports, err)
		}
		for i, want := range []string{"DotNetRuntimeDebugHeader", "answer"} {
			if exports[i].Name != want {
				t.Errorf("%s: export %q, want %q", compiler, exports[i].Name, want)
			}
			stands(t, data, exports[i].Span, want)
		}
		imports, err := f.Imports()
		if err != nil {
			t.Fatal(err)
		}
		user := slices.IndexFunc(imports, func(i Import) bool { return strings.EqualFold(i.DLL, "user32.dll") })
		if user < 0 || len(imports[user].Functions) != 1 || imports[user].Functions[0].Name != "MessageBoxA" {
			t.Errorf("%s: imports %v", compiler, imports)
		}
	}
}

func TestServiceTellsItsNameAndHowItStarts(t *testing.T) {
	f, data := openFile(t, filepath.Join(fixtures.App(t, "netfx-service"), "Spooler.exe"))
	c, err := f.CLR()
	if err != nil {
		t.Fatal(err)
	}
	if c.RuntimeVersion.Value != "v4.0.30319" || c.Name.Value != "Spooler" || c.Version != "3.1.0.0" {
		t.Errorf("identity %+v %+v %q", c.RuntimeVersion, c.Name, c.Version)
	}
	const tfm = ".NETFramework,Version=v4.7.2"
	if c.TargetFramework.Value != tfm {
		t.Errorf("target framework %q", c.TargetFramework.Value)
	}
	stands(t, data, c.TargetFramework.Span, tfm)
	stands(t, data, c.Name.Span, "Spooler")

	refs, err := c.AssemblyRefs()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(refs, func(a Assembly) bool { return a.Name == "System.ServiceProcess" })
	if i < 0 || refs[i].Version != "4.0.0.0" {
		t.Fatalf("assembly references %+v", refs)
	}
	stands(t, data, refs[i].Span, "System.ServiceProcess")

	types, err := c.TypeRefs()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(types, func(u Type) bool {
		return u.Name == "System.ServiceProcess.ServiceBase" && u.Assembly == "System.ServiceProcess"
	}) {
		t.Errorf("type references %+v", types)
	}
	defs, err := c.TypeDefs()
	if err != nil {
		t.Fatal(err)
	}
	d := slices.IndexFunc(defs, func(d Type) bool { return d.Base == "System.ServiceProcess.ServiceBase" })
	if d < 0 || defs[d].Name != "Spooler.SpoolerService" {
		t.Fatalf("types %+v", defs)
	}
	stands(t, data, defs[d].Span, "SpoolerService")

	calls, err := c.CallsTo("System.ServiceProcess.ServiceBase::set_ServiceName", "System.ServiceProcess.ServiceInstaller::set_ServiceName")
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 || calls[0].Literal != "LabelSpooler" || calls[0].Caller != "Spooler.SpoolerService::.ctor" || calls[1].Literal != "LabelSpooler" {
		t.Errorf("calls %+v", calls)
	}
	from, err := c.CallsFrom(c.EntryPoint)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, call := range from {
		names = append(names, call.Member)
		if op := data[call.Offset]; op != opCall && op != opCallvrt && op != opNewobj {
			t.Errorf("no call instruction at %+v", call)
		}
	}
	for _, want := range []string{"System.ServiceProcess.ServiceBase::Run", "System.ServiceProcess.ServiceBase::set_ServiceName"} {
		if !slices.Contains(names, want) {
			t.Errorf("Main does not reach %s: %v", want, names)
		}
	}
	if slices.Contains(names, "System.Configuration.Install.InstallerCollection::Add") {
		t.Error("Main is said to reach the installer, which nothing creates")
	}
	members, err := c.MemberRefs()
	if err != nil || !slices.ContainsFunc(members, func(m Member) bool { return m.Name == "System.ServiceProcess.ServiceBase::Run" }) {
		t.Errorf("member references %+v, %v", members, err)
	}
}

const managed = `
using System; using System.Collections.Generic; using System.Runtime.InteropServices; using System.Threading.Tasks;
[assembly: System.Runtime.Versioning.TargetFramework(".NETCoreApp,Version=v8.0")]
[assembly: System.Runtime.Versioning.TargetPlatform("Windows7.0")]
namespace System.Runtime.Versioning { class TargetPlatformAttribute : Attribute { public TargetPlatformAttribute(string s) {} } }
namespace N {
  class Outer<T> { public class Inner : List<T> {} }
  static class P {
    [DllImport("user32.dll", EntryPoint = "MessageBoxW")] static extern int Box(IntPtr h, string a, string b, uint t);
    static int Main(string[] a) { var x = a.Length; switch (x) { case 0: return 1; case 1: return 2; case 2: return 3; case 3: return Later().Result; } Func<int> f = Lambda; return f(); }
    static int Lambda() { Environment.SetEnvironmentVariable("é\ud83d\ude00", "x"); return Convert.ToInt32("12"); }
    static async Task<int> Later() { await Task.Delay(1); Console.WriteLine("later"); return Box(IntPtr.Zero, "a", "b", 0); }
    static void Unreached() { Console.Beep(); }
  }
}`

func TestManagedCodeIsFollowed(t *testing.T) {
	data := compile(t, managed, ".cs", nil, "mcs", "-out:OUT", "IN")
	f := open(t, data)
	c, err := f.CLR()
	if err != nil {
		t.Fatal(err)
	}
	calls, err := c.CallsFrom(c.EntryPoint)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Call{}
	for _, call := range calls {
		got[call.Member] = call
	}
	for _, want := range []string{"System.Console::WriteLine", "System.Convert::ToInt32", "N.P::Box"} {
		if _, ok := got[want]; !ok {
			t.Errorf("Main does not reach %s", want)
		}
	}
	if _, ok := got["System.Console::Beep"]; ok {
		t.Error("Main is said to reach a method that nothing calls")
	}
	if call := got["System.Convert::ToInt32"]; call.Literal != "12" || !call.Loaded {
		t.Errorf("the literal before Convert.ToInt32 is %+v", call)
	}
	if call := got["System.Environment::SetEnvironmentVariable"]; call.Literal != "x" {
		t.Errorf("the literal before SetEnvironmentVariable is %+v", call)
	}
	p, err := c.PInvokes()
	if err != nil || len(p) != 1 || p[0].Module != "user32.dll" || p[0].Function != "MessageBoxW" {
		t.Fatalf("P/Invokes %+v, %v", p, err)
	}
	stands(t, data, p[0].Span, "MessageBoxW")
	if c.TargetFramework.Value != ".NETCoreApp,Version=v8.0" {
		t.Errorf("target framework %q", c.TargetFramework.Value)
	}
	defs, err := c.TypeDefs()
	if err != nil || !slices.ContainsFunc(defs, func(d Type) bool {
		return d.Name == "N.Outer`1/Inner" && d.Base == "System.Collections.Generic.List`1"
	}) {
		t.Errorf("types %+v, %v", defs, err)
	}
}

func TestReadyToRunHasTheArchitectureOfItsCode(t *testing.T) {
	_, data := openFile(t, filepath.Join(fixtures.App(t, "dotnet-console"), "Report.dll"))
	c, err := open(t, data).CLR()
	if err != nil {
		t.Fatal(err)
	}
	machine := open(t, data).MachineSpan.Offset
	const stub = 0x40 // the DOS stub, which nothing reads
	for _, want := range []struct {
		machine  uint16
		name, os string
	}{
		{MachineAMD64, "x64", "windows"}, {MachineAMD64 ^ 0x7b79, "x64", "linux"}, {MachineARM64 ^ 0x4644, "arm64", "apple"},
		{MachineI386, "x86", "windows"}, {MachineAMD64 ^ 0xadc4, "x64", "freebsd"}, {0x1234, "", ""},
	} {
		r2r := put(put(put(data, c.Offset+64, stub), stub, 0x00525452), c.FlagsSpan.Offset, FlagILLibrary)
		binary.LittleEndian.PutUint16(r2r[machine:], want.machine)
		f := open(t, r2r)
		a, err := f.Architecture()
		if err != nil || a.Name != want.name || a.OS != want.os || a.Mixed {
			t.Errorf("machine 0x%x: %+v, %v", want.machine, a, err)
		}
		if c, err := f.CLR(); err != nil || !c.ReadyToRun || c.NGen {
			t.Errorf("machine 0x%x: ReadyToRun %v, %v", want.machine, c.ReadyToRun, err)
		}
	}
	mixed, err := open(t, put(data, c.FlagsSpan.Offset, 0)).Architecture()
	if err != nil || !mixed.Mixed || mixed.Name != "x86" {
		t.Errorf("not IL only: %+v, %v", mixed, err)
	}
	ngen, err := open(t, put(put(data, c.Offset+64, stub), stub, 0x0045474e)).CLR()
	if err != nil || !ngen.NGen || ngen.ReadyToRun {
		t.Errorf("NGen: %+v, %v", ngen, err)
	}
}

func TestExportCountsAreBounded(t *testing.T) {
	data := compile(t, exporting, ".c", nil, "x86_64-w64-mingw32-gcc", "-shared", "-s", "-o", "OUT", "IN")
	f := open(t, data)
	at, err := f.rva(f.dir(dirExport).rva, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	exports, err := open(t, put(data, at+24, 0xffffffff)).Exports()
	if err == nil || len(exports) > maxExports || len(exports) < 2 {
		t.Errorf("%d exports, %v", len(exports), err)
	}
}

func TestFixturesOfBrokenProgramsAreSeenAsBroken(t *testing.T) {
	f, _ := openFile(t, filepath.Join(fixtures.App(t, "broken-truncated-exe"), "sum.exe"))
	if len(f.Defects) == 0 || !strings.Contains(f.Defects[0].Error(), "the file is cut short") {
		t.Errorf("broken-truncated-exe: defects %v", f.Defects)
	}
	f, _ = openFile(t, filepath.Join(fixtures.App(t, "broken-lying-offsets"), "sum.exe"))
	if _, err := f.Imports(); err == nil || !strings.Contains(err.Error(), "the import table is said to be at the virtual address 0x7fff0000") {
		t.Errorf("broken-lying-offsets: %v", err)
	}
	f, _ = openFile(t, filepath.Join(fixtures.App(t, "broken-bundle"), "Report.exe"))
	if h, err := f.AppHost(); err == nil || h == nil {
		t.Errorf("broken-bundle: %+v, %v", h, err)
	}
}

func TestFixtureOfCLR2SaysSo(t *testing.T) {
	f, _ := openFile(t, filepath.Join(fixtures.App(t, "aspnet-35"), "bin", "Intranet.dll"))
	c, err := f.CLR()
	if err != nil || c.RuntimeVersion.Value != "v2.0.50727" || c.TargetFramework.Value != "" {
		t.Fatalf("%+v, %v", c, err)
	}
	refs, err := c.AssemblyRefs()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refs {
		if r.Version != "2.0.0.0" {
			t.Errorf("refers to %s %s", r.Name, r.Version)
		}
	}
}

// The classes of a type library, as a compiler writes them.
func TestCOMClassesAreRead(t *testing.T) {
	data := compile(t, `using System; using System.Runtime.InteropServices;
[assembly: ImportedFromTypeLib("Acme")]
namespace Acme {
	[ComImport, Guid("22222222-89ab-cdef-0123-456789abcdef")] public interface Tax { void Go(); }
	[ComImport, Guid("01234567-89ab-cdef-0123-456789abcdef")] public class TaxClass { }
	[Guid("44444444-89ab-cdef-0123-456789abcdef")] public class Plain { static void Main() { new Uri("http://a"); new TaxClass(); } }
}`, ".cs", nil, "mcs", "-out:OUT", "IN")
	c, err := open(t, data).CLR()
	if err != nil {
		t.Fatal(err)
	}
	classes, library, err := c.COMClasses()
	if err != nil || !library || len(classes) != 1 || classes[0].Name != "Acme.TaxClass" || classes[0].CLSID != "01234567-89AB-CDEF-0123-456789ABCDEF" {
		t.Fatalf("%+v, %t, %v", classes, library, err)
	}
	stands(t, data, classes[0].Span, "01234567-89ab-cdef-0123-456789abcdef")
	made, err := c.NewFrom("System")
	if err != nil || len(made) != 1 || made[0].Name != "System.Uri" {
		t.Fatalf("%+v, %v", made, err)
	}
	stands(t, data, made[0].Span, "Uri")
}
