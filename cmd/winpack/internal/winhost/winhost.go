package winhost

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Build is a Windows build. Revision is -1 where it is not known.
type Build struct{ Number, Revision int }

// String is the build as os.version spells it.
func (b Build) String() string {
	if b.Revision < 0 {
		return fmt.Sprintf("10.0.%d", b.Number)
	}
	return fmt.Sprintf("10.0.%d.%d", b.Number, b.Revision)
}

// ParseBuild reads a Windows build: "10.0.26100", "10.0.26100.1742" or "26100".
func ParseBuild(s string) (Build, error) {
	bad := fmt.Errorf("%q is no Windows build: write it like 10.0.BUILD, 10.0.BUILD.REVISION or BUILD (on the host, `ver` shows it)", s)
	number, ok := strings.CutPrefix(s, "10.0.")
	b := Build{Revision: -1}
	var err error
	if before, after, cut := strings.Cut(number, "."); cut && ok {
		if b.Revision, err = parseNumber(after); err != nil {
			return Build{}, bad
		}
		number = before
	}
	if b.Number, err = parseNumber(number); err != nil || b.Number == 0 {
		return Build{}, bad
	}
	return b, nil
}

func parseNumber(s string) (int, error) {
	if s == "" || len(s) > 7 || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(s)
}

// Host is a machine that runs containers.
type Host struct {
	Build
	// Name is fit to print: "Windows Server 2022 (10.0.BUILD)".
	Name   string
	Client bool

	id string // of its row; empty where the table does not have it
}

// Server is the host of a build whose edition is not known: a server where
// servers have that build, as most hosts of containers are.
func (t *Table) Server(b Build) Host {
	if h := t.host(b, false); h.id != "" {
		return h
	}
	if h := t.host(b, true); h.id != "" {
		return h
	}
	return t.host(b, false)
}

// Host is the host of a build, where it is known whether it is a client.
func (t *Table) Host(b Build, client bool) Host { return t.host(b, client) }

func (t *Table) host(b Build, client bool) Host {
	for _, row := range t.Hosts {
		if row.Client == client && b.Number >= row.Builds[0] && b.Number <= row.Builds[1] {
			return Host{b, fmt.Sprintf("%s (%s)", row.Name, b), client, row.ID}
		}
	}
	return Host{b, fmt.Sprintf("Windows %s", b), client, ""}
}

// release is the name of a container's release, or its build where it has none.
func (t *Table) release(c Build) string {
	for _, row := range t.Containers {
		if row.Build == c.Number {
			return row.ID
		}
	}
	return ""
}

// state says how a container of build c fares on a host.
func (t *Table) state(h Host, c Build, isolation string) (state, note string) {
	state, note = t.ofBuilds(h, c, isolation)
	if isolation != Process || state == no || h.Number != c.Number || h.Revision < 0 || c.Revision < 0 {
		return state, note
	}
	for _, s := range t.Splits {
		if s.Build == c.Number && (h.Revision < s.Revision) != (c.Revision < s.Revision) {
			return no, s.Note
		}
	}
	if h.Revision < c.Revision && slices.Contains(t.StaleHost.Builds, c.Number) {
		note = cmp.Or(note, t.StaleHost.Note)
	}
	return state, note
}

// ofBuilds is state without what revisions of one build change.
func (t *Table) ofBuilds(h Host, c Build, isolation string) (state, note string) {
	release := t.release(c)
	for _, p := range t.Pairs {
		if p.Host != h.id || p.Container != release {
			continue
		}
		state = p.HyperV
		if isolation == Process {
			state = p.Process
		}
		if state == sameRevision {
			switch {
			case h.Revision < 0 || c.Revision < 0:
				return unknown, p.Note
			case h.Revision == c.Revision:
				return yes, p.Note
			}
			return no, p.Note
		}
		return state, p.Note
	}
	switch {
	case c.Number > h.Number:
		return no, ""
	case isolation == HyperV || t.fits(h, c):
		return yes, ""
	}
	return no, ""
}

// fits is the rule by which the runtime tells whether a host takes a container in
// process isolation, and an image of an index at all.
func (t *Table) fits(h Host, c Build) bool {
	floor := t.Rule.Stable[0]
	if h.Number < floor {
		return c.Number == h.Number
	}
	for _, s := range t.Rule.Stable {
		if s < h.Number {
			floor = s
		}
	}
	return c.Number >= floor && c.Number <= h.Number
}

// CanRun says whether a host runs, and so builds, a container: nil, or why not.
// isolation is Process, HyperV, or empty for either.
func (t *Table) CanRun(host, container Build, isolation string) error {
	h := t.Server(host)
	isolations := []string{Process, HyperV}
	if isolation != "" {
		isolations = []string{isolation}
	}
	for _, i := range isolations {
		if state, _ := t.state(h, container, i); state != no {
			return nil
		}
	}
	how := "under no isolation"
	if isolation != "" {
		how = "not under isolation " + isolation
	}
	return fmt.Errorf("%s runs an image of %s %s", h.Name, cmp.Or(t.release(container), container.String()), how)
}

// Choice is how to run an image on a host.
type Choice struct {
	// Image is the index of the image that was chosen.
	Image int
	// Isolation is Process or HyperV; empty where no image says its build.
	Isolation string
	// ByName is false where the engine of that host would find another image, or
	// none, under the reference of the index: the image has to be named by digest.
	ByName bool
	// Note says what there is to know, or is empty.
	Note string
}

// RefusedError says why a host runs none of the images.
type RefusedError struct {
	Host   string
	Images []string // os.version of each, with the release
	Why    string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the image is for %s, which %s runs under no isolation: %s", strings.Join(e.Images, " and "), e.Host, e.Why)
}

// Choose picks, of an image's builds (one for each entry of its index), the one
// that runs best on a host, and the isolation. directX leaves only the isolation
// that devices work in. The error is a *RefusedError.
func (t *Table) Choose(h Host, images []Build, directX bool) (Choice, error) {
	fallback := t.DefaultIsolation.Server
	if h.Client {
		fallback = t.DefaultIsolation.Client
	}
	isolations := []string{Process, HyperV}
	if directX {
		isolations = []string{t.DirectX.Isolation}
	}
	type candidate struct {
		Choice
		rank  int
		build Build
	}
	var all []candidate
	var shown []string
	allNewer, told := true, false
	for i, c := range images {
		if c.Number == 0 { // an image without os.version matches every host
			continue
		}
		told = true
		name := c.String()
		if release := t.release(c); release != "" {
			name = release + " (" + name + ")"
		}
		shown = append(shown, name)
		allNewer = allNewer && c.Number > h.Number
		for _, isolation := range isolations {
			state, note := t.state(h, c, isolation)
			rank := slices.Index([]string{no, broken, unknown, yes}, state)
			if rank > 0 {
				all = append(all, candidate{Choice{Image: i, Isolation: isolation, Note: note}, rank, c})
			}
		}
	}
	if !told {
		return Choice{ByName: true}, nil
	}
	if len(all) == 0 {
		why := "process isolation takes only builds near its own, and devices work in no other; build the image for the host's release with --os"
		switch {
		case allNewer:
			why = "a container newer than its host never works; build the image for the host's release with --os, or take a newer host"
		case !directX:
			why = "build the image for the host's release with --os"
		}
		return Choice{}, &RefusedError{h.Name, shown, why}
	}
	best := slices.MaxFunc(all, func(a, b candidate) int {
		byDefault := func(c candidate) int {
			if c.Isolation == fallback {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(byDefault(a), byDefault(b)), compare(a.build, b.build))
	})
	best.ByName = len(images) == 1 || t.found(h, images) == best.Image
	return best.Choice, nil
}

// found is the image that an engine takes from an index: of those that fit in
// process isolation the newest; -1 for none.
func (t *Table) found(h Host, images []Build) int {
	best := -1
	for i, c := range images {
		if t.fits(h, c) && (best < 0 || compare(c, images[best]) > 0) {
			best = i
		}
	}
	return best
}

func compare(a, b Build) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Revision, b.Revision))
}

// Node is a kind of Windows node.
type Node struct {
	Build string // as in the label node.kubernetes.io/windows-build
	Name  string
	Note  string
	// Older are the releases of the image that the node runs although they are
	// older than its own.
	Older []string
}

// Nodes are the Windows nodes that Kubernetes has, or a cloud still has, and that
// run containers of at least one of the builds in process isolation, which is the
// only one that Kubernetes supports. Their order is that of their builds.
func (t *Table) Nodes(containers []Build) []Node {
	var nodes []Node
	for _, row := range t.Hosts {
		if row.Kubernetes != nodesSupported && row.Kubernetes != nodesSome {
			continue
		}
		h := t.Host(Build{row.Builds[0], -1}, false)
		n := Node{Build: h.Build.String(), Name: row.Name, Note: row.Note}
		runs := false
		for _, c := range containers {
			if state, _ := t.state(h, c, Process); state == yes {
				runs = true
				if c.Number < h.Number {
					n.Older = append(n.Older, cmp.Or(t.release(c), c.String()))
				}
			}
		}
		if runs {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
