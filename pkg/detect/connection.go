package detect

import (
	"fmt"
	"strings"
)

// connectionString judges one. Of its text only server and database are told.
func connectionString(name, value string, ev []Evidence) []Fact {
	parts := splitConnection(value)
	if i := strings.IndexAny(value, ",;="); i > 0 && value[i] == ',' && strings.Contains(value, "=") && !strings.Contains(value, ";") {
		// "host:6379,password=x,ssl=true", as StackExchange.Redis takes it
		host, rest, _ := strings.Cut(value, ",")
		parts = splitConnection(strings.ReplaceAll(rest, ",", ";"))
		parts["server"] = strings.TrimSpace(host)
	}
	if inner := parts["provider connection string"]; inner != "" {
		return connectionString(name, strings.ReplaceAll(inner, "&quot;", `"`), ev)
	}
	name = maskValue(name)
	var facts []Fact
	add := func(key, value string) { facts = append(facts, Fact{Key: key, Value: value, Evidence: ev}) }
	server := firstOf(parts, "data source", "server", "addr", "address", "network address", "host")
	database := firstOf(parts, "initial catalog", "database")
	about := name
	if server != "" {
		user, host := serverUser(server)
		if strings.ContainsAny(user, ":/") {
			add("secret", "connection string "+name+", in its server")
		}
		if shown := maskValue(host); user != "" {
			about = fmt.Sprintf("%s: server %s@%s", name, hidden, shown)
		} else {
			about = fmt.Sprintf("%s: server %s", name, shown)
		}
		server = host
		if database != "" {
			about += ", database " + maskValue(database)
		}
	}
	add("connection-string", about)
	for _, k := range sortedKeys(parts) {
		if v := parts[k]; isSecretName(k) && !placeholder().MatchString(v) && !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			add("secret", "connection string "+name+", "+clean(k))
		}
	}
	if hasURLSecret(value) {
		add("secret", "connection string "+name+", in its URL")
	}
	low := strings.ToLower(server)
	remote := true // the database stays where it is
	switch {
	case strings.Contains(low, "(localdb)"), parts["attachdbfilename"] != "", strings.Contains(low, `\sqlexpress`) && isLocal(low), strings.EqualFold(parts["user instance"], "true"):
		add("local-database", name)
		remote = false
	case isLocal(low):
		add("local-server", about)
	}
	if v := strings.ToLower(firstOf(parts, "integrated security", "trusted_connection")); remote && (v == "true" || v == "sspi" || v == "yes") {
		add("integrated-security", about)
	}
	if strings.Contains(strings.ToLower(value), "|datadirectory|") {
		f := writeFact("App_Data", "a connection string names |DataDirectory|, which is App_Data in a site", ev)
		f.source = "data-directory"
		facts = append(facts, f)
	}
	signal := func(id, what string) {
		facts = append(facts, signalFact(signalData().byID[id], what, "", ev[0]))
	}
	switch v := parts["provider"]; {
	case strings.HasPrefix(strings.ToLower(parts["extended properties"]), "excel"):
		signal("excel-oledb", about)
	case v != "":
		add("oledb-provider", maskValue(v))
	}
	if m := odbcDriver().FindStringSubmatch(parts["driver"]); m != nil && parts["provider"] == "" && !strings.EqualFold(m[1], "SQL Server") {
		signal("odbc-driver", maskValue(m[1]))
	}
	if v := parts["dsn"]; v != "" && !placeholder().MatchString(v) {
		signal("odbc-dsn", maskValue(v))
	}
	if file := firstOf(parts, "data source", "dbq"); strings.Contains(file, `:\`) && !inImage().MatchString(file) {
		add("absolute-path", pathValue(file))
	}
	return facts
}

// odbcDriver is the name of a driver. Those of Access, Excel and text files, which are a
// part of Windows, have a semicolon in theirs.
var odbcDriver = pattern(`^\{([^{},;]+)\}$`)

// serverUser takes the user off a server, in which no "@" has another meaning:
// "scott/tiger@" before a net service name, "user:password@" before a host. That of
// a URL stays, for it is masked as one.
func serverUser(server string) (user, host string) {
	if i := strings.LastIndex(server, "@"); i >= 0 && !strings.Contains(server[:i], "://") {
		return server[:i], server[i+1:]
	}
	return "", server
}

// isLocal says whether a server name means the machine itself.
func isLocal(server string) bool {
	host := strings.TrimPrefix(server, "tcp:")
	host, _, _ = strings.Cut(host, `\`)
	host, _, _ = strings.Cut(host, ",")
	host, _, _ = strings.Cut(host, "/")
	if name, port, ok := strings.Cut(host, ":"); ok && !strings.Contains(port, ":") {
		host = name
	}
	switch strings.TrimSpace(host) {
	case ".", "(local)", "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

func firstOf(m map[string]string, keys ...string) string {
	for _, k := range keys {
		if v := m[k]; v != "" {
			return v
		}
	}
	return ""
}

// splitConnection splits "key=value;key='value'" with keys in lower case, as
// DbConnectionStringBuilder does.
func splitConnection(s string) map[string]string {
	parts := map[string]string{}
	for len(s) > 0 {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		rest = strings.TrimLeft(rest, " ")
		var value string
		if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
			if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
				value, rest = rest[1:1+end], rest[end+2:]
				_, rest, _ = strings.Cut(rest, ";")
			} else {
				value, rest = rest[1:], ""
			}
		} else {
			value, rest, _ = strings.Cut(rest, ";")
		}
		parts[strings.ToLower(strings.Trim(key, " ;\r\n\t"))] = strings.TrimSpace(value)
		s = rest
	}
	return parts
}
