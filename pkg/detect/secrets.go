package detect

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	secretName = pattern(`(?i)(passw|kennwort|mot_?de_?passe|contrase|passphrase|\bpwd|pwd$|secret|api[-_.:]?key|access[-_.:]?key|account[-_.:]?key|auth[-_.:]?key|security[-_.:]?key|jwt[-_.:]?key|shared[-_]?access|private[-_.:]?key|encryption[-_.:]?key|signing[-_.:]?key|(^|[-_.:])token$|(^|[-_.:])(pass|pw)$|accesstoken|authtoken|bearer|credential|connection[-_]?string)`)
	// camelPass is the end of MailPass and SmtpPass, and not that of Compass.
	camelPass = pattern(`[a-z0-9]Pass$`)
	// notSecret are words by which a setting only speaks about secrets.
	notSecret = pattern(`(?i)(length|policy|pattern|regex|expression|required|enabled?|format|minimum|maximum|attempts|expir|timeout|days|hours|minutes|publickeytoken|bypass|(url|uri|path|page|header|issuer|audience|name|file|type)s?$)`)
)

// palau is the name of a locale, as en-PW, which ends as names of passwords do.
var palau = pattern(`^[a-z]{2,3}([-_][A-Z][a-z]{3})?[-_]PW$`)

// isSecretName says whether a setting of that name holds a secret, as far as
// names tell. Settings that only speak about passwords (their length, the page
// to change them) do not.
func isSecretName(name string) bool {
	low := strings.ToLower(name)
	return slices.ContainsFunc(stems, func(s string) bool { return strings.Contains(low, s) }) && (secretName().MatchString(name) || camelPass().MatchString(name)) && !notSecret().MatchString(name[strings.LastIndexAny(name, ":.")+1:]) && !palau().MatchString(name)
}

// stems: one of them is in every name that secretName takes, and quickly found
// missing in the others, which are nearly all.
var stems = []string{"pass", "kennwort", "contrase", "pw", "secret", "key", "token", "bearer", "cred", "connection", "shared"}

// placeholder values stand where a deployment puts the secret in.
var placeholder = pattern(`(?i)^\s*$|^\s*(\$\{.*\}|\$\(.*\)|#\{.*\}#?|__.*__|%.*%|\{\{.*\}\}|<.*>|\*+|x{3,}|changeme|todo|your[-_ ].*|.*placeholder.*|@microsoft\.keyvault\(.*\))\s*$`)

// boolish values are switches, not secrets.
var boolish = pattern(`(?i)^(true|false|yes|no|on|off|none|null|nil|undefined|clear|hashed|encrypted|\d{1,3})$`)

var (
	// urlUser is a user in a URL; urlPassword one with a password that holds a
	// slash, as no URL may and people write all the same.
	urlUser     = pattern(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@]+@`)
	urlPassword = pattern(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:]*:([^\s@]*)@`)
	urlPort     = pattern(`^\d{1,5}(/|$)`)
	anyURLUser  = pattern(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s"'<>]*@`)
	// keyed is "password=x" and "Token: x".
	keyed = pattern(`(?i)([\w .:-]*(?:passw\w*|passphrase|\bpass|pwd|secret|token|key|credential|sig)\s*[=:]\s*)("[^"]*"|'[^']*'|[^;,&\s]+)`)
	// option is "--password x" and "/Token x"; the second group is its name.
	option = pattern(`((?:^|[\s"'])(?:--?|/)([A-Za-z][\w.:-]*)["']?\s+)("[^"]*"?|'[^']*'?|[^\s"']+)`)
	// netUse is the password that follows the user in "net use \\nas\x /user:bob pw".
	netUse = pattern(`(?i)((?:^|\s)/u(?:ser)?:\S+\s+)(\S+)`)
	// userPassword is "-U sa -P x" of sqlcmd, psexec and their like, curlUser "-u name:x"
	// of curl, header "Authorization: Basic x", signature the end of a shared access URL:
	// the second group is the secret.
	userPassword = pattern(`(?i)((?:^|\s)[-/]u(?:ser)?(?:\s+|[:=])\S+(?:\s.*?)?\s[-/]p(?:ass\w*)?(?:\s+|[:=]))(\S+)`)
	curlUser     = pattern(`((?:^|\s)(?:-u|--user)\s+[^\s:/\\]+:)(\S+)`)
	header       = pattern(`(?i)(\bauthorization\s*[:=]\s*["']?\w+\s+)([^\s"']+)`)
	signature    = pattern(`(?i)([?&]sig=)([^&\s"']+)`)
	portNumber   = pattern(`^\d{1,5}$`)
	// oracle is "scott/x@db", where the key of the setting speaks of a database.
	oracle    = pattern(`^\s*[A-Za-z]\w*/[^\s/@]+@[A-Za-z][\w./:-]*\s*$`)
	oracleKey = pattern(`(?i)(conn|ora|db|database|logon|login)`)
	// spoken is "password x", which says something in a value, not in a sentence.
	spoken  = pattern(`(?i)(\b(?:passw\w*|passphrase|pwd|token|secret)\s+)("[^"]*"?|'[^']*'?|\S+)`)
	control = pattern(`[\x00-\x1f\x7f-\x9f\x{202a}-\x{202e}\x{2066}-\x{2069}]`)
)

const hidden = "***"

// mask makes text from the application fit to print: secrets become "***",
// control characters "?", and long text is cut.
func mask(s string) string {
	if strings.Contains(s, "://") {
		s = anyURLUser().ReplaceAllString(s, "${1}"+hidden+"@")
	}
	if strings.ContainsAny(s, "=:") {
		s, _ = hideKeyed(s)
	}
	if strings.ContainsAny(s, "-/") {
		s, _ = hideOptions(s)
	}
	s, _ = hideCredentials(s)
	return clean(s)
}

// maskValue is mask for a value as it stands in a configuration file, where
// "password x" is no sentence.
func maskValue(s string) string { return spoken().ReplaceAllString(mask(s), "${1}"+hidden) }

// maskName is clean for the name of a setting, in which nothing follows "=": in
// "Jwt:Token:Issuer" the colons only divide it.
func maskName(s string) string {
	if name, _, ok := strings.Cut(s, "="); ok {
		s = name + "=" + hidden
	}
	return clean(s)
}

// hideKeyed hides what a key with the name of a secret is set to.
func hideKeyed(s string) (masked string, found bool) {
	masked = keyed().ReplaceAllStringFunc(s, func(part string) string {
		m := keyed().FindStringSubmatch(part)
		if m == nil || notSecret().MatchString(strings.TrimRight(lastWord().FindString(m[1]), " \t=:")) {
			return part
		}
		found = true
		return m[1] + hidden
	})
	return masked, found
}

// lastWord is the key itself, where words stand before it.
var lastWord = pattern(`[\w.-]+\s*[=:]\s*$`)

// hideOptions hides what follows an option with the name of a secret.
func hideOptions(s string) (masked string, found bool) {
	var b strings.Builder
	for {
		m := option().FindStringSubmatchIndex(s)
		if m == nil {
			break
		}
		value := s[m[6]:m[7]]
		if !isSecretName(s[m[4]:m[5]]) || strings.HasPrefix(value, "--") {
			b.WriteString(s[:m[5]]) // what follows may be an option of its own
			s = s[m[5]:]
			continue
		}
		found = true
		b.WriteString(s[:m[6]] + hidden)
		s = s[m[7]:]
	}
	b.WriteString(s)
	return b.String(), found
}

// hideCredentials hides what stands in a command line, header or address where the
// secret has no name, but a place.
func hideCredentials(s string) (masked string, found bool) {
	if !strings.ContainsAny(s, "-/?&:=") {
		return s, false
	}
	for _, p := range []func() *regexp.Regexp{netUse, userPassword, curlUser, header, signature} {
		for from := 0; from < len(s); {
			m := p().FindStringSubmatchIndex(s[from:])
			if m == nil {
				break
			}
			if secret := s[from+m[4] : from+m[5]]; portNumber().MatchString(secret) {
				from += m[5]
				continue
			}
			found = true
			s = s[:from+m[4]] + hidden + s[from+m[5]:]
			from += m[4] + len(hidden)
		}
	}
	return s, found
}

// hasURLSecret says whether s holds a URL with a user in it.
func hasURLSecret(s string) bool {
	if !strings.Contains(s, "://") {
		return false
	}
	if urlUser().MatchString(s) {
		return true
	}
	for _, m := range urlPassword().FindAllStringSubmatch(s, -1) {
		if !urlPort().MatchString(m[1]) {
			return true
		}
	}
	return false
}

// hasSecret says whether mask would hide a secret in s.
func hasSecret(s string) bool {
	_, key := hideKeyed(s)
	_, opt := hideOptions(s)
	_, placed := hideCredentials(s)
	return key || opt || placed || hasURLSecret(s)
}

// pair is "name=value" inside of a value: in a query, a connection string of
// another driver, a command line.
var pair = pattern(`(?:^|[;,&?\s"'/-])([A-Za-z][\w.-]*)\s*=\s*("[^"]*"|'[^']*'|[^;,&\s"']+)`)

// secretInside names what in a value holds a secret: the name of a pair or
// option, or where it stands; empty for none.
func secretInside(value string) string {
	if hasURLSecret(value) {
		return "in its URL"
	}
	for _, m := range pair().FindAllStringSubmatch(value, -1) {
		if v := strings.Trim(m[2], `"'`); isSecretName(m[1]) && !placeholder().MatchString(v) && !boolish().MatchString(v) {
			return clean(m[1]) + " in its value"
		}
	}
	_, option := hideOptions(value)
	if _, placed := hideCredentials(value); option || placed {
		return "in its command line"
	}
	return ""
}

// maxClean is how many bytes of a text from the application are printed.
const maxClean = 200

// clean makes text from the application fit to print: control characters become "?",
// and long text is cut.
func clean(s string) string {
	if len(s) <= maxClean && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s // as nearly all is
	}
	s = control().ReplaceAllString(strings.ToValidUTF8(s, "?"), "?")
	if len(s) > maxClean {
		cut := maxClean
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	return s
}

// commandLine splits a command line as CommandLineToArgvW and the C runtime do:
// quotes group, 2n backslashes before a quote are n, one more makes it a
// character, and two quotes in a quoted part are one.
// https://learn.microsoft.com/windows/win32/api/shellapi/nf-shellapi-commandlinetoargvw
func commandLine(s string) []string {
	var args []string
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return args
		}
		var b strings.Builder
		quoted := false
		i := 0
	arg:
		for i < len(s) {
			switch c := s[i]; {
			case c == '\\':
				n := len(s[i:]) - len(strings.TrimLeft(s[i:], `\`))
				i += n
				if i == len(s) || s[i] != '"' {
					b.WriteString(strings.Repeat(`\`, n))
					continue
				}
				b.WriteString(strings.Repeat(`\`, n/2))
				if n%2 == 1 {
					b.WriteByte('"')
					i++
				}
			case c == '"' && quoted && i+1 < len(s) && s[i+1] == '"':
				b.WriteByte('"')
				i += 2
			case c == '"':
				quoted = !quoted
				i++
			case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
				break arg
			default:
				b.WriteByte(c)
				i++
			}
		}
		args = append(args, b.String())
		s = s[i:]
	}
}
