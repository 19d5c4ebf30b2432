package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/moby/buildkit/util/suggest"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/internal/tomlkey"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// accepted are the findings that the user takes upon himself.
func (s *settingsFile) accepted(job *pipeline.Job, today time.Time, notes io.Writer, found *mistakes) {
	var known []string
	for _, r := range detect.Rules() {
		known = append(known, r.ID)
	}
	for _, r := range dockerfile.Rules() {
		known = append(known, r.ID)
	}
	for i, a := range s.Accept {
		if found.full() {
			return
		}
		if err := s.checkAccept(i, a.Rule, a.Reason, known); err != nil {
			found.add(err)
			continue
		}
		if over(a.Until.Time, today) {
			fmt.Fprintf(notes, "%s: note: the acceptance of %s ended on %s: the finding counts again\n",
				s.at(toml.Key{"accept", "until"}, i), a.Rule, a.Until.Format(time.DateOnly))
			continue
		}
		if !a.Until.IsZero() && (s.until.IsZero() || a.Until.Before(s.until)) {
			s.until = a.Until.Time
		}
		accept := pipeline.Accept{Rule: a.Rule, Reason: a.Reason}
		if s.app { // a file that --config names may be for many apps
			line, _ := tomlkey.Position(s.text, toml.Key{"accept", "rule"}, i)
			accept.At = &detect.Evidence{Path: configName, Line: line, Detail: "accept"}
		}
		job.Accept = append(job.Accept, accept)
	}
}

// over says whether a last day has passed; the zero time is none.
func over(last, today time.Time) bool {
	return !last.IsZero() && today.After(last.AddDate(0, 0, 1))
}

func (s *settingsFile) checkAccept(i int, rule, reason string, known []string) error {
	switch {
	case rule == "":
		return s.errorf(toml.Key{"accept"}, i, "accept names no rule: an [[accept]] table has rule and reason")
	case strings.TrimSpace(reason) == "", reason == report.AcceptReason:
		return s.errorf(toml.Key{"accept", "rule"}, i, "%s is accepted without a reason: say why, reason = \"...\"", rule)
	case slices.Contains(known, rule):
		return nil
	}
	near := strings.ToUpper(rule)
	if !slices.Contains(known, near) {
		near, _ = suggest.Search(near, known, true)
	}
	if near != "" {
		return s.errorf(toml.Key{"accept", "rule"}, i, "unknown rule %q: did you mean %q?", rule, near)
	}
	return s.errorf(toml.Key{"accept", "rule"}, i, "unknown rule %q: rules look like WP1001", rule)
}
