package detect

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// shelf is a tree with assemblies of given versions that need no real files.
func shelf(t *testing.T, config string, assemblies ...string) *Tree {
	t.Helper()
	files := fstest.MapFS{"x.txt": {Data: []byte("x")}}
	if config != "" {
		files["web.config"] = &fstest.MapFile{Data: []byte(config)}
	}
	tree, err := newTree(files, "x")
	if err != nil {
		t.Fatal(err)
	}
	tree.byName = map[string]*image{}
	for _, a := range assemblies {
		p, version, _ := strings.Cut(a, " ")
		tree.byName[strings.ToLower(p)] = &image{path: p, clr: &managed{Version: version}}
	}
	return tree
}

func ref(t *testing.T, text string) *pe.Assembly {
	t.Helper()
	parts := strings.Fields(text)
	r := &pe.Assembly{Name: parts[0], Version: parts[1]}
	if len(parts) > 2 {
		if n, err := hex.Decode(r.Token[:], []byte(parts[2])); err != nil || n != 8 {
			t.Fatal(text)
		}
		r.Signed = true
	}
	return r
}

const (
	ms   = "b77a5c561934e089"
	aspx = "31bf3856ad364e35"
	acme = "a1b2c3d4e5f60718"
)

func binding(rows string) string {
	return `<configuration><runtime><assemblyBinding xmlns="urn:schemas-microsoft-com:asm.v1">` + rows + `</assemblyBinding></runtime></configuration>`
}

func identity(name, token, more string) string {
	return `<dependentAssembly><assemblyIdentity name="` + name + `" publicKeyToken="` + token + `" culture="neutral"/>` + more + `</dependentAssembly>`
}

func TestWhereNETFrameworkFindsAnAssembly(t *testing.T) {
	for name, c := range map[string]struct {
		config     string
		assemblies string
		ref        string
		provider   Provider
		from, miss string
	}{
		"of the framework":                         {"", "", "System.Web 4.0.0.0 b03f5f7f11d50a3a", FromFramework, netFramework, ""},
		"of an older framework":                    {"", "", "System.Core 3.5.0.0 " + ms, FromFramework, netFramework, ""},
		"a copy of the framework's":                {"", "bin/System.Core.dll 4.0.0.0", "System.Core 4.0.0.0 " + ms, FromFramework, netFramework, ""},
		"the framework's name with another key":    {"", "", "System.Core 4.0.0.0 " + acme, FromNowhere, "", "gac-assembly"},
		"a key of Microsoft's proves nothing":      {"", "", "Microsoft.Something.Else 1.0.0.0 " + aspx, FromUnknown, "", "assembly-unlisted"},
		"a product that is known":                  {"", "", "System.Web.Mvc 4.0.0.0 " + aspx, FromNowhere, "", "gac-assembly"},
		"a product in bin":                         {"", "bin/System.Web.Mvc.dll 4.0.0.0", "System.Web.Mvc 4.0.0.0 " + aspx, FromApp, "bin/System.Web.Mvc.dll", ""},
		"another key":                              {"", "", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "gac-assembly"},
		"no strong name":                           {"", "", "Plain 1.0.0.0", FromNowhere, "", "assembly-nowhere"},
		"no strong name, another version":          {"", "bin/Plain.dll 7.0.0.0", "Plain 1.0.0.0", FromApp, "bin/Plain.dll", ""},
		"another case":                             {"", "Bin/ACME.printing.DLL 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromApp, "Bin/ACME.printing.DLL", ""},
		"in a folder of its name":                  {"", "bin/Acme.Printing/Acme.Printing.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromApp, "bin/Acme.Printing/Acme.Printing.dll", ""},
		"in a folder that nobody names":            {"", "lib/Acme.Printing.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "gac-assembly"},
		"in a private path":                        {binding(`<probing privatePath="plugins; lib\more"/>`), "lib/more/Acme.Printing.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromApp, "lib/more/Acme.Printing.dll", ""},
		"in a private path that leads out":         {binding(`<probing privatePath="..\lib"/>`), "lib/Acme.Printing.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "gac-assembly"},
		"another version":                          {"", "bin/Acme.Printing.dll 3.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "assembly-version"},
		"redirected":                               {binding(identity("acme.printing", acme, `<bindingRedirect oldVersion="0.0.0.0-3.0.0.0" newVersion="3.0.0.0"/>`)), "bin/Acme.Printing.dll 3.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromApp, "bin/Acme.Printing.dll", ""},
		"redirected for another key":               {binding(identity("Acme.Printing", ms, `<bindingRedirect oldVersion="0.0.0.0-3.0.0.0" newVersion="3.0.0.0"/>`)), "bin/Acme.Printing.dll 3.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "assembly-version"},
		"redirected for other versions":            {binding(identity("Acme.Printing", acme, `<bindingRedirect oldVersion="2.5.0.0-3.0.0.0" newVersion="3.0.0.0"/>`)), "bin/Acme.Printing.dll 3.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "assembly-version"},
		"redirected away from what is there":       {binding(identity("Acme.Printing", acme, `<bindingRedirect oldVersion="2.0.0.0" newVersion="9.0.0.0"/>`)), "bin/Acme.Printing.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "assembly-version"},
		"by code base":                             {binding(identity("Acme.Printing", acme, `<codeBase version="2.0.0.0" href="shared/p.dll"/>`)), "shared/p.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromApp, "shared/p.dll", ""},
		"by code base of another version":          {binding(identity("Acme.Printing", acme, `<codeBase version="1.0.0.0" href="shared/p.dll"/>`)), "shared/p.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "gac-assembly"},
		"by code base on a drive":                  {binding(identity("Acme.Printing", acme, `<codeBase version="2.0.0.0" href="file:///D:/shared/p.dll"/>`)), "shared/p.dll 2.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "gac-assembly"},
		"a package of a facade, with its redirect": {binding(identity("System.ValueTuple", "cc7b13ffcd2ddd51", `<bindingRedirect oldVersion="0.0.0.0-4.0.3.0" newVersion="4.0.3.0"/>`)), "bin/System.ValueTuple.dll 4.0.3.0", "System.ValueTuple 4.0.2.0 cc7b13ffcd2ddd51", FromApp, "bin/System.ValueTuple.dll", ""},
		"a facade without its package":             {"", "", "System.ValueTuple 4.0.2.0 cc7b13ffcd2ddd51", FromFramework, netFramework, ""},
		"a later System.Net.Http, redirected":      {binding(identity("System.Net.Http", "b03f5f7f11d50a3a", `<bindingRedirect oldVersion="0.0.0.0-4.2.0.0" newVersion="4.2.0.0"/>`)), "bin/System.Net.Http.dll 4.2.0.0", "System.Net.Http 4.1.1.0 b03f5f7f11d50a3a", FromApp, "bin/System.Net.Http.dll", ""},
		"binding for CLR 2 alone":                  {strings.Replace(binding(identity("Acme.Printing", acme, `<bindingRedirect oldVersion="2.0.0.0" newVersion="3.0.0.0"/>`)), "asm.v1\"", "asm.v1\" appliesTo=\"v2.0.50727\"", 1), "bin/Acme.Printing.dll 3.0.0.0", "Acme.Printing 2.0.0.0 " + acme, FromNowhere, "", "assembly-version"},
		"a name that is a path":                    {"", "x.dll 1.0.0.0", "../x 1.0.0.0", FromNowhere, "", "assembly-nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			var have []string
			if c.assemblies != "" {
				have = []string{c.assemblies}
			}
			tree := shelf(t, c.config, have...)
			got := tree.siteBinder().find(ref(t, c.ref))
			if got.provider != c.provider || got.from != c.from || got.miss != c.miss || got.why == "" {
				t.Errorf("got %+v, want %s from %q, missing %q", got, c.provider, c.from, c.miss)
			}
			if len(tree.problems) > 0 {
				t.Errorf("problems: %v", tree.problems)
			}
		})
	}
}

func TestWhereNETFindsAnAssembly(t *testing.T) {
	for name, c := range map[string]struct {
		config, deps string
		assemblies   string
		ref          string
		provider     Provider
		from, miss   string
	}{
		"of the shared framework":                  {ref: "System.Runtime 8.0.0.0 b03f5f7f11d50a3a", provider: FromFramework, from: "Microsoft.NETCore.App"},
		"beside the program":                       {assemblies: "Acme.dll 1.0.0.0", ref: "Acme 9.0.0.0 " + acme, provider: FromApp, from: "Acme.dll"},
		"a package that replaces the framework's":  {assemblies: "System.Text.Json.dll 9.0.0.0", ref: "System.Text.Json 9.0.0.0 cc7b13ffcd2ddd51", provider: FromApp, from: "System.Text.Json.dll"},
		"not published":                            {ref: "Acme 1.0.0.0", provider: FromNowhere, miss: "assembly-unpublished"},
		"a name of Microsoft's that is not listed": {ref: "Microsoft.Data.SqlClient 5.0.0.0 23ec7fc2d6eaa4a5", provider: FromUnknown},
		"of ASP.NET Core, without it":              {ref: "Microsoft.AspNetCore.Http 8.0.0.0 adb9793829ddae60", provider: FromNowhere, miss: "framework-not-named"},
		"of ASP.NET Core, with it": {config: `{"runtimeOptions":{"frameworks":[{"name":"Microsoft.NETCore.App","version":"8.0.0"},{"name":"Microsoft.AspNetCore.App","version":"8.0.0"}]}}`,
			ref: "Microsoft.AspNetCore.Http 8.0.0.0 adb9793829ddae60", provider: FromFramework, from: "Microsoft.AspNetCore.App"},
		"self-contained, without the runtime's file": {config: `{"runtimeOptions":{"includedFrameworks":[{"name":"Microsoft.NETCore.App","version":"8.0.0"}]}}`,
			ref: "System.Runtime 8.0.0.0 b03f5f7f11d50a3a", provider: FromUnknown},
		"an asset for this system": {deps: `{"runtimeTarget":{"name":"t"},"targets":{"t":{"P/1":{"runtimeTargets":{"runtimes/win/lib/net8.0/Acme.dll":{"rid":"win","assetType":"runtime"}}}}}}`,
			assemblies: "runtimes/win/lib/net8.0/Acme.dll 1.0.0.0", ref: "Acme 1.0.0.0", provider: FromApp, from: "runtimes/win/lib/net8.0/Acme.dll"},
		"an asset for another system": {deps: `{"runtimeTarget":{"name":"t"},"targets":{"t":{"P/1":{"runtimeTargets":{"runtimes/linux/lib/net8.0/Acme.dll":{"rid":"linux","assetType":"runtime"}}}}}}`,
			assemblies: "runtimes/linux/lib/net8.0/Acme.dll 1.0.0.0", ref: "Acme 1.0.0.0", provider: FromNowhere, miss: "assembly-unpublished"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.config == "" {
				c.config = `{"runtimeOptions":{"framework":{"name":"Microsoft.NETCore.App","version":"8.0.0"}}}`
			}
			files := fstest.MapFS{"App.runtimeconfig.json": {Data: []byte(c.config)}}
			if c.deps != "" {
				files["App.deps.json"] = &fstest.MapFile{Data: []byte(c.deps)}
			}
			if p, _, ok := strings.Cut(c.assemblies, " "); ok {
				files[p] = &fstest.MapFile{Data: []byte("x")}
			}
			tree, err := newTree(files, "x")
			if err != nil {
				t.Fatal(err)
			}
			tree.byName = map[string]*image{}
			if p, version, ok := strings.Cut(c.assemblies, " "); ok {
				tree.byName[strings.ToLower(p)] = &image{path: p, clr: &managed{Version: version}}
			}
			got := tree.programBinder("dotnet", &image{path: "App.dll", dir: "."}).find(ref(t, c.ref))
			if got.provider != c.provider || got.from != c.from || got.miss != c.miss || got.why == "" {
				t.Errorf("got %+v, want %s from %q, missing %q", got, c.provider, c.from, c.miss)
			}
		})
	}
}

func TestFilesOfDepsJSONThatAreMissing(t *testing.T) {
	const deps = `{"runtimeTarget":{"name":"t"},"targets":{"t":{
		"There/1":{"runtime":{"lib/net8.0/There.dll":{}}},
		"Gone/2":{"runtime":{"lib/net8.0/Gone.dll":{}}},
		"Stored/1":{"runtime":{"lib/net8.0/Stored.dll":{}}},
		"Native/1":{"native":{"runtimes/win-x64/native/n.dll":{}}},
		"Nothing/1":{"runtime":{"lib/net8.0/_._":{}}},
		"Reference/1":{"compile":{"lib/net8.0/Compile.dll":{}}}}},
		"libraries":{"Stored/1":{"runtimeStoreManifestName":"aspnetcore.xml"}}}`
	tree, err := newTree(fstest.MapFS{"App.deps.json": {Data: []byte(deps)}, "there.DLL": {Data: []byte("x")}}, "x")
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, f := range missingAssets(tree.depsAssets("App.deps.json"), "App.dll") {
		missing = append(missing, f.Value)
		if f.Evidence[0].Line != 3 || f.Evidence[0].Path != "App.deps.json" {
			t.Errorf("evidence %+v", f.Evidence)
		}
	}
	if !slices.Equal(missing, []string{"Gone.dll"}) {
		t.Errorf("missing are %q", missing)
	}
	if tree.depsAssets("Other.deps.json") != nil {
		t.Error("assets of a file that is not there")
	}
}

func TestLibrariesOfOtherSystemsAreNoDLLs(t *testing.T) {
	for name, want := range map[string]bool{
		"libc": true, "libSystem.Native": true, "libdl.so.2": true, "/usr/lib/libobjc.dylib": true, "__Internal": true, "QCall": true, "": true,
		"kernel32": false, "user32.dll": false, "libmysql.dll": false, "libcurl": false, `C:\x\acme.dll`: false, "SQLite.Interop.dll": false,
	} {
		if notWindows(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
