package pipeline

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Build says how to build the image and where to send it.
type Build struct {
	Builders
	References   []string
	Refer        func(kind detect.Kind) (string, error) // gives the reference where it is not known before; nil otherwise
	Push         bool
	Outputs      []build.Output
	File         string // -f: the Dockerfile to build; empty: the app is planned
	Files        string // keep the Dockerfile and helpers of a plan in this folder
	Labels       map[string]string
	Annotations  map[string]string
	Platforms    []string
	Epoch        *time.Time
	DryRun       bool
	NoCache      bool
	Pull         bool
	Isolation    string
	IIDFile      string
	MetadataFile string
	Progress     func(build.Event)
	// Unused is said where a Dockerfile is built that settings do not reach.
	Unused string
	// Note is called with what a user should know, a line each; nil means none.
	Note func(line string)
}

// Image is what was built.
type Image struct {
	build.Image
	Builder string // "direct", "buildkit" or "docker"
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
		releases := len(res.Plan.Bases)
		if n := len(job.Build.Platforms); n > 0 {
			releases = min(releases, n)
		}
		if err := build.CheckAnnotations(job.Build.Annotations, releases); err != nil {
			return Usagef("--annotation: %w", err)
		}
	}
	for _, o := range job.Build.Outputs {
		if err := o.Check(); err != nil {
			return &UsageError{err}
		}
	}
	if slices.ContainsFunc(job.Build.Outputs, func(o build.Output) bool { return o.Type == "docker" }) {
		const one = "%s %s: an image for docker load holds one release: name one, or push"
		switch {
		case len(job.OS) > 1:
			return Usagef(one, "--os", strings.Join(job.OS, ","))
		case len(job.Build.Platforms) > 1:
			return Usagef(one, "--platform", strings.Join(job.Build.Platforms, ","))
		}
	}
	for flag, file := range map[string]string{"--iidfile": job.Build.IIDFile, "--metadata-file": job.Build.MetadataFile} {
		if file == "" {
			continue
		}
		if err := build.CheckFile(file); err != nil {
			return Usagef("%s %q: %w", flag, file, err)
		}
	}
	if !planned {
		if c := job.named(); c != nil {
			return cannot(c.Check(job.request(dockerfile.Plan{})))
		}
		return nil
	}
	named := job.named()
	if named == nil && !res.Plan.Builder.Windows {
		named = &chosen{Builder: job.direct(), name: BuilderDirect} // which auto takes
	}
	if named == nil {
		return nil // who builds is known once somebody is asked
	}
	if err := job.checked(*named, job.request(*res.Plan)); err != nil {
		return err
	}
	if job.Build.Name == BuilderDirect {
		return build.Direct{}.Supports(*res.Plan)
	}
	return nil
}

// errNowhere is a build without a destination by a builder that has none by itself.
func errNowhere(builder string) error {
	load := "--load, "
	if builder == BuilderBuildKit {
		load = "" // which it can't
	}
	return Usagef("nowhere to put the image: use --push (with -t REF), -o type=oci,dest=FILE, %sor --dry-run", load)
}

// nowhere says that no flag names a destination. Docker alone has one by itself.
func (b *Build) nowhere() bool { return !b.Push && len(b.Outputs) == 0 && !b.DryRun }

// cannot makes wrong usage of what a builder can't honour, and of an address that no
// builder has.
func cannot(err error) error {
	if errors.As(err, new(*build.CannotError)) || errors.As(err, new(*build.AddressError)) {
		return &UsageError{err}
	}
	return err
}

// request is what a builder is asked, without the app.
func (job Job) request(plan dockerfile.Plan) build.Request {
	b := job.Build
	return build.Request{
		Plan: plan, References: b.References, Push: b.Push, Outputs: b.Outputs,
		Labels: b.Labels, Annotations: b.Annotations, Platforms: b.Platforms, Optional: len(job.OS) == 0, Epoch: b.Epoch,
		DryRun: b.DryRun, NoCache: b.NoCache, Pull: b.Pull, Isolation: b.Isolation, Progress: b.Progress,
	}
}

func (res *Result) build(ctx context.Context, job Job, app fs.FS) error {
	req := job.request(*res.Plan)
	builder, err := job.pick(ctx, req)
	if err != nil {
		return err
	}
	if builder.name == BuilderBuildKit {
		if err := job.noteBuildKit(*res.Plan); err != nil {
			return err
		}
	}
	req.App = app
	return res.buildBy(ctx, job, builder, req)
}

// noteBuildKit says what an image of BuildKit has otherwise than one of direct.
func (job Job) noteBuildKit(plan dockerfile.Plan) error {
	text, err := plan.ForBase(0).ForBuilder()
	if err != nil {
		return err
	}
	parsed, err := dockerfile.Parse("Dockerfile", text)
	if err != nil {
		return err
	}
	folders, err := build.BaseFolders()
	if err != nil {
		return err
	}
	notes, err := parsed.CheckForBuildKit(nil, folders)
	for _, n := range notes {
		job.note("note: %s", n.Text)
	}
	return err
}

// buildBy has a builder do what is asked, and writes what the flags name.
func (res *Result) buildBy(ctx context.Context, job Job, builder chosen, req build.Request) error {
	b := job.Build
	start := time.Now()
	if err := job.checked(builder, req); err != nil {
		return err
	}
	for _, file := range []string{b.IIDFile, b.MetadataFile} {
		if file == "" {
			continue
		}
		if err := build.TryFile(file); err != nil { // rather than after the push
			return err
		}
	}
	if b.Progress != nil {
		b.Progress(build.Event{Stage: "builder", Name: builder.name, Message: builder.name + ": " + builder.why})
	}
	trees, closeTrees, err := openTrees(job.Trees)
	if err != nil {
		return err
	}
	defer closeTrees()
	req.Trees = trees
	image, err := builder.Build(ctx, req)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if host := (*build.HostError)(nil); errors.As(err, &host) && len(job.OS) > 0 {
		return &UsageError{err}
	}
	if err != nil {
		return cannot(err)
	}
	image.Omitted = append(res.omitted, image.Omitted...)
	res.Image = &Image{image, builder.name, time.Since(start)}
	if b.IIDFile != "" {
		if err := build.WriteFile(ctx, b.IIDFile, []byte(image.Digest)); err != nil {
			return err
		}
	}
	if b.MetadataFile != "" {
		data, err := res.Image.metadata()
		if err == nil {
			err = build.WriteFile(ctx, b.MetadataFile, data)
		}
		if err != nil {
			return err
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

// MetadataSchema is the JSON Schema of what --metadata-file holds.
//
//go:embed metadata.schema.json
var MetadataSchema []byte

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
		winpack{i.Builder, i.Releases, i.Omitted, i.BytesRead, i.BytesWritten, i.Unchanged, i.Seconds()},
	}, "", "  ")
	return append(data, '\n'), err
}

// Seconds are the durations of the build and of its phases, in seconds.
func (i Image) Seconds() map[string]float64 {
	d := map[string]float64{"build": i.Took.Seconds()}
	for phase, took := range i.Phases {
		d[phase] = took.Seconds()
	}
	return d
}
