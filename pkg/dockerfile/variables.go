package dockerfile

import (
	"errors"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// variables are those that a Dockerfile may name. Case does not tell their names
// apart, as in a Windows container, and as for BuildKit on Windows; so the same
// file gives the same image on each system.
type variables struct {
	keys   []string
	values map[string]string // by name in upper case
}

// Get implements shell.EnvGetter.
func (v *variables) Get(key string) (string, bool) {
	value, ok := v.values[strings.ToUpper(key)]
	return value, ok
}

// Keys implements shell.EnvGetter.
func (v *variables) Keys() []string { return v.keys }

func (v *variables) set(key, value string) {
	if v.values == nil {
		v.values = map[string]string{}
	}
	folded := strings.ToUpper(key)
	if _, ok := v.values[folded]; !ok {
		v.keys = append(v.keys, key)
	}
	v.values[folded] = value
}

// What an expansion may make, in bytes: a few lines that name each other could
// fill the memory. Windows has 32,767 characters for all variables together.
const (
	maxValue    = 64 << 10
	maxExpanded = 32 << 20
)

var errTooLarge = errors.New("its variables make a value that is too large: Windows has 32,767 characters for all of them together")

func (v *variables) expand(lex *shell.Lex, word string) (string, error) {
	dollars := strings.Count(word, "$")
	longest := 0
	for _, value := range v.values {
		longest = max(longest, len(value))
	}
	made := len(word) + dollars*longest
	if dollars > 0 && strings.Contains(word, "/") { // ${A//x/y} makes one y of each x
		made = max(made, len(word)*longest)
	}
	if made > maxExpanded || longest > maxValue {
		return "", errTooLarge
	}
	out, _, err := lex.ProcessWord(word, v)
	return out, err
}
