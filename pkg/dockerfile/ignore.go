package dockerfile

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"

	"github.com/winpack/winpack/pkg/detect"
)

// IgnoreFS is a folder without what patterns of .dockerignore name. As for BuildKit,
// a pattern that begins with "!" brings back what an earlier one took out, case
// counts, and a folder of which nothing is left is not there.
func IgnoreFS(fsys fs.FS, patterns []string) (fs.FS, error) {
	if len(patterns) == 0 {
		return fsys, nil
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("reading ignore patterns: %w", err)
	}
	return &ignoreFS{fsys: fsys, below: ".", matcher: m}, nil
}

// checkPattern says what is wrong with a pattern. Some of that the library finds out
// only when a name is compared with it.
func checkPattern(pattern string) error {
	m, err := patternmatcher.New([]string{pattern})
	if err == nil {
		_, err = m.MatchesOrParentMatches("x")
	}
	return err
}

// CheckIgnore names the first pattern of .dockerignore that is none.
func CheckIgnore(patterns []string) error {
	for _, pattern := range patterns {
		if err := checkPattern(pattern); err != nil {
			cure := ""
			if strings.Contains(pattern, `\`) {
				cure = "; write paths with /"
			}
			return fmt.Errorf("the pattern %q is none: %w%s", pattern, err, cure)
		}
	}
	return nil
}

// filterFS leaves of a folder in fsys what include names, where there is a pattern,
// without what exclude names. Patterns are relative to the folder. What lies
// elsewhere stays.
func filterFS(fsys fs.FS, below string, include, exclude []string) (fs.FS, error) {
	if len(include) > 0 {
		only := []string{"**"}
		for _, p := range include {
			only = append(only, "!"+p)
		}
		include = only
	}
	for _, patterns := range [][]string{include, exclude} {
		left, err := IgnoreFS(fsys, patterns)
		if err != nil {
			return nil, err
		}
		if filtered, ok := left.(*ignoreFS); ok && len(patterns) > 0 {
			filtered.below = below
		}
		fsys = left
	}
	return fsys, nil
}

// Filtered is what a copy step may copy of a file system, where folder is what
// s.From leads to.
func (s Step) Filtered(fsys fs.FS, folder string) (fs.FS, error) {
	return filterFS(fsys, folder, s.Include, s.Ignore)
}

type ignoreFS struct {
	fsys    fs.FS
	below   string     // the folder that patterns are relative to
	mu      sync.Mutex // the matcher compiles its patterns when they are first used
	matcher *patternmatcher.PatternMatcher
}

func (f *ignoreFS) matches(name string) (bool, error) {
	if f.below != "." {
		rel, ok := strings.CutPrefix(name, f.below+"/")
		if !ok {
			return false, nil
		}
		name = rel
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.matcher.MatchesOrParentMatches(name)
}

// gone says whether a name is left out; folder is what it is.
func (f *ignoreFS) gone(name string, folder bool) (bool, error) {
	if name == "." {
		return false, nil
	}
	out, err := f.matches(name)
	if err != nil || !out || !folder || !f.matcher.Exclusions() {
		return out, err
	}
	left, err := f.ReadDir(name)
	return len(left) == 0, err
}

func (f *ignoreFS) check(op, name string) error {
	if name == "." {
		return nil
	}
	out, err := f.matches(name)
	if err == nil && out {
		info, statErr := fs.Lstat(f.fsys, name)
		if statErr != nil {
			return statErr
		}
		out, err = f.gone(name, info.IsDir())
	}
	if err == nil && out {
		err = fs.ErrNotExist
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func (f *ignoreFS) Open(name string) (fs.File, error) {
	if err := f.check("open", name); err != nil {
		return nil, err
	}
	return f.fsys.Open(name)
}

func (f *ignoreFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.fsys, name)
	if err != nil {
		return entries, err
	}
	var failed error
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		out, err := f.gone(path.Join(name, e.Name()), e.IsDir())
		if err != nil {
			failed = err
		}
		return out
	})
	return entries, failed
}

// ListDir implements detect.Lister.
func (f *ignoreFS) ListDir(name string, visit func(fs.DirEntry) error) error {
	return detect.ListDir(f.fsys, name, func(e fs.DirEntry) error {
		out, err := f.gone(path.Join(name, e.Name()), e.IsDir())
		if err != nil || out {
			return err
		}
		return visit(e)
	})
}

func (f *ignoreFS) Stat(name string) (fs.FileInfo, error) {
	if err := f.check("stat", name); err != nil {
		return nil, err
	}
	return fs.Stat(f.fsys, name)
}

func (f *ignoreFS) Lstat(name string) (fs.FileInfo, error) {
	if err := f.check("lstat", name); err != nil {
		return nil, err
	}
	return fs.Lstat(f.fsys, name)
}

func (f *ignoreFS) ReadLink(name string) (string, error) {
	if err := f.check("readlink", name); err != nil {
		return "", err
	}
	return fs.ReadLink(f.fsys, name)
}
