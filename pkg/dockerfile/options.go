package dockerfile

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// Values of Options.Prefer.
const (
	// PreferNoRun configures at container start what a file cannot: the image
	// builds anywhere. It is the default.
	PreferNoRun = "no-run"
	// PreferFastStart configures by RUN what it can: the container starts faster,
	// and the build needs Windows.
	PreferFastStart = "fast-start"
)

// Options are a user's wishes.
type Options struct {
	// OS are the Windows releases, the first names the plan's main base. Empty
	// means the default, ltsc2022 and ltsc2025.
	OS []string
	// OSAsked says that the user named OS: none of them is ever left out.
	OSAsked bool
	// Base is an image reference to use instead of the chosen one.
	Base string
	// Prefer is PreferNoRun (the default) or PreferFastStart.
	Prefer string
	// Accepted are the rules of findings that the user takes upon himself: one that
	// is a blocker does not end planning.
	Accepted []string
	// App is the app folder without what is ignored, and Trees what Settings.Files name:
	// where App is given, what the entrypoint of Settings names is looked up there.
	App   fs.FS
	Trees map[string]fs.FS
	Settings
}

// DefaultOS returns the releases that are built where none was asked for.
func DefaultOS() []string { return []string{"ltsc2022", "ltsc2025"} }

// BlockedError says that the application cannot run in a Windows container.
type BlockedError struct {
	Kind     detect.Kind
	Findings []detect.Finding // the blockers; may be empty
}

func (e *BlockedError) Error() string {
	if len(e.Findings) > 0 {
		f := e.Findings[0]
		return fmt.Sprintf("the app cannot run in a Windows container: %s: %s", f.Rule, f.Message)
	}
	return fmt.Sprintf("the app cannot run in a Windows container: %s programs need a desktop, which containers do not have", e.Kind)
}

// UnknownKindError says that the kind is unknown and what to give.
type UnknownKindError struct {
	Empty  bool // the app folder holds no file
	Ignore bool // or none that is not ignored
	// Unread is what could not be read of the app, "web.exe: permission denied"; empty
	// where all could.
	Unread string
}

func (e *UnknownKindError) Error() string {
	if e.Empty && e.Ignore {
		return "no file of the app folder is left: it is empty, or ignore in winpack.toml takes out all of it (a later !PATTERN brings back)"
	}
	if e.Empty {
		return "the app folder holds no file, and --base REF would not help: name the folder that holds the built application"
	}
	unread := ""
	if e.Unread != "" {
		unread = " (not read: " + e.Unread + ")"
	}
	return "what the app is could not be told" + unread + ": name a base image with --base REF, and where that does not start it by itself an entrypoint in winpack.toml"
}

// NoImageError says that no image fits the application for releases that were
// asked for, or for any.
type NoImageError struct {
	OS   []string // the releases
	What string   // what has no image
	Ways []string // the ways out
}

func (e *NoImageError) Error() string {
	s := fmt.Sprintf("no base image of %s for %s", e.What, strings.Join(e.OS, ", "))
	if len(e.Ways) > 0 {
		s += ": " + strings.Join(e.Ways, "; or ")
	}
	return s
}

// NoRuntimeError says that neither the folder nor the base has what runs the app.
type NoRuntimeError struct {
	What string   // what is missing: "Node.js 20"
	Ways []string // the ways out
}

func (e *NoRuntimeError) Error() string {
	return fmt.Sprintf("neither the folder nor the base image has %s, which runs the app: %s", e.What, strings.Join(e.Ways, "; or "))
}

// SourceError says that the app has to be compiled before there is anything to copy.
type SourceError struct{}

func (e *SourceError) Error() string {
	return "the folder holds source that has to be compiled first (WP1009): give winpack the folder that its build fills"
}

// UnknownReleaseError says that a Windows release is not known, and what is.
type UnknownReleaseError struct {
	OS      string
	Nearest string
	Known   []string
}

func (e *UnknownReleaseError) Error() string {
	s := fmt.Sprintf("unknown Windows release %q", e.OS)
	if e.Nearest != "" {
		s += fmt.Sprintf(": did you mean %s?", e.Nearest)
	}
	return s + fmt.Sprintf(" (known: %s)", strings.Join(e.Known, ", "))
}

// UsageError is a wrong option or a mistake in the app's layout that winpack
// cannot put into an image.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

// AppNameError says that the program that starts the app has a name which cannot be in
// a Windows image.
type AppNameError struct{ Err error }

func (e *AppNameError) Error() string { return e.Err.Error() }
