package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

// A full disk under stdout is an error, not silence, and an interrupt is 130.
func TestCommandsThatInformFailWhereTheyCannotSay(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	quiet := func(string) string { return "" }
	doctor := append([]string{"doctor", "--docker-host", "tcp://127.0.0.1:1", "--buildkit-addr", "tcp://127.0.0.1:1"}, "--mirror", "mcr.microsoft.com=127.0.0.1:1")
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if code := run(interrupted, doctor, env{null, null, quiet}); code != exitInterrupted {
		t.Errorf("an interrupted doctor ends with %d", code)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: this system has no /dev/full")
	}
	defer full.Close()
	for _, args := range [][]string{
		{"images"}, {"images", "-q"}, {"images", "--format", "json"}, {"explain", "WP1001"}, {"explain", "--list"},
		{"completion", "bash"}, {"__complete", "--", "@"}, append(doctor[:1:1], "--mirror", "mcr.microsoft.com=127.0.0.1:1"),
	} {
		if code := run(t.Context(), args, env{full, null, quiet}); code != exitFailed {
			t.Errorf("winpack %s on a full disk ends with %d", strings.Join(args, " "), code)
		}
	}
}
