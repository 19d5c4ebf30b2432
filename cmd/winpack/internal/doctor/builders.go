package doctor

import (
	"cmp"
	"context"
	"strings"
)

// Probe asks a builder what it is. It ends with its context, and never prompts.
type Probe func(context.Context) (Answer, error)

// Answer is what a builder says of itself. What it doesn't say is empty.
type Answer struct {
	Version      string
	OS           string // "windows" or "linux": what its containers are
	Architecture string
	OSVersion    string // of its machine, in its own words
	Isolation    string // of a Windows engine, unless asked for another: "process" or "hyperv"
}

// Target is a builder to ask.
type Target struct {
	Name    string // "buildkit" or "docker"
	Address string
	From    string // who named the address: a flag, a variable, or "default"
	Named   bool   // somebody did
	Flag    bool   // it was named on the command line
	Note    string // what people should know where it doesn't answer
	Probe   Probe
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
	Does         string `json:"does"`      // what it builds, for people
	Problem      string `json:"problem"`   // why it does not work
	Remedy       string `json:"remedy"`
}

// direct is winpack's own builder. It works wherever winpack does, as long as
// credentials can be read: without them it can ask no registry.
func direct(c Credentials) Builder {
	b := Builder{
		Name: "direct", Works: true, Answers: true,
		Does: "every plan without a RUN step, for each Windows release; needs no daemon, and a registry or a folder (--base oci:DIR) for the base",
	}
	if problem := c.stops(); problem != "" {
		b.Works, b.Problem = false, problem
		b.Remedy = "mend what is said of credentials: until then no registry can be asked"
	}
	return b
}

// judge says what a builder's answer is worth.
func judge(t Target, a Answer, err error) Builder {
	b := Builder{
		Name: t.Name, Address: Mask(t.Address), AddressFrom: t.From,
		Version: a.Version, OS: a.OS, Architecture: a.Architecture, OSVersion: a.OSVersion, Isolation: a.Isolation,
	}
	windows := strings.EqualFold(a.OS, "windows")
	switch {
	case err != nil:
		b.Problem = err.Error()
		if t.Note != "" {
			b.Problem += "; " + t.Note
		}
		b.Remedy = "start it, or name another address with " + flagOf(t.Name)
	case windows:
		b.Answers, b.Works, b.RunsWindows = true, true, true
		b.Does = "every plan, RUN steps of Windows too"
		if t.Name == "docker" {
			b.Does += ", for releases that its Windows can run"
		}
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

func flagOf(builder string) string {
	if builder == "buildkit" {
		return "--buildkit-addr"
	}
	return "--docker-host"
}
