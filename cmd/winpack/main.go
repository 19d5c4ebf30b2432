// Command winpack turns application folders into Windows container images.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
)

func main() {
	// Libraries of BuildKit write to it; what matters of that reaches us as errors.
	logrus.SetOutput(io.Discard)
	log.SetOutput(io.Discard) // as that of HTTP/2 does, where a daemon dies
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal ends the work in good order; a second one ends the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], env{os.Stdout, os.Stderr, os.Getenv}))
}
