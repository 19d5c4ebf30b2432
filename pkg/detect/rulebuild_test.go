package detect_test

import (
	"bytes"
	"debug/pe"
	le "encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// shared makes an application once for all cases that use it.
func shared(make func(t *testing.T) fstest.MapFS) app {
	var once sync.Once
	var made fstest.MapFS
	return func(t *testing.T) fs.FS {
		once.Do(func() { made = make(t) })
		if made == nil {
			if os.Getenv("WINPACK_REQUIRE_TOOLS") == "1" {
				t.Fatal("the application could not be made: the first test that asked for it says why")
			}
			t.Skip("SKIPPED: the application could not be made: the first test that asked for it says why")
		}
		return made
	}
}

// longName is the name of the stub that is renamed to stand for other assemblies.
const longName = "StubStubStubStubStubStubStubStubStubStubStubStubStubStubStubStub"

// stubs are assemblies of those names with a type Stub.T: one that mcs made, with
// another name in its heap of strings.
func stubs(t *testing.T, dir string, names []string) {
	t.Helper()
	data := csharp(t, [3]string{longName + ".dll", "namespace Stub { public class T { } }", "-target:library"})[longName+".dll"].Data
	for _, name := range names {
		short := append([]byte(name), make([]byte, len(longName)-len(name))...)
		out := bytes.ReplaceAll(data, append([]byte(longName), 0), append(short, 0))
		if err := os.WriteFile(filepath.Join(dir, name+".dll"), out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// referring is a program that refers to assemblies of those names, which do not lie
// beside it.
func referring(names ...string) app {
	return shared(func(t *testing.T) fstest.MapFS { return refer(t, names) })
}

func refer(t *testing.T, names []string) fstest.MapFS {
	t.Helper()
	dir := t.TempDir()
	stubs(t, dir, names)
	var aliases, uses strings.Builder
	flags := []string{}
	for i, name := range names {
		fmt.Fprintf(&aliases, "extern alias S%d;\n", i)
		fmt.Fprintf(&uses, "new S%d::Stub.T(); ", i)
		flags = append(flags, fmt.Sprintf("-r:S%d=%s", i, filepath.Join(dir, name+".dll")))
	}
	return csharp(t, [3]string{"App.exe", aliases.String() + target + "static class P { static void Main() { " + uses.String() + "} }", strings.Join(flags, " ")})
}

// siteCode is a site whose assembly has that code, with a library that it uses.
func siteCode(code, library, of string) app {
	return shared(func(t *testing.T) fstest.MapFS {
		m := csharp(t, [3]string{library + ".dll", of, "-target:library"}, [3]string{"Shop.dll", "public class Start : System.Web.UI.Page { } " + code, "-target:library -r:System.Web.dll -r:" + library + ".dll"})
		return fstest.MapFS{"bin/Shop.dll": m["Shop.dll"], "bin/" + library + ".dll": m[library+".dll"], "Default.aspx": {Data: []byte(page)}}
	})
}

// importing is a native program that imports functions: "dll!function".
func importing(functions ...string) app {
	return shared(func(t *testing.T) fstest.MapFS { return native(t, "-l", functions) })
}

// delaying is one that loads their DLLs at the first call.
func delaying(functions ...string) app {
	return shared(func(t *testing.T) fstest.MapFS { return native(t, "-y", functions) })
}

func native(t *testing.T, library string, functions []string) fstest.MapFS {
	t.Helper()
	needTool(t, "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64")
	dir := t.TempDir()
	var code, calls strings.Builder
	byDLL := map[string][]string{}
	for _, f := range functions {
		dll, function, _ := strings.Cut(f, "!")
		byDLL[dll] = append(byDLL[dll], function)
		fmt.Fprintf(&code, "int %s(void);\n", function)
		fmt.Fprintf(&calls, "%s(); ", function)
	}
	run := func(command string, args ...string) {
		cmd := exec.Command(command, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	args := []string{"-o", "app.exe", "m.c"}
	var dlls []string
	for dll := range byDLL {
		dlls = append(dlls, dll)
	}
	slices.Sort(dlls)
	for i, dll := range dlls {
		def := fmt.Sprintf("LIBRARY \"%s\"\nEXPORTS\n%s\n", dll, strings.Join(byDLL[dll], "\n"))
		if err := os.WriteFile(filepath.Join(dir, "m.def"), []byte(def), 0o644); err != nil {
			t.Fatal(err)
		}
		lib := fmt.Sprintf("lib%d.a", i)
		run("x86_64-w64-mingw32-dlltool", "-d", "m.def", library, lib)
		args = append(args, lib)
	}
	if err := os.WriteFile(filepath.Join(dir, "m.c"), []byte(code.String()+"int main(void) { "+calls.String()+"return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("x86_64-w64-mingw32-gcc", append(args, "-fno-builtin")...)
	data, err := os.ReadFile(filepath.Join(dir, "app.exe"))
	if err != nil {
		t.Fatal(err)
	}
	if library == "-y" {
		delayed(t, data, dlls[0])
	}
	return fstest.MapFS{"app.exe": {Data: data}}
}

// delayed has the header name the table of delayed imports, which older linkers of
// MinGW make and do not name: the descriptor has the attribute 1, and then the place of
// the name of the DLL.
func delayed(t *testing.T, data []byte, dll string) {
	t.Helper()
	file, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	dirs := file.OptionalHeader.(*pe.OptionalHeader64).DataDirectory
	if dirs[pe.IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT].VirtualAddress != 0 {
		return
	}
	for _, s := range file.Sections {
		for i := uint32(0); i+32 <= s.Size && int(s.Offset+i+32) <= len(data); i += 4 {
			d := data[s.Offset+i:]
			name := le.LittleEndian.Uint32(d[4:])
			if le.LittleEndian.Uint32(d) != 1 || name == 0 {
				continue
			}
			for _, of := range file.Sections {
				if at := name - of.VirtualAddress + of.Offset; name >= of.VirtualAddress && name < of.VirtualAddress+of.VirtualSize && int(at)+len(dll) < len(data) && string(data[at:int(at)+len(dll)]) == dll {
					header := le.LittleEndian.Uint32(data[0x3c:]) + 24 + 112 + 8*pe.IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT
					le.LittleEndian.PutUint32(data[header:], s.VirtualAddress+i)
					le.LittleEndian.PutUint32(data[header+4:], 64)
					return
				}
			}
		}
	}
	t.Fatal("no descriptor of a delayed import")
}

// snippet is code of a rule: members of a class.
type snippet struct{ id, fires, near string }

const codeFlags = "-r:System.Windows.Forms.dll -r:System.Drawing.dll -r:System.ServiceProcess.dll -r:System.Configuration.Install.dll -r:System.Transactions.dll -r:System.EnterpriseServices.dll -r:System.Security.dll -r:System.ServiceModel.dll -r:System.Web.dll -r:System.Data.dll -r:System.Core.dll"

// codeOf is the source of a program with all snippets, those that fire or the others.
func codeOf(all []snippet, fires bool) string {
	var b strings.Builder
	b.WriteString("using System; using System.IO; using System.Runtime.InteropServices;\n" + target + "static class P { static void Main() { } }\n")
	for _, s := range all {
		text := s.near
		if fires {
			text = s.fires
		}
		fmt.Fprintf(&b, "static class R%s { %s }\n", s.id, text)
	}
	return b.String()
}

// programs are the two programs with snippets: a console program of .NET Framework.
func programs(all []snippet) (fires, near app) {
	make := func(fire bool) app {
		return shared(func(t *testing.T) fstest.MapFS {
			return csharp(t, [3]string{"App.exe", codeOf(all, fire), codeFlags})
		})
	}
	return make(true), make(false)
}

// asSite is the code of a program in the folder bin of a site, asDotNet as a program of .NET.
func asSite(a app) app {
	return func(t *testing.T) fs.FS {
		return fstest.MapFS{"bin/App.dll": a(t).(fstest.MapFS)["App.exe"], "Default.aspx": {Data: []byte(page)}}
	}
}

func asDotNet(a app, framework string) app {
	return func(t *testing.T) fs.FS {
		m := files("App.runtimeconfig.json", `{"runtimeOptions":{"tfm":"net10.0","framework":{"name":"`+framework+`","version":"10.0.0"}}}`)
		m["App.dll"] = a(t).(fstest.MapFS)["App.exe"]
		return m
	}
}

// shared2 is compiled once, of several sources.
func shared2(_ *testing.T, sources ...[3]string) app {
	return shared(func(t *testing.T) fstest.MapFS { return csharp(t, sources...) })
}

// mixed is a program that starts in native code, as C++/CLI makes them.
func mixed(t *testing.T) fs.FS {
	m := csharp(t, [3]string{"App.exe", nothing, ""})
	data := bytes.Clone(m["App.exe"].Data)
	i := bytes.Index(data, []byte{72, 0, 0, 0, 2, 0, 5, 0}) // the CLI header: its size and the version of the runtime
	copy(data[i+16:], []byte{0x10, 0, 0, 0, 0, 0x20, 0, 0}) // not ILONLY, NATIVE_ENTRYPOINT, and an address
	return fstest.MapFS{"App.exe": {Data: data}}
}

// oldMetadata is a program whose metadata is of that version of the CLR, and whose core
// library is too.
func oldMetadata(version string) app {
	return func(t *testing.T) fs.FS {
		m := csharp(t, [3]string{"App.exe", nothing, ""})
		data := bytes.Clone(m["App.exe"].Data)
		name := append([]byte(version), make([]byte, len("v4.0.30319")-len(version))...)
		i := bytes.Index(data, []byte("v4.0.30319"))
		copy(data[i:], name)
		// The reference to mscorlib 4.0.0.0 becomes one to 1.0.5000.0, or to 2.0.0.0.
		ref := []byte{4, 0, 0, 0, 0, 0, 0, 0}
		major := byte(2)
		if version[1] == '1' {
			major = 1
		}
		for j := i; j >= 0; {
			k := bytes.Index(data[j:], ref)
			if k < 0 {
				break
			}
			data[j+k] = major
			j += k + 8
		}
		return fstest.MapFS{"App.exe": {Data: data}}
	}
}
