// Package winhost knows which Windows hosts run which Windows containers, and
// under which isolation. It decides from an embedded table with sources; for
// pairs that the table does not have it follows the rule that the container
// runtime itself checks.
package winhost

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/BurntSushi/toml"
)

//go:embed hosts.toml
var hostsText string

// Isolation of a container from its host, as docker run spells it.
const (
	Process = "process"
	HyperV  = "hyperv"
)

// What the table says of a pair under one isolation.
const (
	yes          = "yes"
	no           = "no"
	sameRevision = "same-revision" // yes where the revisions are equal
	broken       = "broken"        // documented, and reported to fail
	unknown      = "unknown"
)

// Values of hostRow.Kubernetes.
const (
	nodesSupported = "supported"
	nodesSome      = "some" // no more by Kubernetes itself, still by a cloud
	nodesRetired   = "retired"
	nodesNever     = "never"
)

type hostRow struct {
	ID         string   `toml:"id"`
	Name       string   `toml:"name"`
	Client     bool     `toml:"client"`
	Builds     [2]int   `toml:"builds"` // from and to
	Kubernetes string   `toml:"kubernetes"`
	Note       string   `toml:"note"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

type containerRow struct {
	ID         string   `toml:"id"`
	Build      int      `toml:"build"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

type pairRow struct {
	Host       string   `toml:"host"`
	Container  string   `toml:"container"`
	Process    string   `toml:"process"`
	HyperV     string   `toml:"hyperv"`
	Note       string   `toml:"note"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// splitRow is a revision of a build: in process isolation host and container are both
// older, or both not.
type splitRow struct {
	Build      int      `toml:"build"`
	Revision   int      `toml:"revision"`
	Note       string   `toml:"note"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// Table is what is known. It is read-only.
type Table struct {
	Schema  string            `toml:"schema"`
	AsOf    any               `toml:"as_of"`
	Sources map[string]string `toml:"sources"`
	Rule    struct {
		Stable     []int    `toml:"stable"` // builds, ascending
		Source     []string `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"rule"`
	DefaultIsolation struct {
		Server     string   `toml:"server"`
		Client     string   `toml:"client"`
		Source     []string `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"default_isolation"`
	// StaleHost are builds of which an older host may refuse a newer container.
	StaleHost struct {
		Builds     []int    `toml:"builds"`
		Note       string   `toml:"note"`
		Source     []string `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"stale_host"`
	Splits     []splitRow     `toml:"split"`
	DirectX    DirectX        `toml:"directx"`
	Hosts      []hostRow      `toml:"host"`
	Containers []containerRow `toml:"container"`
	Pairs      []pairRow      `toml:"pair"`
}

// DirectX is what a container takes that uses a graphics card.
type DirectX struct {
	Device     string   `toml:"device"`    // of docker run --device
	Isolation  string   `toml:"isolation"` // the only one that it works in
	Families   []string `toml:"families"`  // image families that have DirectX
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// Load reads the embedded table once. It must not be changed.
var Load = sync.OnceValues(func() (*Table, error) { return parse(hostsText) })

// parse reads a table strictly: a mistake in it shows up in the first test that
// loads it.
func parse(text string) (*Table, error) {
	t := new(Table)
	meta, err := toml.Decode(text, t)
	if err != nil {
		return nil, fmt.Errorf("parsing hosts.toml: %w", err)
	}
	if left := meta.Undecoded(); len(left) > 0 {
		return nil, fmt.Errorf("parsing hosts.toml: unknown key %q", left[0].String())
	}
	return t, t.check()
}

func (t *Table) check() error {
	fail := func(what string, args ...any) error { return fmt.Errorf("parsing hosts.toml: "+what, args...) }
	sourced := func(source []string, confidence string) bool {
		for _, s := range source {
			if t.Sources[s] == "" {
				return false
			}
		}
		return len(source) > 0 && slices.Contains([]string{"high", "medium", "low"}, confidence)
	}
	if !sourced(t.Rule.Source, t.Rule.Confidence) || !slices.IsSorted(t.Rule.Stable) || len(t.Rule.Stable) == 0 ||
		!sourced(t.DefaultIsolation.Source, t.DefaultIsolation.Confidence) || !sourced(t.DirectX.Source, t.DirectX.Confidence) {
		return fail("rule, default_isolation or directx has no source, or is not complete")
	}
	if len(t.StaleHost.Builds) == 0 || t.StaleHost.Note == "" || !sourced(t.StaleHost.Source, t.StaleHost.Confidence) {
		return fail("stale_host has no source, or is not complete")
	}
	for _, s := range t.Splits {
		if s.Build <= 0 || s.Revision <= 0 || s.Note == "" || !sourced(s.Source, s.Confidence) {
			return fail("split of build %d", s.Build)
		}
	}
	ids := map[string]bool{}
	for _, h := range t.Hosts {
		known := slices.Contains([]string{nodesSupported, nodesSome, nodesRetired, nodesNever}, h.Kubernetes)
		if h.ID == "" || h.Name == "" || ids[h.ID] || h.Builds[0] <= 0 || h.Builds[1] < h.Builds[0] || known == h.Client || !sourced(h.Source, h.Confidence) {
			return fail("host %q", h.ID)
		}
		ids[h.ID] = true
	}
	builds := map[string]bool{}
	for _, c := range t.Containers {
		if c.ID == "" || builds[c.ID] || c.Build <= 0 || !sourced(c.Source, c.Confidence) {
			return fail("container %q", c.ID)
		}
		builds[c.ID] = true
	}
	states := []string{yes, no, sameRevision, broken, unknown}
	seen := map[string]bool{}
	for _, p := range t.Pairs {
		name := p.Host + " " + p.Container
		if !ids[p.Host] || !builds[p.Container] || seen[name] || !slices.Contains(states, p.Process) || !slices.Contains(states, p.HyperV) || !sourced(p.Source, p.Confidence) {
			return fail("pair %q", name)
		}
		seen[name] = true
	}
	return nil
}
