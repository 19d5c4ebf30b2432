package summary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// Step is one thing to do next.
type Step struct {
	Apps    int    `json:"apps"`              // how many it is about
	Text    string `json:"text"`              // a sentence, without the number
	Command string `json:"command,omitempty"` // what to run for it, as a shell takes it
}

// fewCauses is how many causes are named where not all are listed.
const fewCauses = 3

// next says what to do, in order: first what makes the picture whole, then the
// apps that are nearest to an image. Each app is in one step.
func next(s Summary, set *result.Set) []Step {
	steps := []Step{}
	add := func(apps int, command, format string, args ...any) {
		if apps > 0 {
			steps = append(steps, Step{apps, fmt.Sprintf(format, args...), command})
		}
	}
	batch := set.Batch
	again, retry, build := batch.Command(), batch.Command("--retry-failed"), batch.Command("--build")
	if batch != nil && len(batch.Build) > 0 {
		build = again
	} else if set.Report != nil {
		build = "winpack build APP -t REF --push"
	}
	out := s.Counts.Outlook
	add(out[Missing], again, "without a result: the same command does what is missing")
	add(out[Failed], retry, "failed: look at the error of each, set it right, and run them again")
	windows, images, waiting, noBuilder := 0, 0, 0, 0
	work, decide := map[string]int{}, map[string]int{} // by the rule that alone keeps an app
	for i := range s.Apps {
		switch a := &s.Apps[i]; {
		case a.Outlook == Work:
			work[a.alone]++
		case a.Outlook == Decide:
			decide[a.alone]++
		case a.Outlook != Ready:
		case a.Image != nil:
			images++
		case a.Failure == result.NoBuilder:
			noBuilder++
		default:
			waiting++
			if a.WindowsBuilder {
				windows++
			}
		}
	}
	text := "ready to move: make their images"
	if windows > 0 {
		text += fmt.Sprintf(", %d of them with a Windows machine", windows)
	}
	add(waiting, build, "%s", text)
	add(noBuilder, retry, "ready to move, and not built for want of a builder on Windows: set DOCKER_HOST or BUILDKIT_HOST to one, and run them again (winpack doctor says what answers)")
	add(images, "", "ready to move, with an image: deploy them")
	steps = append(steps, s.solve(decide, "ready once %s is decided: %s", "to decide: solve what several warnings of each say, or accept them in its winpack.toml")...)
	steps = append(steps, s.solve(work, "ready once %s is solved: %s", "after work: solve the errors of each, or do the step by hand that it names")...)
	add(out[Unclear], "", "unclear: name the folder of one built application in the inventory's column source, or its image in column base")
	add(out[Blocked], "", "blocked, and in need of another way than Windows containers: %s", blockedBy(s))
	return steps
}

// solve are the steps of apps by the rule that alone keeps them; rest is for those
// that more than one keeps, and for those of rules that keep few.
func (s Summary) solve(alone map[string]int, one, rest string) []Step {
	causes := slices.SortedStableFunc(slices.Values(s.Causes), func(x, y Cause) int { return cmp.Compare(alone[y.Rule], alone[x.Rule]) })
	left := 0
	for _, n := range alone {
		left += n
	}
	var steps []Step
	for _, c := range causes[:min(fewCauses, len(causes))] {
		if n := alone[c.Rule]; n > 0 {
			steps = append(steps, Step{Apps: n, Text: fmt.Sprintf(one, c.Rule, c.Title), Command: "winpack explain " + c.Rule})
			left -= n
		}
	}
	if left > 0 {
		steps = append(steps, Step{Apps: left, Text: rest})
	}
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
