package dockerfile

import (
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

// A secret in the configuration of an image is told by its name and place, and never
// shown.
func TestSecretInADockerfileIsAWarningOfItsLine(t *testing.T) {
	found := findingsOf(t, "ARG API_TOKEN=hunter2\nARG BASE=x\nFROM ${BASE}\nARG DB_PASSWORD\nENV A=1 DB_PASSWORD=\"hunter2\"\nENV MAIL__PASSWORD $DB_PASSWORD\n"+
		"ENV DB=\"Server=db;User Id=sa;Password=hunter2\"\nLABEL feed=https://bob:hunter2@example.com\nENTRYPOINT [\"C:\\a\"]\nARG X_SECRET=${Y:-hunter2}\n")
	var got []string
	for _, f := range found {
		if strings.Contains(f.Message+f.Remedy, "hunter2") {
			t.Errorf("the secret is shown: %+v", f)
		}
		if f.Rule == RuleSecret && f.Level != detect.LevelWarning {
			t.Errorf("it is no warning: %+v", f)
		}
		_, what, _ := strings.Cut(f.Message, "clear text in ")
		what, _, _ = strings.Cut(what, " (value")
		got = append(got, f.Rule+":"+string(rune('0'+f.Evidence[0].Line))+" "+what)
	}
	want := "WP3014:1 ARG: API_TOKEN WP3014:5 ENV: DB_PASSWORD WP3014:7 ENV: connection string DB, password WP3014:8 LABEL: feed (in its URL) WP3011:9  WP3014:: ARG: X_SECRET"
	if strings.Join(got, " ") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
}

func TestSecretInSettingsIsAWarning(t *testing.T) {
	opt := Options{OS: []string{"ltsc2022"}, Settings: Settings{
		Env:    map[string]string{"API_KEY": "hunter2", "MODE": "container", "OTHER_KEY": "x", "DB_PASSWORD": "${DB_PASSWORD}"},
		Labels: map[string]string{"com.example.token": "hunter2", "a": "b"},
		Places: map[string]detect.Evidence{"env.API_KEY": {Path: "winpack.toml", Line: 4}},
	}}
	plan, err := New(siteReport(), catalog(t), opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Findings) != 2 {
		t.Fatalf("the findings are %+v", plan.Findings)
	}
	for i, want := range []string{"[env]: API_KEY (value not shown)", "[labels]: com.example.token (value not shown)"} {
		if f := plan.Findings[i]; f.Rule != RuleSecret || f.Level != detect.LevelWarning || !strings.Contains(f.Message, want) || strings.Contains(f.Message, "hunter2") {
			t.Errorf("got %+v, want %q", f, want)
		}
	}
	if at := plan.Findings[0].Evidence; len(at) != 1 || at[0].Line != 4 {
		t.Errorf("the place is %+v", at)
	}
	labels := LabelFindings(map[string]string{"password": "hunter2", "b": "c"})
	if len(labels) != 1 || labels[0].Rule != RuleSecret || !strings.Contains(labels[0].Message, "--label: password") || len(labels[0].Evidence) != 0 {
		t.Errorf("labels give %+v", labels)
	}
}
