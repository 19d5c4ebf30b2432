// Package pipeline takes one app from start to finish: open the folder, detect,
// plan, and then whatever the job asks for, writing a Dockerfile or building an
// image. Commands parse flags into a Job and print its Result.
package pipeline

import (
	"fmt"
	"strings"

	"github.com/winpack/winpack/pkg/detect"
)

// UsageError is an error of the command line, of the configuration, or of what
// they name.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// BlockedError says that the app can't run in a Windows container.
type BlockedError struct{ Findings []detect.Finding }

func (e *BlockedError) Error() string {
	f := e.Findings[0]
	if f.Rule == "" {
		return f.Message
	}
	text := fmt.Sprintf("the app can't run in a Windows container: %s: %s", f.Rule, f.Message)
	if n := len(e.Findings) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// FindingsError says that findings at or above the level of --fail-on remain.
type FindingsError struct {
	Level    string
	Findings []detect.Finding
}

func (e *FindingsError) Error() string {
	f := e.Findings[0]
	text := fmt.Sprintf("--fail-on %s: %s: %s", e.Level, f.Rule, f.Message)
	if n := len(e.Findings) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// StaleError says that files on disk are not what winpack would write now.
type StaleError struct {
	Dir    string
	Files  []string
	Edited []string // files there that were edited by hand, stale or not
}

func (e *StaleError) Error() string {
	text := fmt.Sprintf("stale in %q: %s; ", Shown(e.Dir), strings.Join(e.Files, ", "))
	if len(e.Edited) == 0 {
		return text + "`winpack dockerfile` writes them anew"
	}
	return text + fmt.Sprintf("%s edited by hand, so `winpack dockerfile` writes nothing: move the edits between the edit markers of the Dockerfile, "+
		"where they stay, or give --force, which loses them; --stdout prints what would be written", wasEdited(e.Edited))
}

func wasEdited(names []string) string {
	if len(names) == 1 {
		return names[0] + " was"
	}
	return strings.Join(names, ", ") + " were"
}
