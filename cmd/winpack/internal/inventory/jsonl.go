package inventory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxLine bounds one line of a .jsonl file, in bytes.
const maxLine = 1 << 20

// jsonl reads one object a line.
func (x *reader) jsonl(in *bufio.Reader) error {
	for line := 1; ; line++ {
		text, long, err := readLine(in)
		if err != nil && err != io.EOF {
			return err
		}
		switch trimmed := bytes.TrimSpace(text); {
		case long:
			x.bad(x.Path, line, "the line has more than %d bytes", maxLine)
		case len(trimmed) > 0:
			if fields, err := object(trimmed); err != nil {
				x.bad(x.Path, line, "%s", err)
			} else {
				x.row(line, fields)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// readLine reads a line; long is true for one that has more than maxLine bytes.
func readLine(in *bufio.Reader) (text []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if !long {
			text = append(text, part...)
		}
		if long = long || len(text) > maxLine; long {
			text = nil
		}
		if err != bufio.ErrBufferFull {
			return text, long, err
		}
	}
}

// object reads the values of a flat JSON object.
func object(text []byte) ([]field, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("the line is no JSON object like {\"name\": \"shop\", \"source\": \"apps/shop\"}: %q", short(string(text)))
	}
	var fields []field
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		key, _ := token.(string)
		if low := strings.ToLower(key); seen[low] {
			return nil, fmt.Errorf("%q is there twice", short(key))
		} else {
			seen[low] = true
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, jsonError(err)
		}
		text, err := scalar(key, value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{key, text})
	}
	if _, err := d.Token(); err != nil {
		return nil, jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the JSON object: one row a line")
	}
	return fields, nil
}

func jsonError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("the JSON object does not end")
	}
	return fmt.Errorf("the line is no JSON: %w", err)
}

// scalar is a value as text. Only os may be a list.
func scalar(key string, value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		return v.String(), nil
	case int64, float64:
		return fmt.Sprint(v), nil
	case fmt.Stringer: // a date of TOML
		return v.String(), nil
	case []any:
		if !strings.EqualFold(key, "os") {
			break
		}
		var names []string
		for _, item := range v {
			name, ok := item.(string)
			if !ok {
				return "", fmt.Errorf("os is a text or a list of texts, like [\"ltsc2022\", \"ltsc2025\"]")
			}
			names = append(names, name)
		}
		return strings.Join(names, ","), nil
	}
	return "", fmt.Errorf("%q is a list or a table, and a value is a text", short(key))
}
