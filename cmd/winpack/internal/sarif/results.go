package sarif

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/pkg/detect"
)

// Names of the base URIs. An app of several has "app:" and its name.
const (
	appBase       = "APP"
	workBase      = "WORKDIR"
	inventoryBase = "INVENTORY"
)

// app turns the findings of one app into results, and keeps what it could not read.
func (r *run) app(res *result.Result) []*sarif.Result {
	if res.Status == result.Failed {
		r.failed = true
		r.notice("error", res.Name+" failed: "+res.Error, nil)
	}
	if res.Report == nil {
		return nil
	}
	base := r.base(res)
	for _, x := range res.Report.Problems {
		r.notice("warning", x.Message, r.location(base, res.Name, detect.Evidence{Path: x.Path}))
	}
	var results []*sarif.Result
	for _, f := range res.Report.Findings {
		results = append(results, r.result(base, res.Name, f))
	}
	return results
}

func (r *run) result(base, app string, f detect.Finding) *sarif.Result {
	message := f.Message
	if f.Remedy != "" {
		message += " " + f.Remedy
	}
	x := sarif.NewRuleResult(f.Rule).WithLevel(level(f.Level)).WithMessage(sarif.NewTextMessage(plain(message)))
	if i, known := r.index[f.Rule]; known {
		x.WithRuleIndex(i)
	}
	evidence := f.Evidence
	if len(evidence) == 0 {
		evidence = []detect.Evidence{{}} // of the app as a whole: hosts drop results without a place
	}
	x.AddLocation(r.location(base, app, evidence[0]))
	for _, e := range evidence[1:] {
		x.AddRelatedLocation(r.location(base, app, e))
	}
	if f.Accepted != "" {
		x.WithSuppressions([]*sarif.Suppression{sarif.NewSuppression().WithKind("external").WithJustification(plain(f.Accepted))})
	}
	properties := sarif.NewPropertyBag().Add("level", string(f.Level))
	if r.Alone {
		app = "" // an app that is checked out elsewhere has the same findings
	} else {
		properties.Add("app", report.Safe(app))
	}
	id := fingerprint(app, f)
	return x.WithProperties(properties).WithPartialFingerprints(map[string]string{
		"winpackFinding/v1": id,
		// The one that GitHub tells alerts apart by; it can't make one for a binary.
		"primaryLocationLineHash": id[:16] + ":1",
	})
}

// fingerprint tells a finding from all others, also where lines were added above it.
func fingerprint(app string, f detect.Finding) string {
	file := ""
	if len(f.Evidence) > 0 {
		file = f.Evidence[0].Path
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{app, f.Rule, file, f.Message}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// location is a place in an app: a line of text, or bytes of a binary.
func (r *run) location(base, app string, e detect.Evidence) *sarif.Location {
	artifact := sarif.NewArtifactLocation().WithURI(pathURI(e.Path)).WithURIBaseID(base)
	physical := sarif.NewPhysicalLocation().WithArtifactLocation(artifact)
	switch {
	case e.Line > 0:
		physical.WithRegion(sarif.NewRegion().WithStartLine(e.Line))
	case e.Length > 0:
		physical.WithRegion(sarif.NewRegion().WithByteOffset(int(e.Offset)).WithByteLength(int(e.Length)))
	}
	l := sarif.NewLocationWithPhysicalLocation(physical)
	if e.Detail != "" {
		l.WithMessage(sarif.NewTextMessage(plain(e.Detail)))
	}
	if !r.Alone {
		l.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(report.Safe(app)).WithKind("module"))
	}
	return l
}

func (r *run) notice(level, message string, at *sarif.Location) {
	n := sarif.NewNotification().WithLevel(level).WithMessage(sarif.NewTextMessage(plain(message)))
	if at != nil {
		n.AddLocation(at)
	}
	r.notices = append(r.notices, n)
}

// base names the base URI of an app, and says where it is.
func (r *run) base(res *result.Result) string {
	name, source, above, what := "app:"+report.Safe(res.Name), res.Source, inventoryBase, "the folder of the inventory"
	if r.Alone {
		name, source, above, what = appBase, r.Folder, workBase, "the folder that winpack was started in"
	}
	if _, known := r.bases[name]; known {
		return name
	}
	uri, absolute := folderURI(source)
	location := sarif.NewArtifactLocation()
	switch {
	case uri == "":
		location.WithDescription(sarif.NewTextMessage("the folder of the app"))
	case absolute:
		location.WithURI(uri)
	default:
		location.WithURI(uri).WithURIBaseID(above)
		r.bases[above] = *sarif.NewArtifactLocation().WithDescription(sarif.NewTextMessage(what))
	}
	r.bases[name] = *location
	return name
}

// pathURI is the URI of a slash-separated path in an app, relative to the app.
func pathURI(p string) string {
	if p == "" || p == "." {
		return "./"
	}
	return relative(strings.Split(p, "/"))
}

func relative(segments []string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	uri := strings.Join(escaped, "/")
	if strings.Contains(escaped[0], ":") || strings.HasPrefix(uri, "/") {
		uri = "./" + strings.TrimLeft(uri, "/") // else it would be a scheme or a host
	}
	return uri
}

// folderURI is the URI of a folder as a user of Windows or of another system names
// it, with a slash at its end. It is empty for an empty name.
func folderURI(folder string) (uri string, absolute bool) {
	if folder == "" {
		return "", false
	}
	folder = strings.ReplaceAll(folder, `\`, "/")
	share := strings.HasPrefix(folder, "//")
	folder = path.Clean(folder)
	drive := len(folder) > 1 && folder[1] == ':' && (folder[0]|0x20 >= 'a' && folder[0]|0x20 <= 'z')
	switch {
	case share:
		return "file://" + strings.TrimSuffix(relative(strings.Split(folder[1:], "/")), "/") + "/", true
	case drive:
		return "file:///" + folder[:2] + "/" + strings.TrimPrefix((&url.URL{Path: strings.TrimPrefix(folder[2:], "/") + "/"}).EscapedPath(), "/"), true
	case strings.HasPrefix(folder, "/"):
		return "file://" + strings.TrimSuffix((&url.URL{Path: folder}).EscapedPath(), "/") + "/", true
	}
	return strings.TrimSuffix(relative(strings.Split(folder, "/")), "/") + "/", false
}
