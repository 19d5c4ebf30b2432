package pe

import "errors"

var errSoon = errors.New("not read yet")

// Function is an imported or exported function.
type Function struct {
	Name string // "#12" where it has an ordinal only
	Span        // of the name, or of the ordinal
}

// Import is a library that the loader looks for, with the functions taken from it.
type Import struct {
	DLL       string // as written
	Functions []Function
	Span      // of the DLL's name
}

// Imports returns the libraries that the file needs to start.
func (f *File) Imports() ([]Import, error) { return nil, errSoon }

// DelayImports returns the libraries that are loaded at their first use.
func (f *File) DelayImports() ([]Import, error) { return nil, errSoon }

// Exports returns the exported functions that have a name.
func (f *File) Exports() ([]Function, error) { return nil, errSoon }

// Architecture is what the file runs as.
type Architecture struct {
	// Name is "anycpu", "x86", "x64", "arm64", or empty for another machine.
	Name string
	// Prefer32 is set for IL that runs as a 32-bit process where it can.
	Prefer32 bool
	// Mixed is set for a managed file that is not IL only and not ReadyToRun (C++/CLI).
	Mixed bool
	// OS is the system that a ReadyToRun file was compiled for: "windows",
	// "linux", "apple", "freebsd". Empty for other files.
	OS string
	Span
}

// Architecture reads machine and CLI flags.
func (f *File) Architecture() (Architecture, error) { return Architecture{}, errSoon }

// CLR flags (ECMA-335 II.25.3.3.1; 32BITPREFERRED by .NET Framework 4.5).
// Prefer32 together with Require32 means prefer, not require.
const (
	FlagILOnly      = 0x1
	Flag32Required  = 0x2
	FlagILLibrary   = 0x4
	FlagStrongName  = 0x8
	FlagNativeEntry = 0x10
	Flag32Preferred = 0x20000
)

// Text is a string with the place where it stands.
type Text struct {
	Value string
	Span
}

// CLR is the managed side of a file: what its CLI header and metadata say.
type CLR struct {
	Span                  // of the CLI header
	Flags          uint32 // FlagILOnly, ...
	FlagsSpan      Span
	RuntimeVersion Text // metadata version: "v2.0.50727", "v4.0.30319"
	ReadyToRun     bool
	NGen           bool
	// EntryPoint is the token of the method that starts the program, 0 for none.
	EntryPoint uint32

	Name    Text   // of the assembly; empty for a module
	Version string // of the assembly: "1.2.3.4"
	// TargetFramework is the value of TargetFrameworkAttribute:
	// ".NETFramework,Version=v4.7.2". Empty where the assembly has none.
	TargetFramework Text
	// TargetPlatform is the value of TargetPlatformAttribute: "Windows7.0".
	TargetPlatform Text
}

// Assembly is a reference to another assembly.
type Assembly struct {
	Name           string
	Version        string // "4.0.0.0"
	PublicKeyToken string // 16 hex digits, or empty
	Span                  // of the name
}

// Type is a type that the file defines or refers to.
type Type struct {
	Name string // "Namespace.Name"; nested types "Namespace.Outer/Inner"
	// Assembly is the assembly that a TypeRef is looked up in, empty for a
	// type of this file.
	Assembly string
	// Base is the "Namespace.Name" that a TypeDef extends, empty for a TypeRef.
	Base string
	Span // of the name
}

// Member is a method or field of another type that the file uses.
type Member struct {
	Name string // "Namespace.Type::Method"
	Span        // of the method's name
}

// PInvoke is a native function that managed code calls.
type PInvoke struct {
	Module   string // as written: "user32.dll", "user32"
	Function string
	Span     // of the function's name
}

// Call is a call instruction in a method of this file.
type Call struct {
	Member string // what is called: "Namespace.Type::Method"
	Caller string // where: "Namespace.Type::Method"
	// Literal is the string that the instruction before the call loads, as in
	// ServiceName = "Spooler"; Loaded says whether there was one.
	Literal string
	Loaded  bool
	Span    // of the call instruction
}

// CLR returns the managed side of the file; nil without an error where it has none.
func (f *File) CLR() (*CLR, error) { return nil, errSoon }

// AssemblyRefs returns the assemblies that the file refers to.
func (c *CLR) AssemblyRefs() ([]Assembly, error) { return nil, errSoon }

// TypeRefs returns the types of other assemblies that the file uses.
func (c *CLR) TypeRefs() ([]Type, error) { return nil, errSoon }

// TypeDefs returns the types that the file defines.
func (c *CLR) TypeDefs() ([]Type, error) { return nil, errSoon }

// MemberRefs returns the members of other types that the file uses.
func (c *CLR) MemberRefs() ([]Member, error) { return nil, errSoon }

// PInvokes returns the native functions that the file declares.
func (c *CLR) PInvokes() ([]PInvoke, error) { return nil, errSoon }

// CallsTo returns the calls of the named members ("Namespace.Type::Method") in
// all methods of the file. It reads no code where no such member is referred to.
func (c *CLR) CallsTo(members ...string) ([]Call, error) { return nil, errSoon }

// CallsFrom returns the calls in the method of that token and in the methods of
// this file that it reaches, each once; CallsFrom(c.EntryPoint) says what Main
// does.
func (c *CLR) CallsFrom(method uint32) ([]Call, error) { return nil, errSoon }

// AppHost is the native program that starts a .NET application.
type AppHost struct {
	Markers []Span // the two half hashes that every host carries
	// Bound is false for a template that no application was written into.
	Bound bool
	// Candidates are the strings that may be the path of the application's DLL,
	// relative to the host: the slot has no marker of its own.
	Candidates []Text
	// Bundle is set for a single-file program.
	Bundle *Bundle
}

// Bundle is the manifest of a single-file program.
type Bundle struct {
	Major, Minor  uint32
	ID            string
	ExtractAll    bool // extracts its files to a folder below TEMP at start
	Entries       []BundleEntry
	RuntimeConfig []byte // embedded NAME.runtimeconfig.json, nil for none
	DepsJSON      []byte // embedded NAME.deps.json, nil for none
	Span                 // of the manifest header
}

// BundleEntry is a file inside a single-file program.
type BundleEntry struct {
	Path       string // as written
	Type       uint8  // EntryAssembly, ...; always 0 in bundles of .NET Core 3
	Size       int64  // unpacked
	Compressed int64  // 0 for a stored entry
	Span              // of the stored bytes
}

// AppHost looks for the marks of a .NET host; nil without an error for a file
// that is none.
func (f *File) AppHost() (*AppHost, error) { return nil, errSoon }

// OpenEntry opens a PE that a bundle holds.
func (f *File) OpenEntry(e BundleEntry) (*File, error) { return nil, errSoon }
