package dockerfile

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/pkg/detect"
)

//go:embed rules.toml
var rulesTOML string

// Rules of the findings that only the choice of an image can tell. What they mean
// is in rules.toml.
const (
	RuleDotNetEnded   = "WP3001" // the app's .NET is out of support
	RuleNoImage       = "WP3002" // no image for a release of the default list
	RuleRetiredBase   = "WP3003" // --base names what nobody builds any more
	RuleBaseUnfit     = "WP3004" // --base names an image that cannot run the app
	RuleNoInstaller   = "WP3005" // an IIS module that winpack cannot install
	RuleServiceName   = "WP3006" // the service runs under another name than its own
	RuleDotNetForward = "WP3007" // the app runs on a later minor version of its .NET
	RuleBaseTrusted   = "WP3008" // the image of --base is taken to have what the app needs
	RuleServiceStop   = "WP3009" // a stop of the container may not reach the service
	RuleNoStart       = "WP3010" // nothing is known to start the app
	RuleNoList        = "WP3011" // a Dockerfile has a list of JSON that is none
	RuleHTTPSPort     = "WP3012" // IIS is to listen on 443, without a certificate
	RuleNoProgram     = "WP3013" // the entrypoint names a file that nothing brings
	RuleSecret        = "WP3014" // a secret in the image's configuration
	RuleUnusedAccept  = "WP3015" // a rule is accepted of which there is no finding
	RuleIISUser       = "WP3016" // IIS is to be started by a user who is no administrator
	RuleNoRuntime     = "WP3017" // neither the folder nor the base has what runs the app
)

// Rules lists the rules of the planner by ID. Their Level is the worst that a
// finding may have, and in Message and Remedy <> marks what a finding fills in.
func Rules() []detect.Rule { return slices.Clone(ruleRows()) }

var ruleRows = sync.OnceValue(func() []detect.Rule {
	rows, err := parseRules(rulesTOML)
	if err != nil {
		panic(err) // a part of the program, which a test parses
	}
	return rows
})

func parseRules(text string) ([]detect.Rule, error) {
	var table struct {
		Rule []detect.Rule `toml:"rule"`
	}
	meta, err := toml.Decode(text, &table)
	if err != nil {
		return nil, fmt.Errorf("parsing %q: %w", "rules.toml", err)
	}
	if left := meta.Undecoded(); len(left) > 0 {
		return nil, fmt.Errorf("parsing %q: unknown key %q", "rules.toml", left[0].String())
	}
	return table.Rule, nil
}

func (p *planner) find(rule string, level detect.Level, message, remedy string) {
	p.findAt(rule, level, message, remedy, nil)
}

// findAt is find for what was seen at a place; without a list of them it is the subject.
func (p *planner) findAt(rule string, level detect.Level, message, remedy string, seen []detect.Evidence) {
	if seen == nil {
		seen = p.subject()
	}
	message, remedy = sentence(message), sentence(remedy)
	f := detect.Finding{Rule: rule, Level: level, Message: message, Remedy: remedy, Evidence: seen}
	if !slices.ContainsFunc(p.plan.Findings, func(o detect.Finding) bool { return o.Rule == rule && o.Message == message }) {
		p.plan.Findings = append(p.plan.Findings, f)
	}
}

// UnusedAcceptance is the finding of a rule that the user accepts, at a place of
// winpack.toml, and of which nothing was found.
func UnusedAcceptance(rule string, at detect.Evidence) detect.Finding {
	f := fileFinder{name: at.Path, line: at.Line}
	f.find(RuleUnusedAccept, detect.LevelNote, rule+" is accepted, and the app has no such finding", "take the [[accept]] table out, so that a new finding of it counts")
	return f.found[0]
}

// sentence gives text a capital and a full stop, as the findings of detection have
// them. The name of this program stays in lower case.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	if strings.HasPrefix(s, "winpack ") {
		return s
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// subject is where the app says what it is: the place that findings about its
// image point at.
func (p *planner) subject() []detect.Evidence {
	for _, key := range []string{"framework", "program", "kind"} {
		for _, f := range p.rep.Facts {
			if f.Key == key && f.OverruledBy == "" && len(f.Evidence) > 0 {
				return f.Evidence[:1]
			}
		}
	}
	return []detect.Evidence{}
}
