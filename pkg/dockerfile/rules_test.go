package dockerfile

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

func TestEveryRuleOfThePlannerCanBeExplained(t *testing.T) {
	sources := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources[file] = string(text)
	}
	found, err := emissions(sources)
	if err != nil || len(found) == 0 {
		t.Fatalf("%d rules are emitted: %v", len(found), err)
	}
	for _, problem := range ruleProblems(Rules(), found) {
		t.Error(problem)
	}
}

// The check above is worth what it finds.
func TestRuleCheckFindsWhatIsWrong(t *testing.T) {
	const head = "package p\nconst RuleA = \"WP3001\"\n"
	row := detect.Rule{ID: "WP3001", Level: detect.LevelWarning, Title: "t", Message: "m", Remedy: "r", Why: "w"}
	note, rule, fact := row, row, row
	note.Level, rule.ID, fact.Fact = detect.LevelNote, "WP3002", "kind"
	warns := "func f(p *planner) { p.find(RuleA, detect.LevelWarning, \"\", \"\") }\n"
	for name, test := range map[string]struct {
		rows   []detect.Rule
		source string
		want   string
	}{
		"good":                   {[]detect.Rule{row}, head + warns, ""},
		"no row":                 {nil, head + warns, "WP3001: no row"},
		"dead row":               {[]detect.Rule{row, rule}, head + warns, "WP3002: no finding has it"},
		"declared, not emitted":  {[]detect.Rule{row}, head, "WP3001: no finding has it"},
		"milder than a finding":  {[]detect.Rule{note}, head + warns, "WP3001: the worst finding is a warning"},
		"part missing":           {[]detect.Rule{{ID: "WP3001", Level: "warning"}}, head + warns, "WP3001: a part is missing"},
		"of detection":           {[]detect.Rule{fact}, head + warns, "WP3001: a part is missing"},
		"twice":                  {[]detect.Rule{row, row}, head + warns, "WP3001: malformed, twice or out of order"},
		"two levels, worst told": {[]detect.Rule{row}, head + warns + "func g(p *planner) { p.findAt(RuleA, detect.LevelNote, \"\", \"\", nil) }\n", ""},
	} {
		found, err := emissions(map[string]string{"a.go": test.source})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := strings.Join(ruleProblems(test.rows, found), "\n")
		if got != test.want && (test.want == "" || !strings.Contains(got, test.want)) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	for name, source := range map[string]string{
		"rule that is no constant": head + "func f(p *planner) { p.find(\"WP3001\", detect.LevelNote, \"\", \"\") }\n",
		"level that is computed":   head + "func f(p *planner) { p.find(RuleA, level(), \"\", \"\") }\n",
	} {
		if _, err := emissions(map[string]string{"a.go": source}); err == nil {
			t.Errorf("a %s passes unseen", name)
		}
	}
	if _, err := parseRules("[[rule]]\nid = \"WP3001\"\nlevle = \"note\"\n"); err == nil || !strings.Contains(err.Error(), "levle") {
		t.Errorf("an unknown key in rules.toml gives %v", err)
	}
}

// emissions reads from Go source which rules are given to findings: the worst
// level of each.
func emissions(sources map[string]string) (map[string]detect.Level, error) {
	fset := token.NewFileSet()
	ids := map[string]string{} // of constants
	var calls []*ast.CallExpr
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		file, err := parser.ParseFile(fset, name, sources[name], 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name != "find" // it hands on what it was given
			case *ast.ValueSpec:
				for i, v := range n.Values {
					if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						ids[n.Names[i].Name], _ = strconv.Unquote(lit.Value)
					}
				}
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "find" || sel.Sel.Name == "findAt") {
					calls = append(calls, n)
				}
			}
			return true
		})
	}
	levels := map[string]detect.Level{
		"LevelBlocker": detect.LevelBlocker, "LevelError": detect.LevelError, "LevelWarning": detect.LevelWarning, "LevelNote": detect.LevelNote,
	}
	worst := map[string]detect.Level{}
	for _, call := range calls {
		rule, ok := call.Args[0].(*ast.Ident)
		if !ok || ids[rule.Name] == "" {
			return nil, fmt.Errorf("%s: the rule is no constant", fset.Position(call.Pos()))
		}
		sel, ok := call.Args[1].(*ast.SelectorExpr)
		if !ok || levels[sel.Sel.Name] == "" {
			return nil, fmt.Errorf("%s: the level is no constant of detect", fset.Position(call.Pos()))
		}
		id, level := ids[rule.Name], levels[sel.Sel.Name]
		if was, ok := worst[id]; !ok || level.Rank() < was.Rank() {
			worst[id] = level
		}
	}
	return worst, nil
}

func ruleProblems(rows []detect.Rule, found map[string]detect.Level) []string {
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	last := ""
	for _, r := range rows {
		if !regexp.MustCompile(`^WP3\d{3}$`).MatchString(r.ID) || r.ID <= last {
			wrong("%s: malformed, twice or out of order", r.ID)
		}
		last = r.ID
		if r.Level.Rank() < 0 || r.Title == "" || r.Message == "" || r.Remedy == "" || r.Why == "" || r.Fact != "" {
			wrong("%s: a part is missing, or one of detection is there: %+v", r.ID, r)
		}
		if level, ok := found[r.ID]; !ok {
			wrong("%s: no finding has it", r.ID)
		} else if level != r.Level {
			wrong("%s: the worst finding is a %s, and the row says %s", r.ID, level, r.Level)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if !slices.ContainsFunc(rows, func(r detect.Rule) bool { return r.ID == id }) {
			wrong("%s: no row in rules.toml", id)
		}
	}
	return problems
}
