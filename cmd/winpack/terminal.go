package main

import (
	"os"

	"golang.org/x/term"
)

// colorful says whether to write colors: only to a terminal that takes them,
// and never where the user said no (https://no-color.org).
func colorful(f *os.File, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && smart(f, getenv)
}

// smart says whether a file is a terminal that obeys control sequences.
func smart(f *os.File, getenv func(string) string) bool {
	return getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) && enableSequences(f)
}

// Bounds of the width that text is wrapped at: what is narrower cannot be read, and
// longer lines neither.
const (
	leastWidth = 40
	mostWidth  = 120
)

// wrapWidth is the width of a terminal to wrap text at, 0 for what is none.
func wrapWidth(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	return min(max(terminalWidth(f), leastWidth), mostWidth)
}
