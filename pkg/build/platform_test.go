package build

import (
	"strings"
	"testing"
)

func TestPlatformSpellings(t *testing.T) {
	for platform, want := range map[string]string{
		"windows/amd64": "", "windows/amd64:10.0.20348": "10.0.20348", "windows/amd64:10.0.20348.2966": "10.0.20348.2966",
		"windows(10.0.20348.2966)/amd64": "10.0.20348.2966", "windows(10.0.20348)/amd64": "10.0.20348",
	} {
		if got, err := ParsePlatform(platform); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", platform, got, err, want)
		}
	}
	for _, platform := range []string{
		"", "linux/amd64", "windows", "windows/", "windows/arm64", "windowsx/amd64", "windows/amd64:", "windows()/amd64", "windows(10.0.20348/amd64",
		"windows(10.0.20348)/amd64:10.0.20348", "windows/amd64:20348", "windows(ltsc2022)/amd64", "windows/amd64/v2",
	} {
		if version, err := ParsePlatform(platform); err == nil {
			t.Errorf("%q gives %q, %v", platform, version, err)
		}
	}
}

func TestPlatformsRestrictTheReleases(t *testing.T) {
	bases := shopPlan("ltsc2022", "ltsc2025").Bases
	for p, want := range map[string]string{
		"windows(10.0.20348.2966)/amd64": "10.0.20348.2966",
		"windows/amd64:10.0.20348.2966":  "10.0.20348.2966",
		"windows/amd64:10.0.26100":       "10.0.26100",
		"windows/amd64":                  "10.0.20348 10.0.26100",
	} {
		got, err := wanted(bases, []string{p})
		var versions []string
		for _, b := range got {
			versions = append(versions, b.OSVersion)
		}
		if err != nil || strings.Join(versions, " ") != want {
			t.Errorf("%s: %v, %v, want %s", p, versions, err, want)
		}
	}
	for _, p := range []string{"linux/amd64", "windows/arm64", "windows/amd64:10.0.17763", "windows(10.0.20348/amd64"} {
		if got, err := wanted(bases, []string{p}); err == nil {
			t.Errorf("%s: took %v", p, got)
		}
	}
}
