package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxName leaves room in a label's 63 characters for what Kubernetes and winpack
// put behind a name.
const maxName = 50

// Name makes a name for objects out of an app's: lower case letters, digits and
// dashes, a letter first, as a Service wants it (DNS-1035), and at most 50
// characters. Where letters or digits are lost it ends in a part of the name's
// checksum, so that two apps are not one.
func Name(app string) string {
	lost := false
	name := strings.Map(func(r rune) rune {
		lost = lost || r > '~' && (unicode.IsLetter(r) || unicode.IsDigit(r))
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, app)
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	name = strings.Trim(name, "-")
	if name != "" && name[0] <= '9' {
		name = "app-" + name
	}
	if lost || len(name) > maxName {
		mark := "-" + sum([]byte(app))[:6]
		return cmp.Or(strings.TrimRight(name[:min(len(name), maxName-len(mark))], "-"), "app") + mark
	}
	return cmp.Or(name, "app")
}

// CheckName says what is wrong with the name of an object that winpack would
// write, or returns nil.
func CheckName(name string) error {
	if problems := validation.IsDNS1035Label(name); len(problems) > 0 || len(name) > maxName {
		return fmt.Errorf("%q is no name for a Service: use at most %d lower case letters, digits and dashes, a letter first", name, maxName)
	}
	return nil
}

// CheckNamespace is CheckName for a namespace.
func CheckNamespace(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("%q is no name of a namespace: use lower case letters, digits and dashes", name)
	}
	return nil
}

// CheckReference is CheckName for an object that is there already: a Secret, or a
// GMSACredentialSpec.
func CheckReference(name string) error {
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return fmt.Errorf("%q is no name of an object: use lower case letters, digits, dashes and dots", name)
	}
	return nil
}

// CheckPath says what is wrong with the path of a page, or returns nil.
func CheckPath(path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q is no path of a page: it starts with a slash, and other characters than those of ASCII are written as %%XX", path)
	}
	return nil
}

// portNames names ports, each in at most 15 characters (IANA service name) and once.
func (f *facts) portNames(ports []int, http bool) []string {
	known := func(name string) bool {
		return slices.ContainsFunc(f.Ports, func(r portRow) bool { return r.Name == name && slices.Contains(ports, r.Number) })
	}
	names := make([]string, len(ports))
	for i, port := range ports {
		names[i] = f.portName(port, http, i == 0 && !known("http"))
	}
	return names
}

func (f *facts) portName(number int, http, first bool) string {
	for _, r := range f.Ports {
		if r.Number == number && (http || r.Name != "http") {
			return r.Name
		}
	}
	switch {
	case http && first:
		return "http"
	case http:
		return fmt.Sprintf("http-%d", number)
	}
	return fmt.Sprintf("tcp-%d", number)
}
