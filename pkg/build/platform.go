package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// CheckPlatforms says whether every platform is one of the bases' releases.
func CheckPlatforms(bases []dockerfile.Base, platforms []string) error {
	_, err := wanted(bases, platforms)
	return err
}

// ForPlatforms are the bases of the platforms that were asked for, all where none was.
func ForPlatforms(bases []dockerfile.Base, platforms []string) ([]dockerfile.Base, error) {
	return wanted(bases, platforms)
}

// wanted returns the bases of the platforms that were asked for.
func wanted(bases []dockerfile.Base, platforms []string) ([]dockerfile.Base, error) {
	if len(platforms) == 0 {
		return bases, nil
	}
	var out []dockerfile.Base
	for _, p := range platforms {
		version, err := ParsePlatform(p)
		if err != nil {
			return nil, err
		}
		found := false
		for _, b := range bases {
			if version == "" || b.OSVersion == "" || sameBuild(version, b.OSVersion) || sameBuild(b.OSVersion, version) {
				if len(version) > len(b.OSVersion) {
					b.OSVersion = version
				}
				found = true
				if !slices.ContainsFunc(out, func(o dockerfile.Base) bool { return o.Reference == b.Reference && o.OSVersion == b.OSVersion }) {
					out = append(out, b)
				}
			}
		}
		if !found {
			var have []string
			for _, b := range bases {
				have = append(have, fmt.Sprintf("%s (%s)", b.OS, b.OSVersion))
			}
			return nil, fmt.Errorf("platform %q is none of the releases that are built, %s: choose them with --os", p, strings.Join(have, ", "))
		}
	}
	return out, nil
}

// ParsePlatform reads the Windows build of a platform, in the spelling of
// containerd, windows(10.0.20348.2966)/amd64, or of buildx,
// windows/amd64:10.0.20348.2966. version is empty where none is given.
func ParsePlatform(platform string) (version string, err error) {
	rest, ok := strings.CutPrefix(platform, "windows")
	if !ok {
		return "", fmt.Errorf("platform %q: winpack builds for windows/%s", platform, architecture)
	}
	if inner, after, ok := strings.Cut(rest, ")"); ok && strings.HasPrefix(inner, "(") {
		version, rest = inner[1:], after
	}
	arch, after, colon := strings.Cut(strings.TrimPrefix(rest, "/"), ":")
	if colon {
		if version != "" {
			return "", fmt.Errorf("platform %q names the Windows build twice", platform)
		}
		version = after
	}
	if !strings.HasPrefix(rest, "/") || arch != architecture {
		return "", fmt.Errorf("platform %q: winpack builds for windows/%s", platform, architecture)
	}
	if (colon || strings.Contains(platform, "(")) && !isVersion(version) {
		return "", fmt.Errorf("platform %q: %q is not a Windows build like 10.0.BUILD.REVISION", platform, version)
	}
	return version, nil
}

func isVersion(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || len(p) > 9 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) == 3 || len(parts) == 4
}
