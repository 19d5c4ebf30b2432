package dockerfile

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/pkg/detect"

	"github.com/winpack/winpack/internal/tomlkey"
)

//go:embed catalog.toml
var catalogTOML string

// Catalog is what is known of base images. It is read-only once made; With
// returns a changed copy.
type Catalog struct {
	AsOf time.Time `toml:"as_of"` // the day that support is told of
	// Sources spells out the short names that the rows' own sources use.
	Sources  map[string]string `toml:"sources"`
	Releases []ReleaseRow      `toml:"release"`
	DotNet   []DotNetRow       `toml:"dotnet"`
	Images   []ImageRow        `toml:"image"`
	Retired  []RetiredRow      `toml:"retired"`
	Features []FeatureRow      `toml:"feature"`
	NetFX3   []NetFX3Row       `toml:"netfx3"`
	Modules  []ModuleRow       `toml:"module"`
	HTTPSys  []HTTPSysRow      `toml:"http_sys"`
}

// ReleaseRow is a Windows release that container images exist for, or existed.
type ReleaseRow struct {
	ID            string    `toml:"id"`
	Name          string    `toml:"name"`
	OSVersion     string    `toml:"os_version"` // without the revision
	Status        string    `toml:"status"`     // mainstream, extended, retired
	MainstreamEnd time.Time `toml:"mainstream_end"`
	SupportEnd    time.Time `toml:"support_end"`
	NoCurl        bool      `toml:"no_curl"` // Windows has no curl.exe there
	Source        string    `toml:"source"`
}

// DotNetRow is a version of .NET (Core) and its support.
type DotNetRow struct {
	Version    string    `toml:"version"`
	Type       string    `toml:"type"`   // LTS or STS
	Status     string    `toml:"status"` // supported or eol
	SupportEnd time.Time `toml:"support_end"`
	Source     string    `toml:"source"`
}

// Roles of an image: what it was made for.
const (
	roleOS         = "os"
	roleIIS        = "iis"
	roleNetFX      = "netfx"
	roleNetFXIIS   = "netfx-iis"
	roleNetFXWCF   = "netfx-wcf"
	roleDotNet     = "dotnet"
	roleDotNetASP  = "dotnet-aspnet"
	roleJava       = "java"
	rolePython     = "python"
	statusEOL      = "eol"
	statusRetired  = "retired"
	userAdmin      = "ContainerAdministrator"
	userUnelevated = "ContainerUser"
)

// ImageRow is one image over several Windows releases.
type ImageRow struct {
	ID         string    `toml:"id"`
	Repository string    `toml:"repository"`
	Role       string    `toml:"role"`
	Version    string    `toml:"version"` // of the framework in it
	Family     string    `toml:"family"`
	Status     string    `toml:"status"` // supported, extended or eol
	SupportEnd time.Time `toml:"support_end"`
	// Tags maps releases to tags. A release that is missing has no image.
	Tags         map[string]string  `toml:"tags"`
	CompressedMB map[string]float64 `toml:"compressed_mb"`
	NetFXInBox   map[string]string  `toml:"netfx_in_box"`
	// Capabilities are Windows capabilities that can be added, by release.
	Capabilities map[string][]string `toml:"capabilities"`
	User         string              `toml:"user"`
	Entrypoint   []string            `toml:"entrypoint"`
	Expose       []int               `toml:"expose"`
	Env          map[string]string   `toml:"env"`
	Has          []string            `toml:"has"`  // features, by ID
	Open         []string            `toml:"open"` // sections that are not locked
	DefaultPage  bool                `toml:"default_page"`
	Commands     []string            `toml:"commands"` // programs for a start script
	// Runs is the program that starts what is put on the image, absolute: java.exe.
	Runs       string `toml:"runs"`
	Source     string `toml:"source"`
	Confidence string `toml:"confidence"`
}

// RetiredRow tells references that nobody builds any more.
type RetiredRow struct {
	Match       []string  `toml:"match"` // "*" stands for any text
	State       string    `toml:"state"` // gone, frozen, unsupported
	Since       time.Time `toml:"since"`
	Replacement string    `toml:"replacement"`
	Source      string    `toml:"source"`
}

// FeatureRow is a Windows feature and how dism calls it.
type FeatureRow struct {
	ID     string   `toml:"id"`
	DISM   []string `toml:"dism"`
	NetFX3 bool     `toml:"netfx3"` // needs .NET Framework 3.5 first
	Source string   `toml:"source"`
}

// NetFX3Row says how .NET Framework 3.5 gets into an image of some releases.
type NetFX3Row struct {
	OS       []string `toml:"os"`
	Commands []string `toml:"commands"`
	Source   string   `toml:"source"`
}

// ModuleRow is an IIS module that is not part of Windows. URL is empty where no
// installer is known that a build can fetch.
type ModuleRow struct {
	ID     string   `toml:"id"`
	Name   string   `toml:"name"`
	Needs  []string `toml:"needs"`
	URL    string   `toml:"url"`
	File   string   `toml:"file"`
	AppCmd []string `toml:"appcmd"` // arguments of appcmd, once it is installed
	Source string   `toml:"source"`
}

// HTTPSysRow names facts of detection that tell a program which listens by http.sys.
type HTTPSysRow struct {
	Fact   string   `toml:"fact"`
	Values []string `toml:"values"`
	Source string   `toml:"source"`
}

// catalogFile is the file's shape.
type catalogFile struct {
	Schema string `toml:"schema"`
	Catalog
}

const catalogSchema = "winpack/catalog/v1"

var builtin = sync.OnceValues(func() (Catalog, error) {
	return parseCatalog(catalogTOML, "catalog.toml")
})

// LoadCatalog returns the built-in catalog. It is parsed on the first call.
func LoadCatalog() (Catalog, error) { return builtin() }

// With returns the catalog with the rows of a user's file added, or put in the
// place of rows with the same ID (releases, images, features, modules) or
// version (dotnet). name is for errors, which read NAME:LINE:COL: what.
func (c Catalog) With(data []byte, name string) (Catalog, error) {
	add, err := parseCatalog(string(data), name)
	if err != nil {
		return Catalog{}, err
	}
	asOf := c.AsOf
	if add.AsOf.After(asOf) {
		asOf = add.AsOf
	}
	sources := map[string]string{}
	maps.Copy(sources, c.Sources)
	maps.Copy(sources, add.Sources)
	return Catalog{
		AsOf:     asOf,
		Sources:  sources,
		Releases: replaceRows(c.Releases, add.Releases, func(r ReleaseRow) string { return r.ID }),
		DotNet:   replaceRows(c.DotNet, add.DotNet, func(r DotNetRow) string { return r.Version }),
		Images:   replaceRows(c.Images, add.Images, func(r ImageRow) string { return r.ID }),
		Retired:  slices.Concat(add.Retired, c.Retired), // the first match counts
		Features: replaceRows(c.Features, add.Features, func(r FeatureRow) string { return r.ID }),
		NetFX3:   slices.Concat(add.NetFX3, c.NetFX3),
		Modules:  replaceRows(c.Modules, add.Modules, func(r ModuleRow) string { return r.ID }),
		HTTPSys:  slices.Concat(c.HTTPSys, add.HTTPSys),
	}, nil
}

func replaceRows[T any](old, add []T, id func(T) string) []T {
	out := slices.Clone(old)
	for _, row := range add {
		if i := slices.IndexFunc(out, func(r T) bool { return id(r) == id(row) }); i >= 0 {
			out[i] = row
		} else {
			out = append(out, row)
		}
	}
	return out
}

func parseCatalog(text, name string) (Catalog, error) {
	var f catalogFile
	md, err := toml.Decode(text, &f)
	if err != nil {
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			line, col := tomlkey.Place(text, pe.Position.Start)
			return Catalog{}, fmt.Errorf("%s:%d:%d: %s", name, line, col, pe.Message)
		}
		// A value of the wrong type carries its line in the text only.
		line, text := "1", err.Error()
		if m := regexp.MustCompile(`^toml: line (\d+)(?: \(last key "[^"]*"\))?: (.*)`).FindStringSubmatch(text); m != nil {
			line, text = m[1], m[2]
		}
		return Catalog{}, fmt.Errorf("%s:%s:1: %s", name, line, text)
	}
	if u := md.Undecoded(); len(u) > 0 {
		key := u[0]
		line, col := placeOf(text, key)
		return Catalog{}, fmt.Errorf("%s:%d:%d: unknown key %q", name, line, col, key.String())
	}
	if f.Schema != "" && f.Schema != catalogSchema {
		line, col := tomlkey.Position(text, toml.Key{"schema"}, 0)
		return Catalog{}, fmt.Errorf("%s:%d:%d: schema is %q, not %q", name, line, col, f.Schema, catalogSchema)
	}
	if table, n, err := f.Catalog.check(); err != nil {
		line, col := tomlkey.Position(text, toml.Key{table}, n)
		return Catalog{}, fmt.Errorf("%s:%d:%d: %w", name, line, col, err)
	}
	return f.Catalog, nil
}

// placeOf finds a key in whichever table of its list has it: the TOML library does
// not tell.
func placeOf(text string, key toml.Key) (line, col int) {
	for i := range 1 + strings.Count(text, "[[") {
		line, col = tomlkey.Position(text, key, i)
		if tableLine, tableCol := tomlkey.Position(text, key[:len(key)-1], i); line != tableLine || col != tableCol {
			break
		}
	}
	return line, col
}

var (
	idPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
	repoPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.:-]*(/[a-z0-9._-]+)+$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`) // of at most maxTag characters
	dismPattern = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	filePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	urlPattern  = regexp.MustCompile(`^https://[A-Za-z0-9./_?=:%-]+$`)
	// sourceDate is the day in parentheses that a source ends with.
	sourceDate = regexp.MustCompile(`\((\d{4}-\d\d-\d\d)\)`)
)

// maxTag is the length of a tag that registries take.
const maxTag = 128

// check says what is wrong with the first bad row: its table, its place in it.
func (c Catalog) check() (table string, n int, err error) {
	for i, r := range c.Releases {
		if !idPattern.MatchString(r.ID) || r.Name == "" || !strings.HasPrefix(r.OSVersion, "10.0.") || r.Source == "" ||
			r.SupportEnd.IsZero() || !slices.Contains([]string{"mainstream", "extended", statusRetired}, r.Status) {
			return "release", i, fmt.Errorf("release %q needs id, name, os_version, status, support_end and source", r.ID)
		}
	}
	for i, r := range c.DotNet {
		if _, _, ok := majorMinor(r.Version); !ok || r.SupportEnd.IsZero() || r.Source == "" ||
			!slices.Contains([]string{"supported", statusEOL}, r.Status) || !slices.Contains([]string{"LTS", "STS"}, r.Type) {
			return "dotnet", i, fmt.Errorf("dotnet %q needs version, type, status, support_end and source", r.Version)
		}
	}
	for i, r := range c.Images {
		if err := r.check(); err != nil {
			return "image", i, err
		}
	}
	for i, r := range c.Retired {
		if len(r.Match) == 0 || r.Replacement == "" || r.Source == "" || !slices.Contains([]string{"gone", "frozen", "unsupported"}, r.State) {
			return "retired", i, fmt.Errorf("retired %q needs match, state, replacement and source", strings.Join(r.Match, ", "))
		}
	}
	for i, r := range c.Features {
		if !idPattern.MatchString(r.ID) || len(r.DISM) == 0 || r.Source == "" ||
			slices.ContainsFunc(r.DISM, func(s string) bool { return !dismPattern.MatchString(s) }) {
			return "feature", i, fmt.Errorf("feature %q needs id, dism and source", r.ID)
		}
	}
	for i, r := range c.NetFX3 {
		if len(r.OS) == 0 || len(r.Commands) == 0 || r.Source == "" {
			return "netfx3", i, errors.New("netfx3 needs os, commands and source")
		}
	}
	for i, r := range c.Modules {
		if !idPattern.MatchString(r.ID) || r.Name == "" || r.Source == "" || (r.URL == "") != (r.File == "") ||
			r.URL != "" && (!urlPattern.MatchString(r.URL) || !filePattern.MatchString(r.File)) {
			return "module", i, fmt.Errorf("module %q needs id, name, source, and both url and file or none", r.ID)
		}
	}
	for i, r := range c.HTTPSys {
		if r.Fact == "" || len(r.Values) == 0 || r.Source == "" {
			return "http_sys", i, errors.New("http_sys needs fact, values and source")
		}
	}
	return "", 0, nil
}

func (r ImageRow) check() error {
	roles := []string{roleOS, roleIIS, roleNetFX, roleNetFXIIS, roleNetFXWCF, roleDotNet, roleDotNetASP, roleJava, rolePython}
	switch {
	case !idPattern.MatchString(r.ID):
		return fmt.Errorf("image id %q is not lower case letters, digits, dots and dashes", r.ID)
	case !repoPattern.MatchString(r.Repository):
		return fmt.Errorf("image %q: repository %q is no HOST/NAME", r.ID, r.Repository)
	case !slices.Contains(roles, r.Role):
		return fmt.Errorf("image %q: role %q is none of %s", r.ID, r.Role, strings.Join(roles, ", "))
	case familyRank(r.Family) < 0:
		return fmt.Errorf("image %q: family %q is none of nanoserver, servercore, server", r.ID, r.Family)
	case !slices.Contains([]string{"supported", "extended", statusEOL}, r.Status):
		return fmt.Errorf("image %q: status %q is none of supported, extended, eol", r.ID, r.Status)
	case (r.Role == roleOS || r.Role == roleIIS) != (r.Version == ""):
		return fmt.Errorf("image %q: version is for images with a framework, and needed there", r.ID)
	case (r.Role == roleJava || r.Role == rolePython) && !isAbsolute(r.Runs):
		return fmt.Errorf("image %q: runs %q is no absolute path of a program, like C:\\Python\\python.exe", r.ID, r.Runs)
	case r.User != userAdmin && r.User != userUnelevated:
		return fmt.Errorf("image %q: user %q is neither %s nor %s", r.ID, r.User, userAdmin, userUnelevated)
	case len(r.Tags) == 0 || r.Source == "":
		return fmt.Errorf("image %q needs tags and source", r.ID)
	}
	for os, tag := range r.Tags {
		if len(tag) > maxTag || !tagPattern.MatchString(tag) {
			return fmt.Errorf("image %q: tag %q of %s is no tag", r.ID, tag, os)
		}
	}
	for os := range r.CompressedMB {
		if r.Tags[os] == "" || r.CompressedMB[os] <= 0 {
			return fmt.Errorf("image %q: compressed_mb of %s, which has no tag or no size", r.ID, os)
		}
	}
	return nil
}

// Release finds a Windows release by its ID.
func (c Catalog) Release(id string) (ReleaseRow, bool) {
	i := slices.IndexFunc(c.Releases, func(r ReleaseRow) bool { return r.ID == id })
	if i < 0 {
		return ReleaseRow{}, false
	}
	return c.Releases[i], true
}

// RetiredReference says whether nobody builds what a reference names any more.
func (c Catalog) RetiredReference(ref string) (RetiredRow, bool) {
	for _, r := range c.Retired {
		for _, pattern := range r.Match {
			// path.Match lets "*" stop at slashes; a reference has no NUL bytes.
			flat := strings.NewReplacer("/", "\x00").Replace
			if ok, err := path.Match(flat(pattern), flat(ref)); err == nil && ok {
				return r, true
			}
		}
	}
	return RetiredRow{}, false
}

// Family is the family of the image that a reference names: that of its row, else what
// its name says, for Server Core is what most images are made of.
func (c Catalog) Family(ref string) string {
	if img, _, ok := c.byReference(ref); ok {
		return img.Family
	}
	for _, img := range c.Images {
		if repository, _, ok := strings.Cut(ref, "@"); ok && repository == img.Repository {
			return img.Family
		}
	}
	switch name, _, _ := strings.Cut(ref, ":"); {
	case strings.Contains(ref, "nanoserver"):
		return detect.FamilyNanoServer
	case strings.HasSuffix(name, "windows/server") || strings.HasSuffix(name, "/windows"):
		return detect.FamilyServer
	}
	return detect.FamilyServerCore
}

// byReference finds the image row and release that a reference names.
func (c Catalog) byReference(ref string) (ImageRow, string, bool) {
	for _, img := range c.Images {
		for _, os := range sortedKeys(img.Tags) {
			if img.Repository+":"+img.Tags[os] == ref {
				return img, os, true
			}
		}
	}
	return ImageRow{}, "", false
}

func familyRank(family string) int {
	return slices.Index(Families(), family)
}
