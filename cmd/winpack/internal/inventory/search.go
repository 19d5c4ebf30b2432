package inventory

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// Bounds of a search.
const (
	maxDepth   = 16
	maxVisited = 500_000 // folders
)

// search lists the apps below a folder: the highest folders that hold what an app
// consists of. What lies in an app is a part of it.
func (x *reader) search() error {
	root, err := os.OpenRoot(x.Dir) // no link leads out of it
	if err != nil {
		return fmt.Errorf("reading the inventory: %w", err)
	}
	defer root.Close()
	s := searcher{reader: x, root: root}
	entries, err := s.list(".")
	if err != nil {
		return fmt.Errorf("reading the inventory %q: %w", x.Path, err)
	}
	sign := s.sign(".", entries)
	s.below(".", entries, 0)
	switch {
	case s.visited > maxVisited:
		return errorf("the inventory %q has more than %d folders: list its apps in a .csv file", x.Path, maxVisited)
	case len(x.Rows) > 0 || x.Bad > 0 || len(x.untagged) > 0:
	case sign != "":
		return errorf("no app lies below %q, which is one itself (%s): name the folder above it, or use winpack build", x.Path, sign)
	default:
		return errorf("no app lies below %q: an app's folder holds a web.config, pages or a program", x.Path)
	}
	if sign != "" {
		x.opt.Note(Problem{Path: x.Path, Message: fmt.Sprintf("it looks like an app itself (%s): only what lies below it is taken", sign)})
	}
	return nil
}

type searcher struct {
	*reader
	root    *os.Root
	visited int
}

func (s *searcher) list(dir string) ([]os.DirEntry, error) {
	f, err := s.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// below looks at the folders in dir.
func (s *searcher) below(dir string, entries []os.DirEntry, depth int) {
	for _, e := range entries {
		if !e.IsDir() || passed(e.Name()) {
			continue
		}
		if s.visited++; s.visited > maxVisited {
			return
		}
		name := path.Join(dir, e.Name())
		full := filepath.Join(s.Dir, filepath.FromSlash(name))
		if slices.Contains(s.opt.Skip, full) {
			continue
		}
		inside, err := s.list(name)
		switch {
		case err != nil:
			s.opt.Note(Problem{Path: report.Safe(full), Message: "it could not be read, and what lies in it is not taken: " + cause(err)})
		case s.sign(name, inside) != "":
			if err := check("name", "the path", name); err != nil {
				s.bad(report.Safe(full), 0, "%s: list the apps in a .csv file", err)
				continue
			}
			s.take(full, 0, Row{Name: name, Source: name})
		case depth+1 >= maxDepth:
			s.opt.Note(Problem{Path: full, Message: fmt.Sprintf("it lies more than %d folders deep: what lies in it is not taken", maxDepth)})
		default:
			s.below(name, inside, depth+1)
		}
	}
}

// passed says which folders hold no app: those of version control, editors and
// Windows itself, and libraries of Node.js.
func passed(name string) bool {
	low := strings.ToLower(name)
	return strings.HasPrefix(low, ".") || strings.HasPrefix(low, "$") || low == "node_modules" || low == "system volume information"
}

// sign is what in a folder says that it is an app's, empty where nothing does.
func (s *searcher) sign(dir string, entries []os.DirEntry) string {
	for _, e := range entries {
		low := strings.ToLower(e.Name())
		switch {
		case e.IsDir() && low == "bin":
			inside, _ := s.list(path.Join(dir, e.Name()))
			for _, b := range inside {
				if ext := path.Ext(strings.ToLower(b.Name())); !b.IsDir() && slices.Contains([]string{".dll", ".exe", ".bat", ".cmd", ".jar"}, ext) {
					return e.Name() + "/" + b.Name()
				}
			}
		case e.IsDir() && (low == "conf" || low == "web-inf"): // of a server, or a web application of Java
			inside, _ := s.list(path.Join(dir, e.Name()))
			for _, b := range inside {
				if slices.Contains([]string{"server.xml", "httpd.conf", "nginx.conf", "web.xml"}, strings.ToLower(b.Name())) {
					return e.Name() + "/" + b.Name()
				}
			}
		case e.IsDir():
		case signName(low):
			return e.Name()
		}
	}
	return ""
}

// signName says whether a file of that name, in lower case, is what an app has in
// its own folder: of the kinds that are told apart, and of those that are not yet,
// whose folders must not be searched for web pages.
func signName(low string) bool {
	for _, end := range []string{
		".exe", ".aspx", ".asmx", ".ashx", ".svc", ".asax", ".asp", ".php", ".jar", ".war", ".py",
		".runtimeconfig.json", ".deps.json", ".sln", ".slnx", ".csproj", ".vbproj", ".fsproj", ".vcxproj",
	} {
		if strings.HasSuffix(low, end) {
			return true
		}
	}
	switch low {
	case "web.config", "precompiledapp.config", "package.json", "pom.xml", "pyproject.toml", "requirements.txt", "composer.json",
		"gemfile", "redis.windows.conf", "memurai.conf",
		"index.html", "index.htm", "default.html", "default.htm":
		return true
	}
	return false
}

func cause(err error) string {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
