package result

import (
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect"
)

// Split makes a result for each app of a source with several, whose names are those of
// the row and the app with a slash between them. Any other result is returned as it is.
// What could not be read and belongs to no app is told of the first one.
func (r *Result) Split() []Result {
	if r.Report == nil || len(r.Report.Apps) == 0 {
		return []Result{*r}
	}
	apps, rest := r.Report.Split()
	apps[0].Problems = append(rest, apps[0].Problems...)
	var out []Result
	for i := range apps {
		one := *r
		one.Report = &apps[i]
		if one.Name = apps[i].App.Name; r.Name != "" {
			one.Name = r.Name + "/" + apps[i].App.Name
		}
		one.Status = statusOf(r.Status, &apps[i])
		out = append(out, one)
	}
	return out
}

// statusOf is the status of one app of a row.
func statusOf(row Status, app *report.Report) Status {
	switch {
	case row == Failed:
		return Failed
	case len(app.Blockers()) > 0:
		return Blocked
	case row == Findings && len(app.AtLeast(detect.LevelWarning)) > 0:
		return Findings
	}
	return OK
}
