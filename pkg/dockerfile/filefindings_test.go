package dockerfile

import (
	"strings"
	"testing"

	"github.com/winpack/winpack/pkg/detect"
)

// findingsOf are the findings of a Dockerfile itself.
func findingsOf(t *testing.T, text string) []detect.Finding {
	t.Helper()
	p, err := Parse("own/Dockerfile", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	found, err := p.Findings()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A list that is no JSON is built as a line of the shell, by every builder, and the
// container ends at once: it must not pass without a word.
func TestListThatIsNoJSONIsAnErrorOfItsLine(t *testing.T) {
	for line, want := range map[string]string{
		`ENTRYPOINT ["C:\app\hello.exe"]`:                                `\a is no escape of JSON`,
		`CMD ["C:\app\hello.exe", "hunter2"]`:                            `\a is no escape of JSON`,
		`RUN ["C:\setup.exe", "/q"]`:                                     `\s is no escape of JSON`,
		`HEALTHCHECK --interval=5s CMD ["C:\app\check.exe"]`:             `\a is no escape of JSON`,
		`COPY --chown=1 ["my app", "C:\app"]`:                            `words are taken as they stand`,
		`ADD ["my app", "C:\app\"]`:                                      `\a is no escape of JSON`,
		`VOLUME ["C:\data"]`:                                             `\d is no escape of JSON`,
		`ONBUILD ENTRYPOINT ["C:\app\hello.exe"]`:                        `\a is no escape of JSON`,
		`ENTRYPOINT ["C:\users\x.exe"]`:                                  `\u is no escape of JSON`,
		`ENTRYPOINT ['cmd', '/c', 'x']`:                                  `no quotes but "`,
		"ENTRYPOINT [\u201ccmd\u201d]":                                   `no quotes but "`,
		`ENTRYPOINT [C:\app\hello.exe]`:                                  `\a is no escape of JSON`,
		`ENTRYPOINT ["cmd", "/c"`:                                        `does not end with ]`,
		`ENTRYPOINT ["cmd" "/c"]`:                                        `a comma is missing`,
		`ENTRYPOINT ["cmd", "/c",]`:                                      `one too many`,
		`COPY ["a", "C:/x/\"]`:                                           `\" is a quote`,
		`ENTRYPOINT ["C:\temp\x.exe"]`:                                   `\x is no escape of JSON`,
		`ENTRYPOINT ["C:\temp\nginx.exe"]`:                               `takes \t for a control character`,
		`ENTRYPOINT ["cmd", "/c", "C:\\app\new.exe"]`:                    `takes \n for a control character`,
		"ENTRYPOINT [\"cmd\", `\n  \"C:\\app\\x.exe\"]":                  `\a is no escape of JSON`,
		"ENTRYPOINT [\"\x1b[2J\\\x1b\"]":                                 `\\x1b is no escape of JSON`,
		`entrypoint   ["C:\Program Files\app.exe","--password=hunter2"]`: `\P is no escape of JSON`,
	} {
		found := findingsOf(t, "# escape=`\nFROM x\n\n"+line+"\n")
		if len(found) != 1 {
			t.Errorf("%s gives %d findings: %+v", line, len(found), found)
			continue
		}
		f := found[0]
		if f.Rule != RuleNoList || f.Level != detect.LevelError || len(f.Evidence) != 1 || f.Evidence[0].Path != "own/Dockerfile" || f.Evidence[0].Line != 4 {
			t.Errorf("%s gives %+v", line, f)
		}
		if !strings.Contains(f.Message, want) || f.Remedy == "" {
			t.Errorf("%s gives %q, want %q in it", line, f.Message, want)
		}
		if strings.Contains(f.Message+f.Remedy, "hunter2") || strings.Contains(f.Message, "\x1b") {
			t.Errorf("%s: what stands in the line is shown: %q", line, f.Message)
		}
	}
}

func TestLineThatIsNoListHasNoFinding(t *testing.T) {
	for _, line := range []string{
		`ENTRYPOINT ["C:\\app\\hello.exe"]`, `ENTRYPOINT ["C:/app/hello.exe"]`, `ENTRYPOINT []`, `ENTRYPOINT C:\app\hello.exe`, `CMD ["powershell", "-c", "a\nb\tc"]`,
		`RUN [Net.ServicePointManager]::SecurityProtocol = 'Tls12'`, `RUN [int]$x = $a[0]`, `RUN [ -d x ]`, `COPY [ab].txt C:/x/`, `HEALTHCHECK NONE`,
		`LABEL x=["C:\app"]`, `ENV X=["C:\a"]`, `RUN powershell ["C:\a"]`, `WORKDIR C:\app`, `SHELL ["powershell", "-c"]`, `CMD ["x", "\u00e9"]`,
		"COPY <<x C:/\n[\"C:\\app\"]\nx",
	} {
		for _, head := range []string{"", "# escape=`\n"} {
			if found := findingsOf(t, head+"FROM x\n"+line+"\n"); len(found) > 0 {
				t.Errorf("%q gives %+v", line, found)
			}
		}
	}
}
