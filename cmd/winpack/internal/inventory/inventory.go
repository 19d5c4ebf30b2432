// Package inventory reads lists of apps: the rows of a .csv, .toml or .jsonl file,
// or the apps that lie below a folder. It says what is wrong with a list before
// anything is done with it.
package inventory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// Bounds of an inventory.
const (
	maxFile  = 64 << 20 // bytes
	maxName  = 200      // bytes, of a name
	maxValue = 4096     // bytes, of any other value
)

// Row is one app of an inventory.
type Row struct {
	Name   string // unique
	Source string // as the inventory has it
	App    string // which app of Source
	Tag    string // reference of the image
	OS     []string
	Base   string
	Config string
	Owner  string
	Labels map[string]string // further columns that are not empty
	// Folder is Name made safe as the name of a folder. No two rows of an inventory
	// have the same one, also where case does not count.
	Folder string
}

// Problem is a row that is none, or a thing that a search passed over.
type Problem struct {
	Path    string // the inventory file, or what lies in the folder that was searched
	Line    int    // from 1; 0 where there are no lines
	Message string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Path + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Message)
}

// Options of reading.
type Options struct {
	// Template makes the references of rows without a tag; nil for none.
	Template *Template
	// NeedReference makes a row without any reference a bad one.
	NeedReference bool
	// Check says what else makes a row a bad one, of which the source lies at a path;
	// nil for nothing.
	Check func(r Row, source string) error
	// Skip are folders that a search leaves out: absolute, links resolved.
	Skip []string
	// Bad is told of each bad row, in the order of the inventory.
	Bad func(Problem)
	// Note is told of what a search of a folder passed over, and of columns that are
	// nearly one that counts.
	Note func(Problem)
}

// Inventory is a list of apps.
type Inventory struct {
	Path string // as it was named
	Dir  string // absolute, where sources and configurations begin
	Rows []Row
	Bad  int // rows that are none, each of which Options.Bad was told of
}

// Error is an inventory that can't be read as one.
type Error struct{ message string }

func (e *Error) Error() string { return e.message }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Read reads the inventory at path. Where it is none the error is an *Error; other
// errors are those of reading. The rows count only where Bad is 0.
func Read(path string, opt Options) (*Inventory, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errorf("the inventory %q does not exist", path)
	case err != nil:
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	if info.IsDir() {
		if absolute, err = filepath.EvalSymlinks(absolute); err != nil {
			return nil, fmt.Errorf("reading the inventory: %w", err)
		}
		x := newReader(path, absolute, opt)
		err = x.search()
		x.tellUntagged()
		x.folders()
		return x.Inventory, err
	}
	read := map[string]func(*reader, *bufio.Reader) error{
		".csv": (*reader).csv, ".toml": (*reader).toml, ".jsonl": (*reader).jsonl,
	}[strings.ToLower(filepath.Ext(path))]
	if read == nil {
		return nil, errorf("the inventory %q is neither a .csv, .toml or .jsonl file nor a folder", path)
	}
	if !info.Mode().IsRegular() {
		return nil, errorf("the inventory %q is no regular file", path)
	}
	if info.Size() > maxFile {
		return nil, errorf("the inventory %q is larger than %d MB: split it", path, maxFile>>20)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(io.LimitReader(file, maxFile), 1<<16)
	switch start, _ := in.Peek(3); {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3)
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return nil, errorf("the inventory %q is UTF-16: save it as UTF-8 (in Excel: CSV UTF-8)", path)
	}
	x := newReader(path, filepath.Dir(absolute), opt)
	if err := read(x, in); err != nil {
		return nil, err
	}
	x.tellUntagged()
	x.folders()
	if len(x.Rows) == 0 && x.Bad == 0 {
		return nil, errorf("the inventory %q has no row", path)
	}
	return x.Inventory, nil
}

// reader collects the rows of an inventory.
type reader struct {
	*Inventory
	opt   Options
	names map[string]place
	refs  map[string]place // by reference
	kinds map[string]place // by the reference that a row has for a kind of its own

	labels   map[string]bool // keys of labels that were looked at
	untagged []Problem       // rows that lack a reference
}

func newReader(path, dir string, opt Options) *reader {
	return &reader{
		Inventory: &Inventory{Path: path, Dir: dir}, opt: opt,
		names: map[string]place{}, refs: map[string]place{}, kinds: map[string]place{}, labels: map[string]bool{},
	}
}

// place is where a row stands.
type place struct {
	line int // 0 where there are no lines
	name string
}

func (p place) String() string {
	if p.line == 0 {
		return fmt.Sprintf("%q", p.name)
	}
	return fmt.Sprintf("line %d", p.line)
}

// Resolve is where a path of the inventory leads, absolute. One with backslashes, as
// Windows writes it, is understood everywhere.
func (inv *Inventory) Resolve(name string) string {
	local := filepath.FromSlash(name)
	if !filepath.IsAbs(local) {
		local = filepath.Join(inv.Dir, local)
	}
	if strings.Contains(name, `\`) && filepath.Separator == '/' {
		if _, err := os.Lstat(local); err != nil {
			return inv.Resolve(strings.ReplaceAll(name, `\`, "/"))
		}
	}
	return filepath.Clean(local)
}

// field is one value of a row.
type field struct{ key, value string }

// bad tells of a row that is none.
func (x *reader) bad(path string, line int, format string, args ...any) {
	x.Bad++
	x.opt.Bad(Problem{path, line, fmt.Sprintf(format, args...)})
}

// row takes the values of one row.
func (x *reader) row(line int, fields []field) {
	r := Row{}
	known := map[string]*string{"name": &r.Name, "source": &r.Source, "app": &r.App, "tag": &r.Tag, "base": &r.Base, "config": &r.Config, "owner": &r.Owner}
	for _, f := range fields {
		key, value := strings.TrimSpace(f.key), strings.TrimSpace(f.value)
		low := strings.ToLower(key)
		if err := check(low, key, value); err != nil {
			x.bad(x.Path, line, "%s", err)
			return
		}
		switch place := known[low]; {
		case place != nil:
			*place = value
		case value == "":
		case low == "os":
			r.OS = strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ';' || c == ' ' })
		default:
			if r.Labels == nil {
				r.Labels = map[string]string{}
			}
			r.Labels[key] = value
			x.label(line, key, func(column string) bool {
				return slices.ContainsFunc(fields, func(f field) bool { return strings.EqualFold(strings.TrimSpace(f.key), column) })
			})
		}
	}
	x.take(x.Path, line, r)
}

// take adds a row, unless it is none.
func (x *reader) take(path string, line int, r Row) {
	switch {
	case r.Name == "":
		x.bad(path, line, "the row has no name")
		return
	case r.Source == "":
		x.bad(path, line, "the row has no source: name the folder of the app")
		return
	}
	if first, twice := x.names[r.Name]; twice {
		x.bad(path, line, "the name %q is that of %s already", r.Name, first)
		return
	}
	err := x.reference(line, r)
	if err == errUntagged {
		x.untagged = append(x.untagged, Problem{Path: path, Line: line})
		return
	}
	if err == nil && x.opt.Check != nil {
		err = x.opt.Check(r, x.Resolve(r.Source))
	}
	if err != nil {
		x.bad(path, line, "%s", err)
		return
	}
	x.names[r.Name] = place{line, r.Name}
	x.Rows = append(x.Rows, r)
}

// check refuses a value that nobody meant.
func check(low, key, value string) error {
	if key == "" && value != "" {
		return fmt.Errorf("the value %q has no column name", short(value))
	}
	limit, shown := maxValue, value
	if low == "name" {
		limit = maxName
	}
	if !slices.Contains(columns, low) {
		shown = lineBreaks.Replace(value) // a label may have them
	}
	switch {
	case len(value) > limit:
		return fmt.Errorf("%s has %d bytes, and at most %d are taken", short(report.Safe(key)), len(value), limit)
	case !utf8.ValidString(value) || !utf8.ValidString(key):
		return fmt.Errorf("%s is not UTF-8 (in Excel: save as CSV UTF-8): %q", short(report.Safe(key)), short(value))
	case report.Safe(key) != key, report.Safe(shown) != shown:
		return fmt.Errorf("%s holds control characters: %q", short(report.Safe(key)), short(value))
	}
	return nil
}

var lineBreaks = strings.NewReplacer("\n", " ", "\r", " ", "\t", " ")

// short is the start of a text that may be long.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
