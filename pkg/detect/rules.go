package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

type ruleTable struct {
	Rule []Rule `toml:"rule"`
}

// Rule turns facts into a finding. In Message and Remedy, {value} is the fact's
// value, {kind} that of the application, and {name}, {next} and the like what
// the fact adds.
type Rule struct {
	ID      string   `toml:"id" json:"id"` // "WP1001"
	Level   Level    `toml:"level" json:"level"`
	Title   string   `toml:"title" json:"title"` // what is wrong, in a few words
	Fact    string   `toml:"fact" json:"-"`      // key of the facts that it is about
	Values  []string `toml:"values" json:"-"`    // patterns of values; empty means any
	Except  []string `toml:"except" json:"-"`    // patterns of values that it is not about
	Kinds   []string `toml:"kinds" json:"-"`     // patterns of kinds; empty means any
	Message string   `toml:"message" json:"-"`
	// Join makes one finding of facts that differ in nothing but their values.
	Join   bool   `toml:"join" json:"-"`
	Remedy string `toml:"remedy" json:"remedy"`
	Why    string `toml:"why" json:"why"` // why the rule exists
	// Source is where the reason can be read; empty where none is cited.
	Source string `toml:"source" json:"source,omitempty"`
}

// Rules lists all rules of detection by ID.
func Rules() []Rule {
	rules := slices.Clone(ruleData().Rule)
	d := signalData()
	for i := range rules {
		r := &rules[i]
		if s := d.byID[append(r.Values, "")[0]]; r.Fact == "signal" && r.Source == "" && s != nil {
			r.Source = d.sourceOf(s)
		}
	}
	return rules
}

// Rank orders levels: 0 for a blocker, then error, warning, note. An unknown
// level is -1.
func (l Level) Rank() int {
	return slices.Index([]Level{LevelBlocker, LevelError, LevelWarning, LevelNote}, l)
}

func matchesAny(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(strings.ReplaceAll(strings.ToLower(p), "/", ":"), strings.ReplaceAll(strings.ToLower(s), "/", ":"))
		return ok
	})
}

// judge applies every rule to the facts that won.
func judge(app App, facts []Fact) []Finding {
	findings := []Finding{}
	won := map[string]bool{}
	for i := range facts {
		won[facts[i].Key] = won[facts[i].Key] || facts[i].OverruledBy == ""
	}
	for _, rule := range ruleData().Rule {
		if !won[rule.Fact] || len(rule.Kinds) > 0 && !matchesAny(rule.Kinds, string(app.Kind)) {
			continue
		}
		if rule.Fact == "signal" {
			findings = append(findings, judgeSignal(rule, app, facts)...)
			continue
		}
		var told []telling
		for _, f := range facts {
			if f.Key != rule.Fact || f.OverruledBy != "" || len(rule.Values) > 0 && !matchesAny(rule.Values, f.Value) || matchesAny(rule.Except, f.Value) {
				continue
			}
			words := []string{"{value}", f.Value, "{kind}", string(app.Kind)}
			if more, ok := f.item.(map[string]string); ok {
				for _, k := range sortedKeys(more) {
					words = append(words, "{"+k+"}", more[k])
				}
			}
			if w, ok := f.item.(Write); ok {
				where := "the folder " + w.Path
				if w.Path == "." {
					where = "its own folder"
				}
				words = append(words, "{where}", where)
			}
			if need, ok := f.item.(Need); ok {
				words = append(words, "{why}", need.Why, "{cure}", moduleCure(need.ID))
			}
			if rule.Join {
				if i := slices.IndexFunc(told, func(t telling) bool { return slices.Equal(t.words[2:], words[2:]) }); i >= 0 {
					told[i].values = append(told[i].values, f.Value)
					told[i].evidence = mergeEvidence(told[i].evidence, f.Evidence)
					continue
				}
			}
			told = append(told, telling{words, []string{f.Value}, mergeEvidence(nil, f.Evidence)})
		}
		for _, t := range told {
			t.words[1] = mostOf(t.values, ", ", maxListed)
			r := strings.NewReplacer(t.words...)
			findings = append(findings, Finding{
				Rule: rule.ID, Level: rule.Level, Message: r.Replace(rule.Message), Remedy: r.Replace(rule.Remedy),
				Evidence: t.evidence,
			})
		}
	}
	return uniqueFindings(findings)
}

// telling is what a finding is about to say.
type telling struct {
	words    []string // of the replacer: the first is "{value}"
	values   []string
	evidence []Evidence
}

// maxListed bounds the values that a joined finding names.
const maxListed = 8

// uniqueFindings joins findings that say the same and keeps their places, and sorts
// them by level, rule and place.
func uniqueFindings(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Level.Rank(), b.Level.Rank()), strings.Compare(a.Rule, b.Rule),
			strings.Compare(a.Message, b.Message), comparePlaces(a.Evidence, b.Evidence))
	})
	out := []Finding{}
	for _, f := range findings {
		if n := len(out); n > 0 && out[n-1].Rule == f.Rule && out[n-1].Message == f.Message {
			out[n-1].Evidence = mergeEvidence(out[n-1].Evidence, f.Evidence)
			continue
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Level.Rank(), b.Level.Rank()), strings.Compare(a.Rule, b.Rule), comparePlaces(a.Evidence, b.Evidence))
	})
	return out
}

// judgeSignal gives one finding for a signal, however often and in whatever way it was
// seen: {what} names the first few things.
func judgeSignal(rule Rule, app App, facts []Fact) []Finding {
	var seen []string
	var ev []Evidence
	for i := range facts {
		f := &facts[i]
		if f.Key != "signal" || f.OverruledBy != "" || !matchesAny(rule.Values, f.Value) {
			continue
		}
		if what := f.what(); !slices.ContainsFunc(seen, func(s string) bool { return strings.EqualFold(s, what) }) {
			seen = append(seen, what)
		}
		ev = mergeEvidence(ev, f.Evidence)
	}
	if len(seen) == 0 {
		return nil
	}
	r := strings.NewReplacer("{what}", few(seen), "{kind}", string(app.Kind))
	return []Finding{{Rule: rule.ID, Level: rule.Level, Message: r.Replace(rule.Message), Remedy: r.Replace(rule.Remedy), Evidence: ev}}
}

// moduleCure says how a module that is no part of Windows comes into an image.
func moduleCure(id string) string {
	for _, m := range iisData().Module {
		if m.ID == id && m.Installer {
			return "Build with a Windows builder, for which the plan installs the module"
		}
	}
	return "winpack has no installer of it: name an image that has the module with --base, or install it in the Dockerfile that winpack writes"
}
