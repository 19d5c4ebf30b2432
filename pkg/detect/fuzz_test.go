package detect

import (
	"encoding/json"
	"testing"
	"testing/fstest"
)

func FuzzInspect(f *testing.F) {
	f.Add("web.config", []byte(`<configuration><system.web/></configuration>`), "a.exe", []byte("MZ"))
	f.Add("appsettings.json", []byte(`{"a":1,}`), "Default.aspx", []byte(`<%@ Page %>`))
	f.Add("a.runtimeconfig.json", []byte(`{"runtimeOptions":{"framework":{"name":"x","version":"8.0"}}}`), "a.dll", []byte("MZ"))
	f.Fuzz(func(t *testing.T, name1 string, data1 []byte, name2 string, data2 []byte) {
		probe(t, fstest.MapFS{name1: {Data: data1}, name2: {Data: data2}}, Options{Name: "x"})
	})
}

func FuzzWebConfig(f *testing.F) {
	f.Add([]byte(`<configuration><connectionStrings><add name="a" connectionString="a='b;c';d=&quot;"/></connectionStrings></configuration>`))
	f.Add([]byte(`<configuration><location path="x"><system.webServer><rewrite/></system.webServer></location></configuration>`))
	f.Add([]byte("\xff\xfe<\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		probe(t, fstest.MapFS{"web.config": {Data: data}, "a.exe.config": {Data: data}}, Options{})
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte("{ // c\n \"a\": [1, 2,], /* x */ \"b\": \"\\u0000\" }"))
	f.Add([]byte("[[[["))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseJSON(data, Limits{}.WithDefaults())
		if err == nil {
			n.each("", func(_ string, n *node) {
				if n.line < 1 {
					t.Errorf("line %d", n.line)
				}
			})
		}
		// plain JSON stays what it is
		var v any
		if json.Unmarshal(data, &v) == nil && err != nil && len(data) < 1000 {
			if _, deep := err.(*limitError); !deep {
				t.Errorf("valid JSON was refused: %v", err)
			}
		}
	})
}

// FuzzJava: an archive and the script that starts it.
func FuzzJava(f *testing.F) {
	f.Add([]byte("PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "java -Xmx1g -jar %~dp0app.jar %*")
	f.Add([]byte("PK\x03\x04"), `start "x" java -cp "lib\*;app.jar" a.B --password=x`)
	f.Fuzz(func(t *testing.T, data []byte, script string) {
		fsys := fstest.MapFS{"app.jar": {Data: data}, "x.war": {Data: data}, "lib/catalina.jar": {Data: data}, "WEB-INF/classes/A.class": {Data: data}, "run.bat": {Data: []byte(script)}}
		probe(t, fsys, Options{})
	})
}

// FuzzScripts: what says how applications of scripts, servers and source trees start.
func FuzzScripts(f *testing.F) {
	names := []string{"package.json", "server.js", "manage.py", "Procfile", "pyproject.toml", "requirements.txt", "venv/pyvenv.cfg", "app.py", "a.csproj", "b/b.vcxproj", "pom.xml", "go.mod", "main.go",
		"composer.json", "index.php", "default.asp", "svc.xml", "install.cmd", "conf/server.xml", "conf/httpd.conf", "conf/nginx.conf", "redis.windows.conf", "version.txt", "standalone/configuration/standalone.xml", "jre/release", "web.config"}
	f.Add(uint8(0), []byte(`{"scripts":{"start":"npm run a && cross-env A=1 node x.js"},"main":"server.js"}`))
	f.Add(uint8(3), []byte("web: gunicorn -w 4 shop.app:make()\n"))
	f.Add(uint8(8), []byte(`<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFrameworks>net8.0;net472</TargetFrameworks></PropertyGroup></Project>`))
	f.Add(uint8(17), []byte("nssm install Name \"%~dp0a.exe\" -x\r\n"))
	f.Add(uint8(18), []byte(`<Server><Service><Connector port="80"/></Service></Server>`))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := names[int(which)%len(names)]
		fsys := fstest.MapFS{"svc.exe": {Data: []byte("MZ")}, "bin/httpd.exe": {Data: []byte("MZ")}, "server.js": {Data: []byte(`require("http")`)}}
		fsys[name] = &fstest.MapFile{Data: data}
		probe(t, fsys, Options{})
	})
}

// FuzzApplicationHost: the configuration of an IIS server, and folders that it may name.
func FuzzApplicationHost(f *testing.F) {
	f.Add([]byte(`<configuration><system.applicationHost><applicationPools><add name="p" managedRuntimeVersion="v2.0"/></applicationPools><sites><site name="s"><application path="/" applicationPool="p"><virtualDirectory path="/" physicalPath="%SystemDrive%\sites\a"/><virtualDirectory path="/b/../c" physicalPath="C:\sites"/></application><application path="/b"><virtualDirectory path="/" physicalPath="D:\sites\b"/></application><bindings><binding protocol="http" bindingInformation="[::1]:80:x"/></bindings></site></sites></system.applicationHost></configuration>`))
	f.Add([]byte(`<configuration><system.applicationHost><sites><site><application path="a\b"><virtualDirectory physicalPath="\\.\C:\..\.."/></application></site></sites></system.applicationHost><location path="s"><system.webServer/></location></configuration>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := fstest.MapFS{
			"Windows/System32/inetsrv/config/applicationHost.config": {Data: data},
			"sites/a/web.config": {Data: []byte("<configuration/>")}, "sites/a/x.aspx": {Data: []byte("<%@ Page %>")}, "D/sites/b/index.html": {Data: []byte("<html>")},
		}
		r := probe(t, fsys, Options{Maps: []Map{{`E:\x`, "sites"}}})
		for _, a := range append(r.Apps, r) {
			for _, x := range a.Facts {
				for _, e := range x.Evidence {
					if _, err := fsys.Stat(e.Path); err != nil {
						t.Errorf("%s: evidence at %q", x.Key, e.Path)
					}
				}
			}
			for _, m := range a.Source {
				if _, err := fsys.Stat(m.From); err != nil {
					t.Errorf("a source at %q", m.From)
				}
			}
		}
	})
}
