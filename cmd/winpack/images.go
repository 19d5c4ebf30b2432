package main

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/util/suggest"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/images"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func imagesCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "images",
		Usage:     "list the base images that winpack knows, with their support",
		UsageText: "winpack images [WORD...] [flags]\nwinpack images learn REF [flags]",
		Description: `Prints the catalog that base images are chosen from: tags, Windows builds, download sizes, until when each is
supported, and what takes the place of one that is not. No registry is asked: the first line says of which
day the data is. WORD is a part of a reference, release, build, framework or use, and each has to fit; a full
reference of an old Dockerfile is answered with what became of it.

  winpack images                                        all that is still rebuilt
  winpack images aspnet --os ltsc2022                   the images for ASP.NET on Windows Server 2022
  winpack images microsoft/aspnet:4.7.2                 what became of that one
  winpack images --all -v                               also what ended, and where the data is from
  winpack images --family nanoserver -q                 the references alone, for scripts

[catalog] of the winpack.toml that --config names adds rows. --format json prints winpack/images/v1.

winpack images learn REF reads the layers of a base image once, without storing them, and keeps under --cache what
the image holds: names, versions and functions of its files, and the access lists of its folders. REF may be oci:DIR.
detect, dockerfile, build and batch then decide by that, in place of winpack's lists, for the release and family
that it is of, and the direct builder writes folders with the access lists that they really have.

  winpack images --family servercore -q | head -1 | xargs winpack images learn`,
		Flags: []cli.Flag{
			stringFlag("os", "`LIST` list only the images for these Windows releases, like ltsc2022,ltsc2025"),
			stringFlag("family", "`FAMILY` nanoserver, servercore or server: list only these images"),
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also list what nobody builds any more, with what takes its place"},
			stringFlag("config", "`FILE` winpack.toml with a [catalog] of further rows"),
			stringFlag("format", "`FORMAT` text or json (default: text)"),
			cacheFlag(),
			sliceFlag("mirror", "`HOST=MIRROR` of learn: pull HOST/... from MIRROR/... (repeatable)"),
			sliceFlag("insecure-registry", "`HOST` of learn: allow plain http to this registry; HOST includes the port (repeatable)"),
			boolFlag("quiet", "q", "print the references alone"),
			boolFlag("verbose", "v", "print more: users, entrypoints, sources and how sure they are"),
		},
		Action: func(c *cli.Context) error {
			format, err := formatOf(c)
			if err != nil {
				return err
			}
			if c.Bool("quiet") && c.Bool("verbose") {
				return usagef("-q and -v exclude each other")
			}
			catalog, err := catalogOf(c)
			if err != nil {
				return err
			}
			if c.Args().First() == "learn" {
				return learn(c, e, catalog, format)
			}
			for _, flag := range []string{"mirror", "insecure-registry"} {
				if isGiven(c, flag) {
					return usagef("--%s is of winpack images learn: the list asks no registry", flag)
				}
			}
			filter, err := imageFilter(c, catalog)
			if err != nil {
				return err
			}
			list := images.New(catalog, filter)
			known, err := openLearned(c)
			if err != nil {
				return err
			}
			if known != nil {
				list.Learn(known.Headers, filter)
			}
			switch {
			case format == "json":
				return writeJSON(e.stdout, list)
			case c.Bool("quiet"):
				return list.References(e.stdout)
			}
			return list.Text(e.stdout, c.Bool("verbose"))
		},
	}
}

// catalogOf is the built-in catalog with the rows that --config's file adds.
func catalogOf(c *cli.Context) (dockerfile.Catalog, error) {
	catalog, err := dockerfile.LoadCatalog()
	if err != nil || !c.IsSet("config") {
		return catalog, err
	}
	job := pipeline.Job{Config: c.String("config")}
	if job.Config == "" {
		return catalog, usagef("--config is empty: name a file, or leave it out")
	}
	if _, err := configure(&job, time.Now(), io.Discard); err != nil || job.CatalogFile == "" {
		return catalog, err
	}
	if catalog, err = catalog.With(job.CatalogData, job.CatalogFile); err != nil {
		return catalog, usagef("%w", err)
	}
	return catalog, nil
}

func imageFilter(c *cli.Context, catalog dockerfile.Catalog) (images.Filter, error) {
	f := images.Filter{Words: c.Args().Slice(), All: c.Bool("all")}
	if slices.Contains(f.Words, "") {
		return f, usagef("a WORD is empty: leave it out to list all")
	}
	var err error
	if f.OS, err = releases(c); err != nil {
		return f, err
	}
	var known []string
	for _, r := range catalog.Releases {
		known = append(known, r.ID)
	}
	for _, os := range f.OS {
		if slices.Contains(known, os) {
			continue
		}
		if near, ok := suggest.Search(os, known, false); ok {
			return f, usagef("unknown Windows release %q: did you mean %s?", os, near)
		}
		return f, usagef("unknown Windows release %q: the releases are %s", os, strings.Join(known, ", "))
	}
	if c.IsSet("family") {
		if f.Family, err = oneOf(c, "family", dockerfile.Families()...); err != nil {
			return f, err
		}
	}
	return f, nil
}
