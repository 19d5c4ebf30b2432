package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// next prints the commands to try next, or what stands in their way.
func (p *printer) next(r Report) {
	if blockers := r.Blockers(); len(blockers) > 0 {
		p.line("%s", p.paint(red, "This app can't run in a Windows container as it is: see "+ruleList(blockers)+"."))
		return
	}
	app, local := p.words()
	switch {
	case r.App.Kind == detect.KindUnknown && slices.ContainsFunc(r.Findings, tellsWhatWasSeen):
		p.line("winpack can't tell what this is: what was seen, and what helps, stands above.")
	case r.App.Kind == detect.KindUnknown:
		p.line("winpack can't tell what this is. Check that the folder holds the built application (what would be")
		p.line("copied to the server, not its source).")
		if len(r.Facts) > 0 && !p.Verbose {
			p.line("-v shows every sign that was seen.")
		}
	case r.App.Kind == detect.KindSource:
		p.line("Build it first: see WP1009.")
	case slices.ContainsFunc(r.Findings, func(f detect.Finding) bool { return f.Rule == dockerfile.RuleNoRuntime }):
		p.line("Before an image is made, bring what runs the app: see %s.", dockerfile.RuleNoRuntime)
	case r.Base.Reference == "":
		p.line("No base image fits: the reason stands at why.")
	default:
		p.line("%s", p.paint(green, "Next:"))
		build := fmt.Sprintf("winpack build%s -t REGISTRY/%s:TAG --push", app, repositoryName(r.App.Name))
		const onWindows = " --docker-host ssh://USER@WINDOWS-MACHINE"
		byHand := slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Kind == dockerfile.StepManual })
		switch {
		case !r.Needs.WindowsBuilder && local:
			p.line("  %s", build)
		case !r.Needs.WindowsBuilder:
			p.line("  winpack dockerfile%s", app)
			p.line("  %s", build)
		case local:
			p.line("  push the base image to a registry, and name it there with --base: no builder on Windows takes a folder")
		case byHand:
			p.line("  winpack dockerfile%s", app)
			p.line("  between its edit markers, install what stands above as done by hand; then")
			p.line("  %s%s", build, onWindows)
		default:
			p.line("  %s%s", build, onWindows)
			p.line("  or write the Dockerfile, and build it on Windows yourself:")
			p.line("  winpack dockerfile%s", app)
		}
	}
}

// words are APP and the flags of the user, for the commands to try next, with a blank
// before each. local says that the base image is a folder.
func (p *printer) words() (app string, local bool) {
	if p.App != "" && p.App != "." {
		name := p.App
		if strings.HasPrefix(name, "-") { // which a flag begins with
			name = "./" + name
		}
		app = " " + dockerfile.Quote(Safe(name), p.Windows)
	}
	for _, word := range p.Flags {
		local = local || strings.HasPrefix(word, "oci:")
		app += " " + dockerfile.Quote(Safe(word), p.Windows)
	}
	return app, local
}

// tellsWhatWasSeen says whether a finding is about what an unknown app may be.
func tellsWhatWasSeen(f detect.Finding) bool {
	return slices.Contains([]string{"WP1002", "WP1003", "WP1007"}, f.Rule)
}

func ruleList(findings []detect.Finding) string {
	var rules []string
	seen := map[string]bool{}
	for _, f := range findings {
		if !seen[f.Rule] {
			seen[f.Rule] = true
			rules = append(rules, Safe(f.Rule))
		}
	}
	return strings.Join(rules, ", ")
}

// repositoryName is the app's name with what a repository may not hold as "-".
func repositoryName(name string) string {
	name = strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-._")
	if name == "" {
		return "app"
	}
	return name
}
