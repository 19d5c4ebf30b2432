package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// versionInfo is what `winpack version --format json` prints.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the revision, RFC 3339
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion reads what the Go toolchain wrote into the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func versionCommand(e env) *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the version",
		UsageText:   "winpack version [--format text|json]",
		Description: "Prints the version, the commit and the Go version that this winpack was built from.",
		Flags:       []cli.Flag{stringFlag("format", "`FORMAT` text or json (default: text)")},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("winpack version takes no argument, and %s was given", quoteAll(c.Args().Slice()))
			}
			format, err := formatOf(c)
			if err != nil {
				return err
			}
			return printVersion(e.stdout, buildVersion(), format)
		},
	}
}

func printVersion(w io.Writer, v versionInfo, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	text := "winpack " + v.Version
	if v.Revision != "" {
		text += fmt.Sprintf(" (%.12s)", v.Revision)
	}
	_, err := fmt.Fprintf(w, "%s %s %s\n", text, v.Go, v.Platform)
	return err
}
