package summary

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// Bounds of what the page holds of one app; the JSON has all of it.
const (
	pageText     = 1000 // characters of one text
	pageEvidence = 12   // places of one finding
	pageProblems = 20   // places that could not be read
)

// shorten makes text from an app fit for the page: safe to print, and not longer
// than a person reads.
func shorten(s string) string {
	s = report.OneLine(s)
	if len(s) <= pageText || utf8.RuneCountInString(s) <= pageText {
		return s
	}
	return string([]rune(s)[:pageText]) + "…"
}

// pageApp is an app in the data of the page. A number stands for a string of the
// page's table, since thousands of apps say the same.
type pageApp struct {
	Name      int    `json:"n"`
	Source    int    `json:"s"`
	Owner     int    `json:"o"`
	Labels    []int  `json:"l"` // key, value, key, value
	Outlook   int    `json:"ol"`
	Label     int    `json:"lb"` // of the outlook
	Rank      int    `json:"rank"`
	Status    int    `json:"st"`
	Kind      int    `json:"k"`
	KindText  int    `json:"kt"`
	Framework int    `json:"f"`
	Arch      int    `json:"a"`
	Base      int    `json:"b"`
	Why       []int  `json:"h"`
	Starts    int    `json:"p"`
	Windows   []int  `json:"x"` // why a Windows machine has to build it
	Counts    [4]int `json:"c"` // findings by level, the worst first
	Rules     []int  `json:"r"`
	Cause     int    `json:"y"`
	More      int    `json:"ym"` // what there is beside the cause
	Fault     bool   `json:"ff"` // the build failed beside that
	Image     int    `json:"im"`
	Digest    int    `json:"d"`
	Error     int    `json:"e"`
	Findings  []any  `json:"g"` // each [finding, [place, detail, ...], places left out, why it is accepted]
	Problems  []int  `json:"u"`
	MoreProbs int    `json:"um"`
}

// table numbers strings and findings as they come. String 0 is empty.
type table struct {
	strings  []string
	number   map[string]int
	findings [][4]int // rule, level, message, remedy
	finding  map[[4]int]int
}

func (t *table) text(s string) int {
	s = shorten(s)
	n, known := t.number[s]
	if !known {
		n = len(t.strings)
		t.number[s] = n
		t.strings = append(t.strings, s)
	}
	return n
}

func (t *table) texts(list []string) []int {
	numbers := []int{}
	for _, s := range list {
		numbers = append(numbers, t.text(s))
	}
	return numbers
}

// data writes what the page's script reads. The writer of JSON leaves no "<" in
// it, so that nothing in it can end the script element.
func (s Summary) data(w io.Writer, set *result.Set) error {
	t := &table{number: map[string]int{}, finding: map[[4]int]int{}}
	t.text("")
	if _, err := io.WriteString(w, `{"apps":[`); err != nil {
		return err
	}
	comma := "\n"
	err := eachFull(s, set, func(a App, r *report.Report) error {
		line, err := json.Marshal(t.app(&a, r))
		if err != nil {
			return err
		}
		_, err = w.Write(append([]byte(comma), line...))
		comma = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	rest := struct {
		Findings [][4]int    `json:"findings"`
		Rules    [][2]string `json:"rules"`
		Outlooks [][3]string `json:"outlooks"` // value, label, meaning
		Statuses [][2]string `json:"statuses"` // value, meaning
		Strings  []string    `json:"strings"`
	}{list(t.findings), [][2]string{}, [][3]string{}, statuses(), t.strings}
	for _, c := range s.Causes {
		rest.Rules = append(rest.Rules, [2]string{shorten(c.Rule), shorten(c.Title)})
	}
	for _, o := range Outlooks() {
		rest.Outlooks = append(rest.Outlooks, [3]string{string(o), o.Label(), o.Meaning()})
	}
	end, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	_, err = w.Write(append([]byte("\n],\n"), bytes.TrimPrefix(end, []byte("{"))...))
	return err
}

func (t *table) app(a *App, r *report.Report) pageApp {
	p := pageApp{
		Name: t.text(a.Name), Source: t.text(a.Source), Owner: t.text(a.Owner), Labels: []int{},
		Outlook: t.text(string(a.Outlook)), Label: t.text(a.Outlook.Label()), Rank: slices.Index(Outlooks(), a.Outlook), Status: t.text(a.Status),
		Kind: t.text(string(a.Kind)), KindText: t.text(report.KindText(a.Kind)), Arch: t.text(a.Architecture), Base: t.text(a.Base.Reference),
		Framework: t.text(strings.TrimSpace(a.Framework.Name + " " + a.Framework.Version)),
		Why:       []int{}, Windows: []int{}, Counts: [4]int{a.Count.Blocker, a.Count.Error, a.Count.Warning, a.Count.Note},
		Rules: t.texts(a.Rules), Cause: t.text(a.Keeps()), More: t.text(a.More()), Fault: a.BuildFailed(), Error: t.text(a.Error), Findings: []any{}, Problems: []int{},
	}
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		p.Labels = append(p.Labels, t.text(k), t.text(a.Labels[k]))
	}
	if a.Image != nil {
		p.Image, p.Digest = t.text(a.Image.Reference), t.text(a.Image.Digest)
	}
	if r == nil {
		return p
	}
	p.Why, p.Windows = t.texts(r.Base.Why), t.texts(r.Needs.Reasons)
	p.Starts = t.text(strings.Join(r.App.Entrypoint, " "))
	for _, f := range r.Findings {
		p.Findings = append(p.Findings, t.seen(f))
	}
	for _, x := range r.Problems[:min(pageProblems, len(r.Problems))] {
		p.Problems = append(p.Problems, t.text(report.ProblemLine(x)))
	}
	p.MoreProbs = len(r.Problems) - len(p.Problems)
	return p
}

// seen is a finding with the places where it was seen.
func (t *table) seen(f detect.Finding) []any {
	key := [4]int{t.text(f.Rule), t.text(string(f.Level)), t.text(f.Message), t.text(f.Remedy)}
	n, known := t.finding[key]
	if !known {
		n = len(t.findings)
		t.finding[key] = n
		t.findings = append(t.findings, key)
	}
	places := []int{}
	shown := f.Evidence[:min(pageEvidence, len(f.Evidence))]
	for _, e := range shown {
		places = append(places, t.text(report.Where(e)), t.text(e.Detail))
	}
	return []any{n, places, len(f.Evidence) - len(shown), t.text(f.Accepted)}
}
