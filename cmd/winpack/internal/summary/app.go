// Package summary adds up what is saved of many apps, and shows it: the JSON
// winpack/summary/v1, and as views of it text, CSV and one HTML page. SARIF is a
// list of findings and not a view of the sums; see package sarif.
//
// The sums and one short App for each app are held; findings and evidence are
// read again from disk while a view is written, one app at a time.
package summary

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Outlook says how far an app is from running in a container. It is what a status
// does not say: that depends on --fail-on, and an app without findings may still
// be one that nobody knows.
type Outlook string

// The first of these that is true is an app's outlook.
const (
	Missing Outlook = "missing" // a row without a result
	Failed  Outlook = "failed"  // winpack could not finish it
	Blocked Outlook = "blocked" // it can't run in a Windows container
	Unclear Outlook = "unclear" // what it is, or which base fits, is not known
	Work    Outlook = "work"    // it has findings of level error, or a step to do by hand
	Ready   Outlook = "ready"   // it can move now
)

// Outlooks lists them from the best to the worst, as views show them.
func Outlooks() []Outlook { return []Outlook{Ready, Work, Unclear, Blocked, Failed, Missing} }

// Label is the outlook in words.
func (o Outlook) Label() string {
	switch o {
	case Ready:
		return "can move now"
	case Work:
		return "after work"
	case Unclear:
		return "unclear"
	case Blocked:
		return "blocked"
	case Failed:
		return "failed"
	}
	return "no result"
}

// App is an app in short: one line of a table.
type App struct {
	Name           string            `json:"name"`
	Source         string            `json:"source"`
	Owner          string            `json:"owner"`
	Labels         map[string]string `json:"labels"`
	Outlook        Outlook           `json:"outlook"`
	Status         string            `json:"status"` // of the result; "missing" without one
	Kind           detect.Kind       `json:"kind"`
	Framework      detect.Framework  `json:"framework"`
	Architecture   string            `json:"architecture"`
	Base           Base              `json:"base"`
	WindowsBuilder bool              `json:"windowsBuilder"`
	Count          Levels            `json:"count"`
	// Rules are those of its findings, the worst first. What the user accepts counts
	// neither here nor in Count, and is no cause.
	Rules []string `json:"rules"`
	// Cause is why it is not ready, in a line; empty where it is.
	Cause string `json:"cause"`
	// Problems is how many places of the app could not be read.
	Problems int           `json:"unread"`
	Image    *result.Image `json:"image,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// Base is the chosen base image; all is empty where there is none.
type Base struct {
	Reference string `json:"reference"`
	Family    string `json:"family"`
	OS        string `json:"os"`
}

// Levels counts findings by level.
type Levels struct {
	Blocker int `json:"blocker"`
	Error   int `json:"error"`
	Warning int `json:"warning"`
	Note    int `json:"note"`
}

func (l *Levels) add(level detect.Level) {
	switch level {
	case detect.LevelBlocker:
		l.Blocker++
	case detect.LevelError:
		l.Error++
	case detect.LevelWarning:
		l.Warning++
	default:
		l.Note++
	}
}

// AtLeast says whether there is a finding of a level or a worse one; level is that
// of --fail-on: "error", "warning" or "never".
func (l Levels) AtLeast(level string) bool {
	return level != "never" && l.Blocker+l.Error > 0 || level == "warning" && l.Warning > 0
}

// newApp shortens a result. alone is the rule that alone keeps the app from being
// ready, where there is such a rule and it can be solved.
func newApp(r *result.Result, rules map[string]detect.Rule) (a App, alone string) {
	a = App{
		Name: r.Name, Source: r.Source, Owner: r.Owner, Labels: r.Labels,
		Status: string(r.Status), Image: r.Image, Error: r.Error, Rules: []string{},
	}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	manual := ""
	var errors []string // rules
	if rep := r.Report; rep != nil {
		a.Kind, a.Framework, a.Architecture = rep.App.Kind, rep.App.Framework, rep.App.Architecture
		a.Base = Base{rep.Base.Reference, rep.Base.Family, rep.Base.OS}
		a.WindowsBuilder = rep.Needs.WindowsBuilder
		a.Problems = len(rep.Problems)
		seen := map[string]bool{}
		for _, f := range rep.Findings {
			if f.Accepted != "" {
				continue
			}
			a.Count.add(f.Level)
			if !seen[f.Rule] {
				seen[f.Rule] = true
				a.Rules = append(a.Rules, f.Rule)
			}
			if f.Level == detect.LevelError && !slices.Contains(errors, f.Rule) {
				errors = append(errors, f.Rule)
			}
		}
		manual = manualStep(rep.Steps)
	}
	if a.Outlook, a.Cause = outlook(r, manual, rules); a.Outlook == Work && len(errors) == 1 && manual == "" {
		alone = errors[0]
	}
	return a, alone
}

func manualStep(steps []report.Step) string {
	for _, x := range steps {
		if x.Kind == dockerfile.StepManual {
			return x.Why
		}
	}
	return ""
}

// outlook decides, and says why in a line.
func outlook(r *result.Result, manual string, rules map[string]detect.Rule) (Outlook, string) {
	worst := func(level detect.Level) string {
		for _, f := range r.Report.Findings {
			if f.Level == level && f.Accepted == "" {
				return f.Rule + " " + title(f, rules)
			}
		}
		return ""
	}
	switch {
	case r.Status == result.Failed:
		return Failed, r.Error
	case r.Status == result.Blocked && r.Report == nil:
		return Blocked, r.Error
	case r.Report == nil:
		return Unclear, "the result has no report"
	case r.Status == result.Blocked || worst(detect.LevelBlocker) != "":
		return Blocked, worst(detect.LevelBlocker)
	case r.Report.App.Kind == detect.KindUnknown && r.Report.Base.Reference == "":
		return Unclear, "what it is could not be told"
	case r.Report.Base.Reference == "":
		return Unclear, "no base image fits"
	case worst(detect.LevelError) != "":
		return Work, worst(detect.LevelError)
	case manual != "":
		return Work, manual
	}
	return Ready, ""
}

// maxTitle bounds the title of a rule that is not known, in characters.
const maxTitle = 80

// title is what a rule is about, in a few words. For a rule that this winpack does
// not have it is the start of the message.
func title(f detect.Finding, rules map[string]detect.Rule) string {
	if r, ok := rules[f.Rule]; ok && r.Title != "" {
		return r.Title
	}
	start, _, _ := strings.Cut(f.Message, ": ")
	if utf8.RuneCountInString(start) > maxTitle {
		start = string([]rune(start)[:maxTitle]) + "…"
	}
	return start
}
