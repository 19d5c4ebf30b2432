package report

import "github.com/winpack/winpack/pkg/detect"

// Rules are the rules that findings may name, by ID. A saved report may hold
// findings of another version's rules.
func Rules() map[string]detect.Rule {
	rules := map[string]detect.Rule{}
	for _, r := range detect.Rules() {
		rules[r.ID] = r
	}
	return rules
}
