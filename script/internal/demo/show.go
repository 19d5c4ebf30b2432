package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/winpack/winpack/fixtures/standin"
	"github.com/winpack/winpack/pkg/build/layercheck"
)

// pushStandIns fills the registry with stand-ins for the images that an IIS site
// can be put on.
func pushStandIns(ctx context.Context, host string) error {
	return standin.Push(ctx, host+"/mcr", standin.Options{}, "netfx-aspnet-4.8.1")
}

// show pulls the image back as any client would, checks the layer by the rules
// of the Windows importers, and compares every file of the app.
func show(ctx context.Context, w io.Writer, ref, app string) error {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	idx, err := remote.Index(r, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	digest, err := idx.Digest()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s@%s: an index of %d images\n", ref, digest, len(m.Manifests))
	for _, d := range m.Manifests {
		img, err := idx.Image(d.Digest)
		if err != nil {
			return err
		}
		files, err := verify(img, os.DirFS(app), "Files/inetpub/wwwroot/")
		if err != nil {
			return fmt.Errorf("%s: %w", d.Platform, err)
		}
		fmt.Fprintf(w, "  %s: layer valid for Windows, %d files of the app byte for byte\n", d.Platform, files)
	}
	return nil
}

// verify checks the topmost layer of an image and that it holds every file of app.
func verify(img v1.Image, app fs.FS, root string) (int, error) {
	layers, err := img.Layers()
	if err != nil {
		return 0, err
	}
	if len(layers) == 0 {
		return 0, errors.New("the image has no layers")
	}
	rc, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		return 0, err
	}
	defer rc.Close()
	content, err := io.ReadAll(rc)
	if err != nil {
		return 0, err
	}
	if problems := layercheck.CheckLayer(bytes.NewReader(content)); len(problems) > 0 {
		return 0, fmt.Errorf("the layer breaks a rule: %s", problems[0])
	}
	have := map[string][]byte{}
	tr := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if rel, ok := strings.CutPrefix(h.Name, root); ok && h.Typeflag == tar.TypeReg {
			if have[rel], err = io.ReadAll(tr); err != nil {
				return 0, err
			}
		}
	}
	files := 0
	err = fs.WalkDir(app, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		want, err := fs.ReadFile(app, path)
		if err != nil {
			return err
		}
		got, ok := have[path]
		if !ok || !bytes.Equal(got, want) {
			return fmt.Errorf("%q is not in the layer as it is in the app", path)
		}
		files++
		return nil
	})
	return files, err
}
