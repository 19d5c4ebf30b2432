package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// wrapped is a command that a wrapper of another maker runs as a Windows service.
type wrapped struct {
	by       string   // the wrapper: winsw, nssm, srvany
	dir      string   // of the wrapper
	name     string   // of the service; empty where nothing says it
	words    []string // the program first
	evidence []Evidence
}

// wrapperNames are programs that run another one as a service. What they run stands in
// the registry, or in a script that installs them.
var wrapperNames = []string{"nssm.exe", "srvany.exe", "srvany-ng.exe", "instsrv.exe", "prunsrv.exe", "prunmgr.exe"}

// frameworkTools are programs of .NET Framework and its SDK that people copy beside their
// own, to install a service or an assembly.
var frameworkTools = []string{"installutil.exe", "regasm.exe", "regsvcs.exe", "gacutil.exe", "aspnet_regiis.exe", "aspnet_compiler.exe", "sgen.exe", "svcutil.exe",
	"sn.exe", "ngen.exe", "csc.exe", "vbc.exe", "csi.exe", "vbi.exe", "vbcscompiler.exe", "msbuild.exe", "ildasm.exe", "ilasm.exe", "ilmerge.exe", "tlbimp.exe", "aximp.exe", "xsd.exe", "wsdl.exe", "edmgen.exe", "mage.exe", "nuget.exe", "migrate.exe", "ef6.exe"}

// windowsTools are programs of Windows, and others that scripts of an application start.
var windowsTools = []string{"cmd.exe", "powershell.exe", "regsvr32.exe", "msiexec.exe", "reg.exe", "sc.exe", "net.exe", "netsh.exe", "icacls.exe", "subinacl.exe", "setacl.exe",
	"robocopy.exe", "xcopy.exe", "sqlcmd.exe", "osql.exe", "bcp.exe", "psexec.exe", "pskill.exe", "handle.exe", "procdump.exe", "procdump64.exe", "procdump64a.exe", "devcon.exe", "makecert.exe", "signtool.exe", "certmgr.exe",
	"curl.exe", "wget.exe", "7z.exe", "7za.exe", "7zr.exe", "unzip.exe", "zip.exe", "unrar.exe", "rar.exe", "gzip.exe", "tar.exe", "sed.exe", "grep.exe", "awk.exe", "gawk.exe", "plink.exe", "pscp.exe", "psftp.exe", "putty.exe", "winscp.exe"}

// winsw is the configuration of a WinSW beside its program: NAME.exe and NAME.xml; nil
// where there is none (github.com/winsw/winsw, doc/xml-config-file.md).
func (t *Tree) winsw(b *image) *element {
	p := t.find(strings.TrimSuffix(b.path, path.Ext(b.path)) + ".xml")
	if p == "" {
		return nil
	}
	head := t.head(p, headBytes) // documentation of a program lies there too
	if !serviceElement().Match(head) {
		return nil
	}
	root := t.readXML(p, "what it runs as a service is unknown")
	if root == nil || root.name != "service" && root.name != "configuration" || root.child("executable") == nil {
		return nil
	}
	return root
}

var serviceElement = pattern(`<(service|configuration)[\s>]`)

// wrapperOf says why a program is a wrapper of services, empty where it is none.
func (t *Tree) wrapperOf(b *image) string {
	if t.winsw(b) != nil {
		return "WinSW: it runs as a service what its .xml names"
	}
	if slices.Contains(frameworkTools, b.base) || strings.HasSuffix(b.base, ".vshost.exe") {
		return b.base + ": a tool of .NET Framework or Visual Studio"
	}
	if slices.Contains(windowsTools, b.base) {
		return b.base + ": a tool that scripts start"
	}
	if t.javaWrapper(b) {
		return b.base + ": it runs what a wrapper.conf describes"
	}
	if slices.Contains(wrapperNames, b.base) {
		return b.base + ": it runs another program as a service"
	}
	return ""
}

// wrappers are the commands that wrappers of the folder run.
func (t *Tree) wrappers() []wrapped {
	if t.wrapped != nil {
		return *t.wrapped
	}
	found := []wrapped{}
	for _, b := range t.binaries {
		if b.isDLL {
			continue
		}
		root := t.winsw(b)
		if root == nil {
			continue
		}
		p := t.find(strings.TrimSuffix(b.path, path.Ext(b.path)) + ".xml")
		w := wrapped{by: "winsw", dir: b.dir, words: []string{root.child("executable").text}, evidence: line(p, root.child("executable"), "WinSW runs "+root.child("executable").text)}
		if id := root.child("id"); id != nil {
			w.name = id.text
		}
		for _, c := range root.children {
			if c.name == "arguments" || c.name == "argument" || c.name == "startarguments" || c.name == "startargument" {
				w.words = append(w.words, commandLine(c.text)...)
			}
		}
		found = append(found, w)
	}
	found = append(found, t.nssm()...)
	found = append(found, t.srvany()...)
	found = append(found, t.javaWrappers()...)
	t.wrapped = &found
	return found
}

// nssm reads the scripts that install a service with NSSM: nssm install NAME PROGRAM
// ARGUMENTS (nssm.cc/usage).
func (t *Tree) nssm() []wrapped {
	var found []wrapped
	seen := 0
	for f := range t.withExt(".cmd", ".bat", ".ps1") {
		if seen++; seen > maxScripts {
			break
		}
		number := 0
		for l := range strings.Lines(string(t.head(f.path(), 64<<10))) {
			number++
			words := commandLine(strings.TrimLeft(strings.TrimSpace(l), "@&. "))
			if len(words) < 4 || !strings.EqualFold(words[1], "install") {
				continue
			}
			if programName(words[0]) != "nssm" {
				continue
			}
			found = append(found, wrapped{by: "nssm", dir: f.dir.path, name: words[2], words: words[3:],
				evidence: []Evidence{{Path: f.path(), Line: number, Detail: mask("nssm install " + strings.Join(words[2:], " "))}}})
		}
	}
	return found
}

// detectWrappers names the programs of the folder that wrappers run as a service.
func detectWrappers(t *Tree) []Fact {
	var facts []Fact
	for _, w := range t.wrappers() {
		exe := t.commandFile(w.dir, cmp.Or(strings.TrimSpace(w.words[0]), "?"))
		if exe == "" && !strings.ContainsAny(w.words[0], `/\`) {
			exe = t.commandFile(w.dir, w.words[0]+".exe")
		}
		if exe == "" {
			exe = t.serverFile(w.dir, w.words[0])
		}
		if exe == "" || path.Ext(strings.ToLower(exe)) != ".exe" {
			if name := clean(programName(w.words[0])); name != "" { // a runtime, as node and java
				facts = append(facts, Fact{Key: "runtime-wrapper", Value: name, Evidence: w.evidence, item: &w})
			}
			continue
		}
		args := w.words[1:]
		if slices.ContainsFunc(args, func(a string) bool { return hasSecret(a) || strings.Contains(a, "%") }) {
			args = nil
		}
		facts = append(facts, Fact{Key: "service-wrapper", Value: exe, Evidence: w.evidence, item: &wrapped{by: w.by, name: w.name, words: append([]string{exe}, args...), evidence: w.evidence}})
	}
	return facts
}

// serviceOfWrapper makes a console program that a wrapper runs the service that it is
// on the server: in a container it runs by itself.
func (r *resolution) serviceOfWrapper() {
	p := r.app.Program
	if p == nil {
		return
	}
	kinds := map[Kind]Kind{KindNetFXConsole: KindNetFXService, KindDotNetConsole: KindDotNetService, KindNativeConsole: KindNativeService}
	r.each("service-wrapper", func(f *Fact) {
		w, _ := f.item.(*wrapped)
		if w == nil || !strings.EqualFold(f.Value, p.Path) || p.Service != nil {
			return
		}
		to, ok := kinds[r.app.Kind]
		if !ok {
			return
		}
		r.app.Kind = to
		p.Arguments = w.words[1:]
		p.Service = &Service{Name: w.name, Foreground: true, Evidence: w.evidence}
		r.each("kind", func(k *Fact) {
			if k.OverruledBy == "" {
				k.OverruledBy = string(to) + ": a wrapper runs it as a service"
			}
		})
		defer r.derive("kind", string(to), p.Path, w.evidence, nil)
	})
}

// serverFile finds what a path of the server, as C:\Services\feed\feed.exe, is in the
// folder: the file at the longest end of the path that is there, seen from dir or from
// the root.
func (t *Tree) serverFile(dir, p string) string {
	p = strings.ReplaceAll(strings.Trim(p, `"`), `\`, "/")
	if len(p) < 3 || p[1] != ':' || strings.Contains(p, "..") {
		return ""
	}
	for rest := p[3:]; rest != ""; {
		for _, from := range []string{dir, "."} {
			if file := t.find(path.Join(from, rest)); file != "" {
				return file
			}
		}
		var ok bool
		if _, rest, ok = strings.Cut(rest, "/"); !ok {
			break
		}
	}
	return ""
}

// srvany reads what says which program srvany runs: the value Application below the
// key Parameters of the service, in a .reg file or a command "reg add"
// (learn.microsoft.com/troubleshoot/windows-client/setup-upgrade-and-drivers/create-user-defined-service).
func (t *Tree) srvany() []wrapped {
	if !slices.ContainsFunc(t.binaries, func(b *image) bool { return strings.HasPrefix(b.base, "srvany") }) && !t.anywhere("srvany.exe") {
		return nil
	}
	var found []wrapped
	seen := 0
	for f := range t.withExt(".reg", ".cmd", ".bat", ".ps1") {
		if seen++; seen > maxScripts {
			break
		}
		number, service := 0, ""
		take := func(name, program string, detail string) {
			if words := commandLine(program); len(words) > 0 {
				if file := t.serverFile(f.dir.path, program); file != "" { // a path with spaces, without quotes
					words = []string{program}
				}
				found = append(found, wrapped{by: "srvany", dir: f.dir.path, name: name, words: words, evidence: []Evidence{{Path: f.path(), Line: number, Detail: mask(detail)}}})
			}
		}
		for l := range strings.Lines(string(t.head(f.path(), 64<<10))) {
			number++
			l = strings.TrimSpace(l)
			if f.ext() == ".reg" {
				if m := parametersKey().FindStringSubmatch(l); m != nil {
					service = m[1]
				} else if m := applicationValue().FindStringSubmatch(l); m != nil && service != "" {
					program := strings.ReplaceAll(m[1], `\\`, `\`)
					take(service, program, "Application "+program)
				}
				continue
			}
			words := commandLine(strings.TrimLeft(l, "@& "))
			if len(words) < 4 || programName(words[0]) != "reg" || !strings.EqualFold(words[1], "add") {
				continue
			}
			m := parametersKey().FindStringSubmatch("[" + words[2] + "]")
			value, data := "", ""
			for i, w := range words[:len(words)-1] {
				switch strings.ToLower(w) {
				case "/v":
					value = words[i+1]
				case "/d":
					data = words[i+1]
				}
			}
			if m != nil && strings.EqualFold(value, "Application") && data != "" {
				take(m[1], data, "reg add Application "+data)
			}
		}
	}
	return found
}

var (
	parametersKey    = pattern(`(?i)^\[(?:HKEY_LOCAL_MACHINE|HKLM)\\SYSTEM\\(?:CurrentControlSet|ControlSet\d{3})\\Services\\([^\\\]]+)\\Parameters\]`)
	applicationValue = pattern(`(?i)^"Application"="(.*)"$`)
)
