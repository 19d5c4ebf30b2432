package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/detect"
)

// closure prints what the app loads: one line a module, with who provides it and who
// asks for it.
func (p *printer) closure(c *detect.Closure) {
	p.line("%s", p.paint(bold, "Closure: "+closureCount(c)))
	for _, b := range c.Bases {
		p.line("  decided by the learned contents of %s@%s (%s, %s)", Safe(b.Reference), Safe(b.Digest), Safe(b.OS), Safe(b.Family))
	}
	const most = 44 // a longer text moves the rest of its line
	names, froms := 0, 0
	for _, m := range c.Modules {
		names = max(names, min(utf8.RuneCountInString(Safe(m.Name)), most))
		froms = max(froms, min(utf8.RuneCountInString(OneLine(m.From)), most), 1)
	}
	pad := func(s string, width int) string {
		return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	}
	for _, m := range c.Modules {
		color := map[detect.Provider]string{detect.FromNowhere: red, detect.FromUnknown: yellow}[m.Provider]
		provider := fmt.Sprintf("%-9s", m.Provider)
		if color != "" {
			provider = p.paint(color, provider)
		}
		from := OneLine(m.From)
		if from == "" {
			from = "-"
		}
		p.line("  %s  %s  %s  <- %s", pad(Safe(m.Name), names), provider, pad(from, froms), askers(m))
		if p.Verbose {
			p.below("why:", OneLine(m.Why))
		}
	}
	if c.Cut {
		p.line("  and more: the list is cut here")
	}
	p.line("")
}

// closureCount says how many modules there are of each provider.
func closureCount(c *detect.Closure) string {
	count := map[detect.Provider]int{}
	for _, m := range c.Modules {
		count[m.Provider]++
	}
	var parts []string
	for _, provider := range []detect.Provider{detect.FromApp, detect.FromFramework, detect.FromBase, detect.FromNowhere, detect.FromUnknown} {
		if n := count[provider]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, provider))
		}
	}
	text := fmt.Sprintf("%d modules", len(c.Modules))
	if len(c.Modules) == 1 {
		text = "1 module"
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// fewAskers is how many askers a line names.
const fewAskers = 3

// askers are those of a module in words, each file once for each way.
func askers(m detect.Module) string {
	var words []string
	for _, a := range m.Askers {
		how := string(a.How)
		if a.Version != "" {
			how += " " + a.Version
		}
		if word := fmt.Sprintf("%s (%s)", OneLine(a.Path), OneLine(how)); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	more := m.More
	if len(words) > fewAskers {
		more += len(words) - fewAskers
		words = words[:fewAskers]
	}
	text := strings.Join(words, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
