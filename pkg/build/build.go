// Package build makes Windows container images from a plan and pushes or saves
// them.
package build

import (
	"context"
	"io/fs"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/winpack/winpack/pkg/dockerfile"
)

// Request is one build.
type Request struct {
	Plan dockerfile.Plan
	// App is the app folder that copy steps read.
	App fs.FS
	// Trees are the further folders that copy steps read, by Step.Tree.
	Trees map[string]fs.FS
	// File is a Dockerfile that a person wrote; App is its build context then, and the
	// plan only names the bases.
	File *File
	// References are the image references (-t). The first names the image.
	References []string
	// Push uploads to the registries of References.
	Push bool
	// Outputs are further destinations.
	Outputs     []Output
	Labels      map[string]string
	Annotations map[string]string
	// Platforms restricts the releases, as "windows(10.0.20348.2966)/amd64" or
	// "windows/amd64:10.0.20348.2966"; empty means all.
	Platforms []string
	// Optional says that nobody asked for these very releases: one for which the
	// base is not published is left out, and Image.Omitted says so.
	Optional bool
	// Epoch is SOURCE_DATE_EPOCH, nil when unset.
	Epoch *time.Time
	// NoCache has BuildKit and Docker do every step again.
	NoCache bool
	// Pull has them ask the registry for every image that a File names. The base of the
	// image is always asked for.
	Pull bool
	// Isolation is the engine's: "process", "hyperv", or empty for its default.
	Isolation string
	// DryRun resolves and computes, and writes nothing.
	DryRun bool
	// Progress receives events; nil means none. It is called from several goroutines.
	Progress func(Event)
}

// File is a Dockerfile and how it is built.
type File struct {
	Text []byte
	Args map[string]string // build arguments; BASE is set for each release
	// Ignore are the patterns of the ignore file.
	Ignore []string
	// Sources are the paths of the context that the Dockerfile copies; nil means all.
	Sources []string
	// Runs are the instructions that run something on Windows, like "Dockerfile:7: RUN",
	// of the stages that are built.
	Runs []string
	// Images are the references of FROM that stand for the plan's base, to be pinned;
	// empty where the Dockerfile takes it from the argument BASE.
	Images []string
}

// Builder makes an image and sends it to every destination of the request.
type Builder interface {
	// Check says what of a request the builder cannot honour, or that its address can
	// be none, before any work: nil, a *CannotError or an *AddressError.
	Check(Request) error
	Build(context.Context, Request) (Image, error)
}

// Output is a destination of -o.
type Output struct {
	Type   string // "oci", or "docker": a tar that docker load takes, or, without Dest, the engine itself
	Dest   string // file, or folder when !Tar
	Tar    bool
	Sparse bool // base=sparse: base layers are named and not stored
}

// Registry is how registries are reached.
type Registry struct {
	Keychain authn.Keychain
	// Mirrors maps HOST to MIRROR (HOST with port, MIRROR may have a path).
	Mirrors map[string]string
	// Insecure are hosts that are spoken to over plain http.
	Insecure []string
	// Transport is used for every request; nil means a default one.
	Transport http.RoundTripper
}

// Event is one step of progress.
type Event struct {
	// Stage is "resolve", "layer", "base", "push", "done", ...
	Stage string
	// Name is the thing worked on (a reference, a digest, a release).
	Name string
	// Done and Total are bytes; Total is 0 when unknown.
	Done, Total int64
	// Message is a sentence for people.
	Message string
}

// Image is what was built.
type Image struct {
	Digest     string    `json:"digest"` // empty where a daemon would build, and did not
	MediaType  string    `json:"mediaType"`
	Size       int64     `json:"size"` // of the index or manifest itself, as in its descriptor
	References []string  `json:"references"`
	Releases   []Release `json:"releases"`
	// Omitted are optional releases for which the base is not published.
	Omitted      []dockerfile.Omitted `json:"omitted,omitempty"`
	BytesRead    int64                `json:"bytesRead"`    // from registries
	BytesWritten int64                `json:"bytesWritten"` // to registries
	// Unchanged is true where the tag already held this very image.
	Unchanged bool          `json:"unchanged"`
	Durations time.Duration `json:"-"`
	// Phases are the parts of Durations: "resolve", "list" (the app's files), "push"
	// and "save"; one that did not happen is absent.
	Phases map[string]time.Duration `json:"-"`
}

// Release is the image for one Windows build.
type Release struct {
	OS            string `json:"os"`
	OSVersion     string `json:"osVersion"`
	Base          string `json:"base"`
	BaseDigest    string `json:"baseDigest"`
	Digest        string `json:"digest"`
	ConfigDigest  string `json:"configDigest"`
	Size          int64  `json:"size"`
	LayerDigest   string `json:"layerDigest,omitempty"` // of the app's layer, which only direct makes
	LayerDiffID   string `json:"layerDiffID,omitempty"`
	LayerSize     int64  `json:"layerSize,omitempty"` // compressed, in bytes
	BaseLayers    int    `json:"baseLayers"`
	BaseMounted   int    `json:"baseMounted"` // base layers that were present or mounted
	BaseStreamed  int    `json:"baseStreamed"`
	BaseReference string `json:"baseReference"`
}
