package detect

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxWrapperParts bounds the numbered properties of a wrapper.conf that are read.
const maxWrapperParts = 64

// javaWrappers reads what wrappers run that are made for Java: wrapper.conf of the Java
// Service Wrapper and of YAJSW, and scripts that install a service with procrun
// (wrapper.tanukisoftware.com, yajsw.sourceforge.io, commons.apache.org/daemon/procrun).
func (t *Tree) javaWrappers() []wrapped {
	var found []wrapped
	for f := range t.withExt(".conf") {
		if f.base != "wrapper.conf" {
			continue
		}
		if w := t.wrapperConf(f.path()); w != nil {
			found = append(found, *w)
		}
	}
	seen := 0
	for f := range t.withExt(".cmd", ".bat", ".ps1") {
		if seen++; seen > maxScripts {
			break
		}
		number := 0
		text := strings.NewReplacer("^\r\n", " ", "^\n", " ").Replace(string(t.head(f.path(), 64<<10)))
		for l := range strings.Lines(text) {
			number++
			if w := procrun(commandLine(strings.TrimLeft(strings.TrimSpace(l), "@& "))); w != nil {
				w.dir, w.evidence = f.dir.path, []Evidence{{Path: f.path(), Line: number, Detail: mask("procrun runs " + strings.Join(w.words, " "))}}
				found = append(found, *w)
			}
		}
	}
	return found
}

// procrun is the service that "prunsrv //IS//NAME --Classpath=... --StartClass=..."
// installs, nil where the words are of another command.
func procrun(words []string) *wrapped {
	if len(words) < 3 || !strings.HasPrefix(words[1], "//IS//") {
		return nil
	}
	option := func(name string) string {
		for i, w := range words {
			key, value, ok := strings.Cut(w, "=")
			if strings.EqualFold(strings.TrimLeft(key, "-+"), name) {
				if !ok && i+1 < len(words) {
					value = words[i+1]
				}
				return strings.Trim(value, `"`)
			}
		}
		return ""
	}
	cp, class := option("Classpath"), option("StartClass")
	if cp == "" || class == "" {
		return nil
	}
	w := &wrapped{by: "procrun", name: strings.TrimPrefix(words[1], "//IS//"), words: []string{"java", "-cp", cp, class}}
	w.words = append(w.words, strings.FieldsFunc(option("StartParams"), func(r rune) bool { return r == ';' || r == '#' })...)
	return w
}

// wrapperConf is the command that a wrapper.conf describes, nil where it is of
// something else. Paths in it count from the folder of the wrapper's program, which is
// bin beside conf, or from the one that holds conf.
func (t *Tree) wrapperConf(p string) *wrapped {
	values, lines := map[string]string{}, map[string]int{}
	number := 0
	for l := range strings.Lines(string(t.head(p, 256<<10))) {
		number++
		l = strings.TrimSpace(l)
		if key, value, ok := strings.Cut(l, "="); ok && !strings.HasPrefix(l, "#") {
			key = strings.TrimSpace(key)
			values[key], lines[key] = strings.TrimSpace(value), number
		}
	}
	for key, value := range values {
		values[key] = wrapperVariable().ReplaceAllStringFunc(value, func(name string) string {
			name = strings.Trim(name, "%")
			return cmp.Or(values["set."+name], values["set.default."+name], "%"+name+"%")
		})
	}
	list := func(prefix string) []string {
		var out []string
		for i := 1; i <= maxWrapperParts; i++ {
			if v := values[prefix+strconv.Itoa(i)]; v != "" {
				out = append(out, v)
			}
		}
		return out
	}
	home := path.Dir(path.Dir(p))
	w := &wrapped{by: "java-service-wrapper", name: values["wrapper.ntservice.name"]}
	key := ""
	switch {
	case values["wrapper.java.app.jar"] != "":
		key = "wrapper.java.app.jar"
		w.by, w.words = "yajsw", []string{"java", "-jar", values[key]}
	case values["wrapper.java.app.mainclass"] != "":
		key = "wrapper.java.app.mainclass"
		w.by, w.words = "yajsw", []string{"java", "-cp", strings.Join(list("wrapper.java.classpath."), ";"), values[key]}
	case values["wrapper.java.mainclass"] != "":
		key = "wrapper.java.mainclass"
		w.words = []string{"java", "-cp", strings.Join(list("wrapper.java.classpath."), ";")}
		if !strings.HasPrefix(path.Base(strings.ReplaceAll(values[key], ".", "/")), "Wrapper") {
			w.words = append(w.words, values[key])
		} // else a class of the wrapper, whose first parameter is the program's
	default:
		return nil
	}
	w.words = append(w.words, list("wrapper.app.parameter.")...)
	w.evidence = []Evidence{{Path: p, Line: lines[key], Detail: mask(key + "=" + values[key])}}
	dirs := []string{path.Join(home, "bin"), home}
	if dir, ok := relativeTo(dirs[0], values["wrapper.working.dir"]); ok {
		dirs = append([]string{dir}, dirs...)
	}
	for _, dir := range dirs {
		w.dir = dir
		if t.javaCommand(dir, w.words) != nil {
			break
		}
	}
	return w
}

var wrapperVariable = pattern(`%\w+%`)

// javaWrapper says whether a program is one that runs what a wrapper.conf of the folder
// describes.
func (t *Tree) javaWrapper(b *image) bool {
	if !strings.HasPrefix(b.base, "wrapper") {
		return false
	}
	return slices.ContainsFunc(t.javaWrappers(), func(w wrapped) bool { return w.by == "java-service-wrapper" || w.by == "yajsw" })
}
