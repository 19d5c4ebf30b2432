package pe

import (
	"crypto/sha1"
	"encoding/hex"
)

// Flags of a row of the table AssemblyRef (ECMA-335 II.23.1.2; the content type is of
// corassemblyref.h, since .NET Framework 4.5).
const (
	refFullKey        = 0x0001
	refContentType    = 0x0e00
	refWindowsRuntime = 0x0200
	refRetargetable   = 0x0100
)

// maxKey bounds a public key, in bytes. A key of 16,384 bits has 2,068.
const maxKey = 4096

// PublicKeyToken is the token of the key that the assembly is signed with, in lower
// case, as configuration files have it; empty where the reference names none.
func (a Assembly) PublicKeyToken() string {
	if !a.Signed {
		return ""
	}
	return hex.EncodeToString(a.Token[:])
}

// keyToken reads the column PublicKeyOrToken: a token of eight bytes, or a key, whose
// token are the last eight bytes of its SHA-1, the last first (ECMA-335 II.6.3).
func (c *CLR) keyToken(flags, blob uint32) (token [8]byte, signed bool, err error) {
	if blob == 0 {
		return token, false, nil
	}
	b, s, err := c.md.heap(c.md.blobs, blob, maxKey)
	switch {
	case err != nil || s.Length == 0:
		return token, false, err
	case flags&refFullKey != 0 && s.Length > maxKey:
		return token, false, broken(s.Offset, "a public key of %d bytes", s.Length)
	case flags&refFullKey != 0:
		sum := sha1.Sum(b)
		for i := range token {
			token[i] = sum[len(sum)-1-i]
		}
		return token, true, nil
	case s.Length != int64(len(token)):
		return token, false, broken(s.Offset, "a public key token of %d bytes", s.Length)
	}
	return [8]byte(b), true, nil
}

// NativeModules returns the native libraries of which managed code declares
// functions, in the order of the first function of each, with the functions. The
// place of a library is that of its name.
func (c *CLR) NativeModules() ([]Import, error) {
	if c.md.tables[tImplMap].rows == 0 {
		return nil, nil
	}
	var out []Import
	index := map[uint32]int{} // by row of the table ModuleRef
	left := maxFunctions
	err := c.each(tImplMap, func(_ uint32, r row) error {
		i, ok := index[r.col(3)]
		if !ok {
			if len(out) == maxImports {
				return broken(r.at, "functions of more than %d native libraries", maxImports)
			}
			mod, err := c.md.row(tModuleRef, r.col(3))
			if err != nil {
				return err
			}
			name, err := c.md.str(mod.col(0))
			if err != nil {
				return err
			}
			i = len(out)
			index[r.col(3)] = i
			out = append(out, Import{DLL: name.Value, Span: name.Span})
		}
		if left--; left < 0 {
			return broken(r.at, "more than %d native functions", maxFunctions)
		}
		name, err := c.md.str(r.col(2))
		if err != nil {
			return err
		}
		out[i].Functions = append(out[i].Functions, Function{name.Value, name.Span})
		return nil
	})
	return out, err
}

// UsesMember says whether the file refers to a member of another type by one of the
// names, without its type. It makes no strings.
func (c *CLR) UsesMember(names ...string) bool {
	longest := 0
	for _, n := range names {
		longest = max(longest, len(n))
	}
	rows := min(c.md.tables[tMemberRef].rows, c.md.src.from.rows())
	for n := uint32(1); n <= rows; n++ {
		r, err := c.md.row(tMemberRef, n)
		if err != nil {
			return false
		}
		b, err := c.md.src.upTo(c.md.strings.Offset+int64(r.col(1)), longest+1)
		if err != nil {
			return false
		}
		for _, name := range names {
			if len(b) > len(name) && b[len(name)] == 0 && string(b[:len(name)]) == name {
				return true
			}
		}
	}
	return false
}
