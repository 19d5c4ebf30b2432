package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/images"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// learn is winpack images learn REF.
func learn(c *cli.Context, e env, catalog dockerfile.Catalog, format string) error {
	args := c.Args().Slice()[1:]
	if len(args) != 1 || args[0] == "" {
		return usagef("winpack images learn takes one REF, as winpack images lists them, or oci:DIR")
	}
	ref := args[0]
	if err := checkBase(ref); err != nil {
		return usagef("REF: %w", bare(err))
	}
	if c.IsSet("family") || c.Bool("all") {
		return usagef("--family and --all are of the list, not of images learn")
	}
	cache, err := cacheDir(c)
	if err != nil {
		return err
	}
	if cache == "" {
		return usagef("the user has no cache folder: name one with --cache")
	}
	registry := build.Registry{Keychain: build.Keychain()}
	if registry.Mirrors, err = mirrorTable(c.StringSlice("mirror")); err != nil {
		return usagef("--%w", bare(err))
	}
	if registry.Insecure, err = insecureHosts(c); err != nil {
		return err
	}
	bases, err := basesToLearn(c, catalog, ref)
	if err != nil {
		return err
	}
	result := images.NewLearned()
	for _, base := range bases {
		start := time.Now()
		contents, read, err := build.Learn(c.Context, registry, base, catalog.Family(ref), func(ev build.Event) {
			if c.Bool("verbose") && ev.Message != "" {
				fmt.Fprintf(e.stderr, "winpack: %s\n", report.OneLine(ev.Message))
			}
		})
		if err != nil {
			return err
		}
		file, size, err := contents.Save(cache)
		if err != nil {
			return fmt.Errorf("keeping what was learned of %s: %w", ref, err)
		}
		result.Add(contents.Header, file, size, read, time.Since(start))
	}
	if format == "json" {
		return writeJSON(e.stdout, result)
	}
	return result.Text(e.stdout, c.Bool("quiet"))
}

// basesToLearn are the images that a reference names, for the releases that are asked
// for.
func basesToLearn(c *cli.Context, catalog dockerfile.Catalog, ref string) ([]dockerfile.Base, error) {
	oses, err := releases(c)
	if err != nil {
		return nil, err
	}
	if len(oses) == 0 {
		return []dockerfile.Base{{Reference: ref}}, nil
	}
	var bases []dockerfile.Base
	for _, os := range oses {
		r, ok := catalog.Release(os)
		if !ok {
			return nil, usagef("unknown Windows release %q", os)
		}
		bases = append(bases, dockerfile.Base{OS: os, Reference: ref, OSVersion: r.OSVersion})
	}
	return bases, nil
}
