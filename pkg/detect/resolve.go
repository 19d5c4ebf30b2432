package detect

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// rank is the place of a source in the precedence table, the strongest 0. A
// source without a row comes after all others.
func rank(key, source string) int {
	for _, k := range precedenceData().Key {
		if k.Name == key {
			if i := slices.Index(k.Order, source); i >= 0 {
				return i
			}
			return len(k.Order)
		}
	}
	return 0
}

// resolution is the state of resolve: facts, and what was decided so far.
type resolution struct {
	facts []Fact
	app   App
	needs Needs
	// framework is the value of the fact that app.Framework is from.
	framework string
	// kindOf is what the fact that decided the kind speaks of.
	kindOf string
	// chosen is the program or project that is the app; empty where that is to be found.
	chosen string
	// tied are the facts of programs or stacks between which nothing decides.
	tied []*Fact
}

// resolve turns facts into what the application is and needs. It reads nothing
// but the facts; those that lost come back with the reason. chosen is the program or
// project that is the application, empty where the facts are to tell.
func resolve(name, chosen string, facts []Fact) *resolution {
	r := &resolution{facts: facts, chosen: chosen, app: App{Name: name, Kind: KindUnknown, Flavors: []string{}, Ports: []int{}}}
	program, ambiguous := r.chooseProgram()
	r.chooseKind(program, ambiguous)
	if r.app.Kind != KindUnknown {
		program = r.app.Program
	}
	r.dropOthers(program)
	r.chooseFramework()
	r.chooseArchitecture()
	r.settleCOM()
	r.settleSignals()
	r.settleConfigs()
	r.describe()
	r.collectNeeds()
	return r
}

func (r *resolution) each(key string, f func(*Fact)) {
	for i := range r.facts {
		if r.facts[i].Key == key {
			f(&r.facts[i])
		}
	}
}

func (r *resolution) derive(key, value, about string, ev []Evidence, item any) {
	r.facts = append(r.facts, Fact{Key: key, Value: value, Detector: "resolve", about: about, Evidence: ev, item: item})
}

// chooseProgram picks the program that starts. ambiguous lists programs that
// are equally likely.
func (r *resolution) chooseProgram() (*Program, []*Fact) {
	var named string
	var args []string
	r.each("process-path", func(f *Fact) {
		if pp, ok := f.item.(processPath); ok && named == "" {
			named, args = pp.program()
		}
	})
	for _, key := range []string{"service-wrapper", "clickonce"} {
		r.each(key, func(f *Fact) {
			if named == "" {
				named = f.Value
			}
		})
	}
	downloads := map[string]bool{}
	r.each("download", func(f *Fact) { downloads[f.Value] = true })
	stem := func(p string) string { return strings.ToLower(strings.TrimSuffix(p, path.Ext(p))) }
	var candidates []*Fact
	r.each("program", func(f *Fact) {
		if named != "" && stem(f.Value) == stem(named) {
			f.source = "process-path"
			f.item.(*Program).Arguments = args
		} else if downloads[f.Value] {
			f.source = "download"
		}
		candidates = append(candidates, f)
	})
	if r.chosen != "" {
		return r.takeChosen(candidates), nil
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(candidates, func(a, b *Fact) int { return rank("program", a.source) - rank("program", b.source) })
	best := candidates[0]
	if best.source == "helper" || best.source == "download" {
		return nil, nil
	}
	tied := slices.DeleteFunc(slices.Clone(candidates), func(f *Fact) bool { return f.source != best.source })
	if len(tied) > 1 {
		tied = r.likeliest(tied)
	}
	if len(tied) > 1 {
		return nil, tied
	}
	best = tied[0]
	for _, c := range candidates {
		if c == best {
			continue
		}
		if c.source == best.source {
			c.OverruledBy = fmt.Sprintf("%s: the only web application or service among equally likely programs", best.Value)
		} else {
			c.OverruledBy = fmt.Sprintf("%s: %s comes before %s", best.Value, best.source, c.source)
		}
	}
	return best.item.(*Program), nil
}

// takeChosen takes the program that is chosen, nil where a project is.
func (r *resolution) takeChosen(candidates []*Fact) *Program {
	var chosen *Program
	for _, c := range candidates {
		if c.Value == r.chosen {
			chosen = c.item.(*Program)
		} else {
			c.OverruledBy = r.chosen + ": another app of the folder"
		}
	}
	return chosen
}

// likeliest keeps, of equally likely programs, the web applications and services: the
// row "program-kind" of the precedence table has their kinds. Where there are several,
// each is an application; where there is none, nothing decides.
func (r *resolution) likeliest(tied []*Fact) []*Fact {
	for _, p := range tied {
		r.each("kind", func(k *Fact) {
			if k.about == p.Value && rank("program-kind", k.Value) < rank("program-kind", "") {
				p.deployable = true
			}
		})
	}
	likely := slices.DeleteFunc(slices.Clone(tied), func(p *Fact) bool { return !p.deployable })
	if len(likely) == 0 {
		return tied
	}
	return likely
}

// chooseKind settles what the folder is.
func (r *resolution) chooseKind(program *Program, ambiguous []*Fact) {
	var site []Evidence
	wcf, other := false, false
	r.each("site", func(f *Fact) { site = append(site, f.Evidence...) })
	r.each("flavor", func(f *Fact) {
		switch f.Value {
		case "wcf":
			wcf = true
		case "web-forms", "mvc", "web-api", "asmx", "handlers":
			other = true
		}
	})
	if len(site) > 0 {
		kind := KindASPNET
		if wcf && !other {
			kind = KindWCF
		}
		r.facts = append(r.facts, Fact{Key: "kind", Value: string(kind), Detector: "resolve", source: "site-code", Evidence: mergeEvidence(nil, site)})
	}
	var winner *Fact
	files := false
	r.each("kind", func(f *Fact) { files = files || f.source == "site-static" })
	if files && program != nil && strings.Contains(program.Path, "/") {
		r.each("program", func(f *Fact) {
			if f.OverruledBy == "" {
				f.OverruledBy = "static: it lies below a site of files, which hands it out"
			}
		})
		program = nil
	}
	r.each("kind", func(f *Fact) {
		if _, isStack := f.item.(*stack); !isStack && f.about != "" && (program == nil || f.about != program.Path) || r.chosen != "" && f.about != r.chosen {
			return
		}
		if winner == nil || rank("kind", f.source) < rank("kind", winner.source) {
			winner = f
		}
	})
	if files && winner != nil && winner.source == "native" && winner.Value == string(KindNativeDesktop) {
		// An installer to download, or a program with its help: neither is proven.
		why := string(KindUnknown) + ": a program with windows lies beside the pages of a site, and no page links to it"
		r.each("kind", func(f *Fact) { f.OverruledBy = why })
		remedy := signItem{"Give winpack a folder with one of the two: the pages, or the program."}
		r.derive("sign", "a program with windows: "+winner.about, "", winner.Evidence, remedy)
		r.derive("sign", "a site of files", "", r.kindEvidence("site-static"), remedy)
		r.derive("kind", string(KindUnknown), "", winner.Evidence, nil)
		return
	}
	decisive := winner != nil && (winner.source == "site-code" || slices.Contains([]string{"source-tree", "source-sign", "source-above"}, winner.source))
	if winner != nil {
		if _, isStack := winner.item.(*stack); isStack && (winner.source == "source-above" || !r.anyManaged(ambiguous)) {
			one, tied := r.chooseStack(winner)
			if one == nil {
				r.severalStacks(tied)
				return
			}
			decisive = true
		}
	}
	switch {
	case len(ambiguous) > 0 && !decisive && !(files && below(ambiguous)):
		r.ambiguous(ambiguous)
		return
	case winner == nil:
		return
	}
	r.app.Kind, r.kindOf = Kind(winner.Value), winner.about
	if r.app.Kind == KindUnknown {
		program = nil
	}
	if s, ok := winner.item.(*stack); ok {
		r.takeStack(s, winner)
	} else if winner.about != "" || r.app.Kind == KindASPNETCore {
		r.app.Program = program
		r.serviceOfWrapper()
	}
	r.each("kind", func(f *Fact) {
		if f != winner && f.Value != winner.Value && f.OverruledBy == "" {
			f.OverruledBy = fmt.Sprintf("%s: %s comes before %s", winner.Value, winner.source, f.source)
		}
	})
}

// kindEvidence is that of the kind facts of a source, whether they won or not.
func (r *resolution) kindEvidence(source string) []Evidence {
	var ev []Evidence
	r.each("kind", func(f *Fact) {
		if f.source == source {
			ev = mergeEvidence(ev, f.Evidence)
		}
	})
	return ev
}

// below says whether all programs lie in sub-folders.
func below(programs []*Fact) bool {
	return !slices.ContainsFunc(programs, func(f *Fact) bool { return !strings.Contains(f.Value, "/") })
}

func (r *resolution) ambiguous(programs []*Fact) {
	r.tied = programs
	var names []string
	var ev []Evidence
	for _, p := range programs {
		names = append(names, p.Value)
		ev = append(ev, p.Evidence...)
	}
	slices.Sort(names)
	why := "unknown: several programs are equally likely (" + few(names) + ")"
	r.each("kind", func(f *Fact) { f.OverruledBy = why })
	r.derive("several-programs", strings.Join(names[:min(len(names), 8)], ", "), "", mergeEvidence(nil, ev), nil)
}

// dropOthers marks facts that speak of a program that was not chosen.
func (r *resolution) dropOthers(program *Program) {
	for i := range r.facts {
		f := &r.facts[i]
		if f.about == "" || f.OverruledBy != "" || program != nil && f.about == program.Path || f.Key == "program" {
			continue
		}
		if f.Key == "kind" && f.about == r.kindOf && f.Value == string(r.app.Kind) {
			continue // it decided
		}
		if rt := r.needs.Runtime; rt != nil && rt.Path == f.about && f.Key != "kind" && f.Key != "signal" {
			continue // it is what runs
		}
		if program == nil {
			f.OverruledBy = fmt.Sprintf("%s: it speaks of %s, which does not start the application", r.app.Kind, f.about)
		} else {
			f.OverruledBy = fmt.Sprintf("%s: it speaks of %s, another program", program.Path, f.about)
		}
	}
	iis := r.iisHosted()
	stack := slices.Contains([]Kind{KindNode, KindPython, KindJava, KindTomcat, KindJBoss, KindHTTPD, KindNginx, KindRedis}, r.app.Kind)
	for i := range r.facts {
		f := &r.facts[i]
		if f.OverruledBy != "" {
			continue
		}
		switch f.Key {
		case "signal", "message-box":
			if stack && f.about != "" {
				f.OverruledBy = string(r.app.Kind) + ": it speaks of the program that runs the application"
			}
		case "framework":
			if stack { // a web.config that was copied along
				f.OverruledBy = string(r.app.Kind) + ": the program does not run on .NET"
			}
		case "runtime", "php-cgi", "stack-flavor", "packages-missing", "site-folder", "front-end":
			if f.about == "" && f.source != string(r.app.Kind) {
				f.OverruledBy = string(r.app.Kind) + ": it speaks of another kind of application"
			}
		case "unlock", "iis-feature", "iis-feature-optional", "iis-module", "apphost-only", "locked-module", "unknown-module", "http-errors-default-path":
			if !iis {
				f.OverruledBy = string(r.app.Kind) + ": the program runs without IIS"
			} else if f.source == "without-aspnet" && (r.app.RunsAs() == KindASPNET || r.app.RunsAs() == KindWCF) {
				f.OverruledBy = string(r.app.RunsAs()) + ": ASP.NET opens the section in its images"
			}
		case "iis-setting":
			if r.app.Kind != KindASPNETCore {
				f.OverruledBy = string(r.app.Kind) + ": IIS applies it, or nothing of IIS runs"
			}
		case "config-broken":
			if f.about == "" && !iis { // of a site; that of a program speaks of it
				f.OverruledBy = string(r.app.Kind) + ": the program runs without IIS"
			}
		case "write":
			if f.source == "data-directory" && r.app.Kind != KindASPNET && r.app.Kind != KindWCF {
				f.OverruledBy = string(r.app.Kind) + ": |DataDirectory| is another folder in a program"
			}
		case "port":
			if iis {
				f.OverruledBy = string(r.app.Kind) + ": IIS decides the ports"
			}
		case "environment", "environment-dropped", "arguments-dropped":
			if r.app.Program == nil {
				f.OverruledBy = string(r.app.Kind) + ": the ASP.NET Core Module starts no program of the folder"
			}
		case "debug", "machine-key", "session-state", "authentication", "impersonation", "classic-only", "integrated-validation":
			if r.app.Kind != KindASPNET && r.app.Kind != KindWCF {
				f.OverruledBy = string(r.app.Kind) + ": system.web is read by ASP.NET on .NET Framework only"
			}
		}
	}
}

func (r *resolution) iisHosted() bool {
	return slices.Contains([]Kind{KindASPNET, KindWCF, KindStatic, KindClassicASP, KindPHP}, r.app.RunsAs())
}

// chooseFramework takes the strongest fact; for a site, whose assemblies and
// pages are compiled apart, the highest version that any of them asks for.
func (r *resolution) chooseFramework() {
	site := r.app.Kind == KindASPNET || r.app.Kind == KindWCF
	if !site && r.app.Program == nil {
		return // of a source tree its project says it
	}
	var best *Fact
	r.each("framework", func(f *Fact) {
		fw := f.item.(Framework)
		if f.OverruledBy != "" || site && fw.Name != NETFramework {
			return
		}
		if best == nil {
			best = f
			return
		}
		a, b := rank("framework", f.source), rank("framework", best.source)
		switch c := compareVersions(fw.Version, best.item.(Framework).Version); {
		case site && (c > 0 || c == 0 && a < b), !site && (a < b || a == b && c > 0):
			best = f
		}
	})
	if best == nil {
		if site { // of some version: nothing else runs system.web
			r.app.Framework.Name, r.framework = NETFramework, NETFramework
			r.derive("framework", NETFramework, "", r.evidenceOf("kind", string(r.app.Kind)), r.app.Framework)
		}
		return
	}
	r.app.Framework, r.framework = best.item.(Framework), best.Value
	if r.app.Framework.unstated(best.source) {
		r.app.Framework.Version = ""
	}
	r.each("framework", func(f *Fact) {
		if f.OverruledBy != "" || f.Value == best.Value {
			return
		}
		if !site && best.source != f.source {
			f.OverruledBy = best.Value + ": " + best.source + " comes before " + f.source
		} else {
			f.OverruledBy = best.Value + ": the highest version that anything of the application asks for"
		}
	})
}

func (r *resolution) chooseArchitecture() {
	var best *Fact
	r.each("architecture", func(f *Fact) {
		if f.OverruledBy != "" {
			return
		}
		a := rank("architecture", f.source)
		if best == nil || a < rank("architecture", best.source) || a == rank("architecture", best.source) && f.Value == X86 {
			best = f
		}
	})
	switch {
	case best != nil:
		r.app.Architecture = best.Value
		r.each("architecture", func(f *Fact) {
			if f.OverruledBy == "" && f.Value != best.Value {
				f.OverruledBy = best.Value + ": " + best.source + " comes before " + f.source
			}
		})
	case r.app.Kind == KindASPNET || r.app.Kind == KindWCF:
		r.app.Architecture = AnyCPU
	}
}
