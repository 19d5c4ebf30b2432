package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Assume is what Follow takes for known.
type Assume struct {
	// Values are the numbers that calls and static fields give, by their member:
	// "System.Environment::get_UserInteractive".
	Values map[string]int32
	// NoArguments says that the array which the entry point gets is empty.
	NoArguments bool
}

// Step is a call on a path that the code may take.
type Step struct {
	Call
	// Address says that nothing is called here: the address of Member is taken, so
	// that somebody may call it later.
	Address bool
	// Later says that the step stands in a method whose address was taken, and that
	// was called by nothing else.
	Later bool
	// Loop says that the step stands in a loop.
	Loop bool
	// Number is the last argument, where it is a number that is Known.
	Number int32
	Known  bool
}

// ErrTangled says that a method has more paths than are followed.
var ErrTangled = errors.New("the code has more paths than are followed")

// maxStates bounds the paths that one question follows.
const maxStates = 1 << 15

// Follow returns the calls on the paths that the methods of this file may take which
// member accepts by their name, or the entry point where it is nil, with what they
// call, as CallsFrom does: but where a condition depends on what assume says, only
// the one way is taken. Handlers of exceptions are on no path. The error is the
// first of methods that could not be read, or ErrTangled; the steps that were
// found then are not all.
func (c *CLR) Follow(member func(name string) bool, assume Assume) ([]Step, error) {
	f := flow{c: c, assume: assume, left: maxAllCode, states: maxStates, seen: map[uint32]bool{}}
	if member == nil {
		f.add(c.EntryPoint, false)
	} else {
		for n := uint32(1); n <= min(c.md.tables[tMethodDef].rows, maxTypes) && len(f.direct) < maxReached; n++ {
			name, err := c.memberName(token(tMethodDef, n))
			f.keep(err)
			if err == nil && member(name) {
				f.add(token(tMethodDef, n), false)
			}
		}
	}
	for len(f.direct)+len(f.later) > 0 {
		later := len(f.direct) == 0 // methods that are called come first
		queue := &f.direct
		if later {
			queue = &f.later
		}
		tok := (*queue)[0]
		*queue = (*queue)[1:]
		if f.seen[tok] || len(f.seen) == maxReached {
			continue
		}
		f.seen[tok] = true
		f.keep(f.method(tok, later))
	}
	return f.out, f.first
}

type flow struct {
	c             *CLR
	assume        Assume
	left          int64
	states        int
	seen          map[uint32]bool
	direct, later []uint32
	out           []Step
	first         error
}

func (f *flow) keep(err error) {
	if f.first == nil {
		f.first = err
	}
}

func (f *flow) add(tok uint32, later bool) {
	if tok>>24 == tMethodSpec {
		tok, _ = f.c.generic(tok & maxRows)
	}
	switch {
	case tok>>24 != tMethodDef:
	case later:
		f.later = append(f.later, tok)
	default:
		f.direct = append(f.direct, tok)
	}
}

// state is a place in a method with what is known there.
type state struct {
	at     int
	stack  [6]value // the top is the first
	locals [16]value
}

func (s *state) push(v value) {
	copy(s.stack[1:], s.stack[:])
	s.stack[0] = v
}

// pop gives the top; what lay below all that is known is unknown.
func (s *state) pop() value {
	v := s.stack[0]
	copy(s.stack[:], s.stack[1:])
	s.stack[len(s.stack)-1] = value{}
	return v
}

func (s *state) set(local uint32, v value) {
	if local < uint32(len(s.locals)) {
		s.locals[local] = v
	}
}

func (s *state) get(local uint32) value {
	if local < uint32(len(s.locals)) {
		return s.locals[local]
	}
	return value{}
}

// body is a method, with what was found in it.
type body struct {
	code     []instruction
	index    map[int64]int // by offset
	entry    bool
	escaped  map[uint32]bool // locals whose address is taken: anybody may set them
	back     map[int]int     // jumps backwards: the last place from where one leads to a place
	steps    map[int]value   // the top of the stack where something is called
	branched []state
}

// method follows the paths of one method and adds its steps.
func (f *flow) method(tok uint32, later bool) error {
	b := body{entry: tok == f.c.EntryPoint, index: map[int64]int{}, escaped: map[uint32]bool{}, back: map[int]int{}, steps: map[int]value{}}
	err := f.c.code(tok&maxRows, &f.left, func(in instruction) {
		in.cases = bytes.Clone(in.cases)
		b.index[in.span.Offset] = len(b.code)
		b.code = append(b.code, in)
		switch in.op {
		case 0x12: // ldloca.s
			b.escaped[in.arg&0xff] = true
		case 0xfe0d: // ldloca
			b.escaped[in.arg] = true
		case 0x10, 0xfe0b, 0x0f, 0xfe0a: // starg, ldarga: the array may be another
			b.entry = false
		}
	})
	if err != nil {
		return err
	}
	visited := map[state]bool{}
	for todo := []state{{}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for s.at < len(b.code) && !visited[s] {
			if f.states--; f.states < 0 {
				return ErrTangled
			}
			visited[s] = true
			more, err := f.step(&b, &s)
			if err != nil {
				return err
			}
			todo = append(todo, b.branched...)
			b.branched = b.branched[:0]
			if !more {
				break
			}
		}
	}
	for i, in := range b.code { // in their order
		top, ok := b.steps[i]
		if !ok {
			continue
		}
		prev := instruction{}
		if i > 0 {
			prev = b.code[i-1]
		}
		call, err := f.c.call(tok&maxRows, in, prev)
		if err != nil {
			return err
		}
		address := in.op == opLdftn || in.op == opLdvftn
		s := Step{Call: call, Address: address, Later: later, Number: top.n, Known: top.kind == number}
		for to, from := range b.back {
			s.Loop = s.Loop || to <= i && i <= from
		}
		if len(f.out) < maxCalls {
			f.out = append(f.out, s)
		}
		f.add(in.arg, later || address)
	}
	return f.c.stateMachines(tok&maxRows, func(m uint32) { f.add(m, later) })
}

// step does one instruction, and says whether the path goes on. Where it takes
// another way too, that is in b.branched.
func (f *flow) step(b *body, s *state) (bool, error) {
	in := b.code[s.at]
	here := s.at
	s.at++
	switch op := in.op; {
	case op == opNop:
	case op >= 0x02 && op <= 0x05: // ldarg.0 to ldarg.3
		s.push(f.argument(b, uint32(op-0x02)))
	case op == 0x0e, op == 0xfe09:
		s.push(f.argument(b, in.arg&0xffff))
	case op >= 0x06 && op <= 0x09: // ldloc.0 to ldloc.3
		s.push(s.get(uint32(op - 0x06)))
	case op == 0x11:
		s.push(s.get(in.arg & 0xff))
	case op == 0xfe0c:
		s.push(s.get(in.arg))
	case op >= 0x0a && op <= 0x0d: // stloc.0 to stloc.3
		b.store(s, uint32(op-0x0a))
	case op == 0x13:
		b.store(s, in.arg&0xff)
	case op == 0xfe0e:
		b.store(s, in.arg)
	case op == 0x14: // ldnull
		s.push(value{kind: null})
	case op >= 0x15 && op <= 0x1e: // ldc.i4.m1 to ldc.i4.8
		s.push(value{number, int32(op) - 0x16})
	case op == 0x1f, op == 0x20:
		s.push(value{number, int32(in.arg)})
	case op == 0x25: // dup
		v := s.pop()
		s.push(v)
		s.push(v)
	case op == 0x26: // pop
		s.pop()
	case op == 0x8e: // ldlen
		if v := s.pop(); v.kind == noArguments {
			s.push(value{kind: number})
		} else {
			s.push(value{})
		}
	case op == 0x69, op == 0x6d: // conv.i4, conv.u4
	case op >= 0xfe01 && op <= 0xfe05: // ceq, cgt, cgt.un, clt, clt.un
		y, x := s.pop(), s.pop()
		s.push(compared(op, x, y))
	case op == 0x2b, op == 0x38: // br
		return f.jump(b, s, here, in.arg)
	case op == 0xde, op == 0xdd: // leave
		s.stack = [6]value{}
		return f.jump(b, s, here, in.arg)
	case op == 0x2c, op == 0x2d, op == 0x39, op == 0x3a: // brfalse, brtrue
		taken := truth(s.pop())
		if op == 0x2c || op == 0x39 {
			taken = not(taken)
		}
		return f.fork(b, s, here, in.arg, taken)
	case op >= 0x2e && op <= 0x37, op >= 0x3b && op <= 0x44: // beq to blt.un
		y, x := s.pop(), s.pop()
		if op >= 0x3b {
			op -= 0x3b - 0x2e
		}
		return f.fork(b, s, here, in.arg, truth(branches(op, x, y)))
	case op == opSwitch:
		v := s.pop()
		for i := 0; i+4 <= len(in.cases); i += 4 {
			if v.kind == number && v.n != int32(i/4) {
				continue
			}
			way := *s
			if _, err := f.jump(b, &way, here, binary.LittleEndian.Uint32(in.cases[i:])); err != nil {
				return false, err
			}
			b.branched = append(b.branched, way)
		}
	case op == 0x2a, op == 0x7a, op == opJmp, op == 0xdc, op == 0xfe1a, op == 0xfe11: // ret, throw, jmp, endfinally, rethrow, endfilter
		if op == opJmp {
			b.steps[here] = value{}
		}
		return false, nil
	default:
		return true, f.other(b, s, here, in)
	}
	return true, nil
}

// other does an instruction that moves nothing of what is known, but for a call or
// field that has a known value.
func (f *flow) other(b *body, s *state, here int, in instruction) error {
	switch in.op {
	case opCall, opCallvrt, opNewobj, opLdftn, opLdvftn:
		top := s.stack[0]
		if old, ok := b.steps[here]; ok && old != top {
			top = value{} // it differs between paths
		}
		b.steps[here] = top
	}
	s.stack = [6]value{}
	if in.op == opCall || in.op == 0x7e { // ldsfld
		name, err := f.c.memberName(in.arg)
		if err != nil {
			return err
		}
		if n, ok := f.assume.Values[name]; ok {
			s.push(value{number, n})
		}
	}
	return nil
}

func (b *body) store(s *state, local uint32) {
	v := s.pop()
	if b.escaped[local] {
		v = value{}
	}
	s.set(local, v)
}

func (f *flow) argument(b *body, n uint32) value {
	if f.assume.NoArguments && b.entry && n == 0 {
		return value{kind: noArguments}
	}
	return value{}
}

// jump leads a path to where a branch at here goes.
func (f *flow) jump(b *body, s *state, here int, delta uint32) (bool, error) {
	from := b.code[here].span
	if here+1 < len(b.code) { // a switch is longer than its span
		from = Span{Offset: b.code[here+1].span.Offset}
	} else {
		from.Offset += from.Length
	}
	to, ok := b.index[from.Offset+int64(int32(delta))]
	if !ok {
		return false, broken(b.code[here].span.Offset, "a branch leads to no instruction")
	}
	if to <= here {
		b.back[to] = max(b.back[to], here)
	}
	s.at = to
	return true, nil
}

// fork takes a conditional branch: the one way that is known, or both.
func (f *flow) fork(b *body, s *state, here int, delta uint32, taken value) (bool, error) {
	if taken.kind == number {
		if taken.n == 0 {
			return true, nil
		}
		return f.jump(b, s, here, delta)
	}
	way := *s
	if _, err := f.jump(b, &way, here, delta); err != nil {
		return false, err
	}
	b.branched = append(b.branched, way)
	return true, nil
}
