package detect_test

import (
	"io/fs"
	"testing"
)

// casesOfServers are those of the rules about the sites of a server's export.
func casesOfServers() map[string]ruleCase {
	server := func(pool, bindings, more string, files ...string) app {
		return func(*testing.T) fs.FS {
			config := appHost(`<add name="Shop">`+pool+`</add>`,
				`<site name="Shop" id="2"><application path="/" applicationPool="Shop"><virtualDirectory path="/" physicalPath="C:\inetpub\shop" />`+more+`</application><bindings>`+bindings+`</bindings></site>`, "")
			return export(config, "inetpub/shop", files...)
		}
	}
	usual := server("", http80, "")
	return map[string]ruleCase{
		"WP1240": {server(`<processModel identityType="SpecificUser" userName="CORP\svc-shop" />`, http80, ""), server(`<processModel identityType="NetworkService" />`, http80, "")},
		"WP1241": {server(`<processModel identityType="LocalSystem" />`, http80, ""), server(`<processModel identityType="ApplicationPoolIdentity" />`, http80, "")},
		"WP1242": {server("", `<binding protocol="https" bindingInformation="*:443:" />`, ""), usual},
		"WP1243": {server("", http80, `<virtualDirectory path="/docs" physicalPath="\\nas\docs" />`), server("", http80, `<virtualDirectory path="/docs" physicalPath="C:\docs" />`, "docs/a.txt", "x")},
		"WP1244": {func(*testing.T) fs.FS {
			return export(appHost("", site("Shop", `C:\inetpub\shop`, http80, "</application>"), `<system.webServer><globalModules><add name="SiteMinderModule" image="C:\sm\sm.dll" /></globalModules></system.webServer>`), "inetpub/shop")
		}, usual},
		"WP1245": {server(`<environmentVariables><add name="MODE" value="x" /></environmentVariables>`, http80, ""), usual},
		"WP1246": {func(*testing.T) fs.FS {
			return files(configPath, appHost("", site("Default Web Site", `%SystemDrive%\inetpub\wwwroot`, http80, "</application>"), ""), "inetpub/wwwroot/iisstart.htm", "<html></html>", "inetpub/wwwroot/iisstart.png", "x")
		}, usual},
		"WP1247": {server("", `<binding protocol="ftp" bindingInformation="*:21:" />`, ""), usual},
	}
}
