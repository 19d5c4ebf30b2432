//go:build !linux

package main

import "testing"

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	t.Skip("SKIPPED: a small disk is made on Linux only")
	return ""
}
