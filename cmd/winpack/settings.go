package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/internal/tomlkey"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// configure puts winpack.toml below what flags and environment say, and returns it;
// nil where there is none. today decides which acceptances have ended; what is to
// be said of the file goes to notes.
func configure(job *pipeline.Job, today time.Time, notes io.Writer) (*settingsFile, error) {
	s, err := readConfig(job.Config, job.App, job.Limits)
	if s == nil {
		return nil, err
	}
	if job.Config != "" {
		job.Own = []string{job.Config}
	}
	var found mistakes // all of them are told at once
	found.add(err)
	for _, apply := range []func(*pipeline.Job, *mistakes){s.catalog, s.common, s.image, s.files, s.readBuild} {
		apply(job, &found)
	}
	s.accepted(job, today, notes, &found)
	if len(found) > 0 {
		return nil, found.err()
	}
	return s, nil
}

// common are the keys of flags that every command has.
func (s *settingsFile) common(job *pipeline.Job, found *mistakes) {
	if len(job.OS) == 0 && len(s.OS) > 0 {
		list, err := releaseList(strings.Join(s.OS, ","))
		if err == nil {
			trial := *job
			trial.OS = list
			err = trial.CheckReleases()
		}
		if err != nil {
			found.add(s.errorf(toml.Key{"os"}, 0, "os: %w", bare(err)))
		} else {
			job.OS = list
		}
	}
	if job.Base == "" && s.Base != "" {
		found.add(s.base(job))
	}
	maps, err := mapTable(s.Map)
	if err != nil {
		found.add(s.errorf(toml.Key{"map"}, 0, "%w", bare(err)))
	} else if len(job.Maps) == 0 {
		job.Maps = maps
	}
	limits, err := limitTable(s.Limits)
	if err != nil {
		found.add(s.errorf(toml.Key{"limits"}, 0, "%w", bare(err)))
	} else {
		job.Limits = below(job.Limits, limits)
	}
	table, err := mirrorTable(s.Mirror)
	if err != nil {
		found.add(s.errorf(toml.Key{"mirror"}, 0, "%w", bare(err)))
	}
	for host, mirror := range table {
		if _, given := job.Mirrors[host]; !given {
			job.Mirrors[host] = mirror
		}
	}
	for _, host := range s.Insecure {
		if err := checkInsecure(host); err != nil {
			found.add(s.errorf(toml.Key{"insecure-registry"}, 0, "%w", bare(err)))
		} else if !slices.Contains(job.Insecure, host) {
			job.Insecure = append(job.Insecure, host)
		}
	}
	if job.FailOn == "" && s.FailOn != "" {
		levels := failOnLevels()
		if !slices.Contains(levels, s.FailOn) {
			found.add(s.errorf(toml.Key{"fail-on"}, 0, "fail-on is %s, not %q", orList(levels), s.FailOn))
		}
		job.FailOn = s.FailOn
	}
}

func (s *settingsFile) base(job *pipeline.Job) error {
	job.Base = s.Base
	s.place(job, "base")
	if dir, local := strings.CutPrefix(s.Base, "oci:"); local {
		dir, err := s.path(dir)
		if err != nil {
			return s.errorf(toml.Key{"base"}, 0, "base %q: %w", s.Base, err)
		}
		job.Base = "oci:" + dir
	}
	if err := checkBase(job.Base); err != nil {
		return s.errorf(toml.Key{"base"}, 0, "%w", bare(err))
	}
	return nil
}

// image are the keys that say what the image is like.
func (s *settingsFile) image(job *pipeline.Job, found *mistakes) {
	set := dockerfile.Settings{
		Entrypoint: s.Entrypoint, Cmd: s.Cmd, WorkingDir: s.Workdir, User: s.User,
		Env: s.Env, Labels: s.Labels, Ignore: s.Ignore, Write: s.Write,
	}
	for _, p := range s.Ports {
		set.Ports = append(set.Ports, int(min(max(p, -1), 1<<20)))
	}
	if h := s.Health; h != nil {
		set.Health = &dockerfile.Health{Test: h.Cmd, Retries: h.Retries}
		if len(h.Cmd) == 2 && h.Cmd[0] == "CMD-SHELL" && h.Cmd[1] == "none" {
			set.Health.Test = []string{"NONE"}
		}
		// checkKeys has read them once
		set.Health.Interval, _ = time.ParseDuration(h.Interval)
		set.Health.Timeout, _ = time.ParseDuration(h.Timeout)
		set.Health.StartPeriod, _ = time.ParseDuration(h.StartPeriod)
	}
	for _, f := range s.Files {
		set.Files = append(set.Files, dockerfile.Extra{From: f.From, To: f.To, Folder: true})
	}
	for _, wrong := range set.Check() {
		if !found.full() {
			found.add(s.errorf(strings.SplitN(wrong.Key, ".", 2), wrong.Element, "%w", wrong.Err))
		}
	}
	set.Files = nil
	set.Places = job.Settings.Places
	job.Settings = set
	if len(s.Entrypoint) > 0 {
		s.place(job, "entrypoint")
	}
	if len(s.Ports) > 0 {
		s.place(job, "ports")
	}
	if s.User != "" {
		s.place(job, "user")
	}
	if len(s.Ignore) > 0 {
		s.place(job, "ignore")
	}
	places := 0 // each reads the whole file
	for _, t := range []struct {
		name   string
		values map[string]string
	}{{"env", s.Env}, {"labels", s.Labels}} {
		for _, k := range slices.Sorted(maps.Keys(t.values)) {
			if places < maxPlaces && detect.SecretSetting(k, t.values[k]) != "" {
				places++
				s.place(job, t.name+"."+k)
			}
		}
	}
}

// maxPlaces bounds the settings whose places are looked for.
const maxPlaces = 100

// place notes where a setting stands, for findings about it.
func (s *settingsFile) place(job *pipeline.Job, key string) {
	path := toml.Key(strings.SplitN(key, ".", 2))
	file := filepath.ToSlash(s.file)
	if s.app {
		file = configName // places are relative to the app
	}
	line, _ := tomlkey.Position(s.text, path, 0)
	places := maps.Clone(job.Settings.Places) // rows of a batch share them
	if places == nil {
		places = map[string]detect.Evidence{}
	}
	places[key] = detect.Evidence{Path: file, Line: line, Detail: key}
	job.Settings.Places = places
}

// files are what goes into the image beside the app.
func (s *settingsFile) files(job *pipeline.Job, found *mistakes) {
	for i, f := range s.Files {
		if !found.full() {
			found.add(s.extra(job, i, f.From, f.To))
		}
	}
}

func (s *settingsFile) extra(job *pipeline.Job, i int, from, to string) error {
	at := toml.Key{"files", "from"}
	if from == "" {
		return s.errorf(toml.Key{"files"}, i, "files names no file: a [[files]] table has from and to")
	}
	full, err := s.path(from)
	if err != nil {
		return s.errorf(at, i, "files.from %q: %w", from, err)
	}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.errorf(at, i, "files.from %q does not exist", from)
	case err != nil:
		return s.errorf(at, i, "files.from %q: %w", from, cause(err))
	case !info.IsDir() && !info.Mode().IsRegular():
		return s.errorf(at, i, "files.from %q is neither a file nor a folder", from)
	}
	if s.app && sameFile(full, filepath.Join(s.dir, configName)) {
		return s.errorf(at, i, "files.from %q: winpack.toml never goes into an image: name another file", from)
	}
	extra := dockerfile.Extra{From: ".", Folder: info.IsDir(), To: to}
	if s.app { // a path inside APP is part of the app, ignored or not
		extra.From = path.Clean(filepath.ToSlash(from))
		if len(job.Settings.Ignore) > 0 && extra.From != "." {
			job.Settings.Ignore = append(job.Settings.Ignore, "!"+extra.From)
		}
	} else {
		extra.Tree = fmt.Sprintf("files-%d", i+1)
		dir := full
		if !info.IsDir() {
			dir, extra.From = filepath.Dir(full), filepath.Base(full)
		}
		if job.Trees == nil {
			job.Trees = map[string]string{}
		}
		job.Trees[extra.Tree] = dir
	}
	job.Settings.Files = append(job.Settings.Files, extra)
	return nil
}

// path is where a path of the file leads, absolute.
func (s *settingsFile) path(name string) (string, error) {
	local := filepath.FromSlash(name)
	if s.app {
		if !filepath.IsLocal(local) {
			return "", errors.New("a winpack.toml in APP may name paths inside APP only; --config FILE may name others")
		}
		root, err := os.OpenRoot(s.dir)
		if err != nil {
			return "", err
		}
		defer root.Close()
		// A link in APP may lead out of it.
		if _, err := root.Stat(local); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", cause(err)
		}
	}
	if filepath.IsAbs(local) {
		return filepath.Clean(local), nil
	}
	return filepath.Join(s.dir, local), nil
}

func (s *settingsFile) catalog(job *pipeline.Job, found *mistakes) {
	if s.Catalog.File != "" {
		found.add(s.readCatalog(job))
	}
}

func (s *settingsFile) readCatalog(job *pipeline.Job) error {
	key := toml.Key{"catalog", "file"}
	file, err := s.open(s.Catalog.File)
	if err != nil {
		return s.errorf(key, 0, "catalog.file %q: %w", s.Catalog.File, cause(err))
	}
	data, err := readBounded(file)
	if err != nil {
		return s.errorf(key, 0, "reading catalog.file %q: %w", s.Catalog.File, cause(err))
	}
	job.CatalogFile, job.CatalogData = s.Catalog.File, []byte(data)
	name, err := s.path(s.Catalog.File)
	if err != nil {
		return s.errorf(key, 0, "catalog.file %q: %w", s.Catalog.File, err)
	}
	job.Own = append(job.Own, name)
	return nil
}

// readBuild reads the keys of [build], for commands that build and for those that
// don't: a mistake there is one.
func (s *settingsFile) readBuild(job *pipeline.Job, found *mistakes) {
	var err error
	if s.built.references, err = references(s.Build.Tags); err != nil {
		found.add(s.errorf(toml.Key{"build", "tags"}, 0, "build.tags: %w", bare(err)))
	}
	if names := pipeline.BuilderNames(); s.Build.Builder != "" && !slices.Contains(names, s.Build.Builder) {
		found.add(s.errorf(toml.Key{"build", "builder"}, 0, "build.builder is %s, not %q", orList(names), s.Build.Builder))
	}
	key := toml.Key{"build", "output"}
	if s.built.outputs, s.built.push, err = parseOutputs(s.Build.Output, false); err != nil {
		found.add(s.errorf(key, 0, "build.output: %w", bare(err)))
		return
	}
	for i, o := range s.built.outputs {
		if o.Dest == "" {
			continue // to the engine
		}
		if s.built.outputs[i].Dest, err = s.path(o.Dest); err != nil {
			found.add(s.errorf(key, 0, "build.output: %q: %w", o.Dest, err))
		}
		job.Own = append(job.Own, s.built.outputs[i].Dest) // of an earlier build, in APP
	}
}

// build puts what [build] says where no flag says something else.
func (s *settingsFile) build(b *pipeline.Build) {
	if s == nil {
		return
	}
	if len(b.References) == 0 {
		b.References = s.built.references
	}
	if b.Builders.Name == "" {
		b.Builders.Name = s.Build.Builder
	}
	if !b.Push && len(b.Outputs) == 0 {
		b.Outputs, b.Push = slices.Clone(s.built.outputs), s.built.push
	}
}

// unused says which keys do not reach a Dockerfile that a person wrote; empty where
// there are none.
func (s *settingsFile) unused() string {
	if s == nil {
		return ""
	}
	var keys []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"entrypoint", len(s.Entrypoint) > 0}, {"cmd", len(s.Cmd) > 0}, {"workdir", s.Workdir != ""}, {"user", s.User != ""},
		{"ports", len(s.Ports) > 0}, {"ignore", len(s.Ignore) > 0}, {"write", len(s.Write) > 0}, {"env", len(s.Env) > 0},
		{"labels", len(s.Labels) > 0}, {"health-check", s.Health != nil}, {"files", len(s.Files) > 0},
	} {
		if k.set {
			keys = append(keys, k.name)
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return fmt.Sprintf("%s in %s are for what winpack plans, and do not reach this file", strings.Join(keys, ", "), s.file)
}

// bare takes the type off an error that is wrapped anew.
func bare(err error) error {
	if usage := (*pipeline.UsageError)(nil); errors.As(err, &usage) {
		return usage.Err
	}
	return err
}

// cause is an error without the path that it names, and what to do about it.
func cause(err error) error {
	err = bareCause(err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run winpack as a user that may read it", err)
	case strings.Contains(err.Error(), "path escapes"): // os.Root has no value for it
		return usagef("a link leads out of APP: put the file itself in its place, or take the settings from elsewhere with --config")
	}
	return err
}

// bareCause is an error of the file system without operation and path.
func bareCause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
