package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Values of --builder.
const (
	BuilderAuto     = "auto"
	BuilderDirect   = "direct"
	BuilderBuildKit = "buildkit"
	BuilderDocker   = "docker"
)

// BuilderNames are the values of --builder, the default first.
func BuilderNames() []string {
	return []string{BuilderAuto, BuilderDirect, BuilderBuildKit, BuilderDocker}
}

// Builders says which builder to use, and how BuildKit and Docker are reached.
type Builders struct {
	Name         string // BuilderAuto, ...; empty is auto
	BuildKitAddr string // empty means BuildKit's default
	BuildKitTLS  string // folder with ca.pem, cert.pem and key.pem
	DockerHost   string // empty means that of docker
	// Status receives BuildKit's own progress.
	Status func(*client.SolveStatus)
	// Hosts says which releases a Windows host builds.
	Hosts build.HostRule
}

// chosen is a builder and why it is the one.
type chosen struct {
	build.Builder
	name, why string
}

func (job Job) direct() build.Builder {
	return build.Direct{Registry: job.registry(), Session: job.Session, Engine: job.docker(), Learned: job.Learned.Of}
}

func (job Job) buildKit() build.BuildKit {
	b := job.Build.Builders
	return build.BuildKit{Registry: job.registry(), Addr: b.BuildKitAddr, TLSDir: b.BuildKitTLS, Hosts: b.Hosts, Status: b.Status}
}

func (job Job) docker() build.Docker {
	b := job.Build.Builders
	return build.Docker{Registry: job.registry(), Host: b.DockerHost, Hosts: b.Hosts}
}

// named is the builder that the user asked for; nil for auto.
func (job Job) named() *chosen {
	switch job.Build.Builders.Name {
	case BuilderDirect:
		return &chosen{job.direct(), BuilderDirect, "it was asked for"}
	case BuilderBuildKit:
		return &chosen{job.buildKit(), BuilderBuildKit, "it was asked for"}
	case BuilderDocker:
		return &chosen{job.docker(), BuilderDocker, "it was asked for"}
	}
	return nil
}

// pick is the builder for a plan. With auto, direct does what needs no Windows;
// else the worker of BuildKit and the engine of Docker are asked, in this order,
// and the first is taken that runs on Windows and can honour the request.
func (job Job) pick(ctx context.Context, req build.Request) (chosen, error) {
	if c := job.named(); c != nil {
		return *c, nil
	}
	unsupported := (*build.UnsupportedError)(nil)
	if err := (build.Direct{}).Supports(req.Plan); !errors.As(err, &unsupported) {
		return chosen{job.direct(), BuilderDirect, "no step needs Windows"}, err
	}
	c, err := job.pickOther(ctx, req, "this takes commands that run on Windows ("+strings.Join(unsupported.Reasons, "; ")+")", true)
	if none := (*NoBuilderError)(nil); errors.As(err, &none) {
		none.Planned = true
	}
	return c, err
}

// pickFor is pick for a Dockerfile that a person wrote. unsupported is why the
// direct builder can't build it, nil where it can.
func (job Job) pickFor(ctx context.Context, req build.Request, unsupported error) (chosen, error) {
	why := (*dockerfile.UnsupportedError)(nil)
	if unsupported != nil && !errors.As(unsupported, &why) {
		return chosen{}, unsupported
	}
	switch c := job.named(); {
	case c != nil && c.name == BuilderDirect && why != nil:
		return chosen{}, why
	case c != nil:
		return *c, nil
	case why == nil:
		return chosen{job.direct(), BuilderDirect, "the Dockerfile takes nothing but files"}, nil
	}
	return job.pickOther(ctx, req, fmt.Sprintf("%s:%d: %s: %s", why.File, why.Line, why.Instruction, why.Why), why.NeedsWindows())
}

// pickOther asks BuildKit's worker and Docker's engine what they run on. windows
// says that only Windows will do; an engine has to run on it in any case.
func (job Job) pickOther(ctx context.Context, req build.Request, needs string, windows bool) (chosen, error) {
	no := &NoBuilderError{Why: needs, Windows: windows}
	var unable error // what one that would do can't honour
	take := func(c chosen) bool {
		err := job.checked(c, req)
		unable = cmp.Or(unable, err)
		return err == nil
	}
	kit := job.buildKit()
	worker, err := kit.Worker(ctx)
	switch {
	case ctx.Err() != nil:
		return chosen{}, ctx.Err()
	case err != nil && kit.Addr == "":
		no.Tried = append(no.Tried, "no BuildKit address is given (--buildkit-addr, BUILDKIT_HOST), and none answers at the default one")
	case err != nil:
		no.note(err)
	case worker.OS == "windows" || !windows:
		c := chosen{kit, BuilderBuildKit, needs + "; the BuildKit worker runs on " + worker.Platforms[0]}
		if take(c) {
			return c, nil
		}
	default:
		no.Tried = append(no.Tried, "the BuildKit worker runs on "+worker.Platforms[0])
	}
	engine, err := job.docker().Engine(ctx)
	switch {
	case ctx.Err() != nil:
		return chosen{}, ctx.Err()
	case err != nil:
		no.note(err)
	case engine.OS == "windows":
		c := chosen{job.docker(), BuilderDocker, needs + "; the Docker engine runs on Windows " + engine.OSVersion}
		if take(c) {
			return c, nil
		}
	default:
		no.Tried = append(no.Tried, "the Docker engine runs Linux containers")
	}
	if unable != nil {
		return chosen{}, unable
	}
	return chosen{}, no
}

// checked is nil where a builder can honour a request.
func (job Job) checked(c chosen, req build.Request) error {
	if job.Build.nowhere() && c.name != BuilderDocker {
		return errNowhere(c.name)
	}
	err := c.Check(req)
	if other := (*build.CannotError)(nil); errors.As(err, &other) && req.Plan.Builder.Windows {
		other.Others = slices.DeleteFunc(other.Others, func(name string) bool { return name == BuilderDirect }) // which runs nothing
		if len(other.Others) > 0 {
			other.Others[len(other.Others)-1] += ", on Windows"
		}
	}
	return cannot(err)
}

// NoBuilderError says that the direct builder can't build something, and that no
// builder that could was found.
type NoBuilderError struct {
	Why     string // what takes another builder
	Tried   []string
	Windows bool // it takes Windows
	Planned bool // there is no Dockerfile of the user's
}

func (e *NoBuilderError) Error() string {
	worker := "a BuildKit worker"
	if e.Windows {
		worker += " on Windows"
	}
	text := fmt.Sprintf("%s, and no builder that could was found: %s; name a Docker engine on Windows by --docker-host, or %s by --buildkit-addr",
		e.Why, strings.Join(e.Tried, "; "), worker)
	if e.Planned {
		text += "; or write the Dockerfile with `winpack dockerfile`, and build it on Windows"
	}
	return text
}

// note adds why a builder was not reached; the cure is told once, at the end.
func (e *NoBuilderError) note(err error) {
	text := err.Error()
	if gone := (*build.UnreachableError)(nil); errors.As(err, &gone) {
		text = fmt.Sprintf("no %s answers at %s: %s", gone.Builder, gone.Addr, gone.Err)
	}
	e.Tried = append(e.Tried, strings.Join(strings.Fields(text), " "))
}
