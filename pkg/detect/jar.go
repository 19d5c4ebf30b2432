package detect

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/winpack/winpack/internal/zipread"
	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// Bounds of what is read of one Java archive.
const (
	maxDirectory  = 16 << 20 // of its list of files, in bytes
	maxMember     = 1 << 20  // of one file in it, unpacked
	maxClasses    = 256      // whose version is looked at
	classHeader   = 8
	maxClass      = 256 << 10
	classVersion1 = 44 // of Java 1.0; 45 is that of 1.1
)

// jar is an opened Java archive.
type jar struct {
	path  string
	files []*zip.File
	list  pe.Span // the list of its files, as it was read
	names map[string]*zip.File
}

// withJar opens an archive and calls f. What cannot be read is a Problem.
func (t *Tree) withJar(p, unknown string, f func(*jar) error) {
	file, size, err := t.openFile(p)
	if err != nil {
		t.problem(p, "could not be read: "+reason(err)+"; "+unknown)
		return
	}
	defer file.Close()
	r, ok := file.(io.ReaderAt)
	if !ok {
		data, err := io.ReadAll(io.LimitReader(file, t.limits.Memory+1))
		if err == nil && int64(len(data)) > t.limits.Memory {
			err = fmt.Errorf("larger than %s (limit memory) in a file system without random access", sizeText(t.limits.Memory))
		}
		if err != nil {
			t.problem(p, "could not be read: "+reason(err)+"; "+unknown)
			return
		}
		r, size = strings.NewReader(string(data)), int64(len(data))
	}
	z, from, err := zipread.OpenAt(r, size, maxDirectory)
	if err != nil {
		t.problem(p, "is no archive that can be read: "+clean(err.Error())+"; "+unknown)
		return
	}
	if n := t.limits.ZipEntries; int64(len(z.File)) > n {
		t.problem(p, fmt.Sprintf("holds %d files, and %d are looked at (limit zip-entries): what the others are is unknown", len(z.File), n))
		z.File = z.File[:n]
	}
	j := &jar{path: p, files: z.File, list: pe.Span{Offset: from, Length: size - from}, names: make(map[string]*zip.File, len(z.File))}
	for _, f := range z.File {
		if _, twice := j.names[f.Name]; !twice {
			j.names[f.Name] = f
		}
	}
	if err := f(j); err != nil {
		t.problem(p, clean(err.Error())+"; "+unknown)
	}
}

// read is a file of the archive, nil where it has none of that name.
func (j *jar) read(name string) ([]byte, error) {
	f := j.names[name]
	if f == nil {
		return nil, nil
	}
	return readMember(f, maxMember)
}

func readMember(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s in it: %w", f.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("larger than %d MB", limit>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("%s in it: %w", f.Name, err)
	}
	return data, nil
}

// readStart is what a file of an archive starts with, at most limit bytes.
func readStart(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit))
}

// evidence is the place of a file of the archive.
func (j *jar) evidence(name, detail string) Evidence {
	ev := Evidence{Path: j.path, Detail: clean(detail)}
	if f := j.names[name]; f != nil {
		if off, err := f.DataOffset(); err == nil {
			ev.Offset, ev.Length = off, int64(f.CompressedSize64)
			if ev.Length == 0 { // of an empty one there is the name
				ev.Offset, ev.Length = off-int64(len(f.Name)), int64(len(f.Name))
			}
		}
	}
	if ev.Length == 0 { // the mark of an archive
		ev.Length = 4
	}
	return ev
}

// has says whether the archive has a file below a folder.
func (j *jar) has(prefix string) bool {
	for _, f := range j.files {
		if strings.HasPrefix(f.Name, prefix) && f.Name != prefix {
			return true
		}
	}
	return false
}

// manifest reads META-INF/MANIFEST.MF: the main attributes, by their names in lower
// case (JAR file specification, "Manifest Specification": lines of at most 72 bytes,
// a blank at the start goes on with the line before).
func (j *jar) manifest() (map[string]string, error) {
	data, err := j.read("META-INF/MANIFEST.MF")
	if data == nil || err != nil {
		return nil, err
	}
	text := strings.NewReplacer("\r\n ", "", "\n ", "", "\r ", "").Replace(string(data))
	attrs := map[string]string{}
	for _, l := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		key, value, ok := strings.Cut(l, ":")
		if !ok {
			continue
		}
		key = strings.ToLower(strings.TrimSpace(key))
		if key == "name" { // of a section of one file
			break
		}
		if _, twice := attrs[key]; !twice {
			attrs[key] = strings.TrimSpace(value)
		}
	}
	return attrs, nil
}

// classLevel is the lowest Java that reads the classes of an archive or folder: the
// newest of them decides.
type classLevel struct {
	java    int // 8, 17; 0 where no class was read
	where   string
	desktop string // a class that draws or shows windows
	uses    string // what it names for that: "java/awt/"
	err     error  // of the first class that could not be read
}

// desktopPackages are those of Java's module java.desktop, whose native parts draw
// with GDI, which Nano Server lacks.
var desktopPackages = []string{"java/awt/", "javax/swing/", "javax/imageio/", "javax/print/", "sun/java2d/"}

// take looks at a class file, or the start of one: magic and major version (JVM
// specification, 4.1), and the names of classes in its constants.
func (l *classLevel) take(name string, class []byte) {
	if len(class) < classHeader || string(class[:4]) != "\xca\xfe\xba\xbe" {
		return
	}
	if java := int(class[6])<<8 | int(class[7]) - classVersion1; java > l.java && java < 200 {
		l.java, l.where = java, name
	}
	for _, pkg := range desktopPackages {
		if l.desktop == "" && bytes.Contains(class, []byte(pkg)) {
			l.desktop, l.uses = name, pkg
		}
	}
}

// level looks at the classes below one of the prefixes, but for those of other
// versions of a multi-release archive.
func (j *jar) level(prefixes ...string) classLevel {
	var l classLevel
	seen := 0
	for _, f := range j.files {
		if path.Ext(f.Name) != ".class" || strings.HasPrefix(f.Name, "META-INF/") || path.Base(f.Name) == "module-info.class" || seen == maxClasses {
			continue
		}
		for _, p := range prefixes {
			if !strings.HasPrefix(f.Name, p) {
				continue
			}
			seen++
			class, err := readStart(f, maxClass)
			if err != nil && l.err == nil {
				l.err = fmt.Errorf("%s in it: %w", f.Name, err)
			}
			l.take(f.Name, class)
			break
		}
	}
	return l
}
