package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
)

// progress shows build events on stderr. It is used from several goroutines.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	mode  string // none, plain, rawjson or tty
	width func() int
	now   func() time.Time

	buildkit *buildkitDisplay // nil until BuildKit says something

	moving []*transfer // in the order of their start
	drawn  bool
	last   time.Time
}

// transfer is a thing whose bytes are counted.
type transfer struct {
	stage, name string
	done, total int64
	start       time.Time
}

// progressModes are the values of --progress, as in docker buildx.
func progressModes() []string {
	return []string{"auto", "none", "plain", "quiet", "rawjson", "tty"}
}

// newProgress chooses how to show progress.
func newProgress(c *cli.Context, e env) (*progress, error) {
	mode, err := oneOf(c, "progress", progressModes()...)
	if err != nil {
		return nil, err
	}
	quiet := c.Bool("quiet")
	switch {
	case quiet && (mode == "plain" || mode == "tty" || mode == "rawjson"):
		return nil, usagef("-q and --progress %s exclude each other", mode)
	case mode == "tty" && !smart(e.stderr, e.getenv):
		return nil, usagef("--progress tty needs a terminal on stderr: use --progress plain")
	case quiet, mode == "quiet":
		mode = "none"
	case mode == "auto" && smart(e.stderr, e.getenv):
		mode = "tty"
	case mode == "auto":
		mode = "plain"
	}
	return &progress{w: e.stderr, mode: mode, now: time.Now, width: func() int { return terminalWidth(e.stderr) }}, nil
}

func terminalWidth(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
		return w
	}
	return 80
}

// teller prints a line of its own on stderr; stage says what it is.
type teller func(stage, line string)

func (e env) tell(_, line string) { fmt.Fprintln(e.stderr, line) }

// tell prints a line, as an object of JSON where all lines are.
func (p *progress) tell(stage, line string) {
	if p.mode == "rawjson" {
		p.event(build.Event{Stage: stage, Message: line})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintln(p.w, line)
}

// event takes one event of a build.
func (p *progress) event(ev build.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.mode {
	case "rawjson":
		line, err := json.Marshal(struct {
			Stage   string `json:"stage"`
			Name    string `json:"name,omitempty"`
			Done    int64  `json:"done,omitempty"`
			Total   int64  `json:"total,omitempty"`
			Message string `json:"message,omitempty"`
		}{ev.Stage, ev.Name, ev.Done, ev.Total, ev.Message})
		if err == nil {
			fmt.Fprintf(p.w, "%s\n", line)
		}
	case "plain":
		if ev.Message != "" {
			fmt.Fprintf(p.w, "%s: %s\n", ev.Stage, report.OneLine(ev.Message))
		}
	case "tty":
		if ev.Message != "" {
			p.erase()
			fmt.Fprintf(p.w, "%s: %s\n", ev.Stage, report.OneLine(ev.Message))
		}
		p.count(ev)
		if now := p.now(); ev.Message != "" || now.Sub(p.last) >= 100*time.Millisecond {
			p.last = now
			p.draw()
		}
	}
}

// count keeps the transfer that an event speaks of.
func (p *progress) count(ev build.Event) {
	if ev.Done == 0 && ev.Total == 0 {
		return
	}
	for i, t := range p.moving {
		if t.stage == ev.Stage && t.name == ev.Name {
			t.done, t.total = max(t.done, ev.Done), ev.Total
			if t.total > 0 && t.done >= t.total {
				p.moving = append(p.moving[:i], p.moving[i+1:]...)
			}
			return
		}
	}
	if ev.Total == 0 || ev.Done < ev.Total {
		p.moving = append(p.moving, &transfer{ev.Stage, ev.Name, ev.Done, ev.Total, p.now()})
	}
}

// draw writes the status line: the transfer that started last, and how many more.
func (p *progress) draw() {
	if len(p.moving) == 0 {
		p.erase()
		return
	}
	t := p.moving[len(p.moving)-1]
	line := t.status(p.now())
	if n := len(p.moving) - 1; n > 0 {
		line += fmt.Sprintf(" (and %d more)", n)
	}
	if runes := []rune(line); len(runes) >= p.width() {
		line = string(runes[:p.width()-1])
	}
	p.erase()
	fmt.Fprint(p.w, line)
	p.drawn = true
}

func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// close leaves the terminal clean.
func (p *progress) close() {
	p.closeBuildKit()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

// status is "push sha256:0123: 12.0 of 40.0 MB, 8.1 MB/s, 4s left".
func (t *transfer) status(now time.Time) string {
	name := report.OneLine(t.name)
	if runes := []rune(name); len(runes) > 40 {
		name = string(runes[:19]) + "..." + string(runes[len(runes)-18:])
	}
	line := fmt.Sprintf("%s %s: %s", t.stage, name, bytesText(t.done))
	if t.total > 0 {
		line += " of " + bytesText(t.total)
	}
	elapsed := now.Sub(t.start).Seconds()
	if elapsed < 0.2 || t.done == 0 {
		return line
	}
	rate := float64(t.done) / elapsed
	line += ", " + bytesText(int64(rate)) + "/s"
	if t.total > t.done {
		left := time.Duration(float64(t.total-t.done) / rate * float64(time.Second))
		line += ", " + left.Round(time.Second).String() + " left"
	}
	return line
}

// bytesText writes a number of bytes in decimal units.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 999_950:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 999_950_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
}
