// Package doctor looks at what a machine can build with: builders, registries,
// credentials, settings. It gives the document winpack/doctor/v1, and the text
// that is a view of it. It asks and changes nothing, runs no credential helper,
// and shows no secret.
package doctor

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/winpack/winpack/pkg/build"
)

// ID names the JSON schema of a Document.
const ID = "winpack/doctor/v1"

// Schema is the JSON Schema of a Document.
//
//go:embed doctor.schema.json
var Schema []byte

// Document is what was found. Every list is present, empty or not.
type Document struct {
	Schema string `json:"schema"`
	// Works says that at least one builder works and that everything answers which
	// was named on the command line.
	Works       bool        `json:"works"`
	Missing     []Missing   `json:"missing"`
	Builders    []Builder   `json:"builders"`
	Registries  []Registry  `json:"registries"`
	Credentials Credentials `json:"credentials"`
	Settings    []Setting   `json:"settings"`
	Machine     Machine     `json:"machine"`
	Catalog     Catalog     `json:"catalog"`
}

// Missing is something that is not there, and what to do about it.
type Missing struct {
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// Setting is an environment variable that is set, or a mirror. Credentials in its
// value are masked.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Catalog says of which day the data of base images is. Dates are ISO.
type Catalog struct {
	AsOf         string `json:"asOf"`         // that support is told of
	NewestSource string `json:"newestSource"` // empty when unknown
}

// Options say what to look at.
type Options struct {
	Targets []Target // builders that are asked
	// Releases are those of the default, and Hosts says which of them a Windows host
	// builds.
	Releases   []Release
	Hosts      build.HostRule
	Registries []RegistryTarget
	// CredentialFiles are where credentials are looked for, in that order.
	CredentialFiles []string
	Settings        []Setting
	Catalog         Catalog
	// Temp is the folder for temporary files, Dir the current one.
	Temp, Dir string
	// Timeout bounds each question.
	Timeout time.Duration
}

// Check asks all at the same time. The error is that of ctx.
func Check(ctx context.Context, o Options) (Document, error) {
	d := Document{
		Schema: ID, Missing: []Missing{}, Settings: []Setting{}, Catalog: o.Catalog,
		Builders:   make([]Builder, 1+len(o.Targets)),
		Registries: make([]Registry, len(o.Registries)),
	}
	mask := build.Masker(o.addresses()...)
	d.Credentials = readCredentials(o.CredentialFiles)
	d.Builders[0] = direct(d.Credentials)
	skews := make([]*skew, len(o.Registries))
	var asking sync.WaitGroup
	for i, t := range o.Targets {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, o.Timeout)
			defer cancel()
			answer, err := t.Probe(ctx)
			d.Builders[1+i] = o.judge(t, answer, err)
			d.Builders[1+i].Problem = mask(d.Builders[1+i].Problem)
		})
	}
	for i, t := range o.Registries {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, o.Timeout)
			defer cancel()
			d.Registries[i], skews[i] = askRegistry(ctx, t)
			d.Registries[i].Problem = mask(d.Registries[i].Problem)
			d.Registries[i].Credentials = d.Credentials.of(t.asked())
		})
	}
	d.Machine = lookAt(o.Temp, o.Dir)
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return d, err
	}
	for _, s := range skews {
		if s != nil && d.Machine.Clock.Against == "" {
			d.Machine.Clock.Against, d.Machine.Clock.AheadSeconds = s.host, s.seconds
		}
	}
	for _, s := range o.Settings {
		d.Settings = append(d.Settings, Setting{s.Name, build.Mask(s.Value)})
	}
	d.conclude(o)
	return d, nil
}

// addresses are all that may hold a name and a password.
func (o Options) addresses() []string {
	var all []string
	for _, t := range o.Targets {
		all = append(all, t.Address)
	}
	for _, s := range o.Settings {
		all = append(all, s.Value)
	}
	return all
}

// conclude says what is missing, and whether the machine can build.
func (d *Document) conclude(o Options) {
	miss := func(what, remedy string) { d.Missing = append(d.Missing, Missing{what, remedy}) }
	runs := false
	for i, b := range d.Builders {
		d.Works = d.Works || b.Works
		runs = runs || b.RunsWindows
		if !b.Works && b.Remedy != "" && (i == 0 || o.Targets[i-1].Named || b.Answers) {
			miss(b.Name+": "+b.Problem, b.Remedy)
		}
	}
	if !runs {
		miss("a builder for RUN steps of Windows (features, installers)",
			"start a Docker engine that runs Windows containers, or BuildKit on Windows, and name it with --docker-host or --buildkit-addr; plans without such steps don't need it")
	}
	if names := d.unbuilt(o.Releases); len(names) > 0 {
		miss("a builder for RUN steps of "+strings.Join(names, " and "),
			"name one on a host of that release, or newer, with --docker-host or --buildkit-addr; without, an app that needs such steps is built for other releases alone")
	}
	for i, b := range d.Builders[1:] {
		if o.Targets[i].Flag && !b.Answers {
			d.Works = false
		}
	}
	for i, r := range d.Registries {
		if !r.Answers {
			miss(r.Host+": "+r.Problem, r.Remedy)
			if o.Registries[i].Named {
				d.Works = false
			}
		}
	}
	for _, f := range d.Credentials.Files {
		if f.Problem != "" {
			miss("credentials of "+f.Path+": "+f.Problem, "mend or remove the file, or log in again with `docker login` or `podman login`")
		}
		for _, h := range f.Helpers {
			if !h.Found {
				miss("the credential helper "+h.Name+", which "+f.Path+" names", "install it into the PATH, or take it out of the file")
			}
		}
	}
	if t := d.Machine.Temp; !t.Writable {
		miss("a folder for temporary files: "+t.Problem, "let TMPDIR (on Windows TMP) name a folder that may be written to")
	}
	if c := d.Machine.Clock; c.AheadSeconds > maxSkew || c.AheadSeconds < -maxSkew {
		miss("the right time: the clock is "+ahead(c), "set it: logins and certificates fail with a wrong clock")
	}
}

// unbuilt are the releases that no builder can run a step of Windows for, though one
// can for others.
func (d *Document) unbuilt(releases []Release) []string {
	able := slices.DeleteFunc(slices.Clone(d.Builders), func(b Builder) bool { return !b.RunsWindows })
	if len(able) == 0 {
		return nil
	}
	var names []string
	for i, r := range releases {
		// One that does not say its build may build them all.
		if !slices.ContainsFunc(able, func(b Builder) bool { return len(b.Releases) == 0 || b.Releases[i].Builds }) {
			names = append(names, r.OS)
		}
	}
	return names
}

// maxSkew is how wrong a clock may be, in seconds, before it is told. Tokens are
// given some minutes of grace.
const maxSkew = 120
