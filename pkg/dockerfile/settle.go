package dockerfile

import (
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// settle takes those wishes out of the options that come to what is decided without
// them: a setting that says what is so anyway changes nothing, not even a comment.
func settle(rep detect.Report, cat Catalog, opt Options) Options {
	without := func(clear func(*Options)) (*planner, bool) {
		trial := opt
		trial.App = nil // nothing is looked up for what is no plan yet
		clear(&trial)
		p := newPlanner(rep, cat, trial)
		return p, p.decide() == nil
	}
	for _, wish := range []struct {
		given bool
		clear func(*Options)
		same  func(*planner) bool
	}{
		{opt.Base != "", func(o *Options) { o.Base = "" }, func(p *planner) bool {
			return len(p.plan.Bases) == 1 && p.plan.Bases[0].Reference == opt.Base
		}},
		{len(opt.Entrypoint) > 0, func(o *Options) { o.Entrypoint = nil }, func(p *planner) bool {
			return !slices.Contains(p.rows, nil) && slices.Equal(p.plan.AppEntrypoint(), opt.Entrypoint)
		}},
		{opt.WorkingDir != "", func(o *Options) { o.WorkingDir = "" }, func(p *planner) bool {
			dir, err := absoluteWindows(opt.WorkingDir)
			return err == nil && strings.EqualFold(dir, p.plan.Config.WorkingDir)
		}},
		{opt.User != "", func(o *Options) { o.User = "" }, func(p *planner) bool {
			if p.plan.Config.User == "" { // the base's, where it is known
				return !slices.Contains(p.rows, nil) && strings.EqualFold(opt.User, userAdmin) && p.plan.Administrator()
			}
			return strings.EqualFold(opt.User, p.plan.Config.User)
		}},
		{len(opt.Ports) > 0, func(o *Options) { o.Ports = nil }, func(p *planner) bool {
			return slices.Equal(unique(opt.Ports), p.plan.Config.Ports)
		}},
	} {
		if !wish.given {
			continue
		}
		if p, ok := without(wish.clear); ok && wish.same(p) {
			wish.clear(&opt)
		}
	}
	return opt
}
