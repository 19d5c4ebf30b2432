package main

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/doctor"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// doctorTimeout bounds each question of doctor, as a build does it. All are asked at the
// same time.
const doctorTimeout = build.AnswerTime

func doctorCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "say what this machine can build with, and what is missing",
		UsageText: "winpack doctor [REGISTRY...] [flags]",
		Description: `Asks the builders, the registry of base images and each REGISTRY (HOST, HOST:PORT, or the name of an image)
whether they answer, and looks at credentials, settings, disk and clock. BuildKit and Docker are found and asked
as winpack build does it: by flags, variables, and the context of docker. Nothing is built and nothing logs in: no
credential helper is run, and no secret is shown.

  winpack doctor
  winpack doctor registry.example.com/site:1            and the registry that the image is for
  winpack doctor --mirror mcr.microsoft.com=registry.example.com/mcr
  winpack doctor --docker-host tcp://build-01:2375

Exits 0 when at least one builder works and everything answers that the command line names (each REGISTRY,
--buildkit-addr, --docker-host), else 1. The direct builder works wherever credentials can be read. That the
registry of base images does not answer is told and is no failure: a mirror or a folder may stand in for it.
--format json prints winpack/doctor/v1.`,
		Flags: []cli.Flag{
			buildkitAddrFlag(), buildkitTLSFlag(), dockerHostFlag(),
			sliceFlag("mirror", "`HOST=MIRROR` ask MIRROR instead of HOST (repeatable)"),
			sliceFlag("insecure-registry", "`HOST` allow plain http to this registry; HOST includes the port (repeatable)"),
			stringFlag("config", "`FILE` winpack.toml with settings to go by"),
			stringFlag("format", "`FORMAT` text or json (default: text)"),
		},
		Action: func(c *cli.Context) error {
			format, err := formatOf(c)
			if err != nil {
				return err
			}
			options, err := doctorOptions(c, e)
			if err != nil {
				return err
			}
			found, err := doctor.Check(c.Context, options)
			if err != nil {
				return err
			}
			if format == "json" {
				err = writeJSON(e.stdout, found)
			} else {
				err = found.Text(e.stdout)
			}
			if err == nil && !found.Works {
				err = notHealthy(found)
			}
			return err
		},
	}
}

// notHealthy is the error of a machine that can't build, or that can't reach what
// was named.
func notHealthy(found doctor.Document) error {
	if slices.ContainsFunc(found.Builders, func(b doctor.Builder) bool { return b.Works }) {
		return errors.New("something that the command line names does not answer: see what is missing above")
	}
	return errors.New("no builder works on this machine: see what is missing above")
}

func doctorOptions(c *cli.Context, e env) (doctor.Options, error) {
	o := doctor.Options{Timeout: doctorTimeout, Temp: os.TempDir(), CredentialFiles: build.CredentialFiles()}
	var err error
	if o.Dir, err = os.Getwd(); err != nil {
		return o, err
	}
	job := pipeline.Job{Config: c.String("config")}
	if job.Mirrors, err = mirrorTable(c.StringSlice("mirror")); err != nil {
		return o, usagef("--%w", bare(err))
	}
	if job.Insecure, err = insecureHosts(c); err != nil {
		return o, err
	}
	catalog, err := dockerfile.LoadCatalog()
	if err != nil {
		return o, err
	}
	if c.IsSet("config") {
		if job.Config == "" {
			return o, usagef("--config is empty: name a file, or leave it out")
		}
		if _, err := configure(&job, time.Now(), io.Discard); err != nil {
			return o, err
		}
		if job.CatalogFile != "" {
			if catalog, err = catalog.With(job.CatalogData, job.CatalogFile); err != nil {
				return o, usagef("%w", err)
			}
		}
	}
	o.Catalog = doctor.Catalog{AsOf: catalog.AsOf.Format(time.DateOnly)}
	if newest := catalog.NewestSource(); !newest.IsZero() {
		o.Catalog.NewestSource = newest.Format(time.DateOnly)
	}
	if o.Registries, err = registriesToAsk(c.Args().Slice(), catalog, job); err != nil {
		return o, err
	}
	if o.Targets, err = targets(c, e); err != nil {
		return o, err
	}
	o.Hosts = hostRule
	for _, os := range dockerfile.DefaultOS() {
		if row, ok := catalog.Release(os); ok {
			o.Releases = append(o.Releases, doctor.Release{OS: row.ID, OSVersion: row.OSVersion})
		}
	}
	o.Settings = settings(c, e, job)
	return o, nil
}

// registriesToAsk are those of base images that are rebuilt, and those that were
// named.
func registriesToAsk(args []string, catalog dockerfile.Catalog, job pipeline.Job) ([]doctor.RegistryTarget, error) {
	var targets []doctor.RegistryTarget
	add := func(host string, named bool) {
		i := slices.IndexFunc(targets, func(t doctor.RegistryTarget) bool { return t.Host == host })
		if i >= 0 {
			targets[i].Named = targets[i].Named || named
			return
		}
		t := doctor.RegistryTarget{Host: host, Mirror: job.Mirrors[host], Named: named}
		asked, _, _ := strings.Cut(cmp.Or(t.Mirror, host), "/")
		t.Plain = slices.Contains(job.Insecure, asked)
		targets = append(targets, t)
	}
	for _, image := range catalog.List() {
		if image.State != dockerfile.StateEnded {
			host, _, _ := strings.Cut(image.Reference, "/")
			add(host, false)
		}
	}
	for _, arg := range args {
		host, err := registryOf(arg)
		if err != nil {
			return nil, err
		}
		add(host, true)
	}
	return targets, nil
}

// registryOf is the host of a registry or of an image's name.
func registryOf(arg string) (string, error) {
	if strings.Contains(arg, "://") {
		return "", usagef("%q: a registry has no scheme: write it like registry.example.com or HOST:PORT", build.Mask(arg))
	}
	host, rest, isImage := strings.Cut(arg, "/")
	if !strings.ContainsAny(host, ".:") && host != "localhost" || strings.Contains(host, "@") {
		return "", usagef("%q is no registry: write it like registry.example.com or HOST:PORT", build.Mask(arg))
	}
	if isImage && rest != "" {
		ref, err := name.ParseReference(arg)
		if err != nil {
			return "", usagef("%q is neither a registry nor the name of an image: %w", arg, err)
		}
		return ref.Context().RegistryStr(), nil
	}
	registry, err := name.NewRegistry(host)
	if err != nil {
		return "", usagef("%q is no registry: %w", arg, err)
	}
	return registry.RegistryStr(), nil
}

// targets are BuildKit and Docker, as winpack build would ask them.
func targets(c *cli.Context, e env) ([]doctor.Target, error) {
	var b pipeline.Builders
	if err := addresses(c, e, &b); err != nil {
		return nil, err
	}
	kit := build.BuildKit{Addr: b.BuildKitAddr, TLSDir: b.BuildKitTLS}
	engine := build.Docker{Host: b.DockerHost}
	// An address that is none is told where the builder is asked.
	kitAt, _ := kit.Endpoint()
	engineAt, _ := engine.Endpoint()
	if kitAt.From == "" {
		kitAt.From = "BUILDKIT_HOST"
	}
	list := []doctor.Target{
		{Name: "buildkit", Address: kitAt.Address, From: kitAt.From, Flag: c.IsSet("buildkit-addr"), Probe: doctor.BuildKit(kit)},
		{Name: "docker", Address: engineAt.Address, From: engineAt.From, Flag: c.IsSet("docker-host"), Probe: doctor.Docker(engine)},
	}
	for i, flag := range []string{"--buildkit-addr", "--docker-host"} {
		if list[i].Flag {
			list[i].From = flag
		}
		list[i].Named = list[i].From != "default"
	}
	return list, nil
}

// settings are the variables that change how winpack builds, and the mirrors. Of
// winpack's own only the names are shown: their values may be anything.
func settings(c *cli.Context, e env, job pipeline.Job) []doctor.Setting {
	var list []doctor.Setting
	for _, variable := range []string{
		"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
		"BUILDKIT_HOST", "SOURCE_DATE_EPOCH",
	} {
		if value := e.getenv(variable); value != "" {
			list = append(list, doctor.Setting{Name: variable, Value: value})
		}
	}
	var own []string
	for _, command := range c.App.Commands {
		for _, flag := range command.Flags {
			if variable := envName(flag.Names()[0]); e.getenv(variable) != "" && !slices.Contains(own, variable) {
				own = append(own, variable)
			}
		}
	}
	slices.Sort(own)
	for _, variable := range own {
		list = append(list, doctor.Setting{Name: variable, Value: "(set)"})
	}
	var hosts []string
	for host := range job.Mirrors {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	for _, host := range hosts {
		list = append(list, doctor.Setting{Name: "mirror of " + host, Value: job.Mirrors[host]})
	}
	return list
}
