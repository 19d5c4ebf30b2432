package pe

// readIdentity reads the assembly's name and the attributes that say what it
// was compiled for.
func (c *CLR) readIdentity() error {
	if c.md.tables[tAssembly].rows == 0 {
		return nil
	}
	r, err := c.md.row(tAssembly, 1)
	if err != nil {
		return err
	}
	c.Version = dotted(r.col(1), r.col(2), r.col(3), r.col(4))
	if c.Name, err = c.md.str(r.col(7)); err != nil {
		return err
	}
	// The table is sorted by what the attributes are of (ECMA-335 II.22.10), which
	// the header says too; where it does not, all of it is looked at.
	rows, first := c.md.tables[tCustomAttribute].rows, uint32(0)
	sorted := c.md.sorted>>tCustomAttribute&1 != 0
	if sorted {
		if first, err = c.md.search(tCustomAttribute, assemblyParent); err != nil {
			return err
		}
	}
	for i := first; i < rows; i++ {
		r, err := c.md.row(tCustomAttribute, i+1)
		if err != nil {
			return err
		}
		if r.col(0) != assemblyParent {
			if sorted {
				break
			}
			continue
		}
		tab, n, ok := coded(customAttributeType, r.col(1))
		if !ok || tab != tMemberRef || c.otherType(n, "Target") && c.otherType(n, "DebuggableAttr") {
			continue
		}
		name, err := c.readMemberName(token(tab, n)) // asked for once: no use in keeping it
		if err != nil {
			return err
		}
		switch name {
		case "System.Runtime.Versioning.TargetFrameworkAttribute::.ctor":
			c.TargetFramework, err = c.md.attribute(r.col(2))
		case "System.Runtime.Versioning.TargetPlatformAttribute::.ctor":
			c.TargetPlatform, err = c.md.attribute(r.col(2))
		case "System.Diagnostics.DebuggableAttribute::.ctor":
			c.Debug, err = c.md.debuggable(r.col(2))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// debuggable is the place of a DebuggableAttribute that turns optimizations off: of its
// two forms, the flags of DebuggingModes (0x100) and two booleans of .NET 1.
func (m *metadata) debuggable(i uint32) (Span, error) {
	b, s, err := m.heap(m.blobs, i, 16)
	if err != nil || len(b) < 6 || b[0] != 1 || b[1] != 0 {
		return Span{}, err
	}
	if len(b) == 6 && b[3] != 0 || len(b) >= 8 && b[3]&1 != 0 {
		return s, nil
	}
	return Span{}, nil
}

// otherType says that a MemberRef is of a type whose name starts otherwise, which
// spares putting most names together.
func (c *CLR) otherType(member uint32, start string) bool {
	r, err := c.md.row(tMemberRef, member)
	if err != nil {
		return false
	}
	tab, n, ok := coded(memberRefParent, r.col(0))
	if !ok || tab != tTypeRef {
		return false
	}
	if r, err = c.md.row(tTypeRef, n); err != nil {
		return false
	}
	b, err := c.md.src.upTo(c.md.strings.Offset+int64(r.col(1)), len(start))
	return err == nil && string(b) != start
}

// assemblyParent is the coded index of the assembly as the parent of a custom
// attribute: row 1, tag 14 of five bits (ECMA-335 II.24.2.6).
const assemblyParent = 1<<5 | 14
