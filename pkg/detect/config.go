package detect

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect/winname"
)

const configUnknown = "connection strings, secrets and paths in it are unknown"

// detectConfig reads configuration files for what ties an application to its
// machine: databases, secrets, paths, ports, folders that it writes to.
func detectConfig(t *Tree) []Fact {
	var facts []Fact
	for f := range t.withExt(".config") {
		if f.base == "packages.config" || f.base == "nuget.config" {
			continue
		}
		p := f.path()
		if !ofDotNet(f.base) && !startsXML(t.start(p, 64)) {
			continue // settings of another kind, which end like those of .NET
		}
		take := func(section string, e *element) {
			facts = append(facts, configElement(t, cmp.Or(e.file, p), section, e)...)
		}
		sections(t.readXML(p, configUnknown), func(section string, e *element) {
			take(section, e)
			if there, _ := t.sourced(p, e); there != nil {
				walkSections(section, there, take)
			}
		})
	}
	for f := range t.withExt(".json") {
		if !strings.HasPrefix(f.base, "appsettings") && f.base != "secrets.json" && f.base != "connectionstrings.json" {
			continue
		}
		environment := strings.Trim(strings.TrimPrefix(strings.TrimSuffix(f.base, ".json"), "appsettings"), ".")
		p := f.path()
		t.readJSON(p, configUnknown).each("", func(key string, n *node) {
			ev := []Evidence{{Path: p, Line: n.line, Detail: mask(key)}}
			facts = append(facts, setting(t, key, n.text, ev)...)
			if strings.HasPrefix(f.base, "appsettings") {
				facts = append(facts, listening(key, n.text, environment, ev)...)
			}
		})
	}
	facts = append(facts, plainSettingsOf(t)...)
	if t.hasDir("App_Data") {
		ev := Evidence{Path: "App_Data", Detail: "a folder of the application"}
		for _, d := range t.dirs { // a place that holds a file says more
			if (d.key == "app_data" || strings.HasPrefix(d.key, "app_data/")) && len(d.files) > 0 {
				ev = Evidence{Path: d.in(d.files[0].name), Line: 1, Detail: "lies in App_Data"}
				break
			}
		}
		facts = append(facts, writeFact("App_Data", "ASP.NET applications keep the data that they write in App_Data", []Evidence{ev}))
	}
	return facts
}

// settleConfigs overrules what the configuration of a debugger names, and that of a
// library where .NET Framework runs the application: it reads web.config and that of the
// program, and no X.dll.config. A secret in one is a secret all the same.
func (r *resolution) settleConfigs() {
	for i := range r.facts {
		f := &r.facts[i]
		if f.OverruledBy != "" || !slices.Contains(namedPlaces, f.Key) || len(f.Evidence) == 0 {
			continue
		}
		switch low := strings.ToLower(f.Evidence[0].Path); {
		case strings.HasSuffix(low, ".vshost.exe.config"):
			f.OverruledBy = "the debugger: Visual Studio reads it, and nothing else"
		case strings.HasSuffix(low, ".dll.config") && r.app.Framework.Name == NETFramework:
			f.OverruledBy = NETFramework + ": it reads web.config, or the configuration of the program, and none of a library"
		}
	}
}

// namedPlaces are the keys of facts about what a configuration names outside itself.
var namedPlaces = []string{"absolute-path", "unc-path", "local-server", "local-database", "integrated-security", "config-missing", "config-outside", "log-file"}

// ofDotNet says whether .NET or IIS reads a .config file of that name, so that it has to be
// XML.
func ofDotNet(base string) bool {
	return base == "web.config" || base == "app.config" || strings.HasSuffix(base, ".exe.config") || strings.HasSuffix(base, ".dll.config")
}

// startsXML says whether the first bytes of a file may be those of an XML one, in any of
// its encodings.
func startsXML(start []byte) bool {
	for len(start) > 0 && bytes.IndexByte([]byte("\xef\xbb\xbf\xff\xfe\x00 \t\r\n"), start[0]) >= 0 {
		start = start[1:]
	}
	return len(start) > 0 && start[0] == '<'
}

func writeFact(folder, why string, ev []Evidence) Fact {
	return Fact{Key: "write", Value: folder, Evidence: ev, item: Write{Path: folder, Why: why, Evidence: ev}}
}

func configElement(t *Tree, p, section string, e *element) []Fact {
	var facts []Fact
	add := func(key, value, detail string) {
		facts = append(facts, Fact{Key: key, Value: value, Evidence: line(p, e, detail)})
	}
	if v := e.attr("configProtectionProvider"); v != "" {
		add("encrypted-section", section, section+" is encrypted with "+v)
		return facts
	}
	facts = append(facts, configSignals(p, section, e)...)
	for _, ref := range []string{"configSource", "file"} {
		v := e.attr(ref)
		if v == "" || (ref == "file" && section != "appSettings") {
			continue
		}
		rel, ok := winPath(v)
		switch {
		case !ok:
			add("config-outside", section, ref+" leads out of the app folder")
		case t.find(path.Join(path.Dir(p), rel)) == "":
			add("config-missing", clean(rel), section+" "+ref+" names a file that is not in the app folder")
		default:
			add("config-source", t.find(path.Join(path.Dir(p), rel)), section+" is read from this file")
		}
	}
	named := func(what, name string) []Evidence {
		return line(p, e, what+" "+strconv.Quote(maskValue(name)))
	}
	switch {
	case section == "connectionStrings/add":
		facts = append(facts, settingSignals(e.attr("name"), e.attr("connectionString"), named("connection string", e.attr("name")))...)
		facts = append(facts, connectionString(e.attr("name"), e.attr("connectionString"), named("connection string", e.attr("name")))...)
	case e.name == "add" && e.attr("key") != "": // appSettings, and sections of the application's own
		facts = append(facts, setting(t, e.attr("key"), e.attr("value"), named(strings.TrimSuffix(section, "/add")+" key", e.attr("key")))...)
	case strings.HasSuffix(section, "/environmentVariables/environmentVariable"):
		ev := named("environment variable", e.attr("name"))
		seen := setting(t, strings.ReplaceAll(e.attr("name"), "__", ":"), e.attr("value"), ev)
		facts = append(facts, seen...)
		if strings.EqualFold(path.Base(p), "web.config") {
			facts = append(facts, environmentVariable(e.attr("name"), e.attr("value"), seen, ev))
		}
	case strings.EqualFold(e.name, "connectionString") && (e.attr("value") != "" || e.text != ""): // log4net's AdoNetAppender
		facts = append(facts, connectionString(section, cmp.Or(e.attr("value"), e.text), line(p, e, section))...)
	case e.name == "setting" && e.child("value") != nil: // applicationSettings, as System.Configuration writes them
		facts = append(facts, setting(t, e.attr("name"), e.child("value").text, named("setting", e.attr("name")))...)
	case section == "system.web/machineKey":
		for _, key := range []string{"validationKey", "decryptionKey"} {
			if k := e.attr(key); k != "" && !strings.Contains(strings.ToLower(k), "autogenerate") && !placeholder().MatchString(k) {
				add("secret", "machineKey "+key, "machineKey stands in clear text (not shown)")
			}
		}
	case section == "system.serviceModel/services/service/host/baseAddresses/add":
		facts = append(facts, addresses(e.attr("baseAddress"), "base-address", listenAt{}, named("baseAddress of", "service"))...)
	case section == "system.serviceModel/services/service/endpoint":
		facts = append(facts, wcfEndpoint(e.attr("binding"), named("endpoint with binding", e.attr("binding")))...)
	case section == "system.serviceModel/serviceHostingEnvironment/serviceActivations/add":
		ev := named("serviceActivations for", e.attr("service"))
		facts = append(facts, Fact{Key: "site", Value: "wcf", Evidence: ev}, Fact{Key: "flavor", Value: "wcf", Evidence: ev})
	case e.name == "security" && strings.Contains(section, "system.serviceModel/bindings/"):
		facts = append(facts, wcfSecurity(p, section, e)...)
	case section == "system.net/mailSettings/smtp" && strings.Contains(strings.ToLower(e.attr("deliveryMethod")), "pickup"):
		add("smtp-pickup", clean(e.attr("deliveryMethod")), "smtp deliveryMethod="+e.attr("deliveryMethod"))
	case e.name == "file" && e.attr("value") != "" && strings.HasPrefix(section, "log4net/"):
		facts = append(facts, logFile(e.attr("value"), named("log4net file", ""))...)
	case e.name == "target" && e.attr("fileName") != "":
		facts = append(facts, logFile(e.attr("fileName"), named("NLog target", e.attr("name")))...)
	case strings.HasPrefix(section, "system.diagnostics/") && e.attr("initializeData") != "" && strings.Contains(e.attr("type"), "WriterTraceListener"):
		facts = append(facts, logFile(e.attr("initializeData"), named("trace listener", e.attr("name")))...)
	}
	plain := func(v string) bool { return !placeholder().MatchString(v) && !boolish().MatchString(v) }
	if v := cmp.Or(e.text, e.attr("value")); isSecretName(e.name) && !strings.EqualFold(e.name, "connectionString") && plain(v) {
		add("secret", section, "a value stands in clear text (not shown)")
	} else if name := e.attr("name"); e.name != "environmentVariable" && isSecretName(name) && plain(e.attr("value")) { // NLog's variable, a container's property
		add("secret", maskName(name), "a value stands in clear text (not shown)")
	}
	for _, a := range e.attrs { // identity, smtp network, custom sections
		ofConnection := strings.HasSuffix(strings.ToLower(a.Name.Local), "connectionstring")
		if isSecretName(a.Name.Local) && !placeholder().MatchString(a.Value) && !ofConnection && !boolish().MatchString(a.Value) {
			add("secret", section+" @"+clean(a.Name.Local), "a value stands in clear text (not shown)")
		} else if ofConnection && section != "connectionStrings/add" {
			facts = append(facts, connectionString(section, a.Value, line(p, e, "attribute "+a.Name.Local+" of "+section))...)
		}
	}
	return facts
}

var (
	drivePath = pattern(`(?i)(?:^|[^a-z])([a-z]:\\[^"<>|*?;,]*|[a-z]:/[^"<>|*?;,/][^"<>|*?;,]*)`)
	uncPath   = pattern(`(?:^|[\s"'=;,])(\\\\[A-Za-z0-9._-]+\\[^"<>|*?;,]+)`)
	inImage   = pattern(`(?i)^c:[\\/](windows|inetpub|program files|program files \(x86\)|programdata)\b|^c:[\\/]*$`)
	localURL  = pattern(`(?i)\b(https?|net\.tcp|amqps?|rediss?|tcp|mongodb|ldap|mysql|mariadb|postgres(?:ql)?|sqlserver)://(localhost|127\.0\.0\.1)\b(:\d+)?`)
	// ofBuild are files of the machine that compiled the code, which tell where it failed.
	ofBuild = pattern(`(?i)\.(cs|vb|fs|c|cc|cpp|cxx|h|hpp|pas|dpr|frm|bas|pdb)$`)
	// ownURL are keys of addresses that are the application's own, or a client's.
	ownURL    = pattern(`(?i)(^|[:._-])(urls?$|server\.urls)|kestrel:|origin|cors|redirect|issuer|audience|authority|callback|allowed|base-?address|baseurl|selfurl|siteurl|listen`)
	hostKey   = pattern(`(?i)(server|host|hostname|servername|smtp)$`)
	folderKey = pattern(`(?i)(upload|log|temp|cache|export|output|attachment|storage|data|file|report|backup)s?[-_.:]?(path|dir|directory|folder|root|location)$`)
	looksConn = pattern(`(?i)(^|;)\s*(data source|server|addr|address|host|network address|accountendpoint|endpoint|defaultendpointsprotocol|attachdbfilename)\s*=`)
)

// setting judges one key and value of any configuration file. Values are never
// put into facts, but for parts that are known to be no secret.
func setting(t *Tree, key, value string, ev []Evidence) []Fact {
	facts := settingSignals(key, value, ev)
	last := key[strings.LastIndex(key, ":")+1:]
	switch {
	case isConnection(key, value):
		return append(facts, connectionString(last, value, ev)...)
	case isSecret(key, value):
		return append(facts, Fact{Key: "secret", Value: maskName(key), Evidence: ev})
	}
	if oracleKey().MatchString(key) && oracle().MatchString(value) {
		facts = append(facts, Fact{Key: "secret", Value: maskName(key) + " (in its logon)", Evidence: ev})
	}
	if where := secretInside(value); where != "" {
		facts = append(facts, Fact{Key: "secret", Value: maskName(key) + " (" + where + ")", Evidence: ev})
	}
	if hostKey().MatchString(last) && isLocal(strings.ToLower(value)) {
		facts = append(facts, Fact{Key: "local-server", Value: maskName(key) + ": " + maskValue(value), Evidence: ev})
	}
	if len(ev) > 0 && ofWSGI(key, ev[0].Path) {
		return facts // read by wfastcgi only, whose place another server takes
	}
	if u := localURL().FindString(value); u != "" && !ownURL().MatchString(key) && !hostKey().MatchString(last) {
		facts = append(facts, Fact{Key: "local-server", Value: maskName(key) + ": " + maskValue(u), Evidence: ev})
	}
	for _, m := range drivePath().FindAllStringSubmatch(value, 3) {
		if !inImage().MatchString(m[1]) {
			facts = append(facts, Fact{Key: "absolute-path", Value: pathValue(orWhole(m[1], value)), Evidence: ev})
		}
	}
	if m := uncPath().FindStringSubmatch(value); m != nil {
		facts = append(facts, Fact{Key: "unc-path", Value: pathValue(orWhole(m[1], value)), Evidence: ev})
	}
	if strings.HasPrefix(strings.ToLower(key), "serilog:writeto:") && strings.HasSuffix(strings.ToLower(key), ":args:path") {
		facts = append(facts, logFile(value, ev)...)
	} else if folderKey().MatchString(key) && (strings.ContainsAny(value, `/\`) || t.hasDir(value)) && !strings.Contains(value, "://") {
		rel, rest := folderOf(value)
		if rel == "." {
			return facts
		}
		if rel != "" && !rest && path.Ext(rel) != "" && !t.hasDir(rel) {
			rel = path.Dir(rel) // the setting names a file, like logs/app-.log
		}
		facts = append(facts, written(rel, value, "the setting "+maskName(key)+" names a folder of the application", ev)...)
	}
	return facts
}

// ofWSGI says whether a setting of a web.config is one of wfastcgi (pypi.org/project/wfastcgi).
func ofWSGI(key, file string) bool {
	key = strings.ToUpper(key)
	return windowsBase(file) == "web.config" && (key == "PYTHONPATH" || strings.HasPrefix(key, "WSGI_"))
}

// isConnection says whether a setting is a connection string.
func isConnection(key, value string) bool {
	return strings.HasPrefix(strings.ToLower(key), "connectionstrings:") || looksConn().MatchString(value)
}

// isSecret says whether a setting is a secret by its name, and has one for a value.
func isSecret(key, value string) bool {
	return isSecretName(key) && !placeholder().MatchString(value) && !boolish().MatchString(value)
}

// orWhole is the path that a value holds: with its blanks where it is the whole value,
// else up to the first one, since what follows in a command line may be a password.
func orWhole(path, value string) string {
	if strings.Trim(value, " \"'") == strings.TrimSpace(path) && !options().MatchString(value) {
		return path
	}
	short, _, _ := strings.Cut(path, " ")
	return short
}

// pathValue is a path of a value, without the options of a command that follow it.
func pathValue(s string) string {
	if i := options().FindStringIndex(s); i != nil {
		s = s[:i[0]]
	}
	return strings.TrimSpace(maskValue(s))
}

var options = pattern(`\s+(--?|/)[A-Za-z]`)

func logFile(value string, ev []Evidence) []Fact {
	if m := drivePath().FindStringSubmatch(value); m != nil {
		return []Fact{{Key: "absolute-path", Value: pathValue(m[1]), Evidence: ev}}
	}
	rel, rest := folderOf(value)
	if rel != "" && !rest {
		rel = path.Dir(rel)
	}
	if rest && !strings.ContainsAny(strings.TrimPrefix(value, "${basedir}"), `/\`) {
		rel = "." // a file beside the program
	}
	return written(rel, value, "log files are written there; nobody outside the container reads them", ev)
}

// variablePart is what a program fills in: %date, %TEMP%, ${shortdate}, {Date}.
var variablePart = pattern(`[%${}]`)

// folderOf is the path below the application that a value names, up to the first
// part that the program fills in; rest says that there is one. "/logs" and
// "~/logs" mean a folder of the application, as they do in a site. Empty is a
// path that leads elsewhere.
func folderOf(value string) (rel string, rest bool) {
	v := strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(value, "${basedir}", "")), `\`, "/")
	v = strings.TrimPrefix(v, "~")
	if !strings.HasPrefix(v, "//") {
		v = strings.TrimPrefix(v, "/")
	}
	parts := strings.Split(v, "/")
	if i := slices.IndexFunc(parts, variablePart().MatchString); i >= 0 {
		parts, rest = parts[:i], true
	}
	rel, ok := winPath(strings.Join(parts, "/"))
	if !ok {
		return "", rest
	}
	return rel, rest
}

// written says that the application writes to a folder of its own or, where rel
// is empty, that a value names one elsewhere.
func written(rel, value, why string, ev []Evidence) []Fact {
	switch {
	case rel == "" && variablePart().MatchString(value):
		return []Fact{{Key: "write-elsewhere", Value: pathValue(value), Evidence: ev}}
	case rel == "" || maskValue(rel) != rel:
		return nil
	}
	return []Fact{writeFact(rel, why, ev)}
}

// dropImpossible drops the folders to write to that cannot be made: a start script
// would fail where it makes them. Configuration may say anything.
func (t *Tree) dropImpossible(facts []Fact) []Fact {
	return slices.DeleteFunc(facts, func(f Fact) bool {
		w, ok := f.item.(Write)
		if !ok || w.Path == "." {
			return false
		}
		why := ""
		if err := winname.Check(w.Path, true); err != nil {
			why = "which Windows cannot make: " + err.Error()
		}
		for p := w.Path; p != "." && why == ""; p = path.Dir(p) {
			if file := t.find(p); file != "" {
				why = "where the file " + clean(file) + " is"
			}
		}
		if why == "" {
			return false
		}
		place := ""
		if f.Evidence[0].Line > 0 {
			place = fmt.Sprintf("line %d: ", f.Evidence[0].Line)
		}
		t.problem(f.Evidence[0].Path, fmt.Sprintf("%sthe application is set to write to the folder %q, %s; no write access is granted there", place, clean(w.Path), why))
		return true
	})
}

// wcfEndpoint names the activation feature that a binding needs where IIS hosts
// the service. System.ServiceModel documents the bindings by these names.
func wcfEndpoint(binding string, ev []Evidence) []Fact {
	id := map[string]string{"netTcpBinding": "wcf-tcp", "netNamedPipeBinding": "wcf-pipe", "netMsmqBinding": "wcf-msmq", "msmqIntegrationBinding": "wcf-msmq"}[binding]
	if id == "" {
		return nil
	}
	return []Fact{{Key: "iis-feature", Value: id, Evidence: ev, item: Need{ID: id, Why: "an endpoint with " + binding + " needs its activation feature in IIS", Evidence: ev}}}
}

// wcfSecurity says whether a binding of WCF signs callers in with their Windows account:
// the part of its security that its mode uses does (the documentation of <security> of
// each binding). Tools write the other part too, with its default.
func wcfSecurity(p, section string, e *element) []Fact {
	mode := strings.ToLower(e.attr("mode"))
	var facts []Fact
	check := func(part string, used bool) {
		c := e.child(part)
		v := c.attr("clientCredentialType")
		if c != nil && used && (strings.EqualFold(v, "Windows") || strings.EqualFold(v, "Ntlm") && part == "transport") {
			facts = append(facts, signalFact(signalData().byID["wcf-windows"], "clientCredentialType "+v, "", line(p, c, section+"/"+part+" clientCredentialType="+v)[0]))
		}
	}
	check("transport", mode == "transport" || mode == "transportcredentialonly")
	check("message", mode == "message" || mode == "transportwithmessagecredential" || mode == "both")
	return facts
}
