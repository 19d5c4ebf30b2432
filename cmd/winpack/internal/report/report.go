// Package report joins what detection and planning say of an app into the
// document that people and pipelines read: the JSON winpack/report/v1, and the
// text that is a view of it.
package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// ID names the JSON schema of a Report.
const ID = "winpack/report/v1"

// Schema is the JSON Schema of a Report.
//
//go:embed report.schema.json
var Schema []byte

// Report is the document. Every list but Apps is present, empty or not.
type Report struct {
	Schema string `json:"schema"`
	App    App    `json:"app,omitzero"`
	Base   Base   `json:"base,omitzero"`
	Needs  Needs  `json:"needs,omitzero"`
	// Apps are those of a folder with several, by name. App, Base and Needs are then
	// absent, and findings, facts and problems carry the name of their app.
	Apps     []Part           `json:"apps,omitempty"`
	Steps    []Step           `json:"steps"`
	Findings []detect.Finding `json:"findings"`
	Facts    []detect.Fact    `json:"facts"`
	Problems []detect.Problem `json:"problems"`
	// Closure is there where detect --closure asks for it.
	Closure *detect.Closure `json:"closure,omitempty"`
}

// App is what the app is and how it is started.
type App struct {
	Name         string           `json:"name"`
	Path         string           `json:"path"` // of the app in the folder; "." for all of it
	Kind         detect.Kind      `json:"kind"`
	Flavors      []string         `json:"flavors"`
	Framework    detect.Framework `json:"framework"`
	Architecture string           `json:"architecture"`
	Becomes      string           `json:"becomes"`
	Entrypoint   []string         `json:"entrypoint"`
	Ports        []int            `json:"ports"`
	Sites        []string         `json:"sites"`
	// Site is what applicationHost.config says of a site of an IIS server.
	Site *detect.Site `json:"site,omitempty"`
}

// Part is one app of a folder with several.
type Part struct {
	App
	Base  Base   `json:"base"`
	Needs Needs  `json:"needs"`
	Steps []Step `json:"steps"`
	// Closure is there where detect --closure asks for it.
	Closure *detect.Closure `json:"closure,omitempty"`
}

// Base is the chosen base image. Reference is empty where none fits, and Family is then
// the one that the app needs.
type Base struct {
	Reference string                `json:"reference"`
	Family    string                `json:"family"`
	OS        string                `json:"os"`
	Images    []Image               `json:"images"`
	Why       []string              `json:"why"`
	Rejected  []dockerfile.Rejected `json:"rejected"`
	// Learned are the images whose contents decided, in place of winpack's lists.
	Learned []detect.LearnedBase `json:"learned,omitempty"`
}

// Image is the base image for one Windows release.
type Image struct {
	OS         string `json:"os"`
	Reference  string `json:"reference"`
	SupportEnd string `json:"supportEnd"` // ISO date, empty when unknown
	// SupportEnded says that SupportEnd is over, as of the day of the catalog.
	SupportEnded bool `json:"supportEnded,omitempty"`
}

// Step is what winpack does beyond the base image, in the order of execution.
type Step struct {
	Kind     dockerfile.StepKind `json:"kind"`
	Why      string              `json:"why"`
	To       string              `json:"to,omitempty"`  // folder of the image
	For      string              `json:"for,omitempty"` // account that a grant is for
	Commands []string            `json:"commands,omitempty"`
	OS       []string            `json:"os,omitempty"` // releases; empty means all
}

// Needs is what building the image takes.
type Needs struct {
	WindowsBuilder bool     `json:"windowsBuilder"`
	Reasons        []string `json:"reasons"`
}

// New joins a detection report and a plan. Where planning ended early, why says
// why, and the plan holds what was found until then.
func New(d detect.Report, plan dockerfile.Plan, why string) Report {
	r := Report{
		Schema: ID,
		App: App{
			Name:         d.App.Name,
			Path:         ".",
			Kind:         d.App.Kind,
			Flavors:      list(d.App.Flavors),
			Framework:    d.App.Framework,
			Architecture: d.App.Architecture,
			Becomes:      string(d.App.Becomes),
			Entrypoint:   []string{},
			Ports:        list(d.App.Ports),
			Sites:        []string{},
			Site:         d.App.Site,
		},
		Base:     Base{Images: []Image{}, Why: []string{}, Rejected: []dockerfile.Rejected{}},
		Needs:    Needs{Reasons: []string{}},
		Steps:    []Step{},
		Findings: list(d.Findings),
		Facts:    list(d.Facts),
		Problems: list(d.Problems),
		Closure:  d.Closure,
	}
	if len(d.Source) > 0 {
		r.App.Path = d.Source[0].From
	}
	if d.App.Site != nil {
		r.App.Sites = []string{d.App.Site.Name}
	}
	if len(plan.Config.Ports) > 0 {
		r.App.Ports = plan.Config.Ports
	}
	r.App.Entrypoint = list(plan.Config.Entrypoint)
	r.Base.Family = plan.Family
	r.Base.Why = slices.Clone(list(plan.Why))
	if why != "" {
		r.Base.Why = append(r.Base.Why, why)
	}
	r.Base.Rejected = list(plan.Rejected)
	r.Base.Learned = d.Learned
	for i, base := range plan.Bases {
		if i == 0 {
			r.Base.Reference, r.Base.OS = base.Reference, base.OS
			if len(plan.Config.Entrypoint) == 0 {
				r.App.Entrypoint = list(base.Entrypoint)
			}
		}
		reference := base.Reference
		if base.Digest != "" {
			reference += "@" + base.Digest
		}
		r.Base.Images = append(r.Base.Images, Image{base.OS, reference, base.SupportEnd, base.SupportEnded})
	}
	for _, o := range plan.Omitted {
		r.Base.Why = append(r.Base.Why, fmt.Sprintf("%s is left out: %s", o.OS, o.Why))
	}
	r.Needs = Needs{plan.Builder.Windows, list(plan.Builder.Reasons)}
	for _, x := range plan.Steps {
		r.Steps = append(r.Steps, Step{x.Kind, x.Why, x.To, x.Trustee.Name, x.Commands, x.OS})
	}
	r.Findings = MergeFindings(r.Findings, plan.Findings)
	return r.withEvidence()
}

// MergeFindings sorts findings as detect does: by level, rule, and place.
func MergeFindings(a, b []detect.Finding) []detect.Finding {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(x, y detect.Finding) int {
		px, py := place(x), place(y)
		return cmp.Or(
			cmp.Compare(rank(x.Level), rank(y.Level)),
			cmp.Compare(x.Rule, y.Rule),
			cmp.Compare(px.Path, py.Path),
			cmp.Compare(px.Line, py.Line),
		)
	})
	return all
}

func place(f detect.Finding) detect.Evidence {
	if len(f.Evidence) == 0 {
		return detect.Evidence{}
	}
	return f.Evidence[0]
}

func rank(l detect.Level) int {
	return slices.Index([]detect.Level{detect.LevelBlocker, detect.LevelError, detect.LevelWarning, detect.LevelNote}, l)
}

// withEvidence makes the evidence lists present, empty or not.
func (r Report) withEvidence() Report {
	r.Findings = slices.Clone(r.Findings)
	for i := range r.Findings {
		r.Findings[i].Evidence = list(r.Findings[i].Evidence)
	}
	r.Facts = slices.Clone(r.Facts)
	for i := range r.Facts {
		r.Facts[i].Evidence = list(r.Facts[i].Evidence)
	}
	return r
}

// Blockers are the findings that keep the app out of Windows containers.
func (r Report) Blockers() []detect.Finding {
	return r.AtLeast(detect.LevelBlocker)
}

// AtLeast are the findings of a level or a worse one, but for those that the user
// accepts.
func (r Report) AtLeast(level detect.Level) []detect.Finding {
	var found []detect.Finding
	for _, f := range r.Findings {
		if rank(f.Level) <= rank(level) && f.Accepted == "" {
			found = append(found, f)
		}
	}
	return found
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// JSON marshals a document for stdout: indented, and without a character that a
// terminal would obey.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return escapeJSON(b.Bytes()), nil
}

// JSONLine marshals a document into one line, with its end, and like JSON without a
// character that a terminal would obey.
func JSONLine(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return escapeJSON(b.Bytes()), nil
}

// escapeJSON writes control characters that JSON lets stand as \uXXXX. They
// can only occur inside strings.
func escapeJSON(in []byte) []byte {
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		if r != '\n' && unsafeRune(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, in[:n]...)
		}
		in = in[n:]
	}
	return out
}
