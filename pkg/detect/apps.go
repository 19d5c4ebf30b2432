package detect

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
)

// maxApps bounds how many apps of one folder are told apart.
const maxApps = 500

// part is one app of a folder with several.
type part struct {
	name   string
	mounts []Mount
	except []string // folders of the mounts that are those of other apps
	chosen string   // the program or project that it is; empty where its folder tells
	// sure says that what lies around it is no app, whatever it looks like.
	sure bool
}

// AppName makes a name of an app that a file, an image and a label may be called: other
// characters become "-". It is "app" where nothing is left.
func AppName(name string) string {
	mapped := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r != unicode.ReplacementChar && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, name)
	mapped = strings.Trim(mapped, ".-_")
	if len(mapped) > 100 {
		mapped = strings.TrimRight(strings.ToValidUTF8(mapped[:100], ""), ".-_")
	}
	if mapped == "" {
		return "app"
	}
	return mapped
}

// parts are the apps that a folder holds side by side; none where it is one app. r is
// what the folder is as a whole.
func (t *Tree) parts(r Report) []part {
	if at := t.unpacked(); at != "" {
		return []part{{name: t.Name, mounts: []Mount{{".", at}}, sure: true}}
	}
	if parts := chosenParts(r.tied); len(parts) > 0 {
		return parts
	}
	if t.marked(t.dirs[0]) || slices.ContainsFunc(r.Facts, topSign) {
		return nil // it is itself an app, known or not, whatever lies below
	}
	return t.folderParts(r.Facts)
}

// topSign says whether a fact is a sign, at the top of the folder, of what winpack does
// not tell apart.
func topSign(f Fact) bool {
	return f.Key == "sign" && (f.source == "other-stack" || f.source == "source-sign") && !strings.Contains(f.Evidence[0].Path, "/")
}

// chosenParts are parts of one folder: projects of a source tree, or web applications
// and services that were published together.
func chosenParts(tied []*Fact) []part {
	var parts []part
	for _, f := range tied {
		chosen, name := f.about, ""
		s, ok := f.item.(*stack)
		switch {
		case ok && s.source != nil:
			name = s.source.name
		case !ok && f.Key == "program":
			chosen = f.Value
		default:
			return nil
		}
		if name == "" {
			name = strings.TrimSuffix(path.Base(chosen), path.Ext(chosen))
		}
		if !slices.ContainsFunc(parts, func(p part) bool { return p.chosen == chosen }) {
			parts = append(parts, part{name: name, mounts: []Mount{{".", "."}}, chosen: chosen})
		}
	}
	if len(parts) < 2 {
		return nil
	}
	if tied[0].Key != "program" {
		for i := range parts {
			parts[i].except = foldersOfOthers(parts, i)
		}
		return parts
	}
	// Programs in folders of their own are told apart by those.
	dir := path.Dir(parts[0].chosen)
	for _, p := range parts {
		if path.Dir(p.chosen) != dir {
			return nil
		}
	}
	if slices.ContainsFunc(tied, func(f *Fact) bool { return !f.deployable }) {
		return nil
	}
	return parts
}

// foldersOfOthers are the folders of projects that one of them has nothing of.
func foldersOfOthers(parts []part, i int) []string {
	own := path.Dir(parts[i].chosen)
	var others []string
	for _, p := range parts {
		dir := path.Dir(p.chosen)
		if _, around := within(own, dir); !around && !slices.Contains(others, dir) {
			others = append(others, dir)
		}
	}
	return others
}

// notApps are names of folders that hold what goes with an app.
var notApps = []string{"tools", "tool", "utils", "util", "utilities", "scripts", "doc", "docs", "documentation", "samples", "sample", "examples", "example",
	"test", "tests", "setup", "redist", "prerequisites", "prereqs", "installer", "installers", "install", "support", "drivers", "backup", "bak", "old",
	"lib", "libs", "library", "libraries", "web-inf", "meta-inf", "classes", "plugins", "plugin", "extensions", "jre", "jdk", "runtime", "runtimes", "ant", "nuget", ".nuget",
	"obj", "packages", "node_modules", "vendor", ".git", ".vs", "$recycle.bin", "symbols"}

// hosts are programs that run the code of others, or come with what does.
var hosts = []string{"node.exe", "java.exe", "javaw.exe", "python.exe", "pythonw.exe", "php.exe", "php-cgi.exe", "php-win.exe", "ruby.exe", "perl.exe", "dotnet.exe",
	"keytool.exe", "jabswitch.exe", "unpack200.exe", "pack200.exe", "rmid.exe", "rmiregistry.exe", "kinit.exe", "klist.exe", "ktab.exe", "jjs.exe", "orbd.exe", "servertool.exe", "tnameserv.exe", "java-rmi.exe", "jp2launcher.exe", "javaws.exe", "ssvagent.exe", "policytool.exe"}

// marks are names of files that the folder of an app has at its top, besides programs.
var marks = []string{"web.config", "global.asax", "package.json", "requirements.txt", "manage.py", "composer.json", "index.php", "default.asp", "index.asp", "default.aspx"}

// rootMarks are further names that tell that a folder is an app, or a source tree, as a
// whole.
var rootMarks = []string{"index.html", "index.htm", "default.htm", "default.html", "pyproject.toml", "pom.xml", "build.gradle", "build.gradle.kts", "go.mod", "host.json", "pyvenv.cfg"}

// marked says whether a folder looks like the top of an app.
func (t *Tree) marked(d *dir) bool {
	has := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := d.search(n); return ok })
	}
	if has(marks) && !t.onlyAbove(d) || d.path == "." && has(rootMarks) {
		return true
	}
	if t.depth(d.path) == 1 && t.programDepth() == noDepth && slices.ContainsFunc(indexNames, func(n string) bool {
		p := t.find(path.Join(d.path, n))
		return p != "" && t.isHTML(p)
	}) {
		return true
	}
	exts := []string{".aspx", ".svc", ".asmx", ".asp", ".war", ".jar"}
	if d.path == "." {
		exts = slices.Concat(exts, sourceExts)
	}
	for _, f := range d.files {
		if slices.Contains(exts, path.Ext(f.key)) {
			return true
		}
	}
	for _, below := range []string{"conf/server.xml", "conf/httpd.conf", "conf/nginx.conf", "standalone/configuration/standalone.xml"} {
		if t.find(path.Join(d.path, below)) != "" {
			return true
		}
	}
	return slices.ContainsFunc(t.byDir[d.key], t.isProgram)
}

// onlyAbove says whether a folder has nothing of an app but a web.config, and folders
// below it that are ASP.NET applications: IIS hands what it says on to them.
func (t *Tree) onlyAbove(d *dir) bool {
	for _, f := range d.files {
		if slices.Contains(marks, f.key) && f.key != "web.config" {
			return false
		}
	}
	if t.hasDLLs(path.Join(d.path, "bin")) {
		return false
	}
	return slices.ContainsFunc(t.dirs, func(sub *dir) bool {
		if sub.path == "." || path.Dir(sub.path) != d.path || !t.hasDLLs(path.Join(sub.path, "bin")) {
			return false
		}
		_, config := sub.search("web.config")
		_, global := sub.search("global.asax")
		return config || global
	})
}

// isProgram says whether a binary starts an application of its own.
func (t *Tree) isProgram(b *image) bool {
	switch {
	case slices.Contains(hosts, b.base):
		return false
	case b.isDLL:
		return !b.native() && t.find(strings.TrimSuffix(b.path, path.Ext(b.path))+runtimeConfigExt) != ""
	case b.native():
		return t.helper(b) == ""
	}
	return b.starts()
}

// folderParts are the topmost folders that look like apps, where there is more than one
// or where one is all that the folder holds. facts are those of the whole.
func (t *Tree) folderParts(facts []Fact) []part {
	var tops []*dir
	programs := map[string]int{}
	inTops := func(p string) bool {
		return slices.ContainsFunc(tops, func(top *dir) bool { _, in := within(p, top.path); return in })
	}
	for _, d := range t.dirs[1:] {
		if slices.ContainsFunc(strings.Split(d.key, "/"), func(n string) bool { return slices.Contains(notApps, n) }) || inTops(d.path) || !t.marked(d) {
			continue
		}
		if len(tops) == maxApps {
			t.problem(d.path, fmt.Sprintf("more than %d apps in one folder: this one and later ones were not told apart", maxApps))
			break
		}
		tops = append(tops, d)
		for _, b := range t.byDir[d.key] {
			if !b.isDLL && t.isProgram(b) {
				programs[b.base]++
			}
		}
	}
	if i := slices.IndexFunc(facts, func(f Fact) bool {
		return f.Key == "sign" && (f.source == "source-sign" || strings.HasPrefix(f.Value, sourceCode))
	}); i >= 0 {
		if !inTops(facts[i].Evidence[0].Path) {
			return nil // programs of a source tree are what it was built to, or its tools
		}
	}
	for _, n := range programs {
		if n > 1 {
			return nil // one program in several builds: which of them counts is not known
		}
	}
	for _, b := range t.binaries {
		if slices.Contains(hosts, b.base) && !inTops(b.path) {
			return nil // what runs an app lies beside it
		}
	}
	var parts []part
	for _, d := range tops {
		parts = append(parts, part{name: folderName(d.path), mounts: []Mount{{".", d.path}}})
	}
	return parts
}

// folderName is the last part of a path that says whose folder it is.
func folderName(p string) string {
	parts := strings.Split(p, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		low := strings.ToLower(parts[i])
		target := targetOf(low).Name != "" || strings.HasPrefix(low, "win-") || strings.HasPrefix(low, "win10-")
		if !target && !slices.Contains([]string{"bin", "release", "debug", "publish", "dist", "build", "out", "output", "target", "x64", "x86", "wwwroot", "app"}, low) {
			return parts[i]
		}
	}
	return parts[len(parts)-1]
}

// several inspects each part. Where no more than one is an app, that is the report.
func (t *Tree) several(parts []part, whole Report, name string) Report {
	before := slices.Clone(t.problems)
	out := Report{App: App{Name: name}, Findings: []Finding{}, Facts: []Fact{}}
	var covered []Mount
	var lost []Problem
	reports := t.inspectParts(parts)
	for i, p := range parts {
		r := reports[i]
		if r.App.Kind == KindUnknown && p.chosen == "" {
			lost = append(lost, r.Problems...) // for which it may be no app
			continue
		}
		if p.mounts[0].From != "." { // else what could not be read is told once, of all of them
			r.Source = p.mounts
			below, _ := divided(before, p.mounts)
			r.Problems = append(r.Problems, below...)
			covered = append(covered, p.mounts...)
		}
		r.Problems = sortedProblems(r.Problems)
		out.Apps = append(out.Apps, r)
	}
	switch {
	case len(out.Apps) == 0, len(out.Apps) == 1 && whole.App.Kind != KindUnknown && !parts[0].sure:
		whole.Problems = sortedProblems(slices.Concat(whole.Problems, lost))
		return whole
	case len(out.Apps) == 1: // a folder around the app
		one := out.Apps[0]
		one.App.Name = name
		one.Problems = sortedProblems(slices.Concat(one.Problems, before, lost))
		return one
	}
	nameApps(out.Apps)
	_, rest := divided(before, covered)
	out.Problems = sortedProblems(append(rest, lost...))
	return out
}

// inspectParts gives a report of each part, told by the paths of the whole folder.
func (t *Tree) inspectParts(parts []part) []Report {
	before := t.meter.Load()
	reports := t.inspectBy(runtime.GOMAXPROCS(0), parts)
	if t.full() { // which of them were read may not be chance
		t.meter.Store(before)
		reports = t.inspectBy(1, parts)
	}
	return reports
}

// inspectBy does that with so many workers.
func (t *Tree) inspectBy(most int, parts []part) []Report {
	reports := make([]Report, len(parts))
	var next atomic.Int64
	var workers crew
	for range min(most, len(parts)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(parts)); i = next.Add(1) - 1 {
				p := parts[i]
				v := t.view(AppName(p.name), p.mounts, p.except)
				v.chosen = p.chosen
				reports[i] = v.inspect(nil)
				v.part.tell(&reports[i])
			}
		})
	}
	workers.Wait()
	return reports
}

// divided are problems of the places of mounts, and the others.
func divided(all []Problem, mounts []Mount) (below, rest []Problem) {
	for _, x := range all {
		if slices.ContainsFunc(mounts, func(m Mount) bool { _, in := within(x.Path, m.From); return in }) {
			below = append(below, x)
		} else {
			rest = append(rest, x)
		}
	}
	return below, rest
}

// nameApps sorts apps by name and gives each a name of its own: by its folder where two
// would be called the same, else by a number.
func nameApps(apps []Report) {
	count := map[string]int{}
	for _, a := range apps {
		count[strings.ToLower(a.App.Name)]++
	}
	for i := range apps {
		if a := &apps[i]; count[strings.ToLower(a.App.Name)] > 1 && len(a.Source) > 0 && a.App.Site == nil {
			a.App.Name = AppName(strings.ReplaceAll(a.Source[0].From, "/", "-"))
		}
	}
	slices.SortStableFunc(apps, func(a, b Report) int {
		return strings.Compare(strings.ToLower(a.App.Name), strings.ToLower(b.App.Name))
	})
	taken := map[string]bool{}
	for i := range apps {
		name := apps[i].App.Name
		for n := 2; taken[strings.ToLower(apps[i].App.Name)]; n++ {
			apps[i].App.Name = fmt.Sprintf("%s-%d", name, n)
		}
		taken[strings.ToLower(apps[i].App.Name)] = true
	}
}

// server is the report of an IIS server's sites.
func (t *Tree) server(s *server, opt Options) Report {
	before := slices.Clone(t.problems)
	out := Report{App: App{Name: opt.Name}, Findings: []Finding{}, Facts: []Fact{}, Apps: t.siteReports(s, opt.Maps)}
	var covered []Mount
	for i := range out.Apps {
		out.Apps[i].Problems = sortedProblems(out.Apps[i].Problems)
		covered = append(covered, out.Apps[i].Source...)
	}
	nameApps(out.Apps)
	_, rest := divided(before, covered)
	out.Problems = sortedProblems(rest)
	return out
}
