package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
	"github.com/winpack/winpack/cmd/winpack/internal/zipapp"
	"github.com/winpack/winpack/internal/tomlkey"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
)

// configName is the configuration file that is taken from APP by itself.
const configName = pipeline.ConfigName

// maxConfig bounds a configuration and a catalog file, in bytes.
const maxConfig = 1 << 20

// config is winpack.toml.
type config struct {
	OS         texts             `toml:"os"`
	Base       string            `toml:"base"`
	Entrypoint []string          `toml:"entrypoint"`
	Cmd        []string          `toml:"cmd"`
	Workdir    string            `toml:"workdir"`
	User       string            `toml:"user"`
	Ports      []int64           `toml:"ports"`
	Ignore     texts             `toml:"ignore"`
	Write      texts             `toml:"write"`
	Map        texts             `toml:"map"`
	Limits     texts             `toml:"limits"`
	Mirror     texts             `toml:"mirror"`
	Insecure   texts             `toml:"insecure-registry"`
	FailOn     string            `toml:"fail-on"`
	Env        map[string]string `toml:"env"`
	Labels     map[string]string `toml:"labels"`
	Health     *struct {
		Cmd         commandLineOrList `toml:"cmd"`
		Interval    string            `toml:"interval"`
		Timeout     string            `toml:"timeout"`
		StartPeriod string            `toml:"start-period"`
		Retries     int               `toml:"retries"`
	} `toml:"health-check"`
	Build struct {
		Tags    texts  `toml:"tags"`
		Builder string `toml:"builder"`
		Output  texts  `toml:"output"`
	} `toml:"build"`
	Catalog struct {
		File string `toml:"file"`
	} `toml:"catalog"`
	Files []struct {
		From string `toml:"from"`
		To   string `toml:"to"`
	} `toml:"files"`
	Accept []struct {
		Rule   string `toml:"rule"`
		Reason string `toml:"reason"`
		Until  date   `toml:"until"`
	} `toml:"accept"`
}

// texts are a text or a list of them.
type texts []string

func (t *texts) UnmarshalTOML(v any) error {
	*t = nil
	switch v := v.(type) {
	case string:
		*t = texts{v}
	case []any:
		for _, item := range v {
			s, _ := item.(string)
			*t = append(*t, s)
		}
	}
	return nil
}

// commandLineOrList is a line for the shell, or a program with its arguments.
type commandLineOrList []string

func (c *commandLineOrList) UnmarshalTOML(v any) error {
	var list texts
	err := list.UnmarshalTOML(v)
	*c = append(commandLineOrList{"CMD"}, list...)
	if _, line := v.(string); line {
		(*c)[0] = "CMD-SHELL"
	}
	return err
}

// date is a day, written with quotes or without.
type date struct{ time.Time }

func (d *date) UnmarshalTOML(v any) (err error) {
	switch v := v.(type) {
	case time.Time:
		d.Time = time.Date(v.Year(), v.Month(), v.Day(), 0, 0, 0, 0, time.UTC)
	case string:
		d.Time, err = time.Parse(time.DateOnly, v)
	}
	return err
}

// settingsFile is a winpack.toml and where the paths in it lead.
type settingsFile struct {
	document
	config
	dir  string // absolute, where relative paths begin
	app  bool   // it lies in APP, and may name paths inside it only
	open func(string) (io.ReadCloser, error)

	built built     // what [build] says
	until time.Time // last day of the acceptance that ends first; zero for none
}

// built are the values of [build], read.
type built struct {
	references []string
	outputs    []build.Output
	push       bool
}

// readConfig finds winpack.toml, --config or the one in APP, and reads it. Without
// one the result is nil.
func readConfig(configFlag, app string, limits detect.Limits) (*settingsFile, error) {
	if configFlag != "" {
		dir, err := filepath.Abs(filepath.Dir(configFlag))
		if err != nil {
			return nil, usagef("--config %q: %w", configFlag, err)
		}
		file, err := os.Open(configFlag)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("--config %q does not exist", configFlag)
		} else if err != nil {
			return nil, fmt.Errorf("reading the configuration %q: %w", configFlag, cause(err))
		}
		return parseSettings(configFlag, file, settingsFile{dir: dir, open: func(name string) (io.ReadCloser, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			return os.Open(name)
		}})
	}
	if pipeline.IsZip(app) {
		return readZipConfig(app, limits)
	}
	root, err := os.OpenRoot(app)
	if err != nil {
		return nil, nil // pipeline says what is wrong with APP
	}
	defer root.Close()
	name := filepath.Join(app, configName)
	file, err := openRegular(root, configName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the configuration %q: %w", name, cause(err))
	}
	dir, err := filepath.Abs(app)
	if err != nil {
		return nil, usagef("APP %q: %w", app, err)
	}
	return parseSettings(name, file, settingsFile{dir: dir, app: true, open: func(path string) (io.ReadCloser, error) {
		root, err := os.OpenRoot(app)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		if !filepath.IsLocal(filepath.FromSlash(path)) {
			return nil, errors.New("a winpack.toml in APP may name paths inside APP only; --config FILE may name others")
		}
		return openRegular(root, filepath.FromSlash(path))
	}})
}

// readZipConfig reads the winpack.toml of an app in a zip. It names no files: they are
// not on a disk.
func readZipConfig(app string, limits detect.Limits) (*settingsFile, error) {
	name := filepath.Join(app, configName)
	file, done, err := pipeline.ConfigInZip(app, limits)
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*zipapp.Error)) {
		return nil, nil // pipeline says what is wrong with APP
	} else if err != nil {
		return nil, fmt.Errorf("reading the configuration %q: %w", name, cause(err))
	}
	defer done()
	inZip := errors.New("a winpack.toml in a zip can't name files: take the settings from a file beside it with --config")
	s, err := parseSettings(name, file, settingsFile{dir: app, app: true, open: func(string) (io.ReadCloser, error) { return nil, inZip }})
	if err == nil && len(s.Files) > 0 {
		return nil, s.errorf(toml.Key{"files"}, 0, "%w", inZip)
	}
	return s, err
}

// openRegular opens a file of an app folder, where a pipe would block forever.
func openRegular(root *os.Root, path string) (*os.File, error) {
	info, err := root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return root.Open(path)
}

func parseSettings(name string, file io.ReadCloser, s settingsFile) (*settingsFile, error) {
	text, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration %q: %w", name, cause(err))
	}
	s.document = document{name, text}
	s.config, err = parseConfig(name, text)
	return &s, err
}

// parseConfig decodes winpack.toml strictly. Beside mistakes in keys and types it
// returns what is left without them, so that more can be told of it.
func parseConfig(file, text string) (config, error) {
	var c config
	var values map[string]any
	_, err := toml.Decode(text, &values)
	if parse := (toml.ParseError{}); errors.As(err, &parse) {
		line, column := tomlkey.Place(text, parse.Position.Start)
		return c, usagef("%s:%d:%d: %s", file, line, column, parse.Message)
	} else if err != nil {
		return c, usagef("%s:1:1: %w", file, err)
	}
	doc := document{file, text}
	if wrong := checkKeys(doc, values); wrong != nil {
		var left bytes.Buffer
		if toml.NewEncoder(&left).Encode(values) != nil {
			return c, wrong
		}
		if _, err := toml.Decode(left.String(), &c); err != nil {
			c = config{}
		}
		return c, wrong
	}
	if _, err := toml.Decode(text, &c); err != nil {
		return c, usagef("%s:1:1: %w", file, err) // checkKeys has seen to it that this is none of types
	}
	return c, nil
}

func readBounded(r io.ReadCloser) (string, error) {
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("larger than %d bytes", maxConfig)
	}
	return string(data), err
}
