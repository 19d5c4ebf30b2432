package detect

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// listenAt is what a fact of key "port" adds: where a setting has the program listen.
type listenAt struct {
	address     string // "http://localhost:5000", fit to print
	loopback    bool
	key         string // configuration key, lower case: a later file overrides the same one
	environment string // of appsettings.ENVIRONMENT.json, lower case; empty for appsettings.json
}

// listening reads the settings by which ASP.NET Core is told where to listen
// (learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints).
func listening(key, value, environment string, ev []Evidence) []Fact {
	key = strings.ToLower(key)
	source := ""
	switch {
	case strings.HasPrefix(key, "kestrel:endpoints:") && strings.HasSuffix(key, ":url"):
		source = "kestrel-endpoints"
	case key == "urls", key == "server.urls":
		source = "urls"
	case key == "http_ports", key == "https_ports":
		source = "http-ports"
	default:
		return nil
	}
	return addresses(value, source, listenAt{key: key, environment: environment}, ev)
}

// listeningArguments reads the same settings from a command line, in the forms
// that .NET's configuration takes: --key value, --key=value, /key value, key=value.
func listeningArguments(args []string, ev []Evidence) []Fact {
	var facts []Fact
	for i, a := range args {
		name := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(a, "/"), "-"), "-")
		key, value, ok := strings.Cut(name, "=")
		if !ok && name != a && i+1 < len(args) {
			value, ok = args[i+1], true
		}
		if !ok {
			continue
		}
		for _, f := range listening(key, value, "", ev) {
			if f.source != "kestrel-endpoints" {
				f.source = "arguments"
			}
			facts = append(facts, f)
		}
	}
	return facts
}

// addresses are the ports in a list of URLs or port numbers.
func addresses(value, source string, listen listenAt, ev []Evidence) []Fact {
	var facts []Fact
	for _, one := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' }) {
		one = strings.TrimSpace(one)
		port, host := one, ""
		if strings.Contains(one, "://") {
			u, err := url.Parse(strings.NewReplacer("://*", "://any", "://+", "://any").Replace(one))
			if err != nil {
				continue
			}
			if host, port = u.Hostname(), u.Port(); port == "" {
				port = map[string]string{"http": "80", "https": "443", "net.tcp": "808"}[u.Scheme]
			}
		}
		n, err := strconv.Atoi(port)
		if err != nil || n <= 0 || n > 65535 {
			continue
		}
		at := listen
		ip := net.ParseIP(host)
		// WCF hands its base addresses to http.sys with a wildcard in place of the host.
		at.loopback = source != "base-address" && (strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback())
		if at.loopback {
			at.address = fmt.Sprintf("%s on port %d", clean(host), n)
		}
		facts = append(facts, Fact{Key: "port", Value: strconv.Itoa(n), source: source, Evidence: ev, item: at})
	}
	return facts
}

// environmentOf is the name of the environment that a program starts with in a
// container, in lower case: Production unless something says otherwise.
func environmentOf(p *Program) string {
	if p == nil {
		return "production"
	}
	for i, a := range p.Arguments {
		if value, ok := strings.CutPrefix(strings.ToLower(a), "--environment="); ok {
			return value
		}
		if strings.EqualFold(a, "--environment") && i+1 < len(p.Arguments) {
			return strings.ToLower(p.Arguments[i+1])
		}
	}
	for _, want := range []string{"ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT"} {
		for _, name := range sortedKeys(p.Env) {
			if strings.EqualFold(name, want) && p.Env[name] != "" {
				return strings.ToLower(p.Env[name])
			}
		}
	}
	return "production"
}

// choosePorts keeps the ports of the strongest source, and says which of them
// nothing outside the container reaches.
func (r *resolution) choosePorts() {
	environment := environmentOf(r.app.Program)
	var ports []*Fact
	specific := map[string]bool{} // keys that the file of the environment sets
	r.each("port", func(f *Fact) {
		listen, _ := f.item.(listenAt)
		switch {
		case f.OverruledBy != "":
		case listen.environment != "" && listen.environment != environment:
			f.OverruledBy = environment + ": the file is for another environment, " + clean(listen.environment)
		default:
			ports = append(ports, f)
			if listen.environment != "" {
				specific[listen.key] = true
			}
		}
	})
	var best *Fact
	for _, f := range ports {
		if best == nil || rank("port", f.source) < rank("port", best.source) {
			best = f
		}
	}
	open := false
	ports = slices.DeleteFunc(ports, func(f *Fact) bool {
		listen, _ := f.item.(listenAt)
		switch {
		case f.source != best.source:
			f.OverruledBy = best.Value + ": " + best.source + " comes before " + f.source
		case listen.environment == "" && specific[listen.key] && f.source != "arguments":
			f.OverruledBy = environment + ": the file of the environment sets " + clean(listen.key) + " as well"
		}
		open = open || f.OverruledBy == "" && !listen.loopback
		return f.OverruledBy != ""
	})
	var local []Fact
	for _, f := range ports {
		listen, _ := f.item.(listenAt)
		if !listen.loopback || !open {
			n, _ := strconv.Atoi(f.Value)
			r.app.Ports = append(r.app.Ports, n)
		}
		if listen.loopback {
			local = append(local, Fact{Value: listen.address, Evidence: f.Evidence})
		}
	}
	for _, f := range local {
		r.derive("loopback", f.Value, "", f.Evidence, nil)
	}
	slices.Sort(r.app.Ports)
	r.app.Ports = slices.Compact(r.app.Ports)
}

// variable is an environment variable that web.config sets.
type variable struct{ name, value string }

var (
	variableName = pattern(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	secretWord   = pattern(`(?i)(^|_)(apikey|auth|credentials?|key|password|pword|passwd|secret|token)(_|$)`)
	listenName   = pattern(`(?i)^((ASPNETCORE|DOTNET)_)?(URLS|HTTPS?_PORTS?|PORT|SERVER\.URLS)$|^(ASPNETCORE|DOTNET)_Kestrel__`)
)

// environmentVariable says of one that web.config sets whether the image gets it.
// seen is what its value told.
func environmentVariable(name, value string, seen []Fact, ev []Evidence) Fact {
	why := ""
	switch {
	case !variableName().MatchString(name) || control().MatchString(value):
		why = "its name or value cannot stand in an image's configuration"
	case slices.ContainsFunc(seen, func(f Fact) bool { return f.Key == "secret" }) || isSecretName(name) || secretWord().MatchString(name) || hasSecret(value):
		why = "it holds a secret, or has the name of one: give it to the container"
	case listenName().MatchString(name):
		why = "the ASP.NET Core Module says where the program listens, and in a container the image does"
	}
	if why != "" {
		return Fact{Key: "environment-dropped", Value: maskName(name) + ": " + why, Evidence: ev}
	}
	return Fact{Key: "environment", Value: name, Evidence: ev, item: variable{name, value}}
}

// chooseEnvironment gives the program the variables of web.config.
func (r *resolution) chooseEnvironment() {
	p := r.app.Program
	r.each("environment", func(f *Fact) {
		if v, ok := f.item.(variable); ok && f.OverruledBy == "" && p != nil {
			if p.Env == nil {
				p.Env = map[string]string{}
			}
			p.Env[v.name] = v.value
		}
	})
}
