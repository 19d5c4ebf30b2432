package dockerfile

//lint:file-ignore SA1019 images of Windows carry ArgsEscaped

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// richBase is a base image with everything that a Dockerfile may keep or replace.
type richBase struct{ image dockerspec.DockerOCIImage }

func newRichBase() richBase {
	var b richBase
	b.image.OS, b.image.Architecture, b.image.OSVersion = "windows", "amd64", "10.0.20348.1"
	b.image.RootFS.Type = "layers"
	c := &b.image.Config
	c.Env, c.WorkingDir, c.User = []string{"PATH=C:\\Windows", "V=base value", "EMPTY="}, `C:\start`, "ContainerUser"
	c.Entrypoint, c.Cmd, c.Shell, c.ArgsEscaped = []string{"monitor", "w3svc"}, []string{"c:\\cmd.exe"}, []string{"powershell", "-c"}, true
	return b
}

func (b richBase) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	data, err := json.Marshal(b.image)
	return ref, "", data, err
}

// Whatever instructions stand after each other, the configuration is the one that
// BuildKit gives the image, and what it refuses is refused.
func TestConfigurationIsThatOfBuildKit(t *testing.T) {
	base := newRichBase()
	image := base.image.Config
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	refused := 0
	for range 4000 {
		text := pick("", "# escape=`\n", "# escape=\\\n") + pick("", "ARG G=global\n", "ARG G\nARG X=${G:-y}\n") + "FROM x AS one\n"
		word := func() string {
			return pick("a", "$V", "${A}", "${B:-b c}", "${V%% *}", "${A#a}", "${V//a/o}", `"q $A"`, "'s $A'", `C:\x`, "`$A", `\$A`, "${NOPE}", "$G", "x=y", "${A:+set}", `"\"`, "${A:?}", "a`", "$", "ü")
		}
		for range 1 + random.IntN(7) {
			text += pick(
				"ENV A="+word()+" B="+word(), "ENV A "+word()+" "+word(), "ENV PATH=${PATH};"+word(), "ENV ${A}N="+word(), "ARG A="+word(), "ARG B", "ARG G", "ARG X="+word()+" Y=$X",
				"LABEL "+word()+"="+word()+" l="+word(), "USER "+word(), "WORKDIR "+word(), "WORKDIR ..", "WORKDIR "+word()+"/"+word(), `WORKDIR \`+word(),
				"EXPOSE 80 "+pick("90/udp", "$A", "1-3", "8080:80", "x"), "EXPOSE ${PORT:-7}", "VOLUME "+word(), `VOLUME ["`+pick("a", "$A")+`", "b"]`,
				"CMD "+word(), `CMD ["a", "`+pick("$A", "b")+`"]`, "CMD []", "ENTRYPOINT "+word(), `ENTRYPOINT ["e"]`, "ENTRYPOINT []", `SHELL ["cmd", "/c"]`,
				"HEALTHCHECK CMD "+word(), `HEALTHCHECK --retries=2 --interval=2s CMD ["h"]`, "HEALTHCHECK NONE", "STOPSIGNAL "+pick("SIGTERM", "9", "$A"), "MAINTAINER m",
				"FROM one AS two", "FROM "+pick("one", "y"),
			) + "\n"
		}
		want, errWant := buildKitConfig(base, text)
		got, errGot := winpackConfig(image, text)
		switch {
		case (errWant == nil) != (errGot == nil):
			t.Fatalf("BuildKit: %v, winpack: %v\n%s", errWant, errGot, text)
		case errWant != nil:
			refused++
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n(-BuildKit +winpack):\n%s", text, diff)
		}
	}
	if refused > 3000 {
		t.Errorf("%d of 4000 are refused by both: the others prove little", refused)
	}
}

func buildKitConfig(base richBase, text string) (map[string]any, error) {
	st := llb.Scratch()
	res, err := dockerfile2llb.Dockerfile2LLB(context.Background(), []byte(text), dockerfile2llb.ConvertOpt{
		SourceMap: llb.NewSourceMap(&st, "Dockerfile", "Dockerfile", []byte(text)), MetaResolver: base,
		TargetPlatform: &ocispecs.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}, LLBCaps: ptr(pb.Caps.CapSet(pb.Caps.All())),
	})
	if err != nil {
		return nil, err
	}
	c := res.Image.Config
	out := map[string]any{
		"env": slices.Compact(sorted(c.Env)), "workdir": c.WorkingDir, "user": c.User, "entrypoint": strings.Join(c.Entrypoint, "|"), "cmd": strings.Join(c.Cmd, "|"),
		"shell": c.Shell, "ports": slices.Sorted(maps.Keys(c.ExposedPorts)), "volumes": slices.Sorted(maps.Keys(c.Volumes)),
		"labels": labelText(c.Labels), "signal": c.StopSignal, "author": res.Image.Author, "escaped": c.ArgsEscaped,
	}
	if h := c.Healthcheck; h != nil {
		out["health"] = Health{Test: h.Test, Interval: h.Interval, Retries: h.Retries}
	}
	return out, nil
}

func winpackConfig(image dockerspec.DockerOCIImageConfig, text string) (map[string]any, error) {
	p, err := Parse("Dockerfile", []byte(text))
	if err != nil {
		return nil, err
	}
	plan, _, err := p.Plan(FileOptions{
		Context: fstest.MapFS{}, Base: Base{Reference: "x", OSVersion: "10.0.20348.1"},
		Image: ImageConfig{Env: image.Env, WorkingDir: image.WorkingDir, User: image.User, Shell: image.Shell, Entrypoint: image.Entrypoint, Cmd: image.Cmd, ArgsEscaped: image.ArgsEscaped},
	})
	if err != nil {
		return nil, err
	}
	c := plan.Config
	env := slices.DeleteFunc(slices.Clone(image.Env), func(line string) bool {
		key, _, _ := strings.Cut(line, "=")
		_, replaced := c.Env[key]
		return replaced
	})
	for k, v := range c.Env {
		env = append(env, k+"="+v)
	}
	out := map[string]any{
		"env": sorted(env), "workdir": c.WorkingDir, "user": c.User, "entrypoint": strings.Join(c.Entrypoint, "|"), "cmd": strings.Join(c.Cmd, "|"),
		"shell": c.Shell, "ports": sorted(c.Expose), "volumes": sorted(c.Volumes), "labels": labelText(c.Labels), "signal": c.StopSignal, "author": c.Author, "escaped": c.ArgsEscaped,
	}
	if c.Health != nil {
		out["health"] = *c.Health
	}
	return out, nil
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func labelText(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k + "=" + labels[k] + "\n")
	}
	return b.String()
}
