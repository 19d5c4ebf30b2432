package result

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// RowsName is the file of a folder of results that lists the rows of the inventory.
const RowsName = "rows.jsonl"

// maxProblems bounds the lines that are named one by one.
const maxProblems = 1000

// IsResultsName says whether a file of that name in a folder of results holds
// results: results.jsonl, or results-*.jsonl of a shard.
func IsResultsName(name string) bool {
	rest, ok := strings.CutPrefix(name, "results")
	return ok && (rest == ".jsonl" || strings.HasPrefix(rest, "-") && strings.HasSuffix(rest, ".jsonl"))
}

// Place is a line of a file of results.
type Place struct {
	File string `json:"file"` // name, without folder
	Line int    `json:"line"` // from 1
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Double is a name with more than one result. The one at the first place is shown.
type Double struct {
	Name   string  `json:"name"`
	Places []Place `json:"places"` // by file name and line
}

// Problem is a line that could not be read, and why.
type Problem struct {
	Place
	Message string `json:"message"`
}

func (p Problem) String() string { return p.Place.String() + ": " + p.Message }

// Set is the saved results of an inventory. Only an index of them is held: each
// result is read from its file when it is asked for.
type Set struct {
	// Report is set for a saved report of one app (winpack/report/v1), which is then
	// all that the set holds.
	Report *report.Report
	one    *Result // the result that Report stands for

	Batch    *Batch    // the command that wrote the folder; nil where it is not known
	HasRows  bool      // rows.jsonl was there, so that Missing and Unlisted are known
	Missing  []Row     // rows without a result, by name
	Unlisted []string  // names that have a result and are no row of the inventory; sorted
	Doubles  []Double  // by name
	Problems []Problem // the first maxProblems, by file name and line
	// MoreProblems is how many there are beyond Problems.
	MoreProblems int
	Torn         []Place // last lines that a crash cut off; what stood there is lost

	files   []*os.File
	entries []entry // by name
}

// One is the set of one app's report.
func One(r *report.Report) *Set {
	status := OK
	if len(r.Blockers()) > 0 {
		status = Blocked
	}
	name := ""
	if len(r.Apps) == 0 {
		name = cmp.Or(r.App.Name, "app")
	}
	return &Set{Report: r, one: &Result{Schema: ID, Name: name, Status: status, Report: r}}
}

// indexer fills a set.
type indexer struct {
	*Set
	each   func(*Result) error
	seen   map[string]int // name to its entry
	double map[string]int // name to its double
}

// entry is where a result stands.
type entry struct {
	name   string
	file   int // in Set.files
	offset int64
	length int
	place  Place
}

// Close closes the files of the set.
func (s *Set) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// All reads the results anew, by name. It ends at the first error: a file that
// can't be read any more, or was changed meanwhile.
func (s *Set) All() iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		if s.one != nil {
			yield(*s.one, nil)
			return
		}
		var text []byte
		for _, e := range s.entries {
			text = slices.Grow(text[:0], e.length)[:e.length]
			if _, err := s.files[e.file].ReadAt(text, e.offset); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				yield(Result{}, fmt.Errorf("reading %s again: %w", e.place, err))
				return
			}
			r, err := parse(text)
			if err == nil && r.Name != e.name {
				err = errors.New("another result stands there now")
			}
			if err != nil {
				yield(r, fmt.Errorf("reading %s again: %w", e.place, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// NoResultsError says that what was named holds no results.
type NoResultsError struct{ Reason string }

func (e *NoResultsError) Error() string { return e.Reason }

// NewerError says that a document is of a schema that this winpack does not know.
type NewerError struct {
	Where  string // file, and line where it has lines
	Schema string
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s: its schema is %s, which this winpack does not know: use a newer winpack", e.Where, e.Schema)
}

// Open reads what winpack batch and winpack detect saved: a folder of results, one
// file of them, or a saved report. Each result that counts is given to each, in
// the order of the files; an error of each ends the reading.
//
// A line that is no result is a Problem, and of a name that stands twice the first
// result counts. Errors are those of the file system and of each, *NoResultsError,
// and *NewerError.
func Open(path string, each func(*Result) error) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	x := indexer{&Set{}, each, map[string]int{}, map[string]int{}}
	if info.IsDir() {
		err = x.folder(path)
	} else if !info.Mode().IsRegular() {
		err = &NoResultsError{"it is neither a folder nor a file: save the results to a file first"}
	} else {
		err = x.file(path)
	}
	if err != nil {
		x.Close()
		return nil, err
	}
	slices.SortFunc(x.entries, func(a, b entry) int { return CompareNames(a.name, b.name) })
	slices.SortFunc(x.Missing, func(a, b Row) int { return CompareNames(a.Name, b.Name) })
	slices.SortFunc(x.Doubles, func(a, b Double) int { return CompareNames(a.Name, b.Name) })
	slices.SortFunc(x.Unlisted, CompareNames)
	return x.Set, nil
}

func (x *indexer) folder(dir string) error {
	list, err := os.ReadDir(dir) // by name
	if err != nil {
		return err
	}
	found := false
	for _, e := range list {
		if IsResultsName(e.Name()) {
			found = true
			if err := x.results(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		x.HasRows = x.HasRows || e.Name() == RowsName
	}
	if x.Batch, err = readBatch(filepath.Join(dir, BatchName)); err != nil {
		return err
	}
	if x.HasRows {
		return x.rows(filepath.Join(dir, RowsName))
	}
	if !found {
		return &NoResultsError{"the folder holds neither results.jsonl nor results-*.jsonl: name the one that winpack batch wrote to"}
	}
	return nil
}

func (x *indexer) file(path string) error {
	saved, err := readReport(path)
	if err != nil {
		return err
	}
	if saved != nil {
		*x.Set = *One(saved)
		return x.each(x.one)
	}
	if err := x.results(path); err != nil {
		return err
	}
	if len(x.entries) == 0 {
		reason := "the file holds no result: name a folder or file that winpack batch wrote, or a saved winpack detect --format json"
		if len(x.Problems) > 0 {
			reason += " (" + x.Problems[0].String() + ")"
		}
		return &NoResultsError{reason}
	}
	return nil
}

// results indexes one file of results.
func (x *indexer) results(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	x.files = append(x.files, f)
	name := filepath.Base(path)
	return eachLine(f, func(l textLine) error {
		at := Place{name, l.number}
		r, err := parseLine(l)
		if newer := (*NewerError)(nil); errors.As(err, &newer) {
			newer.Where = at.String()
			return newer
		}
		if err != nil {
			x.bad(l, at, err)
			return nil
		}
		if i, twice := x.seen[r.Name]; twice {
			x.again(x.entries[i], at)
			return nil
		}
		x.seen[r.Name] = len(x.entries)
		x.entries = append(x.entries, entry{r.Name, len(x.files) - 1, l.offset, len(l.text), at})
		return x.each(&r)
	})
}

// bad keeps a line that could not be read: a crash cuts off the last one.
func (x *indexer) bad(l textLine, at Place, err error) {
	switch {
	case l.torn:
		x.Torn = append(x.Torn, at)
	case len(x.Problems) == maxProblems:
		x.MoreProblems++
	default:
		x.Problems = append(x.Problems, Problem{at, err.Error()})
	}
}

func (x *indexer) again(first entry, at Place) {
	i, known := x.double[first.name]
	if !known {
		i = len(x.Doubles)
		x.double[first.name] = i
		x.Doubles = append(x.Doubles, Double{first.name, []Place{first.place}})
	}
	x.Doubles[i].Places = append(x.Doubles[i].Places, at)
}

// rows compares the results with the rows of the inventory.
func (x *indexer) rows(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rows := map[string]bool{}
	err = eachLine(f, func(l textLine) error {
		row, err := parseRow(l)
		if err != nil {
			x.bad(l, Place{RowsName, l.number}, err)
			return nil
		}
		if rows[row.Name] {
			return nil
		}
		rows[row.Name] = true
		if _, done := x.seen[row.Name]; !done {
			x.Missing = append(x.Missing, row)
		}
		return nil
	})
	for name := range x.seen {
		if !rows[name] {
			x.Unlisted = append(x.Unlisted, name)
		}
	}
	return err
}

// CompareNames orders the names of apps: as a person looks them up, without
// regard to case, and names that differ in case alone by their bytes.
func CompareNames(a, b string) int {
	if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
