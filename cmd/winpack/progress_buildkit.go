package main

import (
	"context"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
)

// buildkitDisplay is the view of a BuildKit build that users of docker buildx know.
type buildkitDisplay struct {
	events chan *client.SolveStatus
	done   chan struct{}
}

// status takes one event of BuildKit's own progress; nil ends it.
func (p *progress) status(s *client.SolveStatus) {
	if s == nil {
		p.closeBuildKit()
		return
	}
	p.mu.Lock()
	if p.mode == "none" {
		p.mu.Unlock()
		return
	}
	if p.buildkit == nil {
		p.erase()
		display, err := progressui.NewDisplay(p.w, progressui.DisplayMode(p.mode))
		if err != nil {
			display, _ = progressui.NewDisplay(p.w, progressui.PlainMode)
		}
		p.buildkit = &buildkitDisplay{make(chan *client.SolveStatus), make(chan struct{})}
		go func(d *buildkitDisplay) {
			defer close(d.done)
			// Its own context: what was said before an interrupt is still shown.
			_, _ = display.UpdateFrom(context.Background(), d.events)
		}(p.buildkit)
	}
	events := p.buildkit.events
	p.mu.Unlock()
	events <- s
}

// closeBuildKit waits until all was shown.
func (p *progress) closeBuildKit() {
	p.mu.Lock()
	d := p.buildkit
	p.buildkit = nil
	p.mu.Unlock()
	if d != nil {
		close(d.events)
		<-d.done
	}
}
