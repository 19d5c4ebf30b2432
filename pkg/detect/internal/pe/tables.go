package pe

import "encoding/binary"

// Metadata tables that are read (ECMA-335 II.22).
const (
	tModule          = 0x00
	tTypeRef         = 0x01
	tTypeDef         = 0x02
	tField           = 0x04
	tMethodDef       = 0x06
	tMemberRef       = 0x0a
	tCustomAttribute = 0x0c
	tModuleRef       = 0x1a
	tTypeSpec        = 0x1b
	tImplMap         = 0x1c
	tAssembly        = 0x20
	tAssemblyRef     = 0x23
	tNestedClass     = 0x29
	tMethodSpec      = 0x2b
	tableCount       = 0x2d
)

// Column kinds. Below tableCount a column is an index into that table, and from
// codedFirst on a coded index.
const (
	codedFirst = 0x40
	u16        = 0x80 + iota
	u32
	str
	guid
	blob
)

const (
	typeDefOrRef = codedFirst + iota
	hasConstant
	hasCustomAttribute
	hasFieldMarshal
	hasDeclSecurity
	memberRefParent
	hasSemantics
	methodDefOrRef
	memberForwarded
	implementation
	customAttributeType
	resolutionScope
	typeOrMethodDef
)

const none = 0xff // a tag that stands for no table

// codedIndex gives the bits of the tag and, as the bytes of a string, the
// tables by tag (II.24.2.6).
func codedIndex(kind byte) (bits uint, tables string) {
	switch kind {
	case typeDefOrRef:
		return 2, "\x02\x01\x1b"
	case hasConstant:
		return 2, "\x04\x08\x17"
	case hasCustomAttribute:
		return 5, "\x06\x04\x01\x02\x08\x09\x0a\x00\x0e\x17\x14\x11\x1a\x1b\x20\x23\x26\x27\x28\x2a\x2c\x2b"
	case hasFieldMarshal:
		return 1, "\x04\x08"
	case hasDeclSecurity:
		return 2, "\x02\x06\x20"
	case memberRefParent:
		return 3, "\x02\x01\x1a\x06\x1b"
	case hasSemantics:
		return 1, "\x14\x17"
	case methodDefOrRef:
		return 1, "\x06\x0a"
	case memberForwarded:
		return 1, "\x04\x06"
	case implementation:
		return 2, "\x26\x23\x27"
	case customAttributeType:
		return 3, "\xff\xff\x06\x0a\xff"
	case resolutionScope:
		return 2, "\x00\x1a\x23\x01"
	case typeOrMethodDef:
		return 1, "\x02\x06"
	}
	return 0, ""
}

// columns is the schema of the tables (II.22).
var columns = [tableCount][]byte{
	tModule:          {u16, str, guid, guid, guid},
	tTypeRef:         {resolutionScope, str, str},
	tTypeDef:         {u32, str, str, typeDefOrRef, tField, tMethodDef},
	0x03:             {tField},
	tField:           {u16, str, blob},
	0x05:             {tMethodDef},
	tMethodDef:       {u32, u16, u16, str, blob, 0x08},
	0x07:             {0x08},
	0x08:             {u16, u16, str},
	0x09:             {tTypeDef, typeDefOrRef},
	tMemberRef:       {memberRefParent, str, blob},
	0x0b:             {u16, hasConstant, blob},
	tCustomAttribute: {hasCustomAttribute, customAttributeType, blob},
	0x0d:             {hasFieldMarshal, blob},
	0x0e:             {u16, hasDeclSecurity, blob},
	0x0f:             {u16, u32, tTypeDef},
	0x10:             {u32, tField},
	0x11:             {blob},
	0x12:             {tTypeDef, 0x14},
	0x13:             {0x14},
	0x14:             {u16, str, typeDefOrRef},
	0x15:             {tTypeDef, 0x17},
	0x16:             {0x17},
	0x17:             {u16, str, blob},
	0x18:             {u16, tMethodDef, hasSemantics},
	0x19:             {tTypeDef, methodDefOrRef, methodDefOrRef},
	tModuleRef:       {str},
	tTypeSpec:        {blob},
	tImplMap:         {u16, memberForwarded, str, tModuleRef},
	0x1d:             {u32, tField},
	0x1e:             {u32, u32},
	0x1f:             {u32},
	tAssembly:        {u32, u16, u16, u16, u16, u32, blob, str, str},
	0x21:             {u32},
	0x22:             {u32, u32, u32},
	tAssemblyRef:     {u16, u16, u16, u16, u32, blob, str, str, blob},
	0x24:             {u32, tAssemblyRef},
	0x25:             {u32, u32, u32, tAssemblyRef},
	0x26:             {u32, str, blob},
	0x27:             {u32, u32, str, str, implementation},
	0x28:             {u32, u32, str, implementation},
	tNestedClass:     {tTypeDef, tTypeDef},
	0x2a:             {u16, u16, typeOrMethodDef, str},
	tMethodSpec:      {methodDefOrRef, blob},
	0x2c:             {0x2a, typeDefOrRef},
}

// table is the place of a metadata table in the file.
type table struct {
	at   int64
	rows uint32
	size int64 // of a row
	cols [9]struct{ off, size uint8 }
}

// maxRows is the largest row number that a token can name.
const maxRows = 1<<24 - 1

// readTables lays out the tables of the #~ stream (II.24.2.6).
func (m *metadata) readTables(stream Span) error {
	head, err := m.src.at(stream.Offset, 24)
	if err != nil {
		return err
	}
	heaps := head[6]
	valid := binary.LittleEndian.Uint64(head[8:])
	m.sorted = binary.LittleEndian.Uint64(head[16:])
	at := stream.Offset + 24
	if valid>>tableCount != 0 {
		return broken(stream.Offset+8, "metadata tables 0x%x, some of which ECMA-335 does not know", valid)
	}
	for i := range m.tables {
		if valid>>i&1 == 0 {
			continue
		}
		rows, err := m.src.u32(at)
		if err != nil {
			return err
		}
		if rows > maxRows {
			return broken(at, "%d rows in metadata table 0x%x", rows, i)
		}
		m.tables[i].rows = rows
		at += 4
	}
	if heaps&0x40 != 0 { // extra data, which the Microsoft linkers of "#-" write
		at += 4
	}
	for i, kinds := range columns {
		t := &m.tables[i]
		t.at = at
		if t.rows == 0 {
			continue
		}
		for c, kind := range kinds {
			n := m.width(kind, heaps)
			t.cols[c].off, t.cols[c].size = uint8(t.size), uint8(n)
			t.size += n
		}
		at += t.size * int64(t.rows)
	}
	if end := stream.Offset + stream.Length; at > end {
		return broken(stream.Offset, "the metadata tables end at 0x%x, beyond their stream's end at 0x%x", at, end)
	}
	return nil
}

func (m *metadata) width(kind, heaps byte) int64 {
	wide := false
	switch kind {
	case u16:
		return 2
	case u32:
		return 4
	case str:
		wide = heaps&1 != 0
	case guid:
		wide = heaps&2 != 0
	case blob:
		wide = heaps&4 != 0
	default:
		bits, tables := codedIndex(kind)
		if kind < tableCount {
			wide = m.tables[kind].rows >= 1<<16
		}
		for i := range len(tables) {
			t := tables[i]
			wide = wide || t != none && m.tables[t].rows >= 1<<(16-bits)
		}
	}
	if wide {
		return 4
	}
	return 2
}

// row is one row of a table.
type row struct {
	b  []byte
	t  *table
	at int64
}

// row returns row n, from 1, of a table.
func (m *metadata) row(tab int, n uint32) (row, error) {
	t := &m.tables[tab]
	if n == 0 || n > t.rows {
		return row{}, broken(t.at, "row %d of metadata table 0x%x, which has %d", n, tab, t.rows)
	}
	at := t.at + int64(n-1)*t.size
	b, err := m.src.at(at, int(t.size))
	return row{b, t, at}, err
}

func (r row) col(i int) uint32 {
	c := r.t.cols[i]
	if c.size == 2 {
		return uint32(binary.LittleEndian.Uint16(r.b[c.off:]))
	}
	return binary.LittleEndian.Uint32(r.b[c.off:])
}

// coded splits a coded index into table and row; ok is false for an unused tag.
func coded(kind byte, v uint32) (tab int, n uint32, ok bool) {
	bits, tables := codedIndex(kind)
	tag := v & (1<<bits - 1)
	if int(tag) >= len(tables) || tables[tag] == none {
		return 0, 0, false
	}
	return int(tables[tag]), v >> bits, true
}
