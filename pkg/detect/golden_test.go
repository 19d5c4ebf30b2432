package detect_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/detect"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func inspect(t testing.TB, dir string) detect.Report {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	report, err := detect.Inspect(root.FS(), detect.Options{Name: filepath.Base(dir)})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func marshal(t testing.TB, r detect.Report) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestFixturesGiveTheirGoldenReport(t *testing.T) {
	names, err := fixtures.Names()
	if err != nil {
		t.Fatal(err)
	}
	root, err := fixtures.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			report := inspect(t, fixtures.App(t, name))
			report.App.Name = name
			got := marshal(t, report)
			golden := filepath.Join(root, name, "detect.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v (run with -update, then read it)", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the report changed (-want +got):\n%s", diff)
			}
			for _, f := range report.Facts {
				if len(f.Evidence) == 0 {
					t.Errorf("fact %s=%s has no evidence", f.Key, f.Value)
				}
			}
			for _, f := range report.Findings {
				if len(f.Evidence) == 0 {
					t.Errorf("finding %s has no evidence", f.Rule)
				}
				if bytes.ContainsAny([]byte(f.Message+f.Remedy), "{}") {
					t.Errorf("finding %s has a word left open: %s %s", f.Rule, f.Message, f.Remedy)
				}
			}
		})
	}
}

func TestSameFolderGivesSameBytes(t *testing.T) {
	dir := fixtures.App(t, "demo")
	first := marshal(t, inspect(t, dir))
	for range 20 {
		if again := marshal(t, inspect(t, dir)); !bytes.Equal(first, again) {
			t.Fatalf("two runs differ:\n%s", cmp.Diff(string(first), string(again)))
		}
	}
}

// TestKinds pins what cannot be learned from a golden that was accepted blindly.
func TestKindsOfFixtures(t *testing.T) {
	for name, want := range map[string]detect.App{
		"demo":                             {Kind: detect.KindASPNET, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"aspnet-35":                        {Kind: detect.KindASPNET, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "3.5"}},
		"aspnet-x86":                       {Kind: detect.KindASPNET, Architecture: "x86", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"wcf-http":                         {Kind: detect.KindWCF, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"aspnet-core":                      {Kind: detect.KindASPNETCore, Architecture: "x64", Framework: detect.Framework{Name: ".NETCoreApp", Version: "10.0"}},
		"netfx-console":                    {Kind: detect.KindNetFXConsole, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.8"}},
		"netfx-service-winexe":             {Kind: detect.KindNetFXService, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"netfx-winforms":                   {Kind: detect.KindNetFXDesktop, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"nearmiss-netfx-servicecontroller": {Kind: detect.KindNetFXConsole, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"nearmiss-winforms-reference":      {Kind: detect.KindNetFXConsole, Architecture: "anycpu", Framework: detect.Framework{Name: ".NETFramework", Version: "4.7.2"}},
		"nearmiss-go-service-import":       {Kind: detect.KindNativeConsole, Architecture: "x64"},
		"native-service":                   {Kind: detect.KindNativeService, Architecture: "x64"},
		"native-desktop":                   {Kind: detect.KindNativeDesktop, Architecture: "x64"},
		"native-gui-console":               {Kind: detect.KindNativeConsole, Architecture: "x64"},
		"dotnet-worker-service":            {Kind: detect.KindDotNetService, Architecture: "x64", Framework: detect.Framework{Name: ".NETCoreApp", Version: "10.0"}},
		"broken-truncated-exe":             {Kind: detect.KindUnknown, Architecture: "x64"},
		"nodejs":                           {Kind: detect.KindNode},
		"nodejs-bundled":                   {Kind: detect.KindNode, Architecture: "x64"},
		"python-flask":                     {Kind: detect.KindPython},
		"java-jar":                         {Kind: detect.KindJava},
		"tomcat":                           {Kind: detect.KindTomcat},
		"jboss":                            {Kind: detect.KindJBoss},
		"httpd":                            {Kind: detect.KindHTTPD, Architecture: "x64"},
		"nginx":                            {Kind: detect.KindNginx, Architecture: "x64"},
		"redis":                            {Kind: detect.KindRedis, Architecture: "x64"},
		"php-iis":                          {Kind: detect.KindPHP},
		"classic-asp":                      {Kind: detect.KindClassicASP},
		"unknown-ruby":                     {Kind: detect.KindUnknown},
		"static":                           {Kind: detect.KindStatic},
	} {
		t.Run(name, func(t *testing.T) {
			got := inspect(t, fixtures.App(t, name)).App
			if got.Kind != want.Kind || got.Architecture != want.Architecture || got.Framework != want.Framework {
				t.Errorf("got %s %v %q, want %s %v %q", got.Kind, got.Framework, got.Architecture, want.Kind, want.Framework, want.Architecture)
			}
		})
	}
}

func TestServicesSayNameAndForeground(t *testing.T) {
	for name, want := range map[string]detect.Service{
		"netfx-service":             {Name: "LabelSpooler"},
		"netfx-service-interactive": {Name: "OrderGateway"},
		"dotnet-worker-service":     {Name: "Mailer", Foreground: true},
		"dotnet-singlefile-service": {Name: "MailQueue", Foreground: true},
		"native-service":            {},
	} {
		t.Run(name, func(t *testing.T) {
			p := inspect(t, fixtures.App(t, name)).App.Program
			if p == nil || p.Service == nil {
				t.Fatalf("no service: %+v", p)
			}
			if p.Service.Name != want.Name || p.Service.Foreground != want.Foreground {
				t.Errorf("got %q foreground=%v, want %q foreground=%v", p.Service.Name, p.Service.Foreground, want.Name, want.Foreground)
			}
		})
	}
}
