//go:build !linux

package build

import "testing"

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	t.Skip("a file system of a given size is made on Linux only")
	return ""
}
