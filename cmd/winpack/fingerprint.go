package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
)

// options are what the command line says of the result of every row, for their
// fingerprints.
func (b *batch) options() ([]byte, error) {
	base := b.base
	return json.Marshal(struct {
		OS              []string
		Base, FailOn, T string
		Build, Push     bool
		Epoch           any
	}{base.OS, base.Base, base.FailOn, b.tagText, b.build, b.push, b.epoch})
}

// fingerprint is of all that decides a row's result: the names, sizes and times of
// the app's files, the row, and the configuration. A file that is a configuration
// counts by its content.
func (b *batch) fingerprint(r inventory.Row) string {
	h := sha256.New()
	r.Folder = ""
	row, err := json.Marshal(r)
	fmt.Fprintf(h, "winpack/fingerprint/v1\n%s\n%s\n%v\n", b.common, row, err)
	config := b.base.Config
	if r.Config != "" {
		config = b.inv.Resolve(r.Config)
	}
	if config != "" {
		b.files.sum(h, config)
	}
	app := b.inv.Resolve(r.Source)
	listing(h, app)
	if b.build { // an edited Dockerfile there is what is built
		if dir, err := pipeline.DefaultDir(app); err == nil {
			listing(h, dir)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// listing adds names, sizes and times of the files below a path. What a folder's own
// time says is of no weight.
func listing(h hash.Hash, path string) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	var line []byte
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		rel := p[len(path):]
		line = append(line[:0], rel...)
		switch {
		case err != nil:
			line = append(line, "\x00?"...) // read or not, the row says what
		case d.IsDir():
			line = append(line, "\x00/"...)
		default:
			info, err := d.Info()
			if err != nil {
				line = append(line, "\x00?"...)
				break
			}
			line = fmt.Appendf(line, "\x00%d %d %v", info.Size(), info.ModTime().UnixNano(), d.Type())
			if d.Type()&fs.ModeSymlink != 0 {
				to, _ := os.Readlink(p)
				line = append(append(line, ' '), to...)
			}
		}
		_, _ = h.Write(append(line, '\n'))
		return nil
	})
	fmt.Fprintf(h, "%v\n", err != nil)
}

// configFiles remembers the configurations that many rows name.
type configFiles struct {
	mu sync.Mutex
	by map[string]*configFile
}

type configFile struct {
	once  sync.Once
	sum   []byte
	trees []string // files and folders outside of apps that it names
}

// sum adds a configuration: its text, the catalog that it names, and what lies in
// the folders that it names.
func (c *configFiles) sum(h hash.Hash, path string) {
	c.mu.Lock()
	if c.by == nil {
		c.by = map[string]*configFile{}
	}
	f := c.by[path]
	if f == nil {
		f = &configFile{}
		c.by[path] = f
	}
	c.mu.Unlock()
	f.once.Do(func() { f.read(path) })
	_, _ = h.Write(f.sum)
	for _, dir := range f.trees {
		listing(h, dir)
	}
}

func (f *configFile) read(path string) {
	h := sha256.New()
	if file, err := os.Open(path); err == nil {
		text, _ := readBounded(file)
		_, _ = io.WriteString(h, text)
	}
	job := pipeline.Job{Config: path, Mirrors: map[string]string{}}
	if _, err := configure(&job, time.Time{}, io.Discard); err == nil { // else it is the row's error
		_, _ = h.Write(job.CatalogData)
		for _, extra := range job.Settings.Files {
			f.trees = append(f.trees, filepath.Join(job.Trees[extra.Tree], extra.From))
		}
	}
	f.sum = h.Sum(nil)
}
