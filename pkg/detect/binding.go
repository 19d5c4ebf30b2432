package detect

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// binder finds the assemblies that the code of one application asks for, as the
// runtime does that it runs on.
type binder struct {
	t      *Tree
	family string // "netfx" or "dotnet"
	base   string // folder that the runtime looks in first
	config string // *.exe.config or web.config that was read, "" for none
	policy policy
	assets map[string]depsAsset // of deps.json, by file name in lower case
	shared []string             // shared frameworks that the program asks for; nil where that is not known
	// bundle are the files in a single-file program, by path in lower case; nil where it
	// is none.
	bundle map[string]pe.BundleEntry
	host   string // the single-file program

	known map[asked]bound
}

// asked is what two references have in common that bind to the same.
type asked struct {
	name, version string
	token         [8]byte
	retargetable  bool
}

// bound is where a reference leads.
type bound struct {
	provider Provider
	from     string // path in the application, or name of the framework
	why      string
	image    *image // in the application
	miss     string // key of the fact that it is not there; empty for none
	words    map[string]string
}

// policy is what configuration files say of binding
// (learn.microsoft.com/dotnet/framework/configure-apps/redirect-assembly-versions).
type policy struct {
	redirects []redirect
	codeBases []codeBase
	private   []string // folders below the base
}

type redirect struct {
	name, token string // in lower case
	first, last string // versions
	to          string
	path        string
	line        int
}

type codeBase struct {
	name, token, version, href string
}

// maxPolicy bounds the rows of one configuration file that are kept.
const maxPolicy = 4096

// readPolicy reads runtime/assemblyBinding of a configuration file. The elements may
// stand several times, and appliesTo names the version of the runtime.
func readPolicy(root *element, file string) policy {
	var p policy
	if root == nil || root.name != "configuration" {
		return p
	}
	for _, runtime := range root.children {
		if runtime.name != "runtime" {
			continue
		}
		for _, binding := range runtime.children {
			if binding.name != "assemblyBinding" || strings.HasPrefix(binding.attr("appliesTo"), "v2") || strings.HasPrefix(binding.attr("appliesTo"), "v1") {
				continue
			}
			for _, e := range binding.children {
				switch e.name {
				case "probing":
					for folder := range strings.SplitSeq(e.attr("privatePath"), ";") {
						folder = path.Clean(strings.ReplaceAll(strings.TrimSpace(folder), `\`, "/"))
						if folder != "." && !path.IsAbs(folder) && !strings.HasPrefix(folder, "..") && !strings.Contains(folder, ":") && len(p.private) < maxPolicy {
							p.private = append(p.private, folder)
						}
					}
				case "dependentAssembly":
					p.dependent(e, file)
				}
			}
		}
	}
	return p
}

func (p *policy) dependent(e *element, file string) {
	id := e.child("assemblyIdentity")
	name, token := strings.ToLower(id.attr("name")), strings.ToLower(id.attr("publicKeyToken"))
	if name == "" {
		return
	}
	if token == "null" {
		token = ""
	}
	for _, c := range e.children {
		if len(p.redirects)+len(p.codeBases) >= maxPolicy {
			return
		}
		switch c.name {
		case "bindingRedirect":
			first, last, ok := strings.Cut(strings.ReplaceAll(c.attr("oldVersion"), " ", ""), "-")
			if !ok {
				last = first
			}
			if to := c.attr("newVersion"); to != "" && first != "" {
				p.redirects = append(p.redirects, redirect{name: name, token: token, first: first, last: last, to: to, path: file, line: c.line})
			}
		case "codeBase":
			p.codeBases = append(p.codeBases, codeBase{name, token, c.attr("version"), c.attr("href")})
		}
	}
}

// redirect is the version that is looked for in place of the one that is asked for.
func (p *policy) redirect(r *pe.Assembly) (version string, by *redirect) {
	if len(p.redirects) == 0 {
		return r.Version, nil
	}
	name, token := strings.ToLower(r.Name), r.PublicKeyToken()
	for i := range p.redirects {
		d := &p.redirects[i]
		if d.name == name && d.token == token && compareVersions(r.Version, d.first) >= 0 && compareVersions(r.Version, d.last) <= 0 {
			return d.to, d
		}
	}
	return r.Version, nil
}

// siteBinder is that of a site that ASP.NET on .NET Framework runs: it looks in bin.
func (t *Tree) siteBinder() *binder {
	b := &binder{t: t, family: "netfx", base: ".", config: t.find("web.config"), known: map[asked]bound{}}
	if b.config != "" {
		b.policy = readPolicy(t.readXML(b.config, configUnknown), b.config)
	}
	b.policy.private = append([]string{"bin"}, b.policy.private...)
	return b
}

// programBinder is that of a program of .NET Framework or .NET.
func (t *Tree) programBinder(family string, start *image) *binder {
	b := &binder{t: t, family: family, base: start.dir, known: map[asked]bound{}}
	if family == "netfx" {
		if b.config = t.find(start.path + ".config"); b.config != "" {
			b.policy = readPolicy(t.readXML(b.config, configUnknown), b.config)
		}
		return b
	}
	stem := strings.TrimSuffix(start.path, path.Ext(start.path))
	b.assets = t.depsAssets(stem + ".deps.json")
	if config := t.find(stem + runtimeConfigExt); config != "" {
		b.shared = sharedNames(t.readJSON(config, runtimeConfigUnknown))
	}
	return b
}

// sharedNames are the shared frameworks of a runtimeconfig.json; empty, and not nil,
// for a self-contained program. One of version 2 stands there by "NAME 2" as well: it
// brings what later ones lack.
func sharedNames(root *node) []string {
	if root == nil {
		return nil
	}
	names := []string{}
	o := root.get("runtimeOptions")
	add := func(f *node) {
		if name := clean(f.get("name").string()); name != "" {
			names = append(names, name)
			if major, _, _ := strings.Cut(f.get("version").string(), "."); major == "2" {
				names = append(names, name+" 2")
			}
		}
	}
	if f := o.get("framework"); f != nil {
		add(f)
	}
	if f := o.get("frameworks"); f != nil {
		for _, v := range f.values {
			add(v)
		}
	}
	return names
}

// find says where a reference leads.
func (b *binder) find(r *pe.Assembly) bound {
	key := asked{r.Name, r.Version, r.Token, r.Retargetable}
	got, ok := b.known[key]
	if !ok {
		switch {
		case r.Runtime:
			got = bound{provider: FromUnknown, why: "metadata of the Windows Runtime, which is no assembly"}
		case b.family == "netfx":
			got = b.netfx(r)
		default:
			got = b.dotnet(r)
		}
		b.known[key] = got
	}
	return got
}

// netfx is find on .NET Framework: the global cache before the application
// (learn.microsoft.com/dotnet/framework/deployment/how-the-runtime-locates-assemblies).
func (b *binder) netfx(r *pe.Assembly) bound {
	version, by := b.policy.redirect(r)
	d := assemblyData()
	framework, facade := d.inNetFX(r)
	local := b.probe(r, version)
	if _, there := d.netfx[strings.ToLower(r.Name)]; r.Retargetable && there && local == nil {
		return bound{provider: FromFramework, from: netFramework, why: "a reference of a portable library, for which .NET Framework takes its own assembly"}
	}
	if framework && !(facade && local != nil) && !(local != nil && r.Signed && local.clr.Version == version && !frameworkVersion(version)) {
		return bound{provider: FromFramework, from: netFramework, why: "on the list of its assemblies"}
	}
	redirected := ""
	if by != nil {
		redirected = ", to which " + by.path + " redirects"
	}
	if local != nil {
		if !r.Signed || local.clr.Version == "" || local.clr.Version == version {
			why := "version " + local.clr.Version + redirected
			if local.clr.Version == "" {
				why = "its version could not be read"
			}
			return bound{provider: FromApp, from: local.path, image: local, why: why}
		}
		if framework { // a facade, of which the cache has the other version
			return bound{provider: FromFramework, from: netFramework, why: "on the list of its assemblies; the one in the folder has version " + local.clr.Version}
		}
		return bound{provider: FromNowhere, image: local, miss: "assembly-version",
			why:   local.path + " has version " + local.clr.Version + ", and " + version + redirected + " is asked for: a strong name takes the very version",
			words: map[string]string{"name": clean(r.Name), "has": clean(local.clr.Version), "wants": clean(version), "path": local.path, "token": r.PublicKeyToken()}}
	}
	return b.absent(r, version)
}

// frameworkVersion says whether a version is one that .NET Framework itself has: its
// assemblies carry that of the runtime, and VisualBasic its own.
func frameworkVersion(v string) bool {
	return slices.Contains([]string{"1.0.5000.0", "2.0.0.0", "3.0.0.0", "3.5.0.0", "4.0.0.0", "7.0.5000.0", "8.0.0.0", "10.0.0.0"}, v)
}

// absent is a reference that neither the application nor .NET Framework answers.
func (b *binder) absent(r *pe.Assembly, version string) bound {
	d := assemblyData()
	words := map[string]string{"name": clean(r.Name), "version": clean(version), "token": r.PublicKeyToken(), "product": "", "remedy": gacCure}
	reference, at, learned := b.t.inGlobalCache(r)
	if at != "" {
		return bound{provider: FromBase, from: reference, why: at + " in the learned contents of the image"}
	}
	if at := b.unread(r.Name); at != "" {
		return bound{provider: FromUnknown, words: words, why: at + " could not be read as an assembly"}
	}
	switch p := d.product(r.Name); {
	case p != nil:
		words["product"] = "; it comes with " + p.Product
		words["remedy"] = p.Cure
		return bound{provider: FromNowhere, miss: "gac-assembly", words: words, why: "no part of .NET Framework: it comes with " + p.Product}
	case r.Signed && !d.tokens[r.Token]:
		return bound{provider: FromNowhere, miss: "gac-assembly", words: words,
			why: "no assembly of .NET Framework has the key " + r.PublicKeyToken() + ": it can only have been in the server's global assembly cache"}
	case r.Signed && learned:
		return bound{provider: FromNowhere, miss: "gac-assembly", words: words, why: "not in the global assembly cache of " + reference + ", whose contents were learned"}
	case r.Signed:
		return bound{provider: FromUnknown, miss: "assembly-unlisted", words: words, why: "not on the list of .NET Framework's assemblies, whose key it has"}
	}
	return bound{provider: FromNowhere, miss: "assembly-nowhere", words: words, why: "not in the folder, and without a strong name it can be nowhere else"}
}

const gacCure = `Copy it beside the other assemblies, from C:\Windows\Microsoft.NET\assembly or C:\Windows\assembly of the server where it runs; or set Copy Local for the reference and publish again. Where it needs native files or settings of its product, run that product's installer in the image.`

// probe looks for the file of an assembly where .NET Framework does.
func (b *binder) probe(r *pe.Assembly, version string) *image {
	name := strings.ToLower(r.Name)
	if name == "" || strings.ContainsAny(name, `/\`) {
		return nil
	}
	if len(b.policy.codeBases) > 0 {
		token := r.PublicKeyToken()
		for _, c := range b.policy.codeBases {
			if c.name != name || c.token != token || c.version != "" && c.version != version {
				continue
			}
			if at, ok := winPath(c.href); ok && !strings.Contains(c.href, ":") {
				if got := b.managed(path.Join(b.base, at)); got != nil {
					return got
				}
			}
		}
	}
	for i := -1; i < len(b.policy.private); i++ {
		dir := b.base
		if i >= 0 {
			dir = path.Join(b.base, b.policy.private[i])
		}
		for _, file := range [...]string{name + ".dll", name + "/" + name + ".dll", name + ".exe", name + "/" + name + ".exe"} {
			if got := b.managed(path.Join(dir, file)); got != nil {
				return got
			}
		}
	}
	return nil
}

// managed is the assembly at a path, whatever its case.
func (b *binder) managed(p string) *image {
	if got := b.t.byName[strings.ToLower(p)]; got != nil && got.clr != nil {
		return got
	}
	return nil
}

// dotnet is find on .NET: the files of the application with those of its frameworks,
// by name (learn.microsoft.com/dotnet/core/dependency-loading/default-probing).
func (b *binder) dotnet(r *pe.Assembly) bound {
	name := strings.ToLower(r.Name)
	if b.bundle != nil {
		if e, ok := b.bundle[name+".dll"]; ok {
			return bound{provider: FromApp, from: b.host, why: clean(e.Path) + " in the bundle"}
		}
	}
	if !strings.ContainsAny(name, `/\`) {
		for _, file := range [...]string{name + ".dll", name + ".exe"} {
			if got := b.managed(path.Join(b.base, file)); got != nil {
				return bound{provider: FromApp, from: got.path, image: got, why: "version " + cmp.Or(got.clr.Version, "unknown")}
			}
		}
	}
	if a, ok := b.assets[name+".dll"]; ok && a.found != "" {
		return bound{provider: FromApp, from: a.found, image: b.managed(a.found), why: "an asset of " + a.path}
	}
	frameworks := slices.Clone(assemblyData().shared[name])
	for _, f := range frameworks {
		if b.shared == nil && !ofOneVersion(f) || slices.Contains(b.shared, f) || f == "Microsoft.NETCore.App" && len(b.shared) > 0 ||
			f == "Microsoft.AspNetCore.App" && slices.Contains(b.shared, "Microsoft.AspNetCore.All") {
			return bound{provider: FromFramework, from: strings.TrimSuffix(f, " 2"), why: "on the list of its assemblies"}
		}
	}
	frameworks = slices.DeleteFunc(frameworks, ofOneVersion)
	words := map[string]string{"name": clean(r.Name), "version": clean(r.Version)}
	if at := b.unread(r.Name); at != "" {
		return bound{provider: FromUnknown, words: words, why: at + " could not be read as an assembly"}
	}
	switch {
	case len(frameworks) > 0 && len(b.shared) > 0:
		words["framework"] = frameworks[0]
		return bound{provider: FromNowhere, miss: "framework-not-named", words: words, why: "part of " + frameworks[0] + ", which runtimeconfig.json does not name"}
	case microsoftName(name):
		return bound{provider: FromUnknown, words: words, why: "not in the folder, and not on the list of a shared framework's assemblies"}
	}
	return bound{provider: FromNowhere, miss: "assembly-unpublished", words: words, why: "not in the folder, and no name of a shared framework's assembly"}
}

// ofOneVersion says whether a row of the table is of a shared framework of version 2.
func ofOneVersion(framework string) bool { return strings.HasSuffix(framework, " 2") }

// unread is a file with the name of an assembly, where the runtime looks for it, that
// is none or could not be read: a problem tells that, and the assembly is not missing.
func (b *binder) unread(name string) string {
	if name == "" || strings.ContainsAny(name, `/\`) {
		return ""
	}
	dirs := []string{b.base}
	for _, private := range b.policy.private {
		dirs = append(dirs, path.Join(b.base, private))
	}
	for _, dir := range dirs {
		if at := b.t.find(path.Join(dir, name+".dll")); at != "" {
			return at
		}
	}
	return ""
}

// microsoftName says whether a shared framework of another version may have an
// assembly of that name.
func microsoftName(name string) bool {
	return strings.HasPrefix(name, "system.") || strings.HasPrefix(name, "microsoft.") || vendor(name)
}
