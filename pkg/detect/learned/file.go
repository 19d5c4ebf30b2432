package learned

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a file: of one that winpack wrote they are never reached, but of one that
// somebody else did.
const (
	maxFile    = 256 << 20 // bytes, unpacked
	maxPacked  = 64 << 20
	maxFolders = 200_000
	maxFiles   = 500_000
	maxNames   = 4_000_000 // functions
)

// write packs the contents: a line of JSON for the header, then one for each folder.
func (c *Contents) write(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	e := json.NewEncoder(z)
	e.SetEscapeHTML(false)
	if err := e.Encode(c.Header); err != nil {
		return err
	}
	for i := range c.folders {
		if err := e.Encode(&c.folders[i]); err != nil {
			return err
		}
	}
	return z.Close()
}

// Read reads what write wrote. Its input is not trusted: it is bounded, and has to be
// in order.
func Read(r io.Reader) (*Contents, error) {
	d, h, err := open(r)
	if err != nil {
		return nil, err
	}
	c := &Contents{Header: h}
	files, names, last := 0, 0, ""
	for {
		var f Folder
		if err := d.Decode(&f); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("folder %d: %w", len(c.folders)+1, err)
		}
		low := strings.ToLower(f.Path)
		if len(c.folders) > 0 && low <= last || f.Path != "" && !fs.ValidPath(f.Path) {
			return nil, fmt.Errorf("folder %d is out of order, or no path", len(c.folders)+1)
		}
		last = low
		for i := range f.Files {
			names += len(f.Files[i].Functions)
			if !slices.IsSorted(f.Files[i].Functions) || i > 0 && strings.ToLower(f.Files[i-1].Name) >= strings.ToLower(f.Files[i].Name) {
				return nil, fmt.Errorf("folder %d is out of order", len(c.folders)+1)
			}
		}
		if files += len(f.Files); files > maxFiles || names > maxNames || len(c.folders) == maxFolders {
			return nil, errors.New("it holds more than any image does")
		}
		c.folders = append(c.folders, f)
	}
	if len(c.folders) != h.Folders || files != h.Files {
		return nil, errors.New("it is cut off")
	}
	c.order()
	return c, nil
}

// open unpacks a file and reads its header.
func open(r io.Reader) (*json.Decoder, Header, error) {
	var h Header
	z, err := gzip.NewReader(bufio.NewReader(io.LimitReader(r, maxPacked)))
	if err != nil {
		return nil, h, err
	}
	d := json.NewDecoder(io.LimitReader(z, maxFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return nil, h, fmt.Errorf("its header: %w", err)
	}
	if h.Schema != Schema {
		return nil, h, fmt.Errorf("its format is %.40q, and this winpack reads %s", h.Schema, Schema)
	}
	if !digestPattern.MatchString(h.Digest) || h.Files < 0 || h.Folders < 0 {
		return nil, h, errors.New("its header names no image")
	}
	return d, h, nil
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Dir is the folder of a cache that holds the files.
func Dir(cache string) string { return filepath.Join(cache, "learned") }

const ext = ".json.gz"

// Save writes the contents into a cache, in place of what was learned of the same
// image, and returns the file and its size.
func (c *Contents) Save(cache string) (file string, size int64, err error) {
	if !digestPattern.MatchString(c.Digest) {
		return "", 0, fmt.Errorf("%q is no digest", c.Digest)
	}
	dir := Dir(cache)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", 0, err
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	w := bufio.NewWriter(tmp)
	err = c.write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = tmp.Sync()
	}
	if info, serr := tmp.Stat(); serr == nil {
		size = info.Size()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		file = filepath.Join(dir, strings.Replace(c.Digest, ":", "-", 1)+ext)
		err = os.Rename(tmp.Name(), file)
	}
	return file, size, err
}

// List returns the headers of what a cache holds, by reference and then digest. A cache
// that is not there is empty. A file that cannot be read is an error: it would decide
// silently by not being there.
func List(cache string) ([]Header, error) {
	entries, err := os.ReadDir(Dir(cache))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Header
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ext) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		var h Header
		err := withFile(filepath.Join(Dir(cache), e.Name()), func(r io.Reader) (err error) {
			_, h, err = open(r)
			return err
		})
		if err != nil {
			return nil, err
		}
		if strings.Replace(h.Digest, ":", "-", 1)+ext != e.Name() {
			return nil, fmt.Errorf("%q is of another image than its name says: delete it", filepath.Join(Dir(cache), e.Name()))
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Header) int {
		if c := strings.Compare(a.Reference, b.Reference); c != 0 {
			return c
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	return out, nil
}

// Load reads what a cache has of an image; nil where it has nothing.
func Load(cache, digest string) (*Contents, error) {
	if !digestPattern.MatchString(digest) {
		return nil, fmt.Errorf("%q is no digest", digest)
	}
	var c *Contents
	err := withFile(filepath.Join(Dir(cache), strings.Replace(digest, ":", "-", 1)+ext), func(r io.Reader) (err error) {
		c, err = Read(r)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.Digest != digest {
		return nil, fmt.Errorf("what was learned of %s is of another image: delete it", digest)
	}
	return c, nil
}

func withFile(name string, read func(io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%q cannot be read (%w): delete it, and run winpack images learn again", name, err)
	}
	return nil
}
