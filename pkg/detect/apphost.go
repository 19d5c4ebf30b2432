package detect

import (
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
)

// appHostName is the file in which IIS has its sites, of the folder System32\inetsrv\config
// (learn.microsoft.com/iis/configuration/system.applicationhost).
const appHostName = "applicationhost.config"

const appHostUnknown = "which sites the server has is unknown"

// Bounds of a server's configuration.
const (
	maxServerSites = 2000
	maxVirtual     = 5000 // applications and virtual directories of one site
)

// Site is a site of IIS as applicationHost.config has it.
type Site struct {
	Name string `json:"name"`
	// Stopped says that it does not start with the server (serverAutoStart).
	Stopped  bool      `json:"stopped,omitempty"`
	Bindings []Binding `json:"bindings"`
	// Applications are its applications, that of "/" first.
	Applications []Application `json:"applications"`
}

// Binding is where a site listens.
type Binding struct {
	Protocol string `json:"protocol"` // http, https, net.tcp, ftp, ...
	IP       string `json:"ip,omitempty"`
	Port     int    `json:"port,omitempty"` // 0 for protocols without one
	Host     string `json:"host,omitempty"`
}

// Application is an application of a site, with the app pool that runs it.
type Application struct {
	Path    string `json:"path"` // "/", "/api"
	AppPool string `json:"appPool,omitempty"`
	// Folder is where its files lie in the folder that was inspected, slash-separated;
	// empty where they are not in it.
	Folder             string             `json:"folder,omitempty"`
	VirtualDirectories []VirtualDirectory `json:"virtualDirectories,omitempty"` // but for "/"
}

// VirtualDirectory is a folder that IIS shows below a path of an application.
type VirtualDirectory struct {
	Path   string `json:"path"` // "/images"
	Folder string `json:"folder,omitempty"`
}

// server is what applicationHost.config says.
type server struct {
	path  string // of the file
	base  string // the folder that holds what was drive C:, as far as its place tells
	root  *element
	sites []*serverSite
	pools map[string]*pool // by name in lower case
	// defaults are those of pools and of sites that name none.
	defaults pool
	pool     string // of applications that name none
}

type serverSite struct {
	Site
	at   *element
	apps []*serverApp
}

type serverApp struct {
	path, pool string
	at         *element
	dirs       []*serverDir // that of "/" too
}

// serverDir is a virtual directory; physical is its path as written.
type serverDir struct {
	path, physical string
	at             *element
}

type pool struct {
	name, runtime, pipeline string
	identity, user          string
	bits32                  bool
	at                      *element
	env                     []*element
}

// findServer reads the applicationHost.config of a server export; nil where there is
// none. Copies that IIS keeps, and those of IIS Express and Visual Studio, are none.
func (t *Tree) findServer() *server {
	var found []string
	for _, d := range t.dirs {
		if i, ok := d.search(appHostName); ok && !copyOfServer(d.key) {
			found = append(found, d.in(d.files[i].name))
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortStableFunc(found, func(a, b string) int {
		return placeOf(a) - placeOf(b)
	})
	for _, p := range found {
		root := t.readXML(p, appHostUnknown)
		if root == nil || root.child("system.applicationHost", "sites") == nil {
			continue
		}
		for _, other := range found {
			if other != p {
				t.problem(other, "another applicationHost.config: "+clean(p)+" was taken; what this one says was left out")
			}
		}
		s := readServer(p, root)
		t.redirected(s)
		return s
	}
	return nil
}

// placeOf ranks places: where Windows has the file comes first, then the shortest path.
func placeOf(p string) int {
	rank := strings.Count(p, "/")
	if !strings.HasSuffix(strings.ToLower(p), "inetsrv/config/"+appHostName) {
		rank += noDepth
	}
	return rank
}

func copyOfServer(dir string) bool {
	low := "/" + dir + "/"
	return slices.ContainsFunc([]string{"/.vs/", "/iisexpress", "/iis express/", "/history/", "/inetpub/temp/", "/backup/", "/node_modules/", "/packages/", "/winsxs/"},
		func(part string) bool { return strings.Contains(low, part) })
}

// redirected says that the server has its configuration elsewhere: what was read is then
// what it had before (learn.microsoft.com/iis, "configurationRedirection").
func (t *Tree) redirected(s *server) {
	p := t.find(path.Join(path.Dir(s.path), "redirection.config"))
	if p == "" {
		return
	}
	if e := t.readXML(p, "whether the server shares its configuration is unknown").child("configurationRedirection"); strings.EqualFold(e.attr("enabled"), "true") {
		t.problem(p, "the server has its configuration at "+maskValue(e.attr("path"))+", and "+clean(s.path)+" may be older: export that one, and give winpack the sites by it")
	}
}

// readServer takes from the document what it says of sites and app pools.
func readServer(p string, root *element) *server {
	s := &server{path: p, base: exportBase(p), root: root, pools: map[string]*pool{}}
	host := root.child("system.applicationHost")
	pools := host.child("applicationPools")
	s.defaults = pool{runtime: "v4.0", pipeline: "Integrated"}
	s.defaults.take(pools.child("applicationPoolDefaults"))
	for _, e := range childrenOf(pools, "add") {
		x := s.defaults
		x.name, x.at = e.attr("name"), e
		x.take(e)
		s.pools[strings.ToLower(x.name)] = &x
	}
	sites := host.child("sites")
	s.pool = sites.child("applicationDefaults").attr("applicationPool")
	for _, e := range childrenOf(sites, "site") {
		if len(s.sites) == maxServerSites {
			break
		}
		s.sites = append(s.sites, s.readSite(e))
	}
	return s
}

// take overrides what an element of a pool sets.
func (x *pool) take(e *element) {
	if e == nil {
		return
	}
	for name, to := range map[string]*string{"managedRuntimeVersion": &x.runtime, "managedPipelineMode": &x.pipeline} {
		if v, ok := e.lookup(name); ok {
			*to = v
		}
	}
	if v, ok := e.lookup("enable32BitAppOnWin64"); ok {
		x.bits32 = strings.EqualFold(v, "true")
	}
	if model := e.child("processModel"); model != nil {
		if v, ok := model.lookup("identityType"); ok {
			x.identity = v
		}
		if v, ok := model.lookup("userName"); ok {
			x.user = v
		}
	}
	x.env = append(slices.Clip(x.env), childrenOf(e.child("environmentVariables"), "add")...)
}

func (s *server) readSite(e *element) *serverSite {
	x := &serverSite{Site: Site{Name: clean(e.attr("name")), Bindings: []Binding{}, Applications: []Application{}}, at: e}
	x.Stopped = strings.EqualFold(e.attr("serverAutoStart"), "false")
	for _, b := range childrenOf(e.child("bindings"), "binding") {
		x.Bindings = append(x.Bindings, bindingOf(b))
	}
	pool := s.pool
	if v := e.child("applicationDefaults").attr("applicationPool"); v != "" {
		pool = v
	}
	left := maxVirtual
	for _, a := range childrenOf(e, "application") {
		if left--; left < 0 {
			break
		}
		app := &serverApp{path: webPath(a.attr("path")), pool: a.attr("applicationPool"), at: a}
		if app.pool == "" {
			app.pool = pool
		}
		for _, d := range childrenOf(a, "virtualDirectory") {
			if left--; left < 0 {
				break
			}
			dir := &serverDir{path: webPath(d.attr("path")), physical: d.attr("physicalPath"), at: d}
			if !slices.ContainsFunc(app.dirs, func(other *serverDir) bool { return strings.EqualFold(other.path, dir.path) }) { // IIS refuses a second one
				app.dirs = append(app.dirs, dir)
			}
		}
		x.apps = append(x.apps, app)
	}
	slices.SortStableFunc(x.apps, func(a, b *serverApp) int { return strings.Compare(strings.ToLower(a.path), strings.ToLower(b.path)) })
	return x
}

// webPath is a path of IIS, which begins with a slash and ends without one.
func webPath(s string) string {
	return path.Clean("/" + strings.Trim(strings.ReplaceAll(s, `\`, "/"), "/"))
}

// bindingOf reads "IP:PORT:HOST", of net.tcp "PORT:HOST", of others what they have.
func bindingOf(e *element) Binding {
	b := Binding{Protocol: strings.ToLower(clean(e.attr("protocol")))}
	info := e.attr("bindingInformation")
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 65535 {
			return 0
		}
		return n
	}
	switch b.Protocol {
	case "http", "https", "ftp":
		// An IPv6 address stands in brackets and has colons of its own.
		ip, rest := "", info
		if i := strings.LastIndexByte(info, ']'); i >= 0 && strings.HasPrefix(info, "[") {
			ip, rest = info[1:i], strings.TrimPrefix(info[i+1:], ":")
		} else {
			ip, rest, _ = strings.Cut(info, ":")
		}
		port, host, _ := strings.Cut(rest, ":")
		if net.ParseIP(ip) != nil {
			b.IP = ip
		}
		b.Port, b.Host = number(port), clean(host)
	case "net.tcp":
		port, host, _ := strings.Cut(info, ":")
		b.Port = number(port)
		if b.Host = clean(host); b.Host == "*" {
			b.Host = ""
		}
	}
	return b
}

// poolOf is the app pool of an application: a pool of that name, else the defaults.
func (s *server) poolOf(a *serverApp) *pool {
	if p := s.pools[strings.ToLower(a.pool)]; p != nil {
		return p
	}
	p := s.defaults
	return &p
}
