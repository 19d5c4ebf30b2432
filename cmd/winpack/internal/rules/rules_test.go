package rules

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures/schema"
)

func TestSchemaRejectsWhatAreNoRules(t *testing.T) {
	s := schema.Compile(t, Schema)
	good, err := report.JSON(New(All()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(t, good); err != nil {
		t.Errorf("the schema rejects all rules: %v", err)
	}
	for _, change := range [][2]string{
		{`"winpack/rules/v1"`, `"winpack/rules/v2"`}, {`"WP1001"`, `"1001"`}, {`"blocker"`, `"fatal"`},
		{`"title":`, `"name": "x", "title":`}, {`"remedy":`, `"cure":`}, {`"rules": [`, `"rules": null, "more": [`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) || s.Validate(t, []byte(bad)) == nil {
			t.Errorf("the schema takes %s", change[1])
		}
	}
	none, err := report.JSON(New(nil))
	if err != nil || s.Validate(t, none) != nil {
		t.Errorf("a document without rules is %s, %v", none, err)
	}
}

func TestRulesReadWellForPeople(t *testing.T) {
	all := All()
	last := ""
	for _, r := range all {
		if r.ID <= last {
			t.Errorf("%s stands behind %s", r.ID, last)
		}
		last = r.ID
		if placeholder.MatchString(r.Message + r.Remedy) {
			t.Errorf("%s shows a placeholder of the table: %s %s", r.ID, r.Message, r.Remedy)
		}
		if strings.HasPrefix(r.Remedy, "<") && !strings.Contains(r.Remedy, " ") {
			t.Errorf("%s: the remedy is %q alone", r.ID, r.Remedy)
		}
	}
	var text, list strings.Builder
	if err := New(all).Text(&text); err != nil {
		t.Fatal(err)
	}
	if err := New(all).List(&list); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String() + list.String()) {
		if utf8.RuneCountInString(line) > 101 && !strings.HasPrefix(line, "  https://") {
			t.Errorf("a long line: %s", line)
		}
	}
	if n := strings.Count(list.String(), "\n"); n != len(all) {
		t.Errorf("%d lines for %d rules", n, len(all))
	}
}

// A rule that Go code names and that cannot be explained leaves the reader of a
// finding alone.
func TestEveryRuleThatCodeNamesIsExplained(t *testing.T) {
	literal := regexp.MustCompile(`"(WP\d{4})"`)
	seen := 0
	err := filepath.WalkDir("../../../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			code, _, _ := strings.Cut(line, "//")
			for _, m := range literal.FindAllStringSubmatch(code, -1) {
				seen++
				if _, ok := Find(m[1]); !ok {
					t.Errorf("%s names %s, which has no row in a rules.toml", path, m[1])
				}
			}
		}
		return nil
	})
	if err != nil || seen < 9 {
		t.Errorf("%d rules were seen: %v", seen, err)
	}
}

func TestRulesAreFoundInAnyCase(t *testing.T) {
	for id, want := range map[string]bool{"WP1001": true, "wp3009": true, "Wp1301": true, "WP9999": false, "": false, "1001": false} {
		if _, ok := Find(id); ok != want {
			t.Errorf("%q is found: %v", id, ok)
		}
	}
}
