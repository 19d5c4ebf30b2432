package dockerfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryCatalogRowIsWellFormed(t *testing.T) {
	c := catalog(t)
	if table, n, err := c.check(); err != nil {
		t.Fatalf("[[%s]] %d: %v", table, n, err)
	}
	seen := map[string]bool{}
	once := func(key string) {
		if seen[key] {
			t.Errorf("%s stands twice", key)
		}
		seen[key] = true
	}
	for _, r := range c.Releases {
		once("release " + r.ID)
	}
	for _, r := range c.DotNet {
		once("dotnet " + r.Version)
	}
	features := map[string]bool{}
	for _, r := range c.Features {
		once("feature " + r.ID)
		features[r.ID] = true
	}
	for _, r := range c.Images {
		once("image " + r.ID)
		for os, tag := range r.Tags {
			once("reference " + r.Repository + ":" + tag)
			if _, ok := c.Release(os); !ok {
				t.Errorf("image %s: tag for %s, which is no release", r.ID, os)
			}
		}
		if r.Role == roleDotNet || r.Role == roleDotNetASP {
			row, ok := c.dotnet(r.Version)
			if !ok || !row.SupportEnd.Equal(r.SupportEnd) || (row.Status == statusEOL) != (r.Status == statusEOL) {
				t.Errorf("image %s does not agree with [[dotnet]] %s", r.ID, r.Version)
			}
		}
	}
	for _, os := range DefaultOS() {
		if r, ok := c.Release(os); !ok || r.Status == statusRetired {
			t.Errorf("default release %s is not one to build for", os)
		}
	}
	for _, m := range c.Modules {
		for _, need := range m.Needs {
			if !slices.ContainsFunc(c.Modules, func(o ModuleRow) bool { return o.ID == need }) {
				t.Errorf("module %s needs %s, which has no row", m.ID, need)
			}
		}
	}
}

func TestUserCatalogAddsAndReplacesRows(t *testing.T) {
	c := catalog(t)
	n := len(c.Images)
	row := `[[image]]
id = "%ID%"
repository = "registry.example.com/base/iis"
role = "iis"
family = "servercore"
status = "supported"
tags = { ltsc2022 = "1" }
user = "ContainerAdministrator"
source = "own"
`
	added, err := c.With([]byte(strings.ReplaceAll(row, "%ID%", "own-iis")), "bases.toml")
	if err != nil || len(added.Images) != n+1 {
		t.Fatalf("a new row is not added: %v, %d rows", err, len(added.Images))
	}
	replaced, err := c.With([]byte(strings.ReplaceAll(row, "%ID%", "iis")), "bases.toml")
	if err != nil || len(replaced.Images) != n {
		t.Fatalf("a row with the same ID does not replace: %v, %d rows", err, len(replaced.Images))
	}
	p, err := New(static(), replaced, Options{OS: []string{"ltsc2022"}})
	if err != nil || p.Bases[0].Reference != "registry.example.com/base/iis:1" {
		t.Fatalf("the replaced row is not used: %v %+v", err, p.Bases)
	}
	if len(catalog(t).Images) != n {
		t.Fatal("With changed the built-in catalog")
	}
}

func TestUserCatalogErrorsSayWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"syntax":            {"[[image]]\nid = 'a' 'b'\n", "bases.toml:2:9: "},
		"key of the second": {"[[image]]\nid = \"x\"\n[[image]]\nid = \"y\"\n  colour = \"red\"\n", `bases.toml:5:3: unknown key "image.colour"`},
		"unknown key":       {"[[image]]\nid = \"x\"\ncolour = \"red\"\n", `bases.toml:3:1: unknown key "image.colour"`},
		"bad row":           {"\n[[release]]\nid = \"X Y\"\n", "bases.toml:2:3: release"},
		"second row":        {"[[retired]]\nmatch=[\"a\"]\nstate=\"gone\"\nreplacement=\"b\"\nsource=\"c\"\n[[retired]]\nmatch=[\"a\"]\n", "bases.toml:6:3: retired"},
		"wrong type":        {"[[image]]\nid = 3\n", "bases.toml:2:"},
	} {
		if _, err := catalog(t).With([]byte(c.text), "bases.toml"); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s...", name, err, c.want)
		}
	}
}

func TestRetiredReferencesAreTold(t *testing.T) {
	c := catalog(t)
	for _, ref := range []string{
		"microsoft/aspnet:4.7.2", "docker.io/microsoft/iis", "mcr.microsoft.com/dotnet/framework/aspnet:3.5-windowsservercore-ltsc2022",
		"mcr.microsoft.com/dotnet/framework/runtime:4.8-windowsservercore-ltsc2022", "mcr.microsoft.com/windows:1903", "mcr.microsoft.com/dotnet/core/aspnet:3.1",
	} {
		if _, ok := c.RetiredReference(ref); !ok {
			t.Errorf("%s passes as current", ref)
		}
	}
	for _, img := range c.Images {
		for os, tag := range img.Tags {
			if r, ok := c.RetiredReference(img.Repository + ":" + tag); ok && img.Status != statusEOL {
				t.Errorf("%s for %s is in the catalog and matches %v", img.ID, os, r.Match)
			}
		}
	}
}

// Knowledge of images lives in TOML; code that spells it out goes stale unseen.
var knowledge = map[string]*regexp.Regexp{
	"image reference":      regexp.MustCompile(`mcr\.microsoft\.com/|docker\.io/library/`),
	"Windows build number": regexp.MustCompile(`\b(14393|16299|17134|17763|18362|18363|19041|19042|20348|25398|26100)\b`),
	"support date":         regexp.MustCompile(`"20[2-4][0-9]-[01][0-9]-[0-3][0-9]"`),
}

func TestKnowledgeScanFlagsWhatItShould(t *testing.T) {
	for want, line := range map[string]string{
		"image reference": `x := "mcr.microsoft.com/windows/nanoserver:ltsc2022"`, "Windows build number": `if build >= 20348 {`, "support date": `end := "2031-10-14"`,
	} {
		if !knowledge[want].MatchString(line) {
			t.Errorf("the scan misses a %s in %s", want, line)
		}
	}
}

func TestNoImageBuildOrDateStandsInGoCode(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(filepath.ToSlash(path), "/fixtures/") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for i, line := range strings.Split(string(data), "\n") {
			code, _, _ := strings.Cut(line, "//") // comments cite sources
			for what, re := range knowledge {
				if re.MatchString(code) || what == "image reference" && re.MatchString(line) && !strings.Contains(line, "//") {
					t.Errorf("%s:%d: %s in Go code: %s", path, i+1, what, strings.TrimSpace(line))
				}
			}
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Fatalf("scanned %d files: %v", files, err)
	}
}

func (c Catalog) dotnet(version string) (DotNetRow, bool) {
	i := slices.IndexFunc(c.DotNet, func(r DotNetRow) bool { return r.Version == version })
	if i < 0 {
		return DotNetRow{}, false
	}
	return c.DotNet[i], true
}
