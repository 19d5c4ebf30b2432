// Package sarif writes findings as SARIF 2.1.0, which code hosts, pipelines and
// editors show.
//
// A log has one run. Places are relative to the folder of their app, and
// originalUriBaseIds says where that is. The library's types are marshalled one
// result at a time, so that a log of any number of apps takes little memory.
package sarif

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

const (
	schemaURI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	homeURI   = "https://github.com/winpack/winpack"
)

// Log is what stands around the results.
type Log struct {
	Version string        // of winpack
	Rules   []detect.Rule // that findings name, by ID
	// Alone is set where the log is of one app, and no app has to be told from another.
	Alone bool
	// Folder is the folder of that one app, relative to the working directory; empty
	// where it is not known or not to be told.
	Folder string
	// Notes are what a reader has to know of the results themselves.
	Notes []string
	// Missing are the apps that have no result.
	Missing []result.Row
}

// Write writes the log of results that follow one another by name.
func (l Log) Write(w io.Writer, results iter.Seq2[result.Result, error]) error {
	out := bufio.NewWriter(w)
	run := l.newRun()
	if err := run.head(out); err != nil {
		return err
	}
	comma := "\n"
	for r, err := range results {
		if err != nil {
			return err
		}
		for _, x := range run.app(&r) {
			text, err := marshal(x)
			if err != nil {
				return err
			}
			if _, err := out.WriteString(comma + "        " + string(text)); err != nil {
				return err
			}
			comma = ",\n"
		}
	}
	if comma != "\n" {
		out.WriteString("\n      ")
	}
	if err := run.tail(out); err != nil {
		return err
	}
	return out.Flush()
}

// run is the one run of a log while it is written.
type run struct {
	Log
	index   map[string]int // of rules
	bases   map[string]sarif.ArtifactLocation
	notices []*sarif.Notification
	failed  bool // something is missing in the log
}

func (l Log) newRun() *run {
	r := &run{Log: l, index: map[string]int{}, bases: map[string]sarif.ArtifactLocation{}}
	for i, rule := range l.Rules {
		r.index[rule.ID] = i
	}
	for _, note := range l.Notes {
		r.notice("warning", note, nil)
	}
	for _, row := range l.Missing {
		r.notice("error", fmt.Sprintf("%s (%s) has no result", row.Name, row.Source), nil)
	}
	r.failed = len(l.Notes) > 0 || len(l.Missing) > 0
	return r
}

func (r *run) head(out *bufio.Writer) error {
	driver, err := marshal(sarif.NewToolComponent().WithName("winpack").WithVersion(r.Version).WithInformationURI(homeURI))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "{\n  \"$schema\": %q,\n  \"version\": \"2.1.0\",\n  \"runs\": [\n    {\n", schemaURI)
	fmt.Fprintf(out, "      \"tool\": {\"driver\": %s, \"rules\": [", bytes.TrimSuffix(driver, []byte("}")))
	for i, rule := range r.Rules {
		text, err := marshal(descriptor(rule))
		if err != nil {
			return err
		}
		if i > 0 {
			out.WriteString(",")
		}
		fmt.Fprintf(out, "\n        %s", text)
	}
	out.WriteString("]}},\n      \"results\": [")
	return nil
}

// tail writes what is known when the results are written.
func (r *run) tail(out *bufio.Writer) error {
	bases, err := marshal(r.bases)
	if err != nil {
		return err
	}
	invocation, err := marshal(sarif.NewInvocation().WithExecutionSuccessful(!r.failed).WithToolExecutionNotifications(r.notices))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "],\n      \"originalUriBaseIds\": %s,\n      \"invocations\": [%s]\n    }\n  ]\n}\n", bases, invocation)
	return err
}

// descriptor is a rule with its help.
func descriptor(rule detect.Rule) *sarif.ReportingDescriptor {
	d := sarif.NewRule(rule.ID).
		WithShortDescription(text(rule.Title)).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level(rule.Level)))
	if rule.Why != "" {
		d.WithFullDescription(text(rule.Why))
	}
	help := rule.Remedy
	if help == "" || strings.ContainsAny(help, "{}") {
		// What is to be done differs from finding to finding, and stands in each.
		help = "The message of each result says what to do."
	}
	return d.WithHelp(text(help + " `winpack explain " + rule.ID + "` says more.")).WithHelpURI(helpURI(rule))
}

// helpURI is the first address at which the reason of a rule can be read, or else the
// table of rules.
func helpURI(rule detect.Rule) string {
	for one := range strings.SplitSeq(rule.Source, "; ") {
		if address, _, _ := strings.Cut(one, " "); strings.HasPrefix(address, "https://") {
			return address
		}
	}
	return homeURI + "/blob/main/pkg/detect/rules.toml"
}

func text(s string) *sarif.MultiformatMessageString {
	return sarif.NewMultiformatMessageString().WithText(plain(s))
}

// plain keeps text from an app text: SARIF takes [words](target) for a link.
func plain(s string) string { return strings.ReplaceAll(report.OneLine(s), "](", "] (") }

// level maps the levels of winpack, whose worst SARIF does not know.
func level(l detect.Level) string {
	switch l {
	case detect.LevelBlocker, detect.LevelError:
		return sarif.LevelError
	case detect.LevelWarning:
		return sarif.LevelWarning
	}
	return sarif.LevelNote
}

// marshal writes a value of the library on one line, without what the library
// writes where nothing is set: empty lists and the number -1.
func marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	text, err = report.JSONLine(prune(plain))
	return bytes.TrimSuffix(text, []byte("\n")), err
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			if x = prune(x); isUnset(x) {
				delete(v, key)
			} else {
				v[key] = x
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func isUnset(v any) bool {
	list, isList := v.([]any)
	return v == nil || isList && len(list) == 0 || v == float64(-1)
}
