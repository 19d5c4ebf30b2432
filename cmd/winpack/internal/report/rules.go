package report

import (
	"slices"

	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Rules are the rules that findings may name, by ID. A saved report may hold
// findings of another version's rules.
func Rules() map[string]detect.Rule {
	rules := map[string]detect.Rule{}
	for _, r := range slices.Concat(detect.Rules(), dockerfile.Rules()) {
		rules[r.ID] = r
	}
	return rules
}
