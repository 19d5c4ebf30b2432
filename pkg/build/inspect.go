package build

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Inspected is what a registry holds under a reference.
type Inspected struct {
	// Repository is the reference without tag and digest, as it was asked for.
	Repository string
	// Images has one entry for each Windows image, in the order of the index.
	Images []InspectedImage
	// Others are the platforms of what is no Windows image, like "linux/arm64".
	Others []string
}

// InspectedImage is one image of a reference.
type InspectedImage struct {
	Digest    string
	OSVersion string // "10.0.BUILD.REVISION"; empty where the image does not say
	Config    v1.Config
}

// maxInspected bounds the images of an index that are looked at.
const maxInspected = 64

// Inspect asks a registry, or its mirror, which Windows images a reference means
// and how they are configured. No layer is read. The error is an *AuthError, a
// *RegistryError, or says that the reference is none.
func Inspect(ctx context.Context, reg Registry, reference string) (Inspected, error) {
	w := newWire(reg.Transport)
	defer w.close()
	asked, err := reg.parse(reference)
	if err != nil {
		return Inspected{}, err
	}
	ref, err := reg.pullReference(reference)
	if err != nil {
		return Inspected{}, err
	}
	fail := func(err error) (Inspected, error) {
		shown := reference
		if ref.Name() != asked.Name() {
			shown += " (from " + ref.Name() + ")"
		}
		err = registryError("reading", shown, ref.Context().RegistryStr(), err)
		if reg := (*RegistryError)(nil); errors.As(err, &reg) && reg.Status == http.StatusNotFound {
			reg.Mirrored = shown != reference
		}
		return Inspected{}, err
	}
	var candidates []candidate
	err = again(ctx, func() (err error) {
		candidates, err = fromRegistry(ref, w.options(ctx, reg))
		return err
	})
	if err != nil {
		return fail(err)
	}
	if len(candidates) > maxInspected {
		return Inspected{}, fmt.Errorf("reading %q: its index has %d images, more than any that winpack builds", reference, len(candidates))
	}
	out := Inspected{Repository: asked.Context().Name()}
	for _, c := range candidates {
		if p := c.platform; p != nil && (p.OS != "" && p.OS != "windows" || p.Architecture != "" && p.Architecture != architecture) {
			out.Others = append(out.Others, p.OS+"/"+p.Architecture)
			continue
		}
		var cfg *v1.ConfigFile
		var digest v1.Hash
		err := again(ctx, func() error {
			img, err := c.open()
			if err == nil {
				digest, err = img.Digest()
			}
			if err == nil {
				cfg, err = img.ConfigFile()
			}
			return err
		})
		if err != nil {
			return fail(err)
		}
		if cfg.OS != "windows" || cfg.Architecture != architecture {
			out.Others = append(out.Others, cfg.OS+"/"+cfg.Architecture)
			continue
		}
		out.Images = append(out.Images, InspectedImage{digest.String(), cfg.OSVersion, cfg.Config})
	}
	return out, nil
}
