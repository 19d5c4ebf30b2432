package inventory

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/template"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// maxReference bounds what a template may give, in bytes.
const maxReference = 1024

// Template makes references from the names and kinds of apps.
type Template struct{ parsed *template.Template }

// ParseTemplate reads a template over .Name and .Kind, like
// registry.example.com/apps/{{.Name}}:1.
func ParseTemplate(text string) (*Template, error) {
	parsed, err := template.New("tag").Parse(text)
	if err != nil {
		return nil, templateError(err)
	}
	t := &Template{parsed}
	if _, err := t.Reference("shop", "aspnet"); err != nil {
		return nil, err
	}
	return t, nil
}

var missingField = regexp.MustCompile(`can't evaluate field (\w+) in type `)

// templateError leaves out what text/template says of the template's own name.
func templateError(err error) error {
	text := err.Error()
	if field := missingField.FindStringSubmatch(text); field != nil {
		return fmt.Errorf("there is no field %s: a template has .Name and .Kind", field[1])
	}
	if i := strings.Index(text, ": "); i >= 0 && strings.HasPrefix(text, "template: tag:") {
		text = text[i+2:]
		if i := strings.Index(text, " "); strings.HasPrefix(text, "tag:") && i > 0 {
			text = strings.TrimSpace(text[i:])
		}
	}
	return errors.New(report.OneLine(text))
}

// Reference is that of an app, checked. The name is made what a repository may hold.
func (t *Template) Reference(appName, kind string) (string, error) {
	repository := Repository(appName)
	if repository == "" {
		return "", fmt.Errorf("nothing of the name %q can stand in a reference: give the row a tag", appName)
	}
	var out limited
	if err := t.parsed.Execute(&out, struct{ Name, Kind string }{repository, kind}); err != nil {
		return "", templateError(err)
	}
	text := strings.TrimSpace(out.String())
	if _, err := canonical(text); err != nil {
		return "", err
	}
	return text, nil
}

// limited is a text that does not grow without end.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxReference {
		return 0, fmt.Errorf("the reference is longer than %d bytes: %w", maxReference, io.ErrShortWrite)
	}
	return l.Builder.Write(p)
}

// canonical is a reference in full, the same for all spellings of it.
func canonical(text string) (string, error) {
	switch {
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("tag %q: a reference has no scheme, like registry.example.com/name:tag", short(text))
	case strings.Contains(text, "@"):
		return "", fmt.Errorf("tag %q: name a tag, the digest comes from the build", short(text))
	}
	tag, err := name.NewTag(text)
	if err != nil {
		return "", fmt.Errorf("tag %q is not an image reference like registry.example.com/name:tag", short(text))
	}
	return tag.Name(), nil
}

// Canonical is a reference in full, the same for all spellings of it, or the text
// itself where it is none.
func Canonical(reference string) string {
	if full, err := canonical(reference); err == nil {
		return full
	}
	return reference
}

// errUntagged is a row without a reference. All of them are told in one line.
var errUntagged = errors.New("the row has no tag, and --push needs one: give it a tag, or all rows one by --tag-template")

// tellUntagged tells of the rows that lack a reference.
func (x *reader) tellUntagged() {
	n := len(x.untagged)
	switch {
	case n == 0:
		return
	case n == 1:
		p := x.untagged[0]
		x.bad(p.Path, p.Line, "%s", errUntagged)
		return
	case x.untagged[0].Line == 0:
		x.bad(x.Path, 0, "none of its %d apps has a tag, and --push needs one: give all of them one by --tag-template", n)
	default:
		x.bad(x.Path, x.untagged[0].Line, "%d rows have no tag, and --push needs one: give each a tag, or all rows one by --tag-template (lines %s)", n, lineRanges(x.untagged))
	}
	x.Bad += n - 1
}

// maxRanges bounds the lines that are named one by one.
const maxRanges = 20

// lineRanges are lines in short: 2, 4-7.
func lineRanges(at []Problem) string {
	var ranges []string
	for i := 0; i < len(at); {
		end := i
		for end+1 < len(at) && at[end+1].Line == at[end].Line+1 {
			end++
		}
		if len(ranges) == maxRanges {
			return strings.Join(ranges, ", ") + fmt.Sprintf(" and %d more", len(at)-i)
		}
		text := fmt.Sprint(at[i].Line)
		if end > i {
			text += fmt.Sprintf("-%d", at[end].Line)
		}
		ranges = append(ranges, text)
		i = end + 1
	}
	return strings.Join(ranges, ", ")
}

// reference checks that of a row, and that no other row has it. Where it depends on
// the kind, which is not known yet, it may not be that of a row of the same kind.
func (x *reader) reference(line int, r Row) error {
	refs, text, where := x.refs, r.Tag, ""
	switch {
	case r.Tag != "":
	case x.opt.Template != nil:
		var err error
		if text, err = x.opt.Template.Reference(r.Name, "kind-a"); err != nil {
			return err
		}
		if other, err := x.opt.Template.Reference(r.Name, "kind-b"); err == nil && other != text {
			refs, where = x.kinds, ", where both are of one kind"
		}
	case x.opt.NeedReference:
		return errUntagged
	default:
		return nil
	}
	full, err := canonical(text)
	if err != nil {
		return err
	}
	if first, twice := refs[full]; twice {
		return fmt.Errorf("the reference %q is that of %s already%s: name each image once", strings.ReplaceAll(text, "kind-a", "KIND"), first, where)
	}
	refs[full] = place{line, r.Name}
	return nil
}
