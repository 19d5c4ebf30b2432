package result

import (
	"bufio"
	"bytes"
	"io"
)

// maxLine bounds one line of a file of results, in bytes: far above the largest
// report, and small enough that a file of rubbish can't fill the memory.
const maxLine = 32 << 20

// textLine is one line of a file, without its line break and blanks around it.
type textLine struct {
	number int   // from 1
	offset int64 // of the first byte of text
	text   []byte
	long   bool // the line is longer than maxLine, and text is its start
	torn   bool // the file ends in it, without a line break
}

// eachLine calls f with each line of r that is not blank. The text is valid
// until f returns.
func eachLine(r io.Reader, f func(textLine) error) error {
	in := bufio.NewReaderSize(r, 256<<10)
	var held []byte // what was read of a line that is longer than the buffer
	l := textLine{number: 1}
	var next int64 // offset behind what was read
	for {
		part, err := in.ReadSlice('\n')
		next += int64(len(part))
		if err == bufio.ErrBufferFull || len(held) > 0 {
			if len(held)+len(part) > maxLine {
				l.long = true
			} else {
				held = append(held, part...)
			}
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		if l.text = part; len(held) > 0 {
			l.text = held
		}
		l.torn = err == io.EOF
		whole := len(l.text)
		if l.number == 1 {
			l.text = bytes.TrimPrefix(l.text, []byte("\ufeff"))
		}
		l.text = bytes.TrimLeft(l.text, " \t\r\n")
		l.offset += int64(whole - len(l.text))
		if l.text = bytes.TrimRight(l.text, " \t\r\n"); len(l.text) > 0 || l.long {
			if err := f(l); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		l = textLine{number: l.number + 1, offset: next}
		held = held[:0]
	}
}
