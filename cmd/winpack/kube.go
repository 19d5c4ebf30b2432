package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/kube"
	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

func kubeCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "kube",
		Usage:     "write Kubernetes manifests of an app for Windows nodes",
		UsageText: "winpack kube [APP] --image REF [flags]",
		Description: `Prints what a Windows node takes: a Deployment (a Job for a console program that ends) with a Service, probes,
resources, and the node's system and build, and an account of the domain where the app uses Windows
authentication. Comments give the reasons. Nothing asks a cluster or a registry; notes go to stderr.

  winpack kube ./site --image registry.example.com/site@sha256:... | kubectl apply -f -
  winpack kube ./site --image registry.example.com/site:1 -o k8s    one file for each kind of object

A file that was edited by hand, or that winpack did not write, is never overwritten without --force.`,
		Flags: append([]cli.Flag{
			stringFlag("image", "`REF` image of the app, best by its digest (needed)"),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`DIR` write files there, in place of printing them"},
			boolFlag("force", "", "overwrite files that were edited by hand, or are another app's"),
			stringFlag("name", "`NAME` of the objects (default: made out of the app's name)"),
			stringFlag("namespace", "`NAME` write this namespace into the objects (default: none)"),
			stringFlag("workload", "`KIND` auto, deployment or job (default: auto)"),
			stringFlag("replicas", "`N` of a Deployment (default: 2, or 1 where something forbids more)"),
			stringFlag("health-path", "`PATH` page for the probes to ask, like /health (default: ask the port)"),
			sliceFlag("image-pull-secret", "`NAME` Secret with the login of the registry (repeatable)"),
			stringFlag("gmsa", "`NAME` GMSACredentialSpec of the cluster, for the account that the app acts as"),
		}, commonFlags()...),
		Action: func(c *cli.Context) error {
			job, err := jobOf(c)
			if err != nil {
				return err
			}
			options, err := kubeOptions(c)
			if err != nil {
				return err
			}
			dir, err := kubeDir(c, job.App)
			if err != nil {
				return err
			}
			if _, err := configure(&job, time.Now(), e.stderr); err != nil {
				return err
			}
			job.Found = func(r report.Report) { printFindings(e.tell, c, r) }
			job.NeedPlan = true
			res := pipeline.Run(c.Context, job)
			// Findings of --fail-on keep nothing from being written.
			if findings := (*pipeline.FindingsError)(nil); res.Err != nil && !errors.As(res.Err, &findings) {
				return kubeError(res, dir, options.Name, c.Bool("force"))
			}
			manifests, err := kube.New(*res.Report, *res.Plan, options)
			if option := (*kube.OptionError)(nil); errors.As(err, &option) {
				return usagef("%w", err)
			} else if err != nil {
				return err
			}
			if !c.Bool("quiet") {
				if edited := pipeline.Edited(job.App, job.OS); edited != "" {
					fmt.Fprintf(e.stderr, "note: %s was edited by hand: the manifests go by what winpack plans, and not by its ports, variables and user\n", report.OneLine(edited))
				}
				for _, note := range manifests.Notes {
					fmt.Fprintln(e.stderr, "note: "+report.OneLine(note))
				}
			}
			if dir == "" {
				text, err := kube.YAML(manifests.Objects)
				if err == nil {
					_, err = e.stdout.Write(text)
				}
				if err != nil {
					return err
				}
				return res.Err
			}
			if err := writeManifests(e, c, dir, manifests); err != nil {
				return err
			}
			return res.Err
		},
	}
}

// kubeError is the error of an app without manifests. A file of them that
// somebody edited comes before a blocked app, as it does in winpack dockerfile.
func kubeError(res pipeline.Result, dir, named string, force bool) error {
	blocked := (*pipeline.BlockedError)(nil)
	if dir == "" || force || res.Report == nil || !errors.As(res.Err, &blocked) {
		return res.Err
	}
	if named == "" {
		named = kube.Name(res.Report.App.Name)
	}
	if edited := kube.Edited(dir, named); len(edited) > 0 {
		return &kube.NotOursError{Dir: dir, Names: edited}
	}
	return res.Err
}

// kubeOptions reads the flags that are kube's own and refuses what makes no sense.
func kubeOptions(c *cli.Context) (kube.Options, error) {
	o := kube.Options{
		Image: c.String("image"), Name: c.String("name"), Namespace: c.String("namespace"),
		HealthPath: c.String("health-path"), PullSecrets: c.StringSlice("image-pull-secret"), GMSA: c.String("gmsa"),
	}
	if o.Image == "" {
		return o, usagef("name the image of the app with --image, like registry.example.com/name@sha256:...")
	}
	if strings.Contains(o.Image, "://") {
		return o, usagef("--image %q: a reference has no scheme, like registry.example.com/name:tag", o.Image)
	}
	if _, err := name.ParseReference(o.Image); err != nil {
		return o, usagef("--image %q is not an image reference like registry.example.com/name:tag: %w", o.Image, err)
	}
	var err error
	if o.Workload, err = oneOf(c, "workload", kube.WorkloadAuto, kube.WorkloadDeployment, kube.WorkloadJob); err != nil {
		return o, err
	}
	if c.IsSet("replicas") {
		if o.Replicas, err = strconv.Atoi(c.String("replicas")); err != nil || o.Replicas < 1 || o.Replicas > 1000 {
			return o, usagef("--replicas is a number from 1 to 1000, not %q", c.String("replicas"))
		}
		if o.Workload == kube.WorkloadJob {
			return o, usagef("--replicas is for a Deployment, and --workload asks for a job: leave one out")
		}
	}
	for _, check := range []struct {
		flag   string
		values []string
		check  func(string) error
	}{
		{"name", []string{o.Name}, kube.CheckName},
		{"namespace", []string{o.Namespace}, kube.CheckNamespace},
		{"health-path", []string{o.HealthPath}, kube.CheckPath},
		{"image-pull-secret", o.PullSecrets, kube.CheckReference},
		{"gmsa", []string{o.GMSA}, kube.CheckReference},
	} {
		if !c.IsSet(check.flag) {
			continue
		}
		for _, value := range check.values {
			if err := check.check(value); err != nil {
				return o, usagef("--%s %w", check.flag, err)
			}
		}
	}
	return o, nil
}

// kubeDir is the folder of -o; empty where the manifests are printed.
func kubeDir(c *cli.Context, app string) (string, error) {
	dir := c.String("output")
	switch {
	case !c.IsSet("output") && c.Bool("force"):
		return "", usagef("--force has nothing to overwrite without -o DIR: leave it out")
	case !c.IsSet("output"):
		return "", nil
	case dir == "":
		return "", usagef("-o is empty: name a folder")
	case strings.HasPrefix(dir, "type="):
		return "", usagef("-o %q is an output of winpack build: winpack kube takes a folder", dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", usagef("-o %q: %w", dir, err)
	}
	if info, err := os.Stat(absolute); err == nil && !info.IsDir() {
		return "", usagef("-o %q is a file: name a folder", dir)
	}
	if inside, err := pipeline.Within(app, absolute); err != nil || inside {
		return "", usagef("-o %q lies in the app's folder, where the manifests would become a part of the app: name another folder", dir)
	}
	return absolute, nil
}

func writeManifests(e env, c *cli.Context, dir string, m kube.Manifests) error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	files, err := m.Files()
	if err != nil {
		return err
	}
	removed, err := kube.Write(dir, m.Name, files, c.Bool("force"))
	if notOurs := (*kube.NotOursError)(nil); errors.As(err, &notOurs) {
		return err
	} else if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("writing the manifests: %w; name a folder that you may write to with -o", err)
	} else if err != nil {
		return fmt.Errorf("writing the manifests: %w", err)
	}
	if c.Bool("quiet") {
		return nil
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "wrote %s\n", report.Safe(shown(filepath.Join(dir, name))))
	}
	for _, name := range removed {
		fmt.Fprintf(&b, "removed %s, which is no longer part of them\n", report.Safe(shown(filepath.Join(dir, name))))
	}
	_, err = e.stdout.WriteString(b.String())
	return err
}
