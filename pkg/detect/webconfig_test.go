package detect_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// A setting of one folder of a site is none of its root, wherever it is written.
func TestSettingOfALocationIsNotThatOfTheSite(t *testing.T) {
	const reports = `<location path="Reports"><system.web><identity impersonate="true"/><compilation targetFramework="4.8.1"/><machineKey validationKey="AB"/></system.web></location>`
	web := func(body string) string { return `<configuration>` + body + `</configuration>` }
	for name, c := range map[string]struct {
		web     string
		classic bool
		version string
	}{
		"of a folder":   {web(reports + `<system.web><compilation targetFramework="4.6"/></system.web>`), false, "4.6"},
		"of the site":   {web(`<location path="."><system.web><identity impersonate="true"/><compilation targetFramework="4.8.1"/></system.web></location>`), true, "4.8.1"},
		"without path":  {web(`<location inheritInChildApplications="false"><system.web><identity impersonate="true"/><compilation targetFramework="4.8.1"/></system.web></location>`), true, "4.8.1"},
		"in its folder": {web(`<system.web><compilation targetFramework="4.6"/></system.web>`), false, "4.6"},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files("Default.aspx", page, "web.config", c.web, "Reports/web.config", web(`<system.web><identity impersonate="true"/></system.web>`)))
			if slices.Contains(rules(r), "WP1217") != c.classic || r.App.Framework.Version != c.version {
				t.Errorf("got %s and %v, want %s", r.App.Framework.Version, rules(r), c.version)
			}
			if !slices.Contains(rules(r), "WP1210") || !slices.Contains(rules(r), "WP1213") {
				t.Errorf("got %v", rules(r))
			}
		})
	}
}

// Sections of system.web often stand in a file of their own, which configSource names.
func TestSectionInAFileOfItsOwnIsRead(t *testing.T) {
	const web = `<configuration><system.web><machineKey configSource="mk.config"/><sessionState configSource="conf\session.config"/><authentication configSource="auth.config"/></system.web></configuration>`
	r := look(t, files("Default.aspx", page, "web.config", web,
		"mk.config", `<machineKey validationKey="PLANTED" decryptionKey="PLANTED"/>`,
		"conf/session.config", `<sessionState mode="InProc"/>`,
		"auth.config", `<authentication mode="Windows"/>`))
	for _, want := range []string{"WP1202", "WP1212", "WP1301"} {
		i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == want })
		if i < 0 {
			t.Errorf("%s is missing in %v", want, rules(r))
		} else if p := r.Findings[i].Evidence[0].Path; !strings.HasSuffix(p, ".config") || p == "web.config" {
			t.Errorf("%s points at %s", want, p)
		}
	}
	if slices.Contains(rules(r), "WP1210") {
		t.Error("a machineKey in a file of its own was not seen")
	}
	if out := marshal(t, r); bytes.Contains(out, []byte("PLANTED")) {
		t.Error("a secret was printed")
	}
	r = look(t, files("Default.aspx", page, "web.config", web))
	if slices.Contains(rules(r), "WP1210") {
		t.Error("nothing is known of a machineKey whose file is missing")
	}
	if !slices.Contains(rules(r), "WP1310") {
		t.Errorf("the missing file is not told: %v", rules(r))
	}
}

// IIS refuses every request of a site whose web.config is no XML, which no warning
// about what could not be read says.
func TestBrokenWebConfigIsAnError(t *testing.T) {
	r := look(t, files("Default.aspx", page, "web.config", "<configuration>\n<system.web>\n</configuration>"))
	i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1219" })
	if i < 0 || r.Findings[i].Level != detect.LevelError || r.Findings[i].Evidence[0].Line != 3 {
		t.Errorf("got %+v", r.Findings)
	}
	if slices.Contains(rules(r), "WP1210") {
		t.Error("a machineKey is missed in a file that could not be read")
	}
}

// What IIS did in front of an application of ASP.NET Core, Kestrel does not: a site
// that was closed may be open.
func TestWhatIISDidForASPNETCoreIsTold(t *testing.T) {
	core := func(body string) fstest.MapFS {
		return with(t, files("web.config", `<configuration><system.webServer><aspNetCore processPath="dotnet" arguments=".\Orders.dll"/>`+body+`</system.webServer></configuration>`),
			"Orders.dll", "aspnet-core/Orders.dll", "Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json")
	}
	for name, c := range map[string]struct{ body, find string }{
		"sign-in":   {`<security><authentication><windowsAuthentication enabled="true"/><anonymousAuthentication enabled="false"/></authentication></security>`, "WP1220"},
		"rewrite":   {`<rewrite><rules><rule name="https"><match url="(.*)"/><action type="Redirect" url="https://{HTTP_HOST}/{R:1}"/></rule></rules></rewrite>`, "WP1221"},
		"addresses": {`<security><ipSecurity allowUnlisted="false"><add ipAddress="10.0.0.1" allowed="true"/></ipSecurity></security>`, "WP1221"},
		"limits":    {`<security><requestFiltering><requestLimits maxAllowedContentLength="1"/></requestFiltering></security>`, "WP1221"},
		"nothing":   {`<security><authentication><windowsAuthentication enabled="false"/></authentication></security>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, core(c.body))
			if r.App.Kind != detect.KindASPNETCore {
				t.Fatalf("got %s", r.App.Kind)
			}
			got := slices.DeleteFunc(rules(r), func(id string) bool { return id != "WP1220" && id != "WP1221" })
			if want := slices.DeleteFunc([]string{c.find}, func(s string) bool { return s == "" }); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	site := look(t, files("Default.aspx", page, "web.config", `<configuration><system.webServer><security><requestFiltering><requestLimits maxAllowedContentLength="1"/></requestFiltering></security></system.webServer></configuration>`))
	if slices.Contains(rules(site), "WP1221") {
		t.Error("IIS applies its settings to a site of its own")
	}
}
