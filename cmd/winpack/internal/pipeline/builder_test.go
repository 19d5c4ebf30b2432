package pipeline

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/pb"

	"github.com/winpack/winpack/fixtures/buildkit"
	"github.com/winpack/winpack/fixtures/docker"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// What takes another builder than direct goes to the first that runs where it has to
// and can honour every flag.
func TestAutoTakesTheFirstBuilderThatCan(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		t.Setenv(name, "")
	}
	windows := buildkit.Workers(t, []*pb.Platform{buildkit.Windows("10.0.20348.2966")})
	linux := buildkit.Workers(t, []*pb.Platform{buildkit.Linux()})
	engine, _ := docker.Windows(t, "unix:///no/such.sock", "26100.1", "")
	const away = "tcp://user:Xyzzy@127.0.0.1:1"
	push := Build{Push: true, References: []string{"r.example.com/x:1"}}
	isolated, nowhere, layout := push, Build{}, Build{Outputs: []build.Output{{Type: "oci", Dest: "x"}}}
	isolated.Isolation = "process"
	for name, test := range map[string]struct {
		kit, docker string
		flags       Build
		anywhere    bool // Windows is not needed
		want        string
		why         []string
	}{
		"both":                              {windows, engine, push, false, "buildkit", []string{"windows(10.0.20348.2966)/amd64"}},
		"a worker on Linux":                 {linux, engine, push, false, "docker", []string{"Windows 10.0.26100.1"}},
		"a worker on Linux, and no Windows": {linux, engine, push, true, "buildkit", []string{"linux/amd64"}},
		"a worker that is away":             {away, engine, push, false, "docker", nil},
		"what BuildKit can't honour":        {windows, engine, isolated, false, "docker", nil},
		"no destination but the engine":     {windows, engine, nowhere, false, "docker", nil},
		"what an engine can't honour":       {linux, engine, layout, false, "", []string{"-o type=oci: the builder docker can't do that"}},
		"what the only worker can't honour": {windows, away, isolated, false, "", []string{"--isolation: the builder buildkit can't do that"}},
		"no destination for the only one":   {windows, away, nowhere, false, "", []string{"nowhere to put the image"}},
		"neither": {away, away, push, false, "", []string{
			"no BuildKit answers at tcp://***@127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused; no Docker engine answers at tcp://***@127.0.0.1:1: dial",
			"connection refused; name a Docker engine on Windows by --docker-host, or a BuildKit worker on Windows by --buildkit-addr"}},
		"neither, on Linux": {linux, away, push, false, "", []string{"the BuildKit worker runs on linux/amd64; no Docker engine answers"}},
		"wrong addresses":   {"x", "y", push, false, "", []string{`BuildKit's address "x" has no scheme`, `the engine's address "y" has no scheme`}},
	} {
		t.Run(name, func(t *testing.T) {
			job := Job{Build: &test.flags}
			job.Build.BuildKitAddr, job.Build.DockerHost = test.kit, test.docker
			req := job.request(dockerfile.Plan{Builder: dockerfile.BuilderNeeds{Windows: true, Reasons: []string{"a feature"}}})
			c, err := job.pickOther(t.Context(), req, "a feature", !test.anywhere)
			said := c.why
			if err != nil {
				said = err.Error()
			}
			if c.name != test.want || (err == nil) != (test.want != "") || strings.Contains(said, "Xyzzy") || strings.Contains(said, "\n") {
				t.Fatalf("%q, %v", c.name, err)
			}
			for _, want := range test.why {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in %q", want, said)
				}
			}
			usage := slices.Contains([]string{"what an engine can't honour", "what the only worker can't honour", "no destination for the only one"}, name)
			if errors.As(err, new(*UsageError)) != usage {
				t.Errorf("wrong usage, or not: %v", err)
			}
		})
	}
	// The address by default is asked, and told of as such.
	job := Job{Build: &Build{}}
	job.Build.DockerHost = away
	if _, err := job.pickOther(t.Context(), job.request(dockerfile.Plan{}), "a feature", true); err == nil || !strings.Contains(err.Error(), "no BuildKit address is given") {
		t.Errorf("%v", err)
	}
}
