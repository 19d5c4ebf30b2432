//go:build !linux

package pipeline

import "os"

// open opens a file or folder of the app. No link leads out of the folder.
func (a appFS) open(name string) (*os.File, error) { return a.root.Open(name) }
