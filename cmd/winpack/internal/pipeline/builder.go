package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/appdefaults"

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
	return build.Direct{Registry: job.registry(), Session: job.Session, Engine: job.docker()}
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
// and the first on Windows is taken.
func (job Job) pick(ctx context.Context, plan dockerfile.Plan) (chosen, error) {
	if c := job.named(); c != nil {
		return *c, nil
	}
	unsupported := (*build.UnsupportedError)(nil)
	if err := (build.Direct{}).Supports(plan); !errors.As(err, &unsupported) {
		return chosen{job.direct(), BuilderDirect, "no step needs Windows"}, err
	}
	return job.pickOther(ctx, "this takes commands that run on Windows ("+strings.Join(unsupported.Reasons, "; ")+")", true)
}

// pickFor is pick for a Dockerfile that a person wrote. unsupported is why the
// direct builder can't build it, nil where it can.
func (job Job) pickFor(ctx context.Context, unsupported error) (chosen, error) {
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
	return job.pickOther(ctx, fmt.Sprintf("%s:%d: %s: %s", why.File, why.Line, why.Instruction, why.Why), why.NeedsWindows())
}

// pickOther asks BuildKit's worker and Docker's engine what they run on. windows
// says that only Windows will do; an engine has to run on it in any case.
func (job Job) pickOther(ctx context.Context, needs string, windows bool) (chosen, error) {
	var tried []string
	note := func(err error) {
		tried = append(tried, strings.Join(strings.Fields(err.Error()), " "))
	}
	if kit := job.buildKit(); kit.Addr != "" || defaultBuildKit() {
		worker, err := kit.Worker(ctx)
		where := strings.Join(worker.Platforms[:min(1, len(worker.Platforms))], "")
		switch {
		case err != nil:
			note(err)
		case worker.OS == "windows" || !windows:
			return chosen{kit, BuilderBuildKit, needs + "; the BuildKit worker runs on " + where}, nil
		default:
			note(fmt.Errorf("the BuildKit worker runs on %s", where))
		}
	} else {
		note(errors.New("no BuildKit address is given (--buildkit-addr, BUILDKIT_HOST)"))
	}
	engine, err := job.docker().Engine(ctx)
	switch {
	case ctx.Err() != nil:
		return chosen{}, ctx.Err()
	case err != nil:
		note(err)
	case engine.OS == "windows":
		return chosen{job.docker(), BuilderDocker, needs + "; the Docker engine runs on Windows " + engine.OSVersion}, nil
	default:
		note(errors.New("the Docker engine runs Linux containers"))
	}
	return chosen{}, &NoBuilderError{needs, tried, windows}
}

// defaultBuildKit says whether something listens where BuildKit does by default.
func defaultBuildKit() bool {
	socket, ok := strings.CutPrefix(appdefaults.Address, "unix://")
	if !ok {
		return false
	}
	_, err := os.Stat(socket)
	return err == nil
}

// NoBuilderError says that the direct builder can't build something, and that no
// builder that could was found.
type NoBuilderError struct {
	Why     string // what takes another builder
	Tried   []string
	Windows bool // it takes Windows
}

func (e *NoBuilderError) Error() string {
	worker := "a BuildKit worker"
	if e.Windows {
		worker += " on Windows"
	}
	return fmt.Sprintf("%s, and no builder that could was found: %s; name a Docker engine on Windows by --docker-host, or %s by --buildkit-addr",
		e.Why, strings.Join(e.Tried, "; "), worker)
}
