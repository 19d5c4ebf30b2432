package detect

import (
	"cmp"
	"path"
)

// sections calls f for every element below a configuration root with its path
// ("system.webServer/security/access"). <location> elements are transparent: what is
// limited by one has it in its location.
func sections(root *element, f func(section string, e *element)) {
	if root == nil {
		return
	}
	if root.name != "configuration" { // a file that configSource names
		walkSections(root.name, root, f)
		return
	}
	for _, c := range root.children {
		walkSections(c.name, c, f)
	}
}

func walkSections(section string, e *element, f func(string, *element)) {
	if e.name == "location" {
		for _, c := range e.children {
			walkSections(c.name, c, f)
		}
		return
	}
	f(section, e)
	for _, c := range e.children {
		walkSections(section+"/"+c.name, c, f)
	}
}

// sourced is the section that the file holds which configSource of e names, nil where
// it names none; missing says that nothing of that section is known.
func (t *Tree) sourced(p string, e *element) (there *element, missing bool) {
	source := e.attr("configSource")
	if source == "" {
		return nil, false
	}
	rel, ok := winPath(source)
	file := t.find(path.Join(path.Dir(p), rel))
	if !ok || file == "" || file == p {
		return nil, true
	}
	there = t.readXML(file, webConfigUnknown)
	if there == nil || there.name != e.name {
		return nil, true
	}
	return there.in(file, e.location), false
}

// in is a copy of the element that tells the file in which it stands, and the
// location of the element that it takes the place of.
func (e *element) in(file, location string) *element {
	c := *e
	c.file, c.location, c.children = file, location, nil
	for _, child := range e.children {
		c.children = append(c.children, child.in(file, location))
	}
	return &c
}

func line(p string, e *element, detail string) []Evidence {
	return []Evidence{{Path: cmp.Or(e.file, p), Line: e.line, Detail: mask(detail)}}
}
