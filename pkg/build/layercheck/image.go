package layercheck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Rules of images.
const (
	NoImage         Rule = "unreadable-image"
	NotWindows      Rule = "not-windows"
	BadOSVersion    Rule = "bad-os-version" // missing, without its revision, or not the base's
	CmdLeft         Rule = "base-cmd-left"
	ArgsEscapedLeft Rule = "base-args-escaped-left"
	HistoryCount    Rule = "history-count"
	DiffIDCount     Rule = "diff-id-count"
	WrongDiffID     Rule = "wrong-diff-id"
	WrongDigest     Rule = "wrong-digest"
	MediaType       Rule = "media-type" // says something else than the content is
	ForeignNoURLs   Rule = "foreign-without-urls"
	BaseLayersGone  Rule = "base-layers-changed"
)

// A full version names the build and its revision, "10.0.20348.2966".
var fullVersion = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)

// CheckImage returns what is wrong with an image. With a base, the layers that are
// not the base's are read and checked, and what was inherited from it is compared;
// without one all layers are read, but foreign ones.
func CheckImage(img, base v1.Image) []Problem {
	var problems []Problem
	bad := func(rule Rule, part, format string, args ...any) {
		problems = append(problems, Problem{rule, part, fmt.Sprintf(format, args...)})
	}
	config, err := img.ConfigFile()
	if err != nil {
		bad(NoImage, "config", "%v", err)
		return problems
	}
	manifest, err := img.Manifest()
	if err != nil {
		bad(NoImage, "manifest", "%v", err)
		return problems
	}
	if config.OS != "windows" {
		bad(NotWindows, "config", "os is %q", config.OS)
	}
	if !fullVersion.MatchString(config.OSVersion) {
		bad(BadOSVersion, "config", "os.version is %q", config.OSVersion)
	}
	inherited := 0
	if base != nil {
		baseConfig, err := base.ConfigFile()
		if err != nil {
			bad(NoImage, "base config", "%v", err)
			return problems
		}
		baseManifest, err := base.Manifest()
		if err != nil {
			bad(NoImage, "base manifest", "%v", err)
			return problems
		}
		if fullVersion.MatchString(config.OSVersion) && config.OSVersion != baseConfig.OSVersion {
			bad(BadOSVersion, "config", "os.version is %q, the base has %q", config.OSVersion, baseConfig.OSVersion)
		}
		if !slices.Equal(config.Config.Entrypoint, baseConfig.Config.Entrypoint) && len(config.Config.Entrypoint) > 0 {
			if len(config.Config.Cmd) > 0 && slices.Equal(config.Config.Cmd, baseConfig.Config.Cmd) {
				bad(CmdLeft, "config", "the entrypoint gets the base's command %q as arguments", config.Config.Cmd)
			}
			if config.Config.ArgsEscaped && baseConfig.Config.ArgsEscaped { //nolint:staticcheck // Windows images have it
				bad(ArgsEscapedLeft, "config", "the entrypoint is read as a raw command line")
			}
		}
		inherited = len(baseManifest.Layers)
		for i, want := range baseManifest.Layers {
			if i >= len(manifest.Layers) || manifest.Layers[i].Digest != want.Digest || i >= len(config.RootFS.DiffIDs) ||
				i < len(baseConfig.RootFS.DiffIDs) && config.RootFS.DiffIDs[i] != baseConfig.RootFS.DiffIDs[i] {
				bad(BaseLayersGone, fmt.Sprintf("layer %d", i), "is not the base's %s", want.Digest)
				inherited = i
				break
			}
		}
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		bad(DiffIDCount, "config", "%d diff IDs for %d layers", len(config.RootFS.DiffIDs), len(manifest.Layers))
	}
	full := 0
	for _, h := range config.History {
		if !h.EmptyLayer {
			full++
		}
	}
	if full != len(manifest.Layers) {
		bad(HistoryCount, "config", "history has %d layers, the manifest %d", full, len(manifest.Layers))
	}
	layers, err := img.Layers()
	if err != nil {
		bad(NoImage, "layers", "%v", err)
		return problems
	}
	for i, desc := range manifest.Layers {
		part := fmt.Sprintf("layer %d", i)
		if !desc.MediaType.IsDistributable() {
			if len(desc.URLs) == 0 {
				bad(ForeignNoURLs, part, "%s can be had from nowhere", desc.Digest)
			}
			continue
		}
		if i < inherited || i >= len(layers) {
			continue
		}
		want := ""
		if i < len(config.RootFS.DiffIDs) {
			want = config.RootFS.DiffIDs[i].String()
		}
		for _, p := range checkBlob(layers[i], desc, want) {
			p.Path = part + ": " + p.Path
			problems = append(problems, p)
		}
	}
	return problems
}

// checkBlob reads one layer as it is stored.
func checkBlob(l v1.Layer, desc v1.Descriptor, diffID string) []Problem {
	rc, err := l.Compressed()
	if err != nil {
		return []Problem{{NoImage, "blob", err.Error()}}
	}
	defer rc.Close()
	digest := sha256.New()
	blob := io.TeeReader(rc, digest)
	head := make([]byte, 4)
	n, _ := io.ReadFull(blob, head)
	body := io.MultiReader(bytes.NewReader(head[:n]), blob)

	var problems []Problem
	content, r := "tar", body
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		content = "gzip"
		if r, err = gzip.NewReader(body); err != nil {
			return []Problem{{Unreadable, "blob", err.Error()}}
		}
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		content = "zstd"
		z, err := zstd.NewReader(body)
		if err != nil {
			return []Problem{{Unreadable, "blob", err.Error()}}
		}
		defer z.Close()
		r = z
	}
	if says := contentOf(desc.MediaType); says != content {
		problems = append(problems, Problem{MediaType, "descriptor", fmt.Sprintf("%s says %s, the blob is %s", desc.MediaType, says, content)})
	}
	plain := sha256.New()
	tee := io.TeeReader(r, plain)
	problems = append(problems, CheckLayer(tee)...)
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return append(problems, Problem{Unreadable, "blob", err.Error()})
	}
	if _, err := io.Copy(io.Discard, blob); err != nil {
		return append(problems, Problem{Unreadable, "blob", err.Error()})
	}
	if got := "sha256:" + hex.EncodeToString(plain.Sum(nil)); diffID != "" && got != diffID {
		problems = append(problems, Problem{WrongDiffID, "config", fmt.Sprintf("%s, the content is %s", diffID, got)})
	}
	if got := "sha256:" + hex.EncodeToString(digest.Sum(nil)); got != desc.Digest.String() {
		problems = append(problems, Problem{WrongDigest, "descriptor", fmt.Sprintf("%s, the blob is %s", desc.Digest, got)})
	}
	return problems
}

func contentOf(mt types.MediaType) string {
	switch mt {
	case types.OCILayer, types.DockerLayer:
		return "gzip"
	case types.OCILayerZStd:
		return "zstd"
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return "tar"
	}
	return "no layer"
}
