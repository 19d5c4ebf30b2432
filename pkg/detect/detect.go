// Package detect looks at an application folder and says what it is and what it
// needs, with evidence for every fact.
//
// It reads the folder through an fs.FS and nothing else: no host command, no
// network, no clock, no registry. Nothing in the folder is ever executed. Input
// is treated as hostile: reads are bounded, and what cannot be read becomes a
// Problem, never a crash and never silence.
//
// The flow is Tree → detectors → facts → resolve → App and Needs → rules →
// findings. Detectors report and never choose; resolve settles conflicts by a
// visible precedence table and keeps the facts that lost.
package detect

// Kind is what an application is. The names are those of the JSON report.
type Kind string

// The kinds that are told apart. KindUnknown is an answer, not an error: it is
// given, with the signs that were seen, where none of the others is proven.
const (
	KindASPNET        Kind = "aspnet"
	KindWCF           Kind = "wcf"
	KindASPNETCore    Kind = "aspnet-core"
	KindStatic        Kind = "static"
	KindNetFXConsole  Kind = "netfx-console"
	KindNetFXService  Kind = "netfx-service"
	KindNetFXDesktop  Kind = "netfx-desktop"
	KindDotNetConsole Kind = "dotnet-console"
	KindDotNetService Kind = "dotnet-service"
	KindDotNetDesktop Kind = "dotnet-desktop"
	KindNativeConsole Kind = "native-console"
	KindNativeService Kind = "native-service"
	KindNativeDesktop Kind = "native-desktop"
	KindClassicASP    Kind = "classic-asp"
	KindPHP           Kind = "php"
	KindNode          Kind = "nodejs"
	KindPython        Kind = "python"
	KindJava          Kind = "java"
	KindTomcat        Kind = "tomcat"
	KindJBoss         Kind = "jboss"
	KindHTTPD         Kind = "httpd"
	KindNginx         Kind = "nginx"
	KindRedis         Kind = "redis"
	KindSource        Kind = "source" // has to be compiled first: App.Becomes says what it is then
	KindUnknown       Kind = "unknown"
)

// Architecture values of App.Architecture.
const (
	AnyCPU = "anycpu"
	X86    = "x86"
	X64    = "x64"
	ARM64  = "arm64"
)

// Framework names of Framework.Name.
const (
	NETFramework = ".NETFramework"
	NETCoreApp   = ".NETCoreApp"
	NETStandard  = ".NETStandard"
)

// Report is what detection says of one application folder. It is plain data: it
// marshals to JSON, and the same folder gives the same bytes.
type Report struct {
	App      App       `json:"app"`
	Needs    Needs     `json:"needs"`
	Findings []Finding `json:"findings"` // by level, rule, path, line
	Facts    []Fact    `json:"facts"`    // by key, winners first
	Problems []Problem `json:"problems"` // by path
	// Closure is what the application loads, where Options.Closure asks for it.
	Closure *Closure `json:"closure,omitempty"`
	// Learned are the images whose contents decided something, in place of the lists.
	Learned []LearnedBase `json:"learned,omitempty"`
	// Source is where the files of the app lie where that is not the folder as a whole:
	// one folder below it or, for a site of IIS, one for each application and virtual
	// directory. What the report says of a place names it as the whole folder has it;
	// Program, Writes and the like are relative to the app.
	Source []Mount `json:"source,omitempty"`
	// Apps has a report for each app of a folder with several, by name. App and Needs
	// are then those of none, and Problems those that belong to no app.
	Apps []Report `json:"apps,omitempty"`

	// tied are the programs, or kinds of stacks, between which nothing decides.
	tied []*Fact
}

// App is what the application is.
type App struct {
	Name         string    `json:"name"`
	Kind         Kind      `json:"kind"`
	Flavors      []string  `json:"flavors"` // web-forms, mvc, web-api, ...; sorted
	Framework    Framework `json:"framework"`
	Architecture string    `json:"architecture"` // AnyCPU, X86, X64, ARM64 or empty
	Ports        []int     `json:"ports"`        // ports the app's own configuration names; sorted
	Program      *Program  `json:"program,omitempty"`
	// Becomes is what an application of KindSource is once it is built: Framework,
	// Architecture and Needs speak of that.
	Becomes Kind `json:"becomes,omitempty"`
	// Site is what applicationHost.config says of a site of an IIS server; nil for all
	// other apps.
	Site *Site `json:"site,omitempty"`
}

// RunsAs is the kind of what runs: of a source tree that which it becomes.
func (a App) RunsAs() Kind {
	if a.Kind == KindSource {
		return a.Becomes
	}
	return a.Kind
}

// Framework is the target framework: the name without version, and the version
// without "v" and without patch ("3.5", "4.7.2", "8.0"). Both may be empty.
type Framework struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Form is how a program is started.
type Form string

const (
	FormNetFX              Form = "netfx"               // managed PE, started by mscoree
	FormFrameworkDependent Form = "framework-dependent" // dotnet NAME.dll
	FormAppHost            Form = "apphost"             // NAME.exe beside NAME.dll, shared runtime
	FormSelfContained      Form = "self-contained"      // NAME.exe with the runtime beside it
	FormSingleFile         Form = "single-file"         // bundle; SelfContained says whether it holds the runtime
	FormNative             Form = "native"              // no .NET at run time (Native AOT too)
	FormScript             Form = "script"              // Needs.Runtime runs it: Arguments are those of the runtime, the file among them
)

// Program is the program that starts the application. Applications that IIS
// hosts have none.
type Program struct {
	Path      string   `json:"path"` // slash-separated, relative to the app folder
	Form      Form     `json:"form"`
	Arguments []string `json:"arguments,omitempty"`
	// Home is the folder of a server with its configuration, relative to the app folder;
	// "." for that itself. Empty for all other programs.
	Home          string `json:"home,omitempty"`
	SelfContained bool   `json:"selfContained,omitempty"`
	// Env are the environment variables that web.config sets for the program, but
	// for secrets and for those that say where it listens: the ASP.NET Core Module
	// overrides the latter.
	Env     map[string]string `json:"env,omitempty"`
	Service *Service          `json:"service,omitempty"`
}

// Service says how a Windows service can be started.
type Service struct {
	// Name is the service name that the binary gives, or empty where it could
	// not be read.
	Name string `json:"name"`
	// Foreground is true where the program stays in the foreground when no service
	// manager started it, without arguments and without reading from a console, so
	// that it can be an entrypoint as it is.
	Foreground bool       `json:"foreground"`
	Evidence   []Evidence `json:"evidence"`
}

// Needs is what the application asks of an image, each with its reason. What
// image answers it is not decided here.
type Needs struct {
	// SharedFrameworks are the .NET shared frameworks of runtimeconfig.json.
	SharedFrameworks []SharedFramework `json:"sharedFrameworks,omitempty"`
	// Runtime is what runs an application of scripts or byte code; nil for the others.
	Runtime *Runtime `json:"runtime,omitempty"`
	// Families are the reasons why a smaller image family will not do.
	Families []FamilyNeed `json:"families,omitempty"`
	// IIS is set where IIS hosts the application.
	IIS *IIS `json:"iis,omitempty"`
	// Writes are the folders that the application writes to.
	Writes []Write `json:"writes,omitempty"`
}

// SharedFramework is one entry of runtimeOptions.frameworks.
type SharedFramework struct {
	Name        string     `json:"name"`    // "Microsoft.AspNetCore.App"
	Version     string     `json:"version"` // "8.0.0" as written
	RollForward string     `json:"rollForward,omitempty"`
	Evidence    []Evidence `json:"evidence"`
}

// Image families, from the smallest to the largest.
const (
	FamilyNanoServer = "nanoserver"
	FamilyServerCore = "servercore"
	FamilyServer     = "server"
)

// FamilyNeed is one reason why the image has to be of Family or larger.
type FamilyNeed struct {
	Family string `json:"family"`
	// Release limits the need to one Windows release ("ltsc2025"); empty means all.
	Release  string     `json:"release,omitempty"`
	Why      string     `json:"why"`
	Evidence []Evidence `json:"evidence"`
}

// IIS is what an application asks of IIS beyond a default site.
type IIS struct {
	AppPool AppPool `json:"appPool"`
	// Unlock are the sections that a web.config sets and that the default
	// applicationHost.config locks, like "system.webServer/webSocket".
	Unlock []Need `json:"unlock,omitempty"`
	// Features are Windows features by their ID in iis.toml.
	Features []Need `json:"features,omitempty"`
	// Modules are IIS modules that are not part of Windows, by ID (url-rewrite, ...).
	Modules []Need `json:"modules,omitempty"`
}

// AppPool is what the application asks of its app pool.
type AppPool struct {
	Enable32Bit    bool       `json:"enable32Bit,omitempty"`
	RuntimeVersion string     `json:"runtimeVersion,omitempty"` // "v2.0" or "v4.0"
	Classic        bool       `json:"classic,omitempty"`
	Evidence       []Evidence `json:"evidence,omitempty"`
}

// Need is a thing by its ID, with the reason.
type Need struct {
	ID       string     `json:"id"`
	Why      string     `json:"why"`
	Evidence []Evidence `json:"evidence"`
}

// Write is a folder that the application writes to, relative to the app folder.
type Write struct {
	Path     string     `json:"path"`
	Why      string     `json:"why"`
	Evidence []Evidence `json:"evidence"`
}

// Evidence is a place that a person can look at.
type Evidence struct {
	Path   string `json:"path"`           // slash-separated, relative to the app folder
	Line   int    `json:"line,omitempty"` // from 1; 0 means Offset and Length locate it
	Offset int64  `json:"offset,omitempty"`
	Length int64  `json:"length,omitempty"`
	Detail string `json:"detail"` // what stands there, secrets masked
}

// Fact is one thing seen. A key may have several facts; resolve picks.
type Fact struct {
	Key         string     `json:"key"`
	Value       string     `json:"value"`
	Detector    string     `json:"detector"`
	OverruledBy string     `json:"overruledBy"` // why it lost and to which value; empty for a winner
	Evidence    []Evidence `json:"evidence"`    // never empty
	// App is the name of the app that it is about, in a folder with several.
	App string `json:"app,omitempty"`

	// source is the row of precedence.toml that the fact falls under.
	source string
	// about is the program that the fact speaks of; empty for the whole folder.
	about string
	// deployable says of a program that it is a web application or a service.
	deployable bool
	// item is what the fact adds to App or Needs when it wins.
	item any
}

// Level is how much a finding matters.
type Level string

// Levels from the worst to the mildest. A blocker means that the application
// cannot run in a Windows container.
const (
	LevelBlocker Level = "blocker"
	LevelError   Level = "error"
	LevelWarning Level = "warning"
	LevelNote    Level = "note"
)

// Finding is what a rule says of the application.
type Finding struct {
	Rule     string     `json:"rule"` // "WP1001"
	Level    Level      `json:"level"`
	Message  string     `json:"message"`
	Remedy   string     `json:"remedy"`
	Evidence []Evidence `json:"evidence"`
	// App is the name of the app that it is about, in a folder with several.
	App string `json:"app,omitempty"`
	// Accepted is the reason for which the user takes the finding upon himself: it
	// counts no more. Detection leaves it empty.
	Accepted string `json:"accepted,omitempty"`
}

// Problem is a thing that could not be read, and what that leaves unknown.
type Problem struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	// App is the name of the app that it is about, in a folder with several.
	App string `json:"app,omitempty"`
}
