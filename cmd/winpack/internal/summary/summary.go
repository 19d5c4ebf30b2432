package summary

import (
	"cmp"
	_ "embed"
	"maps"
	"slices"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// ID names the JSON schema of a summary.
const ID = "winpack/summary/v1"

// Schema is the JSON Schema of a summary.
//
//go:embed summary.schema.json
var Schema []byte

// Summary is what the saved results add up to. Its JSON holds the apps too, each
// with its findings; see JSON.
type Summary struct {
	Schema string `json:"schema"`
	// Inventory is what winpack batch was given, as it was typed; empty where that is
	// not known.
	Inventory string  `json:"inventory"`
	Counts    Counts  `json:"counts"`
	Kinds     []Kind  `json:"kinds"`  // the most frequent first
	Bases     []Image `json:"bases"`  // the most frequent first
	Causes    []Cause `json:"causes"` // the worst level first, then the most frequent
	Next      []Step  `json:"next"`   // what to do, in order

	Missing      []result.Row     `json:"missing"`
	Unlisted     []string         `json:"unlisted"` // names that the inventory has no more
	Doubles      []result.Double  `json:"doubles"`
	Problems     []result.Problem `json:"problems"` // lines that are no results
	MoreProblems int              `json:"moreProblems"`
	Torn         []result.Place   `json:"torn"` // lines that a crash cut off

	// Apps are all rows by name, those without a result too.
	Apps []App `json:"-"`
	// Rules are those that findings name, accepted ones too, by ID.
	Rules []detect.Rule `json:"-"`
}

// Counts are numbers of apps.
type Counts struct {
	Apps    int `json:"apps"`    // rows of the inventory, and results that are none of them
	Results int `json:"results"` // apps that have one
	Images  int `json:"images"`  // apps of which an image was built
	// WindowsBuilder is how many take a Windows machine to build.
	WindowsBuilder int             `json:"windowsBuilder"`
	Outlook        map[Outlook]int `json:"outlook"`  // every outlook is there
	Status         map[string]int  `json:"status"`   // every status is there
	Findings       Levels          `json:"findings"` // of all apps, but for accepted ones
}

// Kind is how many apps are of a kind.
type Kind struct {
	Kind detect.Kind `json:"kind"`
	Apps int         `json:"apps"`
}

// Image is how many apps fit a base image.
type Image struct {
	Reference string `json:"reference"`
	Apps      int    `json:"apps"`
}

// Cause is a rule, and how many apps have a finding of it.
type Cause struct {
	Rule     string       `json:"rule"`
	Level    detect.Level `json:"level"` // the worst of its findings
	Title    string       `json:"title"`
	Apps     int          `json:"apps"`
	Findings int          `json:"findings"`
	// Alone is how many apps can move as soon as this is solved: nothing else keeps
	// them.
	Alone int `json:"alone"`
}

// Builder adds results up.
type Builder struct {
	rules  map[string]detect.Rule // that this winpack has
	named  map[string]detect.Rule // that findings name
	apps   []App
	causes map[string]*Cause
}

// NewBuilder returns a builder without results.
func NewBuilder() *Builder {
	return &Builder{rules: report.Rules(), named: map[string]detect.Rule{}, causes: map[string]*Cause{}}
}

// Of reads all results of a set and adds them up.
func Of(set *result.Set) (Summary, error) {
	b := NewBuilder()
	for r, err := range set.All() {
		if err != nil {
			return Summary{}, err
		}
		b.Add(&r)
	}
	return b.Finish(set), nil
}

// Add adds a result, or those of each app of a source with several. It keeps none of
// the report.
func (b *Builder) Add(r *result.Result) {
	for _, one := range r.Split() {
		b.add(r.Name, &one)
	}
}

func (b *Builder) add(row string, r *result.Result) {
	a := newApp(r, b.rules)
	a.row = row
	b.apps = append(b.apps, a)
	if r.Report == nil {
		return
	}
	counted := map[string]bool{}
	for _, f := range r.Report.Findings {
		if _, known := b.named[f.Rule]; !known {
			rule, ok := b.rules[f.Rule]
			if !ok {
				rule = detect.Rule{ID: f.Rule, Title: title(f, b.rules), Level: f.Level}
			}
			b.named[f.Rule] = rule
		}
		if f.Accepted != "" {
			continue
		}
		c := b.causes[f.Rule]
		if c == nil {
			c = &Cause{Rule: f.Rule, Level: f.Level, Title: title(f, b.rules)}
			b.causes[f.Rule] = c
		}
		if f.Level.Rank() < c.Level.Rank() {
			c.Level = f.Level
		}
		c.Findings++
		if !counted[f.Rule] {
			counted[f.Rule] = true
			c.Apps++
			if f.Rule == a.alone {
				c.Alone++
			}
		}
	}
}

// Finish is the summary of what was added, and of what set says beyond the results.
func (b *Builder) Finish(set *result.Set) Summary {
	for _, row := range set.Missing {
		labels := row.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		b.apps = append(b.apps, App{
			Name: row.Name, Source: row.Source, Owner: row.Owner, Labels: labels,
			Outlook: Missing, Status: string(Missing), Rules: []string{}, row: row.Name,
		})
	}
	slices.SortStableFunc(b.apps, func(x, y App) int { return result.CompareNames(x.row, y.row) }) // those of a row are by name
	s := Summary{
		Schema: ID, Apps: b.apps,
		Missing: list(set.Missing), Unlisted: list(set.Unlisted), Doubles: list(set.Doubles),
		Problems: list(set.Problems), MoreProblems: set.MoreProblems, Torn: list(set.Torn),
	}
	s.Counts, s.Kinds, s.Bases = count(b.apps)
	s.Causes = b.sortedCauses()
	for _, id := range slices.Sorted(maps.Keys(b.named)) {
		s.Rules = append(s.Rules, b.named[id])
	}
	if set.Batch != nil {
		s.Inventory = set.Batch.Inventory
	}
	s.Next = next(s, set)
	return s
}

func count(apps []App) (Counts, []Kind, []Image) {
	c := Counts{Apps: len(apps), Outlook: map[Outlook]int{}, Status: map[string]int{string(Missing): 0}}
	for _, o := range Outlooks() {
		c.Outlook[o] = 0
	}
	for _, s := range []result.Status{result.OK, result.Findings, result.Blocked, result.Failed} {
		c.Status[string(s)] = 0
	}
	kinds, bases := map[detect.Kind]int{}, map[string]int{}
	for i := range apps {
		a := &apps[i]
		c.Outlook[a.Outlook]++
		c.Status[a.Status]++
		if a.Outlook != Missing {
			c.Results++
		}
		c.Findings.Blocker += a.Count.Blocker
		c.Findings.Error += a.Count.Error
		c.Findings.Warning += a.Count.Warning
		c.Findings.Note += a.Count.Note
		if a.Image != nil {
			c.Images++
		}
		if a.WindowsBuilder {
			c.WindowsBuilder++
		}
		if a.Kind != "" {
			kinds[a.Kind]++
		}
		if a.Base.Reference != "" {
			bases[a.Base.Reference]++
		}
	}
	kindList, baseList := []Kind{}, []Image{}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		kindList = append(kindList, Kind{k, kinds[k]})
	}
	for _, r := range slices.Sorted(maps.Keys(bases)) {
		baseList = append(baseList, Image{r, bases[r]})
	}
	slices.SortStableFunc(kindList, func(a, b Kind) int { return cmp.Compare(b.Apps, a.Apps) })
	slices.SortStableFunc(baseList, func(a, b Image) int { return cmp.Compare(b.Apps, a.Apps) })
	return c, kindList, baseList
}

func (b *Builder) sortedCauses() []Cause {
	causes := []Cause{}
	for _, c := range b.causes {
		causes = append(causes, *c)
	}
	slices.SortFunc(causes, func(x, y Cause) int {
		return cmp.Or(cmp.Compare(x.Level.Rank(), y.Level.Rank()), cmp.Compare(y.Apps, x.Apps), cmp.Compare(x.Rule, y.Rule))
	})
	return causes
}

// AtLeast is how many apps have a finding at or above a level of --fail-on.
func (s Summary) AtLeast(level string) int {
	n := 0
	for i := range s.Apps {
		if s.Apps[i].Count.AtLeast(level) {
			n++
		}
	}
	return n
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
