package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// Exit codes. They are the same for every format.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitBlocked     = 3
	exitFindings    = 4
	exitInterrupted = 130
)

// usagef is an error of the command line or of the configuration.
func usagef(format string, args ...any) error {
	return pipeline.Usagef(format, args...)
}

// exitCode maps an error to the exit code. Where several causes meet, the order
// is 130, 2, 1, 3, 4.
func exitCode(ctx context.Context, err error) int {
	var (
		usage    *pipeline.UsageError
		blocked  *pipeline.BlockedError
		findings *pipeline.FindingsError
		stale    *pipeline.StaleError
		reached  *appsReachedError
		apps     *appsFoundError
	)
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &blocked):
		return exitBlocked
	case errors.As(err, &findings), errors.As(err, &stale), errors.As(err, &reached), errors.As(err, &apps):
		return exitFindings
	default:
		return exitFailed
	}
}

// fail prints err as one line, or each of several mistakes as one, and returns the exit
// code.
func fail(ctx context.Context, stderr io.Writer, err error) int {
	code := exitCode(ctx, err)
	switch code {
	case exitDone:
	case exitInterrupted:
		fmt.Fprintln(stderr, "winpack: interrupted; nothing was left half-written")
	default:
		each := mistakes{err}
		if many, ok := err.(mistakes); ok {
			each = many
		}
		for _, err := range each {
			fmt.Fprintf(stderr, "winpack: %s\n", report.MaskLogins(report.OneLine(err.Error())))
		}
	}
	return code
}
