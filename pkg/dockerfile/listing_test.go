package dockerfile

import (
	"slices"
	"testing"
)

func listed(t *testing.T, reference string) Listed {
	t.Helper()
	list := catalog(t).List()
	i := slices.IndexFunc(list, func(l Listed) bool { return l.Reference == reference })
	if i < 0 {
		t.Fatalf("%s is not listed", reference)
	}
	return list[i]
}

// What an administrator is told to use instead has to be there, and alive.
func TestEndedImagesNameWhatTakesTheirPlace(t *testing.T) {
	const m = "mcr.microsoft.com/"
	for from, want := range map[string]Replacement{
		m + "dotnet/aspnet:8.0-nanoserver-ltsc2022":                     {Reference: m + "dotnet/aspnet:10.0-nanoserver-ltsc2022"},
		m + "dotnet/runtime:8.0-windowsservercore-ltsc2025":             {Reference: m + "dotnet/runtime:10.0-windowsservercore-ltsc2025"},
		m + "dotnet/runtime:9.0-nanoserver-1809":                        {Reference: m + "dotnet/runtime:10.0-nanoserver-ltsc2022"},
		m + "dotnet/core/aspnet:3.0-nanoserver-1903":                    {Reference: m + "dotnet/aspnet:10.0-nanoserver-ltsc2022"},
		m + "dotnet/framework/aspnet:4.7.2-windowsservercore-ltsc2019":  {Reference: m + "dotnet/framework/aspnet:4.8-windowsservercore-ltsc2019"},
		m + "dotnet/framework/runtime:4.8-windowsservercore-ltsc2022":   {Reference: m + "dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2022"},
		m + "dotnet/framework/runtime:3.5-windowsservercore-ltsc2022":   {Advice: "framework/{runtime,aspnet}:4.8.1-windowsservercore-RELEASE plus the NetFx3 feature"},
		m + "windows/nanoserver:ltsc2022":                               {},
		m + "dotnet/framework/aspnet:4.8-windowsservercore-ltsc2019":    {},
		m + "dotnet/framework/runtime:4.6.2-windowsservercore-ltsc2016": {Reference: m + "dotnet/framework/runtime:4.8-windowsservercore-ltsc2016"},
		m + "dotnet/aspnet:2.0-nanoserver-sac2016":                      {Reference: m + "dotnet/aspnet:10.0-nanoserver-ltsc2022"},
		m + "dotnet/framework/runtime:4.8.1-windowsservercore-ltsc2025": {},
		m + "dotnet/framework/aspnet:3.5-windowsservercore-ltsc2025":    {Advice: "framework/{runtime,aspnet}:4.8.1-windowsservercore-RELEASE plus the NetFx3 feature"},
		m + "dotnet/aspnet:10.0-nanoserver-ltsc2022":                    {},
		m + "windows:ltsc2019":                                          {},
		m + "dotnet/framework/wcf:4.8.1-windowsservercore-ltsc2025":     {},
		m + "windows/servercore/iis:windowsservercore-ltsc2016":         {},
	} {
		if got := listed(t, from).Replacement; got != want {
			t.Errorf("in the place of %s: %+v, want %+v", from, got, want)
		}
	}
	alive := map[string]bool{}
	list := catalog(t).List()
	for _, l := range list {
		alive[l.Reference] = l.State != StateEnded
	}
	for _, l := range list {
		r := l.Replacement
		if (l.State == StateEnded) != (r != Replacement{}) {
			t.Errorf("%s is %s, and its replacement is %+v", l.Reference, l.State, r)
		}
		if r.Reference != "" && !alive[r.Reference] {
			t.Errorf("%s is to be replaced by %s, which ended too", l.Reference, r.Reference)
		}
	}
}

// An image is as old as the older of itself and its Windows.
func TestListedStateIsTheWorseOfImageAndWindows(t *testing.T) {
	const m = "mcr.microsoft.com/"
	for reference, want := range map[string]ImageState{
		m + "windows/nanoserver:ltsc2025":                            StateSupported,
		m + "windows/nanoserver:1809":                                StateExtended, // its Windows is
		m + "windows:ltsc2019":                                       StateExtended,
		m + "dotnet/aspnet:8.0-nanoserver-ltsc2025":                  StateEnded, // its Windows is not
		m + "dotnet/core/runtime:2.2-nanoserver-1903":                StateEnded,
		m + "dotnet/framework/aspnet:4.8-windowsservercore-ltsc2016": StateExtended,
	} {
		if l := listed(t, reference); l.State != want {
			t.Errorf("%s is %s, want %s", reference, l.State, want)
		}
	}
	if l := listed(t, m+"dotnet/aspnet:10.0-nanoserver-ltsc2022"); l.SupportEnd != "2028-11-14" || l.Build != "10.0.20348" {
		t.Errorf("the end of support is not that of .NET, the first of the two: %+v", l)
	}
	if l := listed(t, m+"windows/nanoserver:1809"); l.SupportEnd != "2029-01-09" {
		t.Errorf("the end of support is not that of Windows: %+v", l)
	}
	if l := listed(t, m+"dotnet/framework/aspnet:3.5-windowsservercore-ltsc2022"); l.SupportEnd != "2025-10-14" {
		t.Errorf("an image that nobody rebuilds is told to be supported as long as its Windows: %+v", l)
	}
	c := catalog(t)
	c.AsOf = c.AsOf.AddDate(10, 0, 0)
	for _, l := range c.List() {
		if l.OS != "ltsc2025" && l.State != StateEnded {
			t.Errorf("ten years on, %s is %s", l.Reference, l.State)
		}
	}
}

func TestListHasEveryTagOnceNewestFirst(t *testing.T) {
	c := catalog(t)
	tags := 0
	for _, img := range c.Images {
		tags += len(img.Tags)
	}
	list := c.List()
	if len(list) != tags {
		t.Errorf("%d of %d tags are listed", len(list), tags)
	}
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		repository, _ := cutTag(a.Reference)
		next, _ := cutTag(b.Reference)
		if repository == next && compareVersions(a.Version, b.Version) < 0 {
			t.Errorf("%s stands before %s", a.Reference, b.Reference)
		}
	}
	if again := c.List(); !slices.EqualFunc(list, again, func(a, b Listed) bool { return a.Reference == b.Reference }) {
		t.Error("the order changes from call to call")
	}
}

func TestSourcesOfAUserCatalogAreAdded(t *testing.T) {
	c, err := catalog(t).With([]byte("as_of = 2027-01-01\n[sources]\nours = \"the build of our bases (2026-12-24), supported to (2031-01-01)\"\n"), "c.toml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Sources["ours"] == "" || c.Sources["fx"] == "" || catalog(t).Sources["ours"] != "" {
		t.Errorf("sources are %v", c.Sources)
	}
	if got := c.NewestSource().Format("2006-01-02"); got != "2026-12-24" {
		t.Errorf("the newest source is of %s: a day after the catalog's own is none", got)
	}
	if newest := catalog(t).NewestSource(); newest.IsZero() || newest.After(catalog(t).AsOf) {
		t.Errorf("the newest source of the catalog is of %s", newest)
	}
}
