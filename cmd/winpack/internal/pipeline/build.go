package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Build says how to build the image and where to send it.
type Build struct {
	References   []string
	Push         bool
	Outputs      []build.Output
	File         string   // -f: the Dockerfile to build; empty: the app is planned
	Files        string   // keep the Dockerfile and helpers of a plan in this folder
	NotApp       []string // further files that earlier builds may have left in APP
	Labels       map[string]string
	Annotations  map[string]string
	Platforms    []string
	Epoch        *time.Time
	DryRun       bool
	IIDFile      string
	MetadataFile string
	Version      string
	Progress     func(build.Event)
	// Unused is said where a Dockerfile is built that settings do not reach.
	Unused string
	// Note is called with what a user should know, a line each; nil means none.
	Note func(line string)
}

// Image is what was built.
type Image struct {
	build.Image
	Builder string
	Took    time.Duration
}

// checkBuild refuses what can't be built, before anything else is decided. planned
// says that the plan is what is built.
func (res *Result) checkBuild(job Job, planned bool) error {
	planned = planned && res.Plan != nil
	if planned {
		if err := build.CheckPlatforms(res.Plan.Bases, job.Build.Platforms); err != nil {
			return Usagef("--%w", err)
		}
	}
	for _, o := range job.Build.Outputs {
		if err := o.Check(); err != nil {
			return &UsageError{err}
		}
	}
	for flag, file := range map[string]string{"--iidfile": job.Build.IIDFile, "--metadata-file": job.Build.MetadataFile} {
		if file == "" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return Usagef("%s %q: there is no folder %q: make it first", flag, file, filepath.Dir(file))
		}
	}
	if planned {
		return build.Direct{}.Supports(*res.Plan)
	}
	return nil
}

func (res *Result) build(ctx context.Context, job Job, app fs.FS) error {
	b := job.Build
	start := time.Now()
	trees, closeTrees, err := openTrees(job.Trees)
	if err != nil {
		return err
	}
	defer closeTrees()
	image, err := build.Direct{Registry: job.registry()}.Build(ctx, build.Request{
		Plan: *res.Plan, App: app, Trees: trees, References: b.References, Push: b.Push, Outputs: b.Outputs,
		Labels: b.Labels, Annotations: b.Annotations, Platforms: b.Platforms, Optional: len(job.OS) == 0, Epoch: b.Epoch,
		DryRun: b.DryRun, Version: b.Version, Progress: b.Progress,
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	image.Omitted = append(res.omitted, image.Omitted...)
	res.Image = &Image{image, "direct", time.Since(start)}
	if b.IIDFile != "" {
		if err := WriteFile(b.IIDFile, []byte(image.Digest)); err != nil {
			return fmt.Errorf("writing --iidfile: %w", err)
		}
	}
	if b.MetadataFile != "" {
		data, err := res.Image.metadata()
		if err == nil {
			err = WriteFile(b.MetadataFile, data)
		}
		if err != nil {
			return fmt.Errorf("writing --metadata-file: %w", err)
		}
	}
	return nil
}

// openTrees opens the folders that go into an image beside the app.
func openTrees(dirs map[string]string) (trees map[string]fs.FS, done func(), err error) {
	trees = map[string]fs.FS{}
	var open []*os.Root
	done = func() {
		for _, root := range open {
			root.Close()
		}
	}
	for name, dir := range dirs {
		root, err := os.OpenRoot(dir)
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("reading what files names: %w", err)
		}
		open = append(open, root)
		trees[name] = root.FS()
	}
	return trees, done, nil
}

func (job Job) registry() build.Registry {
	return build.Registry{Keychain: build.Keychain(), Mirrors: job.Mirrors, Insecure: job.Insecure}
}

// metadata is the content of --metadata-file: buildx's keys, and ours.
func (i Image) metadata() ([]byte, error) {
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	type winpack struct {
		Builder      string               `json:"builder"`
		Releases     []build.Release      `json:"releases"`
		Omitted      []dockerfile.Omitted `json:"omitted,omitempty"`
		BytesRead    int64                `json:"bytesRead"`
		BytesWritten int64                `json:"bytesWritten"`
		Unchanged    bool                 `json:"unchanged"`
		Durations    map[string]float64   `json:"durations"` // seconds
	}
	config := ""
	if len(i.Releases) > 0 {
		config = i.Releases[0].ConfigDigest
	}
	data, err := json.MarshalIndent(struct {
		Config     string     `json:"containerimage.config.digest"`
		Descriptor descriptor `json:"containerimage.descriptor"`
		Digest     string     `json:"containerimage.digest"`
		Name       string     `json:"image.name"`
		Winpack    winpack    `json:"winpack"`
	}{
		config,
		descriptor{i.MediaType, i.Digest, i.Size},
		i.Digest,
		strings.Join(i.References, ","),
		winpack{i.Builder, i.Releases, i.Omitted, i.BytesRead, i.BytesWritten, i.Unchanged, i.durations()},
	}, "", "  ")
	return append(data, '\n'), err
}

// durations are those of the build and of its phases, in seconds.
func (i Image) durations() map[string]float64 {
	d := map[string]float64{"build": i.Took.Seconds()}
	for phase, took := range i.Phases {
		d[phase] = took.Seconds()
	}
	return d
}

// WriteFile writes a file whole or not at all.
func WriteFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
