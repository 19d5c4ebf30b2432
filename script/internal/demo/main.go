// Command demo is the main job on a real compiled IIS site: detect, dockerfile,
// build and push, with the commands that a user would type. The registry that
// the image is pushed to lives in this process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

const microsoft = "mcr.microsoft.com"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, "https://"+microsoft); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run is the demo, from the root of the project. The base is that of upstream, where it
// answers.
func run(ctx context.Context, out io.Writer, upstream string) error {
	tmp, err := os.MkdirTemp("", "winpack-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)

	step(out, "go build ./cmd/winpack")
	winpack := filepath.Join(tmp, "winpack")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", winpack, "./cmd/winpack").CombinedOutput(); err != nil {
		return fmt.Errorf("compiling winpack: %w\n%s", err, text)
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	host := ln.Addr().String()
	reg := newRegistry(nil)
	if answers(ctx, upstream, 3*time.Second) {
		reg = newRegistry(&upstreamRegistry{base: upstream, prefix: "mcr/"})
		fmt.Fprintf(out, "\nBASE IMAGE: the real one. %s answers; this registry passes it on, and no base layer moves.\n", microsoft)
	} else {
		fmt.Fprintf(out, "\nBASE IMAGE: A STAND-IN, because %s did not answer within 3 seconds.\n"+
			"It has the real shape (index, os.version, layers, entrypoint) and no Windows in it: the image below is\n"+
			"complete but for that.\n", microsoft)
	}
	srv := &http.Server{Handler: reg, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() {
		srv.Close()
		<-served
	}()
	if reg.up == nil {
		if err := pushStandIns(ctx, host); err != nil {
			return fmt.Errorf("making stand-in bases: %w", err)
		}
	}

	app := filepath.Join(tmp, "shop")
	if err := os.CopyFS(app, os.DirFS("fixtures/demo/app")); err != nil {
		return fmt.Errorf("copying the demo site: %w", err)
	}
	ref := host + "/demo/shop:1.4"
	commands := [][]string{
		{"detect", "shop"},
		{"dockerfile", "shop"},
		{"build", "shop", "-t", ref, "--push", "--mirror", microsoft + "=" + host + "/mcr", "--insecure-registry", host},
	}
	for _, args := range commands {
		step(out, "winpack "+strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, winpack, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = tmp, out, os.Stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("winpack %s: %w", args[0], err)
		}
		fmt.Fprintf(out, "(%.1f s)\n", time.Since(start).Seconds())
		if args[0] == "dockerfile" {
			text, err := os.ReadFile(filepath.Join(tmp, "shop.winpack", "Dockerfile"))
			if err != nil {
				return err
			}
			step(out, "cat shop.winpack/Dockerfile")
			_, _ = out.Write(text)
		}
	}

	step(out, "what the registry holds now")
	if err := show(ctx, out, ref, app); err != nil {
		return err
	}
	if reg.up != nil {
		fmt.Fprintf(out, "bytes of base layers that moved: %d\n", reg.layerBytes())
	}
	return nil
}

func step(out io.Writer, text string) { fmt.Fprintf(out, "\n$ %s\n", text) }

// answers says whether a registry answers within the limit; an authentication
// challenge is an answer too.
func answers(ctx context.Context, base string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v2/", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized
}

var errNotFound = errors.New("not found upstream")
