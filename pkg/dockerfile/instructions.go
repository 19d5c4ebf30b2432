package dockerfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/winpack/winpack/pkg/detect"
)

func copyLines(w *writer, s Step, l layout, opt RenderOptions, hasScript bool) error {
	to := strings.TrimSuffix(strings.ReplaceAll(s.To, `\`, "/"), "/") + "/"
	if s.Tree != "" || s.From != "." {
		source, err := copySource(l.source(s))
		if err != nil {
			return err
		}
		if s.Folder {
			source += "/"
		} else if s.Name != "" {
			to += word(s.Name)
		}
		w.line("COPY %s", jsonList(source, to))
		return nil
	}
	if l.app != "." || !hasScript {
		source, err := copySource(l.app)
		if err != nil {
			return err
		}
		w.line("COPY %s", jsonList(source+"/", to))
		return nil
	}
	// The start script lies in the app folder and must not land in the app: the
	// classic builder has no COPY --exclude, so each name is copied by itself.
	if len(opt.TopLevel) == 0 {
		return &UsageError{"the names in the app folder are needed to write a Dockerfile into it"}
	}
	files := []string{}
	for _, name := range slices.Sorted(slices.Values(opt.TopLevel)) {
		bare := strings.TrimSuffix(name, "/")
		if slices.Contains(notShipped(), strings.ToLower(bare)) || slices.Contains(l.own, bare) {
			continue
		}
		source, err := copySource(bare)
		if err != nil || strings.ContainsAny(bare, `*?<>|:"`) {
			return &UsageError{fmt.Sprintf("the name %q cannot stand in a Windows image: rename it", bare)}
		}
		if bare == name {
			files = append(files, source)
		} else {
			w.line("COPY %s", jsonList(source+"/", to+word(bare)+"/"))
		}
	}
	if len(files) > 0 {
		w.line("COPY %s", jsonList(append(files, to)...))
	}
	return nil
}

func runGrants(w *writer, p Plan, elevate func()) {
	w.line("")
	why := "The program writes there and is no administrator, so that the build has to grant it"
	if p.Administrator() {
		why = "The build grants write access, as --prefer fast-start asks"
	}
	if p.Builder.Windows {
		w.comment(why + ".")
	} else {
		w.comment(why + ", which needs a Windows builder (winpack build does without).")
	}
	elevate()
	moved := false
	for _, s := range p.Steps {
		if s.Kind != StepGrant {
			continue
		}
		if s.To != appDir && s.To != siteDir {
			// Makes the folder where it is missing, without a shell and its quoting.
			w.line("WORKDIR %s", word(s.To))
			moved = true
		}
		w.line("RUN %s", jsonList("icacls", s.To, "/grant", "*"+s.Trustee.SID+":(OI)(CI)M", "/q"))
	}
	if moved {
		w.line("WORKDIR %s", word(cmp.Or(p.Config.WorkingDir, `C:\`))) // the images of IIS set none
	}
}

// word escapes a path for an instruction that expands variables and takes quotes
// away, where the escape character is the backtick.
func word(path string) string {
	return strings.NewReplacer("`", "``", "$", "`$", "'", "`'", `"`, "`\"").Replace(path)
}

// userWord is an account for USER, which takes no quotes off.
func userWord(account string) string {
	return strings.NewReplacer("`", "``", "$", "`$").Replace(account)
}

// instruction is the health check as HEALTHCHECK.
func (h *Health) instruction() string {
	if h.Test[0] == "NONE" {
		return "HEALTHCHECK NONE"
	}
	var b strings.Builder
	b.WriteString("HEALTHCHECK")
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"interval", h.Interval}, {"timeout", h.Timeout}, {"start-period", h.StartPeriod}} {
		if d.value > 0 {
			fmt.Fprintf(&b, " --%s=%s", d.flag, d.value)
		}
	}
	if h.Retries > 0 {
		fmt.Fprintf(&b, " --retries=%d", h.Retries)
	}
	if h.Test[0] == "CMD-SHELL" {
		return b.String() + " CMD " + h.Test[1]
	}
	return b.String() + " CMD " + jsonList(h.Test[1:]...)
}

var plainValue = regexp.MustCompile(`^[A-Za-z0-9_.:/+*;,-]+$`)

// envValue quotes a value for ENV: in quotes, a backtick makes a quote, a dollar
// or another backtick a plain character ("# escape=`").
func envValue(s string) string {
	if plainValue.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer("`", "``", `"`, "`\"", "$", "`$").Replace(s) + `"`
}

func capital(s string) string {
	if s == "" || strings.HasPrefix(s, detect.FamilyServerCore) || strings.HasPrefix(s, detect.FamilyNanoServer) {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// escapeUnprintable writes what JSON lets stand in a string, and a terminal might
// obey, as \uXXXX.
func escapeUnprintable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// jsonList is the exec form; HTML escapes would only make it hard to read.
func jsonList(items ...string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(item) // a string always encodes
		quoted[i] = escapeUnprintable(strings.TrimSpace(b.String()))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
