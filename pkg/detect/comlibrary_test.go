package detect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/pkg/detect"
)

// A reference to the wrapper of a type library says which of its classes the code makes.
func TestClassesOfTypeLibrariesThatTheCodeMakesAreNamed(t *testing.T) {
	library := func(namespace, class, id string) string {
		return `using System.Runtime.InteropServices; [assembly: ImportedFromTypeLib("` + namespace + `")] [assembly: Guid("11111111-89ab-cdef-0123-456789abcdef")]
namespace ` + namespace + ` {
	[ComImport, Guid("22222222-89ab-cdef-0123-456789abcdef")] public interface ` + class + ` { void Go(); }
	[ComImport, Guid("` + id + `")] public class ` + class + `Class { }
	[ComImport, Guid("33333333-89ab-cdef-0123-456789abcdef")] public class OtherClass { }
}`
	}
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	makes := func(class string) string {
		return "class P { static void Main() { object o = new " + class + "(); System.Console.WriteLine(o); } }"
	}
	for name, c := range map[string]struct {
		library, wrapper, program string
		rules                     []string
		com                       string // module, provider
	}{
		"of another maker": {"Interop.Acme.dll", library("Acme", "Tax", id), makes("Acme.TaxClass"), []string{"WP1612"}, "Acme.Tax {01234567-89AB-CDEF-0123-456789ABCDEF} unknown"},
		"of Windows":       {"ADODB.dll", library("ADODB", "Connection", id), makes("ADODB.ConnectionClass"), nil, "ADODB.Connection {01234567-89AB-CDEF-0123-456789ABCDEF} base"},
		"of a product":     {"Interop.MSXML2.dll", library("MSXML2", "DOMDocument40", id), makes("MSXML2.DOMDocument40Class"), []string{"WP1414"}, "MSXML2.DOMDocument40 {01234567-89AB-CDEF-0123-456789ABCDEF} nowhere"},
		"none of them":     {"Interop.Acme.dll", library("Acme", "Tax", id), `class P { static void Main() { System.Console.WriteLine(typeof(Acme.TaxClass)); } }`, []string{"WP1612"}, ""},
		"described by the code itself": {"Other.dll", "public class Other { }", `using System.Runtime.InteropServices; [ComImport, Guid("` + id + `")] class Tax { }
class P { static void Main() { System.Console.WriteLine(new Tax()); } }`, []string{"WP1415"}, "Tax {01234567-89AB-CDEF-0123-456789ABCDEF} unknown"},
		"an interface alone": {"Other.dll", "public class Other { }", `using System.Runtime.InteropServices; [ComImport, Guid("` + id + `")] interface ITax { }
class P { static void Main() { System.Console.WriteLine(typeof(ITax)); } }`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := csharp(t, [3]string{c.library, c.wrapper, "-target:library"}, [3]string{"Shop.exe", c.program, "-r:" + c.library})
			r, err := detect.Inspect(app, detect.Options{Name: "x", Closure: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, rule := range rules(r) {
				if rule == "WP1612" || rule == "WP1414" || rule == "WP1415" {
					got = append(got, rule)
				}
			}
			com := ""
			for _, m := range r.Closure.Modules {
				if m.Kind == detect.ModuleCOM {
					com += m.Name + " " + string(m.Provider)
					a := m.Askers[0]
					if text := string(app[a.Path].Data[a.Offset : a.Offset+a.Length]); !strings.Contains(m.Name, strings.ToUpper(text)) && !strings.HasSuffix(text, "Class") {
						t.Errorf("the evidence is %q", text)
					}
				}
			}
			if !slices.Equal(got, c.rules) || com != c.com {
				t.Errorf("got %v and %q, want %v and %q", got, com, c.rules, c.com)
			}
		})
	}
}

// A DLL that registers itself is told, and the classes that have its name are those of it.
func TestComponentsThatNothingRegistersAreTold(t *testing.T) {
	server := winbin.Native{Machine: "x86", DLL: true, Exports: []string{"DllCanUnloadNow", "DllRegisterServer"}}
	const page = `<% set a = Server.CreateObject("Acme.Tax") %>`
	const manifest = `<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><file name="acme.dll"><comClass clsid="{01234567-89ab-cdef-0123-456789abcdef}" progid="Acme.Tax"/></file></assembly>`
	for name, c := range map[string]struct {
		files []any
		rules []string
	}{
		"beside a page that makes its objects": {[]any{"default.asp", page, "bin/ACME.dll", server}, []string{"WP1658"}},
		"of another name":                      {[]any{"default.asp", page, "bin/Other.dll", server}, []string{"WP1415", "WP1658"}},
		"that a manifest names":                {[]any{"default.asp", page, "bin/Acme.dll", server, "bin/acme.manifest", manifest}, nil},
		"control":                              {[]any{"default.asp", `<% x = 1 %>`, "bin/grid.ocx", "MZ"}, []string{"WP1658"}},
		"too deep to be the application's":     {[]any{"default.asp", `<% x = 1 %>`, "a/b/c/d/Acme.dll", server}, nil},
		"of the maker of Windows":              {[]any{"default.asp", `<% x = 1 %>`, "bin/Microsoft.DiaSymReader.Native.x86.dll", server}, nil},
	} {
		r := look(t, pack(t, c.files...))
		var got []string
		for _, rule := range rules(r) {
			if rule == "WP1658" || rule == "WP1415" {
				got = append(got, rule)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.rules) || r.App.Kind != detect.KindClassicASP {
			t.Errorf("%s (%s): %v, want %v", name, r.App.Kind, got, c.rules)
		}
	}
}
