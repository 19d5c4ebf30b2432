package build

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// pinFrom puts a reference in the place of images that FROM names, for an engine,
// which would look for them itself and take the release of its own Windows. Images
// that variables name stay.
func pinFrom(text []byte, images []string, pinned string) []byte {
	tree, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return text // the engine says what is wrong with it
	}
	lines := bytes.Split(text, []byte("\n"))
	for _, node := range tree.AST.Children {
		if !strings.EqualFold(node.Value, "FROM") || node.Next == nil || !slices.Contains(images, node.Next.Value) {
			continue
		}
		word := regexp.MustCompile(`(^|\s)` + regexp.QuoteMeta(node.Next.Value) + `(\s|$)`)
		for i := node.StartLine - 1; i < min(node.EndLine, len(lines)); i++ {
			if at := word.FindSubmatchIndex(lines[i]); at != nil {
				lines[i] = slices.Concat(lines[i][:at[3]], []byte(pinned), lines[i][at[4]:])
				break
			}
		}
	}
	return bytes.Join(lines, []byte("\n"))
}
