package inventory

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"strings"
)

// folders gives each row a folder name. A name that is a safe one keeps its own,
// unless a name of another row differs in case only: then that with capitals gets
// another.
func (x *reader) folders() {
	fold := map[string]int{}
	for _, r := range x.Rows {
		fold[strings.ToLower(r.Name)]++
	}
	for i := range x.Rows {
		r := &x.Rows[i]
		low := strings.ToLower(r.Name)
		if r.Folder = r.Name; !plain(r.Name) || fold[low] > 1 && low != r.Name {
			r.Folder = hashed(r.Name)
		}
	}
}

var (
	plainPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_-])?$`)
	// Names of devices, with any extension
	// (https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file).
	devicePattern = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin|conout)(\.|$)`)
	hashEncoding  = base32.HexEncoding.WithPadding(base32.NoPadding)
)

// plain says whether a name can be that of a folder, on every system.
func plain(name string) bool {
	return len(name) <= 64 && plainPattern.MatchString(name) && !devicePattern.MatchString(name)
}

// hashed is what can be kept of a name, and 128 bits of its hash behind "@", which
// no plain name has.
func hashed(name string) string {
	kept := strings.Trim(strings.Map(func(c rune) rune {
		if c < 0x80 && plainPattern.MatchString(string(c)) {
			return c
		}
		return '-'
	}, name), "-")
	if len(kept) > 40 {
		kept = kept[:40]
	}
	if kept == "" {
		kept = "app"
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(kept + "@" + hashEncoding.EncodeToString(sum[:16]))
}

// Repository is a name as the path of a repository: what one may not hold becomes
// "-", upper case lower. It is empty where nothing is left.
// (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests)
func Repository(name string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.ToLower(name), "/") {
		part = strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c) {
				return c
			}
			return '-'
		}, part)
		part = separators.ReplaceAllStringFunc(strings.Trim(part, "._-"), func(run string) string {
			if run == "." || run == "_" || run == "__" || strings.Trim(run, "-") == "" {
				return run
			}
			return "-"
		})
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

var separators = regexp.MustCompile(`[._-]+`)
