//go:build !windows

package main

import "github.com/winpack/winpack/cmd/winpack/internal/winhost"

// thisWindows is the Windows build of this machine; ok is false where it runs
// another system.
func thisWindows() (b winhost.Build, client, ok bool) { return winhost.Build{}, false, false }
