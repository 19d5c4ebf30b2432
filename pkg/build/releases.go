package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// keepNeeded leaves out the releases that nothing asks for: docker load holds one, that
// of the engine where it is loaded, else the first. loads says that it is loaded where
// no destination is named. The order is that in which they are made: what an engine
// keeps comes last. The error is that of an annotation of an index which is not made.
func (j *job) keepNeeded(host string, loads bool) error {
	j.cutToNeeded(host, loads)
	return CheckAnnotations(j.req.Annotations, len(j.sources))
}

func (j *job) cutToNeeded(host string, loads bool) {
	if j.req.Push || len(j.req.Outputs) == 0 && !loads {
		return
	}
	file, load := false, len(j.req.Outputs) == 0
	for _, o := range j.req.Outputs {
		switch {
		case o.Type != "docker":
			return
		case o.Dest == "":
			load = true
		default:
			file = true
		}
	}
	var kept []source
	own := ownRelease(j.sources, host)
	for i, s := range j.sources {
		switch {
		case i == 0 && file && !(load && own == 0):
			kept = append(kept, s)
		case load && i == own:
		default:
			why := "an image for docker load holds one release"
			j.omitted = append(j.omitted, dockerfile.Omitted{OS: s.OS, Why: why})
			j.say("resolve", s.OS, "%s is left out: %s", s.OS, why)
		}
	}
	if load {
		kept = append(kept, j.sources[own])
	}
	j.sources = kept
}

// keepReleases leaves out what a Windows host can't run, or refuses it where it was
// asked for.
func (j *job) keepReleases(hosts HostRule, host string) error {
	if host == "" || hosts == nil {
		return nil
	}
	var kept []source
	for _, s := range j.sources {
		err := hosts(host, s.OSVersion, j.req.Isolation)
		if err == nil {
			kept = append(kept, s)
			continue
		}
		why := err.Error()
		if !j.req.Optional {
			return &HostError{OS: s.OS, Why: why}
		}
		j.omitted = append(j.omitted, dockerfile.Omitted{OS: s.OS, Why: why})
		j.say("resolve", s.OS, "%s is left out: %s", s.OS, why)
	}
	if len(kept) == 0 {
		return &HostError{OS: j.sources[0].OS, Why: j.omitted[len(j.omitted)-1].Why}
	}
	j.sources = kept
	return nil
}

// HostRule says whether a Windows host can run, and so build, an image: nil, or why
// not. Both are versions like 10.0.20348.2966, isolation is "process", "hyperv" or
// empty for the host's default.
type HostRule func(host, image, isolation string) error

// HostError is a release that was asked for and that the builder's host can't run.
type HostError struct{ OS, Why string }

func (e *HostError) Error() string {
	return fmt.Sprintf("--os %s: %s; build it on a host of that release, or newer", e.OS, e.Why)
}

// ownRelease is the index of the host's own release, else of the first.
func ownRelease(sources []source, host string) int {
	return max(0, slices.IndexFunc(sources, func(s source) bool {
		return host != "" && sameBuild(s.OSVersion, strings.Join(strings.Split(host, ".")[:3], "."))
	}))
}
