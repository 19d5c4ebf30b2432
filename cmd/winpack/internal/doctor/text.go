package doctor

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// Text writes the document for people, in lines of at most 100 characters.
func (d Document) Text(w io.Writer) error {
	var p printer
	p.title("Builders")
	for _, b := range d.Builders {
		p.builder(b)
	}
	p.title("Registries")
	for _, r := range d.Registries {
		p.row(r.name(), r.says())
	}
	p.title("Credentials")
	for _, f := range d.Credentials.Files {
		p.row("", f.says())
	}
	if len(d.Credentials.Files) == 0 {
		p.row("", "none: registries are asked without a login (`docker login` or `podman login` adds one)")
	}
	if len(d.Settings) > 0 {
		p.title("Settings")
		for _, s := range d.Settings {
			p.row("", s.Name+"="+s.Value)
		}
	}
	p.title("This machine")
	p.machine(d.Machine)
	p.title("Data of base images")
	p.row("catalog", d.Catalog.says())
	if len(d.Missing) > 0 {
		p.title("Missing")
		for _, m := range d.Missing {
			p.WriteString(report.Wrap("  ", m.What))
			p.WriteString(report.Wrap("      ", m.Remedy))
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// says is of which day the data is. The clock plays no part in it.
func (c Catalog) says() string {
	told, err := time.Parse(time.DateOnly, c.AsOf)
	source, err2 := time.Parse(time.DateOnly, c.NewestSource)
	if err != nil || err2 != nil {
		return "as of " + c.AsOf
	}
	return fmt.Sprintf("as of %s, %s after its newest source (%s)", c.AsOf, count(int(told.Sub(source).Hours()/24), "day", "days"), c.NewestSource)
}

type printer struct{ strings.Builder }

func (p *printer) title(text string) {
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
	p.WriteString(text + "\n")
}

// column is where the text of a row starts.
const column = 14

// row prints a label and its text, which starts below a label that is too long.
func (p *printer) row(label, text string) {
	label = report.Safe(label)
	if label == "" {
		p.WriteString(report.Wrap("  ", text))
		return
	}
	body := report.Wrap(strings.Repeat(" ", column), text)
	if len(label) > column-4 {
		p.WriteString("  " + label + "\n" + body)
		return
	}
	fmt.Fprintf(p, "  %-*s%s", column-2, label, body[column:])
}

func (p *printer) builder(b Builder) {
	if b.Works {
		p.row(b.Name, "works: "+b.Does)
	} else {
		p.row(b.Name, "no: "+b.Problem)
	}
	var about []string
	if b.AddressFrom != "" {
		about = append(about, strings.TrimSpace(b.Address+" ("+b.AddressFrom+")"))
	}
	if b.Answers && b.Address != "" {
		about = append(about, strings.TrimSpace(b.Version+" on "+b.OS+"/"+b.Architecture))
		if b.OSVersion != "" {
			about = append(about, b.OSVersion)
		}
		if b.Isolation != "" {
			about = append(about, "isolation "+b.Isolation)
		}
	}
	if len(about) > 0 {
		p.WriteString(report.Wrap(strings.Repeat(" ", column), strings.Join(about, ", ")))
	}
	for _, r := range b.Releases {
		if !r.Builds {
			p.WriteString(report.Wrap(strings.Repeat(" ", column), "not "+r.OS+": "+r.Why))
		}
	}
}

func (r Registry) name() string {
	if r.Mirror != "" {
		return r.Host + ", for which " + r.Mirror + " is asked"
	}
	return r.Host
}

func (r Registry) says() string {
	if !r.Answers {
		return "no: " + r.Problem
	}
	login := "no login needed to reach it"
	switch {
	case r.Login && r.Credentials != "":
		login = "it wants a login, and credentials come from " + r.Credentials
	case r.Login:
		login = "it wants a login, and there are no credentials for it; many give public images without"
	case r.Credentials != "":
		login += ", credentials come from " + r.Credentials
	}
	return "answers at " + r.Address + ", " + login
}

func (f CredentialFile) says() string {
	if f.Problem != "" {
		return f.Path + ": can't be read: " + f.Problem
	}
	text := f.Path + ": credentials of " + count(f.Registries, "registry", "registries")
	for _, h := range f.Helpers {
		text += ", " + h.Name
		if !h.Found {
			text += " (missing)"
		}
	}
	return text
}

func count(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + one
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (p *printer) machine(m Machine) {
	system := m.OS + "/" + m.Architecture
	if m.OSVersion != "" {
		system += ", Windows " + m.OSVersion
	}
	if m.Isolation != "" {
		system += "; containers are isolated by " + m.Isolation + " unless told otherwise"
	} else {
		system += "; Windows containers run on Windows alone, and are built here all the same"
	}
	p.row("system", system)
	temp := m.Temp.Path + ", " + room(m.Temp.FreeBytes)
	if !m.Temp.Writable {
		temp = m.Temp.Path + ": " + m.Temp.Problem
	}
	p.row("temporary", temp)
	p.row("here", m.Dir.Path+", "+room(m.Dir.FreeBytes))
	clock := m.Clock.Time
	if m.Clock.Against != "" {
		clock += ", " + agreement(m.Clock)
	}
	p.row("clock", clock)
}

func agreement(c Clock) string {
	if c.AheadSeconds >= -2 && c.AheadSeconds <= 2 {
		return "as " + c.Against + " has it"
	}
	return ahead(c)
}

// room is what is free on a disk, for people.
func room(n int64) string {
	if n < 0 {
		return "how much is free is not known"
	}
	const unit = 1000
	if n < unit*unit {
		return fmt.Sprintf("%d kB free", n/unit)
	}
	size, name := float64(n)/unit/unit, "MB"
	for _, next := range []string{"GB", "TB"} {
		if size >= unit {
			size, name = size/unit, next
		}
	}
	return cmp.Or(strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0"), "0") + " " + name + " free"
}
