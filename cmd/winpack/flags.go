package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/pkg/detect"
)

// commonFlags are the flags of every command that looks at an app.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		stringFlag("config", "`FILE` winpack.toml (default: APP/winpack.toml, where it exists)"),
		sliceFlag("app", "`NAME` which app of a folder with several (repeatable)"),
		sliceFlag("map", "`PATH=DIR` where a folder of the server lies in APP, like D:\\sites=sites (repeatable)"),
		sliceFlag("limits", "`LIST` bounds of what is read of an app, like files=200000,text=16MB (repeatable);\nnames and defaults: winpack.toml.example"),
		stringFlag("os", "`LIST` Windows releases, like ltsc2019,ltsc2022,ltsc2025 (default: ltsc2022,ltsc2025)"),
		stringFlag("base", "`REF` use this base image instead of the chosen one"),
		sliceFlag("mirror", "`HOST=MIRROR` pull HOST/... from MIRROR/... (repeatable)"),
		sliceFlag("insecure-registry", "`HOST` allow plain http to this registry; HOST includes the port (repeatable)"),
		cacheFlag(),
		stringFlag("fail-on", "`LEVEL` exit 4 when a finding of that level or above remains:\nerror, warning or never (default: never)"),
		boolFlag("quiet", "q", "print less"),
		boolFlag("verbose", "v", "print more: every fact, and where it was seen"),
		stringFlag("progress", "`MODE` on stderr: auto, none, plain, quiet, rawjson or tty (default: auto)"),
	}
}

func cacheFlag() cli.Flag {
	return stringFlag("cache", "`DIR` where images learn keeps what base images hold (default: winpack in the\nuser's cache folder)")
}

// cacheDir is the folder of --cache, or the default one; empty where the user has no
// cache folder.
func cacheDir(c *cli.Context) (string, error) {
	if c.IsSet("cache") {
		dir := c.String("cache")
		if dir == "" {
			return "", usagef("--cache is empty: name a folder, or leave it out")
		}
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", nil
	}
	return filepath.Join(dir, "winpack"), nil
}

func stringFlag(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }

func sliceFlag(name, usage string) cli.Flag { return &cli.StringSliceFlag{Name: name, Usage: usage} }

func boolFlag(name, letter, usage string) cli.Flag {
	flag := &cli.BoolFlag{Name: name, Usage: usage}
	if letter != "" {
		flag.Aliases = []string{letter}
	}
	return flag
}

// oneOf reads a flag with a fixed set of values; the first is the default.
func oneOf(c *cli.Context, flag string, values ...string) (string, error) {
	if !c.IsSet(flag) {
		return values[0], nil
	}
	value := c.String(flag)
	if !slices.Contains(values, value) {
		return "", usagef("--%s is %s, not %q", flag, orList(values), value)
	}
	return value, nil
}

func formatOf(c *cli.Context) (string, error) {
	return oneOf(c, "format", "text", "json")
}

func orList(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// appArgument is APP, by default the current folder.
func appArgument(c *cli.Context) (string, error) {
	switch args := c.Args().Slice(); len(args) {
	case 0:
		return ".", nil
	case 1:
		if args[0] == "" {
			return "", usagef("APP is empty: name a folder, or leave it out for the current one")
		}
		return args[0], nil
	default:
		what, _ := argumentName(c.Command.UsageText)
		return "", usagef("one %s at a time, and %d arguments were given: %s", what, len(args), quoteAll(args))
	}
}

func quoteAll(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, fmt.Sprintf("%q", w))
	}
	return strings.Join(quoted, ", ")
}

// releases splits --os. asked is false where the default applies.
func releases(c *cli.Context) ([]string, error) {
	if !c.IsSet("os") {
		return nil, nil
	}
	list, err := releaseList(c.String("os"))
	if err != nil {
		return nil, usagef("--os %w", bare(err))
	}
	return list, nil
}

func releaseList(text string) (list []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			return nil, usagef("%q has an empty entry: write it like ltsc2022,ltsc2025", text)
		}
		if slices.Contains(list, name) {
			return nil, usagef("%q names %s twice", text, name)
		}
		list = append(list, name)
	}
	return list, nil
}

// mirrorTable reads HOST=MIRROR, as --mirror and winpack.toml have it.
func mirrorTable(values []string) (map[string]string, error) {
	table := map[string]string{}
	for _, value := range values {
		host, mirror, ok := strings.Cut(value, "=")
		if !ok || host == "" || mirror == "" {
			return nil, usagef("mirror %q is not HOST=MIRROR, like mcr.microsoft.com=registry.example.com/mcr", value)
		}
		if strings.Contains(host, "/") || strings.Contains(mirror, "://") {
			return nil, usagef("mirror %q: HOST is a registry without path, MIRROR a registry with or without path, and neither has a scheme", value)
		}
		if strings.Contains(value, "@") {
			registry, _, _ := strings.Cut(mirror[strings.LastIndexByte(mirror, '@')+1:], "/")
			return nil, usagef("mirror for %s has a login in it: take that out, and run docker login %s", host, registry)
		}
		if previous, twice := table[host]; twice && previous != mirror {
			return nil, usagef("mirror names %s twice, as %s and %s", host, previous, mirror)
		}
		table[host] = strings.TrimRight(mirror, "/")
	}
	return table, nil
}

// appNames reads --app.
func appNames(c *cli.Context) ([]string, error) {
	names := c.StringSlice("app")
	for _, name := range names {
		if strings.TrimSpace(name) == "" {
			return nil, usagef("--app is empty: name an app, or leave it out")
		}
	}
	return names, nil
}

// mapTable reads PATH=DIR: a folder of a Windows server, and where it lies in APP.
func mapTable(values []string) ([]detect.Map, error) {
	var maps []detect.Map
	for _, value := range values {
		from, to, ok := strings.Cut(value, "=")
		if !ok || from == "" || to == "" {
			return nil, usagef(`map "%s" is not PATH=DIR, like D:\sites=sites`, value)
		}
		drive := len(from) > 1 && from[1] == ':' && (len(from) == 2 || from[2] == '\\' || from[2] == '/')
		if !drive && !strings.HasPrefix(from, `\\`) {
			return nil, usagef(`map "%s": PATH is a folder of the server, like D:\sites or \\files\web`, value)
		}
		dir := path.Clean(filepath.ToSlash(strings.TrimRight(to, `/\`)))
		if !filepath.IsLocal(filepath.FromSlash(dir)) {
			return nil, usagef(`map "%s": DIR is relative to APP, and lies in it`, value)
		}
		maps = append(maps, detect.Map{From: from, To: dir})
	}
	return maps, nil
}

// insecureHosts reads --insecure-registry HOST.
func insecureHosts(c *cli.Context) ([]string, error) {
	hosts := c.StringSlice("insecure-registry")
	for _, host := range hosts {
		if err := checkInsecure(host); err != nil {
			return nil, usagef("--%w", bare(err))
		}
	}
	return hosts, nil
}

// jobOf reads the common flags into a job.
func jobOf(c *cli.Context) (pipeline.Job, error) {
	var job pipeline.Job
	var err error
	if job.App, err = appArgument(c); err != nil {
		return job, err
	}
	if c.Bool("quiet") && c.Bool("verbose") {
		return job, usagef("-q and -v exclude each other")
	}
	if job.Apps, err = appNames(c); err != nil {
		return job, err
	}
	if job.Maps, err = mapTable(c.StringSlice("map")); err != nil {
		return job, usagef("--%w", bare(err))
	}
	if job.Limits, err = limitTable(c.StringSlice("limits")); err != nil {
		return job, usagef("--%w", bare(err))
	}
	if job.OS, err = releases(c); err != nil {
		return job, err
	}
	if c.IsSet("base") {
		if job.Base = c.String("base"); job.Base == "" {
			return job, usagef("--base is empty: name an image, or leave it out")
		}
		if err := checkBase(job.Base); err != nil {
			return job, usagef("--%w", bare(err))
		}
	}
	if _, err = oneOf(c, "progress", progressModes()...); err != nil {
		return job, err
	}
	if c.IsSet("fail-on") {
		if job.FailOn, err = oneOf(c, "fail-on", failOnLevels()...); err != nil {
			return job, err
		}
	}
	if job.Mirrors, err = mirrorTable(c.StringSlice("mirror")); err != nil {
		return job, usagef("--%w", bare(err))
	}
	if job.Insecure, err = insecureHosts(c); err != nil {
		return job, err
	}
	if c.IsSet("config") {
		if job.Config = c.String("config"); job.Config == "" {
			return job, usagef("--config is empty: name a file, or leave it out")
		}
	}
	job.Learned, err = openLearned(c)
	return job, err
}

// openLearned lists what the cache holds. The default folder may be one that this user
// may not read, and then nothing was learned for him.
func openLearned(c *cli.Context) (*pipeline.Learned, error) {
	cache, err := cacheDir(c)
	if err != nil {
		return nil, err
	}
	known, err := pipeline.OpenLearned(cache)
	if !c.IsSet("cache") && errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	return known, err
}

func failOnLevels() []string { return []string{"never", "error", "warning"} }

func checkInsecure(host string) error {
	if host == "" || strings.ContainsAny(host, "/=") {
		return usagef("insecure-registry %q is not a HOST or HOST:PORT", host)
	}
	return nil
}

// checkBase refuses what can name no base image, whatever a command does with it.
func checkBase(base string) error {
	if dir, local := strings.CutPrefix(base, "oci:"); local {
		if dir == "" || strings.ContainsAny(dir, "\r\n\x00") {
			return usagef("base %q names no folder: write it like oci:DIR", base)
		}
		return nil
	}
	if strings.Contains(base, "://") {
		return usagef("base %q: a reference has no scheme, like registry.example.com/name:tag", base)
	}
	if _, err := name.ParseReference(base); err != nil {
		return usagef("base %q is not an image reference like registry.example.com/name:tag: %w", base, err)
	}
	return nil
}
