package detect_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/winpack/winpack/fixtures/winbin"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/detect/learned"
)

// learnedImage learns an image of one layer with the given files.
func learnedImage(t testing.TB, family, os string, files map[string]binary) detect.Base {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range files {
			if !yield(n) {
				return
			}
		}
	}) {
		data, err := files[name].Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: "Files/Windows/" + name, Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var c learned.Collector
	if err := c.Layer(&b); err != nil {
		t.Fatal(err)
	}
	base := detect.LearnedBase{OS: os, Family: family, Reference: "registry.example.com/" + family + ":" + os, Digest: "sha256:" + strings.Repeat("ab", 32)}
	contents, err := c.Contents(learned.Header{Reference: base.Reference, Digest: base.Digest, Family: family})
	if err != nil {
		t.Fatal(err)
	}
	return detect.Base{LearnedBase: base, Contents: func() (*learned.Contents, error) { return contents, nil }}
}

func exporting(functions ...string) binary { return winbin.Native{DLL: true, Exports: functions} }

// with2022 looks at a folder by the learned contents of images, for one release.
func with2022(t testing.TB, m fstest.MapFS, bases ...detect.Base) detect.Report {
	t.Helper()
	r, err := detect.Inspect(m, detect.Options{Name: "x", Closure: true, Bases: bases, OS: []string{"ltsc2022"}, Releases: []string{"ltsc2019", "ltsc2022"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// familyOn is what a release asks for.
func familyOn(r detect.Report, release string) string {
	for _, f := range r.Needs.Families { // the largest first
		if f.Release == "" || f.Release == release {
			return f.Family
		}
	}
	return detect.FamilyNanoServer
}

func TestLearnedContentsDecideInPlaceOfTheLists(t *testing.T) {
	nano := learnedImage(t, detect.FamilyNanoServer, "ltsc2022", map[string]binary{
		"System32/kernel32.dll": exporting("Sleep"), "System32/acme.dll": exporting("f"), "System32/forwarders/netapi32.dll": exporting("NetUserAdd")})
	coreBase := learnedImage(t, detect.FamilyServerCore, "ltsc2022", map[string]binary{
		"System32/kernel32.dll": exporting("Sleep", "New"), "System32/acme.dll": exporting("f"), "System32/netapi32.dll": exporting("NetUserAdd"),
		"System32/onlycore.dll": exporting("f"), "System32/msvfw32.dll": exporting("ICOpen"), "SysWOW64/kernel32.dll": exporting("Sleep"), "System32/msvcr120.dll": exporting("malloc")})
	for name, c := range map[string]struct {
		imports  []string
		machine  string
		bases    []detect.Base
		family   string // of ltsc2022
		other    string // of ltsc2019, of which nothing is learned
		rule     string
		provider detect.Provider // of the last import
	}{
		"unknown, and in Nano Server":             {[]string{"acme.dll!f"}, "x64", []detect.Base{nano}, detect.FamilyNanoServer, detect.FamilyServerCore, "", detect.FromBase},
		"unknown, and in Server Core alone":       {[]string{"onlycore.dll!f"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyServerCore, "", detect.FromBase},
		"unknown, and in none":                    {[]string{"nobody.dll!f"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyServerCore, "WP1417", detect.FromNowhere},
		"unknown, and only Nano Server learned":   {[]string{"nobody.dll!f"}, "x64", []detect.Base{nano}, detect.FamilyServerCore, detect.FamilyServerCore, "WP1407", detect.FromUnknown},
		"a list says no, Nano Server has it":      {[]string{"netapi32.dll!NetUserAdd"}, "x64", []detect.Base{nano}, detect.FamilyNanoServer, detect.FamilyServerCore, "", detect.FromBase},
		"a list says yes, Nano Server has it not": {[]string{"ws2_32.dll!socket"}, "x64", []detect.Base{nano}, detect.FamilyServerCore, detect.FamilyNanoServer, "", detect.FromBase},
		"a function that Nano Server lacks":       {[]string{"kernel32.dll!New"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyNanoServer, "", detect.FromBase},
		"a function that both lack":               {[]string{"kernel32.dll!Newer"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyNanoServer, "WP1419", detect.FromNowhere},
		"an ordinal":                              {[]string{"acme.dll!#7"}, "x64", []detect.Base{nano}, detect.FamilyNanoServer, detect.FamilyServerCore, "", detect.FromBase},
		"a list says Server, Server Core has it":  {[]string{"msvfw32.dll!ICOpen"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyServer, "", detect.FromBase},
		"a redistributable that Server Core has":  {[]string{"msvcr120.dll!malloc"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyServerCore, "", detect.FromBase},
		"a redistributable that it lacks":         {[]string{"msvcr100.dll!malloc"}, "x64", []detect.Base{nano, coreBase}, detect.FamilyServerCore, detect.FamilyServerCore, "WP1402", detect.FromNowhere},
		"32 bits, and only for 64 there":          {[]string{"acme.dll!f"}, "x86", []detect.Base{coreBase}, detect.FamilyServerCore, detect.FamilyServerCore, "WP1417", detect.FromNowhere},
		"32 bits":                                 {[]string{"kernel32.dll!Sleep"}, "x86", []detect.Base{coreBase}, detect.FamilyServerCore, detect.FamilyServerCore, "", detect.FromBase},
		"an API set":                              {[]string{"api-ms-win-core-file-l1-1-0.dll!CreateFileW"}, "x64", []detect.Base{nano}, detect.FamilyNanoServer, detect.FamilyNanoServer, "", detect.FromBase},
	} {
		t.Run(name, func(t *testing.T) {
			r := with2022(t, pack(t, "a.exe", winbin.Native{Machine: c.machine, Imports: c.imports}), c.bases...)
			if a, b := familyOn(r, "ltsc2022"), familyOn(r, "ltsc2019"); a != c.family || b != c.other {
				t.Errorf("%s on ltsc2022 and %s on ltsc2019, want %s and %s: %+v", a, b, c.family, c.other, r.Needs.Families)
			}
			var got []string
			for _, f := range r.Findings {
				if strings.HasPrefix(f.Rule, "WP14") {
					got = append(got, f.Rule)
				}
				if strings.ContainsAny(f.Message+f.Remedy, "{}") {
					t.Errorf("%s has a word left open: %s", f.Rule, f.Message)
				}
			}
			if strings.Join(got, " ") != c.rule {
				t.Errorf("findings %v, want %q", got, c.rule)
			}
			m := r.Closure.Modules[len(r.Closure.Modules)-1]
			if m.Provider != c.provider {
				t.Errorf("%s is from %s: %s", m.Name, m.Provider, m.Why)
			}
			if len(r.Learned) == 0 && !strings.HasPrefix(c.imports[0], "api-") {
				t.Error("the report does not say by which image it was decided")
			}
			if c.rule == "WP1417" && !strings.Contains(r.Findings[0].Message, coreBase.Reference+"@"+coreBase.Digest) {
				t.Errorf("the finding does not name the image: %s", r.Findings[0].Message)
			}
		})
	}
}

func TestCallsAreHeldAgainstLearnedFunctions(t *testing.T) {
	coreBase := learnedImage(t, detect.FamilyServerCore, "ltsc2022", map[string]binary{"System32/user32.dll": exporting("MessageBoxW")})
	for call, rule := range map[string]string{
		"user32.dll!MessageBoxW": "", "user32.dll!MessageBox": "", "user32.dll!Newest": "WP1420", "nobody.dll!f": "WP1418",
	} {
		a := netfx()
		a.Native = []string{call}
		r := with2022(t, pack(t, "Shop.exe", a), coreBase)
		var got []string
		for _, f := range r.Findings {
			if strings.HasPrefix(f.Rule, "WP14") {
				got = append(got, f.Rule)
			}
		}
		if strings.Join(got, " ") != rule {
			t.Errorf("%s: %v, want %q", call, got, rule)
		}
	}
}

func TestLearnedGlobalCacheProvidesAssemblies(t *testing.T) {
	shop := netfx("Acme.Printing 2.1.0.0"+acmeKey, "Microsoft.Whatever 1.0.0.0 31bf3856ad364e35")
	without := learnedImage(t, detect.FamilyServerCore, "ltsc2022", map[string]binary{"System32/x.dll": exporting("f")})
	gac := learnedImage(t, detect.FamilyServerCore, "ltsc2022", map[string]binary{
		"Microsoft.NET/assembly/GAC_MSIL/Acme.Printing/v4.0_2.1.0.0__a1b2c3d4e5f60718/Acme.Printing.dll":           dll("Acme.Printing", "2.1.0.0"),
		"Microsoft.NET/assembly/GAC_MSIL/Microsoft.Whatever/v4.0_1.0.0.0__31bf3856ad364e35/Microsoft.Whatever.dll": dll("Microsoft.Whatever", "1.0.0.0")})
	for name, c := range map[string]struct {
		base detect.Base
		want string
	}{"it has both": {gac, ""}, "it has none": {without, "WP1120 WP1120"}} {
		var got []string
		for _, f := range with2022(t, pack(t, "Shop.exe", shop), c.base).Findings {
			if strings.HasPrefix(f.Rule, "WP112") {
				got = append(got, f.Rule)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLearnedContentsThatCannotBeReadLeaveTheListsToDecide(t *testing.T) {
	broken := detect.Base{LearnedBase: detect.LearnedBase{OS: "ltsc2022", Family: detect.FamilyNanoServer, Reference: "r:1"},
		Contents: func() (*learned.Contents, error) { return nil, errors.New("no") }}
	r := with2022(t, pack(t, "a.exe", winbin.Native{Imports: []string{"acme.dll!f"}}), broken)
	if familyOn(r, "ltsc2022") != detect.FamilyServerCore || len(r.Problems) != 1 || len(r.Learned) != 0 {
		t.Errorf("%v %v %v", r.Needs.Families, r.Problems, r.Learned)
	}
}

func TestSameLearnedContentsGiveTheSameBytes(t *testing.T) {
	nano := learnedImage(t, detect.FamilyNanoServer, "ltsc2022", map[string]binary{"System32/kernel32.dll": exporting("Sleep")})
	coreBase := learnedImage(t, detect.FamilyServerCore, "ltsc2022", map[string]binary{"System32/kernel32.dll": exporting("Sleep")})
	app := pack(t, "a.exe", winbin.Native{Imports: []string{"acme.dll!f", "kernel32.dll!Sleep"}})
	first := marshal(t, with2022(t, app, nano, coreBase))
	for range 5 {
		if again := marshal(t, with2022(t, app, coreBase, nano)); !bytes.Equal(first, again) {
			t.Fatalf("two runs differ:\n%s\n%s", first, again)
		}
	}
}

// A library of the larger images of a family, as those of IIS, is none of the smallest,
// which a program of native code gets.
func TestWhatALargerImageHoldsIsNotInTheSmallest(t *testing.T) {
	base := map[string]binary{"System32/kernel32.dll": exporting("Sleep")}
	larger := map[string]binary{"System32/kernel32.dll": exporting("Sleep"), "System32/onlyiis.dll": exporting("f")}
	plain, iis := learnedImage(t, detect.FamilyServerCore, "ltsc2022", base), learnedImage(t, detect.FamilyServerCore, "ltsc2022", larger)
	iis.Reference, iis.Digest = "registry.example.com/a-iis:ltsc2022", "sha256:"+strings.Repeat("cd", 32)
	native := winbin.Native{Imports: []string{"onlyiis.dll!f"}}
	calls := dll("Shop", "1.0.0.0")
	calls.Native = []string{"onlyiis.dll!f"}
	for name, c := range map[string]struct {
		files    fstest.MapFS
		bases    []detect.Base
		provider detect.Provider
	}{
		"a native program":                       {pack(t, "Shop.exe", native), []detect.Base{plain, iis}, detect.FromNowhere},
		"a native program, the larger alone":     {pack(t, "Shop.exe", native), []detect.Base{iis}, detect.FromBase},
		"a site, which gets the larger":          {pack(t, "web.config", "<configuration/>", "Default.aspx", "<%@ Page %>", "bin/Shop.dll", calls), []detect.Base{plain, iis}, detect.FromBase},
		"a site, and no image of it was learned": {pack(t, "web.config", "<configuration/>", "Default.aspx", "<%@ Page %>", "bin/Shop.dll", calls), []detect.Base{plain}, detect.FromNowhere},
	} {
		r := with2022(t, c.files, c.bases...)
		for _, m := range r.Closure.Modules {
			if m.Name == "onlyiis.dll" && m.Provider != c.provider {
				t.Errorf("%s: from %s (%s), want %s", name, m.Provider, m.Why, c.provider)
			}
		}
		if c.provider == detect.FromNowhere != (slices.Contains(rules(r), "WP1417") || slices.Contains(rules(r), "WP1418")) {
			t.Errorf("%s: %v", name, rules(r))
		}
	}
}
