package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/winhost"
	"github.com/winpack/winpack/pkg/build"
)

func buildkitAddrFlag() cli.Flag {
	return stringFlag("buildkit-addr", "`ADDR` of BuildKit, like tcp://HOST:1234, unix:///run/x.sock or docker-container://NAME\n(default: BUILDKIT_HOST, or BuildKit's own)")
}

func buildkitTLSFlag() cli.Flag {
	return stringFlag("buildkit-tls", "`DIR` with ca.pem, cert.pem and key.pem, for BuildKit at tcp:// by mTLS")
}

func dockerHostFlag() cli.Flag {
	return stringFlag("docker-host", "`ADDR` of the Docker engine, like tcp://HOST:2376 or ssh://USER@HOST\n(default: DOCKER_HOST, or docker's context)")
}

// builders reads the flags that say who builds.
func builders(c *cli.Context, e env, b *pipeline.Build) error {
	var err error
	names := pipeline.BuilderNames()
	if c.IsSet("builder") {
		if b.Builders.Name, err = oneOf(c, "builder", names...); err != nil {
			return err
		}
	}
	if err := addresses(c, e, &b.Builders); err != nil {
		return err
	}
	if c.IsSet("isolation") {
		if b.Isolation, err = oneOf(c, "isolation", "process", "hyperv"); err != nil {
			return err
		}
	}
	b.NoCache, b.Pull = c.Bool("no-cache"), c.Bool("pull")
	b.Hosts = hostRule
	return nil
}

// addresses reads where builders are: flags, and of variables BUILDKIT_HOST. Those of
// docker, and its contexts, are read where the engine is asked.
func addresses(c *cli.Context, e env, b *pipeline.Builders) error {
	for _, flag := range []struct {
		name string
		to   *string
	}{{"buildkit-addr", &b.BuildKitAddr}, {"docker-host", &b.DockerHost}, {"buildkit-tls", &b.BuildKitTLS}} {
		if *flag.to = c.String(flag.name); c.IsSet(flag.name) && *flag.to == "" {
			what := "an address"
			if flag.name == "buildkit-tls" {
				what = "a folder"
			}
			return usagef("--%s is empty: name %s, or leave it out", flag.name, what)
		}
	}
	if b.BuildKitAddr == "" {
		b.BuildKitAddr = e.getenv("BUILDKIT_HOST")
	}
	if b.BuildKitTLS != "" {
		if info, err := os.Stat(b.BuildKitTLS); err != nil || !info.IsDir() {
			return usagef("--buildkit-tls %q is no folder", b.BuildKitTLS)
		}
	}
	if c.IsSet("buildkit-addr") {
		if _, err := (build.BuildKit{Addr: b.BuildKitAddr}).Endpoint(); err != nil {
			return usagef("--buildkit-addr: %w", err)
		}
	}
	if b.BuildKitTLS != "" {
		if _, err := (build.BuildKit{Addr: b.BuildKitAddr, TLSDir: b.BuildKitTLS}).Endpoint(); err != nil {
			return usagef("--buildkit-tls: %w", err)
		}
	}
	if b.DockerHost != "" {
		if _, err := (build.Docker{Host: b.DockerHost}).Endpoint(); err != nil {
			return usagef("--docker-host: %w", err)
		}
	}
	return nil
}

// hostRule says whether a Windows host builds an image: see winhost.
func hostRule(host, image, isolation string) error {
	table, err := winhost.Load()
	if err != nil {
		return err
	}
	h, err := winhost.ParseBuild(host)
	if err != nil {
		return nil // it does not say what it is: it will see for itself
	}
	i, err := winhost.ParseBuild(image)
	if err != nil {
		return nil
	}
	return table.CanRun(h, i, isolation)
}
