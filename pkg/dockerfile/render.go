package dockerfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

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

func copyLines(w *writer, s Step, l layout, opt RenderOptions, hasScript bool) error {
	to := strings.TrimSuffix(strings.ReplaceAll(s.To, `\`, "/"), "/") + "/"
	if s.Tree != "" || s.From != "." {
		source, err := copySource(l.source(s))
		if err != nil {
			return err
		}
		if s.Folder {
			source += "/"
		} else if s.Name != "" {
			to += word(s.Name)
		}
		w.line("COPY %s", jsonList(source, to))
		return nil
	}
	if l.app != "." || !hasScript {
		source, err := copySource(l.app)
		if err != nil {
			return err
		}
		w.line("COPY %s", jsonList(source+"/", to))
		return nil
	}
	// The start script lies in the app folder and must not land in the app: the
	// classic builder has no COPY --exclude, so each name is copied by itself.
	if len(opt.TopLevel) == 0 {
		return &UsageError{"the names in the app folder are needed to write a Dockerfile into it"}
	}
	files := []string{}
	for _, name := range slices.Sorted(slices.Values(opt.TopLevel)) {
		bare := strings.TrimSuffix(name, "/")
		if slices.Contains(notShipped(), strings.ToLower(bare)) || slices.Contains(l.own, bare) {
			continue
		}
		source, err := copySource(bare)
		if err != nil || strings.ContainsAny(bare, `*?<>|:"`) {
			return &UsageError{fmt.Sprintf("the name %q cannot stand in a Windows image: rename it", bare)}
		}
		if bare == name {
			files = append(files, source)
		} else {
			w.line("COPY %s", jsonList(source+"/", to+word(bare)+"/"))
		}
	}
	if len(files) > 0 {
		w.line("COPY %s", jsonList(append(files, to)...))
	}
	return nil
}

func runGrants(w *writer, p Plan, elevate func()) {
	w.line("")
	why := "The program writes there and is no administrator, so that the build has to grant it"
	if p.Administrator() {
		why = "The build grants write access, as --prefer fast-start asks"
	}
	if p.Builder.Windows {
		w.comment(why + ".")
	} else {
		w.comment(why + ", which needs a Windows builder (winpack build does without).")
	}
	elevate()
	moved := false
	for _, s := range p.Steps {
		if s.Kind != StepGrant {
			continue
		}
		if s.To != appDir && s.To != siteDir {
			// Makes the folder where it is missing, without a shell and its quoting.
			w.line("WORKDIR %s", word(s.To))
			moved = true
		}
		w.line("RUN %s", jsonList("icacls", s.To, "/grant", "*"+s.Trustee.SID+":(OI)(CI)M", "/q"))
	}
	if moved {
		w.line("WORKDIR %s", word(cmp.Or(p.Config.WorkingDir, `C:\`))) // the images of IIS set none
	}
}

// word escapes a path for an instruction that expands variables and takes quotes
// away, where the escape character is the backtick.
func word(path string) string {
	return strings.NewReplacer("`", "``", "$", "`$", "'", "`'", `"`, "`\"").Replace(path)
}

// userWord is an account for USER, which takes no quotes off.
func userWord(account string) string {
	return strings.NewReplacer("`", "``", "$", "`$").Replace(account)
}

// instruction is the health check as HEALTHCHECK.
func (h *Health) instruction() string {
	if h.Test[0] == "NONE" {
		return "HEALTHCHECK NONE"
	}
	var b strings.Builder
	b.WriteString("HEALTHCHECK")
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"interval", h.Interval}, {"timeout", h.Timeout}, {"start-period", h.StartPeriod}} {
		if d.value > 0 {
			fmt.Fprintf(&b, " --%s=%s", d.flag, d.value)
		}
	}
	if h.Retries > 0 {
		fmt.Fprintf(&b, " --retries=%d", h.Retries)
	}
	if h.Test[0] == "CMD-SHELL" {
		return b.String() + " CMD " + h.Test[1]
	}
	return b.String() + " CMD " + jsonList(h.Test[1:]...)
}

var plainValue = regexp.MustCompile(`^[A-Za-z0-9_.:/+*;,-]+$`)

// envValue quotes a value for ENV: in quotes, a backtick makes a quote, a dollar
// or another backtick a plain character ("# escape=`").
func envValue(s string) string {
	if plainValue.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer("`", "``", `"`, "`\"", "$", "`$").Replace(s) + `"`
}

func capital(s string) string {
	if s == "" || strings.HasPrefix(s, detect.FamilyServerCore) || strings.HasPrefix(s, detect.FamilyNanoServer) {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// escapeUnprintable writes what JSON lets stand in a string, and a terminal might
// obey, as \uXXXX.
func escapeUnprintable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// jsonList is the exec form; HTML escapes would only make it hard to read.
func jsonList(items ...string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(item) // a string always encodes
		quoted[i] = escapeUnprintable(strings.TrimSpace(b.String()))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
