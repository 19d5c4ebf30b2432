package report

import (
	"regexp"
	"strings"
)

// login is what may be a name and a password before a host; of an address with a
// scheme a name alone may be a token.
var login = regexp.MustCompile(`(://[^\s/"'@]+|[^\s/"'@:\\(]+:[^\s/"'@\\]+)@(sha256:)?`)

// MaskLogins takes names and passwords out of addresses in a text, which people paste
// into flags, inventories and Dockerfiles. What stands before a digest is a tag.
func MaskLogins(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	return login.ReplaceAllStringFunc(s, func(found string) string {
		switch {
		case strings.HasSuffix(found, "sha256:"):
			return found
		case strings.HasPrefix(found, "://"):
			return "://***@"
		}
		return "***@"
	})
}
