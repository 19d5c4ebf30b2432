package pe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func followed(t *testing.T, main string, assume Assume) ([]Step, error) {
	t.Helper()
	source := `using System; using System.Threading.Tasks; static class P {
		static bool Ask() { return Environment.UserInteractive; }
		static void A() { Inner(); } static void B() { } static void C() { } static void Inner() { }
		static async Task Slow() { A(); await Task.Delay(-1); B(); }
		static void Main(string[] args) { ` + main + ` } }`
	f := open(t, compile(t, source, ".cs", nil, "mcs", "-out:OUT", "IN"))
	c, err := f.CLR()
	if err != nil {
		t.Fatal(err)
	}
	return c.Follow(nil, assume)
}

func TestFollowTakesOnlyTheWaysThatAreOpen(t *testing.T) {
	yes := Assume{NoArguments: true, Values: map[string]int32{"System.Environment::get_UserInteractive": 1}}
	no := Assume{Values: map[string]int32{"System.Environment::get_UserInteractive": 0}}
	for name, c := range map[string]struct {
		main   string
		assume Assume
		want   string // of A, B and C
	}{
		"true":                   {"if (Environment.UserInteractive) A(); else B(); C();", yes, "AC"},
		"false":                  {"if (Environment.UserInteractive) A(); else B(); C();", no, "BC"},
		"nothing known":          {"if (Environment.UserInteractive) A(); else B(); C();", Assume{}, "ABC"},
		"negated":                {"if (!Environment.UserInteractive) { A(); return; } B();", yes, "B"},
		"compared":               {"if (Environment.UserInteractive == false) A(); else B();", yes, "B"},
		"in a variable":          {"bool b = !Environment.UserInteractive; if (b) A(); else B();", yes, "B"},
		"in one that is set":     {"bool b = Environment.UserInteractive; if (args[0] == \"\") b = false; if (b) A(); else B();", yes, "AB"},
		"by reference":           {"int b = Environment.UserInteractive ? 1 : 0; int.TryParse(\"0\", out b); if (b == 1) A(); else B();", yes, "AB"},
		"without arguments":      {"if (args.Length > 0) A(); else if (args == null) B(); else C();", yes, "C"},
		"with some":              {"if (args.Length > 0) A(); else B();", no, "AB"},
		"of other arguments":     {"args = Environment.GetCommandLineArgs(); if (args.Length > 0) A(); else B();", yes, "AB"},
		"a switch":               {"switch (args.Length) { case 0: A(); break; case 1: B(); break; case 2: C(); break; }", yes, "A"},
		"a switch of what it is": {"switch (Environment.ExitCode) { case 0: A(); break; case 1: B(); break; case 2: C(); break; }", yes, "ABC"},
		"what a method answers":  {"if (Ask()) A(); else B();", yes, "AB"},
		"after a loop":           {"for (int i = 0; i < 3; i++) A(); B();", yes, "AB"},
		"never after one":        {"while (true) A(); B();", yes, "A"},
		"after an exception":     {"try { A(); } finally { B(); } C();", yes, "AC"},
		"in an async method":     {"Slow().Wait();", yes, "AB"},
		"by a delegate":          {"new System.Threading.Thread(() => B()).Start();", yes, "B"},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := followed(t, c.main, c.assume)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, m := range []string{"A", "B", "C"} {
				if slices.ContainsFunc(steps, func(s Step) bool { return s.Member == "P::"+m }) {
					got += m
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFollowSaysWhatItKnowsOfACall(t *testing.T) {
	for name, c := range map[string]struct {
		main, member string
		want         Step
	}{
		"a number":               {"System.Threading.Thread.Sleep(-1);", "System.Threading.Thread::Sleep", Step{Number: -1, Known: true}},
		"one of two":             {"int n = 5; if (args[0] == \"\") n = 6; System.Threading.Thread.Sleep(n);", "System.Threading.Thread::Sleep", Step{}},
		"in a loop":              {"while (true) { C(); System.Threading.Thread.Sleep(7); }", "System.Threading.Thread::Sleep", Step{Number: 7, Known: true, Loop: true}},
		"before one":             {"C(); while (true) { A(); }", "P::C", Step{}},
		"an address":             {"Action a = A; a();", "P::A", Step{Address: true}},
		"behind an address":      {"Action a = A; a();", "P::Inner", Step{Later: true}},
		"called too":             {"Action a = A; a(); A();", "P::Inner", Step{}},
		"called in another one":  {"Action a = () => A(); B();", "P::Inner", Step{Later: true}},
		"of an async method":     {"Slow().Wait();", "P::A", Step{}},
		"a number in its method": {"Slow().Wait();", "System.Threading.Tasks.Task::Delay", Step{Number: -1, Known: true}},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := followed(t, c.main, Assume{})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(steps, func(s Step) bool { return s.Member == c.member })
			if i < 0 {
				t.Fatalf("no %s in %+v", c.member, steps)
			}
			got := steps[i]
			got.Call = Call{}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestFollowGivesUpATangle(t *testing.T) {
	var b strings.Builder
	for i := range 15 {
		fmt.Fprintf(&b, "int v%d = 0; if (args[%d] == \"\") v%d = 1;\n", i, i, i)
	}
	if _, err := followed(t, b.String(), Assume{}); !errors.Is(err, ErrTangled) {
		t.Errorf("got %v", err)
	}
}
