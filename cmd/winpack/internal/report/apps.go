package report

import (
	"slices"

	"github.com/winpack/winpack/pkg/detect"
)

// Join makes one document of those of a folder's apps, in their order. problems are
// those of places that belong to no app.
func Join(apps []Report, problems []detect.Problem) Report {
	r := Report{Schema: ID, Steps: []Step{}, Findings: []detect.Finding{}, Facts: []detect.Fact{}, Problems: slices.Clone(list(problems))}
	for _, a := range apps {
		r.Apps = append(r.Apps, Part{a.App, a.Base, a.Needs, a.Steps, a.Closure})
		for _, f := range a.Findings {
			f.App = a.App.Name
			r.Findings = append(r.Findings, f)
		}
		for _, f := range a.Facts {
			f.App = a.App.Name
			r.Facts = append(r.Facts, f)
		}
		for _, p := range a.Problems {
			p.App = a.App.Name
			r.Problems = append(r.Problems, p)
		}
	}
	return r
}

// Split is the opposite of Join: a document for each app, and the problems that belong
// to none. A document of one app is returned as it is.
func (r Report) Split() (apps []Report, rest []detect.Problem) {
	if len(r.Apps) == 0 {
		return []Report{r}, nil
	}
	for _, a := range r.Apps {
		one := Report{Schema: r.Schema, App: a.App, Base: a.Base, Needs: a.Needs, Steps: list(a.Steps), Closure: a.Closure,
			Findings: []detect.Finding{}, Facts: []detect.Fact{}, Problems: []detect.Problem{}}
		for _, f := range r.Findings {
			if f.App == a.Name {
				f.App = ""
				one.Findings = append(one.Findings, f)
			}
		}
		for _, f := range r.Facts {
			if f.App == a.Name {
				f.App = ""
				one.Facts = append(one.Facts, f)
			}
		}
		for _, p := range r.Problems {
			if p.App == a.Name {
				p.App = ""
				one.Problems = append(one.Problems, p)
			}
		}
		apps = append(apps, one)
	}
	for _, p := range r.Problems {
		if p.App == "" {
			rest = append(rest, p)
		}
	}
	return apps, rest
}
