package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/moby/buildkit/util/suggest"

	"github.com/winpack/winpack/internal/tomlkey"
)

// kind is what a key of winpack.toml holds.
type kind struct {
	what string // for people: "is a text"
	ok   func(any) bool
	keys map[string]kind // of a table
	list bool            // a list of such tables
	text bool            // a table of texts by any names
	full bool            // an empty one is refused: it would silently set nothing
}

func isText(v any) bool { _, ok := v.(string); return ok }

func listOf(ok func(any) bool) func(any) bool {
	return func(v any) bool {
		list, isList := v.([]any)
		return isList && !slices.ContainsFunc(list, func(item any) bool { return !ok(item) })
	}
}

// configKeys are all keys of winpack.toml.
func configKeys() map[string]kind {
	free := kind{what: `is a text in quotes`, ok: isText} // what an empty one lacks is told where it is used
	text := free
	text.full = true
	list := kind{what: `is a list of texts, like ["a", "b"]`, ok: listOf(isText)}
	texts := kind{what: `is a text, or a list of texts like ["a", "b"]`, ok: func(v any) bool { return isText(v) || listOf(isText)(v) }}
	fullList, fullTexts := list, texts
	fullList.full, fullTexts.full = true, true
	number := func(v any) bool { _, ok := v.(int64); return ok }
	table := kind{what: `is a table of texts: NAME = "value"`, text: true}
	duration := kind{what: `is a time like "30s" or "2m"`, ok: func(v any) bool {
		s, _ := v.(string)
		d, err := time.ParseDuration(s)
		return err == nil && d >= time.Millisecond
	}}
	return map[string]kind{
		"os": fullTexts, "base": text, "entrypoint": fullList, "cmd": list, "workdir": text, "user": text,
		"ports":  {what: "is a list of numbers, like [80, 443]", ok: listOf(number)}, // an empty one, as init writes it, sets nothing
		"ignore": texts, "write": texts, "map": texts, "limits": texts, "mirror": texts, "insecure-registry": texts, "fail-on": text,
		"env": table, "labels": table,
		"health-check": {keys: map[string]kind{
			"cmd": texts, "interval": duration, "timeout": duration, "start-period": duration,
			"retries": {what: "is a number from 1 on", ok: func(v any) bool { n, ok := v.(int64); return ok && n > 0 && n < 1000 }},
		}},
		"build":   {keys: map[string]kind{"tags": texts, "builder": text, "output": texts}},
		"catalog": {keys: map[string]kind{"file": text}},
		"files":   {list: true, keys: map[string]kind{"from": free, "to": free}},
		"accept": {list: true, keys: map[string]kind{"rule": free, "reason": free,
			"until": {what: "is a date like 2027-01-31", ok: func(v any) bool {
				if s, ok := v.(string); ok {
					_, err := time.Parse(time.DateOnly, s)
					return err == nil
				}
				_, ok := v.(time.Time)
				return ok
			}}}},
	}
}

// checkKeys says what is wrong with the keys and types of a document: unknown ones
// are errors, since a setting is never passed over. What it names is taken out of
// values, with all of its table at the top.
func checkKeys(doc document, values map[string]any) error {
	c := keyCheck{document: doc}
	c.table(nil, 0, values, configKeys())
	for _, key := range c.bad {
		delete(values, key)
	}
	return c.found.err()
}

// keyCheck collects what is wrong with keys, and which are at the top above it.
type keyCheck struct {
	document
	found mistakes
	bad   []string
}

func (c *keyCheck) wrong(key toml.Key, element int, format string, args ...any) {
	c.found.add(c.errorf(key, element, format, args...))
	c.bad = append(c.bad, key[0])
}

// document is a TOML file that parses.
type document struct{ file, text string }

// errorf is a usage error at a key.
func (d document) errorf(key toml.Key, element int, format string, args ...any) error {
	line, column := tomlkey.Position(d.text, key, element)
	return &mistake{line, column, usagef("%s: "+format, append([]any{d.at(key, element)}, args...)...)}
}

func (d document) at(key toml.Key, element int) string {
	line, column := tomlkey.Position(d.text, key, element)
	return fmt.Sprintf("%s:%d:%d", d.file, line, column)
}

func (c *keyCheck) table(path toml.Key, element int, values map[string]any, known map[string]kind) {
	// In the order of the file: the first mistakes are those to name.
	keys := slices.Collect(maps.Keys(values))
	slices.SortFunc(keys, func(a, b string) int {
		la, ca := tomlkey.Position(c.text, append(slices.Clone(path), a), element)
		lb, cb := tomlkey.Position(c.text, append(slices.Clone(path), b), element)
		return slices.Compare([]int{la, ca}, []int{lb, cb})
	})
	for _, name := range keys {
		if c.found.full() {
			return
		}
		key := append(slices.Clone(path), name)
		k, ok := known[name]
		if !ok {
			c.wrong(key, element, "%s", unknownKey(path, name, slices.Sorted(maps.Keys(known))))
			continue
		}
		switch value := values[name].(type) {
		case map[string]any:
			switch {
			case k.list:
				c.wrong(key, element, "%s is a list of tables: write [[%s]]", key, key)
			case k.keys != nil:
				c.table(key, 0, value, k.keys)
			case k.text:
				for _, name := range slices.Sorted(maps.Keys(value)) {
					if key := append(slices.Clone(key), name); !isText(value[name]) {
						c.wrong(key, 0, "%s is a text in quotes", key)
					}
				}
			case !k.ok(value):
				c.wrong(key, element, "%s %s", key, k.what)
			}
		case []map[string]any:
			if !k.list {
				c.wrong(key, element, "%s %s", key, orTable(k, key))
				continue
			}
			for i, row := range value {
				c.table(key, i, row, k.keys)
			}
		case []any:
			c.list(key, element, value, k)
		default:
			if k.ok == nil || !k.ok(value) {
				c.wrong(key, element, "%s %s", key, orTable(k, key))
			} else if value == "" && k.full {
				c.empty(key, element)
			}
		}
	}
}

func (c *keyCheck) empty(key toml.Key, element int) {
	c.wrong(key, element, "%s is empty: give it a value, or leave the key out", key)
}

// list checks a list, of which the elements may be tables.
func (c *keyCheck) list(key toml.Key, element int, value []any, k kind) {
	if !k.list {
		if k.ok == nil || !k.ok(value) {
			c.wrong(key, element, "%s %s", key, orTable(k, key))
		} else if len(value) == 0 && k.full {
			c.empty(key, element)
		}
		return
	}
	for i, item := range value {
		row, ok := item.(map[string]any)
		if !ok {
			c.wrong(key, element, "%s is a list of tables: write [[%s]]", key, key)
			return
		}
		c.table(key, i, row, k.keys)
	}
}

func orTable(k kind, key toml.Key) string {
	switch {
	case k.list:
		return fmt.Sprintf("is a list of tables: write [[%s]]", key)
	case k.keys != nil:
		return fmt.Sprintf("is a table: write [%s]", key)
	}
	return k.what
}

func unknownKey(path toml.Key, name string, known []string) string {
	prefix := ""
	if len(path) > 0 {
		prefix = path.String() + "."
	}
	spelled := append(slices.Clone(path), name).String()
	if near, ok := suggest.Search(name, known, true); ok && (len(near) > 3 || strings.HasPrefix(name, near[:1])) { // to "os" every short name is near
		return fmt.Sprintf("unknown key %q: did you mean %q?", spelled, prefix+near)
	}
	for i := range known {
		known[i] = prefix + known[i]
	}
	return fmt.Sprintf("unknown key %q: the keys are %s", spelled, strings.Join(known, ", "))
}
