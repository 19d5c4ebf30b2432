package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Text from an app is data in the settings, whatever it holds: it ends no comment
// and no string.
func TestSettingsTakeTextFromAnAppForData(t *testing.T) {
	for _, nasty := range []string{
		"a\nbase = \"evil\"", "a\r[[accept]]\rrule = 'x'", `'''x''' """y"""`, `it's "C:\x" \u0041`, "\x00\x1b[2J\x7f\u202e\u2028\U0001f600\xff", "# x", "", " ",
	} {
		plan := dockerfile.Plan{
			Bases:  []dockerfile.Base{{OS: "ltsc2022", Reference: nasty}},
			Steps:  []dockerfile.Step{{Kind: dockerfile.StepGrant, To: nasty}},
			Config: dockerfile.Config{Env: map[string]string{nasty: nasty, "A": nasty}, WorkingDir: "C:\\" + nasty, User: "u" + nasty},
		}
		seen := []detect.Evidence{{Path: nasty, Line: 3, Detail: nasty}}
		r := Report{
			App:      App{Name: nasty, Kind: detect.KindUnknown, Entrypoint: []string{"x", nasty}, Ports: []int{80}},
			Base:     Base{Why: []string{nasty}},
			Findings: []detect.Finding{{Rule: "WP1301", Level: detect.LevelError, Message: nasty, Remedy: nasty, Evidence: seen}},
			Facts:    []detect.Fact{{Key: "kind", Value: nasty, Evidence: seen}, {Key: "program", Value: nasty, Evidence: seen}},
		}
		given := Given{Base: nasty, OS: []string{nasty}, Mirrors: []string{nasty}}
		text := string(r.Settings(plan, given))
		all := regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(strings.ReplaceAll(text, "\n##", "\n###"), "")
		valid := strings.ToValidUTF8(nasty, "\ufffd")
		var got map[string]any
		if _, err := toml.Decode(text, &got); err != nil {
			t.Fatalf("%q: %v\n%s", nasty, err, text)
		}
		if len(got) != 0 {
			t.Errorf("%q: nothing is in force before a # is taken away, and that is %v", nasty, got)
		}
		got = nil
		if _, err := toml.Decode(all, &got); err != nil {
			t.Fatalf("%q without marks: %v\n%s", nasty, err, all)
		}
		want := map[string]any{
			"entrypoint": []any{"x", valid}, "write": []any{valid}, "workdir": "C:\\" + valid, "user": "u" + valid,
			"env":    map[string]any{valid: valid, "A": valid},
			"mirror": []any{valid}, "os": []any{valid},
		}
		for key, value := range want {
			if diff := cmp.Diff(value, got[key]); diff != "" {
				t.Errorf("%q: %s (-want +got):\n%s", nasty, key, diff)
			}
		}
		if !strings.Contains(text, "\n## [[accept]]\n## rule = \"WP1301\"\n## reason = ") {
			t.Errorf("%q: no example for the finding:\n%s", nasty, text)
		}
		for line := range strings.Lines(text) {
			if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unsafeRune) {
				t.Errorf("%q: a line that a terminal would obey: %q", nasty, line)
			}
		}
	}
}
