package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/winpack/winpack/fixtures"
	"github.com/winpack/winpack/pkg/build"
)

func show(mode string, events ...build.Event) string {
	var b bytes.Buffer
	clock := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &progress{w: &b, mode: mode, width: func() int { return 60 }, now: func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}}
	for _, ev := range events {
		p.event(ev)
	}
	p.close()
	return b.String()
}

func TestProgressModes(t *testing.T) {
	events := []build.Event{
		{Stage: "resolve", Name: "x", Message: "base \x1b[2J is there"},
		{Stage: "push", Name: "sha256:0123", Done: 0, Total: 40_000_000},
		{Stage: "push", Name: "sha256:0123", Done: 10_000_000, Total: 40_000_000},
		{Stage: "push", Name: "sha256:0123", Done: 40_000_000, Total: 40_000_000},
		{Stage: "done", Message: "pushed"},
	}
	if got := show("none", events...); got != "" {
		t.Errorf("none shows %q", got)
	}
	if got, want := show("plain", events...), "resolve: base \\x1b[2J is there\ndone: pushed\n"; got != want {
		t.Errorf("plain shows %q, want %q", got, want)
	}
	raw := strings.Split(strings.TrimSpace(show("rawjson", events...)), "\n")
	if len(raw) != len(events) || raw[2] != `{"stage":"push","name":"sha256:0123","done":10000000,"total":40000000}` {
		t.Errorf("rawjson shows %q", raw)
	}
	tty := show("tty", events...)
	if !strings.Contains(tty, "push sha256:0123: 10.0 MB of 40.0 MB, ") || !strings.Contains(tty, "MB/s, ") || !strings.Contains(tty, "s left") {
		t.Errorf("a terminal is not shown bytes, rate and time left: %q", tty)
	}
	if strings.Contains(tty, "\x1b[2J") {
		t.Errorf("an escape of a name reaches the terminal: %q", tty)
	}
	if !strings.HasSuffix(tty, "done: pushed\n") {
		t.Errorf("the status line is left on the terminal: %q", tty)
	}
	for line := range strings.SplitSeq(tty, "\r\x1b[K") {
		if len([]rune(strings.Split(line, "\n")[0])) >= 60 {
			t.Errorf("a status line is wider than the terminal: %q", line)
		}
	}
}

func TestProgressIsSafeFromSeveralGoroutines(t *testing.T) {
	p := &progress{w: &bytes.Buffer{}, mode: "tty", width: func() int { return 60 }, now: time.Now}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range int64(100) {
				p.event(build.Event{Stage: "push", Name: strings.Repeat("x", i), Done: n, Total: 99})
			}
		})
	}
	wg.Wait()
	p.close()
	if len(p.moving) != 0 {
		t.Errorf("%d transfers never end", len(p.moving))
	}
}

func TestBytesAreWrittenInDecimalUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_500_000: "1.5 MB", 2_000_000_000: "2.0 GB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// Who reads stderr line by line finds JSON in each, findings and notes too.
func TestRawJSONIsAllThatABuildShows(t *testing.T) {
	app := fixtures.App(t, "demo")
	_, stderr, code := winpack(t, "", "build", app, "--dry-run", "--progress", "rawjson", "--builder", "direct", "--mirror", "mcr.microsoft.com=127.0.0.1:1/mcr")
	found := 0
	for line := range strings.Lines(stderr) {
		var v struct{ Stage, Message string }
		if strings.HasPrefix(line, "winpack: ") { // why it ended
			continue
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Stage == "" {
			t.Errorf("%v: %q", err, line)
		}
		if v.Stage == "finding" && strings.Contains(v.Message, "WP1301") {
			found++
		}
	}
	if code != exitFailed || found != 1 {
		t.Errorf("exit %d, the finding %d times:\n%s", code, found, stderr)
	}
}
