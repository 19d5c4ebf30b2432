package images

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect/learned"
)

// LearnedID names the JSON schema of Learned.
const LearnedID = "winpack/images-learned/v1"

// Learned is what images learn did.
type Learned struct {
	Schema string `json:"schema"`
	Images []Read `json:"images"`
}

// Read is one image that was learned.
type Read struct {
	Known
	File      string  `json:"file"`      // that holds it
	Size      int64   `json:"size"`      // of the file, in bytes
	BytesRead int64   `json:"bytesRead"` // from the registry
	Seconds   float64 `json:"seconds"`
}

// Known is an image whose contents are known.
type Known struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	OSVersion string `json:"osVersion"`
	Family    string `json:"family"`
	Files     int    `json:"files"`
	DLLs      int    `json:"dlls"`      // files whose functions were read
	Functions int    `json:"functions"` // names of them
	Folders   int    `json:"folders"`
}

func known(h learned.Header) Known {
	return Known{h.Reference, h.Digest, h.OSVersion, h.Family, h.Files, h.DLLs, h.Functions, h.Folders}
}

// NewLearned is empty.
func NewLearned() *Learned { return &Learned{Schema: LearnedID, Images: []Read{}} }

// Add tells of one image.
func (l *Learned) Add(h learned.Header, file string, size, bytesRead int64, took time.Duration) {
	l.Images = append(l.Images, Read{known(h), file, size, bytesRead, took.Seconds()})
}

// Text says what was learned; quiet names the digests alone.
func (l *Learned) Text(w io.Writer, quiet bool) error {
	var b strings.Builder
	for _, r := range l.Images {
		if quiet {
			b.WriteString(report.Safe(r.Digest) + "\n")
			continue
		}
		fmt.Fprintf(&b, "learned %s@%s (Windows %s, %s)\n", report.Safe(r.Reference), report.Safe(r.Digest), report.Safe(r.OSVersion), report.Safe(r.Family))
		fmt.Fprintf(&b, "  %s in %s; %s of %s\n", count(r.Files, "file"), count(r.Folders, "folder"), count(r.Functions, "function"), count(r.DLLs, "DLL"))
		fmt.Fprintf(&b, "  %s read, %s kept in %s\n", count(int(r.BytesRead), "byte"), count(int(r.Size), "byte"), report.OneLine(r.File))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Learn adds the images whose contents are known, as far as they fit.
func (d *Document) Learn(headers []learned.Header, f Filter) {
	for _, h := range headers {
		if f.Family != "" && f.Family != h.Family || slices.ContainsFunc(f.Words, func(word string) bool {
			return !strings.Contains(strings.ToLower(h.Reference+" "+h.Digest+" "+h.OSVersion), strings.ToLower(word))
		}) {
			continue
		}
		d.Learned = append(d.Learned, known(h))
	}
}

func (p *printer) learned(list []Known) {
	if len(list) == 0 {
		return
	}
	p.line("")
	p.line("Learned: detection and the direct builder go by what these hold.")
	for _, k := range list {
		p.line("  %s (Windows %s, %s): %s, %s", report.Safe(k.Reference), report.Safe(k.OSVersion), report.Safe(k.Family), count(k.Files, "file"), count(k.DLLs, "DLL"))
		p.line("    %s", report.Safe(k.Digest))
	}
}
