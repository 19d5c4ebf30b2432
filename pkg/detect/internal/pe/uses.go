package pe

// EachTypeRef calls f for the types of other assemblies that the file uses, nested
// ones left out. The names are bytes of the file: f must not keep or change them.
// n is the row by which EachMemberRef names the type.
func (c *CLR) EachTypeRef(f func(n uint32, namespace, name []byte, at Span) error) error {
	return c.each(tTypeRef, func(n uint32, r row) error {
		if r.col(2) == 0 {
			return nil
		}
		space, name, at, err := c.names(r)
		if err != nil {
			return err
		}
		return f(n, space, name, at)
	})
}

// EachTypeDef is EachTypeRef for the types that the file defines, nested ones left out.
func (c *CLR) EachTypeDef(f func(namespace, name []byte, at Span) error) error {
	return c.each(tTypeDef, func(_ uint32, r row) error {
		if r.col(2) == 0 {
			return nil
		}
		space, name, at, err := c.names(r)
		if err != nil {
			return err
		}
		return f(space, name, at)
	})
}

// names are those of a TypeRef or TypeDef, which have them in the same columns.
func (c *CLR) names(r row) (namespace, name []byte, at Span, err error) {
	// The two may lie in one page: what is read first stays valid.
	if namespace, _, err = c.ident(r.col(2)); err == nil {
		name, at, err = c.ident(r.col(1))
	}
	return namespace, name, at, err
}

// EachMemberRef calls f for the members that the file uses of types in the table of
// TypeRefs, by the row of the type.
func (c *CLR) EachMemberRef(f func(typeRef uint32, name []byte, at Span) error) error {
	return c.each(tMemberRef, func(_ uint32, r row) error {
		tab, n, ok := coded(memberRefParent, r.col(0))
		if !ok || tab != tTypeRef {
			return nil
		}
		name, at, err := c.ident(r.col(1))
		if err != nil {
			return err
		}
		return f(n, name, at)
	})
}

// ident is a string of the #Strings heap without a copy.
func (c *CLR) ident(i uint32) ([]byte, Span, error) {
	m := &c.md
	if int64(i) >= m.strings.Length {
		return nil, Span{}, broken(m.strings.Offset, "string %d of a heap of %d bytes", i, m.strings.Length)
	}
	at := m.strings.Offset + int64(i)
	b, err := m.src.cbytes(at, maxIdent)
	return b, Span{at, int64(len(b))}, err
}

// UserStrings calls f for the strings of the code (the #US heap) that lie in its first
// limit bytes, as UTF-16LE, which f must not keep or change. more says that the heap
// is larger.
func (c *CLR) UserStrings(limit int64, f func(text []byte, at Span)) (more bool, err error) {
	us := c.md.us
	size := min(us.Length, limit)
	if size < 2 {
		return false, nil
	}
	b, err := c.md.src.at(us.Offset, int(size))
	if err != nil {
		return false, err
	}
	for i := int64(1); i < size; {
		n, w := compressed(b[i:])
		if w == 0 { // cut off by the limit, or the padding of the heap
			break
		}
		start := i + int64(w)
		if start+int64(n) > size {
			if us.Length > size {
				break // by the limit
			}
			return false, broken(us.Offset+i, "a string of %d bytes runs over the end of its heap", n)
		}
		if n > 1 { // the last byte says whether there is more than ASCII
			f(b[start:start+int64(n)-1], Span{us.Offset + start, int64(n) - 1})
		}
		i = start + int64(n)
	}
	return us.Length > size, nil
}
