package detect_test

import (
	"strings"
	"testing"

	"github.com/winpack/winpack/fixtures"
)

// casesOfKinds are those of the rules about kinds, .NET, IIS and configuration.
func casesOfKinds() map[string]ruleCase {
	return map[string]ruleCase{
		"WP1001": {fixture("netfx-winforms"), fixture("nearmiss-winforms-reference")},
		"WP1002": {built(nil, "A.exe", "netfx-winexe-console/Agent.exe", "B.exe", "netfx-winexe-console/Agent.exe"), fixture("netfx-console")},
		"WP1003": {fixture("unknown-ruby"), fixture("static")},
		"WP1004": {fixture("native-gui-console"), fixture("native-console")},
		"WP1005": {machine(built(nil, "sum.exe", "native-console/sum.exe"), "sum.exe", 0xaa64), fixture("native-console")},
		"WP1006": {compiled([3]string{"U.dll", windows, forms}, [3]string{"App.exe", twice, "-r:U.dll"}), compiled([3]string{"U.dll", plain, forms}, [3]string{"App.exe", twice, "-r:U.dll"})},
		"WP1007": {folder(), folder("readme.txt", "x")},
		"WP1008": {compiled([3]string{"App.exe", `using System.Runtime.InteropServices; static class P { [DllImport("user32")] static extern int MessageBoxW(int w, string a, string b, int c); static void Main() { MessageBoxW(0, "a", "b", 0); } }`, ""}),
			compiled([3]string{"App.exe", `using System.Runtime.InteropServices; static class P { [DllImport("user32")] static extern int MessageBeep(int w); static void Main() { MessageBeep(0); } }`, ""})},
		"WP1009": {fixture("source-service"), fixture("nearmiss-source-library")},
		"WP1010": {folder("a.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"/>`), folder("a.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup></Project>`)},
		"WP1101": {webConfig(`<system.web><compilation targetFramework="4.5.2"/></system.web>`), webConfig(`<system.web><compilation targetFramework="4.8"/></system.web>`)},
		"WP1102": {fixture("aspnet-core-net8"), fixture("aspnet-core")},
		"WP1103": {built(nil, "Report.exe", "dotnet-console/Report.exe", "Report.dll", "dotnet-console/Report.dll"), fixture("dotnet-console")},
		"WP1104": {referring("Windows.Media.Core"), referring("Windows.Web")},
		"WP1105": {fixture("nearmiss-winforms-reference"), fixture("netfx-winexe-console")},
		"WP1106": {fixture("netfx-console"), fixture("netfx-winexe-console")},
		"WP1107": {fixture("dotnet-singlefile-v1"), fixture("dotnet-singlefile-v2")},
		"WP1108": {fixture("native-service"), fixture("dotnet-worker-service")},
		"WP1109": {machine(built(nil, "Report.exe", "dotnet-console/Report.exe", "Report.dll", "dotnet-console/Report.dll", "Report.runtimeconfig.json", "dotnet-console/Report.runtimeconfig.json"), "Report.exe", 0x14c), fixture("dotnet-console")},
		"WP1110": {built([]string{"Report.runtimeconfig.json", `{"runtimeOptions":{"tfm":"net10.0","frameworks":[{"name":"Microsoft.NETCore.App","version":"10.0.0"},{"name":"Microsoft.WindowsDesktop.App","version":"10.0.0"}]}}`}, "Report.exe", "dotnet-console/Report.exe", "Report.dll", "dotnet-console/Report.dll"), fixture("dotnet-console")},
		"WP1111": {plus(compiled([3]string{"App.exe", nothing, ""}), "App.exe.config", `<configuration><startup><supportedRuntime version="v2.0.50727"/></startup></configuration>`), plus(console, "Agent.exe.config", `<configuration><startup><supportedRuntime version="v4.0" sku=".NETFramework,Version=v4.8"/></startup></configuration>`)},
		"WP1112": {compiled([3]string{"App.exe", `using System.ServiceProcess; class A : ServiceBase { } class B : ServiceBase { } static class P { static void Main() { ServiceBase.Run(new ServiceBase[] { new A(), new B() }); } }`, "-r:System.ServiceProcess.dll"}), fixture("netfx-service")},
		"WP1113": {compiled([3]string{"App.exe", nothing, ""}), compiled([3]string{"App.exe", target + nothing, ""})},

		"WP1201": {webServer(`<security><authentication><windowsAuthentication enabled="true"/></authentication></security>`), webServer(`<security><authentication><windowsAuthentication enabled="false"/></authentication></security>`)},
		"WP1202": {fixture("aspnet-35"), webConfig(`<system.web><authentication mode="Forms"/></system.web>`)},
		"WP1203": {webServer(`<rewrite><rules/></rewrite>`), webServer(`<httpRedirect enabled="false"/>`)},
		"WP1204": {webServer(`<webSocket enabled="true"/>`), webServer(`<urlCompression doDynamicCompression="true"/>`)},
		"WP1205": {webServer(`<modules><add name="ISAPI_Rewrite3"/></modules>`), webServer(`<modules><add name="m" type="A.M"/></modules>`)},
		"WP1206": {webServer(`<security><access sslFlags="Ssl"/></security>`), webServer(`<modules><add name="m" type="A.M"/></modules>`)},
		"WP1207": {webServer(`<httpCompression/>`), webServer(`<urlCompression/>`)},
		"WP1208": {webServer(`<modules><remove name="StaticFileModule"/></modules>`), webServer(`<modules><remove name="WebDAVModule"/></modules>`)},
		"WP1209": {webServer(`<httpErrors defaultPath="/e.htm"/>`), webServer(`<httpErrors errorMode="Custom"/>`)},
		"WP1210": {webConfig(`<system.web><machineKey validationKey="AutoGenerate,IsolateApps"/></system.web>`), webConfig(`<system.web><machineKey validationKey="AB" decryptionKey="CD"/></system.web>`)},
		"WP1211": {webConfig(`<system.web><compilation debug="true"/></system.web>`), webConfig(`<system.web><compilation debug="false"/></system.web>`)},
		"WP1212": {webConfig(`<system.web><sessionState mode="StateServer"/></system.web>`), webConfig(`<system.web><sessionState mode="SQLServer"/></system.web>`)},
		"WP1213": {webConfig(`<system.web><identity impersonate="true"/></system.web>`), webConfig(`<system.web><identity impersonate="false"/></system.web>`)},
		"WP1214": {fixture("aspnet-core"), coreApp()},
		"WP1215": {siteCode("class H : Microsoft.AspNet.SignalR.Hub { }", "Microsoft.AspNet.SignalR.Core", "namespace Microsoft.AspNet.SignalR { public class Hub { } public class Tool { } }"), siteCode("class H : Microsoft.AspNet.SignalR.Tool { }", "Microsoft.AspNet.SignalR.Core", "namespace Microsoft.AspNet.SignalR { public class Hub { } public class Tool { } }")},
		"WP1216": {fixture("classic-asp"), fixture("nearmiss-classic-asp")},
		"WP1217": {webConfig(`<system.web><httpModules><add name="m" type="A.M"/></httpModules></system.web>`), webConfig(`<system.web><httpModules><add name="m" type="A.M"/></httpModules></system.web><system.webServer><validation validateIntegratedModeConfiguration="false"/></system.webServer>`)},
		"WP1218": {webServer(`<urlCompression doDynamicCompression="true"/>`), webServer(`<urlCompression doDynamicCompression="false"/>`)},
		"WP1219": {aspSite("web.config", "<configuration><system.web>"), aspSite("web.config", "<configuration/>")},
		"WP1220": {coreApp("web.config", coreConfig(`<security><authentication><windowsAuthentication enabled="true"/></authentication></security>`)), coreApp("web.config", coreConfig(`<security><authentication><windowsAuthentication enabled="false"/></authentication></security>`))},
		"WP1221": {coreApp("web.config", coreConfig(`<security><requestFiltering><requestLimits maxAllowedContentLength="1"/></requestFiltering></security>`)), coreApp("web.config", coreConfig(``))},

		"WP1301": {appSetting("ApiKey", "k7Gq2vXw9"), appSetting("ApiKeyHeader", "X-Key")},
		"WP1302": {connection(`Server=.\SQLEXPRESS;Database=a`), connection(`Server=db7\SQLEXPRESS;Database=a`)},
		"WP1303": {connection("Server=localhost,1433;Database=a"), connection("Server=localhost.example.com;Database=a")},
		"WP1304": {connection("Server=db;Database=a;Integrated Security=SSPI"), connection("Server=db;Database=a;Integrated Security=false")},
		"WP1305": {webConfig(`<connectionStrings configProtectionProvider="RsaProtectedConfigurationProvider"><EncryptedData/></connectionStrings>`), webConfig(`<connectionStrings><clear/></connectionStrings>`)},
		"WP1306": {appSetting("Drop", `D:\data\x`), appSetting("Drop", `C:\Windows\Temp`)},
		"WP1307": {appSetting("Drop", `\\nas\share\x`), appSetting("Drop", `//cdn.example.com/x`)},
		"WP1308": {webConfig(`<system.net><mailSettings><smtp deliveryMethod="PickupDirectoryFromIis"/></mailSettings></system.net>`), webConfig(`<system.net><mailSettings><smtp deliveryMethod="Network"/></mailSettings></system.net>`)},
		"WP1309": {webConfig(`<connectionStrings configSource="..\..\secrets.config"/>`), aspSite("web.config", `<configuration><connectionStrings configSource="cs.config"/></configuration>`, "cs.config", "<connectionStrings/>")},
		"WP1310": {webConfig(`<connectionStrings configSource="cs.config"/>`), aspSite("web.config", `<configuration><connectionStrings configSource="cs.config"/></configuration>`, "cs.config", "<connectionStrings/>")},
		"WP1311": {connection(`Provider=Microsoft.ACE.OLEDB.12.0;Data Source=x.accdb`), connection(`Provider=SQLOLEDB;Data Source=db`)},
		"WP1312": {connection(`Provider=Microsoft.Jet.OLEDB.4.0;Data Source=x.mdb`), connection(`Provider=SQLOLEDB;Data Source=db`)},
		"WP1313": {coreApp("appsettings.json", `{"Urls": "http://localhost:5000"}`), coreApp("appsettings.json", `{"Urls": "http://*:5000"}`)},
	}
}

func coreConfig(sections string) string {
	return `<configuration><system.webServer><handlers><add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2"/></handlers><aspNetCore processPath="dotnet" arguments=".\Orders.dll"/>` + "\n" + strings.ReplaceAll(sections, "><", ">\n<") + `</system.webServer></configuration>`
}

// casesOfNativeCode are those of the rules about DLLs, scripts and other servers.
func casesOfNativeCode(t *testing.T) map[string]ruleCase {
	usual := importing("kernel32.dll!Sleep")
	class := func(text string) string { return string(fixtures.Class("m/M", 8)) + text }
	return map[string]ruleCase{
		"WP1401": {importing("mapi32.dll!MAPISendMail"), usual},
		"WP1402": {importing("vcruntime140.dll!memmove"), usual},
		"WP1403": {importing("webengine4.dll!Start"), usual},
		"WP1404": {importing("vcruntime140d.dll!memmove"), usual},
		"WP1405": {importing("vulkan-1.dll!vkCreateInstance"), usual},
		"WP1406": {importing("aspnetcorev2.dll!Start"), usual},
		"WP1407": {importing("nobody-knows.dll!Start"), usual},
		"WP1408": {importing("cryptui.dll!CryptUIDlgViewContext"), usual},
		"WP1409": {delaying("gdiplus.dll!GdiplusStartup"), usual},
		"WP1410": {fixture("native-directx"), fixture("native-console")},
		"WP1501": {fixture("python-django"), fixture("python-flask")},
		"WP1502": {folder("server.js", `require("http")`, "node_modules/a/a.node", "\x7fELF"), built([]string{"server.js", `require("http")`}, "node_modules/c/c.node", "native-console/sum.exe")},
		"WP1503": {folder("main.py", "", "requirements.txt", "", "env/pyvenv.cfg", "home = C:\\Py\n"), folder("main.py", "", "requirements.txt", "")},
		"WP1504": {folder("manage.py", django, "requirements.txt", "gunicorn==20\n"), folder("manage.py", django, "requirements.txt", "gunicorn==20\nwaitress==3\n")},
		"WP1505": {folder("manage.py", django, "requirements.txt", "django\n"), folder("manage.py", django, "requirements.txt", "django\nwaitress>=2\n")},
		"WP1506": {folder("conf/server.xml", `<Server port="8005"><Service name="Catalina"><Connector port="8080"/></Service></Server>`, "webapps/ROOT/index.jsp", "<%= 1 %>"), fixture("tomcat")},
		"WP1507": {folder("bin/run.jar", jarOf(t, "a/B.class", "class:5"), "bin/run.bat", "", "server/default/deploy/x.txt", ""), folder("jboss-modules.jar", jarOf(t, "a/B.class", "class:8"), "bin/standalone.bat", "")},
		"WP1508": {fixture("redis"), fixture("nearmiss-redis")},
		"WP1509": {folder("main.py", "", "requirements.txt", "", ".python-version", "3.8"), folder("main.py", "", "requirements.txt", "", ".python-version", "3.13")},
		"WP1510": {fixture("nginx"), fixture("native-console")},
		"WP1513": {folder("public/index.php", "<?php echo 1;"), folder("public/index.php", "<?php echo 1;", "index.php", "<?php echo 2;")},
		"WP1514": {folder("server.js", `require("http")`, "package.json", `{"dependencies":{"next":"15"}}`), folder("server.js", `require("http")`, "package.json", `{"dependencies":{"next":"15"}}`, ".next/BUILD_ID", "x")},
		"WP1512": {plus(fixture("httpd"), "conf/httpd.conf", "Define SRVROOT \"c:/Apache24\"\nServerRoot \"${SRVROOT}\"\nListen 80\n"), plus(fixture("httpd"), "conf/httpd.conf", "# ServerRoot \"c:/Apache24\"\nServerRoot \"${SRVROOT}\"\nListen 80\n")},
		"WP1511": {folder("app.jar", jarOf(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: m.M\r\n\r\n", "m/M.class", class("java/awt/Font"))), folder("app.jar", jarOf(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: m.M\r\n\r\n", "m/M.class", class("")))},
	}
}

// ruleCases are the cases of all rules.
func ruleCases(t *testing.T) map[string]ruleCase {
	all := map[string]ruleCase{}
	for _, part := range []map[string]ruleCase{casesOfKinds(), casesOfNativeCode(t), casesOfClosure(t), casesOfServers(), casesOfFiles(), casesOfCode(t), casesOfConfiguration()} {
		for id, c := range part {
			if _, twice := all[id]; twice {
				t.Errorf("%s is there twice", id)
			}
			all[id] = c
		}
	}
	return all
}
