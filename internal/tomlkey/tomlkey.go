// Package tomlkey finds keys in TOML documents: the library tells which it did not
// know, and not where they are.
package tomlkey

import (
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Position returns line and column, from 1, of a key in a TOML document that parses.
// Of a key in a list of tables, element is the table's index, from 0. A key that is
// not there has the place of its table.
func Position(text string, key toml.Key, element int) (line, column int) {
	s := keyScanner{text: text, want: key, element: element}
	s.document()
	if !s.done && len(key) > 1 {
		return Position(text, key[:len(key)-1], element)
	}
	return Place(text, s.found)
}

// Place returns line and column, from 1, of an offset in bytes, like the
// Position.Start of a toml.ParseError.
func Place(text string, offset int) (line, column int) {
	before := text[:min(max(offset, 0), len(text))]
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

// keyScanner walks over valid TOML and looks for the first key that equals want,
// or a table header below it.
type keyScanner struct {
	text  string
	at    int
	want  toml.Key
	found int
	done  bool

	element int // of the list that want is in, where it is in one
	tables  int // of that list so far
}

func (s *keyScanner) document() {
	var table []string
	for s.blank(); s.at < len(s.text) && !s.done; s.blank() {
		if s.text[s.at] == '[' {
			from := s.at
			for s.at < len(s.text) && s.text[s.at] == '[' {
				s.at++
			}
			inList := s.at-from > 1
			start, key := s.key()
			table = key
			if inList {
				s.enter(key)
			}
			s.see(start, key)
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.at++
			}
			continue
		}
		s.pair(table)
	}
}

// pair reads key = value.
func (s *keyScanner) pair(table []string) {
	start, key := s.key()
	path := slices.Concat(table, key)
	s.see(start, path)
	if s.at < len(s.text) {
		s.at++ // =
	}
	s.value(path)
}

func (s *keyScanner) see(start int, path []string) {
	if !s.done && len(path) >= len(s.want) && slices.Equal(path[:len(s.want)], s.want) && (s.tables == 0 || s.tables == s.element+1) {
		s.found, s.done = start, true
	}
}

// enter counts the tables of the list that want is in, or is.
func (s *keyScanner) enter(list []string) {
	if n := len(s.want); (len(list) == n-1 || len(list) == n) && slices.Equal(list, s.want[:len(list)]) {
		s.tables++
	}
}

// key reads a dotted key and the space behind it.
func (s *keyScanner) key() (start int, parts []string) {
	s.blank()
	start = s.at
	for s.at < len(s.text) {
		s.blank()
		if c := s.text[min(s.at, len(s.text)-1)]; c == '"' || c == '\'' {
			parts = append(parts, s.quoted())
		} else {
			from := s.at
			for s.at < len(s.text) && !strings.ContainsRune(" \t.=]\n", rune(s.text[s.at])) {
				s.at++
			}
			parts = append(parts, s.text[from:s.at])
		}
		s.blank()
		if s.at >= len(s.text) || s.text[s.at] != '.' {
			break
		}
		s.at++
	}
	return start, parts
}

// quoted reads a string of any kind and returns what it means.
func (s *keyScanner) quoted() string {
	from := s.at
	mark := s.text[s.at : s.at+1]
	if triple := strings.Repeat(mark, 3); strings.HasPrefix(s.text[s.at:], triple) {
		mark = triple
	}
	s.at += len(mark)
	for s.at < len(s.text) && !strings.HasPrefix(s.text[s.at:], mark) {
		if s.text[s.at] == '\\' && mark[0] == '"' {
			s.at++
		}
		s.at++
	}
	s.at = min(s.at+len(mark), len(s.text))
	for len(mark) == 3 && s.at < len(s.text) && s.text[s.at] == mark[0] {
		s.at++ // quotes that belong to the text stand before the last three
	}
	var v struct{ V string }
	if _, err := toml.Decode("V = "+s.text[from:s.at], &v); err != nil {
		return s.text[from:s.at]
	}
	return v.V
}

func (s *keyScanner) value(path []string) {
	s.blank()
	if s.at >= len(s.text) {
		return
	}
	switch s.text[s.at] {
	case '"', '\'':
		s.quoted()
	case '[':
		s.list(']', func() {
			if s.at < len(s.text) && s.text[s.at] == '{' {
				s.enter(path)
			}
			s.value(path)
		})
	case '{':
		s.list('}', func() { s.pair(path) })
	default:
		for s.at < len(s.text) && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.at])) {
			s.at++
		}
	}
}

func (s *keyScanner) list(end byte, item func()) {
	s.at++
	for s.at < len(s.text) {
		before := s.at
		s.blank()
		switch {
		case s.at >= len(s.text):
			return
		case s.text[s.at] == end:
			s.at++
			return
		case s.text[s.at] == ',':
			s.at++
		default:
			item()
		}
		if s.at == before {
			return // not valid TOML after all
		}
	}
}

// blank skips space, line ends and comments.
func (s *keyScanner) blank() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		case '#':
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.at++
			}
		default:
			return
		}
	}
}
