package pipeline

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// place is where the app of a job is.
type place struct {
	absolute string  // of its folder
	dir      string  // where its Dockerfile goes, unless -o says
	files    *opened // what is read of it
	left     fs.FS   // the same without what ignore takes out
	ignore   []string
	close    func()
}

// SeveralError says that a folder holds several apps where a command takes one.
type SeveralError struct {
	App   string
	Names []string
}

func (e *SeveralError) Error() string {
	return fmt.Sprintf("APP %q holds %d apps: name one with --app: %s", e.App, len(e.Names), strings.Join(e.Names, ", "))
}

// one says whether a job is about a single app: it writes or builds one.
func (job Job) one() bool {
	return job.OneApp || job.NeedPlan || job.Build != nil || job.Write != nil && !job.Write.Optional
}

// choose takes of what was found the apps that the job names, all where it names none.
func (job Job) choose(found detect.Report) (detect.Report, error) {
	apps := found.Apps
	if len(apps) == 0 {
		apps = []detect.Report{found}
	}
	var names []string
	for _, a := range apps {
		names = append(names, a.App.Name)
	}
	if len(job.Apps) == 0 {
		if len(found.Apps) > 0 && job.one() {
			return found, &UsageError{&SeveralError{job.App, names}}
		}
		return found, nil
	}
	var taken []detect.Report
	for _, name := range job.Apps {
		i := slices.IndexFunc(apps, func(a detect.Report) bool { return called(a, name) })
		switch {
		case i < 0 && len(found.Apps) == 0:
			return found, Usagef("--app %q: APP %q is one app, %s: leave --app out", name, job.App, names[0])
		case i < 0:
			return found, Usagef("--app %q: no app of %q is called so; it holds %s", name, job.App, strings.Join(names, ", "))
		case !slices.ContainsFunc(taken, func(a detect.Report) bool { return a.App.Name == apps[i].App.Name }):
			taken = append(taken, apps[i])
		}
	}
	if len(taken) == 1 {
		return taken[0], nil
	}
	if job.one() {
		return found, Usagef("--app names %d apps, and an image is made of one at a time: name one of %s", len(taken), strings.Join(job.Apps, ", "))
	}
	slices.SortFunc(taken, func(a, b detect.Report) int { return strings.Compare(a.App.Name, b.App.Name) })
	found.Apps = taken
	return found, nil
}

// called says whether an app goes by a name: its own, or that of its site in IIS.
func called(a detect.Report, name string) bool {
	return strings.EqualFold(a.App.Name, name) || a.App.Site != nil && strings.EqualFold(a.App.Site.Name, name)
}

// placeOf is where an app of the job's folder lies.
func (job Job) placeOf(o *opened, left fs.FS, absolute string, app detect.Report) (*place, error) {
	p := &place{absolute: absolute, dir: defaultDir(absolute), files: o, left: left, ignore: job.Settings.Ignore, close: func() {}}
	if len(job.Apps) > 0 && app.App.Name != appName(absolute) {
		p.dir = filepath.Join(filepath.Dir(absolute), appName(absolute)+"-"+detect.AppName(app.App.Name)+".winpack")
	}
	if len(app.Source) == 0 {
		return p, nil
	}
	if job.one() && len(app.Source) > 1 {
		var folders []string
		for _, m := range app.Source {
			folders = append(folders, m.From)
		}
		return nil, fmt.Errorf("%s is put together from several folders (%s), and winpack makes an image of one: join them in one folder, and give winpack that",
			app.App.Name, strings.Join(folders, ", "))
	}
	from := app.Source[0].From
	p.ignore = ignoreBelow(job.Settings.Ignore, from)
	if o.folder == nil {
		left, err := fs.Sub(left, from)
		if err != nil {
			return nil, fmt.Errorf("reading APP %q: %w", job.App, err)
		}
		files, err := fs.Sub(o.files, from)
		if err != nil {
			return nil, fmt.Errorf("reading APP %q: %w", job.App, err)
		}
		p.left, p.files = linksOf{left}, &opened{files: files, look: files, zip: o.zip, close: o.close}
		return p, nil
	}
	root, err := o.folder.root.OpenRoot(filepath.FromSlash(from))
	if err != nil {
		return nil, readError(job.App, err)
	}
	p.absolute = filepath.Join(absolute, filepath.FromSlash(from))
	if p.files, err = job.openRoot(root, p.absolute); err != nil {
		return nil, err
	}
	p.close = p.files.close
	if p.left, err = dockerfile.IgnoreFS(p.files.look, p.ignore); err != nil {
		p.close()
		return nil, &UsageError{err}
	}
	return p, nil
}

// linksOf keeps fs.Sub from hiding that a file system has links.
type linksOf struct{ fs.FS }

func (l linksOf) ReadLink(name string) (string, error)   { return fs.ReadLink(l.FS, name) }
func (l linksOf) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(l.FS, name) }

// ignoreBelow are the patterns of a folder as one of its folders has them: without that
// folder's own path, and without those that are about other ones.
func ignoreBelow(patterns []string, dir string) []string {
	var out []string
	for _, pattern := range patterns {
		bare, again := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		rest, about := patternBelow(strings.Trim(path.Clean(bare), "/"), dir)
		if !about {
			continue
		}
		if again {
			rest = "!" + rest
		}
		out = append(out, rest)
	}
	return out
}

func patternBelow(pattern, dir string) (rest string, about bool) {
	parts := strings.Split(pattern, "/")
	for _, name := range strings.Split(dir, "/") {
		if len(parts) == 0 {
			return "**", true // all of the folder above
		}
		if parts[0] == "**" {
			return strings.Join(parts, "/"), true
		}
		if ok, err := path.Match(parts[0], name); err != nil || !ok {
			return "", false
		}
		parts = parts[1:]
	}
	if len(parts) == 0 {
		return "**", true
	}
	return strings.Join(parts, "/"), true
}

// several plans each app of a folder and joins what there is to say of them. Nothing is
// written or built: that takes one of them by name.
func (res *Result) several(job Job, o *opened, left fs.FS, absolute string, found detect.Report) error {
	var reports []report.Report
	for _, app := range found.Apps {
		p, err := job.placeOf(o, left, absolute, app)
		if err != nil {
			return err
		}
		one := Result{}
		err = one.judge(job, p, app)
		p.close()
		if err != nil {
			return err
		}
		reports = append(reports, *one.Report)
	}
	joined := report.Join(reports, found.Problems)
	res.Report = &joined
	if job.Found != nil {
		job.Found(joined)
	}
	if blockers := joined.Blockers(); len(blockers) > 0 {
		return &BlockedError{blockers}
	}
	return res.failOn(job.FailOn)
}

// judge plans one of several apps. What keeps it from having a plan stands in its
// report, and is no error but where the command line is wrong.
func (res *Result) judge(job Job, p *place, app detect.Report) error {
	job.Found, job.Settings.Ignore = nil, p.ignore
	plan, planErr := makePlan(app, job, p.left)
	if isUsage(planErr) {
		return planErr
	}
	res.report(job, app, plan, whyNone(planErr))
	return nil
}
