package dockerfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/winpack/winpack/pkg/detect"
)

// maxServiceName is the longest name that the service manager takes.
const maxServiceName = 256

// isServiceName says whether a name can stand in a start script as it is. A pattern
// that counts to 256 took longer to compile, in every process, than all else here.
func isServiceName(name string) bool {
	return name != "" && len(name) <= maxServiceName && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune(nameCharacters+"@#()+", r) && (r <= '~' || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	})
}

// nameCharacters are those of names of services and accounts.
const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._$ -"

// service sets the start script of a program that only runs under the service manager.
func (p *planner) service(command []string) {
	name := p.rep.App.Program.Service.Name
	if strings.TrimSpace(name) == "" {
		name = safeServiceName(p.rep.App.Name)
		p.find(RuleServiceName, detect.LevelNote, "winpack could not read the name of the service from the binary: it is registered as "+name+".",
			"Nothing to do, unless the program looks its own service up by name: a process with one service runs under any.")
	} else if !isServiceName(name) || strings.TrimSpace(name) != name {
		safe := safeServiceName(name)
		p.find(RuleServiceName, detect.LevelWarning, fmt.Sprintf("the service name %q cannot stand in a start script: the service is registered as %s", name, safe), "give the service a name of letters, digits, dots, dashes and blanks")
		name = safe
	}
	p.plan.Service = &ServiceStart{Name: name, Program: command[0], Arguments: slices.Clone(command[1:])}
	p.plan.Config.Entrypoint = scriptEntrypoint()
	p.plan.Why = append(p.plan.Why, "the program runs only under the service manager: a start script registers it, starts it, waits until it stops and ends with its exit code")
	p.find(RuleServiceStop, detect.LevelNote, "a stop of the container ends the start script, not the service: Windows tells the service at most if it accepts shutdown (CanShutdown in .NET, which is off by default; SERVICE_ACCEPT_SHUTDOWN), and leaves it little time",
		"accept shutdown in the service, or stop it before: in Kubernetes by a preStop hook that runs powershell Stop-Service '"+name+"', and waits")
}

func safeServiceName(s string) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x80 && isServiceName(string(r)) && r != ' ' {
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
// with that of the process that asked; so the container's variables go there, but
// for those that Windows sets for every process. PowerShell writes them: it reads
// its environment by itself, so that no value passes a command line, where cmd
// would end it at 8,191 characters (the service links of Kubernetes alone can be
// that long) and take quotes and the like for syntax.
//
// A cmd script is ended by the CTRL_SHUTDOWN_EVENT of a container's stop and can
// not stop the service then: the finding RuleServiceStop says what that means.
func serviceScript(s ServiceStart) string {
	binary := crtQuote(s.Program)
	for _, a := range s.Arguments {
		binary += " " + crtQuote(a)
	}
	inner := crtQuote(binary) // sc.exe takes the whole command line as one argument
	inner = inner[1 : len(inner)-1]
	var b strings.Builder
	line := func(text string) { b.WriteString(text + "\r\n") }
	line(`rem A container that is started again has the service already.`)
	line(sc + ` query "` + s.Name + `" >nul 2>&1`) // by isServiceName: no %, quote, or other syntax
	line(`if not errorlevel 1 goto :registered`)
	step(&b, fmt.Sprintf(`%s create "%s" binPath= "%s" start= demand`, sc, s.Name, batchValue(inner)), "register the service "+s.Name+": sc create", false)
	line(`:registered`)
	line(`rem A service has the environment of its registry key, not that of the container.`)
	step(&b, powershell+` "`+strings.ReplaceAll(environment, "@NAME@", s.Name)+`"`, "hand the environment to the service "+s.Name+": powershell", true)
	step(&b, fmt.Sprintf(`%s start "%s"`, sc, s.Name), "start the service "+s.Name+": sc start", false)
	line(`rem A stop of the container ends this script. The service hears of it at most if it`)
	line(`rem accepts shutdown; to stop it before, run: powershell Stop-Service '` + s.Name + `'`)
	b.WriteString(strings.NewReplacer("\n", "\r\n", "@NAME@", s.Name).Replace(waitPart))
	return b.String()
}

const (
	sc         = `"%SystemRoot%\System32\sc.exe"`
	powershell = `"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive -Command`
)

// environment is one line for PowerShell, without a quote, percent or exclamation
// mark, which cmd would see.
const environment = `try { ` +
	`$skip = '` + windowsOwn + `'.Split(';'); ` +
	`$all = [Environment]::GetEnvironmentVariables(); ` +
	`$list = @($all.Keys | Where-Object { $skip -notcontains $_ } | Sort-Object | ForEach-Object { $_ + '=' + $all[$_] }); ` +
	`[Microsoft.Win32.Registry]::SetValue('HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\@NAME@', 'Environment', [string[]]$list, [Microsoft.Win32.RegistryValueKind]::MultiString) ` +
	`} catch { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }`

// windowsOwn are the variables that Windows sets for every process; a service
// runs as another user, for whom they differ.
const windowsOwn = `ALLUSERSPROFILE;APPDATA;CommonProgramFiles;CommonProgramFiles(x86);CommonProgramW6432;COMPUTERNAME;ComSpec;DriverData;LOCALAPPDATA;NUMBER_OF_PROCESSORS;OS;PATHEXT;` +
	`PROCESSOR_ARCHITECTURE;PROCESSOR_IDENTIFIER;PROCESSOR_LEVEL;PROCESSOR_REVISION;ProgramData;ProgramFiles;ProgramFiles(x86);ProgramW6432;PROMPT;PSModulePath;PUBLIC;` +
	`SystemDrive;SystemRoot;TEMP;TMP;USERDOMAIN;USERNAME;USERPROFILE;windir`

const waitPart = `:wait
set "WINPACK_STATE="
for /f "tokens=1,2 delims=: " %%a in ('%SystemRoot%\System32\sc.exe query "@NAME@"') do (
  if "%%a"=="STATE" set "WINPACK_STATE=%%b"
  if "%%a"=="WIN32_EXIT_CODE" set "WINPACK_WIN32=%%b"
  if "%%a"=="SERVICE_EXIT_CODE" set "WINPACK_OWN=%%b"
)
if not defined WINPACK_STATE (set "WINPACK_CODE=1" & set "WINPACK_STEP=ask for the service @NAME@: sc query" & goto :failed)
if "%WINPACK_STATE%"=="1" goto :stopped
"%SystemRoot%\System32\ping.exe" -n 2 127.0.0.1 >nul
goto :wait
:stopped
rem ERROR_SERVICE_SPECIFIC_ERROR: the service gave a code of its own.
if "%WINPACK_WIN32%"=="1066" exit /b %WINPACK_OWN%
exit /b %WINPACK_WIN32%
`
