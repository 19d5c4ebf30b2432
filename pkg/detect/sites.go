package detect

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// siteReports say of each site of a server what it is: a report for each, by name.
func (t *Tree) siteReports(s *server, maps []Map) []Report {
	var all []Report
	for _, x := range s.sites {
		all = append(all, t.siteReport(s, x, maps))
	}
	return all
}

// siteReport inspects the applications of a site apart, since each has a folder, a
// web.config and an app pool of its own, and joins what they are and need.
func (t *Tree) siteReport(s *server, x *serverSite, maps []Map) Report {
	site := x.Site
	var problems []Problem
	miss := func(what string, at *element, physical, why string) {
		problems = append(problems, Problem{Path: s.path, Message: fmt.Sprintf("line %d: %s of the site %s is at %s: %s; what it holds is unknown", at.line, what, site.Name, maskValue(physical), why)})
	}
	type located struct {
		app    *serverApp
		mounts []Mount
	}
	var found []located
	var folders []string
	for _, a := range x.apps {
		app := Application{Path: a.path, AppPool: clean(a.pool)}
		var mounts []Mount
		for _, d := range a.dirs {
			what := "the application " + a.path
			if d.path != "/" {
				what = "the virtual directory " + webPath(a.path+d.path)
			}
			dir, why := t.locate(d.physical, s.base, maps)
			if why != "" {
				miss(what, d.at, d.physical, why)
			}
			switch {
			case d.path != "/":
				app.VirtualDirectories = append(app.VirtualDirectories, VirtualDirectory{Path: d.path, Folder: dir})
				if why == "" {
					mounts = append(mounts, Mount{At: strings.TrimPrefix(d.path, "/"), From: dir})
				}
			case why == "":
				app.Folder = dir
				mounts = append(mounts, Mount{At: ".", From: dir})
			}
		}
		site.Applications = append(site.Applications, app)
		if app.Folder != "" {
			found = append(found, located{a, mounts})
			folders = append(folders, app.Folder)
		}
	}
	var reports []Report
	for i, f := range found {
		var except []string
		for _, other := range folders {
			if rest, ok := within(other, folders[i]); ok && rest != "." {
				except = append(except, other) // an application of its own
			}
		}
		v := t.view(AppName(site.Name), f.mounts, except)
		r := v.inspect(t.serverFacts(s, x, f.app, v))
		v.part.tell(&r)
		below, _ := divided(t.problems, f.mounts)
		r.Problems = append(r.Problems, below...)
		reports = append(reports, r)
	}
	r := joinReports(reports)
	r.App.Name = AppName(site.Name)
	r.App.Site = &site
	r.Problems = append(r.Problems, problems...)
	for _, b := range site.Bindings {
		if (b.Protocol == "http" || b.Protocol == "https") && b.Port > 0 && !slices.Contains(r.App.Ports, b.Port) {
			r.App.Ports = append(r.App.Ports, b.Port)
		}
	}
	slices.Sort(r.App.Ports)
	for _, f := range found {
		for _, m := range f.mounts {
			at := strings.TrimPrefix(path.Join(f.app.path, m.At), "/")
			r.Source = append(r.Source, Mount{At: cmp.Or(at, "."), From: m.From})
		}
	}
	slices.SortFunc(r.Source, func(a, b Mount) int { return cmp.Or(strings.Compare(a.At, b.At), strings.Compare(a.From, b.From)) })
	return r
}

// joinReports makes one report of those of a site's applications. What the site is, is
// what takes most of an image; what it needs is what all of them need.
func joinReports(all []Report) Report {
	out := Report{App: App{Kind: KindUnknown, Flavors: []string{}, Ports: []int{}}, Findings: []Finding{}, Facts: []Fact{}, Problems: []Problem{}}
	best := -1
	for i := range all {
		if best < 0 || siteRank(all[i].App.Kind) < siteRank(all[best].App.Kind) {
			best = i
		}
	}
	if best < 0 {
		return out
	}
	out.App, out.Needs = all[best].App, all[best].Needs
	out.App.Flavors, out.App.Ports = []string{}, []int{}
	for i := range all {
		r := &all[i]
		if i != best {
			out.App.join(r.App)
			out.Needs.join(r.Needs)
		}
		out.Closure = joinClosures(out.Closure, r.Closure)
		out.Learned = joinLearned(out.Learned, r.Learned)
		out.App.Flavors = append(out.App.Flavors, r.App.Flavors...)
		out.Findings = append(out.Findings, r.Findings...)
		out.Facts = append(out.Facts, r.Facts...)
		out.Problems = append(out.Problems, r.Problems...)
	}
	slices.Sort(out.App.Flavors)
	out.App.Flavors = slices.Compact(out.App.Flavors)
	out.Findings = uniqueFindings(out.Findings)
	sortFacts(out.Facts)
	out.Facts = uniqueFacts(out.Facts)
	return out
}

// joinClosures is what two applications of a site load.
func joinClosures(a, b *Closure) *Closure {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	out := Closure{Modules: slices.Clone(a.Modules), Bases: append([]LearnedBase{}, joinLearned(a.Bases, b.Bases)...), Cut: a.Cut || b.Cut}
	for _, m := range b.Modules {
		i := slices.IndexFunc(out.Modules, func(x Module) bool {
			return strings.EqualFold(x.Name, m.Name) && x.Kind == m.Kind && x.Provider == m.Provider && x.From == m.From
		})
		if i < 0 {
			out.Modules = append(out.Modules, m)
			continue
		}
		x := &out.Modules[i]
		x.Askers = append(slices.Clip(x.Askers), m.Askers...)
		x.More += m.More + max(0, len(x.Askers)-maxAskers)
		x.Askers = x.Askers[:min(len(x.Askers), maxAskers)]
	}
	slices.SortStableFunc(out.Modules, compareModules)
	return &out
}

// siteRank orders kinds of a site's applications: the first of them is what the whole
// is taken for.
func siteRank(k Kind) int {
	order := []Kind{KindASPNET, KindWCF, KindASPNETCore, KindClassicASP, KindPHP, KindNode, KindPython, KindJava, KindStatic}
	if i := slices.Index(order, k); i >= 0 {
		return i
	}
	if k == KindUnknown {
		return len(order) + 1
	}
	return len(order)
}

// join adds what another application of the same site is.
func (a *App) join(b App) {
	if b.Framework.Name == a.Framework.Name && newer(b.Framework.Version, a.Framework.Version) {
		a.Framework = b.Framework
	}
	if a.Framework.Name == "" {
		a.Framework = b.Framework
	}
	if b.Architecture == X86 || a.Architecture == "" {
		a.Architecture = b.Architecture
	}
}

// join adds what another application of the same site needs.
func (n *Needs) join(b Needs) {
	n.SharedFrameworks = append(slices.Clip(n.SharedFrameworks), b.SharedFrameworks...)
	slices.SortStableFunc(n.SharedFrameworks, func(a, b SharedFramework) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), -compareVersions(a.Version, b.Version))
	})
	n.SharedFrameworks = slices.CompactFunc(n.SharedFrameworks, func(a, b SharedFramework) bool { return a.Name == b.Name })
	n.Families = joinFamilies(append(slices.Clip(n.Families), b.Families...))
	n.Writes = append(slices.Clip(n.Writes), b.Writes...)
	if n.Runtime == nil {
		n.Runtime = b.Runtime
	}
	switch {
	case b.IIS == nil:
	case n.IIS == nil:
		n.IIS = b.IIS
	default:
		iis := *n.IIS
		iis.Unlock = joinNeeds(slices.Concat(iis.Unlock, b.IIS.Unlock))
		iis.Features = joinNeeds(slices.Concat(iis.Features, b.IIS.Features))
		iis.Modules = joinNeeds(slices.Concat(iis.Modules, b.IIS.Modules))
		pool := &iis.AppPool
		pool.Enable32Bit = pool.Enable32Bit || b.IIS.AppPool.Enable32Bit
		pool.Classic = pool.Classic || b.IIS.AppPool.Classic
		pool.RuntimeVersion = max(pool.RuntimeVersion, b.IIS.AppPool.RuntimeVersion)
		pool.Evidence = mergeEvidence(pool.Evidence, b.IIS.AppPool.Evidence)
		n.IIS = &iis
	}
}
