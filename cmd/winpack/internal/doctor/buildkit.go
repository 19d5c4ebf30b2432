package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/client"
	// Addresses like docker-container://NAME, which run `docker exec`.
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer"
	"google.golang.org/grpc/status"
)

// BuildKit asks the buildkitd at an address for its workers.
func BuildKit(address string) Probe {
	return func(ctx context.Context) (Answer, error) {
		// gRPC wraps what goes wrong with a connection several times over.
		if scheme, _, _ := strings.Cut(address, "://"); scheme == "unix" || scheme == "tcp" || scheme == "npipe" {
			conn, err := dial(ctx, address)
			if err != nil {
				return Answer{}, errors.New(problemOf(err))
			}
			conn.Close()
		}
		c, err := client.New(ctx, address)
		if err != nil {
			return Answer{}, err
		}
		defer c.Close()
		workers, err := c.ListWorkers(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return Answer{}, errors.New(problemOf(ctx.Err()))
			}
			if said, ok := errors.AsType[interface {
				error
				GRPCStatus() *status.Status
			}](err); ok {
				err = errors.New(said.GRPCStatus().Message())
			}
			return Answer{}, fmt.Errorf("it does not answer as buildkitd does: %w", err)
		}
		return workerAnswer(workers)
	}
}

// workerAnswer is what the workers are together: one that is for Windows does RUN
// steps of Windows.
func workerAnswer(workers []*client.WorkerInfo) (Answer, error) {
	var a Answer
	for _, w := range workers {
		if len(w.Platforms) == 0 {
			continue
		}
		// The first platform of a worker is its own; others are emulated.
		if p := w.Platforms[0]; a.OS == "" || p.OS == "windows" && a.OS != "windows" {
			a = Answer{Version: w.BuildkitVersion.Version, OS: p.OS, Architecture: p.Architecture, OSVersion: p.OSVersion}
		}
	}
	if a.OS == "" {
		return a, errors.New("it has no worker")
	}
	return a, nil
}
