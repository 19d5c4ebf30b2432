package main

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestConfigErrorsSayWhereAndWhatInstead(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[catalog]\nfil = 'x'\n", `w.toml:2:1: unknown key "catalog.fil": did you mean "catalog.file"?`},
		{"catalog = { fil = 'x' }\n", `w.toml:1:13: unknown key "catalog.fil": did you mean "catalog.file"?`},
		{"# catlog\n\n[catlog]\nfile = 'x'\n", `w.toml:3:2: unknown key "catlog`},
		{"catalog.file = '''\n[bad]\nwrong = 1\n'''\n  wrong = 2\n", `w.toml:5:3: unknown key "wrong"`},
		{"x = [ { \"a]b\" = 1 }, \"# no\" ] # c\n'os' = []\n", `w.toml:1:1: unknown key "x`},
		{"[catalog]\nfile = 'rows.toml'\n\n[labels]\na = 1\n", `w.toml:4:2: this version of winpack does not take "labels" from winpack.toml: use build --label`},
		{"os = ['ltsc2022']\n", `w.toml:1:1: this version of winpack does not take "os" from winpack.toml: use --os`},
		{"[catalog]\nfile = 3\n", "w.toml:2:1: catalog.file is the name of a file"},
		{"catalog = 3\n", "w.toml:1:1: catalog is a table"},
		{"[[catalog]]\nfile = 'x'\n", "w.toml:1:3: catalog is a table"},
		{"[catalog\n", "w.toml:2:"},
		{"a = 1\na = 2\n", "w.toml:2:"},
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
	if err != nil || c.catalogFile != "rows.toml" {
		t.Errorf("a good file gives %+v, %v", c, err)
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
			line, column := keyPosition(text, key)
			if line < 1 || column < 1 {
				t.Fatalf("%q: key %q at %d:%d", text, key, line, column)
			}
		}
	})
}
