package main

import "os/exec"

func unprivileged(*exec.Cmd) {}
