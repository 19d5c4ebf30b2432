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

// serviceScript registers the program as a service, hands it the container's
// environment, starts it, waits and ends with its exit code.
//
// The service manager starts a service with the machine's environment and the
// values of the service's own registry value Environment (REG_MULTI_SZ), never
// with that of the process that asked; so the container's variables go there.
// All values pass by delayed expansion, which cmd does after it has parsed the
// line: quotes, %, !, ^, & and line feeds in a value are only text. reg.exe reads its
// arguments as the C runtime does: backslashes in front of a quote are doubled, by
// way of a mark character that no value holds, and values are joined by another
// such character. What does not pass: a variable whose name holds "!" or "=", an
// empty one (for cmd it does not exist), and an environment of more than 7,000
// characters in all, for which the script ends with 1 (a command line of cmd ends at 8,191).
// Variables that Windows sets for every process are left out.
//
// A container that is stopped shuts its Windows down, at which the service
// manager stops its services as on any server (SERVICE_CONTROL_SHUTDOWN to those
// that accept it) while this script is still waiting: cmd itself gets no say in a
// CTRL_SHUTDOWN_EVENT. On CTRL+C or CTRL+BREAK it would ask whether to end the
// batch job; nothing in a container answers, and the runtime ends it.
func serviceScript(s ServiceStart) string {
	binary := crtQuote(s.Program)
	for _, a := range s.Arguments {
		binary += " " + crtQuote(a)
	}
	inner := crtQuote(binary) // sc.exe takes the whole command line as one argument
	inner = inner[1 : len(inner)-1]
	r := strings.NewReplacer(
		"\n", "\r\n",
		"@NAME@", s.Name, // of serviceNamePattern: no %, quote, or other syntax
		"@BINARY@", batchValue(inner),
	)
	return r.Replace(serviceTemplate)
}

const serviceTemplate = `set "WINPACK_SC=%SystemRoot%\System32\sc.exe"
set "WINPACK_REG=%SystemRoot%\System32\reg.exe"
set "WINPACK_PING=%SystemRoot%\System32\ping.exe"
set "WINPACK_NAME=@NAME@"
set "WINPACK_KEY=HKLM\SYSTEM\CurrentControlSet\Services\@NAME@"
set "WINPACK_BINARY=@BINARY@"
setlocal EnableDelayedExpansion
rem A container that is started again has the service already.
"!WINPACK_SC!" query "!WINPACK_NAME!" >nul 2>&1
if not errorlevel 1 goto :registered
"!WINPACK_SC!" create "!WINPACK_NAME!" binPath= "!WINPACK_BINARY!" start= demand >nul
if not "!ERRORLEVEL!"=="0" goto :noservice
:registered
rem Two characters that no variable holds: one between the values, one as a mark.
set "WINPACK_MARK="
set "WINPACK_JOIN="
for %%c in (# @ $ + [ ] { }) do if not defined WINPACK_JOIN call :free "%%c"
if not defined WINPACK_JOIN goto :noenv
set "WINPACK_ALL="
for /f "delims==" %%n in ('set') do (
  call :mine "%%n"
  if defined WINPACK_TAKE if defined %%n (
    if not "!%%n:~7000,1!"=="" goto :noenv
    if defined WINPACK_ALL (set "WINPACK_ALL=!WINPACK_ALL!!WINPACK_JOIN!%%n=!%%n!") else set "WINPACK_ALL=%%n=!%%n!"
    if not "!WINPACK_ALL:~7000,1!"=="" goto :noenv
  )
)
if not defined WINPACK_ALL goto :start
set "WINPACK_V=!WINPACK_ALL!"
call :escape
if not "!WINPACK_V:~7600,1!"=="" goto :noenv
"!WINPACK_REG!" add "!WINPACK_KEY!" /v Environment /t REG_MULTI_SZ /s "!WINPACK_JOIN!" /d "!WINPACK_V!" /f >nul
if not "!ERRORLEVEL!"=="0" goto :noenv
:start
"!WINPACK_SC!" start "!WINPACK_NAME!" >nul
if not "!ERRORLEVEL!"=="0" goto :noservice
:wait
set "WINPACK_STATE="
for /f "tokens=1,2 delims=: " %%a in ('%SystemRoot%\System32\sc.exe query "@NAME@"') do (
  if "%%a"=="STATE" set "WINPACK_STATE=%%b"
  if "%%a"=="WIN32_EXIT_CODE" set "WINPACK_WIN32=%%b"
  if "%%a"=="SERVICE_EXIT_CODE" set "WINPACK_OWN=%%b"
)
if not defined WINPACK_STATE goto :noservice
if "!WINPACK_STATE!"=="1" goto :stopped
"!WINPACK_PING!" -n 2 127.0.0.1 >nul
goto :wait
:stopped
rem ERROR_SERVICE_SPECIFIC_ERROR: the service gave a code of its own.
if "!WINPACK_WIN32!"=="1066" exit /b !WINPACK_OWN!
exit /b !WINPACK_WIN32!
:noservice
echo start.cmd: cannot register or start the service @NAME@: the container has to start as ContainerAdministrator 1>&2
exit /b 1
:noenv
echo start.cmd: cannot hand the environment to the service @NAME@: it is longer than 7000 characters, or the registry refuses it 1>&2
exit /b 1
:mine
rem Variables that Windows sets for every process, and those of this script.
set "WINPACK_TAKE=%~1"
if /i "!WINPACK_TAKE:~0,8!"=="WINPACK_" set "WINPACK_TAKE="
for %%s in (ALLUSERSPROFILE APPDATA COMMONPROGRAMFILES COMMONPROGRAMW6432 COMPUTERNAME COMSPEC DRIVERDATA LOCALAPPDATA NUMBER_OF_PROCESSORS OS PATHEXT PROCESSOR_ARCHITECTURE PROCESSOR_IDENTIFIER PROCESSOR_LEVEL PROCESSOR_REVISION PROGRAMDATA PROGRAMFILES PROGRAMW6432 PROMPT PSMODULEPATH PUBLIC SYSTEMDRIVE SYSTEMROOT TEMP TMP USERDOMAIN USERNAME USERPROFILE WINDIR) do if /i "%~1"=="%%s" set "WINPACK_TAKE="
if /i "%~1"=="CommonProgramFiles(x86)" set "WINPACK_TAKE="
if /i "%~1"=="ProgramFiles(x86)" set "WINPACK_TAKE="
goto :eof
:free
for /f "delims==" %%n in ('set') do if defined %%n (
  set "WINPACK_T=%%n!%%n!"
  if not "!WINPACK_T:%~1=!"=="!WINPACK_T!" goto :eof
)
if not defined WINPACK_MARK (set "WINPACK_MARK=%~1") else set "WINPACK_JOIN=%~1"
goto :eof
:escape
rem \" for each quote, and twice each backslash before it and at the end.
for /f "delims=" %%m in ("!WINPACK_MARK!") do (
  set "WINPACK_V=!WINPACK_V:"=%%m\"!%%m"
)
:moved
set "WINPACK_OLD=!WINPACK_V!"
for /f "delims=" %%m in ("!WINPACK_MARK!") do set "WINPACK_V=!WINPACK_V:\%%m=%%m\\!"
if not "!WINPACK_OLD!"=="!WINPACK_V!" goto :moved
for /f "delims=" %%m in ("!WINPACK_MARK!") do set "WINPACK_V=!WINPACK_V:%%m=!"
goto :eof
`
