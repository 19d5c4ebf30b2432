package detect

import (
	"slices"
	"strings"
)

// describe fills in flavors and ports, and derives what rules ask for.
func (r *resolution) describe() {
	r.each("flavor", func(f *Fact) {
		if r.app.Kind == KindASPNET || r.app.Kind == KindWCF {
			r.app.Flavors = append(r.app.Flavors, f.Value)
		} else if f.OverruledBy == "" {
			f.OverruledBy = string(r.app.Kind) + ": not a site of ASP.NET on .NET Framework"
		}
	})
	r.each("stack-flavor", func(f *Fact) {
		if f.OverruledBy == "" {
			r.app.Flavors = append(r.app.Flavors, f.Value)
		}
	})
	r.programFlavors()
	slices.Sort(r.app.Flavors)
	r.app.Flavors = slices.Compact(r.app.Flavors)
	r.chooseEnvironment()
	r.choosePorts()
	ev := r.evidenceOf("framework", r.framework)
	if r.framework == NETFramework+" 4.x" {
		r.derive("framework-unstated", r.framework, "", ev, nil)
	}
	if ended, next := endOf(r.app.Framework); ended != "" {
		more := map[string]string{"ended": ended, "next": next}
		if r.app.Framework.Name == NETCoreApp {
			r.derive("dotnet-ended", r.app.Framework.Version, "", ev, more)
		} else {
			r.derive("framework-ended", r.app.Framework.Version, "", ev, more)
		}
	}
	if r.app.Kind == KindASPNET && !r.has("machine-key", "fixed") && !r.has("section-unknown", "system.web/machineKey") {
		var web []Evidence
		r.each("framework", func(f *Fact) {
			if f.source == "web-config" {
				web = mergeEvidence(web, f.Evidence[:1])
			}
		})
		r.derive("machine-key-missing", "true", "", orElse(web[:min(1, len(web))], r.evidenceOf("kind", string(r.app.Kind))), nil)
	}
	if r.has("integrated-validation", "off") {
		r.each("classic-only", func(f *Fact) {
			if f.OverruledBy == "" {
				f.OverruledBy = "off: system.webServer/validation turns the check off"
			}
		})
	}
	if r.app.Kind == KindASPNETCore {
		var ev []Evidence
		r.each("iis-feature", func(f *Fact) {
			if f.Value == "windows-authentication" {
				ev = mergeEvidence(ev, f.Evidence)
			}
		})
		if len(ev) > 0 {
			r.derive("iis-sign-in", "windows", "", ev, nil)
		}
	}
	r.describeRuntime()
	r.describeSignals()
	program := r.app.Program
	if program != nil && r.app.Framework.Name == NETCoreApp && r.app.Architecture == X86 && !program.SelfContained {
		r.derive("x86-runtime", X86, "", r.evidenceOf("architecture", X86), nil)
	} else if r.app.Architecture == X86 {
		r.derive("x86-only", X86, "", r.evidenceOf("architecture", X86), nil)
	}
	if program != nil && r.app.Framework.Name == NETFramework && compareVersions(r.app.Framework.Version, "4.0") < 0 && compareVersions(r.app.Framework.Version, "2.0") >= 0 {
		r.derive("clr2", r.app.Framework.Version, "", ev, nil)
	}
	if strings.HasSuffix(string(r.app.RunsAs()), "-desktop") {
		r.derive("desktop", string(r.app.RunsAs()), "", r.evidenceOf("kind", string(r.app.Kind)), nil)
	}
	if r.app.Kind == KindUnknown && !r.has("several-programs", "") {
		r.nameSigns()
	}
	if r.has("authentication", "windows") && r.app.Kind == KindASPNET && !r.has("iis-feature", "windows-authentication") {
		r.derive("windows-mode", "true", "", r.evidenceOf("authentication", "windows"), nil)
	}
}

// nameSigns derives what was seen of an unknown application: signs with the same
// remedy together.
func (r *resolution) nameSigns() {
	var remedies []string
	seen := map[string][]string{}
	places := map[string][]Evidence{}
	r.each("sign", func(f *Fact) {
		item, ok := f.item.(signItem)
		if !ok || f.OverruledBy != "" {
			return
		}
		if seen[item.remedy] == nil {
			remedies = append(remedies, item.remedy)
		}
		seen[item.remedy] = append(seen[item.remedy], f.Value)
		places[item.remedy] = mergeEvidence(places[item.remedy], f.Evidence)
	})
	for _, remedy := range remedies {
		r.derive("unknown-kind", fewBy(seen[remedy], "; "), "", places[remedy], map[string]string{"remedy": remedy})
	}
}

// has says whether a fact of that key and value won; an empty value means any.
func (r *resolution) has(key, value string) bool { return len(r.evidenceOf(key, value)) > 0 }

func (r *resolution) evidenceOf(key, value string) []Evidence {
	var ev []Evidence
	r.each(key, func(f *Fact) {
		if f.OverruledBy == "" && (value == "" || f.Value == value) {
			ev = mergeEvidence(ev, f.Evidence)
		}
	})
	return ev
}

// endOf says when support of a framework ended, compared with the day on which
// the data was checked, and which major version follows that has support.
func endOf(f Framework) (ended, next string) {
	d := frameworkData()
	switch f.Name {
	case NETFramework:
		for _, row := range d.NetFX {
			if row.Version == f.Version && !row.EOL.IsZero() && row.EOL.Before(d.AsOf) {
				return row.EOL.Format("2006-01-02"), ""
			}
		}
	case NETCoreApp:
		for i, row := range d.DotNet {
			if row.Version != f.Version || !row.EOL.Before(d.AsOf) {
				continue
			}
			for _, later := range d.DotNet[i+1:] {
				if later.EOL.After(d.AsOf) && later.Type == "lts" {
					return row.EOL.Format("2006-01-02"), later.Version
				}
			}
			return row.EOL.Format("2006-01-02"), ""
		}
	}
	return "", ""
}
