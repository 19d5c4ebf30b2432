package detect_test

import (
	"bytes"
	le "encoding/binary"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

// app makes the folder of an application.
type app func(*testing.T) fs.FS

// ruleCase is an application for which a rule gives a finding, and one that comes near
// to it and gives none.
type ruleCase struct{ fires, near app }

// fixture is one of the cases below fixtures.
func fixture(name string) app {
	return func(t *testing.T) fs.FS { return os.DirFS(fixtures.App(t, name)) }
}

func folder(pairs ...string) app {
	return func(*testing.T) fs.FS { return files(pairs...) }
}

// aspSite is a site of ASP.NET with more files.
func aspSite(pairs ...string) app { return folder(append([]string{"Default.aspx", page}, pairs...)...) }

// webConfig is a site of ASP.NET with that in its web.config.
func webConfig(sections string) app {
	return aspSite("web.config", "<configuration>\n"+strings.ReplaceAll(sections, "><", ">\n<")+"</configuration>")
}

func webServer(sections string) app {
	return webConfig("<system.webServer>" + sections + "</system.webServer>")
}

// connection is a site with a connection string.
func connection(s string) app {
	return webConfig(`<connectionStrings><add name="Main" connectionString="` + s + `"/></connectionStrings>`)
}

func appSetting(key, value string) app {
	return webConfig(`<appSettings><add key="` + key + `" value="` + value + `"/></appSettings>`)
}

// built adds files of fixtures to a folder, as with does.
func built(extra []string, pairs ...string) app {
	return func(t *testing.T) fs.FS { return with(t, files(extra...), pairs...) }
}

// coreApp is a web program of .NET with more files.
func coreApp(pairs ...string) app {
	return built(pairs, "Orders.exe", "aspnet-core/Orders.exe", "Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json")
}

// machine is a program whose header names another machine.
func machine(a app, file string, code uint16) app {
	return func(t *testing.T) fs.FS {
		m := a(t).(fstest.MapFS)
		data := bytes.Clone(m[file].Data)
		le.LittleEndian.PutUint16(data[le.LittleEndian.Uint32(data[0x3c:])+4:], code)
		m[file] = &fstest.MapFile{Data: data}
		return m
	}
}

func compiled(sources ...[3]string) app {
	return func(t *testing.T) fs.FS { return csharp(t, sources...) }
}

const (
	html    = "<!DOCTYPE html><html></html>"
	windows = `using System.Windows.Forms; namespace U { public class Main : Form { } public static class Start { public static void Go() { Application.Run(new Main()); } } public static class Math { public static int Twice(int x) { return 2 * x; } } }`
	plain   = `namespace U { public static class Math { public static int Twice(int x) { return 2 * x; } } }`
	twice   = "static class P { static void Main() { U.Math.Twice(1); } }"
	django  = `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "a.settings")`
	target  = `[assembly: System.Runtime.Versioning.TargetFramework(".NETFramework,Version=v4.8")] `
	nothing = "static class P { static void Main() { } }"
)

var console = folderOf(fixture("netfx-winexe-console"))

// folderOf reads an application into memory, so that a case may change it.
func folderOf(a app) app {
	return func(t *testing.T) fs.FS {
		m := fstest.MapFS{}
		fsys := a(t)
		err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(fsys, p)
			m[p] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

// plus adds files to an application.
func plus(a app, pairs ...string) app {
	return func(t *testing.T) fs.FS {
		m := folderOf(a)(t).(fstest.MapFS)
		for p, f := range files(pairs...) {
			m[p] = f
		}
		return m
	}
}

// missing lists rules without a case of their own, and cases of no rule.
func missing(all []detect.Rule, cases map[string]ruleCase) []string {
	var out []string
	known := map[string]bool{}
	for _, r := range all {
		known[r.ID] = true
		if c := cases[r.ID]; c.fires == nil || c.near == nil {
			out = append(out, r.ID+" has no case")
		}
	}
	for id := range cases {
		if !known[id] {
			out = append(out, id+" is no rule")
		}
	}
	slices.Sort(out)
	return out
}

func TestEachRuleHasAnApplicationThatFiresItAndANearMiss(t *testing.T) {
	cases := ruleCases(t)
	one := map[string]ruleCase{"WP1001": {fires: aspSite()}, "WP0000": {aspSite(), aspSite()}}
	if got := missing(detect.Rules()[:1], one); !slices.Equal(got, []string{"WP0000 is no rule", "WP1001 has no case"}) {
		t.Fatalf("the check finds %v", got)
	}
	for _, m := range missing(detect.Rules(), cases) {
		t.Error(m)
	}
	if n := len(detect.Rules()); n < 200 {
		t.Errorf("%d rules", n)
	}
	for _, rule := range detect.Rules() {
		c := cases[rule.ID]
		if c.fires == nil || c.near == nil {
			continue
		}
		r := whole(look(t, c.fires(t)))
		i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == rule.ID })
		if i < 0 {
			t.Errorf("%s does not fire: %s %v", rule.ID, r.App.Kind, rules(r))
			continue
		}
		if f := r.Findings[i]; len(f.Evidence) == 0 || strings.ContainsAny(f.Message+f.Remedy, "{}") && rule.ID != "WP1684" || f.Level != rule.Level {
			t.Errorf("%s: %+v", rule.ID, f)
		}
		if r := whole(look(t, c.near(t))); slices.Contains(rules(r), rule.ID) {
			i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == rule.ID })
			t.Errorf("%s fires for its near miss: %+v", rule.ID, r.Findings[i])
		}
	}
}

// whole is a report with the findings of all apps of the folder.
func whole(r detect.Report) detect.Report {
	for _, a := range r.Apps {
		r.Findings = append(r.Findings, a.Findings...)
	}
	return r
}
