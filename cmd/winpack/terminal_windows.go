package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableSequences asks the console to obey control sequences, which an old one
// can't.
func enableSequences(f *os.File) bool {
	var mode uint32
	handle := windows.Handle(f.Fd())
	if err := windows.GetConsoleMode(handle, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
