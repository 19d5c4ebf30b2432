package summary

import (
	"bytes"
	"io"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// fullApp is an app in the JSON: its line and what was found.
type fullApp struct {
	App
	Findings []detect.Finding `json:"findings"`
	Problems []detect.Problem `json:"problems"`
}

// eachFull reads each app of the summary anew with what was found of it, by name.
func eachFull(s Summary, set *result.Set, f func(App, *report.Report) error) error {
	i := 0
	missing := func(until string) error {
		for ; i < len(s.Apps) && s.Apps[i].Name != until; i++ {
			if err := f(s.Apps[i], nil); err != nil {
				return err
			}
		}
		return nil
	}
	for row, err := range set.All() {
		if err != nil {
			return err
		}
		for _, r := range row.Split() {
			if err := missing(r.Name); err != nil {
				return err
			}
			if err := f(s.Apps[i], r.Report); err != nil {
				return err
			}
			i++
		}
	}
	return missing("")
}

// JSON writes the document winpack/summary/v1. The apps are its last key, and
// each is read while it is written.
func (s Summary) JSON(w io.Writer, set *result.Set) error {
	head, err := report.JSON(s)
	if err != nil {
		return err
	}
	head = bytes.TrimSuffix(head, []byte("\n}\n"))
	if _, err := w.Write(append(head, ",\n  \"apps\": ["...)); err != nil {
		return err
	}
	comma := "\n    "
	err = eachFull(s, set, func(a App, r *report.Report) error {
		full := fullApp{App: a, Findings: []detect.Finding{}, Problems: []detect.Problem{}}
		if r != nil {
			full.Findings, full.Problems = list(r.Findings), list(r.Problems)
			for i := range full.Findings {
				full.Findings[i].Evidence = list(full.Findings[i].Evidence)
			}
		}
		text, err := report.JSON(full)
		if err != nil {
			return err
		}
		text = bytes.ReplaceAll(bytes.TrimSpace(text), []byte("\n"), []byte("\n    "))
		_, err = w.Write(append([]byte(comma), text...))
		comma = ",\n    "
		return err
	})
	if err != nil {
		return err
	}
	end := "\n  ]\n}\n"
	if len(s.Apps) == 0 {
		end = "]\n}\n"
	}
	_, err = io.WriteString(w, end)
	return err
}
