package dockerfile

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/pkg/detect"
)

// Settings are what a user sets of the image by hand. What is empty stays as
// winpack decides it.
type Settings struct {
	// Entrypoint replaces what would start the app; needed for kind unknown where
	// the base image does not start it by itself. Exec form.
	Entrypoint []string
	Cmd        []string // default arguments of the entrypoint
	WorkingDir string   // an absolute Windows path
	User       string   // like ContainerUser
	Ports      []int
	Env        map[string]string // beside what winpack sets
	Labels     map[string]string
	Health     *Health
	Ignore     []string // patterns of .dockerignore, relative to the app folder
	// Write are folders that the app may write to: below the app's own, or absolute
	// Windows paths.
	Write []string
	Files []Extra
	// Places say where settings stand, for findings about them, by the names of Check
	// ("ports", "env.NAME") and "base". One that is not among them was given as a flag.
	Places map[string]detect.Evidence
}

// Health is a health check as an image configuration has it. Docker runs it,
// Kubernetes does not.
type Health struct {
	// Test is "NONE", or "CMD" and a program with arguments, or "CMD-SHELL" and a
	// line for the image's shell.
	Test []string `json:"test"`
	// Zero durations and retries leave Docker's default.
	Interval    time.Duration `json:"interval,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	StartPeriod time.Duration `json:"startPeriod,omitempty"`
	// StartInterval is the time between checks during StartPeriod; winpack.toml has none.
	StartInterval time.Duration `json:"startInterval,omitempty"`
	Retries       int           `json:"retries,omitempty"`
}

// Extra is a file or folder that goes into the image beside the app.
type Extra struct {
	Tree   string // "" for the app folder, else the name of a tree that the builder is given
	From   string // slash-separated path in Tree, "." for all of it
	Folder bool   // From is a folder: its content goes into To
	// To is an absolute Windows path, or one below the app's folder in the image. A
	// file goes into it where it ends with a separator, else it is the file's new name.
	To string
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.()-]*$`)

// Mistake is what is wrong with a setting. Key names it as winpack.toml does, as in
// "env.NAME" or "files.to"; Element counts from 0 for a key in a list of tables.
type Mistake struct {
	Key     string
	Element int
	Err     error
}

// Check says what is wrong with settings, each a *UsageError.
func (s Settings) Check() []Mistake {
	var found []Mistake
	bad := func(key string, i int, format string, args ...any) {
		found = append(found, Mistake{key, i, &UsageError{fmt.Sprintf(format, args...)}})
	}
	s.checkCommands(bad)
	if s.WorkingDir != "" {
		if _, err := absoluteWindows(s.WorkingDir); err != nil {
			bad("workdir", 0, "workdir %v", err)
		}
	}
	if s.User != "" && !isWindowsUser(s.User) {
		bad("user", 0, `user %q is no Windows account like ContainerUser or NT AUTHORITY\NETWORK SERVICE`, s.User)
	}
	for _, p := range s.Ports {
		if p < 1 || p > 65535 {
			bad("ports", 0, "port %d is not between 1 and 65535", p)
		}
	}
	s.checkTables(bad)
	if h := s.Health; h != nil {
		if err := h.check(); err != nil {
			bad("health-check.cmd", 0, "health-check: %v", err)
		}
	}
	for _, pattern := range s.Ignore {
		if err := checkIgnore(pattern); err != nil {
			bad("ignore", 0, "ignore %q: %v", pattern, err)
		}
	}
	for _, w := range s.Write {
		if _, err := within(`C:\app`, w); err != nil {
			bad("write", 0, "write %v", err)
		}
	}
	for i, f := range s.Files {
		to, err := within(`C:\app`, f.To)
		if err != nil {
			bad("files.to", i, "files.to %v", err)
		} else if !f.Folder && strings.EqualFold(to, `C:\`) && !endsInSeparator(f.To) {
			bad("files.to", i, `files.to %q names no file`, f.To)
		}
	}
	return found
}

type complain func(key string, element int, format string, args ...any)

func (s Settings) checkCommands(bad complain) {
	if len(s.Entrypoint) > 0 && s.Entrypoint[0] == "" {
		bad("entrypoint", 0, "entrypoint names no program")
	}
	for _, list := range []struct {
		key   string
		words []string
	}{{"entrypoint", s.Entrypoint}, {"cmd", s.Cmd}} {
		for _, arg := range list.words {
			if hasControl(arg) {
				bad(list.key, 0, "%s %q: a line break or control character can't stand in it", list.key, arg)
			}
		}
	}
}

func (s Settings) checkTables(bad complain) {
	folded := map[string]string{}
	for _, k := range sortedKeys(s.Env) {
		other, twice := folded[strings.ToUpper(k)]
		folded[strings.ToUpper(k)] = k
		switch {
		case !envName.MatchString(k):
			bad("env."+k, 0, "%q is no name of an environment variable", k)
		case twice:
			bad("env."+k, 0, "%s and %s are one variable: Windows does not tell names apart by case", other, k)
		case hasControl(s.Env[k]):
			bad("env."+k, 0, "the value of %s has a line break or control character", k)
		}
	}
	for _, k := range sortedKeys(s.Labels) {
		if k == "" || hasControl(k) || strings.ContainsAny(k, " \"'`$=\\") || hasControl(s.Labels[k]) {
			bad("labels."+k, 0, "label %q: a name has no blank or quote, and neither name nor value a line break", k)
		}
	}
}

// isWindowsUser says whether an account is written as Windows takes it, USER or
// DOMAIN\USER, in characters that mean nothing else anywhere.
func isWindowsUser(account string) bool {
	domain, user, qualified := strings.Cut(account, `\`)
	if !qualified {
		domain, user = "domain", account
	}
	name := func(s string, limit int) bool {
		return s != "" && len(s) <= limit && strings.Trim(s, nameCharacters) == ""
	}
	return name(domain, 255) && name(user, 255) && (!qualified || len(user) <= 104)
}

// check refuses what a Dockerfile could not say.
func (h *Health) check() error {
	if len(h.Test) == 0 || h.Test[0] != "NONE" && len(h.Test) < 2 {
		return fmt.Errorf("cmd is missing: the program that checks, with its arguments")
	}
	for _, arg := range h.Test {
		if hasControl(arg) {
			return fmt.Errorf("a line break or control character can't stand in cmd")
		}
	}
	if line := h.Test[len(h.Test)-1]; h.Test[0] == "CMD-SHELL" && (strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "[") || strings.HasSuffix(line, "`")) {
		return fmt.Errorf("the line %q can't stand in a Dockerfile: write it as a list, [\"cmd\", \"/c\", ...]", line)
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 })
}

func endsInSeparator(s string) bool { return strings.HasSuffix(s, `\`) || strings.HasSuffix(s, "/") }

func isAbsolute(s string) bool {
	_, err := absoluteWindows(s)
	return err == nil
}

// absoluteWindows cleans an absolute path on drive C:, the only one of a container.
func absoluteWindows(s string) (string, error) {
	slash := strings.ReplaceAll(s, `\`, "/")
	if len(slash) < 3 || !strings.EqualFold(slash[:3], "C:/") {
		return "", fmt.Errorf(`"%s" is no absolute path like C:\data`, printable(s))
	}
	rest := strings.Trim(slash[3:], "/")
	if rest == "" {
		return `C:\`, nil
	}
	to, err := windowsPath("C:", rest)
	if err != nil {
		return "", err
	}
	return to, nil
}

// within is absoluteWindows for a path that may also be relative to a folder.
func within(root, s string) (string, error) {
	slash := strings.ReplaceAll(s, `\`, "/")
	switch {
	case s == "":
		return "", fmt.Errorf("is empty: name a path")
	case len(slash) > 1 && slash[1] == ':':
		return absoluteWindows(s)
	case strings.HasPrefix(slash, "/"):
		return absoluteWindows("C:" + slash)
	}
	return windowsPath(root, strings.TrimSuffix(slash, "/"))
}

// checkIgnore refuses a pattern that .dockerignore would take for something else.
func checkIgnore(pattern string) error {
	bare := strings.TrimPrefix(pattern, "!")
	switch {
	case strings.TrimSpace(bare) != bare || bare == "" || hasControl(bare):
		return fmt.Errorf("is empty, or has blanks around it")
	case strings.HasPrefix(bare, "#"):
		return fmt.Errorf("a pattern that begins with # is a comment")
	case slices.Contains(strings.Split(path.Clean(strings.ReplaceAll(bare, `\`, "/")), "/"), ".."):
		return fmt.Errorf("leads out of the app folder")
	case strings.Contains(bare, `\`):
		return fmt.Errorf("write paths with /")
	}
	if err := checkPattern(bare); err != nil {
		return fmt.Errorf("is no pattern: %w", err)
	}
	return nil
}

// unique are the values without those that stand before, in their order.
func unique[T comparable](values []T) []T {
	var out []T
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// place is where a setting stands; no place where it is a flag.
func (p *planner) place(key string) []detect.Evidence {
	if at, ok := p.opt.Places[key]; ok {
		return []detect.Evidence{at}
	}
	return []detect.Evidence{}
}

// at is the place of a setting for an error, with what follows it; empty for a flag.
func (p *planner) at(key string) string {
	if at, ok := p.opt.Places[key]; ok {
		return fmt.Sprintf("%s:%d: ", at.Path, at.Line)
	}
	return ""
}

// set puts the user's settings on top of what was decided.
func (p *planner) set() error {
	s, c := p.opt.Settings, &p.plan.Config
	if len(s.Entrypoint) > 0 {
		c.Entrypoint = slices.Clone(s.Entrypoint)
		p.why("the entrypoint was given")
	}
	if len(s.Cmd) > 0 {
		c.Cmd = slices.Clone(s.Cmd)
	}
	if s.WorkingDir != "" {
		dir, err := absoluteWindows(s.WorkingDir)
		if err != nil {
			return &UsageError{"workdir " + err.Error()}
		}
		c.WorkingDir = dir
	}
	if s.User != "" {
		c.User, p.plan.UserGiven = s.User, true
	}
	if len(s.Ports) > 0 {
		c.Ports = unique(s.Ports)
	}
	if len(s.Env) > 0 && c.Env == nil {
		c.Env = map[string]string{}
	}
	for _, k := range sortedKeys(s.Env) {
		for old := range c.Env {
			if strings.EqualFold(old, k) {
				delete(c.Env, old)
			}
		}
		c.Env[k] = s.Env[k]
	}
	if len(s.Labels) > 0 {
		c.Labels = maps.Clone(s.Labels)
	}
	c.Health = s.Health
	p.plan.Ignore = slices.Clone(s.Ignore)
	return nil
}

// extras adds a copy step for each file or folder beside the app.
func (p *planner) extras(root string) error {
	for _, f := range p.opt.Files {
		to, err := within(root, f.To)
		if err != nil {
			return &UsageError{"files: to " + err.Error()}
		}
		s := Step{Kind: StepCopy, Why: "added by winpack.toml", Tree: f.Tree, From: f.From, Folder: f.Folder, To: to}
		if !f.Folder && !endsInSeparator(f.To) {
			at := strings.LastIndexByte(to, '\\')
			if s.To, s.Name = to[:at], to[at+1:]; s.To == "C:" {
				s.To = `C:\`
			}
		}
		p.plan.Steps = append(p.plan.Steps, s)
	}
	return nil
}
