package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/internal/tomlkey"
)

func TestConfigErrorsSayWhereAndWhatInstead(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[catalog]\nfil = 'x'\n", `w.toml:2:1: unknown key "catalog.fil": did you mean "catalog.file"?`},
		{"catalog = { fil = 'x' }\n", `w.toml:1:13: unknown key "catalog.fil": did you mean "catalog.file"?`},
		{"jobs = 2\n", `w.toml:1:1: unknown key "jobs": the keys are accept, base,`}, // "os" is near, and not meant
		{"s = 2\no = 1\n", `w.toml:1:1: unknown key "s": the keys are`},
		{"oss = 'ltsc2022'\n", `w.toml:1:1: unknown key "oss": did you mean "os"?`},
		{"# catlog\n\n[catlog]\nfile = 'x'\n", `w.toml:3:2: unknown key "catlog": did you mean "catalog"?`},
		{"catalog.file = '''\n[bad]\nwrong = 1\n'''\n  wrong = 2\n", `w.toml:5:3: unknown key "wrong"`},
		{"x = [ { \"a]b\" = 1 }, \"# no\" ] # c\n'os' = 'x'\n", `w.toml:1:1: unknown key "x`},
		{"zzzzzz = 1\naa = 2\n", `w.toml:1:1: unknown key "zzzzzz": the keys are accept, base, build,`},
		{"[catalog]\nfile = 3\n", "w.toml:2:1: catalog.file is a text"},
		{"catalog = 3\n", "w.toml:1:1: catalog is a table"},
		{"[[catalog]]\nfile = 'x'\n", "w.toml:1:3: catalog is a table"},
		{"[catalog\n", "w.toml:1:9: "},
		{"a = 1\na = 2\n", "w.toml:2:1: "},
		{"# one\nuser = 'x'\nports = [80\ncmd = ['a']", "w.toml:4:1: "},
		{"env = { A = 'x', B = true }\n", "w.toml:1:18: env.B is a text in quotes"},
		{"os = 3\n", "w.toml:1:1: os is a text, or a list of texts"},
		{"os = ['ltsc2022', 3]\n", "w.toml:1:1: os is a text, or a list of texts"},
		{"entrypoint = 'app.exe -v'\n", "w.toml:1:1: entrypoint is a list of texts"},
		{"ports = ['80']\n", "w.toml:1:1: ports is a list of numbers"},
		{"[env]\nA = 'x'\nB = 1\n", "w.toml:3:1: env.B is a text in quotes"},
		{"labels = 'a=b'\n", "w.toml:1:1: labels is a table of texts"},
		{"[health-check]\ncmd = 'x'\ninterval = 30\n", `w.toml:3:1: health-check.interval is a time like "30s"`},
		{"[health-check]\nretries = 0\n", "w.toml:2:1: health-check.retries is a number from 1 on"},
		{"[health-check]\nintervall = '3s'\n", `w.toml:2:1: unknown key "health-check.intervall": did you mean "health-check.interval"?`},
		{"[files]\nfrom = 'x'\n", "w.toml:1:2: files is a list of tables: write [[files]]"},
		{"[[files]]\nfrom = 'x'\nto = 'y'\n[[files]]\nfrom = 'x'\nfor = 1\n", `w.toml:6:1: unknown key "files.for": did you mean "files.from"?`},
		{"files = [{from = 'x', to = 'y'}, {from = 3}]\n", "w.toml:1:35: files.from is a text"},
		{"files = ['x']\n", "w.toml:1:1: files is a list of tables"},
		{"[[accept]]\nrule = 'WP1001'\nreason = 'x'\nuntil = 'soon'\n", "w.toml:4:1: accept.until is a date"},
		{"os = []\n", "w.toml:1:1: os is empty: give it a value, or leave the key out"},
		{"entrypoint = []\n", "w.toml:1:1: entrypoint is empty"},
		{"base = ''\n", "w.toml:1:1: base is empty"},
		{"[build]\nbuilder = ''\n", "w.toml:2:1: build.builder is empty"},
		{"[catalog]\nfile = ''\n", "w.toml:2:1: catalog.file is empty"},
	} {
		_, err := parseConfig("w.toml", test.text)
		if err == nil {
			t.Errorf("%q is accepted", test.text)
			continue
		}
		if code := exitCode(t.Context(), err); code != exitUsage || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: exit %d, %q; want 2 and %q", test.text, code, err, test.want)
		}
	}
	c, err := parseConfig("w.toml", "[catalog]\nfile = 'rows.toml'\n")
	if err != nil || c.Catalog.File != "rows.toml" {
		t.Errorf("a good file gives %+v, %v", c, err)
	}
}

// What is left of a file with mistakes is looked at too, and a file of nothing else is
// told in a bounded number of lines.
func TestConfigTellsAllMistakesUpToABound(t *testing.T) {
	c, err := parseConfig("w.toml", "usr = 1\nbase = 'x'\n[health-check]\nretries = 0\n[env]\nA = 'b'\n")
	if many, ok := err.(mistakes); !ok || len(many) != 2 || c.Base != "x" || c.Env["A"] != "b" || c.Health != nil {
		t.Errorf("got %+v, %v", c, err)
	}
	if code := exitCode(t.Context(), err); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "wrong%d = 1\n", i)
	}
	if _, err := parseConfig("w.toml", text.String()); len(err.(mistakes)) != maxMistakes {
		t.Errorf("%d mistakes are told", len(err.(mistakes)))
	}
}

// The scanner walks text that the library accepted; whatever that is, it ends.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"a.b = {c = [1, \"x\\\"\", '''y''']}\n[[t]]\nx=1", "\"\\u00e9\" = 1979-05-27T07:32:00Z\n", "[catalog]\nfile = \"\"\"\"q\"\"\"\"\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseConfig("w.toml", text)
		var v map[string]any
		meta, err := toml.Decode(text, &v)
		if err != nil {
			return
		}
		for _, key := range meta.Keys() {
			line, column := tomlkey.Position(text, key, 0)
			if line < 1 || column < 1 {
				t.Fatalf("%q: key %q at %d:%d", text, key, line, column)
			}
		}
	})
}

// What a winpack.toml in APP can't mean is told by every command, each mistake with its
// place.
func TestMistakesOfAllTablesAreToldTogether(t *testing.T) {
	app := filepath.Join(pages(t, 1), "app0000")
	write(t, filepath.Join(app, "winpack.toml"), `[build]
tags = ["https://x/y"]
builder = "podman"
output = "type=local,dest=x"
[[files]]
from = "winpack.toml"
to = 'C:\x'
[[files]]
from = "nowhere"
to = 'C:\x'
[[files]]
from = "../x"
to = 'C:\x'
[[files]]
from = "index.html"
[[accept]]
rule = "WP1001"
reason = "x"
[[accept]]
reason = "x"
`)
	_, stderr, code := winpack(t, "", "detect", app)
	for _, want := range []string{
		`:2:1: build.tags: -t "https://x/y"`, `:3:1: build.builder is `, `:4:1: build.output: -o "type=local,dest=x": `,
		`:6:1: files.from "winpack.toml": winpack.toml never goes into an image`, `:9:1: files.from "nowhere" does not exist`, `:12:1: files.from "../x": a winpack.toml in APP may name paths inside APP only`,
		`:14:3: files.to is empty: name a path`, `:19:3: accept names no rule`,
	} {
		if code != exitUsage || strings.Count(stderr, want) != 1 {
			t.Errorf("exit %d, want %q once in\n%s", code, want, stderr)
		}
	}
}

// An output without a file goes to the engine.
func TestLoadIsAnOutputOfSettings(t *testing.T) {
	app := filepath.Join(pages(t, 1), "app0000")
	write(t, filepath.Join(app, "winpack.toml"), "[build]\noutput = 'type=docker'\n")
	_, stderr, code := winpack(t, "", "build", app, "-t", "x:1", "--os", "ltsc2022", "--docker-host", "tcp://127.0.0.1:1")
	if code != exitFailed || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("exit %d:\n%s", code, stderr)
	}
}
