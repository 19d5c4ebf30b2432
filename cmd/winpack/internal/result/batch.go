package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// BatchName is the file of a folder of results that says which command wrote it.
const BatchName = "batch.json"

// BatchID names the schema of a Batch.
const BatchID = "winpack/batch/v1"

// Batch is the command that wrote a folder of results, so that a report can say
// what to run next. Paths are as they were typed.
type Batch struct {
	Schema    string   `json:"schema"`
	Inventory string   `json:"inventory"`
	Output    string   `json:"output"`  // of -o; empty for the default
	Options   []string `json:"options"` // what else decides the results
	Build     []string `json:"build"`   // --build, or --push and its template; empty where nothing was built
}

// Command is the batch once more with further flags, as a shell takes it. Of no
// batch it says what to fill in.
func (b *Batch) Command(more ...string) string {
	words := []string{"winpack", "batch"}
	if b == nil {
		words = append(words, "INVENTORY", "-o", "DIR")
	} else {
		words = append(words, Quote(b.Inventory))
		if b.Output != "" {
			words = append(words, "-o", Quote(b.Output))
		}
		for _, w := range append(append([]string{}, b.Options...), b.Build...) {
			words = append(words, Quote(w))
		}
	}
	return strings.Join(append(words, more...), " ")
}

// Quote is a word as a shell takes it, and a person reads it.
func Quote(word string) string { return dockerfile.Quote(report.OneLine(word), false) }

// WriteBatch writes what the command is, unless it is there already.
func WriteBatch(dir string, b Batch) error {
	b.Schema = BatchID
	if old, err := readBatch(filepath.Join(dir, BatchName)); len(b.Build) == 0 && err == nil && old != nil && old.Inventory == b.Inventory {
		b.Build = old.Build // a run that only looks leaves what was built alone
	}
	text, err := report.JSON(b)
	if err != nil {
		return err
	}
	return writeShared(dir, BatchName, text)
}

// maxBatch bounds the file, in bytes.
const maxBatch = 1 << 20

// readBatch reads what the command was; nil where it is not known. A later version
// may say more, which nothing depends on.
func readBatch(path string) (*Batch, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	var b Batch
	text, err := io.ReadAll(io.LimitReader(f, maxBatch))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", filepath.Base(path), err)
	}
	if json.Unmarshal(text, &b) != nil || b.Schema != BatchID || b.Inventory == "" {
		return nil, nil
	}
	return &b, nil
}
