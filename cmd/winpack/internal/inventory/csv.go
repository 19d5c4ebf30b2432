package inventory

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// csv reads a table with a header. The delimiter is the comma, or what Excel takes
// where the comma is a decimal sign: a semicolon, told by the header, or what a
// first line like "sep=;" names.
func (x *reader) csv(in *bufio.Reader) error {
	comma, above := ',', 0
	first, _ := in.Peek(1 << 12)
	line, _, _ := strings.Cut(string(first), "\n")
	if bare := strings.TrimRight(line, "\r"); len(bare) == len("sep=;") && strings.HasPrefix(bare, "sep=") {
		comma, above = rune(bare[4]), 1
		_, _ = in.Discard(len(line) + 1)
	} else if !strings.Contains(line, ",") {
		for _, other := range ";\t" {
			if strings.ContainsRune(line, other) {
				comma = other
				break
			}
		}
	}
	if !strings.ContainsRune(",;\t|", comma) {
		return errorf("%s:1: the delimiter %q is none: take a comma or a semicolon", x.Path, comma)
	}
	r := csv.NewReader(in)
	r.Comma, r.FieldsPerRecord = comma, -1
	header, err := r.Read()
	switch {
	case err == io.EOF:
		return errorf("the inventory %q is empty: its first line names the columns, name,source and more", x.Path)
	case errors.As(err, new(*csv.ParseError)):
		return errorf("%s:%d: the header is no CSV: %s", x.Path, csvLine(err)+above, csvReason(err))
	case err != nil:
		return err
	}
	at, _ := r.FieldPos(0)
	if err := x.header(at+above, header); err != nil {
		return err
	}
	var fields []field
	for {
		record, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if errors.As(err, new(*csv.ParseError)) {
			x.bad(x.Path, csvLine(err)+above, "%s", csvReason(err))
			continue
		}
		if err != nil {
			return err
		}
		at, _ := r.FieldPos(0)
		if len(record) > len(header) {
			x.bad(x.Path, at+above, "the row has %d fields, and the header %d: put a value that holds %q in quotes", len(record), len(header), r.Comma)
			continue
		}
		fields = fields[:0]
		for i, value := range record {
			fields = append(fields, field{header[i], value})
		}
		x.row(at+above, fields)
	}
}

// header checks the names of the columns.
func (x *reader) header(line int, names []string) error {
	seen := map[string]bool{}
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		low := strings.ToLower(names[i])
		if low == "" {
			continue
		}
		if err := check("", names[i], ""); err != nil {
			return errorf("%s:%d: the header is none: %s", x.Path, line, err)
		}
		if seen[low] {
			return errorf("%s:%d: the header names %q twice", x.Path, line, names[i])
		}
		seen[low] = true
	}
	for _, name := range names {
		x.label(line, name, func(column string) bool { return seen[column] })
	}
	for _, name := range []string{"name", "source"} {
		if !seen[name] {
			return errorf("%s:%d: the header has no column %q: the first line names the columns, like name,source,owner", x.Path, line, name)
		}
	}
	return nil
}

// csvLine is where a record starts that could not be read.
func csvLine(err error) int {
	parse := (*csv.ParseError)(nil)
	errors.As(err, &parse)
	return parse.StartLine
}

func csvReason(err error) string {
	switch {
	case errors.Is(err, csv.ErrQuote):
		return `a value in quotes does not end, or something stands behind its end: write a quote in it as ""`
	case errors.Is(err, csv.ErrBareQuote):
		return `a quote stands in a value without quotes: put the value in quotes, and write the quote as ""`
	}
	parse := (*csv.ParseError)(nil)
	errors.As(err, &parse)
	return parse.Err.Error()
}
