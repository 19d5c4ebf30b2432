package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/summary"
	"github.com/winpack/winpack/pkg/build"
)

// tally counts what became of rows and shows it on stderr: a line for each row, or
// on a terminal one line for all. It is used from several goroutines.
type tally struct {
	mu      sync.Mutex
	p       *progress
	verbose bool
	said    map[string]bool // notes, each of which is printed once

	all, before int // rows of this shard, and those that an earlier run finished
	started     time.Time
	here        map[result.Status]int   // of this run
	earlier     map[result.Status]int   // of rows of this shard in earlier runs
	others      map[result.Status]int   // of other lines in the folder
	elsewhere   bool                    // a failed row of this shard stands in the file of another
	gone        int                     // failed rows that left the inventory
	outlooks    map[summary.Outlook]int // of rows of this shard
	blocked     int                     // of this run, where --fail-on has a level
	failures    []string                // the first ones of this run that were not shown, with their reasons
}

func newTally(c *cli.Context, e env) (*tally, error) {
	p, err := newProgress(c, e)
	return &tally{
		p: p, verbose: c.Bool("verbose"), said: map[string]bool{},
		outlooks: map[summary.Outlook]int{}, here: map[result.Status]int{}, earlier: map[result.Status]int{}, others: map[result.Status]int{},
	}, err
}

// begin starts the time.
func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.started = t.p.now(); t.p.mode == "tty" {
		t.draw(t.started)
	}
}

// maxTold bounds the failures that the end tells of one by one, where progress did not.
const maxTold = 10

// old counts a line of an earlier run or of another shard; listed says whether its
// row is still in the inventory, and own is the file that this run writes.
func (t *tally) old(e earlier, mine, listed bool, own string) {
	if !mine {
		t.others[e.status]++
		if !listed && e.status == result.Failed {
			t.gone++
		}
		return
	}
	t.earlier[e.status]++
	t.elsewhere = t.elsewhere || e.status == result.Failed && e.file != own
	t.outlooks[e.outlook]++
	t.before++
}

// finished counts a row whose line is written, and shows it.
func (t *tally) finished(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.here[o.status]++
	t.outlooks[o.outlook]++
	if o.status == result.Blocked && o.level {
		t.blocked++
	}
	name := report.OneLine(o.name)
	line := name + ": " + string(o.status)
	if o.what != "" {
		line += ": " + report.OneLine(o.what)
	}
	if o.status == result.Failed && t.p.mode == "none" && len(t.failures) < maxTold {
		t.failures = append(t.failures, name+": "+report.OneLine(o.what))
	}
	switch t.p.mode {
	case "rawjson":
		t.raw(map[string]any{"stage": "app", "name": o.name, "status": o.status, "message": o.what, "done": t.done(), "total": t.all})
	case "plain":
		fmt.Fprintf(t.p.w, "%d/%d %s\n", t.done(), t.all, line)
	case "tty":
		if o.status == result.Failed {
			t.p.erase()
			fmt.Fprintln(t.p.w, line)
		}
		if now := t.p.now(); o.status == result.Failed || now.Sub(t.p.last) >= 100*time.Millisecond {
			t.p.last = now
			t.draw(now)
		}
	}
}

func (t *tally) raw(v map[string]any) {
	if line, err := json.Marshal(v); err == nil {
		fmt.Fprintf(t.p.w, "%s\n", line)
	}
}

func (t *tally) ran() int {
	n := 0
	for _, c := range t.here {
		n += c
	}
	return n
}

func (t *tally) done() int { return t.before + t.ran() }

// draw writes the line that says how far it is.
func (t *tally) draw(now time.Time) {
	line := fmt.Sprintf("%d of %s", t.done(), apps(t.all))
	for _, s := range []result.Status{result.Failed, result.Blocked, result.Findings} {
		if n := t.here[s] + t.earlier[s]; n > 0 {
			line += fmt.Sprintf(", %d %s", n, s)
		}
	}
	if elapsed := now.Sub(t.started).Seconds(); elapsed > 0.5 && t.ran() > 0 {
		rate := float64(t.ran()) / elapsed
		left := time.Duration(float64(t.all-t.done()) / rate * float64(time.Second))
		line += fmt.Sprintf("; %.1f/s, %s left", rate, left.Round(time.Second))
	}
	if width := t.p.width(); len(line) >= width {
		line = line[:width-1]
	}
	t.p.erase()
	fmt.Fprint(t.p.w, line)
	t.p.drawn = true
}

// say prints a line of its own, unless nothing is to be said. Without a stage it is a
// note that says so.
func (t *tally) say(stage, message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.p.mode {
	case "none":
	case "rawjson":
		t.raw(map[string]any{"stage": cmp.Or(stage, "note"), "message": message})
	default:
		t.p.erase()
		if stage != "" {
			message = stage + ": " + message
		}
		fmt.Fprintln(t.p.w, report.OneLine(message))
	}
}

// once says what many rows give occasion to say.
func (t *tally) once(stage, message string) {
	t.mu.Lock()
	known := t.said[message]
	t.said[message] = true
	t.mu.Unlock()
	if !known {
		t.say(stage, message)
	}
}

// waiting shows what holds a row up: of a build's events nothing else.
func (t *tally) waiting(name string, e build.Event) {
	if e.Stage == "wait" && t.verbose || e.Stage == "retry" {
		t.say(e.Stage, name+": "+e.Message)
	}
}

// notes shows what a row's winpack.toml gives occasion to say.
func (t *tally) notes(name, text string) {
	for note := range strings.Lines(text) {
		t.mu.Lock()
		known := t.said[note] || len(t.said) > 1000
		t.said[note] = true
		t.mu.Unlock()
		if !known {
			t.say("", name+": "+strings.TrimSpace(note)) // which says itself that it is one
		}
	}
}

// summary says what became of the rows, and where it can be read.
func (t *tally) summary(w io.Writer, quiet bool, shard, dir string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.erase()
	var b strings.Builder
	if shard != "" {
		fmt.Fprintf(&b, "shard %s: ", shard)
	}
	fmt.Fprintf(&b, "%s: ", apps(t.all))
	var parts []string
	for _, o := range summary.Outlooks() {
		if n := t.outlooks[o]; n > 0 || o == summary.Ready {
			parts = append(parts, fmt.Sprintf("%d %s", n, o.Label()))
		}
	}
	if n := t.all - t.done(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d not done", n))
	}
	b.WriteString(strings.Join(parts, ", ") + "\n")
	if !quiet {
		fmt.Fprintf(&b, "%d done now in %s, %d before\n", t.ran(), t.p.now().Sub(t.started).Round(10*time.Millisecond), t.before)
		var statuses []string
		for _, s := range []struct {
			status result.Status
			text   string
		}{{result.Failed, "failed"}, {result.Findings, "with findings at or above --fail-on"}} {
			n := t.here[s.status] + t.earlier[s.status]
			if n > 0 && (s.status != result.Failed || n != t.outlooks[summary.Failed]) {
				statuses = append(statuses, fmt.Sprintf("%d %s", n, s.text))
			}
		}
		if len(statuses) > 0 {
			b.WriteString("status: " + strings.Join(statuses, ", ") + "\n")
		}
		for _, f := range t.failures {
			fmt.Fprintf(&b, "failed: %s\n", f)
		}
		if n := t.here[result.Failed] - len(t.failures); n > 0 && t.p.mode == "none" {
			fmt.Fprintf(&b, "and %d more failed\n", n)
		}
		fmt.Fprintf(&b, "winpack report %s\n", result.Quote(dir))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict is the error that decides the exit code, over all that the folder holds.
// results is the file that this run wrote to.
func (t *tally) verdict(level, results string) error {
	total := map[result.Status]int{}
	all := 0
	for _, counts := range []map[result.Status]int{t.here, t.earlier, t.others} {
		for s, n := range counts {
			total[s] += n
			all += n
		}
	}
	if n := total[result.Failed]; n > 0 {
		if t.others[result.Failed] > 0 || t.elsewhere {
			results = filepath.Join(filepath.Dir(results), "results*.jsonl")
		}
		return &appsFailedError{n, all, t.here[result.Failed], t.gone, results}
	}
	blocked := t.blocked
	if level == "error" || level == "warning" {
		blocked = total[result.Blocked]
	}
	if total[result.Findings] > 0 || blocked > 0 {
		return &appsReachedError{total[result.Findings], blocked}
	}
	return nil
}
