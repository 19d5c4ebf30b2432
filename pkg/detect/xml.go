package detect

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// element is an XML element with the line of its start tag. Names carry no
// namespace: .NET configuration compares them as they are written.
type element struct {
	name string
	line int
	// location is the path of the <location> around it, which it is limited to; empty
	// for the whole site, as "." is too.
	location string
	// file is where it stands, if that is another one than was asked for: a section
	// that configSource names.
	file     string
	attrs    []xml.Attr
	children []*element
	text     string
	size     int64 // of the file in bytes, where this is its root
}

// attr returns the value of an attribute, whatever the case of its name, as
// IIS and people that write web.config treat it.
func (e *element) attr(name string) string {
	v, _ := e.lookup(name)
	return v
}

func (e *element) lookup(name string) (string, bool) {
	if e == nil {
		return "", false
	}
	for _, a := range e.attrs {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value, true
		}
	}
	return "", false
}

// child follows element names downwards, nil where one is missing.
func (e *element) child(names ...string) *element {
	for _, n := range names {
		if e == nil {
			return nil
		}
		var next *element
		for _, c := range e.children {
			if c.name == n {
				next = c
				break
			}
		}
		e = next
	}
	return e
}

// xmlError says at which line a document is broken. It never quotes the
// document: what stands there may be a password.
type xmlError struct {
	line int
	what string
}

func (e *xmlError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.what) }

const notWellFormed = "is not well-formed XML"

// parseXML reads a document. A document type declaration is refused: it can
// name files to include and grow without end, and no configuration needs one.
func parseXML(data []byte, limits Limits) (*element, error) {
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(label) {
		case "utf-16", "utf-16le", "utf-16be", "unicode", "us-ascii", "ascii":
			return in, nil // decoded already
		case "windows-1252", "iso-8859-1", "latin1":
			return charmap.Windows1252.NewDecoder().Reader(in), nil
		case "windows-1250", "iso-8859-2":
			return charmap.Windows1250.NewDecoder().Reader(in), nil
		case "windows-1251":
			return charmap.Windows1251.NewDecoder().Reader(in), nil
		}
		return nil, errors.New("unknown encoding")
	}
	var root *element
	var open []*element
	count := int64(0)
	for {
		tok, err := dec.Token()
		line, _ := dec.InputPos()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &xmlError{line, notWellFormed}
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, &xmlError{line, "a document type declaration is refused: it may include other files or grow without end"}
		case xml.StartElement:
			if count++; count > limits.Elements || int64(len(open)) >= limits.Nesting {
				return nil, &xmlError{line, fmt.Sprintf("more than %d elements (limit elements) or %d levels (limit nesting)", limits.Elements, limits.Nesting)}
			}
			e := &element{name: tok.Name.Local, line: line - linesOfTag(data, dec.InputOffset()), attrs: tok.Copy().Attr}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
				if e.location = parent.location; parent.name == "location" {
					e.location = strings.Trim(cmp.Or(parent.attr("path"), parent.location), "./")
				}
			} else if root == nil {
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				if s := strings.TrimSpace(string(tok)); s != "" {
					open[len(open)-1].text += s
				}
			}
		}
	}
	if root == nil {
		return nil, &xmlError{1, "holds no XML element"}
	}
	return root, nil
}

// linesOfTag counts the line breaks in the tag that ends before end, so that a
// tag over several lines is reported at its first.
func linesOfTag(data []byte, end int64) int {
	end = min(end, int64(len(data)))
	start := max(bytes.LastIndexByte(data[:end], '<'), 0)
	return bytes.Count(data[start:end], []byte{'\n'})
}

// readXML parses a file once. It returns nil, with a Problem, for one that
// cannot be read.
func (t *Tree) readXML(p, unknown string) *element {
	t.mu.Lock()
	e, ok := t.xml[p]
	t.mu.Unlock()
	if ok {
		return e
	}
	if data, ok := t.read(p, unknown); ok {
		var err error
		if e, err = parseXML(data, t.limits); err == nil {
			e.size = int64(len(data))
		} else {
			t.problem(p, err.Error()+"; "+unknown)
			if broken, ok := errors.AsType[*xmlError](err); ok && broken.what == notWellFormed {
				t.mu.Lock()
				t.malformed[p] = broken.line
				t.mu.Unlock()
			}
			e = nil
		}
	}
	t.mu.Lock()
	t.xml[p] = e
	t.mu.Unlock()
	return e
}
