package dockerfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

var serviceNamePattern = regexp.MustCompile(`^[A-Za-z0-9._$@#()+ -]{1,256}$`)

// service sets the start script of a program that only runs under the service manager.
func (p *planner) service(command []string) {
	name := p.rep.App.Program.Service.Name
	if strings.TrimSpace(name) == "" {
		name = safeServiceName(p.rep.App.Name)
		p.find(RuleServiceName, detect.LevelNote, "the binary does not give the name of its service: it is registered as "+name, "none needed unless the program looks its own service up by name")
	} else if !serviceNamePattern.MatchString(name) || strings.TrimSpace(name) != name {
		safe := safeServiceName(name)
		p.find(RuleServiceName, detect.LevelWarning, fmt.Sprintf("the service name %q cannot stand in a start script: the service is registered as %s", name, safe), "give the service a name of letters, digits, dots, dashes and blanks")
		name = safe
	}
	p.plan.Service = &ServiceStart{Name: name, Program: command[0], Arguments: slices.Clone(command[1:])}
	p.plan.Config.Entrypoint = scriptEntrypoint()
	p.plan.Why = append(p.plan.Why, "the program runs only under the service manager: a start script registers it, starts it, waits until it stops and ends with its exit code")
}

func safeServiceName(s string) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x80 && serviceNamePattern.MatchString(string(r)) && r != ' ' {
			return r
		}
		return '-'
	}, s)
	out = strings.Trim(out, "-.")
	if len(out) > 80 {
		out = out[:80]
	}
	return cmp.Or(out, "app")
}

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
