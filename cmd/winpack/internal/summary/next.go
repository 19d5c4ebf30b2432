package summary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// Step is one thing to do next.
type Step struct {
	Apps int    `json:"apps"` // how many it is about
	Text string `json:"text"` // a sentence, without the number
}

// fewCauses is how many causes are named where not all are listed.
const fewCauses = 3

// next says what to do, in order: first what makes the picture whole, then the
// apps that are nearest to an image.
func next(s Summary) []Step {
	steps := []Step{}
	add := func(apps int, format string, args ...any) {
		if apps > 0 {
			steps = append(steps, Step{apps, fmt.Sprintf(format, args...)})
		}
	}
	out := s.Counts.Outlook
	add(out[Missing], "without a result: run the same winpack batch again, which does what is missing")
	add(out[Failed], "failed: see the error of each, and run winpack batch with --retry-failed")
	windows, images := 0, 0
	for i := range s.Apps {
		switch a := &s.Apps[i]; {
		case a.Outlook != Ready:
		case a.Image != nil:
			images++
		case a.WindowsBuilder:
			windows++
		}
	}
	if waiting := out[Ready] - images; waiting > 0 {
		text := "ready to move: winpack batch --build makes their images"
		if windows > 0 {
			text += fmt.Sprintf(", %d of them on a Windows machine", windows)
		}
		add(waiting, "%s", text)
	}
	add(images, "ready to move, with an image: deploy them")
	alone := slices.SortedStableFunc(slices.Values(s.Causes), func(x, y Cause) int { return cmp.Compare(y.Alone, x.Alone) })
	for _, c := range alone[:min(fewCauses, len(alone))] {
		add(c.Alone, "ready once %s is solved: %s", c.Rule, c.Title)
	}
	add(out[Unclear], "unclear: give winpack the built application, or name the base image in the inventory's column base")
	add(out[Blocked], "blocked, and in need of another way than Windows containers: %s", blockedBy(s))
	return steps
}

// blockedBy names what blocks most.
func blockedBy(s Summary) string {
	var names []string
	for _, c := range s.Causes {
		if c.Level == detect.LevelBlocker && len(names) < fewCauses {
			names = append(names, fmt.Sprintf("%s %s", c.Rule, c.Title))
		}
	}
	if len(names) == 0 {
		return "their reports say why"
	}
	return strings.Join(names, "; ")
}
