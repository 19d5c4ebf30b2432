package detect

import (
	"cmp"
	"slices"
	"strings"
)

// collectNeeds gathers what the winning facts ask of an image.
func (r *resolution) collectNeeds() {
	n := &r.needs
	if r.app.Kind == KindUnknown {
		return
	}
	if r.iisHosted() {
		n.IIS = &IIS{}
		r.needIIS(n.IIS)
	}
	if r.app.Framework.Name == NETFramework {
		n.Families = append(n.Families, FamilyNeed{Family: FamilyServerCore, Why: "Nano Server has no .NET Framework",
			Evidence: orElse(r.evidenceOf("framework", r.framework), r.evidenceOf("kind", string(r.app.Kind)))})
	} else if n.IIS != nil {
		n.Families = append(n.Families, FamilyNeed{Family: FamilyServerCore, Why: "IIS images are made on Server Core",
			Evidence: r.evidenceOf("kind", string(r.app.Kind))})
	}
	if why := unproven[r.app.RunsAs()]; why != "" {
		n.Families = append(n.Families, FamilyNeed{Family: FamilyServerCore, Why: why, Evidence: r.evidenceOf("kind", string(r.app.Kind))})
	}
	if r.app.Architecture == X86 {
		n.Families = append(n.Families, FamilyNeed{Family: FamilyServerCore, Why: "a 32-bit program needs WOW64, which Nano Server lacks",
			Evidence: r.evidenceOf("architecture", X86)})
	}
	for i := range r.facts {
		f := &r.facts[i]
		if f.OverruledBy != "" {
			continue
		}
		switch item := f.item.(type) {
		case SharedFramework:
			n.SharedFrameworks = append(n.SharedFrameworks, item)
		case FamilyNeed:
			n.Families = append(n.Families, item)
		case signalNeed:
			n.Families = append(n.Families, item.need)
		case Write:
			n.Writes = append(n.Writes, item)
		}
	}
	n.Families = joinFamilies(n.Families)
	slices.SortFunc(n.SharedFrameworks, func(a, b SharedFramework) int { return strings.Compare(a.Name, b.Name) })
	n.SharedFrameworks = slices.CompactFunc(n.SharedFrameworks, func(a, b SharedFramework) bool { return a.Name == b.Name })
	slices.SortStableFunc(n.Writes, func(a, b Write) int { return strings.Compare(strings.ToLower(a.Path), strings.ToLower(b.Path)) })
	n.Writes = slices.CompactFunc(n.Writes, func(a, b Write) bool { return strings.EqualFold(a.Path, b.Path) })
}

// unproven are kinds of which nobody has shown that they run on Nano Server: no image,
// and no report of one, was found for a release with support.
var unproven = map[Kind]string{
	KindPython: "Python is not proven on Nano Server: its images are made on Server Core",
	KindJBoss:  "JBoss and WildFly are not proven on Nano Server",
	KindHTTPD:  "Apache httpd is not proven on Nano Server",
	KindNginx:  "nginx is not proven on Nano Server",
	KindRedis:  "Redis is not proven on Nano Server",
}

func orElse(a, b []Evidence) []Evidence {
	if len(a) > 0 {
		return a
	}
	return b
}

// joinFamilies gives each reason once, the largest family first.
func joinFamilies(all []FamilyNeed) []FamilyNeed {
	size := func(f string) int {
		return slices.Index([]string{FamilyServer, FamilyServerCore, FamilyNanoServer}, f)
	}
	slices.SortStableFunc(all, func(a, b FamilyNeed) int {
		return cmp.Or(cmp.Compare(size(a.Family), size(b.Family)), strings.Compare(a.Why, b.Why), strings.Compare(a.Release, b.Release))
	})
	var out []FamilyNeed
	for _, f := range all {
		if n := len(out); n > 0 && out[n-1].Family == f.Family && out[n-1].Why == f.Why && out[n-1].Release == f.Release {
			out[n-1].Evidence = mergeEvidence(out[n-1].Evidence, f.Evidence)
			continue
		}
		f.Evidence = mergeEvidence(nil, f.Evidence)
		out = append(out, f)
	}
	return out
}

func (r *resolution) needIIS(iis *IIS) {
	pick := func(key string) []Need {
		var needs []Need
		r.each(key, func(f *Fact) {
			if need, ok := f.item.(Need); ok && f.OverruledBy == "" {
				needs = append(needs, need)
			}
		})
		return needs
	}
	iis.Unlock, iis.Features, iis.Modules = pick("unlock"), pick("iis-feature"), pick("iis-module")
	if ev := r.evidenceOf("flavor", "wcf"); len(ev) > 0 {
		iis.Features = append(iis.Features, Need{ID: "wcf-http", Why: ".svc files over HTTP need WCF's HTTP activation", Evidence: ev})
	}
	if r.app.Kind == KindPHP {
		ev := r.evidenceOf("kind", string(KindPHP))
		iis.Features = append(iis.Features, Need{ID: "cgi", Why: "IIS runs PHP by FastCGI, which comes with the Windows feature", Evidence: ev})
	}
	if r.app.Framework.Name == NETFramework {
		ev := r.evidenceOf("framework", r.framework)
		iis.AppPool.RuntimeVersion = "v4.0"
		if strings.HasPrefix(r.app.Framework.Version, "2.") || strings.HasPrefix(r.app.Framework.Version, "3.") {
			iis.AppPool.RuntimeVersion = "v2.0"
			iis.AppPool.Evidence = ev
			iis.Features = append(iis.Features, Need{ID: "aspnet35", Why: "a CLR 2 site needs ASP.NET 3.5 and .NET Framework 3.5", Evidence: ev})
		}
	} else if r.app.RunsAs() == KindASPNET || r.app.RunsAs() == KindWCF {
		iis.AppPool.RuntimeVersion = "v4.0"
	}
	if ev := r.evidenceOf("classic-only", ""); len(ev) > 0 {
		iis.AppPool.Classic = true
		iis.AppPool.Evidence = mergeEvidence(iis.AppPool.Evidence, ev)
	}
	if ev := r.evidenceOf("pool-classic", ""); len(ev) > 0 {
		iis.AppPool.Classic = true
		iis.AppPool.Evidence = mergeEvidence(iis.AppPool.Evidence, ev)
	}
	if ev := r.evidenceOf("pool-32-bit", ""); len(ev) > 0 {
		iis.AppPool.Enable32Bit = true
		iis.AppPool.Evidence = mergeEvidence(iis.AppPool.Evidence, ev)
	}
	if r.app.Architecture == X86 {
		iis.AppPool.Enable32Bit = true
		iis.AppPool.Evidence = mergeEvidence(iis.AppPool.Evidence, r.evidenceOf("architecture", X86))
	}
	iis.Unlock, iis.Features, iis.Modules = joinNeeds(iis.Unlock), joinNeeds(iis.Features), joinNeeds(iis.Modules)
}

// joinNeeds gives each ID once, with the first reason and all places.
func joinNeeds(all []Need) []Need {
	slices.SortStableFunc(all, func(a, b Need) int { return strings.Compare(a.ID, b.ID) })
	var out []Need
	for _, n := range all {
		if len(out) > 0 && out[len(out)-1].ID == n.ID {
			out[len(out)-1].Evidence = mergeEvidence(out[len(out)-1].Evidence, n.Evidence)
			continue
		}
		out = append(out, n)
	}
	return out
}
