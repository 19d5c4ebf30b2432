package detect

import (
	"slices"
	"strings"
	"testing"
)

// program is a set of facts about one .NET program.
func program(path, arch string, selfContained bool, fw Framework, kind Kind) []Fact {
	ev := []Evidence{{Path: path, Detail: "x"}}
	return []Fact{
		{Key: "program", Value: path, source: "runtimeconfig", about: path, Evidence: ev, item: &Program{Path: path, SelfContained: selfContained}},
		{Key: "kind", Value: string(kind), source: "managed", about: path, Evidence: ev},
		{Key: "architecture", Value: arch, source: "host", about: path, Evidence: ev},
		{Key: "framework", Value: fw.Name + " " + fw.Version, source: "runtimeconfig", about: path, Evidence: ev, item: fw},
	}
}

func found(facts []Fact) []string {
	r := resolve("x", "", facts)
	app, facts := r.app, r.facts
	var ids []string
	for _, f := range judge(app, facts) {
		ids = append(ids, f.Rule)
	}
	return ids
}

func TestRuntimesThatNoImageHas(t *testing.T) {
	net10 := Framework{NETCoreApp, "10.0"}
	for name, c := range map[string]struct {
		facts []Fact
		rule  string
		want  bool
	}{
		"a 32-bit host without its runtime": {program("a.exe", X86, false, net10, KindDotNetConsole), "WP1109", true},
		"a 32-bit host with its runtime":    {program("a.exe", X86, true, net10, KindDotNetConsole), "WP1109", false},
		"a 64-bit host":                     {program("a.exe", X64, false, net10, KindDotNetConsole), "WP1109", false},
		"an ARM64 program":                  {program("a.exe", ARM64, true, net10, KindDotNetConsole), "WP1005", true},
		"a CLR 2 program":                   {program("a.exe", AnyCPU, false, Framework{NETFramework, "3.5"}, KindNetFXConsole), "WP1111", true},
		"a CLR 4 program":                   {program("a.exe", AnyCPU, false, Framework{NETFramework, "4.0"}, KindNetFXConsole), "WP1111", false},
		"WindowsDesktop in a console": {append(program("a.exe", X64, false, net10, KindDotNetConsole),
			Fact{Key: "shared-framework", Value: "Microsoft.WindowsDesktop.App 10.0.0", about: "a.exe", Evidence: []Evidence{{Path: "a"}}}), "WP1110", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := found(c.facts); slices.Contains(got, c.rule) != c.want {
				t.Errorf("findings %v, want %s: %v", got, c.rule, c.want)
			}
		})
	}
}

func TestStrongerSourceWinsWhateverTheOrder(t *testing.T) {
	facts := program("a.exe", X64, false, Framework{NETCoreApp, "8.0"}, KindDotNetConsole)
	facts = append(facts, Fact{Key: "framework", Value: ".NETCoreApp 6.0", source: "target-framework-attribute", about: "a.exe", Evidence: facts[0].Evidence, item: Framework{NETCoreApp, "6.0"}})
	for range 2 {
		r := resolve("x", "", slices.Clone(facts))
		app, out := r.app, r.facts
		if app.Framework.Version != "8.0" {
			t.Errorf("got %v", app.Framework)
		}
		i := slices.IndexFunc(out, func(f Fact) bool { return f.Value == ".NETCoreApp 6.0" })
		if i < 0 || !strings.Contains(out[i].OverruledBy, "runtimeconfig comes before target-framework-attribute") {
			t.Errorf("the loser does not say why: %+v", out)
		}
		slices.Reverse(facts)
	}
}

func TestProgramThatTheModuleStarts(t *testing.T) {
	for _, c := range []struct {
		in   processPath
		file string
		args string
	}{
		{processPath{"dotnet", `.\Shop.dll`}, "Shop.dll", ""},
		{processPath{`C:\Program Files\dotnet\dotnet.exe`, `.\Shop.dll --fast on`}, "Shop.dll", "--fast on"},
		{processPath{`.\Shop.exe`, "--urls http://*:80"}, "Shop.exe", "--urls http://*:80"},
		{processPath{`.\Shop.exe`, "--password=x"}, "Shop.exe", ""},
		{processPath{`%LAUNCHER_PATH%`, `%LAUNCHER_ARGS%`}, "", ""},
		{processPath{`..\other\x.exe`, ""}, "", ""},
	} {
		file, args := c.in.program()
		if file != c.file || strings.Join(args, " ") != c.args {
			t.Errorf("%+v: got %q %q, want %q %q", c.in, file, args, c.file, c.args)
		}
	}
}
