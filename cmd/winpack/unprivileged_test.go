//go:build !windows

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// nobody is the user ID of nobody on Linux.
const nobody = 65534

// unprivileged makes a command run as nobody where the test is root.
func unprivileged(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}
