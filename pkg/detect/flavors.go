package detect

import (
	"path"
	"slices"
)

// stackFlavor is a framework that an application of scripts is made with.
func stackFlavor(flavor, about string, ev Evidence) Fact {
	return Fact{Key: "stack-flavor", Value: flavor, about: about, Evidence: []Evidence{ev}}
}

// pythonFlavors are packages that say how an application in Python is made.
var pythonFlavors = []string{"django", "flask", "fastapi", "bottle", "tornado", "aiohttp", "cherrypy", "pyramid", "sanic", "starlette", "falcon"}

// pythonFlavor is the package that the entry imports or, where it imports none of them,
// the first one that the application requires.
func (t *Tree) pythonFlavor(e *pythonEntry) []Fact {
	entry := e.path
	text := t.head(entry, pageBytes)
	for _, m := range pythonImport().FindAllSubmatchIndex(text, 200) {
		if name := string(text[m[2]:m[3]]); slices.Contains(pythonFlavors, name) {
			return []Fact{stackFlavor(name, entry, Evidence{Path: entry, Line: lineAt(text, int64(m[2])), Detail: "imports " + name})}
		}
	}
	for _, name := range pythonFlavors {
		if f, l := t.requires(e.home, name); f != "" {
			return []Fact{stackFlavor(name, entry, Evidence{Path: f, Line: l, Detail: "requires " + name})}
		}
	}
	return nil
}

// nodeFlavors are packages that say how a server in JavaScript is made, those that
// build on another one first.
var nodeFlavors = []struct{ pkg, flavor string }{
	{"next", "next"}, {"nuxt", "nuxt"}, {"@nestjs/core", "nestjs"}, {"express", "express"}, {"koa", "koa"}, {"fastify", "fastify"}, {"@hapi/hapi", "hapi"}, {"restify", "restify"},
}

// nodeFlavor is the package that package.json depends on.
func (t *Tree) nodeFlavor(pkg, entry string) []Fact {
	if pkg == "" {
		return nil
	}
	deps := t.readJSON(pkg, nodeUnknown).get("dependencies")
	for _, row := range nodeFlavors {
		if n := deps.get(row.pkg); n != nil {
			return []Fact{stackFlavor(row.flavor, entry, Evidence{Path: pkg, Line: n.line, Detail: "depends on " + row.pkg})}
		}
	}
	return nil
}

// programFlavors are what the code of a managed program says of how it is made: members
// that it calls, and types that its types extend.
var programFlavors = []struct {
	flavor       string
	calls, bases []string
}{
	{"topshelf", topshelfCalls, nil},
	{"owin", []string{"Microsoft.Owin.Hosting.WebApp::Start"}, nil},
	{"wcf", []string{"System.ServiceModel.ServiceHost::.ctor", "System.ServiceModel.Web.WebServiceHost::.ctor",
		"CoreWCF.Configuration.ServiceModelWebHostBuilderExtensions::UseServiceModel", "CoreWCF.Configuration.ServiceModelApplicationBuilderExtensions::UseServiceModel"},
		[]string{"System.ServiceModel.ServiceHost", "System.ServiceModel.ServiceHostBase"}},
	{"worker", []string{"Microsoft.Extensions.Hosting.Host::CreateDefaultBuilder", "Microsoft.Extensions.Hosting.Host::CreateApplicationBuilder",
		"Microsoft.Extensions.Hosting.HostBuilder::.ctor"}, []string{"Microsoft.Extensions.Hosting.BackgroundService"}},
	{"winforms", []string{"System.Windows.Forms.Application::Run"}, []string{"System.Windows.Forms.Form"}},
	{"wpf", []string{"System.Windows.Application::Run"}, []string{"System.Windows.Window", "System.Windows.Application"}},
	{"winui", []string{"Microsoft.UI.Xaml.Application::Start"}, nil},
	{"avalonia", []string{"Avalonia.ClassicDesktopStyleApplicationLifetimeExtensions::StartWithClassicDesktopLifetime"}, nil},
	{"mvc", []string{"Microsoft.Extensions.DependencyInjection.MvcServiceCollectionExtensions::AddControllersWithViews", "Microsoft.Extensions.DependencyInjection.MvcServiceCollectionExtensions::AddMvc"},
		[]string{"Microsoft.AspNetCore.Mvc.Controller"}},
	{"web-api", []string{"Microsoft.Extensions.DependencyInjection.MvcServiceCollectionExtensions::AddControllers"}, []string{"Microsoft.AspNetCore.Mvc.ControllerBase"}},
	{"razor-pages", []string{"Microsoft.Extensions.DependencyInjection.MvcServiceCollectionExtensions::AddRazorPages"}, []string{"Microsoft.AspNetCore.Mvc.RazorPages.PageModel"}},
	{"signalr", []string{"Microsoft.AspNetCore.Builder.HubEndpointRouteBuilderExtensions::MapHub"}, []string{"Microsoft.AspNetCore.SignalR.Hub"}},
	{"grpc", []string{"Microsoft.AspNetCore.Builder.GrpcEndpointRouteBuilderExtensions::MapGrpcService"}, nil},
	{"blazor", []string{"Microsoft.AspNetCore.Builder.ComponentEndpointRouteBuilderExtensions::MapBlazorHub", "Microsoft.Extensions.DependencyInjection.ComponentServiceCollectionExtensions::AddServerSideBlazor",
		"Microsoft.AspNetCore.Builder.RazorComponentsEndpointRouteBuilderExtensions::MapRazorComponents"}, nil},
}

func (tr *traits) addFlavor(flavor string, found []Evidence) {
	if len(found) > 0 {
		tr.flavors[flavor] = mergeEvidence(tr.flavors[flavor], found)
	}
}

// desktopFlavors count where the program is one with a desktop alone.
var desktopFlavors = []string{"avalonia", "winforms", "winui", "wpf"}

func (tr *traits) flavorFacts(about string, kind Kind) []Fact {
	var facts []Fact
	for _, flavor := range sortedKeys(tr.flavors) {
		if slices.Contains(desktopFlavors, flavor) && kind != KindNetFXDesktop && kind != KindDotNetDesktop {
			continue
		}
		facts = append(facts, Fact{Key: "program-flavor", Value: flavor, about: about, Evidence: tr.flavors[flavor]})
	}
	return facts
}

// programFlavors adds what the program, its file and what runs it say.
func (r *resolution) programFlavors() {
	if r.app.Kind == KindUnknown {
		return
	}
	add := func(flavor string) { r.app.Flavors = append(r.app.Flavors, flavor) }
	r.each("program-flavor", func(f *Fact) {
		switch {
		case f.OverruledBy != "":
		case f.Value == "worker" && r.app.Kind == KindASPNETCore:
			f.OverruledBy = string(r.app.Kind) + ": the host is that of the web server"
		default:
			add(f.Value)
		}
	})
	r.each("language", func(f *Fact) {
		if f.OverruledBy == "" && r.app.Program != nil {
			add(f.Value)
		}
	})
	r.each("ready-to-run", func(f *Fact) {
		if f.OverruledBy == "" {
			add("ready-to-run")
		}
	})
	r.each("mixed-mode", func(f *Fact) {
		if p := r.app.Program; f.OverruledBy == "" && p != nil && f.Value == p.Path {
			add("cpp-cli")
		}
	})
	if p := r.app.Program; p != nil {
		if p.SelfContained {
			add("self-contained")
		}
		if p.Form == FormSingleFile {
			add("single-file")
		}
		if r.has("clickonce", p.Path) {
			add("clickonce")
		}
	}
	for _, key := range []string{"service-wrapper", "runtime-wrapper"} {
		r.each(key, func(f *Fact) {
			if w, ok := f.item.(*wrapped); ok && r.runs(f.Value) {
				add(w.by)
			}
		})
	}
}

// runs says whether a wrapper runs the application: its program, or what runs its
// scripts.
func (r *resolution) runs(what string) bool {
	p := r.app.Program
	if p == nil {
		return false
	}
	if what == p.Path {
		return true
	}
	runtimes := map[string][]string{RuntimeNode: {"node"}, RuntimeJava: {"java", "javaw"}, RuntimePython: {"python", "python3", "pythonw"}}
	return r.needs.Runtime != nil && p.Form == FormScript && slices.Contains([]Kind{KindNode, KindJava, KindPython}, r.app.Kind) && slices.Contains(runtimes[r.needs.Runtime.Name], what)
}

// pageFlavors tell a site of files that is a program in the browser: Blazor
// WebAssembly by its loader, others by a start page with an element to fill and a
// script, and nothing else.
func (t *Tree) pageFlavors(index string) []Fact {
	text := t.head(index, pageBytes)
	flavor := func(name string, place int, detail string) []Fact {
		return []Fact{{Key: "stack-flavor", Value: name, source: string(KindStatic), Evidence: []Evidence{{Path: index, Line: lineAt(text, int64(place)), Detail: detail}}}}
	}
	if m := blazorLoader().FindIndex(text); m != nil && t.hasDir(path.Join(path.Dir(index), "_framework")) {
		return flavor("blazor", m[0], "loads Blazor WebAssembly")
	}
	if m := emptyRoot().FindIndex(text); m != nil && pageScript().Match(text) {
		return flavor("single-page", m[0], "an element that a script fills")
	}
	return nil
}

var (
	blazorLoader = pattern(`_framework/blazor\.webassembly(\.[a-z0-9]+)?\.js`)
	emptyRoot    = pattern(`(?i)<(?:div|main|section)\s[^>]*\bid\s*=\s*["']?(?:root|app|__next|__nuxt|svelte)["']?[^>]*>\s*</(?:div|main|section)>|<app-root[^>]*>\s*</app-root>`)
	pageScript   = pattern(`(?i)<script\s[^>]*\bsrc\s*=`)
)
