package pe

import "strconv"

// Assembly is a reference to another assembly.
type Assembly struct {
	Name    string
	Version string // "4.0.0.0"
	Span           // of the name
	// Token is that of the key which the assembly has to be signed with, where Signed.
	Token  [8]byte
	Signed bool
	// Runtime says that it is metadata of the Windows Runtime, and no assembly.
	Runtime bool
	// Retargetable says that the runtime takes its own assembly of that name, whatever
	// version and key are asked for, as of a portable library.
	Retargetable bool
}

// Type is a type that the file defines or refers to.
type Type struct {
	Name string // "Namespace.Name"; a nested type is "Namespace.Outer/Inner"
	// Assembly is the assembly that a TypeRef is looked up in; empty for a
	// type of this file.
	Assembly string
	// Base is the "Namespace.Name" that a TypeDef extends; empty for a TypeRef.
	Base string
	Span // of the name without namespace
}

// Member is a method or field of another type that the file uses.
type Member struct {
	Name string // "Namespace.Type::Method"
	Span        // of the method's name
}

// PInvoke is a native function that managed code declares.
type PInvoke struct {
	Module   string // as written: "user32.dll", "user32"
	Function string
	Span     // of the function's name
}

func token(tab int, n uint32) uint32 { return uint32(tab)<<24 | n&maxRows }

// each calls f for the rows of a table, at most as many as the limit says.
func (c *CLR) each(tab int, f func(n uint32, r row) error) error {
	rows, most := c.md.tables[tab].rows, c.md.src.from.rows()
	for n := uint32(1); n <= min(rows, most); n++ {
		r, err := c.md.row(tab, n)
		if err != nil {
			return err
		}
		if err := f(n, r); err != nil {
			return err
		}
	}
	if rows > most {
		return broken(c.md.tables[tab].at, "%d rows in metadata table 0x%x, more than the %d that are read (limit rows)", rows, tab, most)
	}
	return nil
}

// AssemblyRefs returns the assemblies that the file refers to.
func (c *CLR) AssemblyRefs() ([]Assembly, error) {
	out := make([]Assembly, 0, min(c.md.tables[tAssemblyRef].rows, 64))
	var first error
	err := c.each(tAssemblyRef, func(_ uint32, r row) error {
		name, err := c.md.str(r.col(6))
		if err != nil {
			return err
		}
		a := Assembly{Name: name.Value, Version: dotted(r.col(0), r.col(1), r.col(2), r.col(3)), Span: name.Span,
			Runtime: r.col(4)&refContentType == refWindowsRuntime, Retargetable: r.col(4)&refRetargetable != 0}
		if a.Token, a.Signed, err = c.keyToken(r.col(4), r.col(5)); first == nil {
			first = err // of the others the names count all the same
		}
		out = append(out, a)
		return nil
	})
	if err == nil {
		err = first
	}
	return out, err
}

// dotted is a version.
func dotted(parts ...uint32) string {
	var buf [4*10 + 3]byte
	b := buf[:0]
	for i, n := range parts {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	return string(b)
}

// TypeRefs returns the types of other assemblies that the file uses.
func (c *CLR) TypeRefs() ([]Type, error) {
	var out []Type
	err := c.each(tTypeRef, func(n uint32, r row) error {
		name, scope, err := c.typeRef(n, 0)
		if err != nil {
			return err
		}
		s, err := c.md.str(r.col(1))
		out = append(out, Type{Name: name, Assembly: scope, Span: s.Span})
		return err
	})
	return out, err
}

// TypeDefs returns the types that the file defines.
func (c *CLR) TypeDefs() ([]Type, error) {
	var out []Type
	err := c.each(tTypeDef, func(n uint32, r row) error {
		name, err := c.typeDef(n)
		if err != nil {
			return err
		}
		s, err := c.md.str(r.col(1))
		if err != nil {
			return err
		}
		t := Type{Name: name, Span: s.Span}
		if tab, b, ok := coded(typeDefOrRef, r.col(3)); ok && b != 0 {
			t.Base, err = c.typeName(tab, b)
		}
		out = append(out, t)
		return err
	})
	return out, err
}

// MemberRefs returns the members of other types that the file uses.
func (c *CLR) MemberRefs() ([]Member, error) {
	var out []Member
	err := c.each(tMemberRef, func(n uint32, r row) error {
		name, err := c.memberName(token(tMemberRef, n))
		if err != nil {
			return err
		}
		s, err := c.md.str(r.col(1))
		out = append(out, Member{name, s.Span})
		return err
	})
	return out, err
}

// PInvokes returns the native functions that the file declares.
func (c *CLR) PInvokes() ([]PInvoke, error) {
	var out []PInvoke
	err := c.each(tImplMap, func(_ uint32, r row) error {
		name, err := c.md.str(r.col(2))
		if err != nil {
			return err
		}
		mod, err := c.md.row(tModuleRef, r.col(3))
		if err != nil {
			return err
		}
		module, err := c.md.str(mod.col(0))
		out = append(out, PInvoke{module.Value, name.Value, name.Span})
		return err
	})
	return out, err
}

func (c *CLR) typeName(tab int, n uint32) (string, error) {
	switch tab {
	case tTypeDef:
		return c.typeDef(n)
	case tTypeRef:
		name, _, err := c.typeRef(n, 0)
		return name, err
	case tTypeSpec:
		return c.typeSpec(n)
	case tModuleRef:
		r, err := c.md.row(tModuleRef, n)
		if err != nil {
			return "", err
		}
		s, err := c.md.str(r.col(0))
		return s.Value, err
	}
	return "", nil
}

// typeRef returns the name of a TypeRef and the assembly it is looked up in.
func (c *CLR) typeRef(n uint32, depth int) (name, scope string, err error) {
	r, err := c.md.row(tTypeRef, n)
	if err != nil {
		return "", "", err
	}
	if name, err = c.qualified(r.col(2), r.col(1)); err != nil {
		return "", "", err
	}
	tab, s, ok := coded(resolutionScope, r.col(0))
	switch {
	case !ok || s == 0:
	case tab == tAssemblyRef:
		a, err := c.md.row(tAssemblyRef, s)
		if err != nil {
			return "", "", err
		}
		t, err := c.md.str(a.col(6))
		return name, t.Value, err
	case tab == tTypeRef:
		if depth == maxNesting {
			return "", "", broken(r.at, "types nested deeper than %d", maxNesting)
		}
		outer, scope, err := c.typeRef(s, depth+1)
		if err == nil {
			err = c.md.charge(r.at, len(outer)+len(name))
		}
		if err != nil {
			return "", "", err
		}
		return outer + "/" + name, scope, nil
	}
	return name, "", nil
}

func (c *CLR) qualified(namespace, name uint32) (string, error) {
	t, err := c.md.str(name)
	if err != nil || namespace == 0 {
		return t.Value, err
	}
	ns, err := c.md.str(namespace)
	if ns.Value == "" {
		return t.Value, err
	}
	return ns.Value + "." + t.Value, err
}

func (c *CLR) typeDef(n uint32) (string, error) {
	if err := c.nesting(); err != nil {
		return "", err
	}
	var name string
	for depth := 0; ; depth++ {
		r, err := c.md.row(tTypeDef, n)
		if err != nil {
			return "", err
		}
		q, err := c.qualified(r.col(2), r.col(1))
		if err != nil {
			return "", err
		}
		if name == "" {
			name = q
		} else {
			name = q + "/" + name
			if err := c.md.charge(r.at, len(name)); err != nil {
				return "", err
			}
		}
		outer, ok := c.outer[n]
		if !ok {
			return name, nil
		}
		if depth == maxNesting {
			return "", broken(r.at, "types nested deeper than %d", maxNesting)
		}
		n = outer
	}
}

// nesting reads which type stands in which.
func (c *CLR) nesting() error {
	if c.nestRead {
		return nil
	}
	c.nestRead = true
	c.outer, c.inner = map[uint32]uint32{}, map[uint32][]uint32{}
	return c.each(tNestedClass, func(_ uint32, r row) error {
		c.outer[r.col(0)] = r.col(1)
		c.inner[r.col(1)] = append(c.inner[r.col(1)], r.col(0))
		return nil
	})
}

// typeSpec names the type behind a signature: of a generic instance the generic
// type, of arrays and pointers nothing (II.23.2.14).
func (c *CLR) typeSpec(n uint32) (string, error) {
	r, err := c.md.row(tTypeSpec, n)
	if err != nil {
		return "", err
	}
	b, _, err := c.md.heap(c.md.blobs, r.col(0), 16)
	if err != nil {
		return "", err
	}
	const class, valueType, genericInst = 0x12, 0x11, 0x15
	if len(b) > 0 && b[0] == genericInst {
		b = b[1:]
	}
	if len(b) < 2 || b[0] != class && b[0] != valueType {
		return "", nil
	}
	v, w := compressed(b[1:])
	tab, n, ok := coded(typeDefOrRef, v)
	if w == 0 || !ok || tab == tTypeSpec {
		return "", nil
	}
	return c.typeName(tab, n)
}

// memberName names a MemberRef, MethodDef or MethodSpec: "Namespace.Type::Method".
func (c *CLR) memberName(tok uint32) (string, error) {
	if name, ok := c.refNames[tok]; ok {
		return name, nil
	}
	name, err := c.readMemberName(tok)
	if err != nil {
		return "", err
	}
	if c.refNames == nil {
		c.refNames = map[uint32]string{}
	}
	c.refNames[tok] = name
	return name, nil
}

func (c *CLR) readMemberName(tok uint32) (string, error) {
	tab, n := int(tok>>24), tok&maxRows
	var typ, name string
	switch tab {
	case tMemberRef:
		r, err := c.md.row(tMemberRef, n)
		if err != nil {
			return "", err
		}
		s, err := c.md.str(r.col(1))
		if err != nil {
			return "", err
		}
		name = s.Value
		if tab, p, ok := coded(memberRefParent, r.col(0)); ok && p != 0 {
			if tab == tMethodDef { // a call with variable arguments
				return c.memberName(token(tMethodDef, p))
			}
			if typ, err = c.typeName(tab, p); err != nil {
				return "", err
			}
		}
	case tMethodDef:
		r, err := c.md.row(tMethodDef, n)
		if err != nil {
			return "", err
		}
		s, err := c.md.str(r.col(3))
		if err != nil {
			return "", err
		}
		owner, err := c.owner(n)
		if err != nil {
			return "", err
		}
		name = s.Value
		if owner != 0 {
			if typ, err = c.typeDef(owner); err != nil {
				return "", err
			}
		}
	case tMethodSpec:
		target, err := c.generic(n)
		if err != nil {
			return "", err
		}
		return c.memberName(target)
	default:
		return "", nil
	}
	return typ + "::" + name, nil
}

// generic returns the token of the method that a MethodSpec instantiates.
func (c *CLR) generic(n uint32) (uint32, error) {
	r, err := c.md.row(tMethodSpec, n)
	if err != nil {
		return 0, err
	}
	tab, m, _ := coded(methodDefOrRef, r.col(0))
	return token(tab, m), nil
}
