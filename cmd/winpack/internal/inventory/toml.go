package inventory

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/internal/tomlkey"
)

// toml reads [[app]] tables.
func (x *reader) toml(in *bufio.Reader) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	text := string(data)
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		if parse := (toml.ParseError{}); errors.As(err, &parse) {
			line, _ := tomlkey.Place(text, parse.Position.Start)
			return errorf("%s:%d: %s", x.Path, line, parse.Message)
		}
		return errorf("%s:1: %s", x.Path, err)
	}
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		if key != "app" {
			line, _ := tomlkey.Position(text, toml.Key{key}, 0)
			return errorf("%s:%d: unknown key %q: an inventory holds [[app]] tables and nothing else", x.Path, line, key)
		}
	}
	tables, ok := doc["app"].([]map[string]any)
	if doc["app"] != nil && !ok {
		return errorf("%s: app is a list of tables: write [[app]]", x.Path)
	}
	lines := headers(text)
	for i, table := range tables {
		line := 0
		if len(lines) == len(tables) {
			line = lines[i]
		}
		var fields []field
		var bad error
		for _, key := range slices.Sorted(maps.Keys(table)) {
			value, err := scalar(key, table[key])
			if err != nil {
				bad = err
				break
			}
			fields = append(fields, field{key, value})
		}
		if bad != nil {
			x.bad(x.Path, line, "%s", bad)
			continue
		}
		x.row(line, fields)
	}
	return nil
}

// headers are the lines of the [[app]] headers, but for those in a text of several
// lines: the library tells no lines.
func headers(text string) []int {
	var lines []int
	inside, n := "", 0 // the quotes that end the text which the line is in
	for line := range strings.Lines(text) {
		n++
		if inside == "" {
			bare := strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(bare, "[["); ok {
				if name, _, ok := strings.Cut(rest, "]]"); ok && strings.Trim(strings.TrimSpace(name), `"'`) == "app" {
					lines = append(lines, n)
				}
			}
		}
		for rest := line; ; {
			if inside != "" {
				i := strings.Index(rest, inside)
				if i < 0 {
					break
				}
				rest, inside = rest[i+3:], ""
				continue
			}
			i := strings.IndexAny(rest, `#"'`)
			if i < 0 || rest[i] == '#' {
				break
			}
			if mark := rest[i:min(i+3, len(rest))]; mark == `"""` || mark == `'''` {
				rest, inside = rest[i+3:], mark
				continue
			}
			// A text of one line: it ends in this one.
			quote := rest[i]
			for i++; i < len(rest) && rest[i] != quote; i++ {
				if rest[i] == '\\' && quote == '"' {
					i++
				}
			}
			rest = rest[min(i+1, len(rest)):]
		}
	}
	return lines
}
