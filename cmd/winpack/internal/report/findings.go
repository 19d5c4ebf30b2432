package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// TextFindings writes findings as Text does, each line behind indent.
func TextFindings(w io.Writer, findings []detect.Finding, v View, indent string) error {
	p := printer{View: v}
	p.eachFinding(findings)
	for line := range strings.Lines(p.b.String()) {
		if _, err := io.WriteString(w, indent+line); err != nil {
			return err
		}
	}
	return nil
}

// Where is the place of evidence in words, safe to print.
func Where(e detect.Evidence) string {
	where := e.Path
	switch {
	case e.Line > 0:
		where = fmt.Sprintf("%s:%d", e.Path, e.Line)
	case e.Length > 0:
		where = fmt.Sprintf("%s at %#x, %d bytes", e.Path, e.Offset, e.Length)
	}
	return Safe(where)
}
