package report

import (
	"strings"
	"unicode/utf8"
)

// Wrap returns text for people in lines of at most 100 characters, each behind
// indent and ended by a line feed. What a terminal would obey is written out.
func Wrap(indent, text string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(Safe(strings.Join(strings.Fields(text), " "))) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			b.WriteString(indent)
			column = utf8.RuneCountInString(indent)
		case column+1+n > lineWidth:
			b.WriteString("\n" + indent)
			column = utf8.RuneCountInString(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	if column > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
