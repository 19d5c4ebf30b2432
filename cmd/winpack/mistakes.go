package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// mistake is an error at a place in a file.
type mistake struct {
	line, column int
	err          error
}

func (m *mistake) Error() string { return m.err.Error() }
func (m *mistake) Unwrap() error { return m.err }

// mistakes are those of one file, which are told together.
type mistakes []error

// maxMistakes bounds how many are told at once.
const maxMistakes = 20

// add notes an error; of mistakes each.
func (m *mistakes) add(err error) {
	if more, ok := err.(mistakes); ok {
		for _, one := range more {
			m.add(one)
		}
	} else if err != nil && !m.full() {
		*m = append(*m, err)
	}
}

func (m *mistakes) full() bool { return len(*m) >= maxMistakes }

// err is nil where there is none, and the mistake itself where it is the only one.
func (m mistakes) err() error {
	switch len(m) {
	case 0:
		return nil
	case 1:
		return m[0]
	}
	slices.SortStableFunc(m, func(a, b error) int {
		x, y := &mistake{}, &mistake{}
		errors.As(a, &x)
		errors.As(b, &y)
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.column, y.column))
	})
	return m
}

func (m mistakes) Error() string {
	texts := make([]string, len(m))
	for i, err := range m {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (m mistakes) Unwrap() []error { return m }
