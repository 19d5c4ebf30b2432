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
