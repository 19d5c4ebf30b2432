package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// New decides how an application becomes an image: base, steps, configuration.
// It is pure. The error is a *BlockedError, *UnknownKindError, *NoImageError,
// *UnknownReleaseError or *UsageError; the plan beside it then holds what was
// found until then (kind, findings, rejected images), and no step.
func New(rep detect.Report, cat Catalog, opt Options) (Plan, error) {
	p := &planner{rep: rep, cat: cat, opt: opt}
	p.plan = Plan{Name: rep.App.Name, Kind: rep.App.Kind, Bases: []Base{}, Why: []string{}, Rejected: []Rejected{}, Steps: []Step{}, Builder: BuilderNeeds{Reasons: []string{}}}
	if err := p.decide(); err != nil {
		p.plan.Steps, p.plan.Bases = []Step{}, []Base{}
		return p.plan, err
	}
	return p.plan, nil
}

type planner struct {
	rep  detect.Report
	cat  Catalog
	opt  Options
	plan Plan
	// rows are the catalog's rows of plan.Bases; nil where --base names an image
	// that the catalog does not know.
	rows []*ImageRow
	want want // of the first release
}

func (p *planner) decide() error {
	if p.opt.Prefer != "" && p.opt.Prefer != PreferNoRun && p.opt.Prefer != PreferFastStart {
		return &UsageError{fmt.Sprintf("unknown preference %q: use %s or %s", p.opt.Prefer, PreferNoRun, PreferFastStart)}
	}
	oses, err := p.cat.releases(p.opt)
	if err != nil {
		return err
	}
	if err := p.blocked(); err != nil {
		return err
	}
	if p.opt.Base != "" {
		err = p.givenBase(oses)
	} else {
		err = p.chooseBases(oses)
	}
	if err != nil {
		return err
	}
	p.plan.Family = p.plan.Bases[0].Family
	if err := p.steps(); err != nil {
		return err
	}
	p.plan.Why = append(p.plan.Why, p.whyNot()...)
	return nil
}

func (p *planner) blocked() error {
	var blockers []detect.Finding
	for _, f := range p.rep.Findings {
		if f.Level == detect.LevelBlocker {
			blockers = append(blockers, f)
		}
	}
	k := p.rep.App.Kind
	if len(blockers) > 0 || k == detect.KindNetFXDesktop || k == detect.KindDotNetDesktop || k == detect.KindNativeDesktop {
		return &BlockedError{Kind: k, Findings: blockers}
	}
	return nil
}

func (p *planner) chooseBases(oses []string) error {
	var missing []string
	var last want
	for _, os := range oses {
		w, err := wants(p.rep, os)
		if err != nil {
			if e, ok := errors.AsType[*NoImageError](err); ok {
				e.OS = oses
			}
			return err
		}
		img, ok := p.cat.choose(w, os)
		if !ok {
			missing, last = append(missing, os), w
			continue
		}
		if len(p.plan.Bases) == 0 {
			p.want = w
		}
		p.plan.Bases = append(p.plan.Bases, p.cat.baseOf(img, os))
		p.rows = append(p.rows, &img)
		p.explain(w, img, os)
	}
	if len(missing) == 0 {
		return nil
	}
	what := last.what
	if last.clr2 {
		what += " with CLR 2"
	}
	if last.family != detect.FamilyNanoServer {
		what += " on " + last.family
	}
	if p.opt.OSAsked || len(p.plan.Bases) == 0 {
		return &NoImageError{OS: missing, What: what, Ways: last.ways}
	}
	for _, os := range missing {
		p.plan.Omitted = append(p.plan.Omitted, Omitted{OS: os, Why: fmt.Sprintf("no image of %s is published for %s", what, os)})
		p.find(RuleNoImage, detect.LevelNote, fmt.Sprintf("no image of %s for %s: the release is left out", what, os),
			"to have one for it: "+strings.Join(last.ways, "; or "))
	}
	return nil
}

// explain gives the reasons for a base, and what was not taken, once.
func (p *planner) explain(w want, img ImageRow, os string) {
	ref := img.Repository + ":" + img.Tags[os]
	switch img.Role {
	case roleOS:
		if p.rep.App.Kind == detect.KindNativeConsole || p.rep.App.Kind == detect.KindNativeService {
			p.why("the program is native and needs nothing but Windows")
		} else {
			p.why("the app brings its own .NET (self-contained): plain Windows is enough")
			p.reject(p.similar(roleDotNet, want{version: p.rep.App.Framework.Version}, os, img.Family), "the app brings its own .NET")
		}
	case roleIIS:
		p.why("IIS serves the files; ASP.NET is not needed")
		p.reject(p.similar(roleNetFXIIS, w, os, ""), "has ASP.NET, which the site does not use")
	case roleNetFX, roleNetFXIIS, roleNetFXWCF:
		p.explainNetFX(w, img, os)
	case roleDotNet, roleDotNetASP:
		p.explainDotNet(w, img, os)
	}
	p.explainFamily(w, img, os, ref)
}

func (p *planner) explainNetFX(w want, img ImageRow, os string) {
	if w.clr2 {
		p.why("no image of .NET Framework 2.0 to 3.5 is built any more: the feature NetFx3 is added to the current one")
	} else if p.rep.App.Kind != detect.KindStatic {
		version := w.version
		if version == "" {
			version = "4.x"
		}
		p.why(fmt.Sprintf(".NET Framework %s runs on %s, which is an in-place update of every 4.x", version, img.Version))
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

// explainFamily says why no smaller family serves.
func (p *planner) explainFamily(w want, img ImageRow, os, ref string) {
	if img.Family == detect.FamilyNanoServer {
		p.why("Nano Server is the smallest Windows image and has all that the app uses")
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
		reasons = append(reasons, "32-bit programs do not run on Nano Server, which has no WOW64")
	}
	if len(w.commands) > 0 {
		reasons = append(reasons, "the start script of a service needs "+strings.Join(w.commands, ", ")+", which Nano Server lacks or is not known to have")
	}
	if len(reasons) > 0 {
		p.why(img.Family + ": " + strings.Join(reasons, "; "))
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

// givenBase uses the image of --base.
func (p *planner) givenBase(oses []string) error {
	ref := p.opt.Base
	if strings.ContainsAny(ref, " \t\r\n\"'`$\\") && !strings.HasPrefix(ref, "oci:") || strings.ContainsAny(ref, "\r\n") {
		return &UsageError{fmt.Sprintf("base image %q is no image reference", ref)}
	}
	p.why("the base image was given")
	if r, ok := p.cat.RetiredReference(ref); ok {
		p.find(RuleRetiredBase, detect.LevelWarning, fmt.Sprintf("the base image %s is not built any more (%s)", ref, r.State), "use "+r.Replacement)
	}
	img, os, known := p.cat.byReference(ref)
	if known {
		if p.opt.OSAsked {
			for _, asked := range oses {
				if asked != os {
					return &NoImageError{OS: []string{asked}, What: ref, Ways: []string{"ask for --os " + os, "name an image of that release"}}
				}
			}
		}
		if img.Status == statusEOL {
			p.find(RuleRetiredBase, detect.LevelWarning, fmt.Sprintf("the base image %s is not built any more", ref), "choose a supported one, or leave the choice to winpack")
		}
		b := p.cat.baseOf(img, os)
		p.plan.Bases, p.rows = []Base{b}, []*ImageRow{&img}
	} else {
		family := detect.FamilyServerCore
		if strings.Contains(ref, "nanoserver") {
			family = detect.FamilyNanoServer
		}
		for _, os := range oses {
			rel, _ := p.cat.Release(os)
			p.plan.Bases = append(p.plan.Bases, Base{OS: os, Family: family, Reference: ref, OSVersion: rel.OSVersion, Administrator: family != detect.FamilyNanoServer})
			p.rows = append(p.rows, nil)
		}
	}
	w, err := wants(p.rep, p.plan.Bases[0].OS)
	if err == nil {
		p.want = w
		if familyRank(p.plan.Bases[0].Family) < familyRank(w.family) {
			p.find(RuleBaseUnfit, detect.LevelWarning, fmt.Sprintf("the app needs %s, and the given base looks like %s", w.family, p.plan.Bases[0].Family), "leave out --base, or name a larger image")
		}
	} else if k := p.rep.App.Kind; k != detect.KindUnknown {
		p.want = want{} // no image of the catalog fits: the user says that this one does
	}
	netfx := p.rep.App.Framework.Name == detect.NETFramework
	if netfx && p.plan.Bases[0].Family == detect.FamilyNanoServer {
		p.find(RuleBaseUnfit, detect.LevelError, "the given base is Nano Server, where .NET Framework does not run", "name a Server Core image")
	}
	return nil
}
