package dockerfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/winpack/winpack/pkg/detect"
)

// want is what the application asks of a base, for one release.
type want struct {
	roles    []string // acceptable roles, the smallest first
	version  string   // of the framework: exact major for .NET, at least for .NET Framework
	exact    bool     // no other version will do
	newest   bool     // of several that serve, the newest: the others end sooner
	clr2     bool     // .NET Framework 2.0 to 3.5, which no image has
	family   string   // at least
	features []string // Windows features
	commands []string // programs for a start script
	what     string   // for people: "ASP.NET Core 8.0"
	ways     []string // ways out where there is no image
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// majorMinor reads "8.0" or "8.0.3".
func majorMinor(v string) (major, minor int, ok bool) {
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return major, minor, err1 == nil && err2 == nil && major >= 0 && minor >= 0
}

// compareVersions compares dotted numbers; what is no number counts as 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return 0
}

// choose finds the smallest image for one release, or says why there is none.
func (c Catalog) choose(w want, os string) (ImageRow, bool) {
	var best ImageRow
	found := false
	for _, role := range w.roles {
		for _, img := range c.Images {
			if img.Role != role || img.Tags[os] == "" || c.lacks(img, w) != "" {
				continue
			}
			if !found || c.better(img, best, w, os) {
				best, found = img, true
			}
		}
		if found {
			return best, true
		}
	}
	return best, false
}

// needsRun says whether the app wants a feature that no image has. It comes by a RUN
// step, as the others then do too: a larger image saves nothing.
func (c Catalog) needsRun(w want) bool {
	return slices.ContainsFunc(w.features, func(f string) bool {
		return !slices.ContainsFunc(c.Images, func(o ImageRow) bool { return slices.Contains(w.roles, o.Role) && slices.Contains(o.Has, f) })
	})
}

// lacks says what an image lacks, empty when it fits.
func (c Catalog) lacks(img ImageRow, w want) string {
	if familyRank(img.Family) < familyRank(w.family) {
		return "family"
	}
	for _, cmd := range w.commands {
		if !slices.Contains(img.Commands, cmd) {
			return "commands"
		}
	}
	if len(missingFeatures(&img, w.features)) > 0 && !c.needsRun(w) {
		return "features"
	}
	switch img.Role {
	case roleNetFX, roleNetFXIIS, roleNetFXWCF:
		if img.Status == statusEOL {
			return "support" // retired images are never chosen silently
		}
		if !w.clr2 && compareVersions(img.Version, w.version) < 0 {
			return "version"
		}
	case roleJava, rolePython:
		if img.Status == statusEOL {
			return "support"
		}
		if w.exact && img.Version != w.version || compareVersions(img.Version, w.version) < 0 {
			return "version"
		}
	case roleDotNet, roleDotNetASP:
		// Another minor of the same major serves by roll-forward; an ended
		// version is chosen, and a finding says so.
		major, minor, _ := majorMinor(w.version)
		imajor, iminor, _ := majorMinor(img.Version)
		if imajor != major || iminor < minor {
			return "version"
		}
	default:
		if img.Status == statusEOL {
			return "support"
		}
	}
	return ""
}

// better prefers the smaller family, then the nearer version, then the smaller image.
func (c Catalog) better(a, b ImageRow, w want, os string) bool {
	if d := cmp.Compare(familyRank(a.Family), familyRank(b.Family)); d != 0 {
		return d < 0
	}
	// Of .NET the lowest version that serves; of .NET Framework there is one a release.
	if d := compareVersions(a.Version, b.Version); d != 0 {
		return d < 0 != w.newest
	}
	return a.CompressedMB[os] < b.CompressedMB[os]
}

// baseOf makes the plan's base from a row.
func (c Catalog) baseOf(img ImageRow, os string) Base {
	rel, _ := c.Release(os)
	end := rel.SupportEnd
	if !img.SupportEnd.IsZero() && (end.IsZero() || img.SupportEnd.Before(end)) {
		end = img.SupportEnd
	}
	b := Base{
		OS: os, Family: img.Family, Reference: img.Repository + ":" + img.Tags[os], OSVersion: rel.OSVersion,
		CompressedMB: img.CompressedMB[os], Administrator: img.User == userAdmin, Entrypoint: slices.Clone(img.Entrypoint),
	}
	if !end.IsZero() {
		b.SupportEnd = end.Format("2006-01-02")
		b.SupportEnded = end.Before(c.AsOf)
	}
	return b
}

// wants says what the application asks for on one release.
func wants(rep detect.Report, os string) (want, error) {
	app := rep.App
	w := want{family: detect.FamilyNanoServer, version: app.Framework.Version}
	for _, f := range rep.Needs.Families {
		if (f.Release == "" || f.Release == os) && familyRank(f.Family) > familyRank(w.family) {
			w.family = f.Family
		}
	}
	if iis := rep.Needs.IIS; iis != nil {
		for _, f := range iis.Features {
			w.features = append(w.features, f.ID)
		}
	}
	if app.Architecture == detect.X86 && familyRank(w.family) < familyRank(detect.FamilyServerCore) {
		w.family = detect.FamilyServerCore
	}
	prog := app.Program
	if prog != nil && prog.Service != nil && !prog.Service.Foreground {
		w.commands = []string{"sc", "powershell", "ping"}
	}
	switch app.Kind {
	case detect.KindASPNET:
		w.roles, w.what = []string{roleNetFXIIS, roleNetFXWCF}, "ASP.NET on .NET Framework "+cmp.Or(w.version, "4.x")
		w.clr2 = isCLR2(rep)
	case detect.KindWCF:
		w.roles, w.what = []string{roleNetFXWCF}, "WCF on .NET Framework "+cmp.Or(w.version, "4.x")
		w.clr2 = isCLR2(rep)
	case detect.KindStatic:
		w.roles, w.what, w.version = []string{roleIIS, roleNetFXIIS, roleNetFXWCF}, "IIS", ""
	case detect.KindNetFXConsole, detect.KindNetFXService, detect.KindNetFXDesktop: // the last where a user accepts that
		w.roles, w.what = []string{roleNetFX}, ".NET Framework "+cmp.Or(w.version, "4.x")
		w.clr2 = isCLR2(rep)
	case detect.KindASPNETCore, detect.KindDotNetConsole, detect.KindDotNetService, detect.KindDotNetDesktop:
		if app.Framework.Name != detect.NETFramework { // ASP.NET Core up to 2.2 runs on it too
			return w.dotnet(rep)
		}
		w.roles, w.what = []string{roleNetFX}, "ASP.NET Core on .NET Framework "+cmp.Or(w.version, "4.x")
	case detect.KindNativeConsole, detect.KindNativeService, detect.KindNativeDesktop:
		w.roles, w.what = []string{roleOS}, "plain Windows"
	case detect.KindClassicASP, detect.KindPHP:
		w.roles, w.what, w.version = []string{roleIIS, roleNetFXIIS, roleNetFXWCF}, "IIS", ""
		if slices.Contains(w.features, "aspnet45") { // a few pages of ASP.NET stand beside
			w.roles, w.what = w.roles[1:], "IIS with ASP.NET"
		}
	case detect.KindHTTPD, detect.KindNginx, detect.KindRedis:
		w.roles, w.what, w.version = []string{roleOS}, "plain Windows", ""
	case detect.KindNode, detect.KindPython, detect.KindJava, detect.KindTomcat, detect.KindJBoss:
		w.runtime(rep)
	default:
		unknown := &UnknownKindError{}
		if len(rep.Problems) > 0 {
			why, _, _ := strings.Cut(rep.Problems[0].Message, "; ") // what that leaves unknown is what this says
			unknown.Unread = printable(rep.Problems[0].Path + ": " + why)
		}
		return w, unknown
	}
	if app.Architecture == detect.ARM64 {
		return w, armError(os)
	}
	if w.family == detect.FamilyServer && !slices.Contains(w.roles, roleOS) {
		w.ways = append(w.ways, "give an image of your own that has it with --base")
	}
	if len(w.ways) == 0 {
		w.ways = []string{anotherRelease, "name an image with --base"}
	}
	return w, nil
}

// anotherRelease is a way out that is given with the releases that have an image.
const anotherRelease = "choose another release with --os"

func armError(os string) error {
	return &NoImageError{OS: []string{os}, What: "an arm64 program", Ways: []string{"build the app for x64 or AnyCPU (images are made for windows/amd64, with --base too)"}}
}

// isCLR2 says whether the app runs on .NET Framework 2.0 to 3.5.
func isCLR2(rep detect.Report) bool {
	if iis := rep.Needs.IIS; iis != nil && iis.AppPool.RuntimeVersion != "" {
		return iis.AppPool.RuntimeVersion == "v2.0"
	}
	major, _, ok := majorMinor(rep.App.Framework.Version)
	return ok && major < 4
}

// dotnet is wants for modern .NET.
func (w want) dotnet(rep detect.Report) (want, error) {
	app, prog := rep.App, rep.App.Program
	if app.Architecture == detect.ARM64 {
		return w, armError("any release")
	}
	if prog != nil && (prog.SelfContained || prog.Form == detect.FormSelfContained || prog.Form == detect.FormNative) {
		w.roles, w.what, w.version = []string{roleOS}, "plain Windows", ""
		w.ways = []string{anotherRelease, "name an image with --base"}
		return w, nil
	}
	w.roles, w.what = []string{roleDotNet}, ".NET "+w.version
	for _, f := range rep.Needs.SharedFrameworks {
		switch f.Name {
		case "Microsoft.NETCore.App":
		case "Microsoft.AspNetCore.App":
			w.roles, w.what = []string{roleDotNetASP}, "ASP.NET Core "+w.version
		default:
			return w, &NoImageError{OS: []string{"any release"}, What: "the shared framework " + printable(f.Name), Ways: []string{
				"publish the app self-contained (dotnet publish --self-contained -r win-x64)", "name an image that has it with --base"}}
		}
		// The framework's own version says which runtime starts.
		if major, minor, ok := majorMinor(f.Version); ok {
			if v := fmt.Sprintf("%d.%d", major, minor); w.version == "" || compareVersions(v, w.version) > 0 {
				w.version = v
			}
		}
	}
	if app.Kind == detect.KindASPNETCore {
		w.roles, w.what = []string{roleDotNetASP}, "ASP.NET Core "+w.version
	}
	if app.Architecture == detect.X86 {
		return w, &NoImageError{OS: []string{"any release"}, What: "a 32-bit .NET", Ways: []string{
			"publish the app for AnyCPU or x64", "publish it self-contained (dotnet publish --self-contained -r win-x86)", "name an image that has it with --base"}}
	}
	if _, _, ok := majorMinor(w.version); !ok {
		return w, &NoImageError{OS: []string{"any release"}, What: "a .NET of unknown version", Ways: []string{"name an image with --base"}}
	}
	w.ways = []string{
		"publish the app self-contained (dotnet publish --self-contained -r win-x64)", anotherRelease,
		"move the app to a .NET that has an image there", "name an image with --base"}
	return w, nil
}

// printable keeps text from the app from being more than text in a message, a
// comment or on a terminal: what does not print is escaped, line ends too.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// CheckReleases says whether releases are known and not retired: nil, or an
// *UnknownReleaseError or *UsageError.
func (c Catalog) CheckReleases(oses []string) error {
	_, err := c.releases(Options{OS: oses})
	return err
}

// releases checks the wished releases.
func (c Catalog) releases(opt Options) ([]string, error) {
	oses := opt.OS
	if len(oses) == 0 {
		oses = DefaultOS()
	}
	var out []string
	for _, os := range oses {
		rel, ok := c.Release(os)
		if !ok || rel.Status == statusRetired {
			var known []string
			for _, r := range c.Releases {
				if r.Status != statusRetired {
					known = append(known, r.ID)
				}
			}
			if ok {
				return nil, &UsageError{fmt.Sprintf("Windows release %q is retired since %s: use one of %s", os, rel.SupportEnd.Format("2006-01-02"), strings.Join(known, ", "))}
			}
			return nil, &UnknownReleaseError{OS: os, Nearest: nearest(os, known), Known: known}
		}
		if !slices.Contains(out, os) {
			out = append(out, os)
		}
	}
	return out, nil
}

// nearest finds the name that a slip of the fingers was meant to be.
func nearest(s string, names []string) string {
	best, bestDistance := "", 1+len(s)/2
	for _, name := range names {
		if strings.Contains(name, strings.ToLower(s)) && len(s) >= 4 {
			return name
		}
		if d := distance(strings.ToLower(s), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			old := row[j+1]
			d := prev
			if a[i] != b[j] {
				d = 1 + min(prev, row[j], old)
			}
			row[j+1], prev = d, old
		}
	}
	return row[len(b)]
}
