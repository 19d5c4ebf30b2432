// Package dockerrun makes the docker run line of an image: ports, variables,
// volumes and devices from its configuration and from the labels that winpack
// writes, and the isolation that a host needs for it.
//
// Deciding is pure. What an image says is data: what could mean something else in
// a command line is left out, with a note.
package dockerrun

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/winpack/winpack/cmd/winpack/internal/winhost"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Line is a command line.
type Line struct {
	// Args are the words, "docker" first.
	Args []string
	// Notes are sentences for people.
	Notes []string
}

// New makes the line that runs the image of a reference. host is nil where it is
// not known: then no isolation is chosen. The error is a *winhost.RefusedError, or
// says that the reference has no Windows image.
func New(reference string, in build.Inspected, host *winhost.Host, table *winhost.Table) (Line, error) {
	if len(in.Images) == 0 {
		has := "it holds nothing"
		if len(in.Others) > 0 {
			has = "it is for " + strings.Join(slices.Compact(slices.Sorted(slices.Values(in.Others))), ", ")
		}
		return Line{}, fmt.Errorf("%q is no Windows image: %s", reference, has)
	}
	var builds []winhost.Build
	var l Line
	for _, img := range in.Images {
		b, err := winhost.ParseBuild(img.OSVersion)
		if err != nil { // the configuration says none, or nonsense
			b = winhost.Build{}
		}
		builds = append(builds, b)
	}
	image, isolation := 0, ""
	directX := in.Images[0].Config.Labels[dockerfile.LabelDirectX] == "true"
	if host == nil {
		l.note("the build of the host is not known here, so no isolation is chosen: docker run takes %s on Windows Server and %s on Windows 10 and 11; "+
			"with --host BUILD (`ver` shows it there) winpack chooses", table.DefaultIsolation.Server, table.DefaultIsolation.Client)
	} else {
		choice, err := table.Choose(*host, builds, directX)
		if err != nil {
			return Line{}, err
		}
		image, isolation = choice.Image, choice.Isolation
		if isolation == "" {
			l.note("the image does not say its Windows build, so no isolation is chosen")
		}
		if choice.Note != "" {
			l.note("%s on %s, isolation %s: %s", in.Images[image].OSVersion, host.Name, isolation, choice.Note)
		}
		if !choice.ByName {
			l.note("the image is named by its digest, since %s would not take the one for %s from the index by itself", host.Name, in.Images[image].OSVersion)
			reference = in.Repository + "@" + in.Images[image].Digest
		}
	}
	if directX {
		isolation = cmp.Or(isolation, table.DirectX.Isolation)
	}
	l.Args = []string{"docker", "run", "--rm"}
	if isolation != "" {
		l.add("--isolation", isolation)
	}
	if directX {
		l.add("--device", table.DirectX.Device)
		l.note("the app uses DirectX: the host needs a graphics card with a driver, and an image of the server family")
	}
	config := in.Images[image].Config
	l.ports(config.ExposedPorts, config.Labels[dockerfile.LabelPorts])
	l.environment(config.Labels[dockerfile.LabelEnv])
	l.volumes(in.Repository, config.Labels[dockerfile.LabelWrites])
	l.add(reference)
	return l, nil
}

func (l *Line) add(words ...string) { l.Args = append(l.Args, words...) }

func (l *Line) note(format string, args ...any) {
	l.Notes = append(l.Notes, fmt.Sprintf(format, args...))
}

// maxListed bounds what one image may add to the line, of each kind.
const maxListed = 32

// ports publishes what the image exposes: 80 and 443 at 8080 and 8443, which are
// free on most machines, the others at their own number. Where the image's label names
// the TCP ports that the app listens on, the others are those of its base.
func (l *Line) ports(exposed map[string]struct{}, label string) {
	listens := list(label)
	type port struct {
		number   int
		protocol string
	}
	var ports []port
	for _, key := range slices.Sorted(maps.Keys(exposed)) {
		text, protocol, _ := strings.Cut(key, "/")
		n, err := strconv.Atoi(text)
		protocol = cmp.Or(strings.ToLower(protocol), "tcp")
		if err != nil || n < 1 || n > 65535 || protocol != "tcp" && protocol != "udp" {
			l.note("the image exposes %q, which is no port: left out", key)
			continue
		}
		if len(listens) > 0 && protocol == "tcp" && !slices.Contains(listens, strconv.Itoa(n)) {
			l.note("port %d is exposed by the base image, and the app does not listen there: left out", n)
			continue
		}
		ports = append(ports, port{n, protocol})
	}
	slices.SortFunc(ports, func(a, b port) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.protocol, b.protocol))
	})
	ports = slices.Compact(ports)
	taken := map[port]bool{}
	for _, p := range ports {
		taken[p] = true
	}
	for _, p := range ports[:min(len(ports), maxListed)] {
		at := p
		if n, ok := map[int]int{80: 8080, 443: 8443}[p.number]; ok {
			for at.number = n; taken[at]; at.number++ {
			}
			taken[at] = true
		}
		word := fmt.Sprintf("%d:%d", at.number, p.number)
		if p.protocol != "tcp" {
			word += "/" + p.protocol
		}
		l.add("-p", word)
	}
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

const maxVariable = 200

// environment hands on variables by their names alone: docker takes the values
// from its own environment, so that no secret stands in the line.
func (l *Line) environment(label string) {
	var names []string
	for _, name := range list(label) {
		if len(name) > maxVariable || !variable.MatchString(name) {
			l.note("the label %s names %q, which is no variable: left out", dockerfile.LabelEnv, name)
			continue
		}
		l.add("-e", name)
		names = append(names, name)
	}
	if len(names) > 0 {
		l.note("taken from your environment, where they are set there: %s", strings.Join(names, ", "))
	}
}

// volumes keeps what the app writes in named volumes.
func (l *Line) volumes(repository, label string) {
	used := map[string]bool{}
	var kept []string
	for _, dir := range list(label) {
		if !plainPath(dir) {
			l.note("the label %s names %q, which can't stand in a command line of every shell: left out", dockerfile.LabelWrites, dir)
			continue
		}
		base := volumeName(path.Base(repository) + "-" + dir[strings.LastIndexByte(dir, '\\')+1:])
		name := base
		for i := 2; used[name]; i++ {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		used[name] = true
		l.add("-v", name+":"+dir)
		kept = append(kept, dir)
	}
	if len(kept) > 0 {
		l.note("kept in volumes: %s; Docker wants such a folder to be empty in the image, and the app's account needs the right to write to the volume", strings.Join(kept, ", "))
	}
}

func list(label string) []string {
	parts := dockerfile.SplitLabel(label)
	return parts[:min(len(parts), maxListed)]
}

// plainPath says whether a path is an absolute one of Windows, below a drive's
// root, and means the same between double quotes to sh, PowerShell and cmd.
func plainPath(p string) bool {
	drive, rest, ok := strings.Cut(p, `:\`)
	if !ok || len(drive) != 1 || !strings.Contains("abcdefghijklmnopqrstuvwxyz", strings.ToLower(drive)) || len(p) > 250 {
		return false
	}
	for part := range strings.SplitSeq(rest, `\`) {
		if part == "" || strings.TrimRight(part, " .") != part {
			return false
		}
		for _, r := range part {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(` _.,;()[]{}+~#@=&'-`, r) {
				return false
			}
		}
	}
	return true
}

func volumeName(s string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '-' })
	return cmp.Or(strings.Join(parts, "-"), "data")
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_./:@-]+$`)

// String is the line for a shell. Words that need it stand in double quotes, and
// New lets nothing in that would not mean the same to sh, PowerShell and cmd there.
func (l Line) String() string {
	words := slices.Clone(l.Args)
	for i, w := range words {
		if !bare.MatchString(w) {
			words[i] = `"` + w + `"`
		}
	}
	return strings.Join(words, " ")
}
