package summary

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
)

// csvColumns are the columns of the CSV, in order. Later versions add columns
// behind them and never rename one. Behind them stands label:KEY for each label
// of the inventory, sorted.
func csvColumns() []string {
	return []string{
		"name", "source", "owner", "outlook", "status", "kind", "framework", "framework_version", "architecture",
		"base", "base_os", "base_family", "windows_builder", "blockers", "errors", "warnings", "notes",
		"rules", "cause", "unread", "image", "digest", "error", "failure",
	}
}

// maxLabels bounds the columns of labels: an inventory may give every row its own.
const maxLabels = 100

// labelColumns are the labels that get a column, those of most apps first where
// there are too many, and how many get none.
func (s Summary) labelColumns() (keys []string, left int) {
	uses := map[string]int{}
	for i := range s.Apps {
		for k := range s.Apps[i].Labels {
			uses[k]++
		}
	}
	keys = slices.Sorted(maps.Keys(uses))
	if len(keys) > maxLabels {
		slices.SortStableFunc(keys, func(a, b string) int { return uses[b] - uses[a] })
		left = len(keys) - maxLabels
		keys = keys[:maxLabels]
		slices.Sort(keys)
	}
	return keys, left
}

// LabelsWithoutColumn is how many labels the CSV leaves out.
func (s Summary) LabelsWithoutColumn() int {
	_, left := s.labelColumns()
	return left
}

// CSV writes one line for each app, under a line of column names, in UTF-8. No
// cell can run as a formula where a spreadsheet opens the file.
func (s Summary) CSV(w io.Writer) error {
	keys, _ := s.labelColumns()
	out := csv.NewWriter(w)
	head := csvColumns()
	for _, k := range keys {
		head = append(head, cell("label:"+k))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for i := range s.Apps {
		a := &s.Apps[i]
		reference, digest := "", ""
		if a.Image != nil {
			reference, digest = a.Image.Reference, a.Image.Digest
		}
		row := []string{
			a.Name, a.Source, a.Owner, string(a.Outlook), a.Status, string(a.Kind), a.Framework.Name, a.Framework.Version, a.Architecture,
			a.Base.Reference, a.Base.OS, a.Base.Family, strconv.FormatBool(a.WindowsBuilder),
			fmt.Sprint(a.Count.Blocker), fmt.Sprint(a.Count.Error), fmt.Sprint(a.Count.Warning), fmt.Sprint(a.Count.Note),
			strings.Join(a.Rules, " "), a.Cause, fmt.Sprint(a.Problems), reference, digest, a.Error, string(a.Failure),
		}
		for _, k := range keys {
			row = append(row, a.Labels[k])
		}
		for j := range row {
			row[j] = cell(row[j])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// cell makes text safe for a spreadsheet: one line, no control characters, and an
// apostrophe before what would start a formula. That is so at the start of a cell,
// and behind a semicolon, where a program that takes semicolons for separators
// starts a cell too.
func cell(s string) string {
	s = report.OneLine(s)
	if !strings.ContainsAny(s, formulaStarts) {
		return s
	}
	var b strings.Builder
	start := true // but for blanks and quotes, which a spreadsheet may drop
	for _, r := range s {
		if start && strings.ContainsRune(formulaStarts, r) {
			b.WriteByte('\'')
		}
		start = r == ';' || start && (unicode.IsSpace(r) || r == '"')
		b.WriteRune(r)
	}
	return b.String()
}

// formulaStarts are what starts a formula, in the full width of East Asian text too.
const formulaStarts = "=+-@＝＋－＠"
