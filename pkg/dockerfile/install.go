package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// run adds a run step; dism's 3010 (a restart is wanted) is no failure in a container.
func (p *planner) run(why string, oses []string, commands ...string) {
	p.plan.Steps = append(p.plan.Steps, Step{Kind: StepRun, Why: why, Commands: commands, OS: oses})
}

const dismOK = ` & if errorlevel 3011 (exit 1) else if errorlevel 3010 (exit 0) else if errorlevel 1 (exit 1) else if not errorlevel 0 exit 1`

func (p *planner) netfx3() {
	if p.given(".NET Framework 3.5") {
		return
	}
	for _, row := range p.cat.NetFX3 {
		var oses []string
		for _, b := range p.plan.Bases {
			if slices.Contains(row.OS, b.OS) {
				oses = append(oses, b.OS)
			}
		}
		if len(oses) == 0 {
			continue
		}
		if len(oses) == len(p.plan.Bases) {
			oses = nil
		}
		var commands []string
		for _, c := range row.Commands {
			if strings.HasPrefix(c, "dism ") {
				c += dismOK
			}
			commands = append(commands, c)
		}
		p.run(".NET Framework 2.0 to 3.5 is a Windows feature that no image has any more", oses, commands...)
	}
}

func (p *planner) runFeatures(needs []detect.Need) error {
	var dism, names []string
	need3 := false
	add := func(row FeatureRow) {
		for _, d := range row.DISM {
			if !slices.Contains(dism, d) {
				dism = append(dism, d)
			}
		}
		names = append(names, row.ID)
		need3 = need3 || row.NetFX3
	}
	if p.want.clr2 && !p.given("ASP.NET 3.5") {
		if i := slices.IndexFunc(p.cat.Features, func(r FeatureRow) bool { return r.ID == "aspnet35" }); i >= 0 {
			add(p.cat.Features[i])
		}
	}
	for _, n := range needs {
		if p.given("the Windows feature " + printable(n.ID)) {
			continue
		}
		i := slices.IndexFunc(p.cat.Features, func(r FeatureRow) bool { return r.ID == n.ID })
		if i < 0 {
			return &UsageError{fmt.Sprintf("the app needs the Windows feature %q, which the catalog does not know: add it there, or name an image with --base", n.ID)}
		}
		present := true
		for _, row := range p.rows {
			present = present && row != nil && slices.Contains(row.Has, n.ID)
		}
		if !present && !slices.Contains(names, n.ID) {
			add(p.cat.Features[i])
		}
	}
	if len(dism) == 0 {
		return nil
	}
	if need3 && !p.want.clr2 {
		p.netfx3()
	}
	slices.Sort(names)
	p.run("only a Windows feature brings "+strings.Join(names, ", "), nil,
		"dism /Online /Quiet /NoRestart /Enable-Feature /All /FeatureName:"+strings.Join(dism, " /FeatureName:")+dismOK)
	return nil
}

func (p *planner) runModules(needs []detect.Need) {
	done := map[string]bool{}
	var add func(id string, seen []detect.Evidence)
	add = func(id string, seen []detect.Evidence) {
		if done[id] {
			return
		}
		done[id] = true
		i := slices.IndexFunc(p.cat.Modules, func(r ModuleRow) bool { return r.ID == id })
		what := "the IIS module " + printable(id)
		if i >= 0 {
			what = p.cat.Modules[i].Name
		}
		if p.given(what) {
			return
		}
		if i < 0 || p.cat.Modules[i].URL == "" {
			p.findAt(RuleNoInstaller, detect.LevelError, what+noInstaller, "install it in the written Dockerfile, name an image that has it with --base, or do without it", seen)
			p.manual(what)
			return
		}
		row := p.cat.Modules[i]
		for _, n := range row.Needs {
			add(n, seen)
		}
		commands := []string{p.download(row.URL, row.File) + fmt.Sprintf(` && start /wait msiexec.exe /i C:\%s /qn /norestart && del C:\%s`, row.File, row.File)}
		for _, after := range row.AppCmd {
			commands = append(commands, appcmd+" "+after)
		}
		p.run("only an installer brings "+row.Name, nil, commands...)
	}
	for _, n := range needs {
		add(n.ID, n.Evidence)
	}
	for _, f := range p.rep.Facts {
		if what := "the native IIS module " + printable(f.Value); f.Key == "unknown-module" && f.OverruledBy == "" && !p.given(what) {
			p.manual(what)
		}
	}
}

// given says whether --base names an image that the catalog does not know: only
// its user can know what is in it, and the plan adds nothing that it may have.
func (p *planner) given(what string) bool {
	if p.opt.Base == "" || slices.ContainsFunc(p.rows, func(row *ImageRow) bool { return row != nil }) {
		return false
	}
	p.findAt(RuleBaseTrusted, detect.LevelNote, "the given base is taken to have "+what, "install it in that image, or leave out --base", p.place("base"))
	return true
}

const (
	noInstaller = " is in no base image, and winpack knows no installer for it"
	byHand      = ": install it in the written Dockerfile between the edit markers, or name an image that has it with --base"
)

// manual notes what only a person can install.
func (p *planner) manual(what string) {
	p.plan.Steps = append(p.plan.Steps, Step{Kind: StepManual, Why: what + noInstaller})
}

// download is a command that fetches a file to C:\ and fails where it can't.
func (p *planner) download(url, file string) string {
	for _, b := range p.plan.Bases {
		if rel, ok := p.cat.Release(b.OS); ok && rel.NoCurl {
			// Windows PowerShell offers no TLS 1.2 there by itself.
			return fmt.Sprintf(`powershell.exe -NoLogo -NoProfile -NonInteractive -Command "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'; `+
				`[Net.ServicePointManager]::SecurityProtocol = 'Tls12'; Invoke-WebRequest -UseBasicParsing -Uri '%s' -OutFile 'C:\%s'"`, url, file)
		}
	}
	return fmt.Sprintf(`curl.exe -fsSL -o C:\%s %s`, file, url)
}
