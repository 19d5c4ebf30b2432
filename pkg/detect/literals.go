package detect

import (
	"slices"
	"strings"
	"sync"
)

// literalKind is how a literal of the table has to stand in a text.
type literalKind byte

const (
	asPart  literalKind = iota // anywhere, between characters that are no part of a name
	asStart                    // at the start of the text
	asWhole                    // the whole text; in a script between quotation marks
	asGroup                    // "X.*": the start of such a name
	asHint                     // no signal by itself: code looks at the text
)

// literal is what is looked for in strings and scripts, in lower case.
type literal struct {
	sig        *signal
	text       string
	kind       literalKind
	scriptOnly bool
}

// hints make code look at a string: paths, connection strings, secrets.
var hints = []string{`:\`, `\\`, "data source=", "server=", "initial catalog=", "attachdbfilename=", "dsn=", "driver={", "provider=",
	"install-windowsfeature", "add-windowsfeature", "servermanagercmd", "enable-windowsoptionalfeature", "://", "accountkey=", "sharedaccesskey=", "akia", "asia", "private key-----"}

// literalIndex finds all literals in one pass over a text: an automaton of Aho and
// Corasick over the few characters that literals have.
type literalIndex struct {
	class [128]uint8 // of a character, upper and lower case the same; 0 for all others
	width int
	next  []uint16 // by state and class
	found [][]uint16
	all   []literal
}

func newLiteralIndex(all []literal) *literalIndex {
	x := &literalIndex{all: all, width: 1}
	for _, l := range all {
		for i := range len(l.text) {
			if c := l.text[i]; c < 128 && x.class[c] == 0 {
				x.class[c] = uint8(x.width)
				x.width++
			}
		}
	}
	for c := byte('a'); c <= 'z'; c++ {
		x.class[c-'a'+'A'] = x.class[c]
	}
	x.next, x.found = make([]uint16, x.width), [][]uint16{nil}
	for i, l := range all {
		state := 0
		for j := range len(l.text) {
			at := state*x.width + int(x.class[l.text[j]&127])
			if x.next[at] == 0 {
				x.next[at] = uint16(len(x.found))
				x.found = append(x.found, nil)
				x.next = append(x.next, make([]uint16, x.width)...)
			}
			state = int(x.next[at])
		}
		x.found[state] = append(x.found[state], uint16(i))
	}
	// Breadth first, so that the state to fall back to is complete.
	fall := make([]int, len(x.found))
	var queue []int
	for c := range x.width {
		if s := int(x.next[c]); s != 0 {
			queue = append(queue, s)
		}
	}
	for i := 0; i < len(queue); i++ {
		state := queue[i]
		x.found[state] = append(x.found[state], x.found[fall[state]]...)
		for c := range x.width {
			at := state*x.width + c
			back := x.next[fall[state]*x.width+c]
			if s := int(x.next[at]); s != 0 {
				fall[s] = int(back)
				queue = append(queue, s)
			} else {
				x.next[at] = back
			}
		}
	}
	return x
}

// step is the state after one more character.
func (x *literalIndex) step(state int, c byte) int {
	class := uint8(0)
	if c < 128 {
		class = x.class[c]
	}
	return int(x.next[state*x.width+int(class)])
}

// inUTF16 says whether the text, as UTF-16LE, holds any of the literals.
func (x *literalIndex) inUTF16(text []byte) bool {
	state := 0
	for i := 0; i+1 < len(text); i += 2 {
		c := text[i]
		if text[i+1] != 0 {
			c = 255
		}
		if state = x.step(state, c); len(x.found[state]) > 0 {
			return true
		}
	}
	return false
}

// each calls f for every literal in the text and where it ends.
func (x *literalIndex) each(text string, f func(l *literal, end int)) {
	state := 0
	for i := range len(text) {
		state = x.step(state, text[i])
		for _, n := range x.found[state] {
			f(&x.all[n], i+1)
		}
	}
}

var literalData = sync.OnceValue(func() *literalIndex {
	var all []literal
	d := signalData()
	for i := range d.Signal {
		s := &d.Signal[i]
		for _, text := range s.Strings {
			all = append(all, textLiteral(s, text, false))
		}
		for _, text := range s.Scripts {
			all = append(all, textLiteral(s, text, true))
		}
		for _, text := range s.Values {
			all = append(all, textLiteral(s, text, false))
		}
		for _, id := range s.ProgIDs {
			if group, ok := strings.CutSuffix(id, "*"); ok {
				all = append(all, literal{s, strings.ToLower(group), asGroup, false})
			} else {
				all = append(all, literal{s, strings.ToLower(id), asWhole, false})
			}
		}
	}
	for _, h := range hints {
		all = append(all, literal{nil, h, asHint, false})
	}
	return newLiteralIndex(all)
})

func textLiteral(s *signal, text string, scriptOnly bool) literal {
	if start, ok := strings.CutPrefix(text, "^"); ok {
		return literal{s, start, asStart, scriptOnly}
	}
	return literal{s, text, asPart, scriptOnly}
}

// stands says whether the literal that ends at end stands in the text as it has to.
func (l *literal) stands(text string, end int, script bool) bool {
	start := end - len(l.text)
	switch l.kind {
	case asHint:
		return false
	case asStart:
		return start == 0 || script && strings.IndexByte("\"'", text[start-1]) >= 0
	case asWhole:
		rest := strings.TrimLeft(strings.TrimPrefix(text[end:], "."), "0123456789") // Excel.Application.16
		if !script {
			return start == 0 && rest == ""
		}
		return start > 0 && rest != "" && strings.IndexByte("\"'", text[start-1]) >= 0 && rest[0] == text[start-1]
	case asGroup:
		if !script {
			return start == 0
		}
		return start > 0 && strings.IndexByte("\"'", text[start-1]) >= 0
	}
	return (start == 0 || !inName(l.text[0]) || !inName(text[start-1])) && (end == len(text) || !inName(l.text[len(l.text)-1]) || !inName(text[end]))
}

// inName says whether a character can be a part of a name.
func inName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// textFacts are what a text gives away: a string of the code, a line of a script, or a
// value of configuration where only is set. ev makes the place of it.
func textFacts(text string, script bool, only func(*signal) bool, ev func(detail string) Evidence) []Fact {
	var facts []Fact
	var hint []string
	var seen []*signal
	literalData().each(text, func(l *literal, end int) {
		switch {
		case l.kind == asHint:
			if !slices.Contains(hint, l.text) {
				hint = append(hint, l.text)
			}
		case l.scriptOnly && !script, only != nil && !only(l.sig), slices.Contains(seen, l.sig):
		case l.stands(text, end, script):
			seen = append(seen, l.sig)
			shown := strings.TrimRight(text[end-len(l.text):end], " =\\")
			facts = append(facts, signalFact(l.sig, maskValue(shown), "", ev("holds "+shown)))
		}
	})
	if only == nil && len(hint) > 0 {
		facts = append(facts, hintFacts(text, script, hint, ev)...)
	}
	return facts
}
