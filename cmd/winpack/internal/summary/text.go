package summary

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// View says how the text looks.
type View struct {
	Color   bool
	Quiet   bool // one line for each app, and nothing else
	Verbose bool // the findings of each app too, and lists in full
}

// fewRows is how many rows of a list are printed without Verbose.
const fewRows = 10

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

type printer struct {
	View
	w *bufio.Writer // keeps the first error until Flush
}

// Text writes the summary for people: the sums, what to do next, and one line for
// each app. It says nothing that the JSON doesn't hold.
func (s Summary) Text(w io.Writer, set *result.Set, v View) error {
	p := printer{v, bufio.NewWriter(w)}
	if !v.Quiet {
		p.head(s)
		p.unread(s)
		p.tables(s)
		p.next(s)
	}
	if err := p.apps(s, set); err != nil {
		return err
	}
	return p.w.Flush()
}

func (p printer) paint(color, s string) string {
	if !p.Color || color == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (p printer) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

func (o Outlook) color() string {
	switch o {
	case Ready:
		return green
	case Decide, Work, Unclear:
		return yellow
	case Missing:
		return dim
	}
	return red
}

// shares are whole percents of all that add up to 100. What is not nothing is not
// shown as nothing, and what is not all not as all.
func shares(counts []int) []int {
	all := 0
	for _, n := range counts {
		all += n
	}
	out := make([]int, len(counts))
	if all == 0 {
		return out
	}
	left := 100
	for i, n := range counts {
		if out[i] = n * 100 / all; n > 0 {
			out[i] = max(out[i], 1)
		}
		left -= out[i]
	}
	for ; left != 0; left -= sign(left) { // to who lacks most, or from who has most too much
		best, most := 0, math.Inf(-1)
		for i, n := range counts {
			lack := (float64(n)*100/float64(all) - float64(out[i])) * float64(sign(left))
			if n > 0 && lack > most && out[i]+sign(left) > 0 {
				best, most = i, lack
			}
		}
		out[best] += sign(left)
	}
	return out
}

func sign(n int) int { return cmp.Compare(n, 0) }

func (p printer) head(s Summary) {
	c := s.Counts
	title := ""
	if s.Inventory != "" {
		title = report.OneLine(s.Inventory) + ": "
	}
	title += fmt.Sprintf("%d of %s can move to Windows containers now", c.Outlook[Ready], appsText(c.Apps))
	if n := c.Outlook[Decide]; n > 0 {
		title += fmt.Sprintf(", %d more once %s warnings are decided", n, verb(n, "its", "their"))
	}
	p.line("%s", p.paint(bold, title))
	p.line("")
	var counts []int
	for _, o := range Outlooks() {
		counts = append(counts, c.Outlook[o])
	}
	for i, percent := range shares(counts) {
		if o := Outlooks()[i]; counts[i] > 0 || o == Ready {
			p.line("  %s %6d  %3d %%  %s", p.paint(o.color(), fmt.Sprintf("%-13s", o.Label())), counts[i], percent, p.paint(dim, o.Meaning()))
		}
	}
	p.line("")
	p.line("  Status of the last winpack batch:")
	for _, x := range statuses() {
		if n := c.Status[x[0]]; n > 0 {
			p.line("  %-13s %6d         %s", x[0], n, p.paint(dim, x[1]))
		}
	}
	p.line("")
	p.line("  %s %s", p.paint(dim, "findings"), c.Findings)
	if c.Images > 0 || c.WindowsBuilder > 0 {
		p.line("  %s %d built; %s %s a Windows machine to build", p.paint(dim, "images"), c.Images, appsText(c.WindowsBuilder), verb(c.WindowsBuilder, "takes", "take"))
	}
	p.line("")
}

// Notes are what a reader has to know of the saved results themselves: lines that
// could not be read, and names that are there twice or too much.
func (s Summary) Notes() []string {
	var notes []string
	for _, x := range s.Problems {
		notes = append(notes, x.String())
	}
	if s.MoreProblems > 0 {
		notes = append(notes, fmt.Sprintf("and %d more lines that could not be read", s.MoreProblems))
	}
	for _, at := range s.Torn {
		notes = append(notes, at.String()+": the line was cut off while it was written, and is ignored: winpack batch does that row again")
	}
	for _, d := range s.Doubles {
		var more []string
		for _, at := range d.Places[1:] {
			more = append(more, at.String())
		}
		notes = append(notes, fmt.Sprintf("%s: the name %q has a result already in %s, which is the one shown", strings.Join(more, ", "), d.Name, d.Places[0]))
	}
	for _, name := range s.Unlisted {
		notes = append(notes, fmt.Sprintf("%q has a result and is no row of the inventory any more", name))
	}
	for i := range notes {
		notes[i] = report.OneLine(notes[i])
	}
	return notes
}

// unread prints what the sums leave out.
func (p printer) unread(s Summary) {
	if notes := s.Notes(); len(notes) > 0 {
		p.title("Read with care")
		p.list(len(notes), func(i int) { p.line("  %s", p.paint(yellow, notes[i])) })
	}
	if len(s.Missing) > 0 {
		p.title("No result")
		p.list(len(s.Missing), func(i int) {
			p.line("  %s (%s)", report.Safe(s.Missing[i].Name), report.Safe(s.Missing[i].Source))
		})
	}
}

func (p printer) title(text string) { p.line("%s", p.paint(bold, text)) }

// list prints the first rows of a list, says how many more there are, and ends
// with an empty line.
func (p printer) list(n int, row func(int)) {
	for i := range n {
		if i == fewRows && n > fewRows+1 && !p.Verbose {
			p.line("  and %d more: -v lists them all", n-i)
			break
		}
		row(i)
	}
	p.line("")
}

func (p printer) tables(s Summary) {
	if len(s.Kinds) > 0 {
		p.title("Kinds")
		p.list(len(s.Kinds), func(i int) {
			p.line("  %6d  %-*s  %s", s.Kinds[i].Apps, kindWidth, report.Safe(string(s.Kinds[i].Kind)), report.KindText(s.Kinds[i].Kind))
		})
	}
	if len(s.Bases) > 0 {
		p.title("Base images")
		p.list(len(s.Bases), func(i int) { p.line("  %6d  %s", s.Bases[i].Apps, report.Safe(s.Bases[i].Reference)) })
	}
	if len(s.Causes) > 0 {
		p.title("Causes")
		p.list(len(s.Causes), func(i int) {
			c := s.Causes[i]
			alone := ""
			if c.Alone > 0 {
				alone = fmt.Sprintf(" (all that keeps %s)", appsText(c.Alone))
			}
			p.line("  %6d  %s %s: %s%s", c.Apps, p.paint(levelColor(c.Level), fmt.Sprintf("%-7s", c.Level)), report.Safe(c.Rule), report.OneLine(c.Title), alone)
		})
	}
}

func levelColor(l detect.Level) string {
	return map[detect.Level]string{detect.LevelBlocker: red, detect.LevelError: red, detect.LevelWarning: yellow, detect.LevelNote: cyan}[l]
}

func (p printer) next(s Summary) {
	if len(s.Next) == 0 {
		return
	}
	p.title("Next")
	for _, x := range s.Next {
		p.line("  %6d  %s", x.Apps, report.OneLine(x.Text))
		if x.Command != "" {
			p.line("          %s", p.paint(cyan, report.OneLine(x.Command)))
		}
	}
	p.line("")
}

// nameWidth and kindWidth bound the first columns of the list of apps.
const (
	nameWidth = 32
	kindWidth = 14
)

func (p printer) apps(s Summary, set *result.Set) error {
	if len(s.Apps) == 0 {
		return nil
	}
	if !p.Quiet {
		p.title("Apps")
	}
	width := 0
	for i := range s.Apps {
		width = max(width, min(nameWidth, utf8.RuneCountInString(report.Safe(s.Apps[i].Name))))
	}
	if !p.Verbose {
		for i := range s.Apps {
			p.app(&s.Apps[i], width)
		}
		return nil
	}
	return eachFull(s, set, func(a App, r *report.Report) error {
		p.app(&a, width)
		if r == nil {
			return nil
		}
		if err := report.TextFindings(p.w, r.Findings, report.View{Color: p.Color, Verbose: true}, "    "); err != nil {
			return err
		}
		for _, line := range report.ProblemLines(r.Problems, true) {
			p.line("    %s", p.paint(yellow, line))
		}
		return nil
	})
}

// app prints the line of one app: name, outlook, kind, and its image or base, or
// why it can't move yet; and how many errors and warnings it has beside that.
func (p printer) app(a *App, width int) {
	why := a.Keeps()
	switch {
	case why != "" || a.Outlook != Ready:
	case a.Image != nil && a.Image.Reference != "":
		why = a.Image.Reference
	default:
		why = a.Base.Reference
	}
	if more := a.More(); more != "" {
		why = strings.TrimLeft(why+" ("+more+")", " ")
	}
	if a.BuildFailed() {
		why += "; the build failed: " + a.Error
	}
	text := fmt.Sprintf("%-*s  %s  %-*s  %s", width, report.Safe(a.Name),
		p.paint(a.Outlook.color(), fmt.Sprintf("%-12s", a.Outlook.Label())), kindWidth, report.Safe(string(a.Kind)), report.OneLine(why))
	p.line("%s", strings.TrimRight(text, " "))
}
