package detect

import (
	_ "embed"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

//go:embed assemblies.toml
var assembliesTOML string

// assemblyTable says which assemblies a framework brings, and which were put into a
// server's global assembly cache by another product.
type assemblyTable struct {
	Sources   map[string]string `toml:"sources"`
	Framework []struct {
		Name string `toml:"name"` // ".NET Framework", or that of a shared framework
		// Facade says that packages carry assemblies of the same names, which win where
		// they lie in the application.
		Facade     bool     `toml:"facade"`
		Tokens     []string `toml:"tokens"`
		Assemblies string   `toml:"assemblies"` // names between spaces
		Source     []string `toml:"source"`
		Confidence string   `toml:"confidence"`
		Note       string   `toml:"note"`
	} `toml:"framework"`
	Product []assemblyProduct `toml:"product"`

	netfx  map[string]bool     // by name in lower case; true for a facade
	shared map[string][]string // by name in lower case, the shared frameworks that have it
	tokens map[[8]byte]bool    // that assemblies of .NET Framework have
}

// assemblyProduct is a row of what is no part of a framework.
type assemblyProduct struct {
	Names      []string `toml:"names"` // patterns
	Product    string   `toml:"product"`
	Cure       string   `toml:"cure"`
	Source     []string `toml:"source"`
	Confidence string   `toml:"confidence"`
}

var assemblyData = sync.OnceValue(func() *assemblyTable {
	t := must(parse[assemblyTable]("assemblies.toml", assembliesTOML))
	t.netfx, t.shared, t.tokens = map[string]bool{}, map[string][]string{}, map[[8]byte]bool{}
	for _, f := range t.Framework {
		for _, name := range strings.Fields(f.Assemblies) {
			name = strings.ToLower(name)
			if f.Name == netFramework {
				t.netfx[name] = f.Facade
			} else {
				t.shared[name] = append(t.shared[name], f.Name)
			}
		}
		for _, text := range f.Tokens {
			var token [8]byte
			if n, err := hex.Decode(token[:], []byte(text)); err == nil && n == len(token) {
				t.tokens[token] = true
			}
		}
	}
	return t
})

// netFramework is the name of .NET Framework as people write it.
const netFramework = ".NET Framework"

// product is the row about an assembly that is known to belong to something else than
// a framework; nil for none.
func (t *assemblyTable) product(name string) *assemblyProduct {
	if i := slices.IndexFunc(t.Product, func(p assemblyProduct) bool { return matchesAny(p.Names, name) }); i >= 0 {
		return &t.Product[i]
	}
	return nil
}

// inNetFX says whether .NET Framework has an assembly, and whether it is a facade of
// which packages carry later versions.
func (t *assemblyTable) inNetFX(r *pe.Assembly) (has, facade bool) {
	facade, has = t.netfx[strings.ToLower(r.Name)]
	return has && (!r.Signed || t.tokens[r.Token]), facade
}
