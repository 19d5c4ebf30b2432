package kube

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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

// ownFiles are the names that winpack gives to files of manifests. What the
// folder holds of them and winpack would not write any more goes away.
func ownFiles() []string {
	return []string{"deployment.yaml", "gmsa.yaml", "job.yaml", "poddisruptionbudget.yaml", "service.yaml"}
}

// A file says itself that winpack wrote it: kubectl applies every .yaml and .json
// of a folder, so that a record beside the manifests would be taken for one.
const (
	markApp = "# winpack kube: app="
	markSum = " sha256="
)

// Files writes each file of the manifests, with a first line that holds the
// checksum of the rest.
func (m Manifests) Files() (map[string][]byte, error) {
	byFile := map[string][]Object{}
	for _, o := range m.Objects {
		byFile[o.File] = append(byFile[o.File], o)
	}
	files := map[string][]byte{}
	for name, objects := range byFile {
		text, err := YAML(objects)
		if err != nil {
			return nil, err
		}
		files[name] = []byte(markApp + m.Name + markSum + sum(text) + "\n" + string(text))
	}
	return files, nil
}

func sum(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// owner is the app whose file this is as winpack wrote it, whatever its line ends
// are; empty where it was edited, or is somebody else's. of is the app that its
// first line names.
func owner(data []byte) (app, of string) {
	line, rest, _ := strings.Cut(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	named, ok := strings.CutPrefix(line, markApp)
	of, checksum, cut := strings.Cut(named, markSum)
	if !ok || !cut {
		return "", ""
	}
	if sum([]byte(rest)) == checksum {
		app = of
	}
	return app, of
}

// NotOursError names files that would be overwritten and that winpack did not
// write, or that were edited since.
type NotOursError struct {
	Dir   string
	Names []string
}

func (e *NotOursError) Error() string {
	var quoted []string
	for _, n := range e.Names {
		quoted = append(quoted, fmt.Sprintf("%q", filepath.Join(e.Dir, n)))
	}
	return strings.Join(quoted, ", ") + ": edited by hand, or another app's, and not overwritten without --force"
}

// maxFile bounds a file that is read, in bytes; manifests are far smaller.
const maxFile = 1 << 20

// Edited are the files in a folder that winpack wrote for an app and that a hand
// changed since.
func Edited(dir, app string) []string {
	var names []string
	for _, name := range ownFiles() {
		if data, err := read(dir, name); err == nil {
			if own, of := owner(data); own == "" && of == app {
				names = append(names, name)
			}
		}
	}
	return names
}

// Write puts files into a folder, which it makes when it is missing, and removes
// those that it wrote for the same app before and that are no longer part of the
// manifests. A file that is not winpack's own for that app is a *NotOursError, and
// nothing is written, unless force is set.
func Write(dir, app string, files map[string][]byte, force bool) (removed []string, err error) {
	var notOurs, stale []string
	for _, name := range slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(files)), ownFiles()...))) {
		data, err := read(dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			if _, wanted := files[name]; wanted {
				return nil, err
			}
			continue // not to be touched
		}
		own, _ := owner(data)
		fresh, wanted := files[name]
		switch {
		case !wanted && own == app:
			stale = append(stale, name)
		case wanted && own != app && !bytes.Equal(data, fresh):
			notOurs = append(notOurs, name)
		}
	}
	if notOurs = slices.Compact(notOurs); len(notOurs) > 0 && !force {
		return nil, &NotOursError{dir, notOurs}
	}
	_, statErr := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
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
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if temps[name], err = writeTemp(dir, files[name]); err != nil {
			return nil, fmt.Errorf("writing %q: %w", filepath.Join(dir, name), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.Rename(temps[name], filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		delete(temps, name)
	}
	for _, name := range slices.Compact(stale) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	return removed, nil
}

func read(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	// Before it is opened: opening a named pipe waits for somebody to write. A link
	// would be replaced by a file.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("writing %q: something that is no regular file is in its place: remove it", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

func writeTemp(dir string, data []byte) (path string, err error) {
	t, err := os.CreateTemp(dir, ".winpack-*")
	if err != nil {
		return "", err
	}
	_, err = t.Write(data)
	if err = errors.Join(err, t.Chmod(0o644), t.Close()); err != nil {
		os.Remove(t.Name())
		return "", err
	}
	return t.Name(), nil
}
