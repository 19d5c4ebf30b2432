package images

import (
	"fmt"
	"io"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// References writes the image references alone, one a line, for scripts.
func (d Document) References(w io.Writer) error {
	var b strings.Builder
	for _, image := range d.Images {
		b.WriteString(report.Safe(image.Reference) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Text writes the document for people, in lines of at most 100 characters.
// Verbose adds what an image runs as and where the data is from.
func (d Document) Text(w io.Writer, verbose bool) error {
	p := printer{verbose: verbose}
	p.wrap("", "Base images as of "+d.AsOf+newest(d.NewestSource)+". SIZE is what a pull downloads.")
	p.releases(d.Releases)
	var alive, ended []dockerfile.Listed
	for _, image := range d.Images {
		if image.State == dockerfile.StateEnded {
			ended = append(ended, image)
		} else {
			alive = append(alive, image)
		}
	}
	if len(alive) > 0 {
		p.heading("IMAGE AND TAG", "SUPPORTED UNTIL")
		p.groups(alive)
	}
	if len(ended) > 0 {
		p.line("")
		p.line("No longer rebuilt: the tags stay, and get no more fixes.")
		p.heading("IMAGE AND TAG", "ENDED")
		p.groups(ended)
	}
	p.retired(d.Retired)
	if len(d.Images)+len(d.Retired) == 0 {
		p.line("")
		p.line("Nothing in the catalog fits. `winpack images --all` lists all of it.")
	}
	var left []string
	if n := d.LeftOut.Images; n > 0 {
		left = append(left, count(n, "tag")+" that nobody rebuilds any more")
	}
	if n := d.LeftOut.Retired; n > 0 {
		left = append(left, count(n, "pattern")+" of references that nobody builds any more")
	}
	if len(left) > 0 {
		p.line("")
		p.wrap("", "Left out: "+strings.Join(left, ", ")+". --all lists them, with what takes their place.")
	}
	p.learned(d.Learned)
	if verbose && len(d.Sources) > 0 {
		p.line("")
		p.line("Sources")
		for _, name := range d.sortedSources() {
			p.wrap("  ", name+": "+d.Sources[name])
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func newest(day string) string {
	if day == "" {
		return ""
	}
	return ", from sources up to " + day
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

type printer struct {
	strings.Builder
	verbose bool
}

func (p *printer) line(format string, args ...any) {
	p.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (p *printer) wrap(indent, text string) { p.WriteString(report.Wrap(indent, text)) }

func (p *printer) releases(list []Release) {
	if len(list) == 0 {
		return
	}
	p.line("")
	p.line("%-9s %-11s %-17s %s", "WINDOWS", "BUILD", "SUPPORTED UNTIL", "NAME")
	for _, r := range list {
		end := r.SupportEnd
		if r.Status == "retired" {
			end = "ended " + end
		}
		name := r.Name
		if r.Status == "extended" {
			name += ", security fixes only"
		}
		p.line("%-9s %-11s %-17s %s", report.Safe(r.OS), report.Safe(r.Build), end, report.Safe(name))
		if p.verbose {
			if r.MainstreamEnd != "" {
				p.wrap("    ", "mainstream support ends "+r.MainstreamEnd)
			}
			p.wrap("    ", "source: "+r.Source)
		}
	}
}

const imageRow = "  %-34s  %-10s  %-8s  %-10s  %8s  %s"

func (p *printer) heading(first, last string) {
	p.line("")
	p.line(imageRow, first, "FAMILY", "WINDOWS", "BUILD", "SIZE", last)
}

// groups prints images by repository, and in each by what takes their place.
func (p *printer) groups(list []dockerfile.Listed) {
	for len(list) > 0 {
		first := list[0]
		repository, _ := cut(first.Reference)
		p.line("%-50s  %s", report.Safe(repository), uses(first.Role))
		same := func(image dockerfile.Listed) bool {
			other, _ := cut(image.Reference)
			return other == repository && image.Role == first.Role
		}
		end := 0
		for end < len(list) && same(list[end]) {
			end++
		}
		var places []dockerfile.Replacement
		byPlace := map[dockerfile.Replacement][]dockerfile.Listed{}
		for _, image := range list[:end] {
			if byPlace[image.Replacement] == nil {
				places = append(places, image.Replacement)
			}
			byPlace[image.Replacement] = append(byPlace[image.Replacement], image)
		}
		for _, place := range places {
			for _, image := range byPlace[place] {
				p.image(image)
			}
			p.instead(place.Reference + place.Advice)
		}
		list = list[end:]
	}
}

func cut(reference string) (repository, tag string) {
	i := strings.LastIndexByte(reference, ':')
	return reference[:i], reference[i:]
}

func (p *printer) image(image dockerfile.Listed) {
	size := "?"
	if image.CompressedMB > 0 {
		size = megabytes(image.CompressedMB)
	}
	_, tag := cut(image.Reference)
	p.line(imageRow, report.Safe(tag), image.Family, report.Safe(image.OS), report.Safe(image.Build), size, orUnknown(image.SupportEnd))
	if p.verbose {
		p.wrap("      ", about(image))
		p.wrap("      ", "source: "+image.Source)
	}
}

func (p *printer) instead(what string) {
	if what != "" {
		p.wrap("      ", "instead: "+what)
	}
}

// about says how an image runs, and how sure its row is.
func about(image dockerfile.Listed) string {
	text := "runs as " + image.User
	if len(image.Entrypoint) > 0 {
		text += ", starts " + strings.Join(image.Entrypoint, " ")
	}
	for i, port := range image.Ports {
		if i == 0 {
			text += ", listens on"
		}
		text += fmt.Sprintf(" %d", port)
	}
	text += "; confidence " + orUnknown(image.Confidence)
	return text
}

// megabytes is a size of 10^6 bytes with a mark between thousands.
func megabytes(mb float64) string {
	n := int(mb + 0.5)
	if n < 1000 {
		return fmt.Sprintf("%d MB", n)
	}
	return fmt.Sprintf("%d,%03d MB", n/1000, n%1000)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return report.Safe(s)
}

func (p *printer) retired(list []Retired) {
	if len(list) == 0 {
		return
	}
	p.line("")
	p.line("References that nobody builds any more (* is any text, RELEASE a Windows release):")
	for _, r := range list {
		state := r.State
		if r.Since != "" {
			state += " since " + r.Since
		}
		p.wrap("  ", strings.Join(shortest(r.Match), ", ")+" ("+state+")")
		p.instead(r.Replacement)
		if p.verbose {
			p.wrap("      ", "source: "+r.Source)
		}
	}
}

// shortest leaves out patterns that only add a tag or Docker Hub's own name.
func shortest(match []string) []string {
	have := map[string]bool{}
	for _, m := range match {
		have[m] = true
	}
	var out []string
	for _, m := range match {
		name, tagged := strings.CutSuffix(m, ":*")
		short, hub := strings.CutPrefix(m, "docker.io/")
		if tagged && have[name] || hub && have[short] {
			continue
		}
		out = append(out, m)
	}
	return out
}
