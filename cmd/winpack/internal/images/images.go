// Package images lists the catalog of base images for people and pipelines: the
// document winpack/images/v1, and the text that is a view of it.
package images

import (
	_ "embed"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// ID names the JSON schema of a Document.
const ID = "winpack/images/v1"

// Schema is the JSON Schema of a Document.
//
//go:embed images.schema.json
var Schema []byte

// Document is what the catalog holds of what was asked for. Every list is
// present, empty or not.
type Document struct {
	Schema       string              `json:"schema"`
	AsOf         string              `json:"asOf"`         // ISO date that support is told of
	NewestSource string              `json:"newestSource"` // ISO date, empty when unknown
	Releases     []Release           `json:"releases"`     // those of Images
	Images       []dockerfile.Listed `json:"images"`
	Retired      []Retired           `json:"retired"` // references that nobody builds any more
	// LeftOut counts what fits too and is no longer built.
	LeftOut LeftOut           `json:"leftOut"`
	Sources map[string]string `json:"sources"` // the short names that are used in the sources
	// Learned are the images whose contents are known.
	Learned []Known `json:"learned,omitempty"`
}

// Release is a Windows release. Dates are ISO, and empty where unknown.
type Release struct {
	OS            string `json:"os"`
	Name          string `json:"name"`
	Build         string `json:"build"`
	Status        string `json:"status"` // mainstream, extended, retired
	MainstreamEnd string `json:"mainstreamEnd"`
	SupportEnd    string `json:"supportEnd"`
	Source        string `json:"source"`
}

// Retired tells references that nobody builds any more; "*" in Match is any text.
type Retired struct {
	Match       []string `json:"match"`
	State       string   `json:"state"` // gone, frozen, unsupported
	Since       string   `json:"since"` // ISO date, empty when unknown
	Replacement string   `json:"replacement"`
	Source      string   `json:"source"`
}

// LeftOut counts images and rows of retired references.
type LeftOut struct {
	Images  int `json:"images"`
	Retired int `json:"retired"`
}

// Filter is what was asked for. Empty fields ask for everything.
type Filter struct {
	OS     []string // releases
	Family string
	Words  []string // each has to occur
	All    bool     // also what is no longer built
}

// New selects from the catalog. What is no longer built is left out and counted,
// unless All asks for it or nothing else fits.
func New(catalog dockerfile.Catalog, f Filter) Document {
	d := Document{
		Schema: ID, AsOf: day(catalog.AsOf), NewestSource: day(catalog.NewestSource()),
		Releases: []Release{}, Images: []dockerfile.Listed{}, Retired: []Retired{}, Sources: map[string]string{},
	}
	var ended []dockerfile.Listed
	for _, image := range catalog.List() {
		switch {
		case !f.takes(catalog, image):
		case image.State == dockerfile.StateEnded:
			ended = append(ended, image)
		default:
			d.Images = append(d.Images, image)
		}
	}
	retired := f.retired(catalog)
	if f.All || len(d.Images) == 0 {
		d.Images = append(d.Images, ended...)
		d.Retired = append(d.Retired, retired...)
	} else {
		d.LeftOut = LeftOut{len(ended), len(retired)}
	}
	for _, r := range catalog.Releases {
		if slices.ContainsFunc(d.Images, func(i dockerfile.Listed) bool { return i.OS == r.ID }) {
			d.Releases = append(d.Releases, Release{r.ID, r.Name, r.OSVersion, r.Status, day(r.MainstreamEnd), day(r.SupportEnd), r.Source})
		}
	}
	for name, text := range catalog.Sources {
		if d.cites(name) {
			d.Sources[name] = text
		}
	}
	return d
}

// cites says whether a source names another by its short name.
func (d Document) cites(name string) bool {
	re := regexp.MustCompile(`(^|[^\w./-])` + regexp.QuoteMeta(name) + `($|[^\w./-])`)
	return slices.ContainsFunc(d.Releases, func(r Release) bool { return re.MatchString(r.Source) }) ||
		slices.ContainsFunc(d.Images, func(i dockerfile.Listed) bool { return re.MatchString(i.Source) }) ||
		slices.ContainsFunc(d.Retired, func(r Retired) bool { return re.MatchString(r.Source) })
}

func (f Filter) takes(catalog dockerfile.Catalog, image dockerfile.Listed) bool {
	if len(f.OS) > 0 && !slices.Contains(f.OS, image.OS) || f.Family != "" && f.Family != image.Family {
		return false
	}
	release, _ := catalog.Release(image.OS)
	text := strings.ToLower(strings.Join([]string{
		image.Reference, image.OS, image.Build, image.Family, image.Role, image.Version, uses(image.Role), release.Name,
	}, "\n"))
	return !slices.ContainsFunc(f.Words, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
}

// retired are the rows that the words name. A row is of no release and no family.
func (f Filter) retired(catalog dockerfile.Catalog) []Retired {
	if len(f.OS) > 0 || f.Family != "" {
		return nil
	}
	var rows []Retired
	for _, r := range catalog.Retired {
		named := func(word string) bool {
			if row, ok := catalog.RetiredReference(word); ok && slices.Equal(row.Match, r.Match) {
				return true
			}
			return slices.ContainsFunc(r.Match, func(m string) bool { return strings.Contains(strings.ToLower(m), strings.ToLower(word)) })
		}
		if !slices.ContainsFunc(f.Words, func(word string) bool { return !named(word) }) {
			rows = append(rows, Retired{r.Match, r.State, day(r.Since), r.Replacement, r.Source})
		}
	}
	return rows
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// uses says for people what an image of a role was made for.
func uses(role string) string {
	return map[string]string{
		"os":            "native programs, self-contained .NET",
		"iis":           "static sites, in IIS",
		"netfx":         ".NET Framework: consoles and services",
		"netfx-iis":     "ASP.NET on .NET Framework, in IIS",
		"netfx-wcf":     "WCF on .NET Framework, in IIS",
		"dotnet":        ".NET: consoles and services",
		"dotnet-aspnet": "ASP.NET Core",
		"java":          "Java: archives, Tomcat, JBoss",
		"python":        "Python",
	}[role]
}

// sortedSources are the short names in order.
func (d Document) sortedSources() []string { return slices.Sorted(maps.Keys(d.Sources)) }
