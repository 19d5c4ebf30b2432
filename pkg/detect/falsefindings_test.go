package detect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/pkg/detect"
)

// What real folders hold beside an application says nothing of it. Each folder has a
// twin in which the same thing is the application's.
func TestWhatLiesBesideAnApplicationIsNoFinding(t *testing.T) {
	site := func(more ...any) []any {
		return append([]any{"web.config", "<configuration/>", "Default.aspx", "<%@ Page %>"}, more...)
	}
	library := func(name string, native ...string) winbin.Assembly {
		a := dll(name, "1.0.0.0", "System.Windows.Forms 4.0.0.0")
		a.Native = native
		return a
	}
	old := dll("Newtonsoft.Json", "9.0.0.0")
	const path = `copy D:\orders\in\a.txt b.txt`
	for name, c := range map[string]struct {
		rule        string
		beside, own []any
	}{
		"the folder of an editor":          {"WP1695", site(".vs/slnx.sqlite", "x"), site("data/shop.sqlite", "x")},
		"packages that were restored":      {"WP1756", site("packages/Newtonsoft.Json.9.0.1/lib/net45/Newtonsoft.Json.dll", old), site("bin/Newtonsoft.Json.dll", old)},
		"a script of Web Deploy":           {"WP1713", site("Site.deploy.cmd", `reg query "HKLM\SOFTWARE\Acme"`), site("nightly.cmd", `reg query "HKLM\SOFTWARE\Acme"`)},
		"a script of publishing":           {"WP1771", site("Properties/PublishProfiles/publish-module.psm1", path), site("jobs/nightly.ps1", path)},
		"a test":                           {"WP1771", site("tests/a.cmd", path), site("testing.cmd", path)},
		"a service that each Windows runs": {"WP1718", site("install.cmd", `sc create shop binPath= shop.exe depend= Tcpip/RpcSs`), site("install.cmd", `sc create shop binPath= shop.exe depend= Tcpip/MSMQ`)},
		"a package that could draw":        {"WP1105", site("bin/WebGrease.dll", library("WebGrease")), site("bin/Shop.dll", library("Shop"))},
		"a package that could call":        {"WP1412", site("bin/FastReport.dll", library("FastReport", "msvfw32.dll!ICOpen")), site("bin/Shop.dll", library("Shop", "msvfw32.dll!ICOpen"))},
		"a runtime that a package needs":   {"", nil, site("bin/FastReport.dll", library("FastReport", "oci.dll!OCIEnvCreate"))},
		"a state server of its own":        {"WP1212", site("web.config", `<configuration><system.web><sessionState mode="StateServer" stateConnectionString="tcpip=state01:42424"/></system.web></configuration>`), site("web.config", `<configuration><system.web><sessionState mode="StateServer" stateConnectionString="tcpip=127.0.0.1:42424"/></system.web></configuration>`)},
		"an address of sessions":           {"WP1301", site("web.config", `<configuration><system.web><sessionState mode="StateServer" stateConnectionString="tcpip=127.0.0.1:42424"/></system.web></configuration>`), site("web.config", `<configuration><system.web><sessionState mode="SQLServer" sqlConnectionString="Data Source=sql01;User ID=sa;Password=k7Gq2vXw9"/></system.web></configuration>`)},
		"the root of the drive":            {"WP1306", site("app.config", `<configuration><appSettings><add key="Folder" value="C:\"/></appSettings></configuration>`), site("web.config", `<configuration><appSettings><add key="Folder" value="C:\Data\"/></appSettings></configuration>`)},
		"a copy of PHP's settings":         {"WP1306", []any{"index.php", "<?php echo 1;", "php/php_old.ini", `extension_dir = "D:\php\ext"`}, []any{"index.php", "<?php echo 1;", "shop.ini", `folder = "D:\shop"`}},
	} {
		if c.rule != "" {
			if r := look(t, pack(t, c.beside...)); slices.Contains(rules(r), c.rule) || r.App.Kind == detect.KindUnknown {
				t.Errorf("%s (%s): %s fires: %v", name, r.App.Kind, c.rule, r.Findings)
			}
		} else {
			c.rule = "WP1413"
		}
		if r := look(t, pack(t, c.own...)); !slices.Contains(rules(r), c.rule) {
			t.Errorf("%s: %s does not fire where it is the application's: %v", name, c.rule, rules(r))
		}
	}
}

// One cause is one finding, however many files or names show it.
func TestFindingsOfOneCauseAreJoined(t *testing.T) {
	r := look(t, pack(t, "Shop.exe", winbin.Native{Imports: []string{"msvcp140.dll!a", "vcruntime140.dll!b", "vcruntime140_1.dll!c", "msvcr100.dll!d"}}))
	var told []string
	for _, f := range r.Findings {
		if f.Rule == "WP1402" {
			told = append(told, f.Message)
		}
	}
	slices.Sort(told)
	if len(told) != 2 || !strings.Contains(told[0], "msvcp140.dll, vcruntime140.dll, vcruntime140_1.dll to start, of the Visual C++ 2015 to 2022") || !strings.Contains(told[1], "needs msvcr100.dll to start") {
		t.Errorf("%q", told)
	}
	var strs strings.Builder
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		strs.WriteString(`<add name="` + name + `" connectionString="Data Source=(localdb)\v11.0;Initial Catalog=x"/>`)
	}
	r = look(t, pack(t, "web.config", "<configuration><connectionStrings>"+strs.String()+"</connectionStrings></configuration>", "Default.aspx", "<%@ Page %>"))
	count := 0
	for _, f := range r.Findings {
		if f.Rule == "WP1302" {
			if count++; !strings.HasSuffix(f.Message, ": a, b, c, d, e, f, g, h and 2 more.") {
				t.Errorf("%q", f.Message)
			}
		}
	}
	if count != 1 {
		t.Errorf("%d findings of one cause: %v", count, r.Findings)
	}
}
