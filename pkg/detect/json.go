package detect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// node is a JSON value with its line.
type node struct {
	line   int
	kind   byte // '{', '[', '"', 'v' for numbers, booleans and null
	text   string
	keys   []string // of an object, in order
	values []*node  // of an object or array
}

// get follows keys downwards, ignoring case as .NET configuration does.
func (n *node) get(keys ...string) *node {
	for _, k := range keys {
		if n == nil || n.kind != '{' {
			return nil
		}
		var next *node
		for i, have := range n.keys {
			if strings.EqualFold(have, k) {
				next = n.values[i]
			}
		}
		n = next
	}
	return n
}

// byKey are the values of an object by their keys in lower case: get looks at all keys.
func (n *node) byKey() map[string]*node {
	all := map[string]*node{}
	if n == nil || n.kind != '{' {
		return all
	}
	for i, k := range n.keys {
		all[strings.ToLower(k)] = n.values[i]
	}
	return all
}

func (n *node) string() string {
	if n == nil {
		return ""
	}
	return n.text
}

// each calls f for every scalar with its path, joined by colons as .NET does.
func (n *node) each(prefix string, f func(path string, n *node)) {
	if n == nil {
		return
	}
	if n.kind != '{' && n.kind != '[' {
		f(prefix, n)
		return
	}
	for i, v := range n.values {
		key := fmt.Sprint(i)
		if n.kind == '{' {
			key = n.keys[i]
		}
		if prefix != "" {
			key = prefix + ":" + key
		}
		v.each(key, f)
	}
}

// parseJSON reads a document with the comments and trailing commas that .NET
// allows in its configuration. Its errors never quote the document.
func parseJSON(data []byte, limits Limits) (*node, error) {
	data = plainJSON(data)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	p := &jsonParser{data: data, dec: dec, limits: limits}
	n, err := p.value(0)
	if err == nil {
		if _, more := dec.Token(); more == nil {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		if limit, ok := errors.AsType[*limitError](err); ok {
			return nil, limit
		}
		return nil, fmt.Errorf("line %d: is not well-formed JSON", lineAt(data, dec.InputOffset()))
	}
	return n, nil
}

type limitError struct{ what string }

func (e *limitError) Error() string { return e.what }

type jsonParser struct {
	data   []byte
	dec    *json.Decoder
	count  int64
	limits Limits
	seen   int64 // offset up to which lines are counted
	line   int
}

func (p *jsonParser) value(depth int64) (*node, error) {
	if p.count++; p.count > p.limits.Elements || depth > p.limits.Nesting {
		return nil, &limitError{fmt.Sprintf("more than %d values (limit elements) or %d levels (limit nesting)", p.limits.Elements, p.limits.Nesting)}
	}
	tok, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{kind: 'v', line: p.lineHere()}
	switch tok := tok.(type) {
	case json.Delim:
		n.kind = byte(tok)
		for p.dec.More() {
			if n.kind == '{' {
				key, err := p.dec.Token()
				if err != nil {
					return nil, err
				}
				name, ok := key.(string)
				if !ok {
					return nil, errors.New("a key is no string")
				}
				n.keys = append(n.keys, name)
			}
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
		_, err := p.dec.Token()
		return n, err
	case string:
		n.kind, n.text = '"', tok
	case json.Number:
		n.text = tok.String()
	case bool:
		n.text = fmt.Sprint(tok)
	}
	return n, nil
}

func (p *jsonParser) lineHere() int {
	at := min(p.dec.InputOffset(), int64(len(p.data)))
	p.line += bytes.Count(p.data[p.seen:at], []byte{'\n'})
	p.seen = at
	return p.line + 1
}

// plainJSON blanks comments and trailing commas; offsets and lines stay.
func plainJSON(data []byte) []byte {
	out := bytes.Clone(data)
	comma := -1
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case c == '/' && i+1 < len(out) && out[i+1] == '/':
			for ; i < len(out) && out[i] != '\n'; i++ {
				out[i] = ' '
			}
		case c == '/' && i+1 < len(out) && out[i+1] == '*':
			end := bytes.Index(out[i+2:], []byte("*/"))
			if end < 0 {
				return out
			}
			for stop := i + end + 4; i < stop; i++ {
				if out[i] != '\n' {
					out[i] = ' '
				}
			}
			i--
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
	}
	return out
}

// readJSON parses a file once. It returns nil, with a Problem, for one that
// cannot be read.
func (t *Tree) readJSON(p, unknown string) *node {
	t.mu.Lock()
	n, ok := t.json[p]
	t.mu.Unlock()
	if ok {
		return n
	}
	if data, ok := t.read(p, unknown); ok {
		var err error
		if n, err = parseJSON(data, t.limits); err != nil {
			t.problem(p, err.Error()+"; "+unknown)
			n = nil
		}
	}
	t.mu.Lock()
	t.json[p] = n
	t.mu.Unlock()
	return n
}
