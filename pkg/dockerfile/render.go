package dockerfile

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// RenderOptions say where things are on this machine. Paths are absolute.
type RenderOptions struct {
	App string // the app folder
	Dir string // the folder that the files are for
	// Cwd is where the printed commands will be typed; empty keeps paths absolute.
	Cwd string
	// Windows says that they will be typed on Windows.
	Windows bool
	// TopLevel are the names in the app folder, folders with a slash at the end.
	// They are needed where Dir is App, and used only then: there the ignore file
	// allows each by its name.
	TopLevel []string
	// Trees are the folders that steps name by Step.Tree, absolute.
	Trees map[string]string
	// Written are files in the app folder that winpack wrote before, or that configure
	// it, slash-separated and relative to it: they are no part of the app.
	Written []string
}

// Files are what was rendered.
type Files struct {
	// Content has the files by their name in Dir, .winpack.json among them.
	Content map[string][]byte
	// Context is the build context's absolute path.
	Context string
	// Commands build by hand, one for each Dockerfile, quoted for a shell.
	Commands []string
	// Reasons say why releases have a Dockerfile each; empty where one serves all.
	Reasons []string
}

// Lines between these are the user's own: no edit by hand, and kept by Write.
const (
	editBegin = "# winpack:begin-edit (your own instructions; they stay when winpack writes this file again)"
	editEnd   = "# winpack:end-edit"
)

// Render writes a plan as a Dockerfile with its ignore file, helper files and
// record. It is pure: same plan and options, same bytes. A *UsageError says that
// there is no build context that holds both App and Dir, or that a name cannot
// stand in a Dockerfile.
func Render(plan Plan, opt RenderOptions) (Files, error) {
	if len(plan.Bases) == 0 {
		return Files{}, &UsageError{"the plan has no base image"}
	}
	layout, err := newLayout(opt, plan.extraSources())
	if err != nil {
		return Files{}, err
	}
	f := Files{Content: map[string][]byte{}, Context: layout.context}
	_, script, hasScript := plan.StartScript(true)
	if hasScript {
		f.Content[scriptFile] = script
		if layout.dirInApp && opt.Dir != opt.App {
			return Files{}, &UsageError{fmt.Sprintf("the folder %q lies in the app, and its start script would land there: choose another with -o", opt.Dir)}
		}
	}
	variants := plan.variants()
	if len(variants) > 1 {
		f.Reasons = []string{"the releases need different RUN steps"}
	}
	var names, ignores []string
	for i, v := range variants {
		names = append(names, "Dockerfile")
		if len(variants) > 1 {
			names[i] += "." + v.Bases[0].OS
		}
		ignore := names[i] + ".dockerignore"
		if layout.dir == "." {
			if slices.Contains(opt.TopLevel, ignore) {
				return Files{}, &UsageError{fmt.Sprintf("BuildKit would read the app's %q in place of the .dockerignore that winpack writes: choose another folder with -o", ignore)}
			}
			ignore = ".dockerignore"
		}
		ignores = append(ignores, ignore)
		f.Content[names[i]], f.Content[ignore] = nil, nil // filled in once all names are known
		f.Commands = append(f.Commands, layout.command(opt, names[i]))
	}
	layout.own = append(sortedKeys(f.Content), recordFile)
	if hasScript && layout.dir == "." && slices.Contains(opt.TopLevel, scriptFile) {
		return Files{}, &UsageError{fmt.Sprintf("%q is a file of the app, and winpack's start script would take its place: choose another folder with -o", scriptFile)}
	}
	for i, v := range variants {
		if f.Content[names[i]], err = dockerfile(v, layout, opt, hasScript); err != nil {
			return Files{}, err
		}
		f.Content[ignores[i]] = ignoreFile(layout, opt, plan, hasScript)
	}
	record, err := newRecord(opt, layout.context, f.Content)
	if err != nil {
		return Files{}, err
	}
	f.Content[recordFile] = record
	return f, nil
}

// variants splits a plan where its releases need different steps.
func (p Plan) variants() []Plan {
	if !slices.ContainsFunc(p.Steps, func(s Step) bool { return len(s.OS) > 0 }) || len(p.Bases) == 1 {
		return []Plan{p}
	}
	var out []Plan
	for _, b := range p.Bases {
		v := p
		v.Bases = []Base{b}
		v.Steps = nil
		for _, s := range p.Steps {
			if len(s.OS) == 0 || slices.Contains(s.OS, b.OS) {
				v.Steps = append(v.Steps, s)
			}
		}
		out = append(out, v)
	}
	return out
}

func (b Base) pinned() string {
	if b.Digest == "" {
		return b.Reference
	}
	return b.Reference + "@" + b.Digest
}

type writer struct{ bytes.Buffer }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// comment writes a sentence as comment lines of about 100 characters. Only what
// prints gets in, so nothing in it can end the line.
func (w *writer) comment(s string) {
	line := "#"
	for word := range strings.FieldsSeq(printable(s)) {
		if len(line)+1+len(word) > 100 && line != "#" {
			w.line("%s", line)
			line = "#  "
		}
		line += " " + word
	}
	w.line("%s", line)
}

func dockerfile(p Plan, l layout, opt RenderOptions, hasScript bool) ([]byte, error) {
	var w writer
	w.line("# escape=`")
	w.line("")
	w.comment(capital(cmp.Or(firstWhy(p), "base image")) + ".")
	for _, why := range p.Why[min(1, len(p.Why)):] {
		w.comment(capital(why) + ".")
	}
	if len(p.Bases) > 1 {
		w.comment(listComment)
		for _, b := range p.Bases[1:] {
			w.line("#   %s%s", listFlag, b.pinned())
		}
	}
	for _, o := range p.Omitted {
		w.comment(o.OS + " is left out: " + o.Why)
	}
	w.line("ARG BASE=%s", p.Bases[0].pinned())
	w.line("FROM ${BASE}")

	admin := len(p.Bases) > 0 && p.Bases[0].Administrator
	elevate := func() {
		if !admin {
			w.line("USER %s", userAdmin)
			admin = true
		}
	}
	shell := false
	for _, s := range p.Steps {
		if s.Kind != StepRun {
			continue
		}
		w.line("")
		w.comment(capital(s.Why) + ": the build needs Windows.")
		elevate()
		if !shell {
			w.line(`SHELL ["cmd", "/S", "/C"]`)
			shell = true
		}
		for _, c := range s.Commands {
			w.line("RUN %s", c)
		}
	}
	if len(p.Config.Env) > 0 || len(p.Config.Labels) > 0 || len(p.Config.Ports) > 0 || p.Config.WorkingDir != "" {
		w.line("")
	}
	for _, k := range sortedKeys(p.Config.Labels) {
		w.line("LABEL %s=%s", envValue(k), envValue(p.Config.Labels[k]))
	}
	for _, k := range sortedKeys(p.Config.Env) {
		w.line("ENV %s=%s", k, envValue(p.Config.Env[k]))
	}
	for _, port := range p.Config.Ports {
		w.line("EXPOSE %d", port)
	}
	if p.Config.WorkingDir != "" {
		w.line(`WORKDIR %s`, word(p.Config.WorkingDir))
	}
	if hasScript {
		w.line("")
		w.comment(scriptWhy(p))
		source, err := copySource(path.Join(l.dir, scriptFile))
		if err != nil {
			return nil, err
		}
		w.line("COPY %s", jsonList(source, "C:/winpack/"+scriptFile))
	}
	for _, s := range p.Steps {
		if s.Kind != StepCopy {
			continue
		}
		w.line("")
		w.comment(capital(s.Why) + ".")
		if err := copyLines(&w, s, l, opt, hasScript); err != nil {
			return nil, err
		}
	}
	if p.GrantsInBuild() {
		runGrants(&w, p, elevate)
	}
	w.line("")
	for _, s := range p.Steps {
		if s.Kind == StepManual {
			w.comment("TO INSTALL here, between the edit markers: " + s.Why + ". Without it IIS answers each request with an error 500.")
		}
	}
	w.line("%s", editBegin)
	w.line("%s", editEnd)
	entrypoint := p.Entrypoint(true)
	if p.Config.User != "" || len(entrypoint) > 0 || len(p.Config.Cmd) > 0 || p.Config.Health != nil {
		w.line("")
	}
	if p.Config.User != "" {
		switch netfx := p.Kind == detect.KindNetFXConsole || p.Kind == detect.KindNetFXService; {
		case p.Config.User != userAdmin || p.Service != nil || p.UserGiven: // it is the user's to say why
		case !netfx:
			w.comment("The program listens by http.sys. Where its URL is reserved in the image (netsh http add urlacl), ContainerUser is safer.")
		default:
			w.comment("As in the base: programs of .NET Framework often need it for http.sys and for files beside them. ContainerUser is safer where yours does not.")
		}
		w.line("USER %s", userWord(p.Config.User))
	} else if admin && !p.Bases[0].Administrator {
		w.line("USER %s", userUnelevated)
	}
	if h := p.Config.Health; h != nil {
		w.line("%s", h.instruction())
	}
	if len(entrypoint) > 0 {
		w.line("ENTRYPOINT %s", jsonList(entrypoint...))
	}
	if len(p.Config.Cmd) > 0 {
		w.line("CMD %s", jsonList(p.Config.Cmd...))
	}
	return w.Bytes(), nil
}

func firstWhy(p Plan) string {
	if len(p.Why) == 0 {
		return ""
	}
	return p.Why[0]
}

func scriptWhy(p Plan) string {
	then := "then runs the entrypoint of the base."
	if len(p.Config.Entrypoint) > 0 {
		then = "then runs the app."
	}
	switch {
	case p.Service != nil:
		return "Runs the app as a Windows service and ends with its exit code."
	case p.has(StepStart) && p.grantsAtStart():
		return "Configures IIS and grants write access at container start, " + then
	case p.has(StepStart):
		return "Configures IIS at container start, " + then
	case p.Builder.Windows:
		return "Grants write access at container start (--prefer fast-start grants in the build), " + then
	}
	return "Grants write access at container start: a RUN step would need Windows to build."
}
