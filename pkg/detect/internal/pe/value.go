package pe

// value is what is known of one on the stack or in a local variable.
type value struct {
	kind uint8
	n    int32
}

const (
	unknown = iota
	number
	null
	noArguments // the array that the entry point got
)

func known(b bool) value {
	if b {
		return value{number, 1}
	}
	return value{number, 0}
}

// truth says whether brtrue would branch: a number, or unknown.
func truth(v value) value {
	switch v.kind {
	case number:
		return known(v.n != 0)
	case null:
		return known(false)
	case noArguments:
		return known(true)
	}
	return value{}
}

func not(v value) value {
	if v.kind == number {
		return known(v.n == 0)
	}
	return v
}

// compared is the result of ceq, cgt, cgt.un, clt or clt.un.
func compared(op uint16, x, y value) value {
	switch {
	case x.kind == number && y.kind == number:
		switch op {
		case 0xfe01:
			return known(x.n == y.n)
		case 0xfe02:
			return known(x.n > y.n)
		case 0xfe03:
			return known(uint32(x.n) > uint32(y.n))
		case 0xfe04:
			return known(x.n < y.n)
		}
		return known(uint32(x.n) < uint32(y.n))
	case x.kind == null && y.kind == noArguments, x.kind == noArguments && y.kind == null:
		return known(op == 0xfe03 && x.kind == noArguments) // "!= null" is cgt.un
	}
	return value{}
}

// branches is whether one of beq to blt.un branches.
func branches(op uint16, x, y value) value {
	const ceq, cgt, cgtUn, clt, cltUn = 0xfe01, 0xfe02, 0xfe03, 0xfe04, 0xfe05
	switch op {
	case 0x2e: // beq
		return compared(ceq, x, y)
	case 0x2f: // bge
		return not(compared(clt, x, y))
	case 0x30: // bgt
		return compared(cgt, x, y)
	case 0x31: // ble
		return not(compared(cgt, x, y))
	case 0x32: // blt
		return compared(clt, x, y)
	case 0x33: // bne.un
		return not(compared(ceq, x, y))
	case 0x34: // bge.un
		return not(compared(cltUn, x, y))
	case 0x35: // bgt.un
		return compared(cgtUn, x, y)
	case 0x36: // ble.un
		return not(compared(cgtUn, x, y))
	}
	return compared(cltUn, x, y) // blt.un
}
