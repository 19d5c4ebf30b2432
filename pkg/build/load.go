package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/docker/docker/client"
)

// loadHost asks the engine that an image is to be loaded into for its Windows build,
// before any work; empty where none is.
func (j *job) loadHost(ctx context.Context) (string, error) {
	for _, o := range j.req.Outputs {
		if o.Type != "docker" || o.Dest != "" {
			continue
		}
		c, err := j.engine.connect()
		if err != nil {
			return "", err
		}
		defer c.Close()
		who, err := c.ask(ctx)
		if err == nil && who.OS != "windows" {
			err = &LinuxEngineError{Addr: c.shown, Load: true}
		}
		return who.OSVersion, err
	}
	return "", nil
}

// load gives an engine a tar.
func (d Docker) load(ctx context.Context, path string, say func(string)) error {
	c, err := d.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	resp, err := c.ImageLoad(ctx, f, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("loading into the Docker engine at %s: %w", c.shown, err)
	}
	defer resp.Body.Close()
	if err := messages(resp.Body, say, func(json.RawMessage) {}); err != nil {
		return fmt.Errorf("loading into the Docker engine at %s: %w", c.shown, err)
	}
	return nil
}

// writeDocker adds what makes docker load of a layout: the engine's own store reads
// manifest.json and no index (moby, image/tarexport).
func (j *job) writeDocker(w layoutWriter, o Output, done finished) error {
	if o.Type != "docker" {
		return nil
	}
	type item struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	r := done.releases[0]
	m := item{Config: "blobs/sha256/" + r.configFile.desc.Digest.Hex, RepoTags: []string{}}
	for _, ref := range j.refs {
		m.RepoTags = append(m.RepoTags, shownName(ref))
	}
	for _, d := range r.layers {
		m.Layers = append(m.Layers, "blobs/sha256/"+d.Digest.Hex)
	}
	data, err := json.Marshal([]item{m})
	if err != nil {
		return err
	}
	return w.text("manifest.json", data)
}
