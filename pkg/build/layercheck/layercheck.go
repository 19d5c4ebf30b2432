// Package layercheck tells what is wrong with Windows layers and images, by the
// rules of the importers on Windows (hcsshim pkg/ociwclayer, internal/wclayer and
// internal/safefile; go-winio backuptar). It shares no code with the writer of
// layers but the decoder of descriptors.
package layercheck

import (
	"archive/tar"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/winpack/winpack/pkg/build/internal/sddl"
)

// Rule names what is wrong.
type Rule string

// Rules of layers.
const (
	Unreadable    Rule = "unreadable"     // no tar, or cut off
	Outside       Rule = "outside-files"  // not below Files/, Hives/ or UtilityVM/
	NoParent      Rule = "missing-parent" // no entry for a folder above, or only a later one
	Twice         Rule = "path-twice"
	CaseCollision Rule = "case-collision" // two names that are one on NTFS
	IllegalName   Rule = "illegal-name"
	LongName      Rule = "long-name"
	BadLink       Rule = "bad-link"
	BadWhiteout   Rule = "bad-whiteout"
	BadType       Rule = "bad-type" // device, pipe, sparse file
	NoDescriptor  Rule = "missing-descriptor"
	BadDescriptor Rule = "malformed-descriptor"
	NotReadable   Rule = "not-readable" // by Users, which containers and app pools run as
	NoAttributes  Rule = "missing-attributes"
	BadAttributes Rule = "malformed-attributes" // no number, or a folder bit that the type denies
	NoTimes       Rule = "missing-times"
	BadTimes      Rule = "malformed-times"
)

// Problem is one violation.
type Problem struct {
	Rule   Rule
	Path   string // of the entry, or the part of the image
	Detail string
}

func (p Problem) String() string { return fmt.Sprintf("%s: %s: %s", p.Path, p.Rule, p.Detail) }

type entry struct {
	name   string
	folder bool
	link   bool
}

type layer struct {
	problems []Problem
	seen     map[string]entry // by folded name
	exact    map[string]bool
	hidden   []string // whiteouts, by the name that they remove
	last     string   // the file that an alternate stream may follow
}

func (l *layer) bad(rule Rule, name, format string, args ...any) {
	l.problems = append(l.problems, Problem{rule, name, fmt.Sprintf(format, args...)})
}

// CheckLayer reads an uncompressed layer and returns what is wrong with it, nil
// when nothing is.
func CheckLayer(r io.Reader) []Problem {
	l := &layer{seen: map[string]entry{}, exact: map[string]bool{}}
	tr := tar.NewReader(r)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			l.bad(Unreadable, "layer", "%v", err)
			break
		}
		l.entry(hdr)
		if _, err := io.Copy(io.Discard, tr); err != nil {
			l.bad(Unreadable, hdr.Name, "%v", err)
			break
		}
	}
	for _, name := range l.hidden {
		if _, ok := l.seen[upcase(name)]; ok {
			l.bad(BadWhiteout, name, "removed and there in the same layer")
		}
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return l.problems
}

func (l *layer) entry(hdr *tar.Header) {
	name := strings.TrimSuffix(hdr.Name, "/")
	top, _, _ := strings.Cut(name, "/")
	inFiles := strings.HasPrefix(name, "Files/")
	inVM := strings.HasPrefix(name, "UtilityVM/Files/")
	if top != "Files" && top != "Hives" && top != "UtilityVM" {
		l.bad(Outside, hdr.Name, "only what lies below Files reaches the container")
		return
	}
	if path.Clean(name) != name {
		l.bad(IllegalName, hdr.Name, "is not in its shortest form")
		return
	}
	if base := path.Base(name); strings.HasPrefix(base, ".wh.") {
		l.whiteout(name, base, inFiles || inVM)
		return
	}
	if file, stream, ok := strings.Cut(name, ":"); ok && hdr.Typeflag == tar.TypeReg && file == l.last && stream != "" {
		return // an alternate data stream of the file before it
	}
	folder := hdr.Typeflag == tar.TypeDir
	l.name(name, folder)
	l.place(name, folder, hdr.Typeflag == tar.TypeSymlink)
	l.last = name
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink:
		l.symlink(name, hdr)
	case tar.TypeLink:
		l.hardLink(name, hdr)
		return // nothing else of its header is read
	default:
		l.bad(BadType, name, "type %q becomes an empty file", hdr.Typeflag)
	}
	if _, ok := hdr.PAXRecords["GNU.sparse.major"]; ok {
		l.bad(BadType, name, "sparse file")
	}
	l.attributes(name, hdr)
	l.times(name, hdr)
	l.descriptor(name, hdr, inFiles)
}

func (l *layer) whiteout(name, base string, inFiles bool) {
	switch {
	case !inFiles:
		l.bad(BadWhiteout, name, "a whiteout outside Files/ fails the import")
	case strings.HasPrefix(base, ".wh..wh."):
		l.bad(BadWhiteout, name, "Windows knows no opaque whiteouts")
	case base == ".wh.":
		l.bad(BadWhiteout, name, "names nothing")
	default:
		l.hidden = append(l.hidden, path.Join(path.Dir(name), strings.TrimPrefix(base, ".wh.")))
	}
}

// name checks characters and lengths of every component.
func (l *layer) name(name string, folder bool) {
	if !utf8.ValidString(name) {
		l.bad(IllegalName, name, "is not UTF-8")
		return
	}
	if n := len(utf16.Encode([]rune(name))); n > 32767 {
		l.bad(LongName, name[:64]+"...", "path of %d UTF-16 units", n)
		return
	}
	parts := strings.Split(name, "/")
	last := parts[len(parts)-1] // those above have entries of their own
	for _, c := range last {
		if c < 0x20 || strings.ContainsRune(`<>:"|?*\`, c) {
			l.bad(IllegalName, name, "character %q", c)
			return
		}
	}
	if strings.HasSuffix(last, ".") || strings.HasSuffix(last, " ") {
		l.bad(IllegalName, name, "ends with a dot or space")
	}
	stem, _, _ := strings.Cut(last, ".")
	if reserved[strings.ToUpper(strings.TrimRight(stem, " "))] {
		l.bad(IllegalName, name, "is a device")
	}
	if strings.HasSuffix(strings.ToLower(last), ".$wcidirs$") {
		l.bad(IllegalName, name, "an import uses this name itself")
	}
	limit := 255
	if folder {
		limit = 245
	}
	if n := len(utf16.Encode([]rune(last))); n > limit {
		l.bad(LongName, name, "%d UTF-16 units, %d are possible", n, limit)
	}
}

var reserved = func() map[string]bool {
	m := map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true}
	for _, d := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"} {
		m["COM"+d], m["LPT"+d] = true, true
	}
	return m
}()

// place checks the entry against those before it.
func (l *layer) place(name string, folder, link bool) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		parent, ok := l.seen[upcase(name[:i])]
		switch {
		case !ok:
			l.bad(NoParent, name, "no entry for %q before it", name[:i])
		case parent.link:
			l.bad(BadLink, name, "lies behind the link %q", parent.name)
		case !parent.folder:
			l.bad(NoParent, name, "%q is a file", parent.name)
		}
	}
	key := upcase(name)
	if old, ok := l.seen[key]; ok {
		if old.name == name {
			l.bad(Twice, name, "is there twice")
		} else {
			l.bad(CaseCollision, name, "is the same name as %q", old.name)
		}
		return
	}
	l.seen[key] = entry{name, folder, link}
	l.exact[name] = true
}

func upcase(name string) string {
	units := utf16.Encode([]rune(name))
	for i, u := range units {
		if up := unicode.ToUpper(rune(u)); up <= 0xffff && u != 0x131 && u != 0x17f {
			units[i] = uint16(up)
		}
	}
	return string(utf16.Decode(units))
}

func (l *layer) symlink(name string, hdr *tar.Header) {
	target := strings.ReplaceAll(hdr.Linkname, "/", `\`)
	switch {
	case target == "":
		l.bad(BadLink, name, "leads nowhere")
	case strings.HasPrefix(target, `Files\`):
		l.bad(BadLink, name, "target %q is taken as it stands, and dangles", hdr.Linkname)
	case strings.HasPrefix(target, `\`) && !strings.HasPrefix(target, `\\`):
		l.bad(BadLink, name, "target %q is neither absolute nor relative on Windows", hdr.Linkname)
	}
}

func (l *layer) hardLink(name string, hdr *tar.Header) {
	target := path.Clean(hdr.Linkname)
	switch {
	case !linkable(name) || !linkable(target):
		l.bad(BadLink, name, "hard link to %q: both ends lie below Files/", hdr.Linkname)
	case target == name:
		l.bad(BadLink, name, "hard link to itself")
	case !l.exact[target]:
		if old, ok := l.seen[upcase(target)]; ok {
			l.bad(BadLink, name, "hard link to %q is spelled otherwise than %q", hdr.Linkname, old.name)
		}
	case l.seen[upcase(target)].folder:
		l.bad(BadLink, name, "hard link to the folder %q", target)
	}
}

// linkable says whether an import makes hard links there (legacy.go, AddLink).
func linkable(name string) bool {
	return strings.HasPrefix(name, "Files/") || strings.HasPrefix(name, "UtilityVM/Files/")
}

const (
	attrDirectory = 0x10
	attrReparse   = 0x400
)

func (l *layer) attributes(name string, hdr *tar.Header) {
	text, ok := hdr.PAXRecords["MSWINDOWS.fileattr"]
	if !ok {
		l.bad(NoAttributes, name, "no MSWINDOWS.fileattr")
		return
	}
	attr, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		l.bad(BadAttributes, name, "MSWINDOWS.fileattr is %q", text)
		return
	}
	if hdr.Typeflag == tar.TypeSymlink {
		if attr&attrReparse == 0 {
			l.bad(BadAttributes, name, "a link without the reparse bit: %d", attr)
		}
	} else if (attr&attrDirectory != 0) != (hdr.Typeflag == tar.TypeDir) || attr&attrReparse != 0 {
		l.bad(BadAttributes, name, "type %q with attributes %d", hdr.Typeflag, attr)
	}
}

func (l *layer) times(name string, hdr *tar.Header) {
	creation, ok := hdr.PAXRecords["LIBARCHIVE.creationtime"]
	if !ok {
		l.bad(NoTimes, name, "no LIBARCHIVE.creationtime")
	} else if err := checkTime(creation, hdr.ModTime); err != nil {
		l.bad(BadTimes, name, "creation time %q: %v", creation, err)
	}
	if hdr.AccessTime.IsZero() || hdr.ChangeTime.IsZero() {
		l.bad(NoTimes, name, "no atime or ctime: Windows shows 1754")
	}
	for _, t := range []time.Time{hdr.ModTime, hdr.AccessTime, hdr.ChangeTime} {
		if y := t.UTC().Year(); !t.IsZero() && (y < 1678 || y > 2261) {
			l.bad(BadTimes, name, "time %v is no FILETIME", t)
			return
		}
	}
}

// checkTime reads SECONDS or SECONDS.FRACTION as go-winio's backuptar does, which
// pads the fraction on the right. A writer that prints nanoseconds without zeros on
// the left means another time; that shows where the modification time is the same.
func checkTime(text string, mtime time.Time) error {
	seconds, fraction, dotted := strings.Cut(text, ".")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return errors.New("no number of seconds")
	}
	if !dotted || fraction == "" {
		return nil
	}
	if strings.Trim(fraction, "0123456789") != "" {
		return errors.New("no number behind the dot")
	}
	printed, err := strconv.ParseInt(fraction, 10, 64)
	if len(fraction) < 9 && err == nil && at == mtime.Unix() && printed > 0 && printed == int64(mtime.Nanosecond()) {
		return errors.New("the fraction is not padded to nine digits and means another time")
	}
	return nil
}

func (l *layer) descriptor(name string, hdr *tar.Header, inFiles bool) {
	text, ok := hdr.PAXRecords["MSWINDOWS.rawsd"]
	if !ok {
		if old, ok := hdr.PAXRecords["MSWINDOWS.sd"]; ok {
			if _, err := sddl.Parse(old); err != nil {
				l.bad(BadDescriptor, name, "%v", err)
			}
			return
		}
		if inFiles {
			l.bad(NoDescriptor, name, "no MSWINDOWS.rawsd")
		}
		return
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		l.bad(BadDescriptor, name, "MSWINDOWS.rawsd: %v", err)
		return
	}
	d, err := sddl.Decode(raw)
	switch {
	case err != nil:
		l.bad(BadDescriptor, name, "MSWINDOWS.rawsd: %v", err)
	case d.Owner.IsZero():
		l.bad(BadDescriptor, name, "MSWINDOWS.rawsd has no owner: %s", d)
	case d.DACL == nil:
		l.bad(BadDescriptor, name, "MSWINDOWS.rawsd has no access list: %s", d)
	case !readable(d):
		l.bad(NotReadable, name, "MSWINDOWS.rawsd lets neither Users nor Everyone read: %s", d)
	}
}

// readable says whether every account of a container may read. ContainerUser and
// the identities of app pools are in Users (S-1-5-32-545), and in Everyone and
// Authenticated Users as all are. Masks: [MS-DTYP] 2.4.3, FILE_GENERIC_READ.
func readable(d sddl.Descriptor) bool {
	const genericRead, genericAll, inheritOnly = 0x80000000, 0x10000000, 0x08
	for _, ace := range d.DACL {
		if ace.Deny || ace.Flags&inheritOnly != 0 {
			continue
		}
		switch ace.SID {
		case "S-1-5-32-545", "S-1-1-0", "S-1-5-11":
			if ace.Mask&(genericRead|genericAll) != 0 || ace.Mask&0x120089 == 0x120089 {
				return true
			}
		}
	}
	return false
}
