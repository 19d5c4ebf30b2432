package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/registry"
	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// What lies in a layout on disk may have rotted: nothing of it gets into an image
// under a name that it has no more, and the error says what to do.
func TestDamagedBlobOfALocalBaseIsRefused(t *testing.T) {
	host := bases(t, standin.Options{LayerSize: 100_000})
	base := filepath.Join(t.TempDir(), "base")
	req := request(host)
	req.Plan, req.Push, req.Outputs = shopPlan("ltsc2022"), false, []Output{{Type: "oci", Dest: base}}
	made := mustBuild(t, direct(host), req)
	index, err := os.ReadFile(filepath.Join(base, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := v1.ParseManifest(strings.NewReader(files(t, base)["blobs/sha256/"+strings.TrimPrefix(made.Digest, "sha256:")]))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	for what, test := range map[string]struct {
		blob v1.Hash
		do   func([]byte) []byte // nil removes it
		want string
	}{
		"a flipped layer":         {manifest.Layers[0].Digest, flip, "another digest"},
		"a truncated layer":       {manifest.Layers[0].Digest, func(data []byte) []byte { return data[:len(data)-711] }, "bytes of"},
		"a layer with more":       {manifest.Layers[1].Digest, func(data []byte) []byte { return append(data, "more"...) }, "more than its"},
		"a layer that is missing": {manifest.Layers[1].Digest, nil, "is missing"},
		"another configuration":   {manifest.Config.Digest, func(data []byte) []byte { return []byte(strings.Replace(string(data), "EXPOSE", "expose", 1) + " ") }, "more than its"},
		"no configuration":        {manifest.Config.Digest, nil, "is missing"},
	} {
		path := filepath.Join(base, "blobs", "sha256", test.blob.Hex)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if test.do == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, test.do(append([]byte(nil), good...)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		to := registry.Start(t)
		for where, change := range map[string]func(*Request){
			"folder": func(r *Request) { r.Outputs = []Output{{Type: "oci", Dest: filepath.Join(dir, "x")}} },
			"tar":    func(r *Request) { r.Outputs = []Output{{Type: "oci", Dest: filepath.Join(dir, "x.tar"), Tar: true}} },
			"push":   func(r *Request) { r.Push = true },
		} {
			req := request(to)
			req.Push = false
			req.Plan.Bases = []dockerfile.Base{{OSVersion: "10.0.20348", Reference: "oci:" + base}}
			change(&req)
			_, err := direct(to).Build(t.Context(), req)
			var damaged *DamagedError
			if !errors.As(err, &damaged) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), base) || !strings.Contains(err.Error(), "again") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %s: %v", what, where, err)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind %v, %v", what, left, err)
		}
		if _, err := remote.Head(parse(t, to+"/team/shop:1")); err == nil {
			t.Errorf("%s: a tag was pushed", what)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(filepath.Join(base, "index.json")); err != nil || string(now) != string(index) {
		t.Errorf("the base changed: %s, %v", now, err)
	}
}
