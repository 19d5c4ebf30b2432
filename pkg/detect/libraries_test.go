package detect_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/pkg/detect"
)

// needTool skips a test whose compiler is missing, or fails it where all are required.
func needTool(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("WINPACK_REQUIRE_TOOLS") == "1" {
			t.Fatalf("%s is missing: apt-get install %s", program, pkg)
		}
		t.Skipf("SKIPPED: %s is missing: apt-get install %s", program, pkg)
	}
}

// csharp compiles sources into a folder: "U.dll" or "App.exe", source, compiler
// flags. Later ones may refer to earlier ones.
func csharp(t *testing.T, sources ...[3]string) fstest.MapFS {
	t.Helper()
	needTool(t, "mcs", "mono-mcs")
	dir := t.TempDir()
	m := fstest.MapFS{}
	for _, s := range sources {
		in := filepath.Join(dir, s[0]+".cs")
		if err := os.WriteFile(in, []byte(s[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("mcs", append(strings.Fields(s[2]), "-out:"+s[0], in)...)
		cmd.Dir = dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mcs: %v\n%s", err, msg)
		}
		data, err := os.ReadFile(filepath.Join(dir, s[0]))
		if err != nil {
			t.Fatal(err)
		}
		m[s[0]] = &fstest.MapFile{Data: data}
	}
	return m
}

const (
	forms    = "-target:library -r:System.Windows.Forms.dll"
	services = "-target:library -r:System.ServiceProcess.dll"
)

func TestCodeInALibraryThatMainReachesCounts(t *testing.T) {
	const windows = `using System.Windows.Forms; namespace U {
		public class Main : Form { }
		public static class Start { public static void Go() { Application.Run(new Main()); } }
		public static class Dialog { public static void Ask() { new Main().ShowDialog(); } }
		public static class Fail { public static void Say() { MessageBox.Show("x"); } }
		public static class Math { public static int Twice(int a) { return 2 * a; } }
		public interface IRun { void Run(); }
		class Shown : IRun { public void Run() { Application.Run(new Main()); } }
		public static class Factory { public static IRun Make() { return (IRun)System.Activator.CreateInstance(System.Type.GetType("U.Shown")); } } }`
	const service = `using System.ServiceProcess; namespace U {
		public class Svc : ServiceBase { public Svc() { ServiceName = "Deep"; } public void Work() { new System.Threading.ManualResetEvent(false).WaitOne(); } }
		public static class Host { public static void Go() { ServiceBase.Run(new Svc()); } } }`
	const inner = `namespace M { public static class Middle { public static void Go() { U.Start.Go(); } } }`
	main := func(body string) string { return "static class P { static void Main() { " + body + " } }" }
	for name, c := range map[string]struct {
		library, flags, main, target string
		kind                         detect.Kind
		find, not                    string
	}{
		"window":                      {windows, forms, "U.Start.Go();", "winexe", detect.KindNetFXDesktop, "WP1001", "WP1004"},
		"window of a console":         {windows, forms, "U.Start.Go();", "exe", detect.KindNetFXDesktop, "WP1001", ""},
		"dialog":                      {windows, forms, "U.Dialog.Ask();", "winexe", detect.KindNetFXDesktop, "WP1001", "WP1004"},
		"in a lambda":                 {windows, forms, "System.Action a = () => U.Start.Go(); a();", "winexe", detect.KindNetFXDesktop, "WP1001", ""},
		"window that nobody opens":    {windows, forms, "U.Math.Twice(2);", "exe", detect.KindNetFXConsole, "WP1006", "WP1001"},
		"the same, linked for GUI":    {windows, forms, "U.Math.Twice(2);", "winexe", detect.KindNetFXConsole, "WP1006", "WP1004"},
		"window behind an interface":  {windows, forms, "U.Factory.Make().Run();", "winexe", detect.KindNetFXConsole, "WP1006", "WP1004"},
		"message of a failure":        {windows, forms, "U.Fail.Say();", "winexe", detect.KindNetFXConsole, "WP1006", "WP1004"},
		"service":                     {service, services, "U.Host.Go();", "exe", detect.KindNetFXService, "WP1108", "WP1004"},
		"service linked for GUI":      {service, services, "U.Host.Go();", "winexe", detect.KindNetFXService, "WP1108", ""},
		"service that nobody runs":    {service, services, "System.Console.Write(typeof(U.Svc));", "exe", detect.KindNetFXConsole, "WP1006", "WP1108"},
		"library without either":      {`namespace U { public static class Math { public static int Twice(int a) { return 2 * a; } } }`, "-target:library", "U.Math.Twice(2);", "winexe", detect.KindNetFXConsole, "WP1004", "WP1006"},
		"message where a person asks": {service, services, `if (System.Environment.UserInteractive) { System.Console.Write("a service"); return; } U.Host.Go();`, "exe", detect.KindNetFXService, "WP1108", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := csharp(t, [3]string{"U.dll", c.library, c.flags}, [3]string{"App.exe", main(c.main), "-r:U.dll -r:System.ServiceProcess.dll -target:" + c.target})
			r := look(t, m)
			if r.App.Kind != c.kind {
				t.Errorf("got %s, want %s; facts %v", r.App.Kind, c.kind, r.Facts)
			}
			if !slices.Contains(rules(r), c.find) || slices.Contains(rules(r), c.not) {
				t.Errorf("got %v, want %s and not %s", rules(r), c.find, c.not)
			}
			if c.kind == detect.KindNetFXService && (r.App.Program.Service.Name != "Deep" || r.App.Program.Service.Evidence[0].Path != "U.dll") {
				t.Errorf("got %+v", r.App.Program.Service)
			}
		})
	}
	t.Run("through two libraries", func(t *testing.T) {
		r := look(t, csharp(t, [3]string{"U.dll", windows, forms}, [3]string{"M.dll", inner, "-target:library -r:U.dll"}, [3]string{"App.exe", main("M.Middle.Go();"), "-r:M.dll -target:winexe"}))
		if r.App.Kind != detect.KindNetFXDesktop {
			t.Errorf("got %s", r.App.Kind)
		}
	})
}

// Environment.UserInteractive is false in a container, so what a program does where
// it is true, even to wait for ever, makes it no entrypoint.
func TestServiceThatAsksUserInteractiveNeedsAServiceManager(t *testing.T) {
	const flags = "-r:System.ServiceProcess.dll"
	for name, main := range map[string]string{
		"waits":                `if (System.Environment.UserInteractive) { new System.Threading.ManualResetEvent(false).WaitOne(); } else ServiceBase.Run(new Svc());`,
		"reads a line":         `if (System.Environment.UserInteractive) { System.Console.ReadLine(); return; } ServiceBase.Run(new Svc());`,
		"by a variable":        `bool console = System.Environment.UserInteractive || a.Length > 0; if (console) System.Threading.Thread.Sleep(-1); else ServiceBase.Run(new Svc());`,
		"waits for five ticks": `if (System.Environment.UserInteractive) { new System.Threading.ManualResetEvent(false).WaitOne(System.TimeSpan.FromSeconds(5)); return; } ServiceBase.Run(new Svc());`,
	} {
		t.Run(name, func(t *testing.T) {
			r := look(t, csharp(t, [3]string{"App.exe", "using System.ServiceProcess; class Svc : ServiceBase { public Svc() { ServiceName = \"S\"; } } static class P { static void Main(string[] a) { " + main + " } }", flags}))
			if r.App.Kind != detect.KindNetFXService || r.App.Program.Service.Foreground || !slices.Contains(rules(r), "WP1108") {
				t.Errorf("got %s %+v with %v", r.App.Kind, r.App.Program.Service, rules(r))
			}
		})
	}
}

// A host of Topshelf looks at the process that started it, so it stays in the
// foreground in a container and is the entrypoint itself.
func TestServiceOfTopshelfStaysInTheForeground(t *testing.T) {
	const topshelf = `namespace Topshelf {
		public static class HostFactory { public static int Run(System.Action<HostConfigurators.HostConfigurator> a) { return 0; } }
		namespace HostConfigurators { public interface HostConfigurator { void SetServiceName(string name); } } }`
	r := look(t, csharp(t, [3]string{"Topshelf.dll", topshelf, "-target:library"},
		[3]string{"App.exe", `static class P { static int Main() { return Topshelf.HostFactory.Run(x => x.SetServiceName("Orders")); } }`, "-r:Topshelf.dll"}))
	if r.App.Kind != detect.KindNetFXService || !r.App.Program.Service.Foreground || r.App.Program.Service.Name != "Orders" || slices.Contains(rules(r), "WP1108") {
		t.Errorf("got %s %+v with %v", r.App.Kind, r.App.Program.Service, rules(r))
	}
}

func TestSeveralServicesOfAProcessAreNamed(t *testing.T) {
	const source = `using System.ServiceProcess;
		class Zebra : ServiceBase { public Zebra() { ServiceName = "Zebra"; } }
		class Ape : ServiceBase { public Ape() { ServiceName = "Ape"; } }
		static class P { static void Main() { ServiceBase.Run(new ServiceBase[] { SERVICES }); } }`
	r := look(t, csharp(t, [3]string{"App.exe", strings.Replace(source, "SERVICES", "new Zebra(), new Ape()", 1), "-r:System.ServiceProcess.dll"}))
	i := slices.IndexFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == "WP1112" })
	if i < 0 || !strings.Contains(r.Findings[i].Message, "Zebra, Ape") || r.App.Program.Service.Name != "Zebra" {
		t.Errorf("got %v, service %+v", rules(r), r.App.Program.Service)
	}
	r = look(t, csharp(t, [3]string{"App.exe", strings.Replace(source, "SERVICES", "new Ape()", 1), "-r:System.ServiceProcess.dll"}))
	if slices.Contains(rules(r), "WP1112") {
		t.Error("one service was called several")
	}
}
