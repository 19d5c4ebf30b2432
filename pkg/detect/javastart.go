package detect

import (
	"strings"
)

// startedJava is the program that a start script or a service wrapper of the folder
// starts with java, and where that stands; nil where none does. Path is that of the
// archive or, without one, of the script.
func (t *Tree) startedJava() (*Program, []Evidence) {
	for _, w := range t.wrappers() {
		if p := t.javaCommand(w.dir, w.words); p != nil {
			return p, w.evidence
		}
	}
	seen := 0
	for f := range t.withExt(".cmd", ".bat") {
		if t.depth(f.dir.path) > 1 || f.base == "mvnw.cmd" || f.base == "gradlew.bat" {
			continue
		}
		if seen++; seen > maxScripts {
			break
		}
		text := string(t.head(f.path(), 64<<10))
		number := 0
		for l := range strings.Lines(strings.ReplaceAll(text, "^\r\n", "   ")) {
			number++
			l = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(l), "@"))
			if low := strings.ToLower(l); strings.HasPrefix(low, "rem ") || strings.HasPrefix(low, "::") {
				continue
			}
			if p := t.javaCommand(f.dir.path, commandLine(l)); p != nil {
				return p, []Evidence{{Path: f.path(), Line: number, Detail: "starts java with " + mask(strings.Join(p.Arguments, " "))}}
			}
		}
	}
	return nil, nil
}

// javaCommand reads the words of a command line that starts java: nil where it does
// not, or where what it starts is not in the folder.
func (t *Tree) javaCommand(dir string, words []string) *Program {
	start := -1
	for i, w := range words {
		if base := programName(w); base == "java" || base == "javaw" {
			start = i
			break
		}
		if i == 0 && !strings.EqualFold(w, "start") && !strings.EqualFold(w, "call") && !strings.EqualFold(w, "cmd") {
			return nil
		}
	}
	if start < 0 {
		return nil
	}
	p := &Program{Form: FormScript}
	jar := false
	for i := start + 1; i < len(words); i++ {
		w := words[i]
		switch {
		case strings.HasPrefix(w, "%") && strings.HasSuffix(w, "%") || w == "%*" || hasSecret(w): // set elsewhere, or nothing for an image
			continue
		case p.Path != "": // the program's own
			if strings.ContainsAny(w, "<>|&") {
				return p
			}
			p.Arguments = append(p.Arguments, w)
		case w == "-jar":
			jar = true
		case jar:
			file := t.commandFile(dir, w)
			if file == "" {
				return nil
			}
			p.Path = file
			p.Arguments = append(p.Arguments, "-jar", windowsRelative(file))
		case w == "-cp" || w == "-classpath" || w == "--class-path":
			if i++; i < len(words) {
				cp, first := t.classPath(dir, words[i])
				if first == "" {
					return nil
				}
				p.Arguments = append(p.Arguments, "-cp", cp)
				p.Arguments, p.Path = t.mainClass(words[i+1:], p.Arguments), first
				if p.Arguments == nil {
					return nil
				}
				return p
			}
		case strings.HasPrefix(w, "-"):
			if !strings.Contains(w, "%") {
				p.Arguments = append(p.Arguments, w)
			}
		default:
			return nil
		}
	}
	if p.Path == "" {
		return nil
	}
	return p
}

// mainClass puts what follows a class path behind it: options, the class, and its
// arguments. nil where no class follows.
func (t *Tree) mainClass(words, args []string) []string {
	found := false
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "%") && strings.HasSuffix(w, "%") || w == "%*" || hasSecret(w):
			continue
		case !found && !strings.HasPrefix(w, "-"):
			if !className().MatchString(w) {
				return nil
			}
			found = true
		case strings.ContainsAny(w, "<>|&"):
			if found {
				return args
			}
			return nil
		}
		args = append(args, w)
	}
	if !found {
		return nil
	}
	return args
}

var className = pattern(`^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*$`)

// classPath makes a class path relative to the folder, and names its first archive
// that is there.
func (t *Tree) classPath(dir, cp string) (out, first string) {
	var parts []string
	for part := range strings.SplitSeq(strings.Trim(cp, `"`), ";") {
		part = strings.TrimSpace(part)
		if rest, ok := cutPrefixFold(part, "%~dp0"); ok {
			part = strings.TrimLeft(rest, `\/`)
		}
		if part == "" || strings.EqualFold(part, "%CLASSPATH%") {
			continue
		}
		if part == "." {
			parts = append(parts, windowsRelative(dir))
			continue
		}
		full, ok := relativeTo(dir, part)
		if !ok {
			return "", ""
		}
		if folder, star := strings.CutSuffix(full, "/*"); star || full == "*" {
			if !star {
				folder = "."
			}
			for f := range t.withExt(".jar") {
				if first == "" && strings.EqualFold(f.dir.path, folder) {
					first = f.path()
				}
			}
		} else if p := t.find(full); p != "" && first == "" {
			first = p
		}
		parts = append(parts, windowsRelative(full))
	}
	return strings.Join(parts, ";"), first
}
