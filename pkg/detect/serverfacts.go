package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// serverFacts are what applicationHost.config says of an application of a site: what
// somebody set in IIS Manager, and no web.config has. v is the application's folder.
func (t *Tree) serverFacts(s *server, x *serverSite, a *serverApp, v *Tree) []Fact {
	var facts []Fact
	p := outside + s.path
	add := func(key, value string, e *element, detail string, item any) {
		facts = append(facts, Fact{Key: key, Value: value, Detector: "iis-server", Evidence: line(p, e, detail), item: item})
	}
	if a.path == "/" {
		for i, e := range childrenOf(x.at.child("bindings"), "binding") {
			b := x.Bindings[i]
			shown := fmt.Sprintf("%s %s:%d:%s", b.Protocol, cmp.Or(b.IP, "*"), b.Port, b.Host)
			add("iis-binding", shown, e, "a binding of the site", nil)
			switch b.Protocol {
			case "https":
				add("https-binding", shown, e, "a binding with a certificate of the server", nil)
			case "ftp":
				add("ftp-binding", shown, e, "a binding of FTP", nil)
			}
		}
		if x.Stopped {
			add("iis-stopped", x.Name, x.at, "serverAutoStart=false", nil)
		}
		if v.untouched() {
			add("iis-default-site", x.Name, x.at, "its folder holds the start page of IIS and nothing else", nil)
		}
	}
	add("iis-application", fmt.Sprintf("%s in the app pool %s", a.path, clean(a.pool)), a.at, "an application of the site", nil)
	t.poolFacts(s.poolOf(a), add)
	protocols := strings.ToLower(a.at.attr("enabledProtocols"))
	for _, need := range [][2]string{{"net.tcp", "wcf-tcp"}, {"net.pipe", "wcf-pipe"}, {"net.msmq", "wcf-msmq"}} {
		if strings.Contains(protocols, need[0]) {
			add("iis-feature", need[1], a.at, "enabledProtocols="+protocols,
				Need{ID: need[1], Why: "the application is enabled for " + need[0], Evidence: line(p, a.at, "enabledProtocols="+protocols)})
		}
	}
	for _, d := range a.dirs {
		if strings.HasPrefix(strings.TrimSpace(d.physical), `\\`) {
			add("iis-share", maskValue(d.physical), d.at, "physicalPath of "+webPath(a.path+d.path), map[string]string{"path": webPath(a.path + d.path)})
		}
	}
	return append(facts, s.sectionFacts(x, a, p)...)
}

// untouched says that a site holds what IIS puts there and nothing else.
func (t *Tree) untouched() bool {
	start := false
	for _, d := range t.dirs {
		for _, f := range d.files {
			switch f.key {
			case "iisstart.htm", "iisstart.png", "welcome.png", "iis-85.png":
				start = start || f.key == "iisstart.htm"
			default:
				if !strings.HasPrefix(d.key, "aspnet_client") {
					return false
				}
			}
		}
	}
	return start
}

// poolFacts are those of an app pool. Its defaults say nothing.
func (t *Tree) poolFacts(x *pool, add func(key, value string, e *element, detail string, item any)) {
	if x.at == nil {
		return
	}
	name := clean(x.name)
	if x.bits32 {
		add("pool-32-bit", name, x.at, "enable32BitAppOnWin64=true", nil)
	}
	if strings.EqualFold(x.pipeline, "Classic") {
		add("pool-classic", name, x.at, "managedPipelineMode=Classic", nil)
	}
	if x.runtime == "v2.0" {
		add("framework", NETFramework+" 2.0", x.at, "managedRuntimeVersion=v2.0", Framework{NETFramework, "2.0"})
	}
	model := x.at.child("processModel")
	if model == nil {
		model = x.at
	}
	switch low := strings.ToLower(x.identity); {
	case low == "specificuser" && x.user != "" || low == "3" && x.user != "":
		add("pool-account", maskValue(x.user), model, "the app pool "+name+" runs as "+x.user, map[string]string{"pool": name})
	case low == "localsystem", low == "0":
		add("pool-system", name, model, "the app pool "+name+" runs as LocalSystem", nil)
	}
	var names []string
	for _, e := range x.env {
		names = append(names, maskName(e.attr("name")))
	}
	if len(names) > 0 {
		slices.Sort(names)
		add("pool-environment", few(names), x.env[0], "environmentVariables of the app pool "+name, map[string]string{"pool": name})
	}
}

// sectionFacts are features and modules that the server's own configuration asks for:
// for the application in <location>, and for all sites where a section turns one on.
func (s *server) sectionFacts(x *serverSite, a *serverApp, p string) []Fact {
	own := strings.Trim(strings.TrimSuffix(x.Name+a.path, "/"), "/")
	var facts []Fact
	take := func(section string, e *element) {
		whole := e.location == ""
		if !whole && !strings.EqualFold(e.location, own) && !strings.EqualFold(e.location, x.Name) {
			return
		}
		for _, f := range iisSection(p, section, e) {
			switch f.Key {
			case "iis-feature", "iis-module":
				need, _ := f.item.(Need)
				if whole && (f.Key == "iis-module" || !s.turnsOn(section, f.Value)) {
					continue // there by default, or for the sake of another site
				}
				f.Detector, need.Evidence = "iis-server", f.Evidence
				facts = append(facts, f)
			}
		}
		if whole && section == "system.webServer/globalModules/add" {
			if name := e.attr("name"); name != "" && !containsFold(iisData().Modules.Builtin, name) {
				facts = append(facts, Fact{Key: "global-module", Value: maskValue(name), Detector: "iis-server", Evidence: line(p, e, "image="+maskValue(e.attr("image")))})
			}
		}
	}
	sections(s.root, take)
	return facts
}

// turnsOn says whether a feature is asked for by a setting, and not by a section that
// stands there wherever the feature is installed.
func (s *server) turnsOn(section, id string) bool {
	return slices.ContainsFunc(iisData().Feature, func(f iisFeature) bool {
		return f.ID == id && f.When != "" && slices.Contains(f.Sections, section)
	})
}
