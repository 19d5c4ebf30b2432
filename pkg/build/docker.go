package build

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	engine "github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/winpack/winpack/pkg/build/internal/winlayer"
)

// Docker builds images by a Docker engine that runs Windows containers.
type Docker struct {
	Registry Registry
	// Host is the engine's address; empty means that of DOCKER_HOST, of the docker
	// context in use, or the default one.
	Host string
	// Hosts says which releases the engine's Windows host builds; nil means all.
	Hosts HostRule
}

// builderDocker names the builder in messages and metadata.
const builderDocker = "docker"

// contextDockerfile is the Dockerfile's name in what an engine is sent.
const contextDockerfile = ".winpack.Dockerfile"

// ignoreName is the ignore file of a context, of which maxIgnore bytes are read.
const (
	ignoreName = ".dockerignore"
	maxIgnore  = 1 << 20
)

// LinuxEngineError is an engine that runs Linux containers.
type LinuxEngineError struct {
	Addr string
	Load bool // an image was to be loaded, not built
}

func (e *LinuxEngineError) Error() string {
	if e.Load {
		return fmt.Sprintf("the Docker engine at %s runs Linux containers, and can't hold a Windows image: switch Docker Desktop to Windows containers, name a Windows engine by --docker-host, or save the image with -o type=docker,dest=FILE", e.Addr)
	}
	return fmt.Sprintf("the Docker engine at %s runs Linux containers, and can't build on Windows base images: switch Docker Desktop to Windows containers, name a Windows engine by --docker-host, or use --builder direct", e.Addr)
}

// Check implements Builder.
func (d Docker) Check(req Request) error {
	if len(req.Annotations) > 0 {
		return &CannotError{"--annotation", builderDocker, "an engine writes none", []string{builderDirect, builderBuildKit}}
	}
	for _, o := range req.Outputs {
		if o.Type == "oci" {
			return &CannotError{"-o type=oci", builderDocker, "an engine writes no OCI layout", []string{builderDirect, builderBuildKit}}
		}
	}
	for _, b := range req.Plan.Bases {
		if strings.HasPrefix(b.Reference, "oci:") {
			return &CannotError{"--base " + b.Reference, builderDocker, "an engine takes its bases from a registry", []string{builderDirect}}
		}
	}
	_, err := d.address()
	return err
}

// Build implements Builder. A *LinuxEngineError says that the engine is none for
// Windows; nothing was sent to it then.
func (d Docker) Build(ctx context.Context, req Request) (Image, error) {
	if err := d.Check(req); err != nil {
		return Image{}, err
	}
	c, err := d.connect()
	if err != nil {
		return Image{}, err
	}
	defer c.Close()
	who, err := c.ask(ctx)
	if err != nil {
		return Image{}, err
	}
	if who.OS != "windows" {
		return Image{}, &LinuxEngineError{Addr: c.shown}
	}
	var ids []string
	img, err := buildEach(ctx, d.Registry, req, builderDocker, func(ctx context.Context, g *gatherer) error {
		if err := g.keepReleases(d.Hosts, who.OSVersion); err != nil {
			return err
		}
		if err := g.keepNeeded(who.OSVersion, true); err != nil {
			return err
		}
		for i := range g.sources {
			id, err := d.one(ctx, c.Client, g, i)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return engineError(c, err)
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err == nil && !req.Push && !req.DryRun {
		img.Digest = ids[len(ids)-1] // an engine's image has no manifest until it is pushed
		for i, id := range ids {
			img.Releases[i].ConfigDigest = id
		}
	}
	return img, err
}

// one builds one release, and pushes it under each reference; where several releases
// are pushed, under a tag of its own, which the index names by digest.
func (d Docker) one(ctx context.Context, c *client.Client, g *gatherer, i int) (string, error) {
	s, attrs, err := g.context(ctx, i)
	if err != nil {
		return "", &appError{err}
	}
	if g.req.DryRun {
		return "", nil
	}
	if f := g.req.File; f != nil {
		s.dockerfile = pinFrom(s.dockerfile, f.Images, g.pinned(i))
	}
	release := g.sources[i]
	g.say("build", release.OS, "%s", strings.TrimSpace(release.OS+" on Windows "+release.OSVersion))
	var tags []string
	for _, ref := range g.refs {
		tag := shownName(ref)
		if len(g.sources) > 1 && g.req.Push {
			tag += "-" + g.sources[i].OS
		}
		tags = append(tags, tag)
	}
	opt := engine.ImageBuildOptions{
		Dockerfile: contextDockerfile, Tags: tags, NoCache: g.req.NoCache, PullParent: g.req.Pull, Labels: g.req.Labels,
		Remove: true, ForceRemove: true, Isolation: container.Isolation(g.req.Isolation),
		BuildArgs: map[string]*string{}, AuthConfigs: map[string]registry.AuthConfig{},
	}
	for key, value := range attrs {
		if arg, ok := strings.CutPrefix(key, "build-arg:"); ok {
			opt.BuildArgs[arg] = &value
		}
	}
	base := g.sources[i].ref.Context()
	auth, err := d.credentials(ctx, base)
	if err != nil {
		return "", err
	}
	opt.AuthConfigs[auth.ServerAddress] = auth
	id, err := engineBuild(ctx, c, s, opt, func(line string) { g.say("engine", g.sources[i].OS, "%s", line) })
	if err != nil {
		return "", err
	}
	for _, o := range g.req.Outputs {
		if o.Dest != "" && i == 0 { // a tar holds one release, the first
			if err := engineSave(ctx, c, tags, id, o.Dest); err != nil {
				return "", err
			}
		}
	}
	if !g.req.Push {
		return id, nil
	}
	digest := ""
	for n, tag := range tags {
		repo := g.refs[n].Context()
		auth, err := d.credentials(ctx, repo)
		if err != nil {
			return "", err
		}
		pushed, err := enginePush(ctx, c, tag, auth, func(line string) { g.say("push", tag, "%s", line) })
		if err != nil {
			return "", pushError(tag, repo.RegistryStr(), err)
		}
		if digest = cmp.Or(digest, pushed); digest != pushed {
			return "", fmt.Errorf("pushing %q: the engine gave it another digest than %q, %s and not %s: push to one of them, and copy the image to the other", tag, tags[0], pushed, digest)
		}
	}
	return id, g.built(ctx, i, digest, "")
}

// engineBuild streams a context to an engine and returns the image's ID.
func engineBuild(ctx context.Context, c *client.Client, s *sent, opt engine.ImageBuildOptions, say func(string)) (string, error) {
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := func() (err error) {
			defer caught(&err)
			return s.tar(ctx, w)
		}()
		failed <- err
		w.CloseWithError(err)
	}()
	resp, err := c.ImageBuild(ctx, r, opt)
	if err != nil {
		r.CloseWithError(err)
		// What failed on this side says more than the engine does.
		if own := <-failed; own != nil && !errors.Is(own, io.ErrClosedPipe) && !errors.Is(own, err) {
			return "", &appError{own}
		}
		return "", err
	}
	defer resp.Body.Close()
	id := ""
	err = messages(resp.Body, say, func(aux json.RawMessage) {
		var r engine.Result
		if json.Unmarshal(aux, &r) == nil && r.ID != "" {
			id = r.ID
		}
	})
	// An engine that is done with the context reads no more of it.
	if own := <-failed; own != nil && !errors.Is(own, io.ErrClosedPipe) {
		return "", &appError{own}
	}
	if err == nil && id == "" {
		err = errors.New("the engine ended the build without an image")
	}
	return id, err
}

// engineSave writes an image as the tar that docker load takes.
func engineSave(ctx context.Context, c *client.Client, tags []string, id, dest string) error {
	names := tags
	if len(names) == 0 {
		names = []string{id}
	}
	r, err := c.ImageSave(ctx, names)
	if err != nil {
		return fmt.Errorf("writing %q: %w", dest, err)
	}
	defer r.Close()
	return writeTo(ctx, dest, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// messages reads the engine's answer line by line; its error ends it.
func messages(r io.Reader, say func(string), aux func(json.RawMessage)) error {
	dec := json.NewDecoder(r)
	for {
		var m jsonmessage.JSONMessage
		if err := dec.Decode(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case m.Error != nil:
			return errors.New(strings.Join(strings.Fields(m.Error.Message), " "))
		case m.Aux != nil:
			aux(*m.Aux)
		case strings.TrimSpace(m.Stream) != "":
			say(strings.TrimSpace(m.Stream))
		case m.Status != "" && m.Progress == nil:
			say(strings.TrimSpace(m.ID + " " + m.Status))
		}
	}
}

func engineError(c *engineConn, err error) error {
	if own := (*appError)(nil); errors.As(err, &own) {
		return own.error
	}
	for _, kept := range []any{new(*UnsupportedError), new(*AuthError), new(*RegistryError), new(*UnreachableError)} {
		if errors.As(err, kept) {
			return err
		}
	}
	if client.IsErrConnectionFailed(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return &UnreachableError{"Docker engine", c.shown, errors.New("it broke the connection off in the middle of the build")}
	}
	return fmt.Errorf("building by the Docker engine at %s: %s", c.shown, c.mask(err.Error()))
}

// tar writes the context, Dockerfile first, as an engine takes it.
func (s *sent) tar(ctx context.Context, w io.Writer) error {
	tw := tar.NewWriter(w)
	head := func(name string, size int64) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: s.layer.Time()}
	}
	text := func(name string, data []byte) error {
		if err := tw.WriteHeader(head(name, int64(len(data)))); err != nil {
			return err
		}
		_, err := tw.Write(data)
		return err
	}
	if err := text(contextDockerfile, s.dockerfile); err != nil {
		return err
	}
	// As docker does it for a Dockerfile from elsewhere: the engine takes off what the
	// ignore file names of these two, once it has read them, and COPY never sees it.
	ignored, own := []byte(contextDockerfile+"\n"), true
	if f, err := s.open(ignoreName); err == nil {
		theirs, err := io.ReadAll(io.LimitReader(f, maxIgnore))
		if err = cmp.Or(err, f.Close()); err != nil {
			return err
		}
		ignored, own = slices.Concat(theirs, []byte("\n"), ignored), false
	}
	if own {
		ignored = append(ignored, ignoreName+"\n"...)
	}
	if err := text(ignoreName, ignored); err != nil {
		return err
	}
	err := s.walk(func(e winlayer.Entry) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case e.Path == ignoreName && !e.Folder:
			return nil
		case e.Folder:
			h := head(e.Path+"/", 0)
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
			return tw.WriteHeader(h)
		case e.Source == "":
			return text(e.Path, e.Content)
		}
		f, err := cmp.Or(e.FS, s.tree.app).Open(e.Source)
		if err != nil {
			return winlayer.ReadError(e.Source, err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return winlayer.ReadError(e.Source, err)
		}
		h := head(e.Path, info.Size())
		h.ModTime = s.layer.FileTime(info.ModTime())
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if n, err := io.Copy(tw, io.LimitReader(f, info.Size())); err != nil {
			return fmt.Errorf("sending %q: %w", e.Source, pathCause(err))
		} else if n < info.Size() {
			return fmt.Errorf("%q changed while it was read: build again when nothing writes to it", e.Source)
		}
		return nil
	})
	return cmp.Or(contextError(err), tw.Close())
}
