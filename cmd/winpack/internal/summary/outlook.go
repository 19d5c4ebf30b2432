package summary

import (
	"slices"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Outlook says how far an app is from running in a container. It is what a status
// does not say: that depends on --fail-on and on what winpack batch was to do, and
// an app without findings may still be one that nobody knows.
type Outlook string

// Outlooks, the worst first. What an app's report says comes before that its build
// failed: what keeps an app is told, and not the outage that it was not spared.
const (
	Missing Outlook = "missing" // a row without a result
	Failed  Outlook = "failed"  // winpack could not finish it
	Blocked Outlook = "blocked" // it can't run in a Windows container
	Unclear Outlook = "unclear" // what it is, or which base fits, is not known
	Work    Outlook = "work"    // it has findings of level error, or a step to do by hand
	Decide  Outlook = "decide"  // it has warnings that will or may break it
	Ready   Outlook = "ready"   // it can move now
)

// Outlooks lists them from the best to the worst, as views show them.
func Outlooks() []Outlook { return []Outlook{Ready, Decide, Work, Unclear, Blocked, Failed, Missing} }

// Label is the outlook in words.
func (o Outlook) Label() string {
	switch o {
	case Ready:
		return "can move now"
	case Decide:
		return "to decide"
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

// Meaning explains the outlook.
func (o Outlook) Meaning() string {
	switch o {
	case Ready:
		return "an image can be made, and nothing was found that would break the app in it"
	case Decide:
		return "an image can be made, and warnings say what will or may break the app in it (a missing drive, share, driver, account): solve or accept each"
	case Work:
		return "errors have to be solved first, or a step be done by hand"
	case Unclear:
		return "what it is, or which base image fits, could not be told"
	case Blocked:
		return "it can't run in a Windows container as it is"
	case Failed:
		return "winpack could not finish it: a missing folder, a registry, a disk"
	}
	return "a row of the inventory that was not done"
}

// statuses are those of results in the order of views, and what they mean.
func statuses() [][2]string {
	return [][2]string{
		{string(result.OK), "done, with nothing at or above --fail-on"},
		{string(result.Findings), "done, with findings at or above --fail-on"},
		{string(result.Blocked), "not built: it can't run in a Windows container"},
		{string(result.Failed), "not finished: its error says why"},
		{string(Missing), "no result"},
	}
}

// OutlookOf is the outlook of a result: of a source with several apps that of the one
// that is farthest from running in a container.
func OutlookOf(r *result.Result) Outlook {
	worst := Ready
	for _, one := range r.Split() {
		if o, _ := outlook(&one, nil); slices.Index(Outlooks(), o) > slices.Index(Outlooks(), worst) {
			worst = o
		}
	}
	return worst
}

// outlook decides, and says why in a line.
func outlook(r *result.Result, rules map[string]detect.Rule) (Outlook, string) {
	first := func(f func(detect.Finding) bool) string {
		for _, x := range r.Report.Findings {
			if x.Accepted == "" && f(x) {
				return x.Rule + " " + title(x, rules)
			}
		}
		return ""
	}
	worst := func(level detect.Level) string {
		return first(func(f detect.Finding) bool { return f.Level == level })
	}
	switch {
	case r.Status == result.Failed && r.Report == nil:
		return Failed, r.Error
	case r.Status == result.Blocked && r.Report == nil:
		return Blocked, r.Error
	case r.Report == nil:
		return Unclear, "the result has no report"
	case r.Status == result.Blocked || worst(detect.LevelBlocker) != "":
		return Blocked, worst(detect.LevelBlocker)
	}
	noBase := r.Report.Base.Reference == ""
	switch {
	case noBase && r.Report.App.Kind == detect.KindUnknown:
		if why := first(func(f detect.Finding) bool { return f.Level == detect.LevelError || f.Rule == severalPrograms }); why != "" {
			return Unclear, why
		}
		return Unclear, "what it is could not be told"
	case noBase:
		if why := first(func(f detect.Finding) bool { return slices.Contains(noImage(), f.Rule) }); why != "" {
			return Work, why
		}
		return Unclear, "no base image fits"
	case worst(detect.LevelError) != "":
		return Work, worst(detect.LevelError)
	case manualStep(r.Report.Steps) != "":
		return Work, manualStep(r.Report.Steps)
	case r.Status == result.Failed && r.Failure != result.NoBuilder:
		return Failed, r.Error
	}
	if why := first(decides); why != "" {
		return Decide, why
	}
	return Ready, ""
}

const severalPrograms = "WP1002"

// noImage are the rules that say why no image fits, and what to change in the app:
// another base image would not help, or is not the first thing to do.
func noImage() []string { return []string{"WP1005", "WP1103", "WP1109", "WP1110"} }

// decides says whether a finding is a warning of something that will or may break
// the app. Of a rule that this winpack does not have it is taken for granted.
func decides(f detect.Finding) bool {
	return f.Level == detect.LevelWarning && f.Accepted == "" && !slices.Contains(harmless(), f.Rule)
}

// harmless are the rules of warnings with which an app runs as it did before: what
// winpack does of itself, what is out of support, and what counts with a second
// replica only.
func harmless() []string {
	return []string{
		"WP1101", "WP1102", "WP3001", // out of support, and running
		"WP1108", "WP1217", "WP3006", // the plan takes care of it
		"WP1210", "WP1212", // one replica runs; winpack kube writes no more
		"WP1211", // slower, as on the old server
	}
}

func manualStep(steps []report.Step) string {
	for _, x := range steps {
		if x.Kind == dockerfile.StepManual {
			return x.Why
		}
	}
	return ""
}
