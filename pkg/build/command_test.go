package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// onSSH puts commands into the PATH that stand for the real ones: ssh and docker exec,
// which run on this machine what they are told, and note how they were called.
func onSSH(t *testing.T) (called func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for name, text := range map[string]string{
		"ssh": `while [ "$1" != -- ]; do shift; done; host=$2; shift 2
			if [ "$host" = dead ]; then echo "a banner" >&2; echo "ssh: connect to host dead port 22: refused" >&2; exit 255; fi
			if [ "$host" = silent ]; then exec sleep 60; fi
			exec sh -c "$*"`,
		"docker-exec": `if [ "$3" = dead ]; then echo "Error: no such container: dead" >&2; exit 1; fi
			if [ "$3" = away ]; then echo 'error during connect: command [ssh -T -- away] has exited with exit status 255, make sure the URL is valid, and so on: stderr=ssh: connect to host away port 22: refused' >&2; exit 1; fi
			shift 3; exec "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+name+` "$*" >> `+log+"\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() string {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
}

// dialStdio puts a docker into the PATH that knows `docker --host=unix://... system
// dial-stdio`, which is what is called at the other end of ssh.
func dialStdio(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	const source = `package main

import (
	"io"
	"net"
	"os"
	"strings"
)

func main() {
	c, err := net.Dial("unix", strings.TrimPrefix(os.Args[1], "--host=unix://"))
	if err != nil || strings.Join(os.Args[2:], " ") != "system dial-stdio" {
		panic(os.Args)
	}
	go func() {
		_, _ = io.Copy(c, os.Stdin)
		os.Exit(0)
	}()
	_, _ = io.Copy(os.Stdout, c)
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "docker"), filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}
