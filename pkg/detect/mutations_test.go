package detect_test

import (
	"bytes"
	"debug/pe"
)

// region is a part of a file that is changed piece by piece.
type region struct{ start, end, step int }

// regions says how finely the parts of a file are changed: headers, tables and names
// byte by byte, code in large pieces.
func regions(data []byte) []region {
	f, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		return []region{{0, len(data), 1}}
	}
	managed := false
	headers := 0x400
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		managed, headers = h.DataDirectory[14].VirtualAddress != 0, int(h.SizeOfHeaders)
	case *pe.OptionalHeader64:
		managed, headers = h.DataDirectory[14].VirtualAddress != 0, int(h.SizeOfHeaders)
	}
	out := []region{{0, min(headers, len(data)), 1}}
	end := headers
	for _, s := range f.Sections {
		step := 64
		switch {
		case managed && s.Name == ".text", s.Name == ".idata":
			step = 1
		case s.Characteristics&pe.IMAGE_SCN_CNT_CODE != 0:
			step = 512
		case s.Name == ".rdata", s.Name == ".data", s.Name == ".edata":
			step = 8
		}
		from := int(s.Offset)
		to := min(from+int(s.Size), len(data))
		if from < to {
			out = append(out, region{from, to, step})
		}
		end = max(end, to)
	}
	if end < len(data) { // a bundle
		out = append(out, region{end, len(data), 1})
	}
	return out
}

// zeros is how long a run of zeros is changed as one.
const zeros = 32

// mutations are the changes that are made to a file.
func mutations(data []byte, coarse, all bool) []mutation {
	var out []mutation
	most := 3_000
	if coarse || len(data) > 256<<10 {
		most = 250
	}
	var pieces []mutation
	for _, r := range regions(data) {
		if all {
			r.step = 1
		}
		for at := r.start; at < r.end; {
			n := min(r.step, r.end-at)
			if run := leadingZeros(data[at:r.end]); run > zeros && !all {
				n = run
			}
			pieces = append(pieces, mutation{offset: at, length: n})
			at += n
		}
	}
	every := 1
	if !all {
		every = 1 + len(pieces)/most
	}
	for i := 0; i < len(pieces); i += every {
		p := pieces[i]
		if i > 0 && every > 1 { // what lies between is not left out
			last := pieces[min(i+every, len(pieces))-1]
			p.length = last.offset + last.length - p.offset
		}
		for j, how := range ways {
			if n := i / every; !all && (how != "invert" || n%2 == 1) && n%4 != j {
				continue // every piece in one way, and every other one inverted as well
			}
			p.how = how
			out = append(out, p)
		}
	}
	return out
}

func leadingZeros(b []byte) int {
	n := 0
	for n < len(b) && b[n] == 0 {
		n++
	}
	return n
}
