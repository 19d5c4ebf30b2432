package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// maxReport bounds a saved report, in bytes.
const maxReport = 64 << 20

func parseLine(l textLine) (Result, error) {
	if l.long {
		return Result{}, fmt.Errorf("no result: the line has more than %d MiB", maxLine>>20)
	}
	return parse(l.text)
}

// parse reads one result. A *NewerError has no place yet.
func parse(text []byte) (Result, error) {
	var r Result
	err := json.Unmarshal(text, &r)
	if err != nil {
		// What is of another schema may have other types too: the schema comes first.
		r = Result{Schema: schemaOf(text)}
	}
	switch {
	case isNewer(r.Schema, ID):
		return r, &NewerError{Schema: r.Schema}
	case err != nil:
		return r, fmt.Errorf("no result: %w", err)
	case r.Schema != ID:
		return r, fmt.Errorf("no result: its schema is %q, not %s", r.Schema, ID)
	case r.Name == "":
		return r, errors.New("no result: it has no name")
	case !slices.Contains([]Status{Failed, Blocked, Findings, OK}, r.Status):
		return r, fmt.Errorf("no result: its status is %q", r.Status)
	case r.Report == nil:
		return r, nil
	case isNewer(r.Report.Schema, report.ID):
		return r, &NewerError{Schema: r.Report.Schema}
	case r.Report.Schema != report.ID:
		return r, fmt.Errorf("no result: the schema of its report is %q, not %s", r.Report.Schema, report.ID)
	}
	if err := check(r.Report); err != nil {
		return r, fmt.Errorf("no result: its report is none: %w", err)
	}
	return r, nil
}

// check refuses a report that views can't rely on.
func check(r *report.Report) error {
	for _, f := range r.Findings {
		if f.Level.Rank() < 0 {
			return fmt.Errorf("the level of a finding is %q", f.Level)
		}
	}
	return nil
}

func parseRow(l textLine) (Row, error) {
	var row Row
	if l.long {
		return row, fmt.Errorf("no row of an inventory: the line has more than %d MiB", maxLine>>20)
	}
	if err := json.Unmarshal(l.text, &row); err != nil {
		return row, fmt.Errorf("no row of an inventory: %w", err)
	}
	if row.Name == "" {
		return row, errors.New("no row of an inventory: it has no name")
	}
	return row, nil
}

// schemaOf reads the schema of a document and nothing else of it. It is empty
// where there is none.
func schemaOf(text []byte) string {
	var document struct {
		Schema string `json:"schema"`
	}
	if json.Unmarshal(text, &document) != nil {
		return ""
	}
	return document.Schema
}

// isNewer says whether a schema is a later version of known, like winpack/result/v2.
func isNewer(schema, known string) bool {
	stem, version := cutVersion(known)
	got, later := cutVersion(schema)
	return got == stem && later > version
}

func cutVersion(schema string) (stem string, version int) {
	i := strings.LastIndex(schema, "/v")
	if i < 0 {
		return schema, 0
	}
	version, err := strconv.Atoi(schema[i+2:])
	if err != nil {
		return schema, 0
	}
	return schema[:i], version
}

// readReport reads a saved report of one app. It is nil where the file holds
// something else that may be results. Windows PowerShell saves what a program
// prints as UTF-16, so a byte order mark is obeyed.
func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := json.NewDecoder(io.LimitReader(transform.NewReader(f, unicode.BOMOverride(unicode.UTF8.NewDecoder())), maxReport))
	var first json.RawMessage
	if err := in.Decode(&first); err != nil {
		// No JSON: what is wrong with which line is said by the reader of results.
		return nil, nil
	}
	schema := schemaOf(first)
	stem, _ := cutVersion(schema)
	resultStem, _ := cutVersion(ID)
	switch {
	case schema == report.ID:
	case isNewer(schema, report.ID):
		return nil, &NewerError{filepath.Base(path), schema}
	case schema == "" || stem == resultStem:
		return nil, nil
	default:
		return nil, &NoResultsError{fmt.Sprintf("its schema is %s: winpack report shows %s and %s", schema, ID, report.ID)}
	}
	var r report.Report
	err = json.Unmarshal(first, &r)
	if err == nil {
		err = check(&r)
	}
	if err != nil {
		return nil, &NoResultsError{fmt.Sprintf("it is no %s: %v", report.ID, err)}
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, &NoResultsError{"it holds more than one report: save each to a file of its own, or use winpack batch"}
	}
	return &r, nil
}
