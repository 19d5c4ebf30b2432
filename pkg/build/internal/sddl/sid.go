package sddl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// SID is a security identifier in its text form, "S-1-5-32-544".
type SID string

// aliases are the two-letter names of [MS-DTYP] 2.5.1.1 that files use.
var aliases = []struct {
	name string
	sid  SID
}{
	{"WD", "S-1-1-0"},      // Everyone
	{"CO", "S-1-3-0"},      // CREATOR OWNER
	{"CG", "S-1-3-1"},      // CREATOR GROUP
	{"OW", "S-1-3-4"},      // OWNER RIGHTS
	{"NU", "S-1-5-2"},      // NETWORK
	{"IU", "S-1-5-4"},      // INTERACTIVE
	{"SU", "S-1-5-6"},      // SERVICE
	{"AN", "S-1-5-7"},      // ANONYMOUS LOGON
	{"AU", "S-1-5-11"},     // Authenticated Users
	{"SY", "S-1-5-18"},     // SYSTEM
	{"LS", "S-1-5-19"},     // LOCAL SERVICE
	{"NS", "S-1-5-20"},     // NETWORK SERVICE
	{"BA", "S-1-5-32-544"}, // Administrators
	{"BU", "S-1-5-32-545"}, // Users
	{"BG", "S-1-5-32-546"}, // Guests
	{"PU", "S-1-5-32-547"}, // Power Users
	{"IS", "S-1-5-32-568"}, // IIS_IUSRS
	{"AC", "S-1-15-2-1"},   // ALL APPLICATION PACKAGES
}

// ParseSID reads an alias or S-1-AUTHORITY-SUB... with decimal numbers.
func ParseSID(text string) (SID, error) {
	for _, a := range aliases {
		if a.name == text {
			return a.sid, nil
		}
	}
	rest, ok := strings.CutPrefix(text, "S-1-")
	if !ok {
		return "", fmt.Errorf("%q is no security identifier", text)
	}
	parts := strings.Split(rest, "-")
	if len(parts) > 1+maxSubAuthors {
		return "", fmt.Errorf("%q has more than %d sub-authorities", text, maxSubAuthors)
	}
	canonical := "S-1"
	for i, p := range parts {
		bits := 32
		if i == 0 {
			bits = 48
		}
		v, err := strconv.ParseUint(p, 10, bits)
		if err != nil {
			return "", fmt.Errorf("%q is no security identifier", text)
		}
		canonical += "-" + strconv.FormatUint(v, 10)
	}
	return SID(canonical), nil
}

// IsZero is true of the SID that is not there.
func (s SID) IsZero() bool { return s == "" }

// Alias is the two-letter name, or the SID itself where it has none.
func (s SID) Alias() string {
	for _, a := range aliases {
		if a.sid == s {
			return a.name
		}
	}
	return string(s)
}

// binary returns the wire form of a SID that came from ParseSID or Decode.
func (s SID) binary() []byte {
	if s == "" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(string(s), "S-1-"), "-")
	authority, _ := strconv.ParseUint(parts[0], 10, 48)
	b := binary.BigEndian.AppendUint64(nil, authority)
	b[0], b[1] = 1, byte(len(parts)-1)
	for _, p := range parts[1:] {
		v, _ := strconv.ParseUint(p, 10, 32)
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// decodeSID reads a SID at the start of b and tells its length.
func decodeSID(b []byte) (SID, int, error) {
	if len(b) < 8 {
		return "", 0, errors.New("security identifier is cut off")
	}
	n := int(b[1])
	if b[0] != 1 || n > maxSubAuthors {
		return "", 0, fmt.Errorf("security identifier of revision %d with %d sub-authorities", b[0], n)
	}
	size := 8 + 4*n
	if len(b) < size {
		return "", 0, errors.New("security identifier is cut off")
	}
	var authority [8]byte
	copy(authority[2:], b[2:8])
	text := "S-1-" + strconv.FormatUint(binary.BigEndian.Uint64(authority[:]), 10)
	for i := 8; i < size; i += 4 {
		text += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[i:])), 10)
	}
	return SID(text), size, nil
}
