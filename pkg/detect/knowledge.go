package detect

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"
)

//go:embed frameworks.toml
var frameworksTOML string

//go:embed iis.toml
var iisTOML string

//go:embed dlls.toml
var dllsTOML string

//go:embed runtimes.toml
var runtimesTOML string

//go:embed signals.toml
var signalsTOML string

//go:embed precedence.toml
var precedenceTOML string

//go:embed rules.toml
var rulesTOML string

// netfxRow is a version of .NET Framework.
type netfxRow struct {
	Version    string    `toml:"version"`
	CLR        string    `toml:"clr"`
	EOL        time.Time `toml:"eol"`
	Source     string    `toml:"source"`
	Confidence string    `toml:"confidence"`
}

type frameworkTable struct {
	AsOf    time.Time         `toml:"as_of"`
	Sources map[string]string `toml:"sources"`
	NetFX   []netfxRow        `toml:"netfx"`
	DotNet  []struct {
		Version    string    `toml:"version"`
		Name       string    `toml:"name"`
		Released   time.Time `toml:"released"`
		EOL        time.Time `toml:"eol"`
		Type       string    `toml:"type"`
		Source     string    `toml:"source"`
		Confidence string    `toml:"confidence"`
	} `toml:"dotnet"`
	Dependency []dependency `toml:"dependency"`

	byRef    map[string][]*dependency // lower case
	families []family
}

// family is "X.*" among the names of a row: "x." and the row.
type family struct {
	prefix string
	row    *dependency
}

// dependencies are the rows about an assembly.
func (t *frameworkTable) dependencies(assembly string) []*dependency {
	low := strings.ToLower(assembly)
	rows := t.byRef[low]
	for _, f := range t.families {
		if strings.HasPrefix(low, f.prefix) && !slices.Contains(rows, f.row) {
			rows = append(slices.Clip(rows), f.row)
		}
	}
	return rows
}

// dependency is what a reference to one of Refs asks of an image.
type dependency struct {
	Refs       []string `toml:"refs"`    // assembly names, "X.*" for a family
	Applies    string   `toml:"applies"` // netfx, dotnet, any
	Nano       string   `toml:"nano"`    // ok, partial, no
	ServerCore string   `toml:"servercore"`
	Server     string   `toml:"server"`
	Missing    string   `toml:"missing"`
	Remedy     string   `toml:"remedy"`
	Source     string   `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// iisFeature is a Windows feature of IIS, and what of a configuration asks for it.
type iisFeature struct {
	ID         string   `toml:"id"`
	Sections   []string `toml:"sections"`
	When       string   `toml:"when"` // "attribute=value"
	Modules    []string `toml:"modules"`
	Present    []string `toml:"present"` // ids of images that have it: iis, aspnet, wcf
	Missing    string   `toml:"missing"`
	Optional   bool     `toml:"optional"` // the site works without it
	Note       string   `toml:"note"`
	Source     string   `toml:"source"`
	Confidence string   `toml:"confidence"`
}

type iisTable struct {
	Sources map[string]string `toml:"sources"`
	Feature []iisFeature      `toml:"feature"`
	Lock    []struct {
		Sections   []string `toml:"sections"`
		State      string   `toml:"state"` // locked, locked-without-aspnet, apphost-only
		Result     string   `toml:"result"`
		Source     string   `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"lock"`
	Module []struct {
		ID         string   `toml:"id"`
		Title      string   `toml:"title"`
		Sections   []string `toml:"sections"`
		Modules    []string `toml:"modules"`
		Advice     string   `toml:"advice"`
		Installer  bool     `toml:"installer"` // the plan can install it in a Windows builder
		Source     string   `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"module"`
	// Setting are sections that only IIS applies.
	Setting []struct {
		Sections   []string `toml:"sections"`
		When       string   `toml:"when"` // "attribute=value"
		Why        string   `toml:"why"`  // what is otherwise without IIS
		Source     string   `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"setting"`
	Modules struct {
		Builtin    []string `toml:"builtin"`
		Locked     []string `toml:"locked"` // registered with lockItem
		Source     string   `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"modules"`
}

type dllRow struct {
	Names      []string `toml:"names"`
	Nano       string   `toml:"nano"` // yes, no, unknown
	Core       string   `toml:"core"`
	Forces     string   `toml:"forces"`
	Subset     string   `toml:"subset"`   // functions, missing, or empty
	DirectX    bool     `toml:"directx"`  // an import means work on a graphics card
	Redist     string   `toml:"redist"`   // the package that brings it, by id of [[redist]]
	Driver     bool     `toml:"driver"`   // of a database
	Product    string   `toml:"product"`  // what it belongs to, where that is not Windows
	Manifest   string   `toml:"manifest"` // that has to lie beside a copy of it
	Remedy     string   `toml:"remedy"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

// redistRow is a package of runtime DLLs. In Cure, {arch} is x86 or x64.
type redistRow struct {
	ID         string   `toml:"id"`
	Product    string   `toml:"product"`
	Cure       string   `toml:"cure"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

type functionRow struct {
	DLL        string   `toml:"dll"`
	Functions  []string `toml:"functions"`
	SeenOn     string   `toml:"seen_on"`
	Note       string   `toml:"note"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

type dllTable struct {
	Sources map[string]string `toml:"sources"`
	DLLs    []dllRow          `toml:"dlls"`
	Redist  []redistRow       `toml:"redist"`
	Missing []functionRow     `toml:"missing"`
	Present []functionRow     `toml:"present"`
	APISets struct {
		OneCore    []string `toml:"onecore"` // without the last number
		Source     []string `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"apisets"`

	// DirectX are assemblies that bring DirectX to .NET, by patterns of their names.
	DirectX struct {
		Assemblies []string `toml:"assemblies"`
		Source     []string `toml:"source"`
		Confidence string   `toml:"confidence"`
	} `toml:"directx"`

	byName map[string]*dllRow
}

// apiSet is what kind of API set a name is.
type apiSet int

const (
	setNone      apiSet = iota // no API set
	setCRT                     // of the Universal C Runtime
	setOneCore                 // known in every image
	setExtension               // optional by design
	setOther
)

// lookup is what is known of a DLL by its name in lower case.
func (d *dllTable) lookup(dll string) (*dllRow, apiSet) {
	switch {
	case strings.HasPrefix(dll, "ext-ms-"):
		return nil, setExtension
	case !strings.HasPrefix(dll, "api-ms-win-"):
		return d.byName[dll], setNone
	case strings.HasPrefix(dll, "api-ms-win-crt-") && strings.HasSuffix(dll, ".dll"):
		return nil, setCRT
	}
	if set, ok := strings.CutSuffix(dll, ".dll"); ok {
		if i := strings.LastIndexByte(set, '-'); i > 0 && slices.Contains(d.APISets.OneCore, set[:i]) {
			return nil, setOneCore
		}
		return nil, setOther
	}
	return d.byName[dll], setNone
}

type precedenceTable struct {
	Key []struct {
		Name  string   `toml:"name"`
		Order []string `toml:"order"` // sources, the strongest first
		Why   string   `toml:"why"`
	} `toml:"key"`
}

// parse decodes an embedded table; an unknown key is an error.
func parse[T any](name, text string) (*T, error) {
	v := new(T)
	meta, err := toml.Decode(text, v)
	if err != nil {
		return nil, fmt.Errorf("parsing %q: %w", name, err)
	}
	if left := meta.Undecoded(); len(left) > 0 {
		return nil, fmt.Errorf("parsing %q: unknown key %q", name, left[0].String())
	}
	return v, nil
}

// load parses the tables that nearly every app asks, which takes as long as looking
// at a small one.
func load() {
	frameworkData()
	precedenceData()
	ruleData()
}

// must is for tables that are part of the program and that a test parses.
func must[T any](v *T, err error) *T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	frameworkData = sync.OnceValue(func() *frameworkTable {
		t := must(parse[frameworkTable]("frameworks.toml", frameworksTOML))
		t.byRef = map[string][]*dependency{}
		for i := range t.Dependency {
			d := &t.Dependency[i]
			for _, r := range d.Refs {
				low := strings.ToLower(r)
				if prefix, ok := strings.CutSuffix(low, "*"); ok {
					t.families = append(t.families, family{prefix, d})
				} else {
					t.byRef[low] = append(t.byRef[low], d)
				}
			}
		}
		return t
	})
	iisData = sync.OnceValue(func() *iisTable {
		return must(parse[iisTable]("iis.toml", iisTOML))
	})
	dllData = sync.OnceValue(func() *dllTable {
		d := must(parse[dllTable]("dlls.toml", dllsTOML))
		d.byName = map[string]*dllRow{}
		for i := range d.DLLs {
			for _, n := range d.DLLs[i].Names {
				d.byName[n] = &d.DLLs[i]
			}
		}
		return d
	})
	runtimeData = sync.OnceValue(func() *runtimeTable {
		return must(parse[runtimeTable]("runtimes.toml", runtimesTOML))
	})
	precedenceData = sync.OnceValue(func() *precedenceTable {
		return must(parse[precedenceTable]("precedence.toml", precedenceTOML))
	})
	ruleData = sync.OnceValue(func() *ruleTable {
		return must(parse[ruleTable]("rules.toml", rulesTOML))
	})
)
