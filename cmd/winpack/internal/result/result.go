// Package result is what batch writes of each app and report reads: a line of
// results.jsonl, the document winpack/result/v1, and the list of rows beside it.
package result

import "github.com/winpack/winpack/cmd/winpack/internal/report"

// ID names the schema of a Result.
const ID = "winpack/result/v1"

// Status says what became of an app.
type Status string

// The first of these that is true is the status of a result.
const (
	Failed   Status = "failed"   // Error says why
	Blocked  Status = "blocked"  // the app can't run in a Windows container
	Findings Status = "findings" // one is at or above --fail-on
	OK       Status = "ok"
)

// Failure is a kind of failure.
type Failure string

// NoBuilder is an app that only a Windows builder can build, and none was found:
// neither the app's fault nor an outage.
const NoBuilder Failure = "no-builder"

// Result is one finished row of an inventory. Keys that do not apply are absent.
type Result struct {
	Schema string            `json:"schema"`
	Name   string            `json:"name"`   // unique in the inventory
	Source string            `json:"source"` // as the inventory has it
	Owner  string            `json:"owner,omitempty"`
	Labels map[string]string `json:"labels,omitempty"` // further columns of the inventory
	Status Status            `json:"status"`
	Report *report.Report    `json:"report,omitempty"`
	Image  *Image            `json:"image,omitempty"`
	Error  string            `json:"error,omitempty"`
	// Failure says of a failed row what kind of failure it is, where that is known.
	Failure Failure `json:"failure,omitempty"`
	// Fingerprint says what the row's result comes from; see batch. Where that
	// changes, the row is done again.
	Fingerprint string             `json:"fingerprint,omitempty"`
	Durations   map[string]float64 `json:"durations,omitempty"` // seconds
}

// Image is what was built of an app.
type Image struct {
	Reference string `json:"reference,omitempty"` // empty for an image that was only saved
	Digest    string `json:"digest"`
}

// Row is one row of an inventory, a line of rows.jsonl in the output folder: what
// is there says which results are missing.
type Row struct {
	Name   string            `json:"name"`
	Source string            `json:"source"`
	Owner  string            `json:"owner,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}
