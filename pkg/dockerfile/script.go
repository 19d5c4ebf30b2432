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
	scriptMark = "rem Written by winpack:" // in its first lines
)

func scriptEntrypoint() []string {
	return []string{`C:\Windows\System32\cmd.exe`, "/d", "/c", scriptPath}
}

// ScriptPath is where the start script belongs in the image.
func ScriptPath() string { return scriptPath }

// grantsAtStart says whether the container grants when it starts.
func (p Plan) grantsAtStart() bool { return p.has(StepGrant) && !p.GrantsInBuild() }

// GrantsInBuild says whether the written Dockerfile grants write access by RUN: since
// the container does not start as an administrator, or is to start fast.
func (p Plan) GrantsInBuild() bool {
	return p.has(StepGrant) && (!p.Administrator() || p.FastStart)
}

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
	line(scriptMark + " prepares the container, then runs the app.")
	line("setlocal EnableExtensions DisableDelayedExpansion")
	if grants {
		line("rem Windows layers that a Dockerfile makes have no access lists of their own.")
		for _, s := range p.Steps {
			if s.Kind != StepGrant {
				continue
			}
			doing := "grant write access to " + s.To
			step(&b, fmt.Sprintf(`if not exist %s mkdir %s`, batchQuote(s.To+`\`), batchQuote(s.To)), doing+": mkdir", true)
			step(&b, fmt.Sprintf(`"%%SystemRoot%%\System32\icacls.exe" %s /grant "*%s:(OI)(CI)M" /q`, batchQuote(s.To), s.Trustee.SID), doing+": icacls", true)
		}
	}
	for _, s := range p.Steps {
		if s.Kind != StepStart {
			continue
		}
		line("rem %s", s.Why)
		for _, c := range s.Commands {
			step(&b, c, "configure IIS: appcmd"+strings.TrimPrefix(c, appcmd), false)
		}
	}
	if p.Service != nil {
		b.WriteString(serviceScript(*p.Service))
	} else {
		line(`del %s >nul 2>&1`, stepLog)
		command := p.AppEntrypoint()
		quoted := make([]string, len(command))
		for i, a := range command {
			quoted[i] = batchArg(a)
		}
		line("%s %%*", strings.Join(quoted, " "))
		line("exit /b %%ERRORLEVEL%%")
	}
	b.WriteString(strings.ReplaceAll(failedPart, "\n", "\r\n"))
	text := b.String()
	if strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
		text = strings.Replace(text, "@echo off\r\n", "@echo off\r\n%SystemRoot%\\System32\\chcp.com 65001 >nul\r\n", 1)
	}
	return scriptFile, []byte(text), true
}

// stepLog takes what the tools say, which is shown when one fails: sc and appcmd
// write their errors to stdout, and what they say of success is of no use. It lies
// beside the script, where an administrator may write; TEMP may be the app's own.
const stepLog = `"%~dp0start.log"`

// step writes a command and, for when it fails, the jump to failedPart. doing is
// what failed, by which tool; rights says that this is mostly a matter of them.
func step(b *strings.Builder, command, doing string, rights bool) {
	label := "failed"
	if rights {
		label = "denied"
	}
	fmt.Fprintf(b, "%s >%s 2>&1\r\n", command, stepLog)
	fmt.Fprintf(b, `if not "%%ERRORLEVEL%%"=="0" (set "WINPACK_CODE=%%ERRORLEVEL%%" & set "WINPACK_STEP=%s" & goto :%s)`+"\r\n", batchValue(doing), label)
}

// failedPart ends the script after a step that failed, with what its tool said. 5 is
// ERROR_ACCESS_DENIED. The values are shown by delayed expansion, which takes
// nothing in them for syntax.
const failedPart = `:denied
set "WINPACK_DENIED=1"
:failed
setlocal EnableDelayedExpansion
echo start.cmd: cannot !WINPACK_STEP! ended with code !WINPACK_CODE! 1>&2
type ` + stepLog + ` 1>&2
if "!WINPACK_CODE!"=="5" set "WINPACK_DENIED=1"
if defined WINPACK_DENIED echo start.cmd: for example because the container does not start as ContainerAdministrator 1>&2
exit /b 1
`

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
