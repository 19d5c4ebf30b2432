package images

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/fixtures/schema"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func catalog(t *testing.T) dockerfile.Catalog {
	t.Helper()
	c, err := dockerfile.LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func text(t *testing.T, d Document, verbose bool) string {
	t.Helper()
	var b strings.Builder
	if err := d.Text(&b, verbose); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSchemaRejectsWhatIsNoListOfImages(t *testing.T) {
	s := schema.Compile(t, Schema)
	good, err := report.JSON(New(catalog(t), Filter{All: true}))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ what, from, to string }{
		{"another schema", `"winpack/images/v1"`, `"winpack/images/v2"`},
		{"an unknown key at the top", `"schema":`, `"more": 1, "schema":`},
		{"an unknown key of an image", `"version":`, `"tag": "x", "version":`},
		{"a missing key", `"user":`, `"usr":`},
		{"an unknown family", `"nanoserver"`, `"nano"`},
		{"an unknown state", `"supported"`, `"fine"`},
		{"a date that is none", `"2034-11-14"`, `"soon"`},
		{"a list that is null", `"entrypoint": []`, `"entrypoint": null`},
		{"a reference without a tag", `/windows/nanoserver:ltsc2025"`, `/windows/nanoserver"`},
		{"a replacement that is text", `"replacement": {`, `"replacement": "", "x": {`},
	} {
		bad := strings.Replace(string(good), change.from, change.to, 1)
		if bad == string(good) {
			t.Errorf("%s: %q is not in the document", change.what, change.from)
		} else if s.Validate(t, []byte(bad)) == nil {
			t.Errorf("the schema takes %s", change.what)
		}
	}
	for name, f := range map[string]Filter{"all": {All: true}, "default": {}, "nothing": {Words: []string{"no such image"}}} {
		document, err := report.JSON(New(catalog(t), f))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(t, document); err != nil {
			t.Errorf("the schema rejects the list of %s: %v", name, err)
		}
	}
}

func TestFilterTakesWhatItSays(t *testing.T) {
	for _, test := range []struct {
		f    Filter
		want string // references without the registry
	}{
		{Filter{OS: []string{"ltsc2016"}, Words: []string{"IIS"}}, "windows/servercore/iis:windowsservercore-ltsc2016 dotnet/framework/aspnet:4.8-windowsservercore-ltsc2016 dotnet/framework/wcf:4.8-windowsservercore-ltsc2016"},
		{Filter{Family: "server"}, "windows/server:ltsc2025 windows/server:ltsc2022 windows:ltsc2019"},
		{Filter{Words: []string{"nanoserver", "10.0.20348", "asp.net core"}}, "dotnet/aspnet:10.0-nanoserver-ltsc2022"},
		{Filter{Words: []string{"Server 2019", "wcf"}}, "dotnet/framework/wcf:4.8-windowsservercore-ltsc2019"},
		{Filter{Words: []string{"no such image"}}, ""},
	} {
		var got []string
		for _, image := range New(catalog(t), test.f).Images {
			_, name, _ := strings.Cut(image.Reference, "/")
			got = append(got, name)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v gives %q, want %q", test.f, got, test.want)
		}
	}
}

// A list that passed over what ended without a word would be read as "all".
func TestWhatEndedIsCountedOrListed(t *testing.T) {
	c := catalog(t)
	all := New(c, Filter{All: true})
	d := New(c, Filter{})
	if d.LeftOut.Images == 0 || len(d.Images)+d.LeftOut.Images != len(all.Images) || len(d.Retired)+d.LeftOut.Retired != len(all.Retired) {
		t.Errorf("%d images are listed and %+v left out, of %d and %d", len(d.Images), d.LeftOut, len(all.Images), len(all.Retired))
	}
	if slices.ContainsFunc(d.Images, func(i dockerfile.Listed) bool { return i.State == dockerfile.StateEnded }) {
		t.Error("an image that ended stands among those that are rebuilt")
	}
	if !strings.Contains(text(t, d, false), "--all lists them") || all.LeftOut != (LeftOut{}) {
		t.Error("what is left out is not said, or said where nothing is")
	}
	only := New(c, Filter{OS: []string{"sac1909"}})
	if len(only.Images) == 0 || only.LeftOut.Images != 0 {
		t.Errorf("where only ended images fit they are not listed: %+v", only)
	}
	old := New(c, Filter{Words: []string{"microsoft/aspnet:4.7.2"}})
	if out := text(t, old, false); len(old.Retired) != 1 || !strings.Contains(out, "instead: mcr.microsoft.com/dotnet/framework/aspnet:4.8.1") {
		t.Errorf("a reference of an old Dockerfile is answered with\n%s", out)
	}
	if out := text(t, New(c, Filter{Words: []string{"zzz"}}), false); !strings.Contains(out, "Nothing in the catalog fits") {
		t.Errorf("nothing fits, and it is not said:\n%s", out)
	}
}

func TestTextFitsATerminalAndNamesItsDay(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		out := text(t, New(catalog(t), Filter{All: true}), verbose)
		if !strings.HasPrefix(out, "Base images as of "+catalog(t).AsOf.Format("2006-01-02")) {
			t.Errorf("the first line does not say of which day the data is: %.80s", out)
		}
		for line := range strings.Lines(out) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > 100 && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%d characters: %s", n, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("blanks at the end of %q", line)
			}
		}
		for _, said := range []string{"; confidence high", "runs as ContainerUser", "eol: endoflife-date"} {
			if strings.Contains(out, said) != verbose {
				t.Errorf("with verbose %v, %q is in the text: %v", verbose, said, !verbose)
			}
		}
	}
}

// A catalog of one's own may come from anywhere.
func TestNothingOfAUserCatalogReachesTheTerminalAsAnEscape(t *testing.T) {
	c, err := catalog(t).With([]byte(`
[sources]
bad = "\u001b[2J (2026-01-01)"
[[image]]
id = "own"
repository = "registry.example.com/own"
role = "os"
family = "servercore"
status = "supported"
tags = { ltsc2022 = "1" }
user = "ContainerUser"
entrypoint = ["\u001b]0;x\u0007"]
source = "bad \u009b"
confidence = "\u202e"
[[release]]
id = "ltsc2022"
name = "\u001b[31m"
os_version = "10.0.20348\u001b"
status = "mainstream"
support_end = 2031-10-14
source = "\u001b"
[[retired]]
match = ["old\u001b*"]
state = "gone"
replacement = "new\u001b"
source = "x"
`), "own.toml")
	if err != nil {
		t.Fatal(err)
	}
	d := New(c, Filter{All: true})
	var quiet strings.Builder
	if err := d.References(&quiet); err != nil || !strings.Contains(quiet.String(), "registry.example.com/own:1\n") {
		t.Errorf("the references are %q, %v", quiet.String(), err)
	}
	document, err := report.JSON(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text(t, d, true), quiet.String(), string(document)} {
		if strings.ContainsAny(out, "\x1b\x07\u009b\u202e") {
			t.Errorf("a control character stands in the output")
		}
	}
}
