package detect_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

func ids(needs []detect.Need) []string {
	var out []string
	for _, n := range needs {
		out = append(out, n.ID)
	}
	return out
}

func TestWhatWebConfigAsksOfIIS(t *testing.T) {
	for name, c := range map[string]struct {
		web                       string // below <configuration>
		unlock, features, modules []string
		findings, not             []string
	}{
		"windows authentication": {
			web:    `<system.webServer><security><authentication><windowsAuthentication enabled="true"/><anonymousAuthentication enabled="false"/></authentication></security></system.webServer>`,
			unlock: []string{"system.webServer/security/authentication/anonymousAuthentication", "system.webServer/security/authentication/windowsAuthentication"}, features: []string{"windows-authentication"}, findings: []string{"WP1201", "WP1206"},
		},
		"windows authentication turned off": {
			web:    `<system.webServer><security><authentication><windowsAuthentication enabled="false"/></authentication></security></system.webServer>`,
			unlock: []string{"system.webServer/security/authentication/windowsAuthentication"}, not: []string{"WP1201"},
		},
		"in a location": {
			web:    `<location path="admin"><system.webServer><security><access sslFlags="Ssl"/></security></system.webServer></location>`,
			unlock: []string{"system.webServer/security/access"}, findings: []string{"WP1206"},
		},
		"url rewrite": {
			web:     `<system.webServer><rewrite><rules><rule name="a"><action type="Redirect" url="/b"/></rule></rules></rewrite></system.webServer>`,
			modules: []string{"url-rewrite"}, findings: []string{"WP1203"},
		},
		"reverse proxy": {
			web:     `<system.webServer><rewrite><rules><rule name="a"><action type="Rewrite" url="http://other/{R:1}"/></rule></rules></rewrite></system.webServer>`,
			modules: []string{"arr", "url-rewrite"}, findings: []string{"WP1203"},
		},
		"cors section":                  {web: `<system.webServer><cors enabled="true"/></system.webServer>`, modules: []string{"cors"}, findings: []string{"WP1203"}},
		"cors headers need nothing":     {web: `<system.webServer><httpProtocol><customHeaders><add name="Access-Control-Allow-Origin" value="*"/></customHeaders></httpProtocol></system.webServer>`, not: []string{"WP1203"}},
		"websockets":                    {web: `<system.webServer><webSocket enabled="true"/></system.webServer>`, unlock: []string{"system.webServer/webSocket"}, features: []string{"websockets"}, findings: []string{"WP1204"}},
		"application initialization":    {web: `<system.webServer><applicationInitialization/></system.webServer>`, features: []string{"application-initialization"}, findings: []string{"WP1204"}},
		"sections for the server":       {web: `<system.webServer><httpCompression/></system.webServer>`, findings: []string{"WP1207"}},
		"handlers are open for ASP.NET": {web: `<system.webServer><handlers><add name="a" path="*.x" verb="*" type="A.B"/></handlers><modules><add name="m" type="A.M"/></modules></system.webServer>`, not: []string{"WP1206", "WP1205"}},
		"unknown native module":         {web: `<system.webServer><modules><add name="ISAPI_Rewrite3"/></modules></system.webServer>`, findings: []string{"WP1205"}},
		"native module removed":         {web: `<system.webServer><modules><remove name="StaticFileModule"/></modules></system.webServer>`, findings: []string{"WP1208"}},
		"WebDAV removed is harmless":    {web: `<system.webServer><modules><remove name="WebDAVModule"/></modules></system.webServer>`, not: []string{"WP1208", "WP1205"}},
		"error page path":               {web: `<system.webServer><httpErrors defaultPath="/e.htm"/></system.webServer>`, findings: []string{"WP1209"}},
		"dynamic compression":           {web: `<system.webServer><urlCompression doDynamicCompression="true"/></system.webServer>`, findings: []string{"WP1218"}, not: []string{"WP1204"}},
		"debug":                         {web: `<system.web><compilation debug="true"/></system.web>`, findings: []string{"WP1211"}},
		"fixed machine key":             {web: `<system.web><machineKey validationKey="AB" decryptionKey="CD"/></system.web>`, not: []string{"WP1210"}, findings: []string{"WP1301"}},
		"generated machine key":         {web: `<system.web><machineKey validationKey="AutoGenerate,IsolateApps"/></system.web>`, findings: []string{"WP1210"}, not: []string{"WP1301"}},
		"encrypted section":             {web: `<connectionStrings configProtectionProvider="RsaProtectedConfigurationProvider"><EncryptedData/></connectionStrings>`, findings: []string{"WP1305"}},
		"LocalDB":                       {web: `<connectionStrings><add name="a" connectionString="Data Source=(LocalDB)\MSSQLLocalDB;AttachDbFilename=|DataDirectory|\a.mdf;Integrated Security=True"/></connectionStrings>`, findings: []string{"WP1302"}, not: []string{"WP1304"}},
		"SQL Express":                   {web: `<connectionStrings><add name="a" connectionString="Server=.\SQLEXPRESS;Database=a;Trusted_Connection=yes"/></connectionStrings>`, findings: []string{"WP1302"}},
		"SQL Express elsewhere":         {web: `<connectionStrings><add name="a" connectionString="Server=db7\SQLEXPRESS;Database=a;User Id=u"/></connectionStrings>`, not: []string{"WP1302", "WP1303", "WP1304"}},
		"server on localhost":           {web: `<connectionStrings><add name="a" connectionString="Server=localhost,1433;Database=a"/></connectionStrings>`, findings: []string{"WP1303"}},
		"paths":                         {web: `<appSettings><add key="a" value="D:\data\x"/><add key="b" value="\\nas\share\y"/></appSettings>`, findings: []string{"WP1306", "WP1307"}},
		"paths that exist, and URLs":    {web: `<appSettings><add key="a" value="C:\Windows\Temp"/><add key="b" value="http://host/x"/><add key="c" value="//cdn.example.com/x"/></appSettings>`, not: []string{"WP1306", "WP1307"}},
		"config elsewhere":              {web: `<connectionStrings configSource="..\..\secrets.config"/>`, findings: []string{"WP1309"}},
		"config missing":                {web: `<connectionStrings configSource="cs.config"/>`, findings: []string{"WP1310"}},
		"drivers":                       {web: `<connectionStrings><add name="a" connectionString="Provider=Microsoft.ACE.OLEDB.12.0;Data Source=|DataDirectory|\a.accdb"/><add name="b" connectionString="Provider=Microsoft.Jet.OLEDB.4.0;Data Source=x.mdb"/></connectionStrings>`, findings: []string{"WP1311", "WP1312"}},
		"driver of Windows":             {web: `<connectionStrings><add name="a" connectionString="Provider=SQLOLEDB;Data Source=db"/></connectionStrings>`, not: []string{"WP1311", "WP1312"}},
		"ended framework":               {web: `<system.web><compilation targetFramework="4.5.2"/></system.web>`, findings: []string{"WP1101"}},
		"supported framework":           {web: `<system.web><compilation targetFramework="4.8"/></system.web>`, not: []string{"WP1101"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files("Default.aspx", page, "Web.config", "<configuration>"+c.web+"</configuration>"))
			if r.App.Kind != detect.KindASPNET || r.Needs.IIS == nil || len(r.Problems) != 0 {
				t.Fatalf("kind %s, IIS %v, problems %v", r.App.Kind, r.Needs.IIS, r.Problems)
			}
			if got := ids(r.Needs.IIS.Unlock); !slices.Equal(got, c.unlock) {
				t.Errorf("unlock %v, want %v", got, c.unlock)
			}
			if got := ids(r.Needs.IIS.Features); !slices.Equal(got, c.features) {
				t.Errorf("features %v, want %v", got, c.features)
			}
			if got := ids(r.Needs.IIS.Modules); !slices.Equal(got, c.modules) {
				t.Errorf("modules %v, want %v", got, c.modules)
			}
			for _, id := range c.findings {
				if !slices.Contains(rules(r), id) {
					t.Errorf("no %s in %v", id, rules(r))
				}
			}
			for _, id := range c.not {
				if slices.Contains(rules(r), id) {
					t.Errorf("%s was found: %v", id, rules(r))
				}
			}
		})
	}
}

func TestStaticSiteUnlocksHandlers(t *testing.T) {
	r := look(t, files("index.html", "<html>", "web.config", `<configuration><system.webServer><handlers><remove name="x"/></handlers></system.webServer></configuration>`))
	if r.Needs.IIS == nil || !slices.Equal(ids(r.Needs.IIS.Unlock), []string{"system.webServer/handlers"}) {
		t.Errorf("got %+v", r.Needs.IIS)
	}
}

func TestFoldersThatAreWrittenTo(t *testing.T) {
	r := look(t, files("Default.aspx", page, "App_Data/x.xml", "<x/>", "Web.config", `<configuration>
  <appSettings><add key="UploadPath" value="~/uploads/in"/><add key="LogFolder" value="..\outside"/></appSettings>
  <log4net><appender><file value="logs\app.log"/></appender></log4net></configuration>`))
	var got []string
	for _, w := range r.Needs.Writes {
		got = append(got, w.Path)
	}
	if !slices.Equal(got, []string{"App_Data", "logs", "uploads/in"}) {
		t.Errorf("got %q", got)
	}
}

func TestAppDataIsWrittenToWithoutAFileInIt(t *testing.T) {
	empty := files("Default.aspx", page)
	empty["App_Data"] = &fstest.MapFile{Mode: fs.ModeDir}
	const attach = `<configuration><connectionStrings><add name="a" connectionString="Data Source=|DataDirectory|\a.sdf"/></connectionStrings></configuration>`
	for name, c := range map[string]struct {
		app  fstest.MapFS
		want int
	}{
		"an empty folder":    {empty, 1},
		"|DataDirectory|":    {files("Default.aspx", page, "web.config", attach), 1},
		"code with its path": {csharpSite(t, `~/App_Data/x.db`), 1},
		"code with a name":   {csharpSite(t, `|DataDirectory|x.db`), 1},
		"code with neither":  {csharpSite(t, `x.db`), 0},
		"neither":            {files("Default.aspx", page), 0},
		"a site of files":    {files("index.html", "<html>", "web.config", attach), 0},
	} {
		t.Run(name, func(t *testing.T) {
			if w := look(t, c.app).Needs.Writes; len(w) != c.want || c.want > 0 && w[0].Path != "App_Data" {
				t.Errorf("got %+v", w)
			}
		})
	}
}

func TestSettingsOfTheClassicPipelineAskForIt(t *testing.T) {
	const off = `<system.webServer><validation validateIntegratedModeConfiguration="false"/></system.webServer>`
	for name, c := range map[string]struct {
		web, path string
		error     string
	}{
		"modules":                {`<system.web><httpModules><add name="A" type="B"/></httpModules></system.web>`, "web.config", "500.22"},
		"handlers":               {`<system.web><httpHandlers><add verb="*" path="*.x" type="B"/></httpHandlers></system.web>`, "web.config", "500.23"},
		"impersonation":          {`<system.web><identity impersonate="true"/></system.web>`, "web.config", "500.24"},
		"check turned off":       {`<system.web><httpModules><add name="A" type="B"/></httpModules><identity impersonate="true"/></system.web>` + off, "web.config", ""},
		"nothing in it":          {`<system.web><httpModules/><httpHandlers/><identity impersonate="false"/></system.web>`, "web.config", ""},
		"modules of integration": {`<system.webServer><modules><add name="A" type="B"/></modules></system.webServer>`, "web.config", ""},
		"in a folder":            {`<system.web><httpHandlers><add verb="*" path="*.x" type="B"/></httpHandlers></system.web>`, "sub/web.config", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, files("Default.aspx", page, c.path, "<configuration>"+c.web+"</configuration>"))
			i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1217" })
			if r.Needs.IIS.AppPool.Classic != (c.error != "") || (i >= 0) != (c.error != "") || i >= 0 && !strings.Contains(r.Findings[i].Message, c.error) {
				t.Errorf("classic %v, findings %v", r.Needs.IIS.AppPool.Classic, r.Findings)
			}
		})
	}
}

func TestClassicASPBesideASPNETNeedsItsFeature(t *testing.T) {
	r := look(t, files("Default.aspx", page, "old/list.asp", "<% Response.Write 1 %>"))
	if r.App.Kind != detect.KindASPNET || !slices.Equal(ids(r.Needs.IIS.Features), []string{"asp"}) || !slices.Contains(rules(r), "WP1216") {
		t.Errorf("got %s %v %v", r.App.Kind, r.Needs.IIS.Features, rules(r))
	}
	r = look(t, files("default.asp", "<% Response.Write 1 %>"))
	if r.App.Kind != detect.KindClassicASP || !slices.Contains(rules(r), "WP1216") {
		t.Errorf("alone: got %s %v", r.App.Kind, rules(r))
	}
}

func TestRemediesAndMessagesSayWhatIsSo(t *testing.T) {
	r := look(t, files("Default.aspx", page, "web.config", `<configuration><system.webServer><cors enabled="true"/><rewrite><rules/></rewrite>
		<modules><clear/><remove name="StaticFileModule"/></modules></system.webServer></configuration>`))
	var all string
	for _, f := range r.Findings {
		all += f.Message + " " + f.Remedy + "\n"
		if f.Rule == "WP1203" && strings.Contains(f.Remedy, "the plan installs") != strings.Contains(f.Message, "url-rewrite") {
			t.Errorf("%s: %s", f.Message, f.Remedy)
		}
	}
	for _, want := range []string{"has <clear/> under", `has <remove name="StaticFileModule"/> under`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
}

func TestWordsOfTheTablesAreFitToPrint(t *testing.T) {
	for _, section := range []string{`<urlCompression doDynamicCompression="true"/>`, `<webSocket/>`, `<applicationInitialization/>`, `<httpRedirect/>`, `<handlers/>`, `<security><access/></security>`, `<cgi/>`} {
		for _, app := range [][]string{{"index.html", "<html>"}, {"Default.aspx", page}} {
			r := look(t, files(append(app, "web.config", "<configuration><system.webServer>"+section+"</system.webServer></configuration>")...))
			for _, f := range r.Findings {
				for _, bad := range []string{": warning", ": note", "note, not", "from memory", ": allowed", ", warning"} {
					if strings.Contains(f.Message+" "+f.Remedy, bad) {
						t.Errorf("%s: %q in %q", section, bad, f.Message+" "+f.Remedy)
					}
				}
			}
		}
	}
}

// csharpSite is a site with an assembly that holds a string.
func csharpSite(t *testing.T, literal string) fstest.MapFS {
	m := csharp(t, [3]string{"Shop.dll", `public class Shop : System.Web.UI.Page { public static string Data() { return "` + literal + `"; } }`, "-target:library -r:System.Web.dll"})
	return fstest.MapFS{"bin/Shop.dll": m["Shop.dll"], "Default.aspx": {Data: []byte(page)}}
}
