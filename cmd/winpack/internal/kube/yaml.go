package kube

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goyaml "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// YAML writes objects as a stream of documents, with their comments.
func YAML(objects []Object) ([]byte, error) {
	var b bytes.Buffer
	for i, o := range objects {
		if i > 0 {
			b.WriteString("---\n")
		}
		text, err := document(o)
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	return b.Bytes(), nil
}

// document writes one object: as the types of Kubernetes marshal it, without the
// empty fields that only the server fills in.
func document(o Object) ([]byte, error) {
	plain, err := yaml.Marshal(o.Value)
	if err != nil {
		return nil, fmt.Errorf("writing %T: %w", o.Value, err)
	}
	var doc goyaml.Node
	if err := goyaml.Unmarshal(plain, &doc); err != nil {
		return nil, fmt.Errorf("writing %T: %w", o.Value, err)
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("writing %T: it is empty", o.Value)
	}
	root := doc.Content[0]
	drop(root, "status")
	for path, text := range o.Comments {
		if text == "" {
			continue
		}
		key, depth := root, 0
		if path == "" {
			key = root.Content[0]
		} else if key, depth, err = find(root, path); err != nil {
			return nil, fmt.Errorf("writing %T: commenting %q: %w", o.Value, path, err)
		}
		key.HeadComment = wrap(text, 100-2*depth)
	}
	var b bytes.Buffer
	enc := goyaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return nil, fmt.Errorf("writing %T: %w", o.Value, err)
	}
	return b.Bytes(), nil
}

// drop removes a key of a mapping.
func drop(n *goyaml.Node, name string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content = append(n.Content[:i], n.Content[i+2:]...)
			return
		}
	}
}

// find is the key of a path, and how deep it lies. A number is the index of a
// list, which is no deeper than the list itself.
func find(n *goyaml.Node, path string) (key *goyaml.Node, depth int, err error) {
	for part := range strings.SplitSeq(path, ".") {
		if i, err := strconv.Atoi(part); err == nil && n.Kind == goyaml.SequenceNode {
			if i >= len(n.Content) {
				return nil, 0, errors.New("the list is shorter")
			}
			n = n.Content[i]
			continue
		}
		found := false
		for i := 0; i+1 < len(n.Content) && n.Kind == goyaml.MappingNode; i += 2 {
			if n.Content[i].Value == part {
				key, n, found = n.Content[i], n.Content[i+1], true
				break
			}
		}
		if !found {
			return nil, 0, fmt.Errorf("there is no %q", part)
		}
		depth++
	}
	return key, depth, nil
}

// wrap makes comment lines of about a width out of paragraphs, one a line; those
// of a list go on below their dash. Only what prints gets in, so nothing in it can
// end the comment.
func wrap(text string, width int) string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line, first := "#", true
		for word := range strings.FieldsSeq(report.OneLine(paragraph)) {
			if len(line)+1+len(word) > width && !first {
				lines = append(lines, line)
				line = "#"
				if strings.HasPrefix(paragraph, "- ") {
					line = "#  "
				}
			}
			line, first = line+" "+word, false
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
