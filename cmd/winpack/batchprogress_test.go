package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/summary"
)

func shownTally(mode string, all int) (*tally, *strings.Builder, *time.Time) {
	var out strings.Builder
	now := time.Unix(1000, 0)
	t := &tally{
		p:    &progress{w: &out, mode: mode, now: func() time.Time { return now }, width: func() int { return 60 }},
		said: map[string]bool{}, all: all, outlooks: map[summary.Outlook]int{}, started: now,
		here: map[result.Status]int{}, earlier: map[result.Status]int{}, others: map[result.Status]int{},
	}
	return t, &out, &now
}

func TestBatchShowsOneLineOnATerminal(t *testing.T) {
	tally, out, now := shownTally("tty", 5)
	tally.old(earlier{name: "old", status: result.Blocked}, true, true, "")
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
	if want := "1/3 a: ok: static\na: x.toml:1:1: note: ended\n"; out.String() != want {
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
		tally.finished(outcome{name: fmt.Sprintf("a%d", i), status: result.Failed, outlook: summary.Failed, what: "x"})
	}
	tally.old(earlier{name: "b", status: result.Findings, outlook: summary.Work}, true, true, "")
	tally.old(earlier{name: "c", status: result.Failed, file: "results-3.jsonl"}, false, true, "")
	var out strings.Builder
	if err := tally.summary(&out, false, "0/4", "my out"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"shard 0/4: 20 apps: 0 can move now, 1 after work, 12 failed, 7 not done\n", "12 done now in 0s, 1 before\nstatus: 1 with findings at or above --fail-on\n", "failed: a9: x\nand 2 more failed\n", "winpack report 'my out'\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	const want = `13 of 14 apps failed, 1 of them in earlier runs or other shards: "out/results*.jsonl" says why, and --retry-failed does them again`
	if err := tally.verdict("", filepath.FromSlash("out/results.jsonl")); err == nil || filepath.ToSlash(err.Error()) != want {
		t.Errorf("got %v", err)
	}
}

// What progress has shown is not shown again in the end.
func TestFailuresAreToldOnce(t *testing.T) {
	for mode, want := range map[string]int{"plain": 1, "tty": 1, "rawjson": 1, "none": 1} {
		tally, shown, _ := shownTally(mode, 1)
		tally.finished(outcome{name: "a", status: result.Failed, outlook: summary.Failed, what: "the reason"})
		var out strings.Builder
		if err := tally.summary(&out, false, "", "out"); err != nil {
			t.Fatal(err)
		}
		all := shown.String() + out.String() + tally.verdict("", "results.jsonl").Error()
		if n := strings.Count(all, "the reason"); n != want {
			t.Errorf("%s: told %d times:\n%s", mode, n, all)
		}
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
					tally.old(earlier{name: "x", status: s}, where == 1, true, "")
				}
			}
			if err := tally.verdict(test.level, "results.jsonl"); exitCode(t.Context(), err) != test.code {
				t.Errorf("%s, %v, place %d: %v, want exit %d", test.level, test.status, where, err, test.code)
			}
		}
	}
	// The level may be that of an app's own winpack.toml.
	tally, _, _ := shownTally("none", 1)
	tally.finished(outcome{name: "x", status: result.Blocked, level: true})
	if err := tally.verdict("", "results.jsonl"); !errors.As(err, new(*appsReachedError)) {
		t.Errorf("got %v", err)
	}
}
