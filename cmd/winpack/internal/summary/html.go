package summary

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

// HTML writes one page that holds everything: it loads nothing, and opens from
// disk. Its policy lets no script and no style run but its own. The counts are in
// its HTML, and can be read without JavaScript; the list of apps is data for the
// page's script.
func (s Summary) HTML(w io.Writer, set *result.Set) error {
	t, err := template.New("page").Funcs(template.FuncMap{"number": number, "apps": appsText}).Parse(pageHTML)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	view := s.view()
	if err := t.ExecuteTemplate(out, "head", view); err != nil {
		return err
	}
	fmt.Fprintf(out, "<style>%s</style>\n", pageCSS)
	if err := t.ExecuteTemplate(out, "body", view); err != nil {
		return err
	}
	out.WriteString(`<script type="application/json" id="data">`)
	if err := s.data(out, set); err != nil {
		return err
	}
	fmt.Fprintf(out, "</script>\n<script>%s</script>\n</body>\n</html>\n", pageJS)
	return out.Flush()
}

// policy forbids everything but the page's own style and script.
func policy() string {
	return "default-src 'none'; script-src " + hash(pageJS) + "; style-src " + hash(pageCSS) +
		"; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// view is what the HTML of the page shows; text in it is safe to print, and the
// template escapes it.
type view struct {
	Policy     string
	Inventory  string // name of the inventory, without folder
	Apps       int
	Ready      int
	Lede       string
	Found      string // how many findings of each level
	StackLabel string
	Outlooks   []bar
	Cards      []card
	Next       []Step
	Charts     []chart
}

// bar is a number of apps that a click filters by.
type bar struct {
	Key, Value, Label string
	More              string // what Label means
	Apps              int
	Level             detect.Level
	Class             string
	From, Width       string // percent
}

type chart struct {
	Key, Title string
	Note       string // what is counted
	Bars, More []bar
}

// card lists what needs attention.
type card struct {
	Class, Title string
	Apps         int
	Rows         []cardRow
	Left         string
}

type cardRow struct{ Key, Value, Label, More string }

// fewBars and fewCardRows bound what is shown without a click.
const (
	fewBars     = 8
	fewCardRows = 5
)

func (s Summary) view() view {
	v := view{
		Policy: policy(), Inventory: s.inventoryName(), Apps: s.Counts.Apps, Ready: s.Counts.Outlook[Ready],
		Lede: s.lede(), Found: s.Counts.Findings.String(), Cards: s.cards(), Charts: s.charts(),
	}
	var parts []string
	from := 0
	for _, o := range Outlooks() {
		n := s.Counts.Outlook[o]
		v.Outlooks = append(v.Outlooks, bar{Value: string(o), Label: o.Label(), More: o.Meaning(), Apps: n, From: percent(from, s.Counts.Apps), Width: percent(n, s.Counts.Apps)})
		from += n
		parts = append(parts, number(n)+" "+o.Label())
	}
	v.StackLabel = strings.Join(parts, ", ")
	for _, x := range s.Next {
		v.Next = append(v.Next, Step{x.Apps, report.OneLine(x.Text), report.OneLine(x.Command)})
	}
	return v
}

// inventoryName is the name of the inventory without folder, and with either
// system's separator.
func (s Summary) inventoryName() string {
	name := strings.TrimRight(s.Inventory, `/\`)
	return shorten(name[strings.LastIndexAny(name, `/\`)+1:])
}

// lede is the headline's second sentence.
func (s Summary) lede() string {
	out := s.Counts.Outlook
	var parts []string
	if n := out[Decide]; n > 0 {
		parts = append(parts, number(n)+" more once "+verb(n, "its", "their")+" warnings are decided: they say what will or may break.")
	}
	if n := out[Work]; n > 0 {
		text := number(n) + " more after work"
		best := Cause{}
		for _, c := range s.Causes {
			if c.Level == detect.LevelError && c.Alone > best.Alone {
				best = c
			}
		}
		if best.Alone > 0 {
			text += fmt.Sprintf(", %s once one cause is solved: %s", ofThem(best.Alone, n), report.OneLine(best.Title))
		}
		parts = append(parts, text+".")
	}
	if n := out[Blocked]; n > 0 {
		parts = append(parts, number(n)+" can't run in a Windows container as "+verb(n, "it is", "they are")+".")
	}
	if n := s.Counts.WindowsBuilder; n > 0 {
		parts = append(parts, number(n)+" of all "+verb(n, "takes", "take")+" a Windows machine to build.")
	}
	if n := s.Counts.Images; n > 0 {
		parts = append(parts, number(n)+" "+verb(n, "has", "have")+" an image.")
	}
	return strings.Join(parts, " ")
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func ofThem(n, all int) string {
	if n == all && n > 1 {
		return "all of them"
	}
	return number(n) + " of them"
}

func (s Summary) charts() []chart {
	status := chart{Key: "status", Title: "Status of the last run", Note: "What the last winpack batch did with each app. How far an app is from a container is its outlook, above."}
	for _, x := range statuses() {
		class := map[string]string{"findings": "work"}[x[0]]
		if class == "" {
			class = x[0]
		}
		status.Bars = append(status.Bars, bar{Key: "status", Value: x[0], Label: x[0], More: x[1], Apps: s.Counts.Status[x[0]], Class: "fill-" + class})
	}
	kinds := chart{Key: "kind", Title: "Kinds of apps", Note: "What each app is, as its files say."}
	for _, k := range s.Kinds {
		kinds.Bars = append(kinds.Bars, bar{Key: "kind", Value: shorten(string(k.Kind)), Label: shorten(string(k.Kind)), More: report.KindText(k.Kind), Apps: k.Apps, Class: "fill-plain"})
	}
	bases := chart{Key: "base", Title: "Base images", Note: "The Windows image that each app's own would be built on."}
	for _, b := range s.Bases {
		bases.Bars = append(bases.Bars, bar{Key: "base", Value: shorten(b.Reference), Label: shorten(b.Reference), Apps: b.Apps, Class: "fill-plain"})
	}
	causes := chart{Key: "rule", Title: "Findings", Note: "Apps with each finding. A blocker keeps an app out of Windows containers, an error has to be solved, a warning will or may break something, a note is good to know. winpack explain WPnnnn says more."}
	for _, c := range s.Causes {
		class := map[detect.Level]string{detect.LevelWarning: "fill-warning", detect.LevelNote: "fill-note"}[c.Level]
		if class == "" {
			class = "fill-blocked"
		}
		causes.Bars = append(causes.Bars, bar{Key: "rule", Value: shorten(c.Rule), Label: shorten(c.Rule + " " + c.Title), Apps: c.Apps, Level: c.Level, Class: class})
	}
	all := []chart{causes, bases, kinds, status}
	for i := range all {
		c := &all[i]
		for j := range c.Bars {
			c.Bars[j].Width = percent(c.Bars[j].Apps, s.Counts.Apps)
		}
		if len(c.Bars) > fewBars+1 {
			c.Bars, c.More = c.Bars[:fewBars], c.Bars[fewBars:]
		}
	}
	return all
}

// cards are what has to be seen first: what is blocked, failed or missing, and
// what could not be read of the results.
func (s Summary) cards() []card {
	var cards []card
	add := func(class, title string, apps int, rows []cardRow, left int) {
		if apps == 0 {
			return
		}
		c := card{Class: class, Title: title, Apps: apps, Rows: rows}
		if left > 0 {
			c.Left = fmt.Sprintf("and %s more", number(left))
		}
		cards = append(cards, c)
	}
	rowsOf := func(o Outlook, more func(*App) string) (rows []cardRow, left int) {
		for i := range s.Apps {
			if a := &s.Apps[i]; a.Outlook == o && len(rows) < fewCardRows {
				rows = append(rows, cardRow{"app", shorten(a.Name), shorten(a.Name), shorten(more(a))})
			}
		}
		return rows, s.Counts.Outlook[o] - len(rows)
	}
	rows, left := rowsOf(Blocked, func(a *App) string { return a.Cause })
	if left > 0 {
		rows, left = s.causeRows(func(c Cause) bool { return c.Level == detect.LevelBlocker })
	}
	add("blocked", "blocked", s.Counts.Outlook[Blocked], rows, left)
	rows, left = rowsOf(Failed, func(a *App) string { return a.Error })
	add("failed", "failed", s.Counts.Outlook[Failed], rows, left)
	rows, left = s.causeRows(func(c Cause) bool { return decides(detect.Finding{Rule: c.Rule, Level: c.Level}) })
	add("decide", "to decide", s.Counts.Outlook[Decide], rows, left)
	rows, left = rowsOf(Missing, func(a *App) string { return a.Source })
	add("missing", "without a result", s.Counts.Outlook[Missing], rows, left)
	notes := s.Notes()
	rows = nil
	for _, note := range notes[:min(fewCardRows, len(notes))] {
		rows = append(rows, cardRow{Label: shorten(note)})
	}
	add("care", "to read with care", len(notes), rows, len(notes)-len(rows))
	return cards
}

// causeRows are the causes of many apps, those that count.
func (s Summary) causeRows(counts func(Cause) bool) (rows []cardRow, left int) {
	for _, c := range s.Causes {
		if !counts(c) {
			continue
		}
		if len(rows) == fewCardRows {
			left++
			continue
		}
		rows = append(rows, cardRow{"rule", shorten(c.Rule), shorten(c.Rule + " " + c.Title), appsText(c.Apps)})
	}
	return rows, left
}

// percent is a share of all, for a width.
func percent(n, all int) string {
	if all == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3f", float64(n)*100/float64(all))
}

// number writes n with commas between thousands.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func appsText(n int) string {
	if n == 1 {
		return "1 app"
	}
	return number(n) + " apps"
}
