package report

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// View says how the text view looks.
type View struct {
	Color   bool
	Quiet   bool // findings and problems alone
	Verbose bool // facts too
	// Width is that of the terminal, 0 where there is none: the summary is wrapped
	// then as for one of 100 columns, and a finding's remedy not at all.
	Width int
	// App is APP as the user gave it, for the commands to try next.
	App string
	// Flags are those of the user by which the report is what it is: the commands to
	// try next get them too.
	Flags   []string
	Windows bool // the commands are for cmd.exe
}

// Text writes the report for people. It is a view of the JSON: it says nothing
// that the document doesn't hold.
func (r Report) Text(w io.Writer, v View) error {
	p := printer{View: v}
	if len(r.Apps) > 0 {
		p.several(r)
		_, err := io.WriteString(w, p.b.String())
		return err
	}
	if !v.Quiet {
		p.summary(r)
	}
	p.findings(r)
	p.problems(r.Problems)
	if !v.Quiet {
		if r.Closure != nil {
			p.closure(r.Closure)
		}
		if v.Verbose {
			p.facts(r.Facts)
		}
		p.next(r)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

type printer struct {
	View
	b strings.Builder
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	yellow = "33"
	green  = "32"
	cyan   = "36"
)

func (p *printer) paint(color, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(&p.b, format+"\n", args...)
}

// labelWidth and lineWidth lay out the summary: labels left, wrapped text right.
const (
	labelWidth = 12
	lineWidth  = 100
)

// row prints one label with its text, wrapped between words.
func (p *printer) row(label, text string) {
	pad := strings.Repeat(" ", max(1, labelWidth-2-len(label)))
	p.b.WriteString("  " + p.paint(dim, label) + pad)
	p.wrap(Safe(text), labelWidth, cmp.Or(p.Width, lineWidth))
}

// wrap prints text from a column on, its further lines from the same one.
func (p *printer) wrap(text string, indent, width int) {
	column := indent
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if i > 0 && column+1+n > width {
			p.b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		} else if i > 0 {
			p.b.WriteByte(' ')
			column++
		}
		p.b.WriteString(word)
		column += n
	}
	p.b.WriteByte('\n')
}

// below prints what belongs to a finding under it. It is wrapped on a terminal only:
// other readers take lines.
func (p *printer) below(label, text string) {
	const indent = "    "
	p.b.WriteString(indent + p.paint(dim, label) + " ")
	if p.Width == 0 {
		p.line("%s", text)
	} else {
		p.wrap(text, len(indent)+len(label)+1, p.Width)
	}
}

func (p *printer) rows(label string, texts []string) {
	for _, text := range texts {
		p.row(label, text)
		label = ""
	}
}

func (p *printer) summary(r Report) {
	p.line("%s: %s", p.paint(bold, Safe(r.App.Name)), Safe(describe(r.App)))
	p.line("")
	if r.Base.Reference == "" {
		p.row("base", "none")
	}
	var images []string
	for _, image := range r.Base.Images {
		text := fmt.Sprintf("%s (%s)", image.Reference, image.OS)
		if image.OS == "" {
			text = image.Reference
		}
		if image.SupportEnd != "" {
			until := "supported until"
			if image.SupportEnded {
				until = "support ended"
			}
			text = fmt.Sprintf("%s (%s, %s %s)", image.Reference, image.OS, until, image.SupportEnd)
		}
		images = append(images, text)
	}
	p.rows("base", images)
	p.rows("why", r.Base.Why)
	var rejected []string
	for _, x := range r.Base.Rejected {
		rejected = append(rejected, x.Reference+": "+x.Why)
	}
	p.rows("not", rejected)
	var learned []string
	for _, b := range r.Base.Learned {
		learned = append(learned, fmt.Sprintf("%s@%s (%s, %s): its contents decided", b.Reference, b.Digest, b.OS, b.Family))
	}
	p.rows("learned", learned)
	if len(r.App.Entrypoint) > 0 {
		p.row("starts", strings.Join(quoteWords(r.App.Entrypoint), " "))
	}
	if len(r.App.Ports) > 0 {
		p.row("ports", strings.Trim(fmt.Sprint(r.App.Ports), "[]"))
	}
	p.rows("does", does(r.Steps))
	if r.Needs.WindowsBuilder {
		p.rows("needs", append([]string{"a Windows machine to build on:"}, r.Needs.Reasons...))
	}
	p.line("")
}

// does says what winpack does to the image, but for copying the app.
func does(steps []Step) []string {
	var texts []string
	for _, x := range steps {
		var text string
		switch x.Kind {
		case dockerfile.StepGrant:
			text = fmt.Sprintf("write access to %s for %s: %s", x.To, x.For, x.Why)
		case dockerfile.StepStart:
			text = "at container start: " + shortCommands(x.Commands)
		case dockerfile.StepRun:
			text = "in the build, by RUN: " + shortCommands(x.Commands)
		case dockerfile.StepManual:
			text = "nothing yet, by hand: " + x.Why
		default:
			continue
		}
		if len(x.OS) > 0 {
			text += " (" + strings.Join(x.OS, ", ") + ")"
		}
		texts = append(texts, text)
	}
	return texts
}

// shortCommands are commands as one would say them: without the folder of appcmd
// and without what is done with dism's exit code.
func shortCommands(commands []string) string {
	var short []string
	for _, c := range commands {
		c, _, _ = strings.Cut(c, " & ")
		short = append(short, strings.ReplaceAll(c, `"%SystemRoot%\System32\inetsrv\appcmd.exe"`, "appcmd"))
	}
	return strings.Join(short, "; ")
}

// quoteWords quotes the words that have spaces, for reading only.
func quoteWords(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; w == "" || strings.ContainsAny(w, " \t") {
			quoted[i] = `"` + w + `"`
		}
	}
	return quoted
}

// KindText is a kind in words, empty where it is none.
func KindText(k detect.Kind) string {
	return map[detect.Kind]string{
		detect.KindASPNET:        "ASP.NET site",
		detect.KindWCF:           "WCF services in IIS",
		detect.KindASPNETCore:    "ASP.NET Core app",
		detect.KindStatic:        "static site",
		detect.KindNetFXConsole:  ".NET Framework console program",
		detect.KindNetFXService:  ".NET Framework Windows service",
		detect.KindNetFXDesktop:  ".NET Framework desktop program",
		detect.KindDotNetConsole: ".NET console program",
		detect.KindDotNetService: ".NET Windows service",
		detect.KindDotNetDesktop: ".NET desktop program",
		detect.KindNativeConsole: "native console program",
		detect.KindNativeService: "native Windows service",
		detect.KindNativeDesktop: "native desktop program",
		detect.KindClassicASP:    "classic ASP site",
		detect.KindPHP:           "PHP site",
		detect.KindNode:          "Node.js app",
		detect.KindPython:        "Python app",
		detect.KindJava:          "Java program",
		detect.KindTomcat:        "Tomcat with its web applications",
		detect.KindJBoss:         "JBoss or WildFly with its deployments",
		detect.KindHTTPD:         "Apache httpd",
		detect.KindNginx:         "nginx",
		detect.KindRedis:         "Redis",
		detect.KindSource:        "source tree",
		detect.KindUnknown:       "not recognised",
	}[k]
}

// describe says in words what the app is.
func describe(a App) string {
	text := KindText(a.Kind)
	kinds := []string{string(a.Kind)}
	for _, flavor := range a.Flavors {
		if flavor != string(a.Kind) {
			kinds = append(kinds, flavor)
		}
	}
	text += " (" + strings.Join(kinds, ", ") + ")"
	if a.Becomes != "" {
		text += " that becomes " + KindText(detect.Kind(a.Becomes)) + " (" + a.Becomes + ")"
	}
	switch name := a.Framework.Name; {
	case name == detect.NETFramework:
		text += ", " + strings.TrimSpace(".NET Framework "+a.Framework.Version)
	case name == detect.NETCoreApp:
		text += ", " + strings.TrimSpace(".NET "+a.Framework.Version)
	case name != "":
		text += ", " + strings.TrimSpace(name+" "+a.Framework.Version)
	}
	if a.Architecture != "" {
		text += ", " + a.Architecture
	}
	return text
}

// FindingLine is the one line of a finding that problem matchers read:
// path:line: level WPnnnn: message. A finding in a binary says line 1; the
// offset is in the JSON. Of further places it says how many there are. One that the
// user accepts is a note, with his reason.
func FindingLine(f detect.Finding) string {
	at := place(f)
	path := at.Path
	if path == "" {
		path = "."
	}
	level, message := f.Level, f.Message
	if f.Accepted != "" {
		level, message = detect.LevelNote, "accepted ("+f.Accepted+"): "+message
	}
	return fmt.Sprintf("%s:%d: %s %s: %s%s", Safe(path), max(at.Line, 1), Safe(string(level)), Safe(f.Rule), OneLine(message), morePlaces(f.Evidence))
}

// morePlaces counts the lines and files that a finding speaks of beside the first.
func morePlaces(list []detect.Evidence) string {
	seen := map[string]bool{}
	for _, e := range list {
		seen[fmt.Sprintf("%d %s", max(e.Line, 1), e.Path)] = true
	}
	least := ""
	if len(list) >= detect.MaxEvidence { // it may have been cut
		least = "at least "
	}
	switch n := len(seen) - 1; {
	case n < 1:
		return ""
	case n == 1:
		return " (and " + least + "1 more place)"
	default:
		return fmt.Sprintf(" (and %s%d more places)", least, n)
	}
}

// ProblemLine is the one line of a problem, in the form of FindingLine but for
// the rule, which it has none: path:line: warning: message.
func ProblemLine(x detect.Problem) string {
	path, line, message := x.Path, 1, x.Message
	if path == "" {
		path = "."
	}
	if at, rest, ok := strings.Cut(strings.TrimPrefix(message, "line "), ": "); ok && strings.HasPrefix(message, "line ") {
		if n, err := strconv.Atoi(at); err == nil && n > 0 {
			line, message = n, rest
		}
	}
	return fmt.Sprintf("%s:%d: warning: %s", Safe(path), line, OneLine(message))
}

// ProblemLines are those of the first problems, and how many more there are.
func ProblemLines(list []detect.Problem, all bool) []string {
	var lines []string
	for i, x := range list {
		if i == fewProblems && !all && len(list) > fewProblems+1 {
			return append(lines, fmt.Sprintf("and %d more problems: -v lists them all", len(list)-i))
		}
		lines = append(lines, ProblemLine(x))
	}
	return lines
}

func (p *printer) findings(r Report) {
	p.eachFinding(r.Findings)
	if len(r.Findings) > 0 && !p.Quiet {
		p.line("")
	}
}

// eachFinding says what to do once for findings that follow each other and ask for the
// same.
func (p *printer) eachFinding(findings []detect.Finding) {
	for i, f := range findings {
		color := map[detect.Level]string{detect.LevelBlocker: red, detect.LevelError: red, detect.LevelWarning: yellow, detect.LevelNote: cyan}[f.Level]
		p.line("%s", p.paint(color, FindingLine(f)))
		if p.Quiet || f.Accepted != "" {
			continue
		}
		last := i == len(findings)-1 || findings[i+1].Rule != f.Rule || findings[i+1].Remedy != f.Remedy || findings[i+1].Accepted != ""
		if f.Remedy != "" && last {
			p.below("do:", OneLine(f.Remedy))
		}
		if p.Verbose {
			p.evidence(f.Evidence)
		}
	}
}

func (p *printer) evidence(list []detect.Evidence) {
	for _, e := range list {
		p.below("seen:", Where(e)+": "+OneLine(e.Detail))
	}
}

// fewProblems is how many problems are listed without -v.
const fewProblems = 10

func (p *printer) problems(list []detect.Problem) {
	if len(list) == 0 {
		return
	}
	for _, line := range ProblemLines(list, p.Verbose || p.Quiet) {
		p.line("%s", p.paint(yellow, line))
	}
	if !p.Quiet {
		p.line("")
	}
}

func (p *printer) facts(list []detect.Fact) {
	p.line("%s", p.paint(bold, "Facts:"))
	for _, f := range list {
		text := fmt.Sprintf("  %s = %s", Safe(f.Key), OneLine(f.Value))
		if f.OverruledBy != "" {
			text += p.paint(dim, " (lost: "+OneLine(f.OverruledBy)+")")
		}
		p.line("%s", text)
		p.evidence(f.Evidence)
	}
	p.line("")
}
