package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// buildLine is the file beside a row's Dockerfile that says how to build it by hand.
const buildLine = "build.txt"

// writeBuildLine says how the Dockerfile of a row is built by hand. The line is for
// its own folder, so that it holds where the results and the apps are moved together.
func (b *batch) writeBuildLine(r inventory.Row, res pipeline.Result) error {
	done := res.Written
	if done == nil {
		return nil
	}
	folder, err := filepath.Rel(done.Dir, done.Context)
	if err != nil {
		return fmt.Errorf("writing %q: %w", buildLine, err)
	}
	ref := cmp.Or(r.Tag, inventory.Repository(r.Name), "app")
	if r.Tag == "" && b.tags != nil {
		if made, err := b.tags.Reference(r.Name, string(res.Report.App.Kind)); err == nil {
			ref = made
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "How to build the image of %s by hand. In this folder:\n\n", report.OneLine(r.Name))
	quote := func(word string) string { return report.OneLine(dockerfile.Quote(word, runtime.GOOS == "windows")) }
	for _, name := range done.Dockerfiles() {
		fmt.Fprintf(&text, "  docker buildx build --platform windows/amd64 -t %s -f %s %s\n", quote(ref), quote(name), quote(folder))
	}
	if res.Report.Needs.WindowsBuilder || res.Plan.GrantsInBuild() {
		text.WriteString("\nIt runs commands on Windows, so that takes a BuildKit worker on Windows.\n")
	}
	if res.Report.Needs.WindowsBuilder {
		for _, reason := range res.Report.Needs.Reasons {
			fmt.Fprintf(&text, "  %s\n", report.OneLine(reason))
		}
	}
	return build.WriteFile(context.Background(), filepath.Join(done.Dir, buildLine), []byte(text.String()))
}
