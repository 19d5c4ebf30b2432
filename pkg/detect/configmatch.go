package detect

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// configMatch is "element/element@attribute=value|value" for elements of XML
// configuration, namespaces ignored. The path is the end of that of the element, from
// a whole name on. Without "=" the attribute only has to be there; "=~" takes a part
// of its value; "!attribute" wants it missing. Without "@" the element is enough.
type configMatch struct {
	sig       *signal
	path      string
	attribute string
	absent    bool
	part      bool
	values    []string // lower case
}

func (m configMatch) last() string {
	return m.path[strings.LastIndexByte(m.path, '/')+1:]
}

func parseConfigMatch(s *signal, text string) (configMatch, error) {
	m := configMatch{sig: s}
	element, rest, at := strings.Cut(text, "@")
	m.path = element
	if at {
		name, values, eq := strings.Cut(rest, "=")
		m.attribute, m.absent = strings.CutPrefix(name, "!")
		if eq {
			values, m.part = strings.CutPrefix(values, "~")
			m.values = strings.Split(strings.ToLower(values), "|")
		}
		if m.attribute == "" || m.absent && eq {
			return m, fmt.Errorf("signal %s: config %q", s.ID, text)
		}
	}
	if m.path == "" {
		return m, fmt.Errorf("signal %s: config %q names no element", s.ID, text)
	}
	return m, nil
}

// matches says whether the element is meant, and which attribute shows it.
func (m *configMatch) matches(section string, e *element) (shown string, ok bool) {
	if section != m.path && !strings.HasSuffix(section, "/"+m.path) {
		return "", false
	}
	if m.attribute == "" {
		return "", true
	}
	value, there := e.lookup(m.attribute)
	if m.absent || !there {
		return "", m.absent && !there
	}
	low := strings.ToLower(value)
	switch {
	case m.values == nil:
		return m.attribute, value != ""
	case m.part:
		ok = slices.ContainsFunc(m.values, func(v string) bool { return strings.Contains(low, v) })
	default:
		ok = slices.Contains(m.values, low)
	}
	return m.attribute + "=" + value, ok
}

// configSignals are those that an element of a configuration file gives.
func configSignals(p, section string, e *element) []Fact {
	matches := signalData().config[e.name]
	if low := strings.ToLower(p); len(matches) == 0 || strings.Contains(low, ".vs/") || path.Base(low) == "applicationhost.config" {
		return nil // none of the application
	}
	var facts []Fact
	for i := range matches {
		m := &matches[i]
		shown, ok := m.matches(section, e)
		if !ok {
			continue
		}
		what := "<" + e.name + ">"
		if _, value, set := strings.Cut(shown, "="); set && !isSecretName(m.attribute) {
			what = maskValue(m.attribute + " " + value)
		} else if set {
			shown = m.attribute
		}
		facts = append(facts, signalFact(m.sig, what, "", line(p, e, strings.TrimSpace(section+" "+shown))[0]))
	}
	return facts
}

// settingSignals are those that a key of a setting, or a part of its value, gives.
func settingSignals(key, value string, ev []Evidence) []Fact {
	d := signalData()
	var facts []Fact
	for _, k := range d.keys {
		if ok, _ := path.Match(k.pattern, strings.ReplaceAll(strings.ToLower(key), ":", "/")); ok && value != "" {
			facts = append(facts, signalFact(k.sig, maskName(key), "", ev[0]))
		}
	}
	if len(value) > maxString {
		return facts
	}
	return append(facts, textFacts(value, false, func(s *signal) bool { return len(s.Values) > 0 }, func(detail string) Evidence {
		e := ev[0]
		e.Detail += ": " + mask(detail)
		return e
	})...)
}
