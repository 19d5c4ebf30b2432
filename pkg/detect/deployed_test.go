package detect_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/pkg/detect"
)

// What lies beside an application on a server says nothing of it: the configuration
// of a library, the engine of a database. Each with a near miss in which it is
// the application's own.
func TestWhatLiesBesideAnApplicationIsNotItsUse(t *testing.T) {
	scope := func(a winbin.Assembly) winbin.Assembly {
		a.Code = map[string][]string{"Program::Main": {"newobj [System.Transactions]System.Transactions.TransactionScope::.ctor", "pop", "ret"}}
		return a
	}
	says := func(name, text string) winbin.Assembly {
		a := dll(name, "1.0.0.0", "System.Web 4.0.0.0")
		a.Code = map[string][]string{"Start::Go": {"ldstr " + text, "pop", "ret"}}
		return a
	}
	site := func(pairs ...any) fstest.MapFS {
		return pack(t, append([]any{"Default.aspx", page, "bin/Site.dll", dll("Site", "1.0.0.0", "System.Web 4.0.0.0")}, pairs...)...)
	}
	setting := `<configuration><appSettings><add key="Drop" value="D:\data\x"/></appSettings></configuration>`
	for name, c := range map[string]struct {
		rule       string
		fires, not fstest.MapFS
	}{
		"the configuration of a library":  {"WP1306", site("web.config", setting), site("bin/Site.dll.config", setting)},
		"the configuration of a debugger": {"WP1306", pack(t, "Shop.exe", netfx(), "Shop.exe.config", setting), pack(t, "Shop.exe", netfx(), "Shop.vshost.exe.config", setting)},
		"where the code was compiled":     {"WP1771", site("bin/Shop.dll", says("Shop", `D:\dev\shop\Cart.dat`)), site("bin/Shop.dll", says("Shop", `D:\dev\shop\Cart.cs`))},
		"the folder that a library may use": {"WP1705",
			site("bin/Shop.dll", says("Shop", "~/App_Data/x")), site("bin/BundleTransformer.Core.dll", says("BundleTransformer.Core", "~/App_Data/x"))},
		"the engine of a database": {"WP1695", site("bin/Shop.Data.dll", dll("Shop.Data", "1.0.0.0", "System.Data.SQLite 1.0.0.0 db937bc2d44ff139")), site("bin/x64/SQLite.Interop.dll", "x")},
		"transactions of .NET": {"WP1653",
			pack(t, "Shop.exe", scope(netfx())), pack(t, "Shop.dll", scope(core()), "Shop.runtimeconfig.json", runtimeConfig)},
	} {
		t.Run(name, func(t *testing.T) {
			for i, m := range []fstest.MapFS{c.fires, c.not} {
				r, err := detect.Inspect(m, detect.Options{Name: "x"})
				if err != nil {
					t.Fatal(err)
				}
				fires := slices.ContainsFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == c.rule })
				if fires != (i == 0) || r.App.Kind == detect.KindUnknown {
					t.Errorf("%s of case %d, which is %s: %v", c.rule, i, r.App.Kind, r.Findings)
				}
			}
		})
	}
}

// Connection strings of LocalDB have one cause, and one finding: none of them asks for an
// account of a domain.
func TestLocalDatabasesAreOneFinding(t *testing.T) {
	add := func(name string) string {
		return `<add name="` + name + `" connectionString="Data Source=(LocalDB)\v11.0;AttachDbFilename=|DataDirectory|\a.mdf;Integrated Security=True"/>`
	}
	r, err := detect.Inspect(files("Default.aspx", page, "web.config", "<configuration><connectionStrings>"+add("A")+"\n"+add("B")+"\n"+add("C")+"\n"+add("D")+"</connectionStrings></configuration>"), detect.Options{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, f := range r.Findings {
		if f.Rule == "WP1302" || f.Rule == "WP1304" {
			said = append(said, f.Rule+" "+f.Message)
			if len(f.Evidence) != 4 {
				t.Errorf("%d places", len(f.Evidence))
			}
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "A, B, C, D") {
		t.Errorf("findings: %q", said)
	}
}

// Files that end as those of .NET do are told as broken only where .NET reads them.
func TestWhatIsNoneOfDotNetIsNoProblem(t *testing.T) {
	for name, want := range map[string]int{
		"quartz.config":               0,
		"Shop.exe.config":             1,
		"obj/Debug/TempPE/Model.dll":  0,
		"plugins/Model.dll":           1,
		".ebextensions/00_iis.config": 0,
	} {
		r, err := detect.Inspect(pack(t, "Shop.exe", netfx(), name, "# settings\nquartz.threads = 4 < 5\n"), detect.Options{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Problems) != want {
			t.Errorf("%s: %v", name, r.Problems)
		}
	}
}

// The compilers that a site of ASP.NET brings are no application, where the site is not
// recognised beside them.
func TestCompilersOfASiteAreNoApplication(t *testing.T) {
	r, err := detect.Inspect(pack(t, "Shop.dll", dll("Shop", "1.0.0.0"), "roslyn/VBCSCompiler.exe", netfx(), "roslyn/csc.exe", netfx(), "roslyn/csi.exe", netfx()), detect.Options{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if r.App.Kind != detect.KindUnknown {
		t.Errorf("is %s, by %v", r.App.Kind, r.App.Program)
	}
}
