package dockerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

const appcmd = `"%SystemRoot%\System32\inetsrv\appcmd.exe"`

// Ports of IIS: where its images listen, and where a port alone does not make IIS do it.
const (
	httpPort   = 80
	httpsPort  = 443
	netTCPPort = 808 // of WCF
)

var sectionPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*([./][A-Za-z][A-Za-z0-9]*)*$`)

func (p *planner) hosted() bool {
	k := p.rep.App.Kind
	return slices.Contains([]detect.Kind{detect.KindASPNET, detect.KindWCF, detect.KindStatic, detect.KindClassicASP, detect.KindPHP}, k)
}

func (p *planner) iisSteps() error {
	iis := p.rep.Needs.IIS
	if iis == nil {
		iis = &detect.IIS{}
	}
	if p.want.clr2 {
		p.netfx3()
	}
	if err := p.runFeatures(iis.Features); err != nil {
		return err
	}
	p.runModules(iis.Modules)

	start := StepStart
	how := "at container start, so that the image builds without Windows"
	if p.plan.has(StepRun) || p.plan.has(StepManual) {
		how = "at container start; --prefer fast-start does it in the build"
	}
	if p.opt.Prefer == PreferFastStart {
		start, how = StepRun, "in the build, as --prefer fast-start asks"
	}
	var pool []string
	if iis.AppPool.Enable32Bit || p.rep.App.Architecture == detect.X86 {
		pool = append(pool, "/enable32BitAppOnWin64:true")
	}
	if p.want.clr2 {
		pool = append(pool, "/managedRuntimeVersion:v2.0")
	}
	if iis.AppPool.Classic {
		pool = append(pool, "/managedPipelineMode:Classic")
	}
	if len(pool) > 0 {
		p.plan.Steps = append(p.plan.Steps, Step{Kind: start, Why: "the app pool is configured " + how,
			Commands: []string{appcmd + ` set apppool "DefaultAppPool" ` + strings.Join(pool, " ")}})
	}
	if why := p.needsDomain(iis.Features); why != "" {
		p.plan.Steps = append(p.plan.Steps, Step{Kind: start, Why: "the app pool runs as Network Service, which acts by a gMSA in the domain (" + why + "), as the pool's own account does not; that is set " + how,
			Commands: []string{appcmd + ` set apppool "DefaultAppPool" /processModel.identityType:NetworkService`}})
	}
	var unlock []string
	for _, need := range iis.Unlock {
		if p.open(need.ID) {
			continue
		}
		if !sectionPattern.MatchString(need.ID) {
			return &UsageError{fmt.Sprintf("configuration section %q is no section name", need.ID)}
		}
		unlock = append(unlock, appcmd+" unlock config -section:"+need.ID)
	}
	if len(unlock) > 0 {
		p.plan.Steps = append(p.plan.Steps, Step{Kind: start, Why: "sections that web.config sets are locked in a fresh IIS, and are unlocked " + how, Commands: unlock})
	}

	ports := []int{httpPort}
	if slices.ContainsFunc(iis.Features, func(n detect.Need) bool { return n.ID == "wcf-tcp" }) {
		ports = append(ports, netTCPPort)
	}
	p.bind(start, how, iis.Features)

	p.plan.Steps = append(p.plan.Steps, Step{Kind: StepCopy, Why: "the site", From: ".", To: siteDir, Exclude: notShipped()})
	if err := p.extras(siteDir); err != nil {
		return err
	}
	if err := p.grants(siteDir, iisUsers, "the app pool writes there"); err != nil {
		return err
	}
	if len(p.opt.Entrypoint) == 0 {
		p.monitor()
	}
	p.plan.Config.Ports = ports
	return nil
}

// needsDomain says why the site acts in a domain, which a container can by a gMSA alone,
// and IIS where the pool runs as Network Service or Local System (MicrosoftDocs/
// Virtualization-Documentation@77e0742: gmsa-configure-app.md); empty where it does not.
func (p *planner) needsDomain(features []detect.Need) string {
	var why []string
	if slices.ContainsFunc(features, func(n detect.Need) bool { return n.ID == "windows-authentication" }) {
		why = append(why, "the site uses Windows authentication")
	}
	if slices.ContainsFunc(p.rep.Facts, func(f detect.Fact) bool { return f.Key == "integrated-security" && f.OverruledBy == "" }) {
		why = append(why, "a connection string uses integrated security")
	}
	return strings.Join(why, ", ")
}

// monitor names what a start script has to run where the base is one of --base
// whose own entrypoint is not known: that of the IIS images.
func (p *planner) monitor() {
	if len(p.plan.Bases[0].Entrypoint) > 0 || !p.plan.has(StepStart) && !p.plan.has(StepGrant) {
		return
	}
	for _, img := range p.cat.Images {
		if img.Role == roleIIS && len(img.Entrypoint) > 0 {
			p.plan.Config.Entrypoint = slices.Clone(img.Entrypoint)
			p.why("the entrypoint of the given base is not known: the start script runs that of the IIS images")
			return
		}
	}
}

// open says whether every chosen image leaves a section unlocked.
func (p *planner) open(section string) bool {
	for _, row := range p.rows {
		if row == nil || !slices.Contains(row.Open, section) {
			return false
		}
	}
	return true
}

// moved says whether IIS has to listen elsewhere than where its images do.
func (p *planner) moved() bool {
	ports := p.webPorts()
	return p.hosted() && len(ports) > 0 && !slices.Equal(ports, []int{httpPort})
}

// webPorts are those of the user's ports on which IIS can answer by http.
func (p *planner) webPorts() []int {
	return slices.DeleteFunc(unique(p.opt.Ports), func(port int) bool { return port == httpsPort || port == netTCPPort })
}

// bind has IIS listen on the ports that the user set, and not on 80 where that is none
// of them. /bindings replaces all bindings of the site, so that a container that is
// started again comes to the same.
func (p *planner) bind(start StepKind, how string, features []detect.Need) {
	if slices.Contains(p.opt.Ports, httpsPort) {
		p.findAt(RuleHTTPSPort, detect.LevelWarning, "nothing in the image answers on port 443: IIS takes a certificate for https, which belongs in no image",
			"let what stands before the container end TLS, and leave 443 out of ports; or import the certificate and bind it when the container starts", p.place("ports"))
	}
	if !p.moved() {
		return
	}
	var bindings, names []string
	for _, port := range p.webPorts() {
		bindings = append(bindings, fmt.Sprintf("http/*:%d:", port))
		names = append(names, strconv.Itoa(port))
	}
	for _, n := range features {
		switch n.ID {
		case "wcf-tcp":
			bindings = append(bindings, fmt.Sprintf("net.tcp/%d:*", netTCPPort))
		case "wcf-pipe":
			bindings = append(bindings, "net.pipe/*")
		}
	}
	what := "port " + names[0]
	if len(names) > 1 {
		what = "ports " + strings.Join(names, ", ")
	}
	p.plan.Steps = append(p.plan.Steps, Step{Kind: start, Why: fmt.Sprintf("IIS listens on port 80 by itself, and is bound to %s, as the settings say, %s", what, how),
		Commands: []string{appcmd + ` set site "Default Web Site" /bindings:` + strings.Join(bindings, ",")}})
}
