package dockerfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	recordFile   = ".winpack.json"
	recordSchema = "winpack/record/v1"
	maxOnDisk    = 8 << 20 // no file that winpack writes comes near it
)

// Record is what winpack notes of the files that it wrote.
type Record struct {
	Schema string `json:"schema"`
	// App and Context are slash-separated paths relative to the record's folder.
	App     string `json:"app"`
	Context string `json:"context"`
	// Files has the SHA-256 of each file in hexadecimal: line ends taken as LF, text
	// between edit markers left out.
	Files map[string]string `json:"files"`
}

// RecordFile is the name of a record in its folder.
const RecordFile = recordFile

// OwnFiles are the names of the files that a record lists, and its own, sorted.
// What is no record has none, and a name that winpack never writes is none. An app
// may have a start.cmd too: that is winpack's only as it was written, or with an edit
// that leaves winpack's first lines. read reads a file beside the record.
func OwnFiles(record []byte, read func(name string) ([]byte, error)) []string {
	var r Record
	if json.Unmarshal(record, &r) != nil || r.Schema != recordSchema {
		return nil
	}
	names := []string{recordFile}
	for name, sum := range r.Files {
		// The record may be anybody's: it claims nothing that winpack does not write.
		if !ownFile(name) || name == recordFile {
			continue
		}
		if name == scriptFile {
			data, err := read(name)
			if err != nil || Sum(data) != sum && !bytes.Contains(data[:min(len(data), 256)], []byte(scriptMark)) {
				continue
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plainName says whether a name is that of a file in the record's own folder.
func plainName(name string) bool {
	return filepath.IsLocal(name) && name != "." && !strings.ContainsAny(name, `/\`)
}

func newRecord(opt RenderOptions, context string, content map[string][]byte) ([]byte, error) {
	app, err := filepath.Rel(opt.Dir, opt.App)
	if err != nil {
		return nil, err
	}
	ctx, err := filepath.Rel(opt.Dir, context)
	if err != nil {
		return nil, err
	}
	r := Record{Schema: recordSchema, App: filepath.ToSlash(app), Context: filepath.ToSlash(ctx), Files: map[string]string{}}
	for name, data := range content {
		r.Files[name] = Sum(data)
	}
	out, err := json.MarshalIndent(r, "", "  ")
	return append(out, '\n'), err
}

// Sum is the checksum that a record holds of a file.
func Sum(data []byte) string {
	own, _ := splitEdits(data)
	h := sha256.Sum256(own)
	return hex.EncodeToString(h[:])
}

// splitEdits takes the text between edit markers out, with line ends as LF.
func splitEdits(data []byte) (own, edits []byte) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	begin := bytes.Index(data, []byte(editBegin+"\n"))
	if begin < 0 {
		return data, nil
	}
	begin += len(editBegin) + 1
	end := bytes.Index(data[begin:], []byte(editEnd))
	if end < 0 {
		return data, nil
	}
	return slices.Concat(data[:begin], data[begin+end:]), data[begin : begin+end]
}

// keepEdits puts the text between the markers of an old file into a new one.
func keepEdits(fresh, old []byte) []byte {
	_, edits := splitEdits(old)
	if len(bytes.TrimSpace(edits)) == 0 {
		return fresh
	}
	marker := []byte(editBegin + "\n")
	return bytes.Replace(fresh, marker, slices.Concat(marker, edits), 1)
}

// State is what a folder holds of winpack's files.
type State struct {
	Record *Record // nil where there is none
	// Edited are files that differ from the record, or have none.
	Edited []string
	// Added are files with text between their edit markers.
	Added []string
	// Missing are files that the record names and the folder lacks.
	Missing []string

	disk map[string][]byte
}

// OnDisk are the names of the files that were looked at and are there, sorted.
func (s State) OnDisk() []string { return sortedKeys(s.disk) }

// ReadState looks at the files in dir that a record there names, and at the
// names beside it. A folder that does not exist is an empty one.
func ReadState(dir string, names ...string) (State, error) {
	s := State{disk: map[string][]byte{}}
	data, err := readFile(dir, recordFile)
	switch {
	case err == nil:
		var r Record
		if err := json.Unmarshal(data, &r); err != nil || r.Schema != recordSchema {
			return s, fmt.Errorf("reading %q: it is no record of this winpack: remove it, or write the files again with `winpack dockerfile --force`", filepath.Join(dir, recordFile))
		}
		s.Record = &r
		names = slices.AppendSeq(slices.Clone(names), maps.Keys(r.Files))
	case !errors.Is(err, fs.ErrNotExist):
		return s, err
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name == recordFile {
			continue
		}
		if !plainName(name) {
			return s, fmt.Errorf("reading %q: it names %q, which is no file of its folder", filepath.Join(dir, recordFile), name)
		}
		data, err := readFile(dir, name)
		known := s.Record != nil && s.Record.Files[name] != ""
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if known {
				s.Missing = append(s.Missing, name)
			}
			continue
		case err != nil:
			return s, err
		}
		s.disk[name] = data
		if !known || s.Record.Files[name] != Sum(data) {
			s.Edited = append(s.Edited, name)
		}
		if _, edits := splitEdits(data); len(bytes.TrimSpace(edits)) > 0 {
			s.Added = append(s.Added, name)
		}
	}
	return s, nil
}

func readFile(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	// Before it is opened: opening a named pipe waits for somebody to write.
	if at, err := os.Stat(dir); err == nil && !at.IsDir() {
		return nil, fmt.Errorf("%q is a file, where the folder of the Dockerfile would be: move the file away", dir)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading %q: it is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxOnDisk+1))
	if err == nil && len(data) > maxOnDisk {
		err = fmt.Errorf("reading %q: it is larger than winpack's files are", path)
	}
	return data, err
}

// OtherAppError says that the files in a folder are those of another app.
type OtherAppError struct{ Dir, App string }

func (e *OtherAppError) Error() string {
	return fmt.Sprintf("%q holds the Dockerfile of another app, %q: name another folder with -o, or replace it with --force", e.Dir, filepath.Join(e.Dir, filepath.FromSlash(e.App)))
}

// ofOther is an *OtherAppError where the record is not of the app of f.
func (s State) ofOther(dir string, f Files) error {
	var ours Record
	if s.Record == nil || json.Unmarshal(f.Content[recordFile], &ours) != nil || s.Record.App == ours.App {
		return nil
	}
	return &OtherAppError{dir, s.Record.App}
}

// EditedError names files that were edited by hand and would be overwritten.
type EditedError struct {
	Dir   string
	Names []string
}

func (e *EditedError) Error() string {
	quoted := make([]string, len(e.Names))
	for i, n := range e.Names {
		quoted[i] = fmt.Sprintf("%q", filepath.Join(e.Dir, n))
	}
	return strings.Join(quoted, ", ") + ": edited by hand, and not overwritten without --force"
}

// Check compares what would be written with the record in dir: stale are files
// that differ from it or are missing, edited are those that a hand changed. A
// record of another app is an *OtherAppError.
func Check(dir string, f Files) (stale, edited []string, err error) {
	s, err := ReadState(dir, sortedKeys(f.Content)...)
	if err != nil {
		return nil, nil, err
	}
	if err := s.ofOther(dir, f); err != nil {
		return nil, nil, err
	}
	for _, name := range sortedKeys(f.Content) {
		if name == recordFile {
			if s.Record == nil {
				stale = append(stale, name)
			}
			continue
		}
		_, onDisk := s.disk[name]
		if s.Record == nil || s.Record.Files[name] != Sum(f.Content[name]) || !onDisk {
			stale = append(stale, name)
		}
	}
	if s.Record != nil {
		for _, name := range sortedKeys(s.Record.Files) {
			if f.Content[name] == nil {
				stale = append(stale, name)
			}
		}
	}
	return stale, s.Edited, nil
}

// Unchanged are the files in dir that Write would leave as they are, sorted.
func Unchanged(dir string, f Files) []string {
	var names []string
	for _, name := range sortedKeys(f.Content) {
		if data, err := readFile(dir, name); err == nil && bytes.Equal(data, keepEdits(f.Content[name], data)) {
			names = append(names, name)
		}
	}
	return names
}

// Overwrite says what Write may replace.
type Overwrite int

const (
	OverwriteOwn      Overwrite = iota // what winpack wrote for the same app
	OverwriteOtherApp                  // and what it wrote for another one
	OverwriteEdited                    // and what was edited by hand
)

// Write puts the files into dir, which it makes when it is missing. A file that
// was edited by hand is an *EditedError, and nothing is written, unless it may be
// overwritten; so is a record of another app an *OtherAppError. Text between edit markers
// stays, and a file that is as it would be written is not written again. Files that
// the record names and that are no longer part of the plan go away.
func Write(dir string, f Files, may Overwrite) (err error) {
	force := may == OverwriteEdited
	s, err := ReadState(dir, sortedKeys(f.Content)...)
	if err == nil && may != OverwriteOtherApp {
		if err = s.ofOther(dir, f); err != nil {
			s.disk = nil // the edits of another app are not this one's
		}
	}
	if err != nil && !force {
		return err
	}
	var edited []string
	for _, name := range s.Edited {
		// What is already as it would be written needs no permission.
		if fresh, ok := f.Content[name]; !ok || Sum(fresh) != Sum(s.disk[name]) {
			edited = append(edited, name)
		}
	}
	if len(edited) > 0 && !force {
		return &EditedError{Dir: dir, Names: edited}
	}
	for _, name := range sortedKeys(f.Content) {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("writing %q: something that is no regular file is in its place: remove it", filepath.Join(dir, name))
		}
	}
	_, statErr := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	temps := map[string]string{}
	defer func() {
		for _, t := range temps {
			os.Remove(t)
		}
		if err != nil && errors.Is(statErr, fs.ErrNotExist) {
			os.Remove(dir) // only when empty
		}
	}()
	for _, name := range sortedKeys(f.Content) {
		content := keepEdits(f.Content[name], s.disk[name])
		if old, err := readFile(dir, name); err == nil && bytes.Equal(old, content) {
			continue
		}
		t, err := writeTemp(dir, name, content)
		if err != nil {
			return err
		}
		temps[name] = t
	}
	// The record goes last: a name that it does not know yet counts as edited,
	// never as ours.
	names := slices.DeleteFunc(sortedKeys(temps), func(n string) bool { return n == recordFile })
	if temps[recordFile] != "" {
		names = append(names, recordFile)
	}
	for _, name := range names {
		if err := os.Rename(temps[name], filepath.Join(dir, name)); err != nil {
			return err
		}
		delete(temps, name)
	}
	if s.Record != nil {
		for _, name := range sortedKeys(s.Record.Files) {
			if f.Content[name] == nil && !slices.Contains(s.Edited, name) {
				if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}

func writeTemp(dir, name string, data []byte) (path string, err error) {
	t, err := os.CreateTemp(dir, ".winpack-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			t.Close()
			os.Remove(t.Name())
			err = fmt.Errorf("writing %q: %w", filepath.Join(dir, name), err)
		}
	}()
	if _, err = t.Write(data); err != nil {
		return "", err
	}
	if err = t.Chmod(0o644); err != nil {
		return "", err
	}
	return t.Name(), t.Close()
}
