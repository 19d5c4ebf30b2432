package dockerfile

import (
	"fmt"
	"slices"
	"strings"
)

// Where the start script lies in the image, and what it is called in DIR.
const (
	scriptDir  = `C:\winpack`
	scriptPath = `C:\winpack\start.cmd`
	scriptFile = "start.cmd"
)

func scriptEntrypoint() []string {
	return []string{`C:\Windows\System32\cmd.exe`, "/d", "/c", scriptPath}
}

// ScriptPath is where the start script belongs in the image.
func ScriptPath() string { return scriptPath }

// grantsAtStart says whether the container could grant when it starts.
func (p Plan) grantsAtStart() bool { return p.has(StepGrant) && p.Administrator() }

func (p Plan) has(kind StepKind) bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Kind == kind })
}

// Entrypoint is the image's entrypoint. With grants, the start script grants
// write access too, as an image needs whose layer holds no descriptors (the
// written Dockerfile); without, the layer has done it (direct). Empty means that
// the base's own stays.
func (p Plan) Entrypoint(grants bool) []string {
	if _, _, ok := p.StartScript(grants); ok {
		return scriptEntrypoint()
	}
	return slices.Clone(p.Config.Entrypoint)
}

// StartScript is the script that Entrypoint(grants) runs: its file name, its
// content with CRLF line ends, and whether one is needed at all. It belongs at
// ScriptPath. It is ASCII but where a path of the app is not: then it is UTF-8
// and says so to cmd.exe first.
func (p Plan) StartScript(grants bool) (name string, content []byte, ok bool) {
	grants = grants && p.grantsAtStart()
	if !grants && !p.has(StepStart) && p.Service == nil {
		return "", nil, false
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("@echo off")
	line("rem Written by winpack: prepares the container, then runs the app.")
	line("setlocal EnableExtensions DisableDelayedExpansion")
	if grants {
		line("rem Windows layers that a Dockerfile makes have no access lists of their own.")
		for _, s := range p.Steps {
			if s.Kind != StepGrant {
				continue
			}
			line(`if not exist %s mkdir %s`, batchQuote(s.To+`\`), batchQuote(s.To))
			line(`"%%SystemRoot%%\System32\icacls.exe" %s /grant "*%s:(OI)(CI)M" /q >nul`, batchQuote(s.To), s.Trustee.SID)
			line(`if not "%%ERRORLEVEL%%"=="0" goto :nogrant`)
		}
	}
	for _, s := range p.Steps {
		if s.Kind != StepStart {
			continue
		}
		line("rem %s", s.Why)
		for _, c := range s.Commands {
			line("%s >nul", c)
			line(`if not "%%ERRORLEVEL%%"=="0" goto :nostart`)
		}
	}
	if p.Service != nil {
		b.WriteString(serviceScript(*p.Service))
	} else {
		command := p.AppEntrypoint()
		quoted := make([]string, len(command))
		for i, a := range command {
			quoted[i] = batchArg(a)
		}
		line("%s %%*", strings.Join(quoted, " "))
		line("exit /b %%ERRORLEVEL%%")
	}
	if grants {
		line(":nogrant")
		line("echo start.cmd: cannot grant write access: the container has to start as ContainerAdministrator 1>&2")
		line("exit /b 1")
	}
	if p.has(StepStart) {
		line(":nostart")
		line("echo start.cmd: cannot configure IIS: the container has to start as ContainerAdministrator 1>&2")
		line("exit /b 1")
	}
	text := b.String()
	if strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
		text = strings.Replace(text, "@echo off\r\n", "@echo off\r\n%SystemRoot%\\System32\\chcp.com 65001 >nul\r\n", 1)
	}
	return scriptFile, []byte(text), true
}

// batchQuote quotes a path for a line of a batch file, where delayed expansion is
// off: between quotes only the percent sign is special. Windows paths hold no quotes.
func batchQuote(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if strings.HasSuffix(s, `\`) && strings.HasSuffix(s, `\\`) {
		s = strings.TrimSuffix(s, `\`)
	}
	return `"` + s + `"`
}

// batchArg quotes an argument for a program that reads its command line as the C
// runtime does, in a batch file. A quote in the argument ends cmd's own quoting, so
// everything after it is escaped by carets where cmd would take it for syntax.
func batchArg(s string) string {
	return batchEscape(crtQuote(s))
}

// crtQuote quotes as CommandLineToArgvW reads (Microsoft C++, "Parsing C command-line arguments").
func crtQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, r := range s {
		switch r {
		case '\\':
			slashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
		}
		slashes = 0
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(`\`, 2*slashes))
	b.WriteByte('"')
	return b.String()
}

func batchEscape(s string) string {
	var b strings.Builder
	quoted := false
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '%':
			b.WriteByte('%')
		case r == '\r' || r == '\n' || r == 0:
			continue // ends a line of a batch file, whatever stands around it
		case !quoted && strings.ContainsRune(`&|<>^()@!`, r):
			b.WriteByte('^')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// batchValue is text for set "NAME=text", where delayed expansion is off: all up to
// the last quote of the line is taken as it stands, but for the percent sign.
// A quote in it would let cmd see what follows as syntax, so that is escaped.
func batchValue(s string) string { return strings.TrimPrefix(batchEscape(`"`+s), `"`) }
