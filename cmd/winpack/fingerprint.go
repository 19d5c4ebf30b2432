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
	"strings"
	"sync"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/pkg/detect"
)

// fingerprint says what a row's result comes from, in parts, so that a run that asks
// for less than an earlier one finds its row done.
type fingerprint struct {
	app   string // the app's files, its row and its configuration
	level string // --fail-on, which decides the status alone; empty where it is not given
	build string // what was made of the app and how; empty where it was looked at
	until string // last day on which the result holds, like 2027-01-31; empty for any
}

func (f fingerprint) String() string {
	text := f.app
	if f.level != "" {
		text += "+fail-on=" + f.level
	}
	if f.build != "" {
		text += "+build=" + f.build
	}
	if f.until != "" {
		text += "+until=" + f.until
	}
	return text
}

func parseFingerprint(text string) fingerprint {
	var f fingerprint
	f.app, text, _ = strings.Cut(text, "+")
	for part := range strings.SplitSeq(text, "+") {
		if level, ok := strings.CutPrefix(part, "fail-on="); ok {
			f.level = level
		} else if build, ok := strings.CutPrefix(part, "build="); ok {
			f.build = build
		} else if until, ok := strings.CutPrefix(part, "until="); ok {
			f.until = until
		}
	}
	return f
}

// covers says whether what was done for a row is what this run is to do, but for the
// level of --fail-on. Who only looks takes what was built for looked at.
func (f fingerprint) covers(now fingerprint, today time.Time) bool {
	last, _ := time.Parse(time.DateOnly, f.until) // zero for any other text
	return !over(last, today) && f.app == now.app && (now.build == "" || f.build == now.build)
}

// fingerprint is that of a row now. A file that is a configuration counts by its
// content, the others by name, size and time.
func (b *batch) fingerprint(r inventory.Row) fingerprint {
	h := sha256.New()
	r.Folder = ""
	row, err := json.Marshal(r)
	common, commonErr := json.Marshal(struct {
		OS   []string
		Base string
		Maps []detect.Map `json:",omitempty"`
		// Limits decide what is known.
		Limits detect.Limits `json:",omitzero"`
	}{b.base.OS, b.base.Base, b.base.Maps, b.base.Limits})
	fmt.Fprintf(h, "winpack/fingerprint/v2\n%s %v\n%s %v\n", common, commonErr, row, err)
	if known := b.base.Learned.Identity(); known != "" { // which decides bases and findings
		fmt.Fprintf(h, "learned %s\n", known)
	}
	config := b.base.Config
	if r.Config != "" {
		config = b.inv.Resolve(r.Config)
	}
	if config != "" {
		b.files.sum(h, config)
	}
	app := b.inv.Resolve(r.Source)
	listing(h, app)
	f := fingerprint{app: "sha256:" + hex.EncodeToString(h.Sum(nil)), level: b.base.FailOn}
	if !b.build {
		return f
	}
	h = sha256.New()
	fmt.Fprintf(h, "%v %q %v\n", b.push, b.tagText, b.epoch)
	if dir, err := pipeline.DefaultDir(app); err == nil { // an edited Dockerfile there is what is built
		listing(h, dir)
	}
	f.build = hex.EncodeToString(h.Sum(nil))[:16]
	return f
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
