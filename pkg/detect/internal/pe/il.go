package pe

import (
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"unicode/utf16"
)

// Call is a call instruction in a method of this file.
type Call struct {
	Member string // what is called: "Namespace.Type::Method"
	Caller string // where: "Namespace.Type::Method"
	// Literal is the string that the instruction before the call loads, as in
	// ServiceName = "Spooler"; Loaded says whether there is one.
	Literal string
	Loaded  bool
	// Earlier is the string that the instruction before that one loads, as of a call with
	// two arguments; empty where there is none.
	Earlier string
	// Number is the constant that the instruction before the call loads; HasNumber
	// says whether there is one.
	Number    int32
	HasNumber bool
	Span      // of the call instruction
}

const (
	maxCode    = 1 << 20  // bytes of one method
	maxAllCode = 16 << 20 // bytes of all methods that one question reads
	maxReached = 4096     // methods that CallsFrom follows
	maxCalls   = 1 << 16
	maxLiteral = 8 << 10
)

// instruction is what of a method body matters here.
type instruction struct {
	op    uint16 // 0xfe06 for a two-byte opcode
	arg   uint32 // a token, of ldstr a user string; else the operand, its sign extended
	cases []byte // of a switch: where it leads
	span  Span
}

const (
	opNop     = 0x00
	opJmp     = 0x27
	opCall    = 0x28
	opCallvrt = 0x6f
	opLdstr   = 0x72
	opNewobj  = 0x73
	opLdftn   = 0xfe06
	opLdvftn  = 0xfe07
	opSwitch  = 0x45
)

// operand returns the bytes that follow an opcode (III.1.9); -1 for an opcode
// that does not exist.
func operand(op uint16) int {
	switch {
	case op <= 0x0d, op == 0x14, op >= 0x15 && op <= 0x1e, op == 0x25, op == 0x26, op == 0x2a,
		op >= 0x46 && op <= 0x6e, op == 0x76, op == 0x7a, op >= 0x82 && op <= 0x8b, op == 0x8e,
		op >= 0x90 && op <= 0xa2, op >= 0xb3 && op <= 0xba, op == 0xc3, op >= 0xd1 && op <= 0xdc,
		op == 0xdf, op == 0xe0:
		return 0
	case op >= 0x0e && op <= 0x13, op == 0x1f, op >= 0x2b && op <= 0x37, op == 0xde:
		return 1
	case op == 0x21, op == 0x23:
		return 8
	case op == 0x20, op == 0x22, op >= 0x27 && op <= 0x29, op >= 0x38 && op <= 0x45, op >= 0x6f && op <= 0x75,
		op == 0x79, op >= 0x7b && op <= 0x81, op == 0x8c, op == 0x8d, op == 0x8f, op >= 0xa3 && op <= 0xa5,
		op == 0xc2, op == 0xc6, op == 0xd0, op == 0xdd:
		return 4
	case op >= 0xfe00 && op <= 0xfe05, op == 0xfe0f, op == 0xfe11, op == 0xfe13, op == 0xfe14,
		op == 0xfe17, op == 0xfe18, op == 0xfe1a, op == 0xfe1d, op == 0xfe1e:
		return 0
	case op == 0xfe12, op == 0xfe19:
		return 1
	case op >= 0xfe09 && op <= 0xfe0e:
		return 2
	case op == opLdftn, op == opLdvftn, op == 0xfe15, op == 0xfe16, op == 0xfe1c:
		return 4
	}
	return -1
}

// code calls f for each instruction of a method; left is what may still be read.
func (c *CLR) code(method uint32, left *int64, f func(instruction)) error {
	r, err := c.md.row(tMethodDef, method)
	if err != nil {
		return err
	}
	rva := r.col(0)
	if rva == 0 { // abstract, extern
		return nil
	}
	at, err := c.file.rva(rva, r.at, "the code of a method")
	if err != nil {
		return err
	}
	from := at
	head, err := c.md.src.upTo(at, 12)
	if err != nil {
		return err
	}
	var size int64
	switch {
	case len(head) >= 1 && head[0]&3 == 2:
		size, at = int64(head[0]>>2), at+1
	case len(head) == 12 && head[0]&3 == 3:
		size, at = int64(binary.LittleEndian.Uint32(head[4:])), at+int64(head[1]>>4)*4
	default:
		return broken(at, "no method header, though the method is said to start here")
	}
	if size > maxCode || size > *left {
		return broken(at, "%d bytes of code, more than are read", size)
	}
	*left -= size
	c.Code.reach(from, at+size-from)
	b, err := c.md.src.at(at, int(size))
	if err != nil {
		return err
	}
	for i := 0; i < len(b); {
		start, op := i, uint16(b[i])
		i++
		if op == 0xfe && i < len(b) {
			op = 0xfe00 | uint16(b[i])
			i++
		}
		n := operand(op)
		if n < 0 {
			return broken(at+int64(start), "0x%x is no instruction", op)
		}
		if n > len(b)-i {
			return broken(at+int64(start), "the last instruction of a method is cut off")
		}
		in := instruction{op: op, span: Span{at + int64(start), int64(i + n - start)}}
		switch n {
		case 1:
			in.arg = uint32(int8(b[i]))
		case 2:
			in.arg = uint32(binary.LittleEndian.Uint16(b[i:]))
		case 4:
			in.arg = binary.LittleEndian.Uint32(b[i:])
		}
		i += n
		if op == opSwitch {
			if int64(in.arg) > int64(len(b)-i)/4 {
				return broken(at+int64(start), "a switch runs over the end of its method")
			}
			in.cases = b[i : i+4*int(in.arg)]
			i += 4 * int(in.arg)
		}
		f(in)
	}
	return nil
}

// calls collects the calls in a method that want accepts.
func (c *CLR) calls(method uint32, left *int64, want func(tok uint32) bool, out *[]Call, refs func(tok uint32)) error {
	var prev, earlier instruction
	var bad error
	err := c.code(method, left, func(in instruction) {
		switch in.op {
		case opCall, opCallvrt, opNewobj, opJmp:
			if refs != nil {
				refs(in.arg)
			}
			if len(*out) < maxCalls && want(in.arg) {
				call, err := c.call(method, in, prev, earlier)
				if err != nil && bad == nil {
					bad = err
				}
				*out = append(*out, call)
			}
		case opLdftn, opLdvftn:
			if refs != nil {
				refs(in.arg)
			}
		}
		if in.op != opNop {
			prev, earlier = in, prev
		}
	})
	if err == nil {
		err = bad
	}
	return err
}

func (c *CLR) call(method uint32, in, prev, earlier instruction) (Call, error) {
	call := Call{Span: in.span}
	var err error
	if call.Member, err = c.memberName(in.arg); err != nil {
		return call, err
	}
	if call.Caller, err = c.memberName(token(tMethodDef, method)); err != nil {
		return call, err
	}
	switch { // ldc.i4.m1 to ldc.i4.8, ldc.i4.s, ldc.i4 (III.3.40)
	case prev.op >= 0x15 && prev.op <= 0x1e:
		call.Number, call.HasNumber = int32(prev.op)-0x16, true
	case prev.op == 0x1f, prev.op == 0x20:
		call.Number, call.HasNumber = int32(prev.arg), true
	}
	if call.Literal, call.Loaded, err = c.literal(prev); err != nil {
		return call, err
	}
	call.Earlier, _, err = c.literal(earlier)
	return call, err
}

// literal is the string that an instruction loads; ok is false where it loads none.
func (c *CLR) literal(in instruction) (text string, ok bool, err error) {
	if in.op != opLdstr || in.arg>>24 != 0x70 {
		return "", false, nil
	}
	b, s, err := c.md.heap(c.md.us, in.arg&maxRows, maxLiteral)
	if err != nil || s.Length > maxLiteral {
		return "", false, err
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), true, nil
}

// CallsTo returns the calls of the named members ("Namespace.Type::Method") in
// all methods of the file, in the order of the methods. It reads no code where
// no such member is referred to. The error is the first of methods that could
// not be read; the others are read all the same.
func (c *CLR) CallsTo(members ...string) ([]Call, error) {
	want := map[uint32]bool{}
	err := c.each(tMemberRef, func(n uint32, _ row) error {
		name, err := c.memberName(token(tMemberRef, n))
		if slices.Contains(members, name) {
			want[token(tMemberRef, n)] = true
		}
		return err
	})
	if len(want) == 0 {
		return nil, err
	}
	first := err
	err = c.each(tMethodSpec, func(n uint32, _ row) error {
		target, err := c.generic(n)
		if want[target] {
			want[token(tMethodSpec, n)] = true
		}
		return err
	})
	if first == nil {
		first = err
	}
	if rows, most := c.md.tables[tMethodDef].rows, c.md.src.from.rows(); rows > most && first == nil {
		first = broken(c.md.tables[tMethodDef].at, "%d methods, more than the %d whose code is read (limit rows)", rows, most)
	}
	var out []Call
	left := int64(maxAllCode)
	for n := uint32(1); n <= min(c.md.tables[tMethodDef].rows, c.md.src.from.rows()) && left > 0; n++ {
		err := c.calls(n, &left, func(tok uint32) bool { return want[tok] }, &out, nil)
		if first == nil {
			first = err
		}
	}
	return out, first
}

// CallsFrom returns the calls in the method of that token and in the methods of
// this file that it reaches by calling, creating or taking the address of them,
// and in their async state machines; each method is read once.
// CallsFrom(c.EntryPoint) says what Main does. Errors are as of CallsTo.
func (c *CLR) CallsFrom(method uint32) ([]Call, error) { return c.callsFrom([]uint32{method}) }

// CallsFromMembers is CallsFrom for the methods of this file that member accepts
// by their name ("Namespace.Type::Method").
func (c *CLR) CallsFromMembers(member func(name string) bool) ([]Call, error) {
	var methods []uint32
	var first error
	for n := uint32(1); n <= min(c.md.tables[tMethodDef].rows, c.md.src.from.rows()) && len(methods) < maxReached; n++ {
		name, err := c.memberName(token(tMethodDef, n))
		if first == nil {
			first = err
		}
		if err == nil && member(name) {
			methods = append(methods, token(tMethodDef, n))
		}
	}
	out, err := c.callsFrom(methods)
	if first == nil {
		first = err
	}
	return out, first
}

func (c *CLR) callsFrom(methods []uint32) ([]Call, error) {
	if c.md.tables[tMethodDef].rows == 0 {
		return nil, nil
	}
	var out []Call
	var first error
	seen := map[uint32]bool{}
	var queue []uint32
	add := func(tok uint32) {
		if tok>>24 == tMethodSpec {
			tok, _ = c.generic(tok & maxRows)
		}
		if tok>>24 == tMethodDef && !seen[tok] && len(queue) < maxReached {
			seen[tok] = true
			queue = append(queue, tok)
		}
	}
	for _, m := range methods {
		if m>>24 == tMethodDef {
			add(m)
		}
	}
	left := int64(maxAllCode)
	for i := 0; i < len(queue); i++ {
		n := queue[i] & maxRows
		err := c.calls(n, &left, func(uint32) bool { return true }, &out, add)
		if err == nil {
			err = c.stateMachines(n, add)
		}
		if first == nil {
			first = err
		}
	}
	return out, first
}

// stateMachines adds the methods of the types that the C# compilers make of an
// async or iterator method: nested in its type and named "<Method>...".
func (c *CLR) stateMachines(method uint32, add func(tok uint32)) error {
	if err := c.nesting(); err != nil {
		return err
	}
	owner, err := c.owner(method)
	if err != nil || len(c.inner[owner]) == 0 {
		return err
	}
	r, err := c.md.row(tMethodDef, method)
	if err != nil {
		return err
	}
	name, err := c.md.str(r.col(3))
	if err != nil || name.Value == "" {
		return err
	}
	inner := c.inner[owner]
	for _, n := range inner[:min(len(inner), maxReached)] {
		t, err := c.md.row(tTypeDef, n)
		if err != nil {
			return err
		}
		s, err := c.md.str(t.col(1))
		if err != nil {
			return err
		}
		if !strings.HasPrefix(s.Value, "<"+name.Value+">") {
			continue
		}
		end := c.md.tables[tMethodDef].rows + 1
		if n < uint32(len(c.starts)) {
			end = c.starts[n]
		}
		for m := t.col(5); m < end && m-t.col(5) < 64; m++ {
			add(token(tMethodDef, m))
		}
	}
	return nil
}

// owner returns the row of the TypeDef that a method belongs to.
func (c *CLR) owner(method uint32) (uint32, error) {
	if c.starts == nil {
		starts := make([]uint32, 0, min(c.md.tables[tTypeDef].rows, 1024))
		last := uint32(0)
		err := c.each(tTypeDef, func(_ uint32, r row) error {
			if r.col(5) < last {
				return broken(r.at, "the method lists of the types are out of order")
			}
			last = r.col(5)
			starts = append(starts, last)
			return nil
		})
		if err != nil {
			return 0, err
		}
		c.starts = starts
	}
	// The last type that starts at or before the method: types without methods
	// start where the next one does.
	i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > method })
	return uint32(i), nil
}
