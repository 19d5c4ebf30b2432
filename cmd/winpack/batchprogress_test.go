package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
)

func shownTally(mode string, all int) (*tally, *strings.Builder, *time.Time) {
	var out strings.Builder
	now := time.Unix(1000, 0)
	t := &tally{
		p:    &progress{w: &out, mode: mode, now: func() time.Time { return now }, width: func() int { return 60 }},
		said: map[string]bool{}, all: all, started: now,
		here: map[result.Status]int{}, earlier: map[result.Status]int{}, others: map[result.Status]int{},
	}
	return t, &out, &now
}

func TestBatchShowsOneLineOnATerminal(t *testing.T) {
	tally, out, now := shownTally("tty", 5)
	tally.old(result.Done{Name: "old", Status: result.Blocked}, true)
	*now = now.Add(2 * time.Second)
	tally.finished(outcome{name: "a", status: result.OK, what: "static"})
	*now = now.Add(10 * time.Millisecond)
	tally.finished(outcome{name: "b\x1b[2J", status: result.Failed, what: "no\nway"})
	*now = now.Add(10 * time.Millisecond)
	tally.finished(outcome{name: "c", status: result.OK, what: "static"}) // too soon to draw
	tally.p.close()
	want := "2 of 5 apps, 1 blocked; 0.5/s, 6s left" +
		"\r\x1b[Kb\\x1b[2J: failed: no way\n" + "3 of 5 apps, 1 failed, 1 blocked; 1.0/s, 2s left" + "\r\x1b[K"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out, want)
	}
}

func TestBatchShowsALineForEachApp(t *testing.T) {
	tally, out, _ := shownTally("plain", 3)
	tally.finished(outcome{name: "a", status: result.OK, what: "static"})
	tally.notes("a", "x.toml:1:1: note: ended\n")
	tally.notes("b", "x.toml:1:1: note: ended\n")
	if want := "1/3 a: ok: static\nnote: a: x.toml:1:1: note: ended\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	tally, out, _ = shownTally("rawjson", 3)
	tally.finished(outcome{name: "a", status: result.Findings, what: "static"})
	tally.say("note", "x")
	for line := range strings.Lines(out.String()) {
		var v struct{ Stage, Name, Status, Message string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Stage == "" || v.Message == "" {
			t.Errorf("%v: %q", err, line)
		}
	}
	tally, out, _ = shownTally("none", 3)
	tally.finished(outcome{name: "a", status: result.Failed, what: "x"})
	tally.say("note", "x")
	if out.String() != "" {
		t.Errorf("it says %q", out)
	}
}

func TestBatchSumsUp(t *testing.T) {
	tally, _, _ := shownTally("none", 20)
	for i := range 12 {
		tally.finished(outcome{name: fmt.Sprintf("a%d", i), status: result.Failed, what: "x"})
	}
	tally.old(result.Done{Name: "b", Status: result.Findings}, true)
	tally.old(result.Done{Name: "c", Status: result.Failed, File: "results-3.jsonl"}, false)
	var out strings.Builder
	if err := tally.summary(&out, false, "0/4", "my out"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"shard 0/4: 20 apps: 0 ok, 1 with findings, 12 failed, 7 not done\n", "12 done now in 0s, 1 before\n", "failed: a9: x\nand 2 more failed\n", "winpack report 'my out'\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if err := tally.verdict(""); err == nil || !strings.Contains(err.Error(), "13 of 14 apps failed: a0: x (and 12 more)") {
		t.Errorf("got %v", err)
	}
}

// The exit code is over all that the folder holds: 1 before 4, and a blocked app
// counts where --fail-on has a level.
func TestVerdictOfABatch(t *testing.T) {
	for _, test := range []struct {
		level  string
		status []result.Status
		code   int
	}{
		{"", []result.Status{result.OK, result.Blocked}, exitDone},
		{"never", []result.Status{result.Blocked}, exitDone},
		{"error", []result.Status{result.OK}, exitDone},
		{"error", []result.Status{result.Blocked}, exitFindings},
		{"warning", []result.Status{result.Findings, result.OK}, exitFindings},
		{"error", []result.Status{result.Findings, result.Failed}, exitFailed},
	} {
		for where := range 3 {
			tally, _, _ := shownTally("none", 9)
			for _, s := range test.status {
				if where == 0 {
					tally.finished(outcome{name: "x", status: s})
				} else {
					tally.old(result.Done{Name: "x", Status: s}, where == 1)
				}
			}
			if err := tally.verdict(test.level); exitCode(t.Context(), err) != test.code {
				t.Errorf("%s, %v, place %d: %v, want exit %d", test.level, test.status, where, err, test.code)
			}
		}
	}
	// The level may be that of an app's own winpack.toml.
	tally, _, _ := shownTally("none", 1)
	tally.finished(outcome{name: "x", status: result.Blocked, level: true})
	if err := tally.verdict(""); !errors.As(err, new(*appsReachedError)) {
		t.Errorf("got %v", err)
	}
}
