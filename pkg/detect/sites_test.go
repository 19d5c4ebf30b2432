package detect_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// appHost is an applicationHost.config with pools and sites, and what else stands in it.
func appHost(pools, sites, more string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <system.applicationHost>
    <applicationPools>
      <add name="DefaultAppPool" />
      ` + pools + `
      <applicationPoolDefaults managedRuntimeVersion="v4.0"><processModel identityType="ApplicationPoolIdentity" /></applicationPoolDefaults>
    </applicationPools>
    <sites>
      ` + sites + `
      <applicationDefaults applicationPool="DefaultAppPool" />
    </sites>
  </system.applicationHost>
  ` + more + `
</configuration>`
}

func site(name, physical, bindings string, more ...string) string {
	return `<site name="` + name + `" id="1"><application path="/"><virtualDirectory path="/" physicalPath="` + physical + `" />` + strings.Join(more, "") + `<bindings>` + bindings + `</bindings></site>`
}

const (
	configPath = "Windows/System32/inetsrv/config/applicationHost.config"
	http80     = `<binding protocol="http" bindingInformation="*:80:" />`
	aspxSite   = `<configuration><system.web><compilation targetFramework="4.7.2" /></system.web></configuration>`
)

// export is a server's folder with its configuration and one site of ASP.NET in dir.
func export(config, dir string, more ...string) fstest.MapFS {
	return files(append([]string{configPath, config, dir + "/web.config", aspxSite, dir + "/a.aspx", page}, more...)...)
}

func TestPathsOfAServerInItsExport(t *testing.T) {
	for name, c := range map[string]struct {
		physical, dir string
		maps          []detect.Map
		want          string // the folder, or what the problem says
	}{
		"a drive as a folder":        {`C:\inetpub\shop`, "C/inetpub/shop", nil, "C/inetpub/shop"},
		"a drive in lower case":      {`C:\inetpub\shop`, "c/InetPub/Shop", nil, "c/InetPub/Shop"},
		"a share of a drive":         {`D:\sites\shop`, "D$/sites/shop", nil, "D$/sites/shop"},
		"no drive":                   {`D:\sites\shop`, "sites/shop", nil, "sites/shop"},
		"the system's drive":         {`%SystemDrive%\inetpub\wwwroot`, "inetpub/wwwroot", nil, "inetpub/wwwroot"},
		"the system's folder":        {`%systemroot%\web\shop`, "Windows/web/shop", nil, "Windows/web/shop"},
		"a drive as a site":          {`E:\`, "E", nil, "E"},
		"slashes":                    {`C:/inetpub/shop/`, "inetpub/shop", nil, "inetpub/shop"},
		"a map":                      {`D:\sites\shop`, "data/shop", []detect.Map{{From: `D:\sites`, To: "data"}}, "data/shop"},
		"the longest map":            {`D:\sites\shop\web`, "two/web", []detect.Map{{From: `d:\sites`, To: "one"}, {From: `d:\SITES\shop\`, To: "two"}}, "two/web"},
		"a map of a share":           {`\\files\web\shop`, "share/shop", []detect.Map{{From: `\\files\web`, To: "share"}}, "share/shop"},
		"a map of another folder":    {`D:\sites2\shop`, "data/shop", []detect.Map{{From: `D:\sites`, To: "data"}}, "bring it along"},
		"a map to nothing":           {`D:\sites\shop`, "x/shop", []detect.Map{{From: `D:\sites`, To: "data"}}, "data/shop, which --map names for it, is no folder"},
		"a folder that is not there": {`C:\inetpub\shop`, "elsewhere", nil, "none of C$/inetpub/shop, C/inetpub/shop, inetpub/shop"},
		"out of the folder":          {`C:\..\..\etc`, "etc", nil, "bring it along"},
		"a share":                    {`\\files\web\shop`, "files/web/shop", nil, "a share of another server"},
		"a variable":                 {`%SITES%\shop`, "shop", nil, "the value of %SITES% is not known"},
		"no path":                    {``, "shop", nil, "it is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			m := export(appHost("", site("Shop", c.physical, http80, "</application>"), ""), c.dir)
			r, err := detect.Inspect(m, detect.Options{Name: "server", Maps: c.maps})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Apps) != 1 {
				t.Fatalf("%d apps", len(r.Apps))
			}
			a := r.Apps[0]
			if len(a.Source) == 1 {
				if a.Source[0].From != c.want || a.App.Kind != detect.KindASPNET || a.App.Site.Applications[0].Folder != c.want || len(a.Problems) > 0 {
					t.Errorf("got %+v %s %v", a.Source, a.App.Kind, a.Problems)
				}
				return
			}
			if len(a.Problems) != 1 || !strings.Contains(a.Problems[0].Message, c.want) || a.Problems[0].Path != configPath || a.App.Kind != detect.KindUnknown {
				t.Errorf("got %v %s, want %q", a.Problems, a.App.Kind, c.want)
			}
		})
	}
}

func TestSitesOfAServer(t *testing.T) {
	config := appHost(
		`<add name="Shop" managedPipelineMode="Classic" enable32BitAppOnWin64="true"><processModel identityType="SpecificUser" userName="CORP\svc-shop" password="[enc:IISWASOnlyCngProvider:abc:enc]" /></add>
		<add name="Old" managedRuntimeVersion="v2.0"><environmentVariables><add name="MODE" value="hunter2" /></environmentVariables><processModel identityType="LocalSystem" /></add>
		<add name="Core" managedRuntimeVersion="" />`,
		site("Default Web Site", `%SystemDrive%\inetpub\wwwroot`, http80, "</application>")+
			`<site name="Shop" id="2" serverAutoStart="false">
				<application path="/" applicationPool="Shop" enabledProtocols="http,net.tcp"><virtualDirectory path="/" physicalPath="D:\sites\shop" /><virtualDirectory path="/images" physicalPath="D:\data\images" /><virtualDirectory path="/docs" physicalPath="\\nas\docs" /></application>
				<application path="/api" applicationPool="Core"><virtualDirectory path="/" physicalPath="D:\sites\shop\api" /></application>
				<bindings><binding protocol="https" bindingInformation="*:443:shop.example.com" sslFlags="1" /><binding protocol="http" bindingInformation="10.0.0.5:8080:" /><binding protocol="http" bindingInformation="[::1]:8081:x" /><binding protocol="net.tcp" bindingInformation="808:*" /></bindings>
			</site>`+
			site("Intranet", `D:\sites\intranet`, http80, "</application>")+
			site("Files", `D:\sites\files`, `<binding protocol="ftp" bindingInformation="*:21:" />`, "</application>"),
		`<location path="Shop"><system.webServer><security><authentication><windowsAuthentication enabled="true" /></authentication></security></system.webServer></location>
		<system.webServer><globalModules><add name="StaticFileModule" image="x" /><add name="SiteMinderModule" image="C:\sm\sm.dll" /></globalModules></system.webServer>`)
	config = strings.Replace(config, `<site name="Intranet" id="1"><application path="/">`, `<site name="Intranet" id="3"><application path="/" applicationPool="Old">`, 1)
	m := files(configPath, config,
		"inetpub/wwwroot/iisstart.htm", "<html></html>", "inetpub/wwwroot/iisstart.png", "x",
		"D/sites/shop/web.config", aspxSite, "D/sites/shop/a.aspx", page,
		"D/data/images/x.svc", `<%@ ServiceHost Service="Q" %>`,
		"D/sites/intranet/a.aspx", page, "D/sites/files/upload.txt", "x",
		"Windows/System32/inetsrv/config/administration.config", "<configuration/>",
		"inetpub/history/CFGHISTORY_1/applicationHost.config", "<configuration/>")
	with(t, m, "D/sites/shop/api/Orders.exe", "aspnet-core/Orders.exe", "D/sites/shop/api/Orders.dll", "aspnet-core/Orders.dll", "D/sites/shop/api/Orders.runtimeconfig.json", "aspnet-core/Orders.runtimeconfig.json")
	r := look(t, m)
	if got, want := appList(r), []string{"Default-Web-Site static .=inetpub/wwwroot", "Files unknown .=D/sites/files", "Intranet aspnet .=D/sites/intranet", "Shop aspnet .=D/sites/shop,api=D/sites/shop/api,images=D/data/images"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	old, shop := r.Apps[2], r.Apps[3]
	if fw := old.App.Framework; fw != (detect.Framework{Name: ".NETFramework", Version: "2.0"}) || old.Needs.IIS.AppPool.RuntimeVersion != "v2.0" {
		t.Errorf("a pool of CLR 2: %v %+v", fw, old.Needs.IIS.AppPool)
	}
	s := shop.App.Site
	if !s.Stopped || len(s.Applications) != 2 || s.Applications[1].Path != "/api" || s.Applications[1].AppPool != "Core" || s.Applications[1].Folder != "D/sites/shop/api" || !slices.Equal(shop.App.Ports, []int{443, 8080, 8081}) {
		t.Errorf("got %+v, ports %v", s, shop.App.Ports)
	}
	if !slices.Equal(s.Applications[0].VirtualDirectories, []detect.VirtualDirectory{{Path: "/docs"}, {Path: "/images", Folder: "D/data/images"}}) &&
		!slices.Equal(s.Applications[0].VirtualDirectories, []detect.VirtualDirectory{{Path: "/images", Folder: "D/data/images"}, {Path: "/docs"}}) {
		t.Errorf("got %+v", s.Applications[0].VirtualDirectories)
	}
	if want := []detect.Binding{{Protocol: "https", Port: 443, Host: "shop.example.com"}, {Protocol: "http", IP: "10.0.0.5", Port: 8080}, {Protocol: "http", IP: "::1", Port: 8081, Host: "x"}, {Protocol: "net.tcp", Port: 808}}; !slices.Equal(s.Bindings, want) {
		t.Errorf("got %+v", s.Bindings)
	}
	pool := shop.Needs.IIS.AppPool
	if !pool.Enable32Bit || !pool.Classic || pool.RuntimeVersion != "v4.0" {
		t.Errorf("got %+v", pool)
	}
	var features []string
	for _, f := range shop.Needs.IIS.Features {
		features = append(features, f.ID)
	}
	if !slices.Equal(features, []string{"wcf-http", "wcf-tcp", "windows-authentication"}) {
		t.Errorf("features %q", features)
	}
	if !slices.Equal(shop.App.Flavors, []string{"wcf", "web-forms"}) {
		t.Errorf("flavors %q", shop.App.Flavors)
	}
	if len(shop.Problems) != 1 || !strings.Contains(shop.Problems[0].Message, `the virtual directory /docs of the site Shop is at \\nas\docs`) {
		t.Errorf("problems %v", shop.Problems)
	}
	text := string(marshal(t, r))
	for _, secret := range []string{"hunter2", "IISWASOnly"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the report", secret)
		}
	}
	for id, apps := range map[string]string{"WP1240": "Shop", "WP1241": "Intranet", "WP1242": "Shop", "WP1243": "Shop", "WP1244": "Default-Web-Site Files Intranet Shop", "WP1245": "Intranet", "WP1246": "Default-Web-Site", "WP1247": "Files", "WP1201": "Shop"} {
		var has []string
		for _, a := range r.Apps {
			if slices.Contains(rules(a), id) {
				has = append(has, a.App.Name)
			}
			for _, f := range a.Findings {
				for _, e := range f.Evidence {
					if _, err := m.Stat(e.Path); err != nil {
						t.Errorf("%s: %v", f.Rule, err)
					}
				}
			}
		}
		if strings.Join(has, " ") != apps {
			t.Errorf("%s: %q, want %q", id, has, apps)
		}
	}
}

// A file by that name that is none of a server, and what only looks like one.
func TestFolderThatIsNoServer(t *testing.T) {
	app := map[string]string{"web.config": aspxSite, "a.aspx": page}
	for name, more := range map[string]map[string]string{
		"of Visual Studio":  {".vs/config/applicationhost.config": appHost("", site("Shop", `C:\x`, http80, "</application>"), "")},
		"of IIS Express":    {"IISExpress/config/applicationhost.config": appHost("", site("Shop", `C:\x`, http80, "</application>"), "")},
		"without sites":     {"applicationHost.config": "<configuration><system.webServer/></configuration>"},
		"of another folder": {"applicationHost.config": appHost("", site("Shop", `C:\x`, http80, "</application>"), "")},
		"broken":            {"applicationHost.config": "<configuration><system.appl"},
	} {
		m := maps.Clone(app)
		maps.Copy(m, more)
		var pairs []string
		for k, v := range m {
			pairs = append(pairs, k, v)
		}
		if r := look(t, files(pairs...)); len(r.Apps) > 0 || r.App.Kind != detect.KindASPNET || (name == "broken" || name == "of another folder") && len(r.Problems) == 0 {
			t.Errorf("%s: %s %q %v", name, r.App.Kind, appList(r), r.Problems)
		}
	}
	// The configuration is elsewhere, and another copy lies beside.
	m := export(appHost("", site("Shop", `C:\shop`, http80, "</application>"), ""), "shop",
		"Windows/System32/inetsrv/config/redirection.config", `<configuration><configSections/><configurationRedirection enabled="true" path="\\nas\config" userName="CORP\x" password="hunter2"/></configuration>`,
		"copy/applicationHost.config", appHost("", site("Other", `C:\other`, http80, "</application>"), ""))
	r := look(t, m)
	if len(r.Apps) != 1 || r.Apps[0].App.Name != "Shop" || len(r.Problems) != 2 || strings.Contains(string(marshal(t, r)), "hunter2") {
		t.Errorf("got %q %v", appList(r), r.Problems)
	}
}
