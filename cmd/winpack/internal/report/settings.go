package report

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Given are settings that the user gave as flags when the file was asked for: they stand
// in it in the place of what winpack decides by itself, as comments too.
type Given struct {
	OS       []string
	Base     string
	FailOn   string
	Mirrors  []string // HOST=MIRROR
	Insecure []string
}

// Settings writes a winpack.toml with what was detected and planned: every setting
// that matters is a comment of one #, with the value that it has by itself or by a flag,
// and what is said of it a comment of two. So it changes nothing until somebody takes a
// # away, and what winpack does by itself not even then; and all of it can lose one and
// is still a winpack.toml.
func (r Report) Settings(plan dockerfile.Plan, given Given) []byte {
	s := settings{Report: r, plan: plan, given: given}
	s.head()
	s.image()
	s.program()
	s.tables()
	s.accept()
	return s.Bytes()
}

type settings struct {
	bytes.Buffer
	Report
	plan  dockerfile.Plan
	given Given
}

func (s *settings) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// note writes a sentence, which may hold text of the app, as comment lines.
func (s *settings) note(format string, args ...any) {
	const width = 112
	text := Safe(OneLine(fmt.Sprintf(format, args...)))
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	line := "## " + strings.TrimSuffix(indent, " ")
	if indent == "" {
		line = "##"
	}
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && len(line)+1+len(word) > width {
			s.line("%s", line)
			line, empty = "## "+indent+" ", true
		}
		line, empty = line+" "+word, false
	}
	s.line("%s", strings.TrimRight(line, " "))
}

// example is a line of TOML that is not of this app.
func (s *settings) example(text string) { s.line("## %s", text) }

// set writes a setting as a comment.
func (s *settings) set(key, value string) { s.line("# %s = %s", key, value) }

// flagged says that settings below were given as flags.
func (s *settings) flagged(given bool) {
	if given {
		s.note("As the command line had it: take the # away to keep it so.")
	}
}

// seen says where the facts of a key were seen, which decided.
func (s *settings) seen(key string) {
	shown := 0
	for _, f := range s.Facts {
		if f.Key != key || f.OverruledBy != "" || len(f.Evidence) == 0 || shown == 3 {
			continue
		}
		shown++
		s.note("  %s %s: %s", f.Key, f.Value, seenAt(f.Evidence[0]))
	}
}

func seenAt(e detect.Evidence) string {
	where := e.Path
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	if e.Detail != "" {
		where += " (" + e.Detail + ")"
	}
	return where
}

func (s *settings) head() {
	s.note("Settings of %s for winpack, written by `winpack init`.", s.App.Name)
	s.note("A line with one # is what winpack does by itself, where nothing else is said: take the # away to keep it so, or to change it. What stays a comment follows the app when that changes. Lines with two are notes. Flags and WINPACK_<FLAG> come before this file.")
	s.line("##")
	s.note("What was found: %s", describe(s.App))
	for _, key := range []string{"kind", "framework", "architecture", "sign"} {
		s.seen(key)
	}
}

func (s *settings) image() {
	s.line("")
	s.note("Windows releases to build for. One that is named here is never left out.")
	s.flagged(len(s.given.OS) > 0)
	oses := s.given.OS
	if len(oses) == 0 {
		for _, b := range s.plan.Bases {
			if b.OS != "" {
				oses = append(oses, b.OS)
			}
		}
	}
	switch {
	case len(oses) == 0:
		s.example("os = " + tomlList(dockerfile.DefaultOS()))
	case len(s.given.OS) == 0 && len(s.plan.Omitted) > 0: // the default is another list
		s.example("os = " + tomlList(oses))
	default:
		s.set("os", tomlList(oses))
	}
	for _, b := range s.plan.Bases {
		s.note("The base image of %s: %s", b.OS, b.Reference)
	}
	for _, why := range s.Base.Why {
		s.note("  %s", why)
	}
	switch {
	case s.given.Base != "":
		s.note("The base image instead of the chosen one.")
		s.flagged(true)
		s.set("base", tomlText(s.given.Base))
	case len(s.plan.Bases) == 1 && len(s.given.OS) == 0:
		s.set("base", tomlText(s.plan.Bases[0].Reference))
	default:
		s.note("One image instead, for the releases that it is published for.")
		reference := s.Base.Reference
		if reference == "" {
			reference = "registry.example.com/team/base:1"
		}
		s.example("base = " + tomlText(reference))
	}
	s.line("")
	s.note("Exit 4 when a finding of this level or above remains: error, warning or never.")
	s.flagged(s.given.FailOn != "")
	failOn := s.given.FailOn
	if failOn == "" {
		failOn = "never"
	}
	s.set("fail-on", tomlText(failOn))
	s.line("")
	s.note("Pull HOST/... from MIRROR/..., and registries that are spoken to over plain http.")
	s.flagged(len(s.given.Mirrors)+len(s.given.Insecure) > 0)
	s.set("mirror", tomlList(s.given.Mirrors))
	s.set("insecure-registry", tomlList(s.given.Insecure))
}

func (s *settings) program() {
	c := s.plan.Config
	s.line("")
	s.note("What starts the app, in exec form, and its default arguments.")
	s.seen("program")
	s.seen("service-name")
	switch {
	case s.plan.Service != nil:
		s.note("It runs as the Windows service %s, which a start script registers and watches. An entrypoint here takes the place of both.", s.plan.Service.Name)
		s.example("entrypoint = " + tomlList([]string{s.plan.Service.Program}))
	case len(s.App.Entrypoint) > 0:
		s.set("entrypoint", tomlList(s.App.Entrypoint))
	default:
		s.note("Nothing was found: the base image may start the app by itself.")
		s.example("entrypoint = " + tomlList([]string{`C:\app\NAME.exe`}))
	}
	s.set("cmd", tomlList(c.Cmd))
	if c.WorkingDir != "" {
		s.set("workdir", tomlText(c.WorkingDir))
	}
	if user := s.user(); user != "" {
		s.note("The account that it runs as.")
		s.set("user", tomlText(user))
	}
	if s.hosted() {
		s.note("Ports that IIS is bound to when the container starts, by http.")
	} else {
		s.note("Ports that it listens on, instead of those that were found.")
	}
	s.seen("port")
	ports := make([]string, len(s.App.Ports))
	for i, p := range s.App.Ports {
		ports[i] = strconv.Itoa(p)
	}
	s.set("ports", "["+strings.Join(ports, ", ")+"]")
	s.line("")
	s.note("Files of the folder that are no part of the app: patterns as in .dockerignore, like **/*.pdb; ! brings back.")
	s.set("ignore", "[]")
	s.note("Folders that the app may write to, below its own or absolute.")
	s.seen("write")
	var writes []string
	for _, step := range s.plan.Steps {
		if step.Kind == dockerfile.StepGrant && !slices.Contains(writes, step.To) {
			writes = append(writes, step.To)
		}
	}
	s.set("write", tomlList(writes))
}

// hosted says whether IIS serves the app.
func (s *settings) hosted() bool {
	return slices.Contains([]detect.Kind{detect.KindASPNET, detect.KindWCF, detect.KindStatic, detect.KindClassicASP, detect.KindPHP}, s.App.Kind)
}

// user is the account that the container starts as; empty where it is not known.
func (s *settings) user() string {
	switch {
	case s.plan.Config.User != "":
		return s.plan.Config.User
	case len(s.plan.Bases) > 0 && s.plan.Bases[0].Administrator && s.given.Base == "": // else that is a guess
		return "ContainerAdministrator"
	}
	return ""
}

func (s *settings) tables() {
	s.line("")
	s.note("Variables of the container, beside what the base sets. No secrets: who may pull the image reads them.")
	s.line("# [env]")
	for _, k := range slices.Sorted(maps.Keys(s.plan.Config.Env)) {
		s.set(tomlKey(k), tomlText(s.plan.Config.Env[k]))
	}
	s.example(`NAME = "value"`)
	s.line("")
	s.line("# [labels]")
	s.example(`"org.opencontainers.image.source" = "https://git.example.com/team/app"`)
	s.line("")
	s.note("Docker runs it, Kubernetes does not. cmd is a list, or a line for the image's shell.")
	s.example("[health-check]")
	s.example(`cmd = ['C:\app\NAME.exe', "-check"]`)
	s.example(`interval = "30s"`)
	s.line("")
	s.note("The flags of winpack build: -t, --builder and -o.")
	s.line("# [build]")
	s.set("builder", tomlText("auto"))
	s.example(`tags = ["registry.example.com/team/app:1"]`)
	s.example(`output = ["type=oci,dest=app.tar"]`)
	s.line("")
	s.note("Files and folders that go into the image beside the app, and more rows for the catalog of base images.")
	s.example("[[files]]")
	s.example(`from = "deploy/container.json"`)
	s.example(`to = 'C:\app\settings.json'`)
	s.example("[catalog]")
	s.example(`file = "catalog.toml"`)
}

// accept has a table for each rule that counts.
func (s *settings) accept() {
	var rules []string
	for _, f := range s.Findings {
		if f.Level != detect.LevelNote && !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
	}
	s.line("")
	if len(rules) == 0 {
		s.note("A finding that you take upon yourself stays in the report, with your reason, and counts no more. There is none now.")
		return
	}
	s.note("Findings. One that you take upon yourself stays in the report, with your reason, and counts no more; add until = YYYY-MM-DD to be asked again. Each is better cured.")
	for _, rule := range rules {
		s.line("")
		shown, remedy := 0, ""
		for _, f := range s.Findings {
			if f.Rule != rule {
				continue
			}
			if shown++; shown <= 3 {
				s.note("%s", FindingLine(f))
			}
			remedy = f.Remedy
		}
		if shown > 3 {
			s.note("and %d more of %s", shown-3, rule)
		}
		if remedy != "" {
			s.note("  do: %s", remedy)
		}
		s.example("[[accept]]")
		s.example("rule = " + tomlText(rule))
		s.example("reason = " + tomlText(AcceptReason))
	}
}

// AcceptReason stands where init leaves the reason to the user: it is none.
const AcceptReason = "say why it is no problem here"

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func tomlKey(k string) string {
	if bareKey.MatchString(k) {
		return k
	}
	return tomlText(k)
}

func tomlList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = tomlText(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tomlText quotes a string so that it is that string and nothing else: as it stands
// where it has backslashes, as Windows paths do, else with escapes.
func tomlText(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	plain := !strings.ContainsFunc(s, func(r rune) bool { return r == '\'' || !strconv.IsPrint(r) })
	if plain && strings.ContainsAny(s, `\"`) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
