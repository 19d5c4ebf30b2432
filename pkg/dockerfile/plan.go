// Package dockerfile turns a detection report into a plan (which base image,
// which steps, which configuration, and why) and renders the plan as a
// Dockerfile with its ignore file and helper files.
//
// A Plan is plain data: it can be printed, compared and stored. Deciding is
// pure: same report, same catalog, same options, same plan.
package dockerfile

import "github.com/winpack/winpack/pkg/detect"

// Plan is everything that a builder has to know.
type Plan struct {
	Name   string      `json:"name"`
	Kind   detect.Kind `json:"kind"`
	Family string      `json:"family"` // detect.FamilyNanoServer, ...; without Bases the one that is needed
	// Bases has one base image per Windows release, in the order of Options.OS.
	Bases []Base `json:"bases"`
	// Omitted are releases of the default list for which the base is not published.
	Omitted []Omitted `json:"omitted,omitempty"`
	// Why are the reasons for the base, one sentence each.
	Why []string `json:"why"`
	// Rejected are smaller or likelier images and why they will not do.
	Rejected []Rejected `json:"rejected"`
	// Ignore are patterns of .dockerignore for files of the app folder that are no
	// part of the app.
	Ignore []string `json:"ignore,omitempty"`
	// Steps in the order of execution.
	Steps []Step `json:"steps"`
	// Service is set where a start script has to register the program as a
	// Windows service and watch it.
	Service *ServiceStart `json:"service,omitempty"`
	Config  Config        `json:"config"`
	// FastStart says that the build does what it can, by RUN, and not the container.
	FastStart bool `json:"fastStart,omitempty"`
	// UserGiven says that the user chose Config.User.
	UserGiven bool `json:"userGiven,omitempty"`
	// Builder says whether a step needs a Windows builder.
	Builder BuilderNeeds `json:"builder"`
	// Findings are those that only the choice of an image can tell (no image of
	// this .NET for a wanted release, ended support of the base, ...).
	Findings []detect.Finding `json:"findings,omitempty"`
}

// Base is the base image for one Windows release.
type Base struct {
	OS           string  `json:"os"`        // "ltsc2022"; empty where --base names an image that the catalog does not know
	Family       string  `json:"family"`    // detect.FamilyNanoServer, ...; may differ between releases
	Reference    string  `json:"reference"` // full reference with tag
	OSVersion    string  `json:"osVersion"` // "10.0.20348"; the full version once Digest is set
	Digest       string  `json:"digest,omitempty"`
	SupportEnd   string  `json:"supportEnd,omitempty"`   // ISO date, empty when unknown
	SupportEnded bool    `json:"supportEnded,omitempty"` // SupportEnd is before the day of the catalog
	CompressedMB float64 `json:"compressedMB,omitempty"`
	// Administrator is true where the image's own user is ContainerAdministrator.
	Administrator bool `json:"administrator"`
	// Entrypoint is the one that the image has by itself, if any.
	Entrypoint []string `json:"entrypoint,omitempty"`
	// Config is the configuration on this base, where it differs from the plan's: a
	// Dockerfile may name variables of the base.
	Config *Config `json:"config,omitempty"`
}

// ServiceStart is a program that a start script runs as a Windows service.
type ServiceStart struct {
	Name      string   `json:"name"`      // letters, digits and " ._$@#()+-" only
	Program   string   `json:"program"`   // absolute Windows path
	Arguments []string `json:"arguments"` // for the program
}

// Omitted is a release of the default list that was left out.
type Omitted struct {
	OS  string `json:"os"`
	Why string `json:"why"`
}

// Rejected is an image that was not chosen.
type Rejected struct {
	Reference string `json:"reference"`
	Why       string `json:"why"`
}

// StepKind tells what a step does.
type StepKind string

const (
	StepCopy   StepKind = "copy"   // files of the app folder into a layer
	StepWrite  StepKind = "write"  // a file with a given text
	StepFolder StepKind = "folder" // a folder, where it is missing
	StepGrant  StepKind = "grant"  // write access to a folder
	StepStart  StepKind = "start"  // commands that run at container start
	StepRun    StepKind = "run"    // commands that run in the build, on Windows
	// StepManual is what a person has to install on Windows, as Why says: winpack
	// knows no command for it.
	StepManual StepKind = "manual"
)

// Step is one step of the plan. Which fields are set depends on Kind.
type Step struct {
	Kind StepKind `json:"kind"`
	// Why is the reason, fit for a comment; never text from the app as it stands.
	Why string `json:"why"`

	// Source is where the step stands in a Dockerfile that a person wrote, like
	// Dockerfile:3; else empty.
	Source string `json:"-"`

	// Copy: From is a slash-separated folder or file of Tree (".": all of it), To an
	// absolute Windows folder, Exclude are slash-separated paths below From. Tree is
	// empty for the app folder, else names another one that the builder is given.
	// Name is what a file is called in To, where that is not its own name; Folder says
	// that From, where it is not ".", is a folder.
	From    string   `json:"from,omitempty"`
	Tree    string   `json:"tree,omitempty"`
	To      string   `json:"to,omitempty"`
	Name    string   `json:"name,omitempty"`
	Folder  bool     `json:"folder,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// Include and Ignore are patterns of .dockerignore below a folder: only what
	// Include matches is copied, where there is one, and nothing that Ignore matches.
	Include []string `json:"include,omitempty"`
	Ignore  []string `json:"ignore,omitempty"`

	// Write: a file called Name in the folder To holds Text. Folder: To is the folder.
	Text string `json:"text,omitempty"`

	// Grant: Trustee gets modify rights on To and all below it, which is created
	// when it is missing.
	Trustee Trustee `json:"trustee,omitzero"`

	// Start and Run: lines for cmd.exe, already quoted.
	Commands []string `json:"commands,omitempty"`
	// OS limits a run step to these releases; empty means all.
	OS []string `json:"os,omitempty"`
}

// Trustee is an account that is granted rights: its name for icacls and its SID.
type Trustee struct {
	Name string `json:"name"`
	SID  string `json:"sid"`
}

// Config is the image configuration.
type Config struct {
	// Entrypoint is what runs the app, without a grant script. Empty means that
	// the base's own stays.
	Entrypoint []string `json:"entrypoint"`
	// Cmd are the default arguments; nil keeps none of the base's where Entrypoint is set.
	Cmd        []string          `json:"cmd,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	User       string            `json:"user,omitempty"`
	Ports      []int             `json:"ports,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Health     *Health           `json:"healthCheck,omitempty"`

	// Whole says that nothing of the base's is to be kept or dropped any more:
	// Entrypoint, Cmd, ArgsEscaped, Shell, User and WorkingDir are the image's, also
	// where they are empty. The plan of a Dockerfile is so.
	Whole bool `json:"whole,omitempty"`
	// ArgsEscaped makes Windows take the first word of the command as it stands.
	ArgsEscaped bool     `json:"argsEscaped,omitempty"`
	Shell       []string `json:"shell,omitempty"`
	Expose      []string `json:"expose,omitempty"` // beside Ports: PORT/PROTOCOL
	Volumes     []string `json:"volumes,omitempty"`
	StopSignal  string   `json:"stopSignal,omitempty"` // empty keeps the base's
	Author      string   `json:"author,omitempty"`
}

// BuilderNeeds says what builder the plan needs.
type BuilderNeeds struct {
	Windows bool     `json:"windowsBuilder"`
	Reasons []string `json:"reasons"`
}
