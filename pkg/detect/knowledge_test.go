package detect

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

func TestTablesAreWellFormed(t *testing.T) {
	confidence := []string{"high", "medium", "low"}
	row := func(table, id, source, conf string, sources map[string]string) {
		if !slices.Contains(confidence, conf) {
			t.Errorf("%s %s: confidence %q", table, id, conf)
		}
		if source == "" {
			t.Errorf("%s %s: no source", table, id)
		}
		for _, key := range regexp.MustCompile(`\b[A-Z][A-Z0-9]{2,}\b`).FindAllString(source, -1) {
			if _, ok := sources[key]; !ok && sources != nil {
				t.Logf("%s %s: %q is no key of [sources]", table, id, key)
			}
		}
	}
	fw := frameworkData()
	if fw.AsOf.IsZero() {
		t.Error("frameworks.toml: no as_of")
	}
	for _, r := range fw.NetFX {
		row("netfx", r.Version, r.Source, r.Confidence, fw.Sources)
		if r.Version == "" || !strings.HasPrefix(r.CLR, "v") {
			t.Errorf("netfx %+v", r)
		}
	}
	for i, r := range fw.DotNet {
		row("dotnet", r.Version, r.Source, r.Confidence, fw.Sources)
		if r.EOL.IsZero() || !r.EOL.After(r.Released) || majorMinor(r.Version) != r.Version || i > 0 && !newer(r.Version, fw.DotNet[i-1].Version) {
			t.Errorf("dotnet %+v", r)
		}
	}
	for _, r := range fw.Dependency {
		row("dependency", strings.Join(r.Refs, " "), r.Source, r.Confidence, fw.Sources)
		if len(r.Refs) == 0 || !slices.Contains([]string{"netfx", "dotnet", "any"}, r.Applies) || !slices.Contains([]string{"ok", "partial", "no"}, r.Nano) || !slices.Contains([]string{"ok", "partial", "no"}, r.ServerCore) || r.Missing == "" {
			t.Errorf("dependency %+v", r)
		}
		for _, name := range r.Refs {
			if family, _ := strings.CutSuffix(name, ".*"); strings.Contains(family, "*") {
				t.Errorf("dependency %q: a star may only end a name, after a dot", name)
			}
		}
	}
	iis := iisData()
	for _, r := range iis.Feature {
		row("feature", r.ID, r.Source, r.Confidence, iis.Sources)
		if _, value, ok := strings.Cut(r.When, "="); r.When != "" && (!ok || value == "") {
			t.Errorf("feature %s: when %q", r.ID, r.When)
		}
	}
	for _, r := range iis.Lock {
		row("lock", r.Sections[0], r.Source, r.Confidence, iis.Sources)
		if !slices.Contains([]string{"locked", "locked-without-aspnet", "apphost-only"}, r.State) {
			t.Errorf("lock %+v", r)
		}
	}
	for _, r := range iis.Module {
		row("module", r.ID, r.Source, r.Confidence, iis.Sources)
		if r.Title == "" || len(r.Sections) == 0 || len(r.Modules) == 0 {
			t.Errorf("module %+v", r)
		}
	}
	for _, r := range iis.Setting {
		row("setting", r.Sections[0], r.Source, r.Confidence, iis.Sources)
		if r.Why == "" {
			t.Errorf("setting %+v", r)
		}
	}
	assemblies := assemblyData()
	known := map[string]bool{}
	for _, f := range assemblies.Framework {
		for _, s := range f.Source {
			row("framework", f.Name, s, f.Confidence, assemblies.Sources)
		}
		for name := range strings.FieldsSeq(f.Assemblies) {
			if key := f.Name + " " + strings.ToLower(name); known[key] {
				t.Errorf("%s is listed twice", key)
			} else {
				known[key] = true
			}
		}
		for _, token := range f.Tokens {
			if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(token) {
				t.Errorf("token %q of %s", token, f.Name)
			}
		}
	}
	for _, p := range assemblies.Product {
		for _, s := range p.Source {
			row("product", p.Names[0], s, p.Confidence, assemblies.Sources)
		}
		for _, name := range p.Names {
			if has, _ := assemblies.inNetFX(&pe.Assembly{Name: name}); has || p.Product == "" || p.Cure == "" {
				t.Errorf("product %s: %q is an assembly of .NET Framework, or a part is missing", p.Product, name)
			}
		}
	}
	com := comData()
	for _, c := range com.Class {
		for _, s := range c.Source {
			row("class", c.IDs[0], s, c.Confidence, com.Sources)
		}
		if c.What == "" || (c.Cure == "") != (c.Core == "yes") || c.Core != "yes" && c.Core != "no" {
			t.Errorf("class %+v", c)
		}
	}
	dlls := dllData()
	for _, r := range dlls.Redist {
		row("redist", r.ID, strings.Join(r.Source, " "), r.Confidence, nil)
		if !slices.ContainsFunc(dlls.DLLs, func(d dllRow) bool { return d.Redist == r.ID }) || r.Product == "" || r.Cure == "" {
			t.Errorf("redist %s: no DLL is of it, or a part is missing", r.ID)
		}
	}
	for _, d := range dlls.DLLs {
		if d.Redist != "" && (d.Forces != "redist" || !slices.ContainsFunc(dlls.Redist, func(r redistRow) bool { return r.ID == d.Redist })) {
			t.Errorf("dlls %s: no redistributable %q", d.Names[0], d.Redist)
		}
	}
	seen := map[string]bool{}
	for _, r := range dlls.DLLs {
		for _, s := range r.Source {
			if dlls.Sources[s] == "" {
				t.Errorf("dlls %s: source %q is not listed", r.Names[0], s)
			}
		}
		row("dlls", r.Names[0], strings.Join(r.Source, " "), r.Confidence, nil)
		for _, n := range r.Names {
			if seen[n] || n != strings.ToLower(n) {
				t.Errorf("dll %q is there twice or not in lower case", n)
			}
			seen[n] = true
		}
		known := []string{"yes", "no", "unknown"}
		if !slices.Contains(known, r.Nano) || !slices.Contains(known, r.Core) || !slices.Contains([]string{"", "functions", "missing"}, r.Subset) ||
			!slices.Contains([]string{"", "servercore", "server", "feature", "redist", "app", "step", "host", "error"}, r.Forces) {
			t.Errorf("dlls %+v", r)
		}
	}
	for _, r := range slices.Concat(dlls.Missing, dlls.Present) {
		if !seen[r.DLL] || len(r.Functions) == 0 {
			t.Errorf("functions of %q: no such DLL, or none", r.DLL)
		}
	}
	checkSignals(t, row)
	for _, k := range precedenceData().Key {
		if k.Why == "" || len(k.Order) == 0 {
			t.Errorf("precedence %+v", k)
		}
	}
}

// checkSignals holds the rows of signals.toml against the rules.
func checkSignals(t *testing.T, row func(table, id, source, conf string, sources map[string]string)) {
	t.Helper()
	d := signalData()
	seen := map[string]bool{}
	for i := range d.Signal {
		s := &d.Signal[i]
		row("signal", s.ID, s.Source, s.Confidence, nil)
		for source := range strings.SplitSeq(s.Source, ";") {
			if source = strings.TrimSpace(source); source != "from memory" && d.Sources[source] == "" {
				t.Errorf("signal %s: source %q is not listed", s.ID, source)
			}
		}
		if seen[s.ID] {
			t.Errorf("signal %s is there twice", s.ID)
		}
		seen[s.ID] = true
		var of []Rule
		for _, r := range Rules() {
			if r.Fact == "signal" && slices.Contains(r.Values, s.ID) {
				of = append(of, r)
			}
		}
		if want := 1; len(of) != want && !s.Quiet && s.Fact == "" || len(of) > 0 && (s.Quiet || s.Fact != "") {
			t.Errorf("signal %s has %d rules", s.ID, len(of))
		}
		for _, r := range of {
			if s.Confidence == "low" && r.Level.Rank() < LevelWarning.Rank() || r.Level == LevelBlocker && s.Confidence == "low" {
				t.Errorf("%s is of level %s, and its row %s has a low confidence", r.ID, r.Level, s.ID)
			}
		}
		matchers := slices.Concat(s.Files, s.Paths, s.Refs, s.Types, s.Natives, s.ProgIDs, s.Strings, s.Scripts, s.Config, s.Keys, s.Values)
		if len(matchers) == 0 && !s.Code {
			t.Errorf("signal %s: nothing gives it away", s.ID)
		}
		for _, low := range slices.Concat(s.Files, s.Content, s.Paths, s.Strings, s.Scripts, s.Keys, s.Values) {
			if low != strings.ToLower(low) {
				t.Errorf("signal %s: %q is not in lower case", s.ID, low)
			}
		}
		for _, n := range s.Natives {
			if dll, _, _ := strings.Cut(n, "!"); dll != strings.ToLower(dll) || strings.TrimSuffix(dll, path.Ext(dll)) == dll {
				t.Errorf("signal %s: %q is no DLL in lower case with its ending", s.ID, n)
			}
		}
		for _, u := range s.Unless {
			if d.byID[u] == nil && !rulesFacts()[u] {
				t.Errorf("signal %s: unless %q, which is neither a signal nor a fact", s.ID, u)
			}
		}
	}
	for _, r := range Rules() {
		if r.Fact != "signal" {
			continue
		}
		for _, v := range r.Values {
			if d.byID[v] == nil {
				t.Errorf("%s is about the signal %q, which is not there", r.ID, v)
			}
		}
	}
	for _, p := range d.Package {
		row("package", p.Name, p.Source, p.Confidence, nil)
		if p.Before == "" || p.Fixed == "" || p.Fault == "" {
			t.Errorf("package %+v", p)
		}
	}
	row("others", "", d.Others.Source, d.Others.Confidence, nil)
}

func TestMalformedSignalsAreRefused(t *testing.T) {
	for _, bad := range []string{
		`types = ["NoNamespace"]`, `config = ["@attribute=x"]`, `config = ["a@!b=c"]`, `confg = ["a"]`,
	} {
		table, err := parse[signalTable]("signals.toml", "[[signal]]\nid = \"x\"\n"+bad)
		if err == nil {
			_, err = newSignalIndex(table)
		}
		if err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestRulesAreWellFormed(t *testing.T) {
	last := ""
	facts := rulesFacts()
	for _, r := range Rules() {
		if !regexp.MustCompile(`^WP\d{4}$`).MatchString(r.ID) || r.ID <= last {
			t.Errorf("%s: malformed, twice or out of order", r.ID)
		}
		last = r.ID
		if r.Level.Rank() < 0 || r.Title == "" || r.Message == "" || r.Remedy == "" || r.Why == "" || r.Fact == "" {
			t.Errorf("%s: a part is missing: %+v", r.ID, r)
		}
		if !facts[r.Fact] {
			t.Errorf("%s: no fact of key %q is ever made", r.ID, r.Fact)
		}
	}
}

// rulesFacts are the keys that detectors and resolve make, read from their code.
func rulesFacts() map[string]bool {
	keys := map[string]bool{}
	re := regexp.MustCompile(`(?:Key: |Key = |key := |miss: |find\(|add\(|derive\(|fact\(|fact\.Key, fact\.item = )"([a-z0-9-]+)"`)
	for _, src := range sourceFiles() {
		for _, m := range re.FindAllStringSubmatch(src, -1) {
			keys[m[1]] = true
		}
	}
	for _, k := range []string{"app", "redist", "feature", "step", "host", "error"} {
		keys["import-"+k] = true
	}
	for _, k := range []string{"assembly-missing", "assembly-partial", "signal"} {
		keys[k] = true
	}
	return keys
}

func TestEveryPatternCompiles(t *testing.T) {
	count := 0
	re := regexp.MustCompile("\\bpattern\\(`([^`]*)`\\)")
	for _, src := range sourceFiles() {
		for _, m := range re.FindAllStringSubmatch(src, -1) {
			count++
			if _, err := regexp.Compile(m[1]); err != nil {
				t.Error(err)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d patterns were found", count)
	}
}

func TestUnknownKeyInATableIsAnError(t *testing.T) {
	if _, err := parse[ruleTable]("rules.toml", "[[rule]]\nid = \"WP1\"\nlevle = \"note\"\n"); err == nil || !strings.Contains(err.Error(), "levle") {
		t.Errorf("got %v", err)
	}
}

func TestVersionsCompareAsNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"4.8", "4.7.2", 1}, {"4.7.2", "4.7.2", 0}, {"4.8", "4.8.0", 0}, {"4.8", "4.8.1", -1}, {"10.0", "9.0", 1}, {"3.5", "4.0", -1}} {
		got := compareVersions(c.a, c.b)
		if got < 0 != (c.want < 0) || got > 0 != (c.want > 0) {
			t.Errorf("%s against %s: %d", c.a, c.b, got)
		}
	}
}

func TestEndOfSupportComesFromTheTable(t *testing.T) {
	for _, row := range frameworkData().DotNet {
		ended, next := endOf(Framework{NETCoreApp, row.Version})
		if (ended != "") != row.EOL.Before(frameworkData().AsOf) {
			t.Errorf("%s: ended %q", row.Version, ended)
		}
		if ended != "" && next == "" {
			t.Errorf("%s ended and no next version is named", row.Version)
		}
	}
	if ended, _ := endOf(Framework{NETFramework, "4.8"}); ended != "" {
		t.Errorf("4.8 ended: %s", ended)
	}
}

func BenchmarkTables(b *testing.B) {
	for b.Loop() {
		must(parse[frameworkTable]("frameworks.toml", frameworksTOML))
		must(parse[iisTable]("iis.toml", iisTOML))
		must(parse[dllTable]("dlls.toml", dllsTOML))
		must(parse[ruleTable]("rules.toml", rulesTOML))
		must(parse[precedenceTable]("precedence.toml", precedenceTOML))
		must(parse[runtimeTable]("runtimes.toml", runtimesTOML))
		must(newSignalIndex(must(parse[signalTable]("signals.toml", signalsTOML))))
	}
}

func sourceFiles() []string {
	var out []string
	entries, err := os.ReadDir(".")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			data, err := os.ReadFile(e.Name())
			if err != nil {
				panic(err)
			}
			out = append(out, string(data))
		}
	}
	return out
}
