package pe

import "strings"

// COMClass is a class of COM that the metadata describes: [ComImport] with a Guid.
type COMClass struct {
	Name  string // "Namespace.Name"
	CLSID string // upper case, without braces
	Span         // of the CLSID
}

// Flags of a TypeDef (ECMA-335 II.23.1.15).
const (
	typeInterface = 0x20
	typeImport    = 0x1000
)

// COMClasses returns the classes of COM that the file describes. fromTypeLib says that it
// was made from a type library, so that it describes whether or not it uses them.
func (c *CLR) COMClasses() (classes []COMClass, fromTypeLib bool, err error) {
	imported := map[uint32]bool{}
	err = c.each(tTypeDef, func(n uint32, r row) error {
		if flags := r.col(0); flags&typeImport != 0 && flags&typeInterface == 0 {
			imported[n] = true
		}
		return nil
	})
	if err != nil || len(imported) == 0 {
		return nil, false, err
	}
	err = c.each(tCustomAttribute, func(_ uint32, r row) error {
		parent, n, ok := coded(hasCustomAttribute, r.col(0))
		class := ok && parent == tTypeDef && imported[n]
		if !class && r.col(0) != assemblyParent {
			return nil
		}
		tab, m, ok := coded(customAttributeType, r.col(1))
		if !ok || tab != tMemberRef || c.otherType(m, "GuidAttr") && c.otherType(m, "ImportedFromType") {
			return nil
		}
		name, err := c.memberName(token(tab, m))
		if err != nil {
			return err
		}
		switch {
		case !class:
			fromTypeLib = fromTypeLib || name == "System.Runtime.InteropServices.ImportedFromTypeLibAttribute::.ctor"
		case name == "System.Runtime.InteropServices.GuidAttribute::.ctor":
			id, err := c.md.attribute(r.col(2))
			if err != nil {
				return err
			}
			name, err := c.typeDef(n)
			if err != nil {
				return err
			}
			classes = append(classes, COMClass{name, strings.ToUpper(strings.Trim(id.Value, "{}")), id.Span})
		}
		return nil
	})
	return classes, fromTypeLib, err
}

// NewFrom returns the types of an assembly whose constructors the code names, each once.
func (c *CLR) NewFrom(assembly string) ([]Member, error) {
	var out []Member
	seen := map[uint32]bool{}
	err := c.EachMemberRef(func(ref uint32, name []byte, at Span) error {
		if string(name) != ".ctor" || seen[ref] {
			return nil
		}
		seen[ref] = true
		name2, scope, err := c.typeRef(ref, 0)
		if err != nil || scope != assembly {
			return err
		}
		r, err := c.md.row(tTypeRef, ref)
		if err != nil {
			return err
		}
		s, err := c.md.str(r.col(1))
		out = append(out, Member{name2, s.Span})
		return err
	})
	return out, err
}
