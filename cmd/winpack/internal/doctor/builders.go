package doctor

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/winpack/winpack/pkg/build"
)

// Probe asks a builder what it is. It ends with its context, and never prompts.
type Probe func(context.Context) (Answer, error)

// Answer is what a builder says of itself. What it doesn't say is empty.
type Answer struct {
	Version      string
	OS           string // "windows" or "linux": what its containers are
	Architecture string
	OSVersion    string // of its machine, in its own words
	Build        string // of a machine with Windows: 10.0.BUILD, with the revision where it is told
	Isolation    string // of a Windows engine, unless asked for another: "process" or "hyperv"
}

// BuildKit asks as winpack build does.
func BuildKit(b build.BuildKit) Probe {
	return func(ctx context.Context) (Answer, error) {
		w, err := b.Worker(ctx)
		return Answer{Version: w.Version, OS: w.OS, Architecture: w.Architecture, Build: w.OSVersion}, reason(err)
	}
}

// Docker asks as winpack build does.
func Docker(d build.Docker) Probe {
	return func(ctx context.Context) (Answer, error) {
		e, err := d.Engine(ctx)
		a := Answer{Version: e.Version, OS: e.OS, Architecture: e.Architecture, OSVersion: e.OSName, Build: e.OSVersion}
		if e.OS == osWindows {
			a.Isolation = cmp.Or(e.Isolation, "default")
		}
		return a, reason(err)
	}
}

// reason is why a builder does not answer; where it is stands beside it.
func reason(err error) error {
	if gone := (*build.UnreachableError)(nil); errors.As(err, &gone) {
		return gone.Err
	}
	return err
}

// osWindows is what Answer.OS is of a builder that runs Windows containers.
const osWindows = "windows"

// Target is a builder to ask.
type Target struct {
	Name    string // "buildkit" or "docker"
	Address string
	From    string // who named the address: a flag, a variable, a docker context, or "default"
	Named   bool   // somebody did
	Flag    bool   // it was named on the command line
	Probe   Probe
}

// Release is a Windows release that is built unless others are asked for.
type Release struct {
	OS        string // "ltsc2022"
	OSVersion string // 10.0.BUILD
}

// Builds says whether a builder's Windows host builds a release.
type Builds struct {
	OS     string `json:"os"`
	Builds bool   `json:"builds"`
	Why    string `json:"why"` // not; empty where it does
}

// Builder is what is known of a builder.
type Builder struct {
	Name  string `json:"name"`
	Works bool   `json:"works"` // it can build Windows images
	// RunsWindows says that it can do RUN steps of Windows.
	RunsWindows  bool   `json:"runsWindows"`
	Address      string `json:"address"`     // empty for direct
	AddressFrom  string `json:"addressFrom"` // who named it
	Answers      bool   `json:"answers"`
	Version      string `json:"version"`
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	OSVersion    string `json:"osVersion"`
	Isolation    string `json:"isolation"` // of a Windows engine, by default
	// Releases are those of the default and whether its Windows host builds them; empty
	// where the host is none of Windows, or does not say its build.
	Releases []Builds `json:"releases"`
	Does     string   `json:"does"`    // what it builds, for people
	Problem  string   `json:"problem"` // why it does not work
	Remedy   string   `json:"remedy"`
}

// direct is winpack's own builder. It works wherever winpack does, as long as
// credentials can be read: without them it can ask no registry.
func direct(c Credentials) Builder {
	b := Builder{
		Name: "direct", Works: true, Answers: true, Releases: []Builds{},
		Does: "every plan without a RUN step, for each Windows release; needs no daemon, and a registry or a folder (--base oci:DIR) for the base",
	}
	if problem := c.stops(); problem != "" {
		b.Works, b.Problem = false, problem
		b.Remedy = "mend what is said of credentials: until then no registry can be asked"
	}
	return b
}

// judge says what a builder's answer is worth.
func (o Options) judge(t Target, a Answer, err error) Builder {
	b := Builder{
		Name: t.Name, Address: build.Mask(t.Address), AddressFrom: t.From, Releases: []Builds{},
		Version: a.Version, OS: a.OS, Architecture: a.Architecture, OSVersion: cmp.Or(a.OSVersion, a.Build), Isolation: a.Isolation,
	}
	switch {
	case err != nil:
		b.Problem = err.Error()
		b.Remedy = "start it, or name another address with " + flagOf(t.Name)
	case a.OS == osWindows:
		b.Answers, b.Works, b.RunsWindows = true, true, true
		b.Does = "every plan, RUN steps of Windows too"
		if a.Build == "" {
			b.Does += ", for releases that its Windows can run; it does not say its build"
			break
		}
		for _, r := range o.Releases {
			why := ""
			if err := o.Hosts(a.Build, r.OSVersion, ""); err != nil {
				why = err.Error()
			}
			b.Releases = append(b.Releases, Builds{r.OS, why == "", why})
		}
		b.Does += ", for " + cmp.Or(strings.Join(b.builds(true), " and "), "older releases than those of the default (--os)")
	case t.Name == "buildkit":
		b.Answers, b.Works = true, true
		b.Does = "Dockerfiles without a RUN step of Windows"
	default:
		b.Answers = true
		b.Problem = "the engine runs " + cmp.Or(a.OS, "other") + " containers, and builds no Windows image"
		b.Remedy = "switch it to Windows containers (Docker Desktop on Windows can), or build with --builder direct where no RUN step is needed"
	}
	return b
}

// builds are the releases that it builds, or that it does not.
func (b Builder) builds(does bool) []string {
	var names []string
	for _, r := range b.Releases {
		if r.Builds == does {
			names = append(names, r.OS)
		}
	}
	return names
}

func flagOf(builder string) string {
	if builder == "buildkit" {
		return "--buildkit-addr"
	}
	return "--docker-host"
}
