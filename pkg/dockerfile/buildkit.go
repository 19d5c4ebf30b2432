package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// CheckForBuildKit says what BuildKit would get wrong of a Dockerfile for Windows
// without a word (docs/builders.md): an error for what breaks the image, notes for
// the rest. folders are those that base images have, as C:\..., whose access lists a
// COPY replaces.
func (p *Parsed) CheckForBuildKit(args map[string]string, folders []string) ([]Note, error) {
	s, err := p.read()
	if err != nil {
		return nil, err
	}
	chain, err := p.chain(s, args)
	if err != nil {
		return nil, err
	}
	var notes []Note
	check := func(cmd instructions.Command, link bool, owner, mode string, dest string) error {
		line, what := lineOf(cmd.Location()), strings.ToUpper(cmd.Name())
		if link {
			return p.errorf(line, "%s --link: BuildKit makes a layer of Linux of it, of which nothing arrives on Windows: leave --link out, or use --builder direct", what)
		}
		if owner != "" || mode != "" {
			notes = append(notes, Note{line, "--chown and --chmod say nothing to Windows: BuildKit leaves them out"})
		}
		if folder := baseFolder(dest, folders); folder != "" {
			notes = append(notes, Note{line, replaced(folder)})
		}
		return nil
	}
	for _, stage := range chain {
		for _, cmd := range stage.Commands {
			var err error
			switch c := cmd.(type) {
			case *instructions.CopyCommand:
				err = check(c, c.Link, c.Chown, c.Chmod, c.DestPath)
			case *instructions.AddCommand:
				err = check(c, c.Link, c.Chown, c.Chmod, c.DestPath)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return notes, nil
}

func replaced(folder string) string {
	return fmt.Sprintf("BuildKit replaces the access list of %s by its own default; --builder direct keeps it where it knows it", folder)
}

// ReplacedFolder says of a step which folder of base images BuildKit gives another
// access list; empty where there is none.
func ReplacedFolder(s Step, folders []string) string {
	if folder := baseFolder(s.To, folders); folder != "" && (s.Kind == StepCopy || s.Kind == StepWrite) {
		return replaced(folder)
	}
	return ""
}

// baseFolder is the folder of base images that a COPY to dest passes through, the
// innermost one; empty where there is none, or dest is not absolute.
func baseFolder(dest string, folders []string) string {
	clean := strings.Trim(strings.ToLower(strings.ReplaceAll(dest, `\`, "/")), "/")
	if rest, drive := strings.CutPrefix(clean, "c:/"); drive {
		clean = rest
	} else if !strings.HasPrefix(dest, "/") && !strings.HasPrefix(dest, `\`) {
		return ""
	}
	best := ""
	for _, f := range folders {
		below := strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(f, `\`, "/")), "c:/")
		if below != "" && len(f) > len(best) && (clean == below || strings.HasPrefix(clean, below+"/")) {
			best = f
		}
	}
	return best
}
