package kube

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

//go:embed kube.toml
var factsText string

// sourced is what each row says of itself.
type sourced struct {
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// match is a condition on a report: that a fact won, or that none of a key did.
type match struct {
	Fact    string   `toml:"fact"`
	Values  []string `toml:"values"`  // patterns; empty means any
	Missing string   `toml:"missing"` // no fact of that key won
	Kinds   []string `toml:"kinds"`   // empty means any
}

type tolerationRow struct {
	Key    string `toml:"key"`
	Value  string `toml:"value"`
	Effect string `toml:"effect"`
	Where  string `toml:"where"`
	sourced
}

// familyRow has the sizes and times of an image family.
type familyRow struct {
	Family           string `toml:"family"`
	IIS              bool   `toml:"iis"`
	CPU              string `toml:"cpu"`
	MemoryRequest    string `toml:"memory_request"`
	MemoryLimit      string `toml:"memory_limit"`
	StartupPeriod    int32  `toml:"startup_period"` // seconds, as all times
	StartupFailures  int32  `toml:"startup_failures"`
	Period           int32  `toml:"period"`
	Timeout          int32  `toml:"timeout"`
	LivenessPeriod   int32  `toml:"liveness_period"`
	LivenessFailures int32  `toml:"liveness_failures"`
	ProgressDeadline int32  `toml:"progress_deadline"`
	sourced
}

type staysRow struct {
	match
	Why string `toml:"why"`
	sourced
}

type singleRow struct {
	match
	Alone    bool   `toml:"alone"`
	Affinity bool   `toml:"affinity"` // sticky sessions help
	Why      string `toml:"why"`
	More     string `toml:"more"`
	sourced
}

type gmsaRow struct {
	match
	Hint bool   `toml:"hint"` // said, and nothing is written for it
	Why  string `toml:"why"`
	sourced
}

type portRow struct {
	Number int    `toml:"number"`
	Name   string `toml:"name"`
	sourced
}

type refusedRow struct {
	ID    string `toml:"id"`
	Field string `toml:"field"`
	Why   string `toml:"why"`
	sourced
}

type facts struct {
	Schema     string            `toml:"schema"`
	AsOf       any               `toml:"as_of"`
	Sources    map[string]string `toml:"sources"`
	Scheduling struct {
		OS         string `toml:"os"`
		Arch       string `toml:"arch"`
		OSLabel    string `toml:"os_label"`
		ArchLabel  string `toml:"arch_label"`
		BuildLabel string `toml:"build_label"`
		Topology   string `toml:"topology"`
		sourced
	} `toml:"scheduling"`
	Tolerations []tolerationRow `toml:"toleration"`
	Families    []familyRow     `toml:"family"`
	Stop        struct {
		Drain        int64 `toml:"drain"`
		Grace        int64 `toml:"grace"`
		ServiceGrace int64 `toml:"service_grace"`
		sourced
	} `toml:"stop"`
	Job struct {
		BackoffLimit int32 `toml:"backoff_limit"`
		sourced
	} `toml:"job"`
	Replicas struct {
		Count          int `toml:"count"`
		MaxUnavailable int `toml:"max_unavailable"`
		Surge          int `toml:"surge"`
		sourced
	} `toml:"replicas"`
	Workload struct {
		Deployment []string `toml:"deployment"` // kinds
		Hosted     []string `toml:"hosted"`
		HTTP       []string `toml:"http"`
		Keys       []string `toml:"keys"` // Data Protection keys of ASP.NET Core
		sourced
	} `toml:"workload"`
	Stays  []staysRow  `toml:"stays"`
	Single []singleRow `toml:"single"`
	Ports  []portRow   `toml:"port"`
	GMSA   struct {
		APIVersion string `toml:"api_version"`
		Group      string `toml:"group"`
		Kind       string `toml:"kind"`
		Resource   string `toml:"resource"`
		Verb       string `toml:"verb"`
		sourced
	} `toml:"gmsa"`
	GMSAFacts []gmsaRow `toml:"gmsa_fact"`
	GPU       struct {
		Resource string `toml:"resource"`
		sourced
	} `toml:"gpu"`
	Refused []refusedRow `toml:"refused"`
}

// load reads the embedded table once. It must not be changed.
var load = sync.OnceValues(func() (*facts, error) { return parseFacts(factsText) })

func parseFacts(text string) (*facts, error) {
	f := new(facts)
	meta, err := toml.Decode(text, f)
	if err != nil {
		return nil, fmt.Errorf("parsing kube.toml: %w", err)
	}
	if left := meta.Undecoded(); len(left) > 0 {
		return nil, fmt.Errorf("parsing kube.toml: unknown key %q", left[0].String())
	}
	return f, f.check()
}

func (f *facts) check() error {
	rows := []sourced{
		f.Scheduling.sourced, f.Stop.sourced, f.Job.sourced, f.Replicas.sourced, f.Workload.sourced, f.GMSA.sourced, f.GPU.sourced,
	}
	for _, r := range f.Tolerations {
		rows = append(rows, r.sourced)
	}
	for _, r := range f.Families {
		rows = append(rows, r.sourced)
		if r.CPU == "" || r.MemoryRequest == "" || r.MemoryLimit == "" || min(r.StartupPeriod, r.StartupFailures, r.Period, r.Timeout, r.LivenessPeriod, r.LivenessFailures, r.ProgressDeadline) <= 0 {
			return fmt.Errorf("parsing kube.toml: family %q is not complete", r.Family)
		}
	}
	for _, r := range f.Stays {
		rows = append(rows, r.sourced)
	}
	for _, r := range f.Single {
		rows = append(rows, r.sourced)
		if r.Why == "" || r.More == "" {
			return fmt.Errorf("parsing kube.toml: a row of single has no why or no more")
		}
	}
	for _, r := range f.GMSAFacts {
		rows = append(rows, r.sourced)
	}
	for _, r := range f.Ports {
		rows = append(rows, r.sourced)
	}
	for _, r := range f.Refused {
		rows = append(rows, r.sourced)
	}
	for _, r := range rows {
		named := len(r.Source) > 0 && slices.Contains([]string{"high", "medium", "low"}, r.Confidence)
		for _, s := range r.Source {
			named = named && f.Sources[s] != ""
		}
		if !named {
			return fmt.Errorf("parsing kube.toml: a row has no source that is listed (%q), or no confidence", r.Source)
		}
	}
	return nil
}

// family is the row of an image family; Server Core's where there is none.
func (f *facts) family(name string, iis bool) familyRow {
	var found familyRow
	for _, r := range f.Families {
		switch {
		case r.Family == name && r.IIS == iis:
			return r
		case r.Family == name && !r.IIS, found.Family == "" && r.IIS == iis && r.Family == "servercore":
			found = r
		}
	}
	return found
}

// holds says whether a condition is true of a report.
func (m match) holds(r report.Report) bool {
	if len(m.Kinds) > 0 && !slices.Contains(m.Kinds, string(r.App.Kind)) {
		return false
	}
	won := func(key string, values []string) bool {
		for _, f := range r.Facts {
			if f.Key == key && f.OverruledBy == "" && (len(values) == 0 || slices.ContainsFunc(values, func(p string) bool { return matches(p, f.Value) })) {
				return true
			}
		}
		return false
	}
	if m.Missing != "" && won(m.Missing, nil) {
		return false
	}
	return m.Fact == "" || won(m.Fact, m.Values)
}

func matches(pattern, value string) bool {
	ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(value))
	return ok
}
