// Package summary adds up what is saved of many apps, and shows it: the JSON
// winpack/summary/v1, and as views of it text, CSV and one HTML page. SARIF is a
// list of findings and not a view of the sums; see package sarif.
//
// The sums and one short App for each app are held; findings and evidence are
// read again from disk while a view is written, one app at a time.
package summary

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

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
	// Failure is the kind of failure behind Error, where that is known.
	Failure result.Failure `json:"failure,omitempty"`

	causeLevel detect.Level // of the finding that Cause names; empty where it names none
	// row is the name of the inventory's row, which may have several apps.
	row string
	// alone is the rule that alone keeps the app from being ready, where there is such
	// a rule and it can be solved.
	alone string
}

// More counts the errors and warnings that stand beside the one that Cause names,
// or all where it names none.
func (a *App) More() string {
	errors, warnings := a.Count.Blocker+a.Count.Error, a.Count.Warning
	switch a.causeLevel {
	case detect.LevelBlocker, detect.LevelError:
		errors--
	case detect.LevelWarning:
		warnings--
	}
	if errors+warnings == 0 {
		return ""
	}
	more := Levels{Error: errors, Warning: warnings}.String()
	if a.causeLevel != "" {
		more = "+" + more
	}
	return more
}

// Keeps is what keeps the app, in a line; empty where nothing does.
func (a *App) Keeps() string {
	if a.Outlook == Ready && a.Failure == result.NoBuilder {
		return "waits for a Windows builder"
	}
	return a.Cause
}

// BuildFailed says whether an app that needs work failed of something else too: an
// outage, or what else its error says.
func (a *App) BuildFailed() bool {
	return a.Outlook == Work && a.Base.Reference != "" && a.Status == string(result.Failed) && a.Failure == ""
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

// String has those that are not zero, the worst first.
func (l Levels) String() string {
	var parts []string
	for _, x := range []struct {
		n    int
		what string
	}{{l.Blocker, "blocker"}, {l.Error, "error"}, {l.Warning, "warning"}, {l.Note, "note"}} {
		if x.n > 0 {
			parts = append(parts, number(x.n)+" "+x.what+verb(x.n, "", "s"))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

// AtLeast says whether there is a finding of a level or a worse one; level is that
// of --fail-on: "error", "warning" or "never".
func (l Levels) AtLeast(level string) bool {
	return level != "never" && l.Blocker+l.Error > 0 || level == "warning" && l.Warning > 0
}

// newApp shortens a result.
func newApp(r *result.Result, rules map[string]detect.Rule) App {
	a := App{
		Name: r.Name, Source: r.Source, Owner: r.Owner, Labels: r.Labels,
		Status: string(r.Status), Image: r.Image, Error: r.Error, Failure: r.Failure, Rules: []string{},
	}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	manual := ""
	levels := map[string]detect.Level{} // of rules
	var keep []string                   // rules that keep it from being ready
	if rep := r.Report; rep != nil {
		a.Kind, a.Framework, a.Architecture = rep.App.Kind, rep.App.Framework, rep.App.Architecture
		a.Base = Base{rep.Base.Reference, rep.Base.Family, rep.Base.OS}
		a.WindowsBuilder = rep.Needs.WindowsBuilder
		a.Problems = len(rep.Problems)
		for _, f := range rep.Findings {
			if f.Accepted != "" {
				continue
			}
			a.Count.add(f.Level)
			if _, seen := levels[f.Rule]; !seen {
				levels[f.Rule] = f.Level
				a.Rules = append(a.Rules, f.Rule)
			}
			if (f.Level == detect.LevelError || decides(f)) && !slices.Contains(keep, f.Rule) {
				keep = append(keep, f.Rule)
			}
		}
		manual = manualStep(rep.Steps)
	}
	a.Outlook, a.Cause = outlook(r, rules)
	if a.Cause != r.Error { // whose text is anybody's
		rule, _, _ := strings.Cut(a.Cause, " ")
		a.causeLevel = levels[rule]
	}
	if (a.Outlook == Work || a.Outlook == Decide) && len(keep) == 1 && manual == "" {
		a.alone = keep[0]
	}
	return a
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
