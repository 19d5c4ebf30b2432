package dockerfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// FileBases are the base images of a Dockerfile, one for each release that asked
// names; where it names none, of the releases that the file is for. listed are the
// references of Parsed.Listed.
//
// Where ARG BASE is the reference, a release has the one that the file names for
// it, else the image of the same row of the catalog; an image that the catalog does
// not know is taken as it stands, and its registry says which releases it has.
// Where the file names the image itself, that is what it is, and asking for another
// release is a *UsageError. The error may also be a *NoImageError or
// *UnknownReleaseError.
func (c Catalog) FileBases(from From, listed, asked []string) ([]Base, error) {
	if from.Reference == "" {
		return nil, &UsageError{fmt.Sprintf("FROM names no image, since ARG %s has no default: name one with --base", BaseArg)}
	}
	if err := c.CheckReleases(asked); err != nil {
		return nil, err
	}
	if meant := c.onMCR(from.Reference); meant != "" {
		return nil, &UsageError{fmt.Sprintf("the image %s would come from Docker Hub: did you mean %s?", from.Reference, meant)}
	}
	row, own, known := c.lookup(from.Reference)
	switch {
	case !known:
		return c.unknownBases(from, listed, asked), nil
	case !from.ByArg:
		for _, os := range asked {
			if os != own {
				return nil, &UsageError{fmt.Sprintf("FROM names the image itself, %s, which is of %s: leave %s out (--os, or os in winpack.toml), or write ARG %s=%s before it, and FROM ${%s}",
					from.Reference, own, os, BaseArg, from.Reference, BaseArg)}
			}
		}
		asked = []string{own}
	}
	named := map[string]string{own: from.Reference}
	order := []string{own}
	for _, ref := range listed {
		other, os, ok := c.lookup(ref)
		// A list of other images than the default's is one that was left behind.
		if _, twice := named[os]; ok && !twice && row.serves(other) {
			named[os] = ref
			order = append(order, os)
		}
	}
	if len(asked) == 0 {
		asked = order
	}
	var bases []Base
	for _, os := range asked {
		ref := named[os]
		i := slices.IndexFunc(c.Images, func(img ImageRow) bool { return img.Tags[os] != "" && row.serves(img) })
		if row.Tags[os] != "" {
			ref = cmp.Or(ref, row.Repository+":"+row.Tags[os])
		} else if i >= 0 {
			ref = cmp.Or(ref, c.Images[i].Repository+":"+c.Images[i].Tags[os])
		}
		if ref == "" {
			return nil, &NoImageError{OS: []string{os}, What: strings.TrimSpace(row.Repository + " " + row.Version), Ways: []string{
				"ask for another release with --os: " + strings.Join(sortedKeys(row.Tags), ", "), "name an image with --base"}}
		}
		img, _, ok := c.lookup(ref)
		if !ok {
			img = row
		}
		b := c.baseOf(img, os)
		b.Reference = ref
		bases = append(bases, b)
	}
	return bases, nil
}

// serves says whether another row is the same image for another release. Of .NET
// Framework each release has its own version.
func (r ImageRow) serves(other ImageRow) bool {
	switch r.Role {
	case roleNetFX, roleNetFXIIS, roleNetFXWCF:
		return other.Role == r.Role && other.Repository == r.Repository && (other.ID == r.ID || other.Status != statusEOL)
	}
	return other.ID == r.ID
}

// lookup finds row and release of a reference, which may have a digest too.
func (c Catalog) lookup(ref string) (ImageRow, string, bool) {
	bare, _, _ := strings.Cut(ref, "@")
	return c.byReference(bare)
}

// unknownBases are those of an image that the catalog does not have.
func (c Catalog) unknownBases(from From, listed, asked []string) []Base {
	repository := func(ref string) string {
		bare, _, _ := strings.Cut(ref, "@")
		if i := strings.LastIndexByte(bare, ':'); i > strings.LastIndexByte(bare, '/') {
			bare = bare[:i]
		}
		return bare
	}
	refs := []string{from.Reference}
	same := from.ByArg
	for _, ref := range listed {
		same = same && ref == from.Reference
		if from.ByArg && repository(ref) == repository(from.Reference) && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	if len(asked) == 0 && same && len(listed) > 0 {
		asked = DefaultOS() // winpack wrote one image for several releases
	}
	family := detect.FamilyServerCore
	if strings.Contains(from.Reference, "nanoserver") {
		family = detect.FamilyNanoServer
	}
	var bases []Base
	if len(asked) == 0 {
		for _, ref := range refs {
			bases = append(bases, Base{Family: family, Reference: ref})
		}
	}
	for _, os := range asked {
		rel, _ := c.Release(os)
		bases = append(bases, Base{OS: os, Family: family, Reference: from.Reference, OSVersion: rel.OSVersion})
	}
	return bases
}

// BaseFindings are the findings of a Dockerfile's base images; file is its name in
// their evidence.
func (c Catalog) BaseFindings(file string, from From, bases []Base) []detect.Finding {
	var found []detect.Finding
	for _, b := range bases {
		bare, _, _ := strings.Cut(b.Reference, "@")
		message, remedy := "", "choose a supported one"
		if r, ok := c.RetiredReference(bare); ok {
			message, remedy = fmt.Sprintf("the base image %s is not built any more (%s)", bare, r.State), "use "+r.Replacement
		} else if img, _, ok := c.byReference(bare); ok && img.Status == statusEOL {
			message = fmt.Sprintf("the base image %s is not built any more", bare)
		}
		if message != "" {
			found = append(found, detect.Finding{Rule: RuleRetiredBase, Level: detect.LevelWarning, Message: message, Remedy: remedy,
				Evidence: []detect.Evidence{{Path: file, Line: from.Line}}})
		}
	}
	return found
}

// onMCR is what somebody meant who left the registry out of a reference: the image of
// that name in the catalog. Without a registry a reference is one of Docker Hub, which
// has none of these; empty where it is no such name.
func (c Catalog) onMCR(ref string) string {
	bare, _, _ := strings.Cut(ref, "@")
	bare, _, _ = strings.Cut(bare, ":")
	if first, _, _ := strings.Cut(ref, "/"); strings.Contains(ref, "/") && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return ""
	}
	meant := ""
	for _, img := range c.Images {
		host, path, ok := strings.Cut(img.Repository, "/")
		switch {
		case img.Repository == bare:
			return ""
		case !ok || meant != "" || !strings.Contains(host, "."):
		case path == bare:
			meant = host + "/" + ref
		case !strings.Contains(bare, "/") && strings.HasSuffix(path, "/"+bare):
			meant = strings.TrimSuffix(img.Repository, bare) + ref
		}
	}
	return meant
}
