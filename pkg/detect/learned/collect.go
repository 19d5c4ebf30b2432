package learned

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// Bounds of what is read of an image.
const (
	maxEntries    = 1_000_000 // of all layers
	maxBinary     = 256 << 20 // bytes of a file whose functions are read
	maxDepth      = 128
	maxDescriptor = 64 << 10
)

// Collector reads the layers of an image, the lowest first.
type Collector struct {
	root    *node
	layer   int
	entries int
	names   int
	hidden  []string // whiteouts of the layer at hand
	buf     bytes.Buffer
	pages   pe.Pages
	// Bytes are those that were read of the layers, unpacked.
	Bytes int64
}

// node is a file or folder while layers are read.
type node struct {
	name       string
	folder     bool
	layer      int // that put it there last
	descriptor string
	sddl       string
	file       File
	below      map[string]*node // by name in lower case
}

// Layer reads one layer: an uncompressed tar, as Windows images have it (Files/ is
// C:\). What is wrong with an entry is an error: who reads on would learn something
// else than Windows has.
func (c *Collector) Layer(r io.Reader) error {
	if c.root == nil {
		c.root = &node{folder: true, below: map[string]*node{}}
	}
	c.layer++
	c.hidden = c.hidden[:0]
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if c.entries++; c.entries > maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		c.Bytes += h.Size
		if err := c.entry(h, tr); err != nil {
			return fmt.Errorf("entry %.200q: %w", h.Name, err)
		}
	}
	// They are of what the layers below have.
	for _, p := range c.hidden {
		dir, name := path.Split(p)
		if at := c.find(strings.TrimSuffix(dir, "/")); at != nil && at.below != nil {
			if gone := at.below[strings.ToLower(name)]; gone != nil && gone.layer < c.layer {
				delete(at.below, strings.ToLower(name))
			} else if gone != nil {
				gone.hideOlder(c.layer)
			}
		}
	}
	return nil
}

// hideOlder takes away what lower layers have below a folder that this one made anew.
func (n *node) hideOlder(layer int) {
	for name, below := range n.below {
		if below.layer < layer {
			delete(n.below, name)
		} else {
			below.hideOlder(layer)
		}
	}
}

const files = "Files"

func (c *Collector) entry(h *tar.Header, r io.Reader) error {
	name := strings.TrimSuffix(h.Name, "/")
	if name == files {
		name = ""
	} else if rest, ok := strings.CutPrefix(name, files+"/"); ok {
		name = rest
	} else {
		return nil // registry hives, and the virtual machine
	}
	if name != "" && (!fs.ValidPath(name) || strings.Contains(name, `\`)) {
		return errors.New("is no path")
	}
	if strings.Count(name, "/") >= maxDepth {
		return fmt.Errorf("lies deeper than %d folders", maxDepth)
	}
	dir, base := path.Split(name)
	if strings.Contains(base, ":") {
		return nil // a stream of the file before
	}
	if hidden, ok := strings.CutPrefix(base, ".wh."); ok && hidden != "" {
		c.hidden = append(c.hidden, dir+hidden)
		return nil
	}
	at := c.root
	if name != "" {
		var err error
		if at, err = c.make(name); err != nil {
			return err
		}
	}
	at.layer = c.layer
	switch h.Typeflag {
	case tar.TypeDir:
		if !at.folder {
			at.folder, at.below, at.file = true, map[string]*node{}, File{}
		}
		at.descriptor, at.sddl = "", h.PAXRecords["MSWINDOWS.sd"]
		if raw := h.PAXRecords["MSWINDOWS.rawsd"]; raw != "" {
			if _, err := base64.StdEncoding.DecodeString(raw); err != nil || len(raw) > maxDescriptor {
				return errors.New("its descriptor is no base64, or too long")
			}
			at.descriptor, at.sddl = raw, ""
		}
		if len(at.sddl) > maxDescriptor {
			return errors.New("its descriptor is too long")
		}
	case tar.TypeLink:
		target := strings.TrimPrefix(strings.TrimPrefix(path.Clean(h.Linkname), files), "/")
		from := c.find(target)
		at.folder, at.below, at.file = false, nil, File{}
		if from != nil && !from.folder {
			at.file = from.file // what the layers hold under another name
		}
	case tar.TypeReg, tar.TypeSymlink:
		at.folder, at.below, at.file = false, nil, File{}
		if h.Typeflag == tar.TypeReg && isBinary(base) && h.Size > 0 && h.Size <= maxBinary {
			return c.binary(at, h.Size, r)
		}
	}
	return nil
}

// make returns the node of a path, with the folders above it.
func (c *Collector) make(name string) (*node, error) {
	at := c.root
	for part := range strings.SplitSeq(name, "/") {
		if !at.folder { // which a link to a folder is, too
			at.folder, at.below, at.file = true, map[string]*node{}, File{}
		}
		next := at.below[strings.ToLower(part)]
		if next == nil {
			next = &node{name: part, layer: c.layer}
			at.below[strings.ToLower(part)] = next
		}
		at = next
	}
	return at, nil
}

func (c *Collector) find(name string) *node {
	at := c.root
	if name == "" {
		return at
	}
	for part := range strings.SplitSeq(name, "/") {
		if at = at.below[strings.ToLower(part)]; at == nil {
			return nil
		}
	}
	return at
}

// isBinary says whether a file is one whose functions programs import.
func isBinary(name string) bool {
	return slices.Contains([]string{".dll", ".exe", ".ocx", ".drv", ".cpl", ".acm", ".ax"}, strings.ToLower(path.Ext(name)))
}

// binary reads what a binary exports. One that is none, or is broken, is a file like
// others.
func (c *Collector) binary(at *node, size int64, r io.Reader) error {
	c.buf.Reset()
	if _, err := io.CopyN(&c.buf, r, size); err != nil {
		return err
	}
	f, err := c.pages.Open(bytes.NewReader(c.buf.Bytes()), size)
	if err != nil {
		return nil
	}
	defer f.Close()
	if v, err := f.FileVersion(); err == nil {
		at.file.Version = strings.ToValidUTF8(v.Value, "?")
	}
	exports, err := f.Exports()
	whole := err == nil
	for _, e := range exports {
		if c.names++; c.names > maxNames {
			whole = false
			break
		}
		at.file.Functions = append(at.file.Functions, strings.ToValidUTF8(e.Name, "?"))
	}
	slices.Sort(at.file.Functions)
	at.file.Functions = slices.Compact(at.file.Functions)
	at.file.Whole = whole
	return nil
}

// left are folders that hold copies of what others hold.
var left = []string{"windows/winsxs", "windows/servicing"}

// Contents is what the layers together hold. h names the image.
func (c *Collector) Contents(h Header) (*Contents, error) {
	if c.root == nil {
		return nil, errors.New("the image has no layer")
	}
	var folders []Folder
	count := 0
	var walk func(n *node, p string) error
	walk = func(n *node, p string) error {
		if slices.Contains(left, strings.ToLower(p)) {
			return nil
		}
		f := Folder{Path: p, Descriptor: n.descriptor, SDDL: n.sddl}
		names := slices.Sorted(maps.Keys(n.below))
		for _, name := range names {
			if below := n.below[name]; !below.folder {
				below.file.Name = below.name
				f.Files = append(f.Files, below.file)
				count++
			}
		}
		if folders = append(folders, f); len(folders) > maxFolders || count > maxFiles {
			return fmt.Errorf("more than %d folders or %d files", maxFolders, maxFiles)
		}
		for _, name := range names {
			if below := n.below[name]; below.folder {
				if err := walk(below, path.Join(p, below.name)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(c.root, ""); err != nil {
		return nil, err
	}
	return newContents(h, folders), nil
}
