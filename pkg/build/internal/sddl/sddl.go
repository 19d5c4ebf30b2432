// Package sddl converts Windows security descriptors between the text form (SDDL)
// and the binary self-relative form that layers carry.
//
// It covers what a file's descriptor in a layer needs: owner, group and a
// discretionary list of allow and deny entries. Layouts: [MS-DTYP] 2.4.2 (SID),
// 2.4.4 (ACE), 2.4.5 (ACL), 2.4.6 (SECURITY_DESCRIPTOR), 2.5.1 (SDDL).
package sddl

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Descriptor is a security descriptor of a file or folder.
type Descriptor struct {
	Owner, Group SID // the zero SID where there is none
	// Protected, AutoInherited and AutoInheritReq are the flags P, AI and AR.
	Protected, AutoInherited, AutoInheritReq bool
	// DACL is nil where the descriptor has none (everybody may do everything).
	DACL []ACE
}

// ACE is one entry of the list.
type ACE struct {
	Deny  bool
	Flags byte // ObjectInherit and so on
	Mask  uint32
	SID   SID
}

// Flags of an ACE, [MS-DTYP] 2.4.4.1.
const (
	ObjectInherit    = 0x01
	ContainerInherit = 0x02
	NoPropagate      = 0x04
	InheritOnly      = 0x08
	Inherited        = 0x10
)

// Control bits, [MS-DTYP] 2.4.6.
const (
	daclPresent    = 0x0004
	daclReq        = 0x0100
	daclInherited  = 0x0400
	daclProtected  = 0x1000
	selfRelative   = 0x8000
	headerSize     = 20
	knownControls  = daclPresent | daclReq | daclInherited | daclProtected | selfRelative | defaultedBits | saclBits
	defaultedBits  = 0x0001 | 0x0002 | 0x0008
	saclBits       = 0x0010 | 0x0020 | 0x0200 | 0x0800 | 0x2000
	maxSubAuthors  = 15
	revisionACL    = 2
	revisionACLObj = 4
)

var aceFlags = []struct {
	name string
	bit  byte
}{{"OI", ObjectInherit}, {"CI", ContainerInherit}, {"NP", NoPropagate}, {"IO", InheritOnly}, {"ID", Inherited}}

// The rights that stand for whole masks come first, so that they are preferred
// when a mask is written.
var rights = []struct {
	name string
	mask uint32
}{
	{"FA", 0x1f01ff}, {"FR", 0x120089}, {"FW", 0x120116}, {"FX", 0x1200a0},
	{"GA", 0x10000000}, {"GX", 0x20000000}, {"GW", 0x40000000}, {"GR", 0x80000000},
	{"RC", 0x20000}, {"SD", 0x10000}, {"WD", 0x40000}, {"WO", 0x80000},
	{"CC", 0x1}, {"DC", 0x2}, {"LC", 0x4}, {"SW", 0x8}, {"RP", 0x10}, {"WP", 0x20}, {"DT", 0x40}, {"LO", 0x80}, {"CR", 0x100},
}

// Parse reads SDDL: O:, G: and D:, in this order, each at most once.
func Parse(text string) (Descriptor, error) {
	var d Descriptor
	rest := text
	for _, part := range []struct {
		prefix string
		to     *SID
	}{{"O:", &d.Owner}, {"G:", &d.Group}} {
		after, ok := strings.CutPrefix(rest, part.prefix)
		if !ok {
			continue
		}
		end := len(after)
		for _, next := range []string{"G:", "D:"} {
			if i := strings.Index(after, next); i >= 0 && i < end {
				end = i
			}
		}
		sid, err := ParseSID(after[:end])
		if err != nil {
			return Descriptor{}, fmt.Errorf("parsing descriptor %q: %w", text, err)
		}
		*part.to, rest = sid, after[end:]
	}
	if rest == "" {
		return d, nil
	}
	list, ok := strings.CutPrefix(rest, "D:")
	if !ok {
		return Descriptor{}, fmt.Errorf("parsing descriptor %q: unexpected %q", text, rest)
	}
	for list != "" && list[0] != '(' {
		switch {
		case strings.HasPrefix(list, "P") && !d.Protected:
			d.Protected, list = true, list[1:]
		case strings.HasPrefix(list, "AI") && !d.AutoInherited:
			d.AutoInherited, list = true, list[2:]
		case strings.HasPrefix(list, "AR") && !d.AutoInheritReq:
			d.AutoInheritReq, list = true, list[2:]
		default:
			return Descriptor{}, fmt.Errorf("parsing descriptor %q: unexpected %q", text, list)
		}
	}
	d.DACL = []ACE{}
	for list != "" {
		one, after, ok := strings.Cut(list, ")")
		if !ok || one[0] != '(' {
			return Descriptor{}, fmt.Errorf("parsing descriptor %q: unexpected %q", text, list)
		}
		ace, err := ParseACE(one + ")")
		if err != nil {
			return Descriptor{}, fmt.Errorf("parsing descriptor %q: %w", text, err)
		}
		d.DACL, list = append(d.DACL, ace), after
	}
	return d, nil
}

// ParseACE reads one entry, "(A;OICI;FA;;;BA)".
func ParseACE(text string) (ACE, error) {
	inner, ok := strings.CutPrefix(text, "(")
	inner, ok2 := strings.CutSuffix(inner, ")")
	fields := strings.Split(inner, ";")
	if !ok || !ok2 || len(fields) != 6 {
		return ACE{}, fmt.Errorf("entry %q does not have six fields in brackets", text)
	}
	var a ACE
	switch fields[0] {
	case "A":
	case "D":
		a.Deny = true
	default:
		return ACE{}, fmt.Errorf("entry %q is neither A nor D", text)
	}
	for flags := fields[1]; flags != ""; {
		i := slices.IndexFunc(aceFlags, func(f struct {
			name string
			bit  byte
		}) bool {
			return strings.HasPrefix(flags, f.name)
		})
		if i < 0 || a.Flags&aceFlags[i].bit != 0 {
			return ACE{}, fmt.Errorf("entry %q: flag %q", text, flags)
		}
		a.Flags |= aceFlags[i].bit
		flags = flags[2:]
	}
	if fields[3] != "" || fields[4] != "" {
		return ACE{}, fmt.Errorf("entry %q names object types, which files do not have", text)
	}
	var err error
	if a.Mask, err = parseMask(fields[2]); err != nil {
		return ACE{}, fmt.Errorf("entry %q: %w", text, err)
	}
	if a.SID, err = ParseSID(fields[5]); err != nil {
		return ACE{}, fmt.Errorf("entry %q: %w", text, err)
	}
	return a, nil
}

func parseMask(text string) (uint32, error) {
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		v, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			return 0, fmt.Errorf("rights %q are no 32-bit number", text)
		}
		return uint32(v), nil
	}
	var mask uint32
	for rest := text; rest != ""; {
		found := false
		for _, r := range rights {
			if strings.HasPrefix(rest, r.name) {
				mask, rest, found = mask|r.mask, rest[2:], true
				break
			}
		}
		if !found {
			return 0, fmt.Errorf("rights %q: unknown at %q", text, rest)
		}
	}
	return mask, nil
}

// String writes the descriptor as SDDL, which Parse reads back to the same.
func (d Descriptor) String() string {
	var b strings.Builder
	if !d.Owner.IsZero() {
		b.WriteString("O:" + d.Owner.Alias())
	}
	if !d.Group.IsZero() {
		b.WriteString("G:" + d.Group.Alias())
	}
	if d.DACL == nil {
		return b.String()
	}
	b.WriteString("D:")
	for _, f := range []struct {
		set  bool
		name string
	}{{d.Protected, "P"}, {d.AutoInheritReq, "AR"}, {d.AutoInherited, "AI"}} {
		if f.set {
			b.WriteString(f.name)
		}
	}
	for _, a := range d.DACL {
		b.WriteString(a.String())
	}
	return b.String()
}

// String writes the entry as SDDL.
func (a ACE) String() string {
	kind, flags, mask := "A", "", ""
	if a.Deny {
		kind = "D"
	}
	for _, f := range aceFlags {
		if a.Flags&f.bit != 0 {
			flags += f.name
		}
	}
	for _, r := range rights {
		if a.Mask == r.mask {
			mask = r.name
		}
	}
	if mask == "" {
		mask = fmt.Sprintf("0x%x", a.Mask)
	}
	return fmt.Sprintf("(%s;%s;%s;;;%s)", kind, flags, mask, a.SID.Alias())
}

// Allow puts an entry behind the last explicit one: entries that are inherited
// stay behind those that are not, the order that Windows keeps.
func (d Descriptor) Allow(a ACE) Descriptor {
	at := slices.IndexFunc(d.DACL, func(x ACE) bool { return x.Flags&Inherited != 0 })
	if at < 0 {
		at = len(d.DACL)
	}
	d.DACL = slices.Insert(slices.Clone(d.DACL), at, a)
	return d
}

// Binary returns the self-relative form: header, owner, group, list.
func (d Descriptor) Binary() []byte {
	control := uint16(selfRelative)
	for _, f := range []struct {
		set bool
		bit uint16
	}{{d.DACL != nil, daclPresent}, {d.Protected, daclProtected}, {d.AutoInherited, daclInherited}, {d.AutoInheritReq, daclReq}} {
		if f.set {
			control |= f.bit
		}
	}
	b := make([]byte, headerSize, 256)
	b[0] = 1
	binary.LittleEndian.PutUint16(b[2:], control)
	put := func(at int, body []byte) {
		if len(body) == 0 {
			return
		}
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)))
		b = append(b, body...)
	}
	put(4, d.Owner.binary())
	put(8, d.Group.binary())
	if d.DACL != nil {
		put(16, marshalACL(d.DACL))
	}
	return b
}

func marshalACL(list []ACE) []byte {
	b := []byte{revisionACL, 0, 0, 0, byte(len(list)), byte(len(list) >> 8), 0, 0}
	for _, a := range list {
		sid := a.SID.binary()
		kind := byte(0)
		if a.Deny {
			kind = 1
		}
		size := uint16(8 + len(sid))
		b = append(b, kind, a.Flags, byte(size), byte(size>>8))
		b = binary.LittleEndian.AppendUint32(b, a.Mask)
		b = append(b, sid...)
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}
