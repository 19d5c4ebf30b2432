package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// BaseArg is the build argument by which --os and --base reach a Dockerfile.
const BaseArg = "BASE"

// Parsed is a Dockerfile that a person wrote or edited, as BuildKit's parser reads
// it. It is read-only, and safe for concurrent use.
type Parsed struct {
	name   string
	data   []byte
	listed []string
}

// FileError is a mistake in a Dockerfile, at its place.
type FileError struct {
	File string
	Line int // from 1; 0 where it is all of the file
	Err  error
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// Parse reads a Dockerfile; name is what errors call it. The error is a *FileError.
func Parse(name string, data []byte) (*Parsed, error) {
	p := &Parsed{name: name, data: data, listed: listedBases(data)}
	_, err := p.read()
	if err != nil {
		return nil, err
	}
	return p, nil
}

// syntax is a Dockerfile taken apart. Instructions are expanded in place, so that
// each use reads its own.
type syntax struct {
	lex    *shell.Lex
	stages []instructions.Stage
	args   []instructions.ArgCommand // before the first FROM
}

func (p *Parsed) read() (syntax, error) {
	tree, err := parser.Parse(bytes.NewReader(p.data))
	if err != nil {
		return syntax{}, p.located(err)
	}
	s := syntax{lex: shell.NewLex(tree.EscapeToken)}
	if s.stages, s.args, err = instructions.Parse(tree.AST, nil); err != nil {
		return syntax{}, p.located(err)
	}
	if len(s.stages) == 0 {
		return syntax{}, p.errorf(0, "there is no FROM: name the base image with FROM")
	}
	return s, nil
}

func (p *Parsed) errorf(line int, format string, args ...any) error {
	return &FileError{p.name, line, fmt.Errorf(format, args...)}
}

// located turns an error of BuildKit's parser into a *FileError.
func (p *Parsed) located(err error) error {
	line := 0
	if at := (*parser.LocationError)(nil); errors.As(err, &at) {
		for _, ranges := range at.Locations {
			line = max(line, lineOf(ranges))
		}
		err = at.Unwrap()
	}
	return &FileError{p.name, line, err}
}

func lineOf(ranges []parser.Range) int {
	if len(ranges) == 0 {
		return 0
	}
	return ranges[0].Start.Line
}

// Listed are the references that winpack's own comment names for other releases
// than that of ARG BASE.
func (p *Parsed) Listed() []string { return slices.Clone(p.listed) }

// listComment stands above the references in the Dockerfile that winpack writes, each
// behind listFlag, so that a line can be copied.
const (
	listComment = "For another Windows release, build with"
	listFlag    = "--build-arg " + BaseArg + "="
)

func listedBases(data []byte) (refs []string) {
	reading := false
	for line := range bytes.Lines(data) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "#")
		switch {
		case !ok && reading:
			return refs
		case ok && reading:
			ref, flagged := strings.CutPrefix(strings.TrimSpace(comment), listFlag)
			if !flagged || ref == "" || strings.ContainsAny(ref, " \t") || strings.HasPrefix(ref, "oci:") {
				return refs
			}
			refs = append(refs, ref)
		case ok && strings.TrimSpace(comment) == listComment:
			reading = true
		}
	}
	return refs
}

// From is the base image that a Dockerfile names.
type From struct {
	Reference string
	Line      int
	// ByArg says that ARG BASE is the reference, so that --os and --base reach it;
	// Reference is then empty where it has no default and no value was given.
	ByArg bool
}

// From says which image the last stage begins with, by the arguments that the
// build is given. The error is a *FileError.
func (p *Parsed) From(args map[string]string) (From, error) {
	s, err := p.read()
	if err != nil {
		return From{}, err
	}
	chain, err := p.chain(s, args)
	if err != nil {
		return From{}, err
	}
	first := chain[0]
	line := lineOf(first.Location)
	from := From{Reference: first.BaseName, Line: line}
	// An image that BASE alone makes is one for each value of it.
	const probe = "probe.invalid/winpack"
	with := map[string]string{BaseArg: probe}
	for key, value := range args {
		if key != BaseArg {
			with[key] = value
		}
	}
	if again, err := p.read(); err == nil {
		other, err := p.chain(again, with)
		from.ByArg = err == nil && other[0].BaseName == probe && lineOf(other[0].Location) == line
	}
	switch {
	case from.Reference == noImage && from.ByArg:
		from.Reference = ""
	case from.Reference == noImage:
		return From{}, p.errorf(line, "FROM names no image: its arguments are empty")
	case from.Reference == "scratch":
		return From{}, p.errorf(line, "FROM scratch: a Windows container needs a base image of Windows")
	}
	return from, nil
}

// noImage stands for the name of a base image that is empty.
const noImage = ""

// chain finds the stages that make the last one: the one with the image first. Base
// names are expanded; that of the first may be noImage.
func (p *Parsed) chain(s syntax, args map[string]string) ([]instructions.Stage, error) {
	t, err := p.tree(s, args)
	if err != nil {
		return nil, err
	}
	return p.last(t)
}

// last is chain of stages whose base names are expanded.
func (p *Parsed) last(t *stageTree) ([]instructions.Stage, error) {
	last := len(t.stages) - 1
	var chain []instructions.Stage
	inUse := map[int]bool{}
	for i := last; i >= 0; i = t.above[i] {
		chain = append(chain, t.stages[i])
		inUse[i] = true
	}
	slices.Reverse(chain)
	for i, st := range t.stages {
		line := lineOf(st.Location)
		if st.BaseName == "" && !inUse[i] { // BuildKit fails, though it never builds it
			return nil, p.errorf(line, "FROM names no image: its arguments are empty")
		}
		if st.Platform == "" || !inUse[i] {
			continue
		}
		platform, err := t.global.expand(t.lex, st.Platform)
		if err != nil {
			return nil, &FileError{p.name, line, err}
		}
		// The release is that of the base, whichever the platform names.
		bare := osVersionOf.ReplaceAllString(platform, "windows")
		if !strings.EqualFold(bare, targetPlatform) && !strings.EqualFold(bare, "windows") {
			return nil, p.errorf(line, "FROM --platform=%s: winpack builds for %s: leave --platform out", platform, targetPlatform)
		}
	}
	return chain, nil
}

const targetPlatform = "windows/amd64"

// osVersionOf is how BuildKit spells a platform with its os.version, as it stands in
// TARGETPLATFORM.
var osVersionOf = regexp.MustCompile(`(?i)^windows\([0-9.]*\)`)

// global are the arguments before the first FROM, and BuildKit's own.
func (p *Parsed) global(s syntax, args map[string]string) (*variables, error) {
	vars := &variables{}
	stage := s.stages[len(s.stages)-1].Name
	if stage == "" {
		stage = "default"
	}
	platform := targetPlatform
	if version := args[targetOSVersion]; version != "" {
		platform = "windows(" + version + ")/amd64"
	}
	for _, kv := range [][2]string{
		{"BUILDPLATFORM", targetPlatform}, {"BUILDOS", "windows"}, {"BUILDOSVERSION", ""}, {"BUILDARCH", "amd64"}, {"BUILDVARIANT", ""},
		{"TARGETPLATFORM", platform}, {"TARGETOS", "windows"}, {targetOSVersion, ""}, {"TARGETARCH", "amd64"}, {"TARGETVARIANT", ""},
		{"TARGETSTAGE", stage},
	} {
		if given, ok := args[kv[0]]; ok {
			kv[1] = given
		}
		vars.set(kv[0], kv[1])
	}
	for _, cmd := range s.args {
		for _, arg := range cmd.Args {
			value, given := args[arg.Key]
			if !given {
				if arg.Value == nil {
					continue
				}
				var err error
				if value, err = vars.expand(s.lex, *arg.Value); err != nil {
					return nil, &FileError{p.name, lineOf(cmd.Location()), err}
				}
			}
			vars.set(arg.Key, value)
		}
	}
	return vars, nil
}

// targetOSVersion is the argument that carries the base's os.version.
const targetOSVersion = "TARGETOSVERSION"
