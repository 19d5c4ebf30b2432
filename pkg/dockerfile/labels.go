package dockerfile

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// Labels that say in the image what `winpack run` has to know of the app. Their
// values are data from an app folder, like all else in it. The app's name is not
// among them: it is that of the folder, and the same files in another folder give
// the same image.
const (
	// LabelKind is the app's kind, as in the report: "aspnet".
	LabelKind = "io.github.winpack.kind"
	// LabelWrites are the absolute Windows folders that the app writes to, joined
	// by "|", which no Windows path holds.
	LabelWrites = "io.github.winpack.writes"
	// LabelEnv are the names of the environment variables that the app wants from
	// outside, mostly secrets, joined by "|". It never holds a value.
	LabelEnv = "io.github.winpack.env"
	// LabelDirectX is "true" where the app uses DirectX: a container needs a device
	// for it, and process isolation.
	LabelDirectX = "io.github.winpack.directx"
)

// LabelPorts are the TCP ports that the app listens on, joined by "|", where they are
// others than those that the base image exposes: an image can't take that back.
const LabelPorts = "io.github.winpack.ports"

// FactDirectX is the key of the facts that say that an app uses DirectX.
const FactDirectX = "directx"

// SplitLabel returns the parts of a label that holds a list.
func SplitLabel(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == '|' })
}

// label puts what the image says of the app into the plan's labels. A label that
// is there already, because a user gave it, stays.
func (p *planner) label() {
	set := map[string]string{LabelKind: string(p.rep.App.Kind)}
	if writes := p.writes(); len(writes) > 0 {
		set[LabelWrites] = strings.Join(writes, "|")
	}
	if names := EnvironmentNames(p.rep); len(names) > 0 {
		set[LabelEnv] = strings.Join(names, "|")
	}
	if slices.ContainsFunc(p.rep.Facts, func(f detect.Fact) bool { return f.Key == FactDirectX && f.OverruledBy == "" }) {
		set[LabelDirectX] = "true"
	}
	if p.moved() {
		var ports []string
		for _, port := range p.plan.Config.Ports {
			ports = append(ports, strconv.Itoa(port))
		}
		set[LabelPorts] = strings.Join(ports, "|")
	}
	labels := p.plan.Config.Labels
	if labels == nil {
		labels = map[string]string{}
		p.plan.Config.Labels = labels
	}
	for key, value := range set {
		if _, given := labels[key]; !given {
			labels[key] = value
		}
	}
}

// writes are the folders that the app writes to, without those below another one
// and without the app's own, which a volume would hide.
func (p *planner) writes() []string {
	root := appDir
	if p.hosted() {
		root = siteDir
	}
	var all []string
	for _, w := range p.rep.Needs.Writes {
		if dir, err := windowsPath(root, w.Path); err == nil { // what can't be named has no folder
			all = append(all, dir)
		}
	}
	for _, s := range p.plan.Steps {
		if s.Kind == StepGrant {
			all = append(all, s.To)
		}
	}
	slices.Sort(all)
	var out []string
	for _, dir := range slices.Compact(all) {
		above := func(o string) bool { return strings.HasPrefix(strings.ToLower(dir), strings.ToLower(o)+`\`) }
		if !strings.EqualFold(dir, root) && !slices.ContainsFunc(out, above) {
			out = append(out, dir)
		}
	}
	return out
}

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

const maxEnvironmentName = 200

// EnvironmentNames are the variables that an app wants from outside, sorted:
// those that web.config sets to a secret, which the image leaves out, and those
// by which a .NET program takes another value for a secret that stands in an
// appsettings file (configuration keys with "__" for the colon).
func EnvironmentNames(rep detect.Report) []string {
	var names []string
	add := func(name string) {
		if len(name) <= maxEnvironmentName && environmentName.MatchString(name) {
			names = append(names, name)
		}
	}
	for _, f := range rep.Facts {
		if f.OverruledBy != "" {
			continue
		}
		switch f.Key {
		case "environment-dropped":
			if name, secret := DroppedSecret(f); secret {
				add(name)
			}
		case "secret":
			if k := rep.App.Kind; k != detect.KindASPNETCore && k != detect.KindDotNetService {
				continue
			}
			for _, e := range f.Evidence {
				if inSettings(e) { // where Detail is the key
					add(strings.ReplaceAll(e.Detail, ":", "__"))
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// DroppedSecret is the name of a variable that web.config sets to a secret, and
// that is left out of the image for it.
func DroppedSecret(f detect.Fact) (name string, ok bool) {
	name, why, _ := strings.Cut(f.Value, ": ")
	return name, f.Key == "environment-dropped" && strings.Contains(why, "secret")
}

// inSettings says whether a place is in a file of settings that .NET reads at the
// start, before it reads the environment.
func inSettings(e detect.Evidence) bool {
	return strings.EqualFold(e.Path, "appsettings.json") || strings.EqualFold(e.Path, "appsettings.Production.json")
}
