// Package rules explains the rules that findings name: the document
// winpack/rules/v1, and the text that is a view of it.
package rules

import (
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// ID names the JSON schema of a Document.
const ID = "winpack/rules/v1"

// Schema is the JSON Schema of a Document.
//
//go:embed rules.schema.json
var Schema []byte

// Document holds rules. The list is present, empty or not.
type Document struct {
	Schema string `json:"schema"`
	Rules  []Rule `json:"rules"`
}

// Rule is one rule as people read it. In Message and Remedy, <value> and the like
// stand for what a finding fills in.
type Rule struct {
	ID      string       `json:"id"`
	Level   detect.Level `json:"level"` // the worst that a finding may have
	Title   string       `json:"title"`
	Message string       `json:"message"`
	Why     string       `json:"why"`
	Remedy  string       `json:"remedy"`
	Source  string       `json:"source"` // empty where none is cited
}

// All returns every rule that winpack has, by ID.
func All() []Rule {
	var all []Rule
	for _, r := range slices.Concat(detect.Rules(), dockerfile.Rules()) {
		all = append(all, Rule{r.ID, r.Level, r.Title, readable(r.Message), r.Why, remedy(r.Remedy), r.Source})
	}
	slices.SortStableFunc(all, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Find returns the rule with an ID, in upper or lower case.
func Find(id string) (Rule, bool) {
	all := All()
	i := slices.IndexFunc(all, func(r Rule) bool { return strings.EqualFold(r.ID, id) })
	if i < 0 {
		return Rule{}, false
	}
	return all[i], true
}

// New makes the document of some rules.
func New(rules []Rule) Document { return Document{ID, append([]Rule{}, rules...)} }

var placeholder = regexp.MustCompile(`\{([a-z]+)\}`)

func readable(template string) string { return placeholder.ReplaceAllString(template, "<$1>") }

// remedy is readable for a remedy, which may be nothing but what a table says of
// the thing that was found.
func remedy(template string) string {
	if placeholder.FindString(template) == template {
		return "It depends on what was found, and each finding says it."
	}
	return readable(template)
}

// List writes one rule a line: its ID, its level, its title.
func (d Document) List(w io.Writer) error {
	var b strings.Builder
	for _, r := range d.Rules {
		fmt.Fprintf(&b, "%s  %-7s  %s\n", r.ID, r.Level, r.Title)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Text writes the rules for people, in lines of at most 100 characters.
func (d Document) Text(w io.Writer) error {
	var b strings.Builder
	part := func(title, text string) {
		if text != "" {
			b.WriteString("\n" + title + "\n" + report.Wrap("  ", text))
		}
	}
	for i, r := range d.Rules {
		if i > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "%s: %s (%s)\n", r.ID, r.Title, r.Level)
		part("What it means", r.Message)
		part("Why the rule exists", r.Why)
		part("What to do", r.Remedy)
		if r.Source != "" { // addresses, one a line: cut, they could not be followed
			b.WriteString("\nSource\n")
			for one := range strings.SplitSeq(r.Source, "; ") {
				if strings.HasPrefix(one, "https://") {
					b.WriteString("  " + one + "\n")
				} else {
					b.WriteString(report.Wrap("  ", one))
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
