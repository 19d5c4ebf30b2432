package result

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
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

// Done is what a start has to know of a finished row.
type Done struct {
	File        string // name of the file of results, without folder
	Name        string
	Status      Status
	Fingerprint string
	Reference   string // of the image that was pushed; empty for none
}

// Done reads what the folder's files of results say, the file of this store first. A
// last line that is no result was cut off and does not count; it is removed where it
// is this store's.
func (s *Store) Done(each func(Done)) error {
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
				each(d)
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
	var d struct {
		Schema      string `json:"schema"`
		Name        string `json:"name"`
		Status      Status `json:"status"`
		Fingerprint string `json:"fingerprint"`
		Image       *Image `json:"image"`
	}
	file := filepath.Join(s.dir, name)
	if err := json.Unmarshal(line, &d); err != nil || d.Name == "" || d.Schema == "" {
		return Done{}, fmt.Errorf("%s:%d: the line is no result: remove it, or name another folder with -o", file, number)
	}
	if d.Schema != ID {
		return Done{}, &SchemaError{file, number, d.Schema}
	}
	out := Done{File: name, Name: d.Name, Status: d.Status, Fingerprint: d.Fingerprint}
	if d.Image != nil {
		out.Reference = d.Image.Reference
	}
	return out, nil
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

// patience is how long Drop waits for another process that starts at the same time.
const patience = 15 * time.Second

// Drop takes the lines of rows that are to be done again out of the files of
// results. A file that another process writes is that process' own: Drop waits a
// little for it to drop the lines, which it does when it starts in the same way, and
// then fails with a *LockedError.
func (s *Store) Drop(ctx context.Context, again map[string][]string) error {
	for file, names := range again {
		drop := map[string]bool{}
		for _, name := range names {
			drop[name] = true
		}
		if file == s.name {
			if err := s.dropOwn(drop); err != nil {
				return err
			}
			continue
		}
		if err := s.dropOther(ctx, file, drop); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) dropOwn(drop map[string]bool) error {
	// An open file can't be replaced on Windows.
	err := s.file.Close()
	s.file = nil
	if err != nil {
		return err
	}
	if err := s.without(s.name, drop); err != nil {
		return err
	}
	return s.open()
}

func (s *Store) dropOther(ctx context.Context, file string, drop map[string]bool) error {
	for end := time.Now().Add(patience); ; {
		lock, err := tryLock(s.dir, file)
		if err == nil {
			removeTemps(s.dir, file)
			return errors.Join(s.without(file, drop), lock.Close())
		}
		if !errors.As(err, new(*LockedError)) {
			return err
		}
		there := false
		scan := s.lines(file, func(number int, line []byte, _ bool) error {
			d, err := s.done(file, number, line)
			there = there || err == nil && drop[d.Name]
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

// without writes a file anew without some of its lines.
func (s *Store) without(file string, drop map[string]bool) error {
	return writeAnew(s.dir, file, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<18)
		err := s.lines(file, func(number int, line []byte, last bool) error {
			d, err := s.done(file, number, line)
			if err != nil && last {
				return nil
			}
			if err != nil || drop[d.Name] {
				return err
			}
			_, _ = out.Write(line)
			return out.WriteByte('\n')
		})
		return errors.Join(err, out.Flush())
	})
}

// FileName is the file of results of a shard, or of a batch without shards, -1.
func FileName(shard int) string {
	if shard < 0 {
		return "results.jsonl"
	}
	return fmt.Sprintf("results-%d.jsonl", shard)
}
