package result

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// LockedError says that another process writes a file of results or, where Shards is
// set, that one works in that folder which shares the rows out in another way.
type LockedError struct {
	File   string
	Shards bool
}

func (e *LockedError) Error() string {
	if e.Shards {
		return fmt.Sprintf("another winpack batch works in %q with another number of shards, or none, and would do the same rows: wait for its end, or name another folder with -o", e.File)
	}
	return fmt.Sprintf("another winpack batch writes %q: wait for its end, or name another folder with -o", e.File)
}

// Store is a folder of results, of which one file is written. That file has a lock
// beside it, which is gone with the process, however it ends.
type Store struct {
	dir, name string
	lock      *flock.Flock
	shards    *flock.Flock // shared by all that have the same number of them
	file      *os.File
	size      int64 // of what is whole
}

// OpenStore opens the file of that name in dir, and makes both where they are
// missing; shards is into how many the rows are shared out, 0 for not at all. A last
// line that was cut off is removed. A file that another process writes is a
// *LockedError, as is a folder where one has another number of shards, and a file with
// a line of a later version a *SchemaError.
func OpenStore(dir, name string, shards int) (*Store, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, name: name}
	var err error
	if s.lock, err = tryLock(dir, name); err != nil {
		return nil, err
	}
	if s.shards, err = lockShards(dir, shards); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	removeTemps(dir, name)
	return s, syncDir(dir)
}

// FileName is the name of the file that is written, without folder.
func (s *Store) FileName() string { return s.name }

func (s *Store) path() string { return filepath.Join(s.dir, s.name) }

// open opens the file behind its last whole line.
func (s *Store) open() error {
	file, err := os.OpenFile(s.path(), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	s.file = file
	size, err := wholeLines(file)
	if err != nil {
		return err
	}
	return s.cut(size)
}

// cut ends the file there.
func (s *Store) cut(size int64) error {
	s.size = size
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	_, err := s.file.Seek(size, io.SeekStart)
	return err
}

// wholeLines is where the last line ends that is whole.
func wholeLines(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<16)
	for end > 0 {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// Append writes lines, each with its end, and returns once they are on the disk.
// After an error the file is as before.
func (s *Store) Append(lines []byte) error {
	_, err := s.file.Write(lines)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		_ = s.cut(s.size) // what stays of it is cut off by the next start
		return err
	}
	s.size += int64(len(lines))
	return nil
}

// Close gives the file free.
func (s *Store) Close() error {
	var err error
	if s.file != nil {
		err = s.file.Close()
	}
	if s.shards != nil {
		err = errors.Join(err, s.shards.Close())
	}
	return errors.Join(err, s.lock.Close())
}

// lockShards takes a lock that those share who share the rows out in the same way, and
// looks whether there are others. Two that start at once may both find the other.
func lockShards(dir string, shards int) (_ *flock.Flock, err error) {
	name := fmt.Sprintf("shards-%d", shards)
	own := newLock(dir, name)
	defer func() {
		if err != nil {
			_ = own.Close()
		}
	}()
	got := false
	for end := time.Now().Add(2 * time.Second); !got; time.Sleep(10 * time.Millisecond) { // who looks has it for a moment
		if got, err = own.TryRLock(); err != nil {
			return nil, err
		}
		if !got && time.Now().After(end) {
			return nil, &LockedError{dir, true}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		other, ok := strings.CutPrefix(strings.TrimSuffix(file.Name(), ".lock"), ".")
		if !ok || other == name || !strings.HasPrefix(other, "shards-") {
			continue
		}
		lock, err := tryLock(dir, other)
		if errors.As(err, new(*LockedError)) {
			return nil, &LockedError{dir, true}
		}
		if err == nil {
			err = lock.Close()
		}
		if err != nil {
			return nil, err
		}
	}
	return own, nil
}

func newLock(dir, name string) *flock.Flock {
	return flock.New(filepath.Join(dir, "."+name+".lock"), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o666))
}

// tryLock takes the lock of a file of results, or of a number of shards.
func tryLock(dir, name string) (*flock.Flock, error) {
	lock := newLock(dir, name)
	got, err := lock.TryLock()
	if err == nil && !got {
		err = &LockedError{File: filepath.Join(dir, name)}
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

const tempSuffix = ".tmp"

// writeAnew replaces a file by what write gives, whole or not at all.
func writeAnew(dir, name string, write func(io.Writer) error) (err error) {
	temp, err := os.CreateTemp(dir, "."+name+"-*"+tempSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	if err = write(temp); err != nil {
		return err
	}
	if err = temp.Chmod(0o644); err != nil {
		return err
	}
	if err = temp.Sync(); err != nil {
		return err
	}
	if err = temp.Close(); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last, which Windows does by itself.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// removeTemps removes what a process that was killed left of writing a file anew.
func removeTemps(dir, name string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "."+name+"-") && strings.HasSuffix(e.Name(), tempSuffix) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// WriteRows writes the list of rows, unless it is there already.
func WriteRows(dir string, rows func(yield func(Row) bool)) error {
	var text bytes.Buffer
	var err error
	rows(func(r Row) bool {
		var line []byte
		if line, err = report.JSONLine(r); err == nil {
			text.Write(line)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return writeShared(dir, RowsName, text.Bytes())
}

// writeShared writes a file that all shards write alike, unless it is there already.
func writeShared(dir, name string, text []byte) error {
	if old, err := os.ReadFile(filepath.Join(dir, name)); err == nil && bytes.Equal(old, text) {
		return nil // shards that start together write the same
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lock := flock.New(filepath.Join(dir, "."+name+".lock"), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o666))
	defer lock.Close()
	if err := lock.Lock(); err != nil {
		return err
	}
	removeTemps(dir, name)
	return writeAnew(dir, name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
