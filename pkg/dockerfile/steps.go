package dockerfile

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/detect/winname"
)

const (
	siteDir   = `C:\inetpub\wwwroot`
	appDir    = `C:\app`
	dotnetExe = `C:\Program Files\dotnet\dotnet.exe`
)

// Trustees that folders are granted to. SIDs: "Well-known SIDs", [MS-DTYP] 2.4.2.4.
var (
	iisUsers = Trustee{Name: "IIS_IUSRS", SID: "S-1-5-32-568"}
	allUsers = Trustee{Name: "Users", SID: "S-1-5-32-545"} // ContainerUser is one of them
)

// notShipped are files of the app folder that are no part of the app.
func notShipped() []string { return []string{".git", "winpack.toml"} }

// steps fills in steps, configuration and what builder they need.
func (p *planner) steps() error {
	if p.rep.App.Kind == detect.KindPHP && !slices.Contains(p.rows, nil) {
		return p.noRuntime("PHP", "name an image of IIS with PHP in it with --base")
	}
	if p.hosted() {
		if err := p.iisSteps(); err != nil {
			return err
		}
	} else if err := p.programSteps(); err != nil {
		return err
	}
	if err := p.set(); err != nil {
		return err
	}
	p.started()
	if p.plan.Config.Entrypoint == nil {
		p.plan.Config.Entrypoint = []string{}
	}
	for _, s := range p.plan.Steps {
		if s.Kind == StepRun || s.Kind == StepManual {
			p.plan.Builder.Windows = true
			why := s.Why
			if s.Kind == StepManual {
				why += byHand
			}
			if !slices.Contains(p.plan.Builder.Reasons, why) {
				p.plan.Builder.Reasons = append(p.plan.Builder.Reasons, why)
			}
		}
	}
	return nil
}

// grants adds a grant step for each folder that the app writes to.
func (p *planner) grants(root string, to Trustee, why string) error {
	var granted []string
	grant := func(dir, why string) {
		if !slices.ContainsFunc(granted, func(old string) bool { return strings.EqualFold(old, dir) }) {
			granted = append(granted, dir)
			p.plan.Steps = append(p.plan.Steps, Step{Kind: StepGrant, Why: why, To: dir, Trustee: to})
		}
	}
	for _, w := range p.rep.Needs.Writes {
		dir, err := windowsPath(root, w.Path)
		if err != nil {
			return err
		}
		grant(dir, why)
	}
	for _, w := range p.opt.Write {
		dir, err := within(root, w)
		if err != nil {
			return &UsageError{"write " + err.Error()}
		}
		grant(dir, "winpack.toml says that the app writes there")
	}
	return nil
}

// windowsPath puts a path of the app below a folder of the image. What Windows
// cannot name, or what would leave the folder, is an error.
func windowsPath(root, rel string) (string, error) {
	clean := path.Clean(rel)
	if clean == "." {
		return root, nil
	}
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", &UsageError{fmt.Sprintf(`path %q leads out of the app's folder: rename it, or write an absolute one like C:\data`, strings.ReplaceAll(rel, "/", `\`))}
	}
	bad := strings.HasPrefix(clean, "/")
	for _, r := range clean {
		bad = bad || r < ' ' || r == 0x7f || strings.ContainsRune(`<>:"|?*\`, r) || r == 0xfffd
	}
	if err := winname.Check(clean, false); err != nil && !bad {
		return "", &UsageError{fmt.Sprintf("path %q cannot be in a Windows image: %v: rename it", rel, err)}
	}
	if bad {
		return "", &UsageError{fmt.Sprintf("path %q cannot be in a Windows image: rename it", rel)}
	}
	return root + `\` + strings.ReplaceAll(clean, "/", `\`), nil
}

func (p *planner) programSteps() error {
	app, prog := p.rep.App, p.rep.App.Program
	c := &p.plan.Config
	if p.want.clr2 {
		p.netfx3()
	}
	p.plan.Steps = append(p.plan.Steps, Step{Kind: StepCopy, Why: "the app", From: ".", To: appDir, Exclude: notShipped()})
	if err := p.extras(appDir); err != nil {
		return err
	}
	c.WorkingDir = appDir
	c.Ports = slices.Clone(app.Ports)
	if prog == nil {
		if app.Kind != detect.KindUnknown && len(p.opt.Entrypoint) == 0 {
			return &UsageError{"no program that starts the app was found: " + (&UnknownKindError{}).Error()}
		}
		c.User = p.opt.User
		return p.programGrants()
	}
	exe, err := windowsPath(appDir, prog.Path)
	if err != nil {
		return &AppNameError{err}
	}
	command := []string{exe}
	switch prog.Form {
	case detect.FormFrameworkDependent:
		command = []string{dotnetExe, exe}
	case detect.FormScript:
		if command, err = p.scriptCommand(); err != nil {
			return err
		}
	}
	if prog.Form != detect.FormScript {
		command = append(command, p.serverArguments()...)
	}
	asService := prog.Service != nil && !prog.Service.Foreground && len(p.opt.Entrypoint) == 0
	c.User = cmp.Or(p.opt.User, p.userOf(app.Kind, asService))
	if asService {
		p.service(command)
	} else {
		c.Entrypoint = command
	}
	if err := p.programGrants(); err != nil {
		return err
	}
	if app.Kind == detect.KindASPNETCore {
		p.kestrel()
	}
	if len(prog.Env) > 0 {
		if c.Env == nil {
			c.Env = map[string]string{}
		}
		maps.Copy(c.Env, prog.Env)
	}
	return nil
}

// started warns where nothing is known to start the app: of an unknown kind only
// the base could.
func (p *planner) started() {
	c := p.plan.Config
	if p.rep.App.Kind != detect.KindUnknown || len(c.Entrypoint) > 0 || len(c.Cmd) > 0 {
		return
	}
	remedy := `Set entrypoint in winpack.toml, like entrypoint = ["C:\\app\\server.exe"], or name a base that starts what lies in ` + appDir + "."
	if p.rows[0] == nil {
		p.find(RuleNoStart, detect.LevelNote, "Only the given base can start the app, and what that runs is not known.", remedy)
		return
	}
	p.find(RuleNoStart, detect.LevelWarning, "Nothing starts the app: the container runs what the base image runs by itself.", remedy)
}

// userOf is the account that a program runs as.
func (p *planner) userOf(kind detect.Kind, asService bool) string {
	switch {
	case asService:
		return userAdmin
	case kind == detect.KindNetFXConsole, kind == detect.KindNetFXService:
		// URL reservations of http.sys and files beside the program are the rule in
		// .NET Framework programs, and both need the administrator of the image.
		return userAdmin
	case p.httpSys():
		p.why("the program listens by http.sys, which lets only an administrator take a URL that nobody reserved: it runs as " + userAdmin)
		return userAdmin
	}
	return userUnelevated
}

// programGrants grants write access where the program is no administrator, who has it.
func (p *planner) programGrants() error {
	if p.plan.Administrator() {
		return nil
	}
	return p.grants(appDir, allUsers, "the program writes there and runs as "+cmp.Or(p.plan.Config.User, userUnelevated))
}

// httpSys says whether the program listens by http.sys, which lets only an
// administrator take a URL that nobody reserved ([HTTP Server API], UrlAcl).
func (p *planner) httpSys() bool {
	return slices.ContainsFunc(p.rep.Facts, func(f detect.Fact) bool {
		return f.OverruledBy == "" && slices.ContainsFunc(p.cat.HTTPSys, func(r HTTPSysRow) bool {
			return r.Fact == f.Key && slices.Contains(r.Values, f.Value)
		})
	})
}

// kestrel sets what the images of Microsoft set (dotnet-docker, src/runtime): without
// it Kestrel listens on localhost only, which nothing outside the container reaches.
func (p *planner) kestrel() {
	c := &p.plan.Config
	major, _, ok := majorMinor(cmp.Or(p.want.version, p.rep.App.Framework.Version))
	old := ok && major < 8
	inImage := true
	for _, row := range p.rows {
		inImage = inImage && row != nil && (row.Role == roleDotNet || row.Role == roleDotNetASP)
	}
	port := 8080
	if inImage && old {
		port = 80 // ASPNETCORE_URLS=http://+:80 in images before .NET 8
	}
	if given := p.givenPorts(); len(given) > 0 {
		c.Ports = given
	}
	if len(c.Ports) == 0 {
		c.Ports = []int{port}
	}
	if inImage {
		return
	}
	c.Env = map[string]string{"DOTNET_RUNNING_IN_CONTAINER": "true"}
	if old {
		c.Env["ASPNETCORE_URLS"] = "http://+:8080"
	} else {
		c.Env["ASPNETCORE_HTTP_PORTS"] = "8080"
	}
}

// listenVariables are those that say where Kestrel listens, the strongest first
// (learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints).
var listenVariables = []string{"ASPNETCORE_URLS", "DOTNET_URLS", "URLS", "ASPNETCORE_HTTP_PORTS", "DOTNET_HTTP_PORTS", "HTTP_PORTS"}

// givenPorts are the ports that the settings' variables give to Kestrel; nil where
// they give none, or its own configuration, which is stronger, names endpoints.
func (p *planner) givenPorts() []int {
	for _, f := range p.rep.Facts {
		if f.Key == "port" && f.OverruledBy == "" && len(f.Evidence) > 0 && strings.HasPrefix(strings.ToLower(f.Evidence[0].Detail), "kestrel:endpoints") {
			return nil
		}
	}
	for _, name := range listenVariables {
		for key, value := range p.opt.Env {
			if !strings.EqualFold(key, name) {
				continue
			}
			var ports []int
			for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' }) {
				address := strings.TrimRight(part[strings.LastIndexByte(part, ':')+1:], "/ ")
				if n, err := strconv.Atoi(strings.TrimSpace(address)); err == nil && n > 0 && n < 65536 && !slices.Contains(ports, n) {
					ports = append(ports, n)
				}
			}
			return ports
		}
	}
	return nil
}

// whyNot gives the reasons for what was left undone.
func (p *planner) whyNot() []string {
	var out []string
	for _, s := range p.plan.Steps {
		if s.Kind == StepStart {
			out = append(out, s.Why)
		}
	}
	if p.hosted() {
		for _, row := range p.rows {
			if row != nil && row.DefaultPage {
				why := "the image's own iisstart.htm stays in wwwroot: it is the last default document, so a start page of the site wins"
				if !p.plan.Builder.Windows {
					why += ", and deleting it would take a RUN step"
				}
				out = append(out, why)
				break
			}
		}
	}
	return out
}

// AppEntrypoint is what runs the app: the plan's own entrypoint or, where it has
// none, that of the base.
func (p Plan) AppEntrypoint() []string {
	if len(p.Config.Entrypoint) > 0 || len(p.Bases) == 0 {
		return slices.Clone(p.Config.Entrypoint)
	}
	return slices.Clone(p.Bases[0].Entrypoint)
}

// Administrator says whether the container starts as an administrator.
func (p Plan) Administrator() bool {
	if p.Config.User != "" {
		return strings.EqualFold(p.Config.User, userAdmin)
	}
	return len(p.Bases) > 0 && p.Bases[0].Administrator
}
