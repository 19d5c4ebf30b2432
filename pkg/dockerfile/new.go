package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// New decides how an application becomes an image: base, steps, configuration.
// It is pure, but for what it looks up in the folders of the options. The error is a *BlockedError, *UnknownKindError, *NoImageError,
// *NoRuntimeError, *SourceError, *UnknownReleaseError or *UsageError; the plan beside it then holds
// what was found until then (kind, findings, the family that the base has to be of), no
// step, and no base but where the base is known and the runtime is not.
func New(rep detect.Report, cat Catalog, opt Options) (Plan, error) {
	p := newPlanner(rep, cat, settle(rep, cat, opt))
	if err := p.decide(); err != nil {
		p.plan.Steps = []Step{}
		_, lacksRuntime := errors.AsType[*NoRuntimeError](err)
		if _, source := errors.AsType[*SourceError](err); !lacksRuntime && !source {
			p.plan.Bases, p.plan.Why, p.plan.Rejected = []Base{}, []string{}, []Rejected{}
		}
		return p.plan, err
	}
	return p.plan, nil
}

func newPlanner(rep detect.Report, cat Catalog, opt Options) *planner {
	p := &planner{rep: rep, cat: cat, opt: opt, source: rep.App.Kind == detect.KindSource}
	p.plan = Plan{Name: rep.App.Name, Kind: rep.App.Kind, Bases: []Base{}, Why: []string{}, Rejected: []Rejected{}, Steps: []Step{}, Builder: BuilderNeeds{Reasons: []string{}}}
	p.rep.App.Kind = rep.App.RunsAs() // which the base is for
	return p
}

type planner struct {
	rep detect.Report
	// source says that the app has to be compiled first; rep is then of what it becomes.
	source bool
	cat    Catalog
	opt    Options
	plan   Plan
	// rows are the catalog's rows of plan.Bases; nil where --base names an image
	// that the catalog does not know.
	rows []*ImageRow
	want want     // of the first release
	said []string // why not a smaller family, for the first release
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
	if w, err := wants(p.rep, oses[0]); !isUnknown(err) {
		p.plan.Family = w.family // which stays where no image of it is found
	}
	if len(p.opt.Files) == 0 && slices.ContainsFunc(p.rep.Facts, func(f detect.Fact) bool { return f.Key == "empty" }) {
		return &UnknownKindError{Empty: true, Ignore: len(p.opt.Ignore) > 0}
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
	if p.source {
		return &SourceError{}
	}
	p.plan.FastStart = p.opt.Prefer == PreferFastStart
	if err := p.steps(); err != nil {
		return err
	}
	p.plan.Why = append(p.plan.Why, p.whyNot()...)
	p.label()
	p.checkEntrypoint()
	p.checkUser()
	p.secrets()
	return nil
}

func isUnknown(err error) bool {
	_, ok := errors.AsType[*UnknownKindError](err)
	return ok
}

func (p *planner) blocked() error {
	var blockers []detect.Finding
	accepted := false
	for _, f := range p.rep.Findings {
		if f.Level != detect.LevelBlocker {
			continue
		}
		if slices.Contains(p.opt.Accepted, f.Rule) {
			accepted = true
		} else {
			blockers = append(blockers, f)
		}
	}
	k := p.rep.App.Kind
	desktop := k == detect.KindNetFXDesktop || k == detect.KindDotNetDesktop || k == detect.KindNativeDesktop
	if len(blockers) > 0 || desktop && !accepted {
		return &BlockedError{Kind: k, Findings: blockers}
	}
	return nil
}

// choice is the image for one release, and what was wanted of it.
type choice struct {
	os   string
	want want
	img  ImageRow
}

func (p *planner) chooseBases(oses []string) error {
	var missing []string
	var last want
	var chosen []choice
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
		chosen = append(chosen, choice{os, w, img})
	}
	for i, c := range chosen {
		if i == 0 {
			p.want = c.want
		}
		p.plan.Bases = append(p.plan.Bases, p.cat.baseOf(c.img, c.os))
		p.rows = append(p.rows, &chosen[i].img)
		p.explain(c, chosen)
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
	last.ways = p.nameReleases(last.ways)
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

// givenBase uses the image of --base.
func (p *planner) givenBase(oses []string) error {
	ref := p.opt.Base
	if strings.ContainsAny(ref, " \t\r\n\"'`$\\") && !strings.HasPrefix(ref, "oci:") || strings.ContainsAny(ref, "\r\n") {
		return &UsageError{fmt.Sprintf("base image %q is no image reference", ref)}
	}
	if p.rep.App.Architecture == detect.ARM64 {
		return armError(strings.Join(oses, ", ")) // of an index the amd64 image would be taken
	}
	if meant := p.cat.onMCR(ref); meant != "" {
		return &UsageError{fmt.Sprintf("%sbase image %q would come from Docker Hub: did you mean %s?", p.at("base"), ref, meant)}
	}
	p.why("the base image was given")
	if r, ok := p.cat.RetiredReference(ref); ok {
		p.findAt(RuleRetiredBase, detect.LevelWarning, fmt.Sprintf("the base image %s is not built any more (%s)", ref, r.State), "use "+r.Replacement, p.place("base"))
	}
	img, os, known := p.cat.byReference(ref)
	if known {
		for _, other := range oses {
			switch {
			case other == os:
			case p.opt.OSAsked:
				return &NoImageError{OS: []string{other}, What: ref, Ways: []string{"ask for --os " + os, "name an image of that release"}}
			default:
				p.plan.Omitted = append(p.plan.Omitted, Omitted{OS: other, Why: fmt.Sprintf("%s is an image of %s", ref, os)})
				p.findAt(RuleNoImage, detect.LevelNote, fmt.Sprintf("the given base image is one of %s: %s is left out", os, other),
					"leave the choice of the image to winpack, or build another image for "+other, p.place("base"))
			}
		}
		if img.Status == statusEOL {
			p.findAt(RuleRetiredBase, detect.LevelWarning, fmt.Sprintf("the base image %s is not built any more", ref), "choose a supported one, or leave the choice to winpack", p.place("base"))
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
			p.findAt(RuleBaseUnfit, detect.LevelWarning, fmt.Sprintf("the app needs %s, and the given base looks like %s", w.family, p.plan.Bases[0].Family), "leave out --base, or name a larger image", p.place("base"))
		}
		for _, command := range w.commands {
			if known && !slices.Contains(img.Commands, command) {
				p.findAt(RuleBaseUnfit, detect.LevelError, "the start script of a service needs "+strings.Join(w.commands, ", ")+", and the given base is not known to have "+command, "leave out --base, or name a larger image", p.place("base"))
				break
			}
		}
	} else if k := p.rep.App.Kind; k != detect.KindUnknown {
		p.want = want{} // no image of the catalog fits: the user says that this one does
	}
	netfx := p.rep.App.Framework.Name == detect.NETFramework
	if netfx && p.plan.Bases[0].Family == detect.FamilyNanoServer {
		p.findAt(RuleBaseUnfit, detect.LevelError, "the given base is Nano Server, where .NET Framework does not run", "name a Server Core image", p.place("base"))
	}
	return nil
}

// nameReleases puts the releases that have an image into the way out by another
// release, which is none where no release has one.
func (p *planner) nameReleases(ways []string) []string {
	var have, out []string
	for _, rel := range p.cat.Releases {
		if rel.Status == statusRetired {
			continue
		}
		if w, err := wants(p.rep, rel.ID); err == nil {
			if _, ok := p.cat.choose(w, rel.ID); ok {
				have = append(have, rel.ID)
			}
		}
	}
	for _, way := range ways {
		if way != anotherRelease {
			out = append(out, way)
		} else if len(have) > 0 {
			out = append(out, "choose a release that has one with --os: "+strings.Join(have, ", "))
		}
	}
	return out
}

// checkUser says where the user of the settings can't start IIS, or a service.
func (p *planner) checkUser() {
	if p.opt.User == "" || len(p.opt.Entrypoint) > 0 || p.plan.Administrator() {
		return
	}
	if p.plan.Service != nil {
		p.findAt(RuleIISUser, detect.LevelWarning,
			fmt.Sprintf("the container starts as %s, and the start script, which registers the service %s and starts it, takes an administrator", p.opt.User, p.plan.Service.Name),
			"leave user out, or name a program as entrypoint that runs without the service manager", p.place("user"))
		return
	}
	if p.rep.Needs.IIS == nil {
		return
	}
	p.findAt(RuleIISUser, detect.LevelWarning,
		fmt.Sprintf("the container starts as %s, and ServiceMonitor, which starts IIS and hands it the environment, takes an administrator; so does what winpack configures at container start", p.opt.User),
		"leave user out: the site itself runs in its app pool, as an account that is no administrator", p.place("user"))
}
