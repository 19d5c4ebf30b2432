package detect_test

// beside is a site of files, or a program, with one more file.
func beside(name, content string) app { return folder("index.html", html, name, content) }

func besideProgram(name, content string) app { return plus(console, name, content) }

// script is a site of classic ASP with a line of script in another file.
func script(name, line string) app {
	return folder("default.asp", `<%@ Language="VBScript" %><% Response.Write 1 %>`, name, line+"\r\n")
}

// casesOfFiles are those of the rules about files and scripts.
func casesOfFiles() map[string]ruleCase {
	const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n"
	return map[string]ruleCase{
		"WP1601": {beside("certs/site.key", pem), beside("certs/site.key", "-----BEGIN PUBLIC KEY-----\n")},
		"WP1602": {beside("keys/id_rsa", "x"), beside("keys/id_rsa.pub", "x")},
		"WP1603": {beside("App_Data/shop.mdf", "x"), beside("App_Data/shop.mdf.md", "x")},
		"WP1604": {beside("db/old.accdb", "\x00\x01\x00\x00Standard ACE DB\x00"), beside("bin/App.dll.mdb", "\x00\x01MonoSymbolFile")},
		"WP1605": {beside("drv/filter.sys", "MZ"), beside("drv/config.sys", "FILES=40")},
		"WP1606": {beside("db/bin/mysqld.exe", "MZ"), beside("db/bin/mysql.exe", "MZ")},
		"WP1607": {beside("bin/hasp_windows_x64_1.dll", "MZ"), beside("bin/hasp.txt", "x")},
		"WP1608": {beside("admin.rdp", "x"), beside("admin.rdp.md", "x")},
		"WP1609": {beside("cef/libcef.dll", "MZ"), beside("cef/libcef.txt", "x")},
		"WP1630": {beside("tools/ffmpeg.exe", "MZ"), beside("tools/ffmpeg.md", "x")},
		"WP1635": {besideProgram("fonts/corporate.ttf", "x"), beside("fonts/corporate.ttf", "x")},
		"WP1637": {beside("reports/a.rpt", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), beside("reports/a.rpt", "a report")},
		"WP1639": {beside("reports/a.rdlc", "<Report/>"), beside("reports/a.rdl", "<Report/>")},
		"WP1641": {beside("tools/wkhtmltopdf.exe", "MZ"), beside("tools/wkhtmltopdf.md", "x")},
		"WP1642": {coreApp("runtimes/win-x64/native/libSkiaSharp.dll", "MZ"), besideProgram("libSkiaSharp.dll", "MZ")},
		"WP1646": {beside("lic/app.lic", "INCREMENT x vendor 1.0 HOSTID=00aabb\n"), beside("lic/app.lic", "MIT licence\n")},
		"WP1648": {beside("drv/port.inf", "[Version]\r\nDriverVer=01/01/2010,1.0\r\n"), beside("drv/autorun.inf", "[autorun]\r\nopen=setup.exe\r\n")},
		"WP1657": {script("install.bat", `%windir%\system32\regsvr32.exe /s Legacy.dll`), script("install.bat", `rem regsvr32 /s Legacy.dll`)},
		"WP1678": {besideProgram("key.snk", "x"), besideProgram("key.snk.txt", "x")},
		"WP1679": {aspSite("Site.publishsettings", `<publishData><publishProfile userPWD="k7Gq2vXw9"/></publishData>`), aspSite("Site.pubxml.user", "<Project/>")},
		"WP1680": {besideProgram(".git/config", "[core]"), besideProgram(".gitignore", "obj")},
		"WP1682": {besideProgram("App.csproj.user", "<Project/>"), besideProgram("App.user.txt", "x")},
		"WP1690": {aspSite("bin/tnsnames.ora", "x"), aspSite("bin/tnsnames.txt", "x")},
		"WP1695": {aspSite("data/shop.db3", "x"), aspSite(".vs/slnx.sqlite", "x")},
		"WP1698": {aspSite("data/shop.udl", "[oledb]\r\nProvider=SQLOLEDB.1;Data Source=db1\r\n"), aspSite("data/shop.udl.txt", "x")},
		"WP1702": {script("setup.ps1", "Install-WindowsFeature AD-Domain-Services -IncludeManagementTools"), script("setup.ps1", "Install-WindowsFeature Web-Server")},
		"WP1706": {aspSite("uploads/a.txt", "x"), aspSite("content/uploads/a.txt", "x")},
		"WP1714": {aspSite("setup/keys.reg", "Windows Registry Editor Version 5.00"), aspSite("setup/keys.reg", "a PEAR package")},
		"WP1727": {aspSite("jobs/nightly.vbs", "WScript.Echo 1"), aspSite("jobs/nightly.vb", "x")},
		"WP1729": {aspSite("setup/setup.exe", "MZ"), aspSite("setup/setup.ini", "x")},
		"WP1756": {beside("lib/log4j-core-2.14.1.jar", "PK"), beside("lib/log4j-core-2.17.1.jar", "PK")},
		"WP1757": {beside("ClientBin/Shop.xap", "PK"), beside("ClientBin/Shop.xaml", "x")},
		"WP1761": {aspSite("agent/NewRelic.Agent.Core.dll", "MZ"), aspSite("agent/NewRelic.txt", "x")},
		"WP1770": {aspSite("bin/policy.1.0.Shop.dll", "MZ"), aspSite("bin/policy.dll", "MZ")},
	}
}

// casesOfConfiguration are those of the rules about configuration.
func casesOfConfiguration() map[string]ruleCase {
	model := func(s string) app { return webConfig("<system.serviceModel>" + s + "</system.serviceModel>") }
	binding := func(s string) app { return model("<bindings>" + s + "</bindings>") }
	return map[string]ruleCase{
		"WP1651": {binding(`<netMsmqBinding><binding name="a"><security><transport msmqAuthenticationMode="WindowsDomain"/></security></binding></netMsmqBinding>`), binding(`<netMsmqBinding><binding name="a"><security><transport msmqAuthenticationMode="None"/></security></binding></netMsmqBinding>`)},
		"WP1655": {connection("Server=db;Database=a;Enlist=true"), connection("Server=db;Database=a;Enlist=false")},
		"WP1664": {binding(`<basicHttpBinding><binding name="a"><security mode="TransportCredentialOnly"><transport clientCredentialType="Windows"/></security></binding></basicHttpBinding>`), binding(`<basicHttpBinding><binding name="a"><security mode="None"><transport clientCredentialType="Windows"/><message clientCredentialType="Windows"/></security></binding></basicHttpBinding>`)},
		"WP1668": {webConfig(`<system.web><roleManager enabled="true" defaultProvider="AspNetWindowsTokenRoleProvider"/></system.web>`), webConfig(`<system.web><roleManager enabled="true" defaultProvider="AspNetSqlRoleProvider"/></system.web>`)},
		"WP1671": {model(`<behaviors><serviceBehaviors><behavior><serviceCredentials><serviceCertificate findValue="0a" storeLocation="LocalMachine" x509FindType="FindByThumbprint"/></serviceCredentials></behavior></serviceBehaviors></behaviors>`), model(`<behaviors><serviceBehaviors><behavior><serviceCredentials><userNameAuthentication/></serviceCredentials></behavior></serviceBehaviors></behaviors>`)},
		"WP1673": {webServer(`<security><access sslFlags="Ssl, SslNegotiateCert"/></security>`), webServer(`<security><access sslFlags="Ssl"/></security>`)},
		"WP1683": {connection(`Provider=Microsoft.ACE.OLEDB.12.0;Data Source=x.xlsx;Extended Properties='Excel 12.0 Xml;HDR=YES'`), connection(`Provider=Microsoft.ACE.OLEDB.12.0;Data Source=x.accdb`)},
		"WP1705": {appSetting("UploadPath", "files/in/"), appSetting("UploadUrl", "files/in/")},
		"WP1735": {model(`<services><service name="S"><endpoint address="" binding="netTcpBinding" contract="I"/></service></services>`), model(`<client><endpoint address="net.tcp://host/x" binding="netTcpBinding" contract="I"/></client>`)},
		"WP1736": {binding(`<netTcpBinding><binding name="a" portSharingEnabled="true"/></netTcpBinding>`), binding(`<netTcpBinding><binding name="a" portSharingEnabled="false"/></netTcpBinding>`)},
		"WP1740": {webConfig(`<system.net><mailSettings><smtp><network host="localhost"/></smtp></mailSettings></system.net>`), webConfig(`<system.net><mailSettings><smtp><network host="mail.example.com"/></smtp></mailSettings></system.net>`)},
		"WP1745": {webServer(`<security><ipSecurity allowUnlisted="false"><add ipAddress="10.0.0.1" allowed="true"/></ipSecurity></security>`), webServer(`<security><requestFiltering allowHighBitCharacters="true"/></security>`)},
		"WP1751": {webServer(`<isapiFilters><filter name="x" path="C:\x\rewrite.dll"/></isapiFilters>`), webServer(`<handlers><add name="a" path="*.x" verb="*" type="A.B"/></handlers>`)},
		"WP1752": {webServer(`<security><authentication><digestAuthentication enabled="true"/></authentication></security>`), webServer(`<security><authentication><digestAuthentication enabled="false"/></authentication></security>`)},
	}
}
