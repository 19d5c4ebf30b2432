package detect

import (
	"slices"
	"strings"
)

var (
	// codeDrive is a path with a drive in a string of code, which may as well be a
	// regular expression or a format.
	codeDrive = pattern(`(?i)(?:^|[\s"'=;,(])([a-z]:\\[a-z0-9_][a-z0-9_ .\\$~&@#-]+)`)
	// codeShare is a network share that a string of code begins with.
	codeShare = pattern(`^[\s"'=]*(\\\\[A-Za-z][A-Za-z0-9._-]+\\[A-Za-z0-9_$][A-Za-z0-9_$ .\\-]+)`)
	// scriptShare is one in a line of a script.
	scriptShare = pattern(`(?:^|[\s"'=,(])(\\\\[A-Za-z][A-Za-z0-9._-]+\\[A-Za-z0-9_$][A-Za-z0-9_$.\\-]+)`)
	codeConn    = pattern(`(?i)(^|;)\s*(data source|server|initial catalog|attachdbfilename|dsn|driver|provider)\s*=`)
	// hole is a place in a string that the program fills in: {0}, %s.
	hole       = pattern(`\{\d+[^{}]*\}|%[sd]`)
	cloudKey   = pattern(`(?i)(accountkey|sharedaccesskey)=[A-Za-z0-9+/]{20,}`)
	amazonKey  = pattern(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`)
	privateKey = pattern(`-----BEGIN ([A-Z ]+ )?PRIVATE KEY-----`)
	// serverRole is a role that no container can have, coreRole one of those by which a
	// machine is a server of the network.
	serverRole  = pattern(`(?i)(?:windowsfeature|servermanagercmd|windowsoptionalfeature)\b.*?[\s,"'](ad-domain-services|dhcp|dns|print-server|print-services|fs-dfs[\w-]*|rds-[\w-]+|adcs-[\w-]+|adfs-federation|wds|updateservices[\w-]*|hyper-v|npas|remoteaccess|failover-clustering)(?:$|[\s,"'])`)
	coreRole    = pattern(`(?i)^(ad-domain-services|dhcp|dns)$`)
	quotedParts = pattern(`"([^"]*)"|'([^']*)'`)
)

// secretInCode is the signal of secrets in code and scripts.
const secretInCode = "secret-in-code"

// hintFacts looks at a text that holds hints of a path, a connection string or a secret.
func hintFacts(text string, script bool, hint []string, ev func(string) Evidence) []Fact {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(hint, n) })
	}
	var facts []Fact
	secret := func(what string) {
		if s := signalData().byID[secretInCode]; s != nil {
			facts = append(facts, signalFact(s, what, "", ev(what+" (not shown)")))
		}
	}
	if has("data source=", "server=", "initial catalog=", "attachdbfilename=", "dsn=", "driver={", "provider=") {
		parts := []string{text}
		if script {
			parts = nil
			for _, m := range quotedParts().FindAllStringSubmatch(text, 16) {
				parts = append(parts, m[1]+m[2])
			}
		}
		for _, part := range parts {
			if !codeConn().MatchString(part) {
				continue
			}
			for _, f := range connectionString("in the code", hole().ReplaceAllString(part, "${x}"), []Evidence{ev("a connection string")}) {
				switch f.Key {
				case "secret":
					secret("a password in a connection string")
				case "connection-string": // told where it is configured
				case "absolute-path":
					facts = append(facts, signalFact(signalData().byID["code-path"], f.Value, "", f.Evidence[0]))
				default:
					facts = append(facts, f)
				}
			}
			return facts
		}
	}
	if has("install-windowsfeature", "add-windowsfeature", "servermanagercmd", "enable-windowsoptionalfeature") {
		if m := serverRole().FindStringSubmatch(text); m != nil {
			id := "role-install"
			if !script && coreRole().MatchString(m[1]) { // the program itself does it
				id = "server-role"
			}
			facts = append(facts, signalFact(signalData().byID[id], m[1], "", ev("installs the role "+m[1])))
		}
	}
	switch {
	case has("accountkey=", "sharedaccesskey=") && cloudKey().MatchString(text):
		secret("a key of a cloud service")
	case has("akia", "asia") && amazonKey().MatchString(text):
		secret("an access key of Amazon Web Services")
	case has("private key-----") && privateKey().MatchString(text):
		secret("a private key")
	case has("://") && strings.Contains(text, "@") && hasURLSecret(hole().ReplaceAllString(text, "")) && !placeholderURL().MatchString(text):
		secret("a password in a URL")
	}
	if has(`:\`) {
		for _, m := range codeDrive().FindAllStringSubmatch(text, 3) {
			if inImage().MatchString(m[1]) || ofBuild().MatchString(m[1]) {
				continue
			}
			facts = append(facts, signalFact(signalData().byID["code-path"], pathValue(shortPath(m[1])), "", ev("names "+maskValue(shortPath(m[1])))))
		}
	}
	if has(`\\`) {
		share := codeShare()
		if script {
			share = scriptShare()
		}
		if m := share.FindStringSubmatch(text); m != nil {
			facts = append(facts, signalFact(signalData().byID["code-share"], pathValue(shortPath(m[1])), "", ev("names "+maskValue(shortPath(m[1])))))
		}
	}
	return facts
}

var placeholderURL = pattern(`(?i)://(user(name)?|login|name|xxx+|\*+|\$\{?\w+\}?|%\w+%|<[^>]*>|\{[^}]*\}):|:(pass(word)?|pwd|xxx+|\*+|\$\{?\w+\}?|%\w+%|<[^>]*>|\{[^}]*\}|\[[^\]]*\])@`)

// shortPath leaves out what follows a path in a sentence or a command.
func shortPath(p string) string {
	p = strings.TrimRight(p, " .")
	if i := options().FindStringIndex(p); i != nil {
		p = p[:i[0]]
	}
	return p
}
