package dockerfile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/detect"
)

// Listed is one image for one Windows release, as a FROM line names it, with what
// is known of it on the day of the catalog.
type Listed struct {
	Reference    string      `json:"reference"`
	OS           string      `json:"os"`    // release, "ltsc2022"
	Build        string      `json:"build"` // of Windows, "10.0.20348"
	Family       string      `json:"family"`
	Role         string      `json:"role"`    // what it was made for: os, iis, netfx, netfx-iis, netfx-wcf, dotnet, dotnet-aspnet, java, python
	Version      string      `json:"version"` // of the framework in it; empty without
	State        ImageState  `json:"state"`
	SupportEnd   string      `json:"supportEnd"`   // ISO date, of the image or its Windows, whichever is first, or since when nobody rebuilds it; empty when unknown
	CompressedMB float64     `json:"compressedMB"` // 10^6 bytes; 0 when unknown
	User         string      `json:"user"`
	Entrypoint   []string    `json:"entrypoint"`
	Ports        []int       `json:"ports"`
	Replacement  Replacement `json:"replacement"`
	Source       string      `json:"source"`
	Confidence   string      `json:"confidence"`
}

// ImageState says whether an image still gets fixes.
type ImageState string

const (
	StateSupported ImageState = "supported"
	StateExtended  ImageState = "extended" // past mainstream support, still rebuilt
	StateEnded     ImageState = "ended"    // the tag stays, and is not rebuilt
)

// Replacement is what to use in the place of an image that ended: an image of the
// catalog, or advice where none does by itself. Both are empty where none is known.
type Replacement struct {
	Reference string `json:"reference"`
	Advice    string `json:"advice"`
}

// List returns every image of the catalog for each release that it has one for:
// by repository in the catalog's order, newer versions and newer Windows first.
func (c Catalog) List() []Listed {
	var list []Listed
	for _, img := range c.Images {
		for _, os := range sortedKeys(img.Tags) {
			list = append(list, c.listed(img, os))
		}
	}
	group := map[string]int{}
	key := func(l Listed) string { repository, _ := cutTag(l.Reference); return l.Role + " " + repository }
	for _, l := range list {
		if _, ok := group[key(l)]; !ok {
			group[key(l)] = len(group)
		}
	}
	slices.SortStableFunc(list, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(group[key(a)], group[key(b)]), compareVersions(b.Version, a.Version),
			compareVersions(b.Build, a.Build), cmp.Compare(familyRank(a.Family), familyRank(b.Family)))
	})
	return list
}

// cutTag splits a reference of the catalog.
func cutTag(reference string) (repository, tag string) {
	i := strings.LastIndexByte(reference, ':')
	return reference[:i], reference[i+1:]
}

func (c Catalog) listed(img ImageRow, os string) Listed {
	base := c.baseOf(img, os)
	l := Listed{
		Reference: base.Reference, OS: os, Build: base.OSVersion, Family: img.Family, Role: img.Role, Version: img.Version,
		State: c.stateOf(img, os), SupportEnd: base.SupportEnd, CompressedMB: base.CompressedMB, User: img.User,
		Entrypoint: append([]string{}, img.Entrypoint...), Ports: append([]int{}, img.Expose...),
		Source: img.Source, Confidence: img.Confidence,
	}
	if l.State != StateEnded {
		return l
	}
	l.Replacement = c.replacement(img, os)
	if img.Status == statusEOL && img.SupportEnd.IsZero() {
		// Its Windows may be supported for years; the image is not.
		l.SupportEnd = ""
		if row, ok := c.RetiredReference(l.Reference); ok && !row.Since.IsZero() {
			l.SupportEnd = row.Since.Format(time.DateOnly)
		}
	}
	return l
}

func (c Catalog) stateOf(img ImageRow, os string) ImageState {
	rel, _ := c.Release(os)
	switch {
	case img.Status == statusEOL, rel.Status == statusRetired, c.baseOf(img, os).SupportEnded:
		return StateEnded
	case img.Status == string(StateExtended), rel.Status == string(StateExtended):
		return StateExtended
	}
	return StateSupported
}

// replacement finds the image that does what one that ended did: of the same
// release, else of the next one that has any; of .NET the version that people are
// told to move to, of all else the nearest.
func (c Catalog) replacement(img ImageRow, os string) Replacement {
	own, _ := c.Release(os)
	moveTo := c.nextDotNet(img.Version).Version
	var best Replacement
	var bestRow ImageRow
	var bestBuild string
	for _, o := range c.Images {
		if o.Role != img.Role || o.Family != img.Family || compareVersions(o.Version, img.Version) < 0 || isCLR2Version(img) != isCLR2Version(o) {
			continue
		}
		for _, at := range sortedKeys(o.Tags) {
			rel, _ := c.Release(at)
			if compareVersions(rel.OSVersion, own.OSVersion) < 0 || c.stateOf(o, at) == StateEnded {
				continue
			}
			d := cmp.Or(compareVersions(rel.OSVersion, bestBuild), preferVersion(o.Version, bestRow.Version, moveTo))
			if best.Reference == "" || d < 0 {
				best, bestRow, bestBuild = Replacement{Reference: o.Repository + ":" + o.Tags[at]}, o, rel.OSVersion
			}
		}
	}
	if row, ok := c.RetiredReference(img.Repository + ":" + img.Tags[os]); ok && best.Reference == "" {
		best.Advice = row.Replacement
	}
	return best
}

// isCLR2Version says whether an image is there for apps of .NET Framework 2.0 to
// 3.5, which one with .NET Framework 4 does not run by itself.
func isCLR2Version(img ImageRow) bool {
	switch img.Role {
	case roleNetFX, roleNetFXIIS, roleNetFXWCF:
		return compareVersions(img.Version, "4.0") < 0
	}
	return false
}

// preferVersion orders moveTo first, then the lower version.
func preferVersion(a, b, moveTo string) int {
	if a != b && (a == moveTo || b == moveTo) {
		if a == moveTo {
			return -1
		}
		return 1
	}
	return compareVersions(a, b)
}

// Retired says that no image is built for the release any more, and none may be
// asked for.
func (r ReleaseRow) Retired() bool { return r.Status == statusRetired }

// Families are the families of images, the smallest first.
func Families() []string {
	return []string{detect.FamilyNanoServer, detect.FamilyServerCore, detect.FamilyServer}
}

// NewestSource is the newest day that a source of the catalog is told to be of;
// it is zero where none names a day. AsOf is when the sources were read.
func (c Catalog) NewestSource() time.Time {
	var newest time.Time
	for _, text := range c.Sources {
		for _, m := range sourceDate.FindAllStringSubmatch(text, -1) {
			if day, err := time.Parse(time.DateOnly, m[1]); err == nil && day.After(newest) && !day.After(c.AsOf) {
				newest = day
			}
		}
	}
	return newest
}
