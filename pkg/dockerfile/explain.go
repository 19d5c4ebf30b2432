package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// explain gives the reasons for a base, and what was not taken, once. all has the
// choices for each release.
func (p *planner) explain(c choice, all []choice) {
	w, img, os := c.want, c.img, c.os
	switch img.Role {
	case roleOS:
		if stack := p.rep.Needs.Runtime != nil || p.rep.App.Kind == detect.KindHTTPD || p.rep.App.Kind == detect.KindNginx || p.rep.App.Kind == detect.KindRedis; stack {
			p.explainRuntime(c)
			break
		}
		switch native := p.rep.App.Kind == detect.KindNativeConsole || p.rep.App.Kind == detect.KindNativeService; {
		case native && p.lacksLibraries():
			p.why("the program is native: a plain Windows image is as near as any, and the findings name the DLLs that it lacks")
		case native:
			p.why("the program is native and needs nothing but Windows")
		default:
			if p.lacksLibraries() {
				p.why("the app brings its own .NET (self-contained): a plain Windows image is as near as any, and the findings name the DLLs that it lacks")
			} else {
				p.why("the app brings its own .NET (self-contained): plain Windows is enough")
			}
			p.reject(p.similar(roleDotNet, want{version: p.rep.App.Framework.Version}, os, img.Family), "the app brings its own .NET")
		}
	case roleIIS:
		if p.rep.App.Kind == detect.KindStatic {
			p.why("IIS serves the files; ASP.NET is not needed")
		} else {
			p.why(fmt.Sprintf("IIS runs the pages of %s; ASP.NET is not needed", p.rep.App.Kind))
		}
		p.reject(p.similar(roleNetFXIIS, w, os, ""), "has ASP.NET, which the site does not use")
	case roleNetFX, roleNetFXIIS, roleNetFXWCF:
		p.explainNetFX(c, all)
	case roleDotNet, roleDotNetASP:
		p.explainDotNet(w, img, os)
	}
	if c.img.Role == roleJava || c.img.Role == rolePython {
		p.explainRuntime(c)
	}
	p.explainFamily(c, all)
}

// lacksLibraries says whether the app needs a DLL that is neither in its folder nor
// known to be in any image.
func (p *planner) lacksLibraries() bool {
	missing := []string{"import-app", "import-driver", "import-redist", "import-redist-unsure", "import-feature", "import-step", "import-host", "import-error", "import-unknown", "import-nowhere", "import-function-nowhere"}
	return slices.ContainsFunc(p.rep.Facts, func(f detect.Fact) bool { return f.OverruledBy == "" && slices.Contains(missing, f.Key) })
}

func (p *planner) explainNetFX(c choice, all []choice) {
	w, img, os := c.want, c.img, c.os
	if w.clr2 {
		p.why("no image of .NET Framework 2.0 to 3.5 is built any more: the feature NetFx3 is added to the current one")
	} else if p.rep.App.Kind != detect.KindStatic {
		version := w.version
		if version == "" {
			version = "4.x"
		}
		p.why(fmt.Sprintf(".NET Framework %s runs on %s, which is an in-place update of every 4.x", version, versions(all)))
	}
	switch img.Role {
	case roleNetFX:
		core := p.similar(roleOS, want{family: detect.FamilyServerCore}, os, detect.FamilyServerCore)
		if core == nil {
			break
		}
		inBox := core.NetFXInBox[os]
		saved := mb(img.CompressedMB[os] - core.CompressedMB[os])
		if w.clr2 {
			p.reject(core, fmt.Sprintf("has no .NET Framework 3.5 either; with the same RUN step it would save %s; --base takes it", saved))
		} else if inBox != "" && compareVersions(inBox, w.version) >= 0 {
			p.reject(core, fmt.Sprintf("its .NET Framework %s is enough and would save %s, but Microsoft services the chosen image for .NET Framework programs; --base takes this one", inBox, saved))
		} else {
			p.reject(core, fmt.Sprintf("its .NET Framework is %s, the app needs %s", inBox, w.version))
		}
	case roleNetFXIIS:
		p.reject(p.similar(roleIIS, want{}, os, ""), "has no ASP.NET")
	case roleNetFXWCF:
		if p.rep.App.Kind == detect.KindWCF || slices.ContainsFunc(w.features, func(f string) bool { return strings.HasPrefix(f, "wcf-") }) {
			p.why("the image has WCF activation, which would otherwise need a RUN step")
			p.reject(p.similar(roleNetFXIIS, w, os, ""), "has no WCF activation")
		} else {
			p.why("the image has the feature that the site needs, which would otherwise need a RUN step on Windows")
			p.reject(p.similar(roleNetFXIIS, w, os, ""), "lacks "+strings.Join(missingFeatures(p.similar(roleNetFXIIS, w, os, ""), w.features), ", "))
		}
	}
	for _, old := range p.cat.Images { // the very version of the app, retired
		if old.Role == img.Role && old.Status == statusEOL && old.Tags[os] != "" && old.Version == w.version {
			p.reject(&old, "is not built any more")
		}
	}
}

// versions names the version of the images, with the releases where they differ:
// "4.8 (ltsc2019) and 4.8.1 (ltsc2022, ltsc2025)".
func versions(all []choice) string {
	var order []string
	releases := map[string][]string{}
	for _, c := range all {
		if releases[c.img.Version] == nil {
			order = append(order, c.img.Version)
		}
		releases[c.img.Version] = append(releases[c.img.Version], c.os)
	}
	if len(order) == 1 {
		return order[0]
	}
	for i, v := range order {
		order[i] = fmt.Sprintf("%s (%s)", v, strings.Join(releases[v], ", "))
	}
	return strings.Join(order, " and ")
}

func missingFeatures(img *ImageRow, features []string) []string {
	var out []string
	for _, f := range features {
		if img == nil || !slices.Contains(img.Has, f) {
			out = append(out, f)
		}
	}
	return out
}

func (p *planner) explainDotNet(w want, img ImageRow, os string) {
	p.why(fmt.Sprintf("the image has the %s that the app is built for", strings.Replace(w.what, w.version, img.Version, 1)))
	if img.Version != w.version {
		p.find(RuleDotNetForward, detect.LevelNote, fmt.Sprintf("the app is built for .NET %s and runs on %s by roll-forward to a later minor version", w.version, img.Version),
			"rebuild the app for .NET "+img.Version+" to test what will run")
	}
	// Detection warns of the version that the app names; what runs may be a later one.
	told := slices.ContainsFunc(p.rep.Findings, func(f detect.Finding) bool { return f.Rule == "WP1102" })
	if img.Status == statusEOL && !told {
		next := p.cat.nextDotNet(img.Version)
		remedy := "move the app to a supported version"
		if next.Version != "" {
			remedy = fmt.Sprintf("move the app to .NET %s (%s, supported until %s)", next.Version, next.Type, next.SupportEnd.Format("2006-01-02"))
		}
		p.find(RuleDotNetEnded, detect.LevelWarning, fmt.Sprintf(".NET %s is out of support since %s: its images stay and get no more fixes", img.Version, img.SupportEnd.Format("2006-01-02")), remedy)
	}
	if img.Family == detect.FamilyNanoServer {
		larger := p.similarVersion(img.Role, img.Version, os, detect.FamilyServerCore)
		if larger != nil {
			why := "is larger and brings nothing that the app needs"
			if a, b := larger.CompressedMB[os], img.CompressedMB[os]; a > 0 && b > 0 {
				why = fmt.Sprintf("adds %s that the app does not need", mb(a-b))
			}
			p.reject(larger, why)
		}
	}
}

// nextDotNet is the supported version to move to: the next LTS, else any later one.
func (c Catalog) nextDotNet(version string) DotNetRow {
	var next DotNetRow
	for _, row := range c.DotNet {
		if row.Status == statusEOL || compareVersions(row.Version, version) <= 0 {
			continue
		}
		if next.Version == "" || next.Type != "LTS" && row.Type == "LTS" ||
			row.Type == next.Type && compareVersions(row.Version, next.Version) < 0 {
			next = row
		}
	}
	return next
}

// explainFamily says why no smaller family serves. Where releases differ in it, a reason
// names its own.
func (p *planner) explainFamily(c choice, all []choice) {
	w, img, os := c.want, c.img, c.os
	first := all[0].os
	differ := slices.ContainsFunc(all, func(o choice) bool { return o.img.Family != img.Family })
	if img.Family == detect.FamilyNanoServer {
		const enough = "the smallest Windows image and has all that the app uses"
		if differ {
			p.why(img.Family + " on " + os + ": " + enough)
		} else {
			p.why("Nano Server is " + enough)
		}
		return
	}
	smaller := p.similarVersion(img.Role, img.Version, os, detect.FamilyNanoServer)
	var reasons []string
	for _, f := range p.rep.Needs.Families {
		if (f.Release == "" || f.Release == os) && familyRank(f.Family) > 0 {
			reasons = append(reasons, printable(f.Why))
		}
	}
	switch img.Role {
	case roleIIS:
		smaller = p.similar(roleOS, want{}, os, detect.FamilyNanoServer)
		reasons = append(reasons, "Nano Server has no IIS")
	case roleNetFX, roleNetFXIIS, roleNetFXWCF:
		smaller = p.similar(roleOS, want{}, os, detect.FamilyNanoServer)
		if len(reasons) == 0 {
			reasons = append(reasons, "Nano Server has no .NET Framework")
		}
	}
	if p.rep.App.Architecture == detect.X86 {
		wow64 := func(s string) bool { return strings.Contains(s, "WOW64") } // detection says it of what it has read
		if !slices.ContainsFunc(reasons, wow64) {
			reasons = append(reasons, "a 32-bit program needs WOW64, which Nano Server lacks")
		}
		// For .NET Framework and IIS it would not do anyway.
		if nano := p.similar(roleOS, want{}, os, detect.FamilyNanoServer); nano != nil && img.Role == roleOS && slices.Contains(nano.Capabilities[os], "WOW64") {
			reasons = append(reasons, "for Nano Server of this release Microsoft offers WOW64 as a Feature on Demand, but publishes no image that has it and no way to add it")
		}
	}
	if len(w.commands) > 0 {
		reasons = append(reasons, "the start script of a service needs "+strings.Join(w.commands, ", ")+", which Nano Server lacks or is not known to have")
	}
	if nano := p.unpublished(img, os); nano != nil && smaller == nil && len(reasons) == 0 {
		reasons = append(reasons, "no Nano Server image is published for "+os)
		if len(p.plan.Bases) == 1 {
			p.plan.Rejected = append(p.plan.Rejected, Rejected{Reference: nano.Repository, Why: reasons[0]})
		}
	}
	if len(reasons) > 0 {
		if os == first {
			p.said = reasons
			on := ""
			if differ {
				on = " on " + os
			}
			p.why(img.Family + on + ": " + strings.Join(reasons, "; "))
		} else if more := slices.DeleteFunc(slices.Clone(reasons), func(s string) bool { return slices.Contains(p.said, s) }); len(more) > 0 {
			p.why(img.Family + " on " + os + ": " + strings.Join(more, "; "))
		}
		p.reject(smaller, strings.Join(reasons, "; "))
	}
	if img.Family == detect.FamilyServer {
		p.reject(p.similar(img.Role, want{}, os, detect.FamilyServerCore), strings.Join(reasons, "; "))
	}
}

// similar finds an image of a role and, where it is given, family; the smallest
// version that would do.
func (p *planner) similar(role string, w want, os, family string) *ImageRow {
	for _, img := range p.cat.Images {
		if img.Role == role && img.Tags[os] != "" && img.Status != statusEOL && (family == "" || img.Family == family) {
			if img.Version != "" && w.version != "" && (role == roleDotNet || role == roleDotNetASP) {
				a, _, _ := majorMinor(img.Version)
				if b, _, ok := majorMinor(w.version); !ok || a != b {
					continue
				}
			}
			return &img
		}
	}
	return nil
}

// unpublished is the image of Nano Server that would take the place of img, and that
// other releases have.
func (p *planner) unpublished(img ImageRow, os string) *ImageRow {
	for _, row := range p.cat.Images {
		if row.Role == img.Role && row.Version == img.Version && row.Family == detect.FamilyNanoServer && row.Status != statusEOL && row.Tags[os] == "" {
			return &row
		}
	}
	return nil
}

func (p *planner) similarVersion(role, version, os, family string) *ImageRow {
	for _, img := range p.cat.Images {
		if img.Role == role && img.Version == version && img.Tags[os] != "" && img.Family == family {
			return &img
		}
	}
	return nil
}

func mb(n float64) string { return fmt.Sprintf("%.0f MB", n) }

func (p *planner) why(s string) {
	if !slices.Contains(p.plan.Why, s) {
		p.plan.Why = append(p.plan.Why, s)
	}
}

// reject notes an image that was not taken, for the first release only: the
// others differ in nothing but the tag.
func (p *planner) reject(img *ImageRow, why string) {
	if img == nil || len(p.plan.Bases) != 1 {
		return
	}
	ref := img.Repository + ":" + img.Tags[p.plan.Bases[0].OS]
	if !slices.ContainsFunc(p.plan.Rejected, func(r Rejected) bool { return r.Reference == ref }) {
		p.plan.Rejected = append(p.plan.Rejected, Rejected{Reference: ref, Why: why})
	}
}
