package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/moby/buildkit/util/suggest"

	"github.com/winpack/winpack/cmd/winpack/internal/pipeline"
)

// configName is the configuration file that is taken from APP by itself.
const configName = pipeline.ConfigName

// maxConfig bounds a configuration and a catalog file, in bytes.
const maxConfig = 1 << 20

// config is winpack.toml.
type config struct {
	catalogFile string // catalog.file: more rows for the catalog of base images
}

// laterKeys are the keys that this version can't honour, with what to use
// instead. They are refused: a setting is never passed over.
var laterKeys = map[string]string{
	"os": "use --os", "base": "use --base", "mirror": "use --mirror", "insecure-registry": "use --insecure-registry",
	"fail-on": "use --fail-on", "entrypoint": "", "cmd": "", "workdir": "", "user": "", "ports": "", "ignore": "",
	"write": "", "env": "", "labels": "use build --label", "health-check": "", "build": "use the flags of build",
	"files": "", "accept": "",
}

// readConfig reads winpack.toml and what it names into the job. Paths in it are
// relative to its own folder; the one in APP may name paths inside APP only.
func readConfig(job *pipeline.Job) error {
	if job.Config != "" {
		dir := filepath.Dir(job.Config)
		open := func(name string) (io.ReadCloser, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			return os.Open(name)
		}
		file, err := os.Open(job.Config)
		if errors.Is(err, fs.ErrNotExist) {
			return usagef("--config %q does not exist", job.Config)
		} else if err != nil {
			return fmt.Errorf("reading the configuration: %w", err)
		}
		return applyConfig(job, job.Config, file, open)
	}
	root, err := os.OpenRoot(job.App)
	if err != nil {
		return nil // pipeline says what is wrong with APP
	}
	defer root.Close()
	name := filepath.Join(job.App, configName)
	file, err := openRegular(root, configName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the configuration %q: %w", name, err)
	}
	return applyConfig(job, name, file, func(path string) (io.ReadCloser, error) {
		if !filepath.IsLocal(filepath.FromSlash(path)) {
			return nil, errors.New("a winpack.toml in APP may name paths inside APP only; --config FILE may name others")
		}
		return openRegular(root, filepath.FromSlash(path))
	})
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

func applyConfig(job *pipeline.Job, name string, file io.ReadCloser, open func(string) (io.ReadCloser, error)) error {
	text, err := readBounded(file)
	if err != nil {
		return fmt.Errorf("reading the configuration %q: %w", name, err)
	}
	c, err := parseConfig(name, text)
	if err != nil || c.catalogFile == "" {
		return err
	}
	at := position(name, text, toml.Key{"catalog", "file"})
	catalog, err := open(c.catalogFile)
	if err != nil {
		return usagef("%s: catalog.file %q: %w", at, c.catalogFile, err)
	}
	data, err := readBounded(catalog)
	if err != nil {
		return usagef("%s: reading catalog.file %q: %w", at, c.catalogFile, err)
	}
	job.CatalogFile, job.CatalogData = c.catalogFile, []byte(data)
	return nil
}

// parseConfig decodes winpack.toml strictly.
func parseConfig(file, text string) (config, error) {
	var c config
	var values map[string]any
	meta, err := toml.Decode(text, &values)
	if parse := (toml.ParseError{}); errors.As(err, &parse) {
		return c, usagef("%s:%d:%d: %s", file, max(parse.Position.Line, 1), max(parse.Position.Col, 1), parse.Message)
	} else if err != nil {
		return c, usagef("%s:1:1: %w", file, err)
	}
	for _, key := range meta.Keys() {
		wrong := ""
		switch key.String() {
		case "catalog":
			if _, ok := values["catalog"].(map[string]any); !ok {
				wrong = "catalog is a table: write [catalog]"
			}
		case "catalog.file":
			var ok bool
			c.catalogFile, ok = values["catalog"].(map[string]any)["file"].(string)
			if !ok || c.catalogFile == "" {
				wrong = "catalog.file is the name of a file, in quotes"
			}
		default:
			wrong = unknownKey(key)
		}
		if wrong != "" {
			return c, usagef("%s: %s", position(file, text, key), wrong)
		}
	}
	return c, nil
}

func unknownKey(key toml.Key) string {
	if instead, later := laterKeys[key[0]]; later {
		text := fmt.Sprintf("this version of winpack does not take %q from winpack.toml", key[0])
		if instead != "" {
			text += ": " + instead
		}
		return text
	}
	known := []string{"catalog"}
	prefix := ""
	if key[0] == "catalog" {
		known, prefix = []string{"file"}, "catalog."
	} else {
		for k := range laterKeys {
			known = append(known, k)
		}
		slices.Sort(known)
	}
	last := key[len(key)-1]
	if prefix == "" {
		last = key[0]
	}
	if near, ok := suggest.Search(last, known, true); ok {
		return fmt.Sprintf("unknown key %q: did you mean %q?", key.String(), prefix+near)
	}
	return fmt.Sprintf("unknown key %q: the keys are %s", key.String(), prefix+strings.Join(known, ", "))
}

func readBounded(r io.ReadCloser) (string, error) {
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("larger than %d bytes", maxConfig)
	}
	return string(data), err
}
