package main

import (
	"errors"
	"reflect"
	"strings"

	"github.com/moby/buildkit/util/suggest"

	"github.com/winpack/winpack/pkg/detect"
)

// limitTable reads NAME=VALUE,..., as --limits and winpack.toml have it. Limits that are
// not named stay 0.
func limitTable(values []string) (detect.Limits, error) {
	var l detect.Limits
	seen := map[string]bool{}
	for _, text := range values {
		for pair := range strings.SplitSeq(text, ",") {
			name, value, ok := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			if !ok || name == "" {
				return l, usagef("limits %q is not NAME=VALUE, like files=200000,text=16MB", text)
			}
			if seen[name] {
				return l, usagef("limits names %s twice", name)
			}
			seen[name] = true
			err := l.Set(name, value)
			if unknown := (*detect.UnknownLimit)(nil); errors.As(err, &unknown) {
				if near, ok := suggest.Search(name, detect.LimitNames(), true); ok {
					return l, usagef("limits: unknown limit %q: did you mean %q?", name, near)
				}
				return l, usagef("limits: unknown limit %q: it is one of %s", name, orList(detect.LimitNames()))
			} else if err != nil {
				return l, usagef("limits: %w", err)
			}
		}
	}
	return l, nil
}

// below takes from other what l leaves open.
func below(l, other detect.Limits) detect.Limits {
	to, from := reflect.ValueOf(&l).Elem(), reflect.ValueOf(other)
	for i := range to.NumField() {
		if f := to.Field(i); f.IsZero() {
			f.Set(from.Field(i))
		}
	}
	return l
}
