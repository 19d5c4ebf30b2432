package detect_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/pkg/detect"
)

// binary is one that winbin writes.
type binary interface{ Bytes() ([]byte, error) }

// pack puts files and binaries into a folder: "name", text or binary.
func pack(t testing.TB, pairs ...any) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		data := []byte(nil)
		switch v := pairs[i+1].(type) {
		case string:
			data = []byte(v)
		case binary:
			var err error
			if data, err = v.Bytes(); err != nil {
				t.Fatal(err)
			}
		}
		m[pairs[i].(string)] = &fstest.MapFile{Data: data}
	}
	return m
}

func closureOf(t testing.TB, m fstest.MapFS) (detect.Report, []string) {
	t.Helper()
	r, err := detect.Inspect(m, detect.Options{Name: "x", Closure: true})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range r.Closure.Modules {
		var askers []string
		for _, a := range m.Askers {
			askers = append(askers, fmt.Sprintf("%s %s", a.Path, a.How))
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", m.Name, m.Kind, m.Provider, m.From))+" <- "+strings.Join(slices.Compact(askers), ", "))
	}
	return r, lines
}

func netfx(refs ...string) winbin.Assembly {
	return winbin.Assembly{Name: "Shop", Version: "1.0.0.0", Target: ".NETFramework,Version=v4.8", Refs: refs}
}

func dll(name, version string, refs ...string) winbin.Assembly {
	return winbin.Assembly{Name: name, Version: version, Target: ".NETFramework,Version=v4.8", Library: true, Refs: refs}
}

const (
	runtimeConfig = `{"runtimeOptions":{"tfm":"net8.0","framework":{"name":"Microsoft.NETCore.App","version":"8.0.0"}}}`
	acmeKey       = " a1b2c3d4e5f60718"
)

func core(refs ...string) winbin.Assembly {
	return winbin.Assembly{Name: "Shop", Version: "1.0.0.0", Target: ".NETCoreApp,Version=v8.0", Refs: refs}
}

// Each rule of the closure has a folder for which it fires, and one that lacks just
// the cause.
func TestRulesOfTheClosureFireForTheirCauseAlone(t *testing.T) {
	const deps = `{"runtimeTarget":{"name":"t"},"targets":{"t":{"Acme.Tax/2.0.0":{"runtime":{"lib/net8.0/Acme.Tax.dll":{}}}}},"libraries":{}}`
	calls := func(lines ...string) winbin.Assembly {
		a := netfx()
		a.Code = map[string][]string{"Program::Main": lines}
		return a
	}
	declares := func(native ...string) winbin.Assembly {
		a := netfx()
		a.Native = native
		return a
	}
	imports := func(machine string, what ...string) winbin.Native {
		return winbin.Native{Machine: machine, Imports: append([]string{"kernel32.dll!ExitProcess"}, what...)}
	}
	library := winbin.Native{DLL: true, Exports: []string{"f"}}
	for _, c := range []struct {
		rule       string
		level      detect.Level
		fires      fstest.MapFS
		says       string
		cure       string
		nearMisses map[string]fstest.MapFS
	}{
		{"WP1120", detect.LevelWarning, pack(t, "Shop.exe", netfx("Acme.Printing 2.1.0.0"+acmeKey)), "Acme.Printing 2.1.0.0 (PublicKeyToken=a1b2c3d4e5f60718)", "beside the other assemblies", map[string]fstest.MapFS{
			"beside the program": pack(t, "Shop.exe", netfx("Acme.Printing 2.1.0.0"+acmeKey), "Acme.Printing.dll", dll("Acme.Printing", "2.1.0.0")),
			"a library of a framework asks": pack(t, "Shop.exe", netfx("System.Fancy 1.0.0.0 null"), "System.Fancy.dll",
				dll("System.Fancy", "1.0.0.0", "Acme.Printing 2.1.0.0"+acmeKey)),
			"nothing reaches who asks": pack(t, "Shop.exe", netfx(), "Left.dll", dll("Left", "1.0.0.0", "Acme.Printing 2.1.0.0"+acmeKey)),
			"a portable library asks":  pack(t, "Shop.exe", netfx("Portable 1.0.0.0 null"), "Portable.dll", dll("Portable", "1.0.0.0", "System.Core 2.0.5.0 7cec85d7bea7798e retargetable")),
		}},
		{"WP1120", detect.LevelWarning, pack(t, "Shop.exe", netfx("System.Core 2.0.5.0 7cec85d7bea7798e")), "System.Core 2.0.5.0", "beside the other assemblies", map[string]fstest.MapFS{
			"in an assembly that the browser runs": pack(t, "Default.aspx", page, "bin/Grid.dll", dll("Grid", "1.0.0.0", "mscorlib 2.0.5.0 7cec85d7bea7798e", "System.Core 2.0.5.0 7cec85d7bea7798e")),
		}},
		{"WP1120", detect.LevelWarning, pack(t, "a.aspx", page, "bin/Site.dll", dll("Site", "1.0.0.0", "System.Web 4.0.0.0", "System.Web.Mvc 4.0.0.0")), "ASP.NET MVC", "Microsoft.AspNet.Mvc", map[string]fstest.MapFS{
			"in bin": pack(t, "a.aspx", page, "bin/Site.dll", dll("Site", "1.0.0.0", "System.Web 4.0.0.0", "System.Web.Mvc 4.0.0.0"), "bin/System.Web.Mvc.dll", dll("System.Web.Mvc", "4.0.0.0")),
		}},
		{"WP1121", detect.LevelNote, pack(t, "Shop.exe", netfx("Microsoft.Whatever 1.0.0.0 31bf3856ad364e35")), "Microsoft.Whatever 1.0.0.0", "gacutil /l Microsoft.Whatever", map[string]fstest.MapFS{
			"of the framework": pack(t, "Shop.exe", netfx("System.Web.Extensions 4.0.0.0 31bf3856ad364e35")),
		}},
		{"WP1122", detect.LevelNote, pack(t, "Shop.exe", netfx("Plain 1.0.0.0 null")), "Plain 1.0.0.0", "", map[string]fstest.MapFS{
			"beside the program": pack(t, "Shop.exe", netfx("Plain 1.0.0.0 null"), "plain.dll", dll("Plain", "3.0.0.0")),
		}},
		{"WP1123", detect.LevelWarning, pack(t, "Shop.exe", netfx("Acme.Json 6.0.0.0"+acmeKey), "Acme.Json.dll", dll("Acme.Json", "13.0.0.0")), "Acme.Json.dll is version 13.0.0.0", "bindingRedirect", map[string]fstest.MapFS{
			"redirected": pack(t, "Shop.exe", netfx("Acme.Json 6.0.0.0"+acmeKey), "Acme.Json.dll", dll("Acme.Json", "13.0.0.0"), "Shop.exe.config",
				`<configuration><runtime><assemblyBinding xmlns="urn:schemas-microsoft-com:asm.v1"><dependentAssembly><assemblyIdentity name="Acme.Json" publicKeyToken="a1b2c3d4e5f60718"/>`+
					`<bindingRedirect oldVersion="0.0.0.0-13.0.0.0" newVersion="13.0.0.0"/></dependentAssembly></assemblyBinding></runtime></configuration>`),
		}},
		{"WP1124", detect.LevelWarning, pack(t, "Shop.dll", core("Acme.Tax 2.0.0.0 null"), "Shop.runtimeconfig.json", runtimeConfig), "Acme.Tax 2.0.0.0", "publish", map[string]fstest.MapFS{
			"published": pack(t, "Shop.dll", core("Acme.Tax 2.0.0.0 null"), "Shop.runtimeconfig.json", runtimeConfig, "Acme.Tax.dll", dll("Acme.Tax", "2.0.0.0")),
		}},
		{"WP1124", detect.LevelWarning, pack(t, "Shop.dll", core("Newtonsoft.Json 11.0.0.0 30ad4fe6b2a6aeed"), "Shop.runtimeconfig.json", strings.Replace(runtimeConfig, "NETCore.App", "AspNetCore.App", 1)), "Newtonsoft.Json 11.0.0.0", "publish", map[string]fstest.MapFS{
			"ASP.NET Core 2.1 brings it": pack(t, "Shop.dll", core("Newtonsoft.Json 11.0.0.0 30ad4fe6b2a6aeed"), "Shop.runtimeconfig.json",
				strings.NewReplacer("NETCore.App", "AspNetCore.App", `"version":"8.0.0"`, `"version":"2.1.1"`).Replace(runtimeConfig)),
		}},
		{"WP1125", detect.LevelError, pack(t, "Shop.dll", core(), "Shop.runtimeconfig.json", runtimeConfig, "Shop.deps.json", deps), "Shop.deps.json lists Acme.Tax.dll of Acme.Tax/2.0.0", "publish", map[string]fstest.MapFS{
			"there": pack(t, "Shop.dll", core(), "Shop.runtimeconfig.json", runtimeConfig, "Shop.deps.json", deps, "Acme.Tax.dll", dll("Acme.Tax", "2.0.0.0")),
		}},
		{"WP1126", detect.LevelWarning, pack(t, "Shop.dll", core("Microsoft.Extensions.Hosting 8.0.0.0"), "Shop.runtimeconfig.json", runtimeConfig), "an assembly of Microsoft.AspNetCore.App", "FrameworkReference", map[string]fstest.MapFS{
			"the framework is named": pack(t, "Shop.dll", core("Microsoft.Extensions.Hosting 8.0.0.0"), "Shop.runtimeconfig.json",
				strings.Replace(runtimeConfig, "Microsoft.NETCore.App", "Microsoft.AspNetCore.App", 1)),
			"a package": pack(t, "Shop.dll", core("Microsoft.Extensions.Hosting 8.0.0.0"), "Shop.runtimeconfig.json", runtimeConfig, "Microsoft.Extensions.Hosting.dll", dll("Microsoft.Extensions.Hosting", "8.0.0.0")),
		}},
		{"WP1402", detect.LevelError, pack(t, "Shop.exe", imports("x86", "MSVCR100.dll!malloc")), "msvcr100.dll to start, of the Visual C++ 2010 SP1 redistributable (x86)", "vcredist_x86.exe", map[string]fstest.MapFS{
			"app-local":         pack(t, "Shop.exe", imports("x86", "MSVCR100.dll!malloc"), "msvcr100.dll", library),
			"a part of Windows": pack(t, "Shop.exe", imports("x86", "msvcrt.dll!malloc")),
		}},
		{"WP1402", detect.LevelError, pack(t, "Shop.exe", imports("x64", "vcruntime140_1.dll!f")), "of the Visual C++ 2015 to 2022 redistributable (x64)", "vc_redist.x64.exe", map[string]fstest.MapFS{
			"app-local": pack(t, "Shop.exe", imports("x64", "vcruntime140_1.dll!f"), "vcruntime140_1.dll", library),
		}},
		{"WP1416", detect.LevelWarning, pack(t, "Shop.exe", declares("acme.dll!f"), "acme.dll", winbin.Native{DLL: true, Exports: []string{"f"}, Imports: []string{"msvcp120.dll!g"}}), "msvcp120.dll to start, of the Visual C++ 2013 redistributable (x64)", "vcredist_x64.exe", map[string]fstest.MapFS{
			"the DLL that needs it is not called": pack(t, "Shop.exe", netfx(), "acme.dll", winbin.Native{DLL: true, Exports: []string{"f"}, Imports: []string{"msvcp120.dll!g"}}),
		}},
		{"WP1407", detect.LevelNote, pack(t, "Shop.exe", imports("x64", "acme.dll!f")), "nothing is known of it", "winpack images learn", map[string]fstest.MapFS{
			"in the folder":          pack(t, "Shop.exe", imports("x64", "acme.dll!f"), "acme.dll", library),
			"of another system":      pack(t, "Shop.exe", declares("libc!getpid", "libSystem.Native!f")),
			"optional by design":     pack(t, "Shop.exe", imports("x64", "ext-ms-win-acme-l1-1-0.dll!f")),
			"of the C runtime":       pack(t, "Shop.exe", imports("x64", "api-ms-win-crt-heap-l1-1-0.dll!malloc")),
			"loaded when it is used": pack(t, "Shop.exe", winbin.Native{Imports: []string{"kernel32.dll!ExitProcess"}, Delayed: []string{"acme.dll!f"}}),
		}},
		{"WP1411", detect.LevelError, pack(t, "Shop.exe", imports("x86", "msvcr90.dll!malloc"), "MSVCR90.dll", library), "without Microsoft.VC90.CRT.manifest", "private assembly", map[string]fstest.MapFS{
			"with its manifest":  pack(t, "Shop.exe", imports("x86", "msvcr90.dll!malloc"), "MSVCR90.dll", library, "Microsoft.VC90.CRT.manifest", "<assembly/>"),
			"of a later runtime": pack(t, "Shop.exe", imports("x86", "msvcr100.dll!malloc"), "msvcr100.dll", library),
		}},
		{"WP1412", detect.LevelWarning, pack(t, "Shop.exe", declares("msvfw32.dll!ICOpen")), "msvfw32.dll, which is not in Server Core", "copy", map[string]fstest.MapFS{
			"in Server Core": pack(t, "Shop.exe", declares("netapi32.dll!NetUserAdd")),
		}},
		{"WP1413", detect.LevelError, pack(t, "Shop.exe", declares("oci.dll!OCIEnvCreate")), "oci.dll at the first call into it", "Oracle", map[string]fstest.MapFS{
			"in the folder": pack(t, "Shop.exe", declares("oci.dll!OCIEnvCreate"), "instantclient/oci.dll", library),
		}},
		{"WP1414", detect.LevelError, pack(t, "Shop.exe", calls("ldstr MSXML2.DOMDocument.4.0", "call [mscorlib]System.Type::GetTypeFromProgID(string) void")), "MSXML2.DOMDocument.4.0, which comes with MSXML 4 or 5", "MSXML 6", map[string]fstest.MapFS{
			"a part of Windows":    pack(t, "Shop.exe", calls("ldstr Scripting.Dictionary", "call [mscorlib]System.Type::GetTypeFromProgID(string) void")),
			"a text and no ProgID": pack(t, "Shop.exe", calls("ldstr MSXML2.DOMDocument.4.0", "call [mscorlib]System.Console::WriteLine(string) void")),
		}},
		{"WP1414", detect.LevelError, pack(t, "Shop.exe", calls("ldstr SAP.Functions", "ldstr ", "call [Microsoft.VisualBasic]Microsoft.VisualBasic.Interaction::CreateObject(string,string) void")), "SAP.Functions", "SAP .NET connector", nil},
		{"WP1414", detect.LevelError, pack(t, "Shop.exe", calls("ldstr 00024500-0000-0000-C000-000000000046", "newobj [mscorlib]System.Guid::.ctor(string)", "call [mscorlib]System.Runtime.InteropServices.Marshal::GetTypeFromCLSID(string) void")), "which comes with Microsoft Office", "Open XML SDK", nil},
		{"WP1415", detect.LevelNote, pack(t, "Shop.exe", calls("ldstr {01234567-89ab-cdef-0123-456789abcdef}", "newobj [mscorlib]System.Guid::.ctor(string)", "call [mscorlib]System.Type::GetTypeFromCLSID(string) void")), "01234567-89AB-CDEF-0123-456789ABCDEF", "regsvr32", map[string]fstest.MapFS{
			"a number that is no class": pack(t, "Shop.exe", calls("ldstr {01234567-89ab-cdef-0123-456789abcdef}", "newobj [mscorlib]System.Guid::.ctor(string)", "pop")),
			"registration-free": pack(t, "Shop.exe", calls("ldstr Acme.Printer", "call [mscorlib]System.Type::GetTypeFromProgID(string) void"), "acme.manifest",
				`<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><file name="acme.dll"><comClass clsid="{01234567-89ab-cdef-0123-456789abcdef}" progid="acme.printer"/></file></assembly>`),
		}},
	} {
		find := func(r detect.Report) *detect.Finding {
			for i, f := range r.Findings {
				if f.Rule == c.rule {
					return &r.Findings[i]
				}
			}
			return nil
		}
		r := look(t, c.fires)
		f := find(r)
		switch {
		case f == nil:
			t.Errorf("%s does not fire: %v", c.rule, r.Findings)
		case f.Level != c.level || !strings.Contains(f.Message, c.says) || !strings.Contains(f.Remedy, c.cure) || len(f.Evidence) == 0 || strings.ContainsAny(f.Message+f.Remedy, "{}"):
			t.Errorf("%s says %+v, want %q and %q", c.rule, f, c.says, c.cure)
		}
		if n := len(r.Findings); n > 0 && cmp.Compare(r.Findings[0].Level.Rank(), detect.LevelBlocker.Rank()) == 0 {
			t.Errorf("%s: a blocker: %+v", c.rule, r.Findings[0])
		}
		for _, name := range slices.Sorted(maps.Keys(c.nearMisses)) {
			near := look(t, c.nearMisses[name])
			if f := find(near); f != nil {
				t.Errorf("%s fires for the near miss %q: %+v", c.rule, name, f)
			}
			if near.App.Kind == detect.KindUnknown || len(near.Problems) > 0 {
				t.Errorf("%s: the near miss %q is %s, %v", c.rule, name, near.App.Kind, near.Problems)
			}
		}
	}
}

func TestClosureNamesEachModuleWithItsAskersAndItsProvider(t *testing.T) {
	shop := netfx("Acme.Printing 2.1.0.0"+acmeKey, "Acme.Tax 1.0.0.0 null", "System.Web 4.0.0.0", "Microsoft.Whatever 1.0.0.0 31bf3856ad364e35")
	shop.Native = []string{"native.dll!f", "user32!GetTickCount"}
	_, got := closureOf(t, pack(t,
		"Shop.exe", shop, "Acme.Tax.dll", dll("Acme.Tax", "1.0.0.0", "System.Web 4.0.0.0"),
		"native.dll", winbin.Native{DLL: true, Exports: []string{"f"}, Imports: []string{"KERNEL32.dll!Sleep", "msvcr120.dll!malloc"}, Delayed: []string{"nobody.dll!f", "helper.dll!g"}},
		"helper.dll", winbin.Native{DLL: true, Exports: []string{"g"}},
		"unused.dll", winbin.Native{DLL: true, Imports: []string{"avicap32.dll!f"}}))
	want := []string{
		"Acme.Printing assembly nowhere <- Shop.exe reference",
		"Acme.Tax assembly app Acme.Tax.dll <- Shop.exe reference",
		"helper.dll native app helper.dll <- native.dll delay import",
		"kernel32.dll native base Server Core <- native.dll import",
		"Microsoft.Whatever assembly unknown <- Shop.exe reference",
		"mscorlib assembly framework .NET Framework <- Acme.Tax.dll reference, Shop.exe reference",
		"msvcr120.dll native unknown <- native.dll import",
		"native.dll native app native.dll <- Shop.exe P/Invoke",
		"nobody.dll native unknown <- native.dll delay import",
		"System.Web assembly framework .NET Framework <- Acme.Tax.dll reference, Shop.exe reference",
		"user32.dll native base Server Core <- Shop.exe P/Invoke",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Nano Server is right only where every module is known there or comes from the app,
// and Server only where a module is known to be missing from Server Core.
func TestBaseIsTheSmallestForWhichTheClosureHolds(t *testing.T) {
	for name, c := range map[string]struct {
		imports, delayed []string
		want             string
	}{
		"known on Nano Server":                 {[]string{"kernel32.dll!Sleep"}, nil, ""},
		"unknown":                              {[]string{"acme.dll!f"}, nil, detect.FamilyServerCore},
		"a function that Nano Server lacks":    {[]string{"user32.dll!CreateWindowExW"}, nil, detect.FamilyServerCore},
		"not on Nano Server":                   {[]string{"netapi32.dll!NetUserAdd"}, nil, detect.FamilyServerCore},
		"not known on Server Core":             {[]string{"uiautomationcore.dll!f"}, nil, detect.FamilyServerCore},
		"known to be missing from Server Core": {[]string{"msvfw32.dll!ICOpen"}, nil, detect.FamilyServer},
		"loaded at its first use, not on Nano": {[]string{"kernel32.dll!Sleep"}, []string{"netapi32.dll!NetUserAdd"}, ""},
		"loaded at its first use, not on Core": {[]string{"kernel32.dll!Sleep"}, []string{"msvfw32.dll!ICOpen"}, ""},
		"loaded at its first use, and unknown": {[]string{"kernel32.dll!Sleep"}, []string{"acme.dll!f"}, ""},
	} {
		r, modules := closureOf(t, pack(t, "a.exe", winbin.Native{Imports: c.imports, Delayed: c.delayed}))
		family := ""
		if len(r.Needs.Families) > 0 {
			family = r.Needs.Families[0].Family
		}
		if family != c.want {
			t.Errorf("%s: %q, want %q; %v", name, family, c.want, modules)
		}
		for _, m := range r.Closure.Modules {
			hard := slices.ContainsFunc(m.Askers, func(a detect.Asker) bool { return a.How == detect.HowImport })
			if family == "" && hard && m.Provider != detect.FromApp && m.Provider != detect.FromBase {
				t.Errorf("%s: Nano Server, though %s is %s", name, m.Name, m.Provider)
			}
		}
	}
}

func TestClosureIsThereOnlyWhereItIsAskedFor(t *testing.T) {
	m := pack(t, "Shop.exe", netfx("Acme.Printing 2.1.0.0"+acmeKey, "System.Web 4.0.0.0"))
	without := look(t, m)
	with, _ := closureOf(t, m)
	if without.Closure != nil || with.Closure == nil {
		t.Fatalf("closure %v without, %v with", without.Closure, with.Closure)
	}
	with.Closure = nil
	if a, b := string(marshal(t, without)), string(marshal(t, with)); a != strings.Replace(b, `"name": "x"`, `"name": "`+without.App.Name+`"`, 1) {
		t.Errorf("the closure changes the rest of the report:\n%s\n%s", a, b)
	}
}

// A file with the name of an assembly is told as a problem where it cannot be read, and
// not as missing.
func TestWhatCannotBeReadIsNotMissing(t *testing.T) {
	for name, m := range map[string]fstest.MapFS{
		".NET Framework": pack(t, "Shop.exe", netfx("Acme.Tax 2.1.0.0"+acmeKey), "Acme.Tax.dll", "\x00\x00"),
		".NET":           pack(t, "Shop.dll", core("Acme.Tax 2.0.0.0 null"), "Shop.runtimeconfig.json", runtimeConfig, "Acme.Tax.dll", "\x00\x00"),
	} {
		r, err := detect.Inspect(m, detect.Options{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Problems) != 1 || r.Problems[0].Path != "Acme.Tax.dll" {
			t.Errorf("%s: problems: %v", name, r.Problems)
		}
		for _, f := range r.Findings {
			if strings.Contains(f.Message, "Acme.Tax") {
				t.Errorf("%s: %s %s", name, f.Rule, f.Message)
			}
		}
	}
}
