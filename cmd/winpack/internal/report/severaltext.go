package report

import (
	"fmt"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// several prints the report of a folder with several apps: a list of them, and what was
// found of each.
func (p *printer) several(r Report) {
	apps, rest := r.Split()
	if !p.Quiet {
		p.line("%s", p.paint(bold, fmt.Sprintf("%d apps", len(apps))))
		p.line("")
		for _, a := range apps {
			p.part(a)
		}
		p.line("")
	}
	for _, a := range apps {
		if len(a.Findings)+len(a.Problems) == 0 && a.Closure == nil && !(p.Verbose && len(a.Facts) > 0) {
			continue
		}
		if !p.Quiet {
			p.line("%s", p.paint(bold, Safe(a.App.Name)+":"))
		}
		p.findings(a)
		p.problems(a.Problems)
		if a.Closure != nil && !p.Quiet {
			p.closure(a.Closure)
		}
		if p.Verbose && !p.Quiet {
			p.facts(a.Facts)
		}
	}
	p.problems(rest)
	if !p.Quiet {
		p.nextOf(apps)
	}
}

// part prints one app in short.
func (p *printer) part(a Report) {
	p.line("  %s: %s", p.paint(bold, Safe(a.App.Name)), Safe(describe(a.App)))
	var where []string
	if a.App.Path != "." {
		where = append(where, "in "+a.App.Path)
	}
	if s := a.App.Site; s != nil {
		where = append(where, fmt.Sprintf("site %q", s.Name))
		if s.Stopped {
			where = append(where, "which does not start with the server")
		}
		if n := len(s.Applications); n > 1 {
			where = append(where, fmt.Sprintf("%d applications", n))
		}
	}
	if len(a.App.Ports) > 0 {
		where = append(where, "ports "+strings.Trim(fmt.Sprint(a.App.Ports), "[]"))
	}
	if len(where) > 0 {
		p.line("    %s", Safe(strings.Join(where, ", ")))
	}
	base := "on " + a.Base.Reference
	switch {
	case a.Base.Reference != "":
	case a.App.Kind == detect.KindUnknown:
		return // what stands below says why
	default:
		base = "no base image: " + strings.Join(a.Base.Why, "; ")
	}
	p.line("    %s", Safe(base))
}

func (p *printer) nextOf(apps []Report) {
	words, _ := p.words()
	first := ""
	for _, a := range apps {
		if len(a.Blockers()) == 0 && a.Base.Reference != "" && a.App.Kind != detect.KindSource {
			first = a.App.Name
			break
		}
	}
	if first == "" {
		return
	}
	p.line("%s", p.paint(green, "Next, for one app at a time:"))
	app := words + " --app " + dockerfile.Quote(Safe(first), p.Windows)
	p.line("  winpack detect%s", app)
	p.line("  winpack build%s -t REGISTRY/%s:TAG --push", app, repositoryName(first))
}
