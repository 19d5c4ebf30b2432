package result

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// SchemaError says that a line of results is of a version that this winpack does
// not know.
type SchemaError struct {
	File   string
	Line   int
	Schema string
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("%s:%d: the schema is %q, which this winpack does not know: use a newer winpack, or name another folder with -o", e.File, e.Line, e.Schema)
}

// Done is what a start has to know of a finished row. Of its report there is only
// what decides status and outlook.
type Done struct {
	File string // name of the file of results, without folder
	Result
}

// brief is what is read of a line of results.
type brief struct {
	Result
	Report *struct {
		briefApp
		Apps     []briefApp `json:"apps"`
		Findings []struct {
			Rule     string       `json:"rule"`
			Level    detect.Level `json:"level"`
			Accepted string       `json:"accepted"`
			App      string       `json:"app"`
		} `json:"findings"`
	} `json:"report"`
}

// briefApp is what is read of an app: of one of several its kind stands beside its name.
type briefApp struct {
	Name string      `json:"name"`
	Kind detect.Kind `json:"kind"`
	App  struct {
		Kind detect.Kind `json:"kind"`
	} `json:"app"`
	Base struct {
		Reference string `json:"reference"`
	} `json:"base"`
	Steps []struct {
		Kind dockerfile.StepKind `json:"kind"`
		Why  string              `json:"why"`
	} `json:"steps"`
}

func (b *briefApp) part() report.Part {
	p := report.Part{App: report.App{Name: b.Name, Kind: b.Kind}, Base: report.Base{Reference: b.Base.Reference}}
	for _, x := range b.Steps {
		p.Steps = append(p.Steps, report.Step{Kind: x.Kind, Why: x.Why})
	}
	return p
}

func (b *brief) result() Result {
	r := b.Result
	if b.Report == nil {
		return r
	}
	one := b.Report.part()
	r.Report = &report.Report{App: report.App{Kind: b.Report.App.Kind}, Base: one.Base, Steps: one.Steps}
	for i := range b.Report.Apps {
		r.Report.Apps = append(r.Report.Apps, b.Report.Apps[i].part())
	}
	for _, f := range b.Report.Findings {
		r.Report.Findings = append(r.Report.Findings, detect.Finding{Rule: f.Rule, Level: f.Level, Accepted: f.Accepted, App: f.App})
	}
	return r
}

// Done reads what the folder's files of results say, the file of this store first. A
// last line that is no result was cut off and does not count; it is removed where it
// is this store's.
func (s *Store) Done(each func(Done) error) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	for _, name := range files {
		err := s.lines(name, func(number int, line []byte, last bool) error {
			d, err := s.done(name, number, line)
			if err != nil && last && !errors.As(err, new(*SchemaError)) {
				if name == s.name {
					return s.cut(s.size - int64(len(line)) - 1)
				}
				return nil
			}
			if err == nil {
				err = each(d)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// files are the names of the files of results, this store's own first.
func (s *Store) files() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	names := []string{s.name}
	for _, e := range entries {
		if IsResultsName(e.Name()) && e.Name() != s.name && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (s *Store) done(name string, number int, line []byte) (Done, error) {
	var b brief
	file := filepath.Join(s.dir, name)
	if err := json.Unmarshal(line, &b); err != nil || b.Name == "" || b.Schema == "" {
		return Done{}, fmt.Errorf("%s:%d: the line is no result: remove it, or name another folder with -o", file, number)
	}
	if b.Schema != ID {
		return Done{}, &SchemaError{file, number, b.Schema}
	}
	return Done{name, b.result()}, nil
}

// lines calls f with each whole line of a file, without its end. last is true for
// the last one.
func (s *Store) lines(name string, f func(number int, line []byte, last bool) error) error {
	file, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<18)
	var long []byte
	for number := 1; ; {
		part, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			long = append(long, part...)
			continue
		}
		if err == io.EOF {
			return nil // what stands behind the last end is not whole
		}
		if err != nil {
			return err
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if in.Buffered() == 0 { // looking ahead takes the place of what was read
			long = append(long[:0], line...)
			line = long
		}
		_, peek := in.Peek(1)
		if err := f(number, line[:len(line)-1], peek == io.EOF); err != nil {
			return err
		}
		number++
		long = long[:0]
	}
}

// patience is how long Change waits for another process that starts at the same time.
const patience = 15 * time.Second

// Change is what becomes of the line of a row: it is dropped, for the row is to be
// done again, or it is judged anew and has another status and fingerprint.
type Change struct {
	Status      Status // empty: the line is dropped
	Fingerprint string
}

// pending says whether a line is not changed yet.
func (c Change) pending(d Done) bool { return c.Status == "" || c.Fingerprint != d.Fingerprint }

// Change changes lines of the files of results, by the names of files and rows. A
// file is written anew, whole or not at all. One that another process writes is that
// process' own: Change waits a little for it to change the lines, which it does when
// it starts in the same way, and then fails with a *LockedError.
func (s *Store) Change(ctx context.Context, files map[string]map[string]Change) error {
	for file, changes := range files {
		if file == s.name {
			if err := s.changeOwn(changes); err != nil {
				return err
			}
			continue
		}
		if err := s.changeOther(ctx, file, changes); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) changeOwn(changes map[string]Change) error {
	// An open file can't be replaced on Windows.
	err := s.file.Close()
	s.file = nil
	if err != nil {
		return err
	}
	if err := s.rewrite(s.name, changes); err != nil {
		return err
	}
	return s.open()
}

func (s *Store) changeOther(ctx context.Context, file string, changes map[string]Change) error {
	for end := time.Now().Add(patience); ; {
		lock, err := tryLock(s.dir, file)
		if err == nil {
			removeTemps(s.dir, file)
			return errors.Join(s.rewrite(file, changes), lock.Close())
		}
		if !errors.As(err, new(*LockedError)) {
			return err
		}
		there := false
		scan := s.lines(file, func(number int, line []byte, _ bool) error {
			d, err := s.done(file, number, line)
			if c, named := changes[d.Name]; err == nil && named {
				there = there || c.pending(d)
			}
			return nil
		})
		if scan != nil || !there {
			return scan
		}
		if time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// rewrite writes a file anew with some of its lines changed.
func (s *Store) rewrite(file string, changes map[string]Change) error {
	return writeAnew(s.dir, file, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<18)
		err := s.lines(file, func(number int, line []byte, last bool) error {
			d, err := s.done(file, number, line)
			if err != nil && last {
				return nil
			}
			if err != nil {
				return err
			}
			if c, named := changes[d.Name]; named {
				if c.Status == "" {
					return nil
				}
				if line, err = c.line(line); err != nil {
					return err
				}
			}
			_, _ = out.Write(line)
			return out.WriteByte('\n')
		})
		return errors.Join(err, out.Flush())
	})
}

// line is a line judged anew, without its end. Its report stays as it is.
func (c Change) line(line []byte) ([]byte, error) {
	var r Result
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	r.Status, r.Fingerprint = c.Status, c.Fingerprint
	text, err := report.JSONLine(r)
	return bytes.TrimSuffix(text, []byte("\n")), err
}

// FileName is the file of results of a shard, or of a batch without shards, -1.
func FileName(shard int) string {
	if shard < 0 {
		return "results.jsonl"
	}
	return fmt.Sprintf("results-%d.jsonl", shard)
}
