// Package kube writes Kubernetes manifests for an app on Windows nodes, out of its
// report and plan. The objects are those of k8s.io/api; what Windows needs beyond
// what the API server checks is in kube.toml, with sources, and in Check.
//
// New is pure: same report, same plan, same options, same bytes.
package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/winhost"
	"github.com/winpack/winpack/pkg/dockerfile"
)

// Values of Options.Workload.
const (
	WorkloadAuto       = "auto"
	WorkloadDeployment = "deployment"
	WorkloadJob        = "job"
)

// Options are a user's wishes.
type Options struct {
	Image       string // reference of the app's image, as it goes into the manifest
	Name        string // of the objects; empty: made out of the app's name
	Namespace   string // empty: none is written
	Workload    string // WorkloadAuto (empty too), WorkloadDeployment or WorkloadJob
	Replicas    int    // 0: winpack decides
	HealthPath  string // page for the probes to ask; empty: none is known
	PullSecrets []string
	GMSA        string // name of a GMSACredentialSpec that exists; empty: none does
}

// OptionError is a wish that can't be fulfilled.
type OptionError struct{ Message string }

func (e *OptionError) Error() string { return e.Message }

// Object is one object of the manifests.
type Object struct {
	// File is the name of the file that it belongs to.
	File string
	// Value is a pointer to a type of k8s.io/api, or to a CredentialSpec.
	Value any
	// Comments go above a field, by its path ("spec.replicas"); "" is the object.
	Comments map[string]string
}

// Manifests are what New makes.
type Manifests struct {
	Name    string
	Objects []Object
	// Notes are sentences for people, such as what is left to fill in.
	Notes []string
}

// New decides on the objects for an app. The error is an *OptionError, or says
// that winpack made what Check refuses, which is a mistake of its own.
func New(r report.Report, plan dockerfile.Plan, opt Options) (Manifests, error) {
	f, err := load()
	if err != nil {
		return Manifests{}, err
	}
	hosts, err := winhost.Load()
	if err != nil {
		return Manifests{}, err
	}
	m := &maker{facts: f, report: r, plan: plan, opt: opt, name: cmp.Or(opt.Name, Name(r.App.Name))}
	if err := m.findNodes(hosts); err != nil {
		return Manifests{}, err
	}
	m.decideWorkload()
	m.decideReplicas()
	m.decideGMSA()
	if m.job {
		m.addJob()
	} else {
		m.addDeployment()
		m.addService()
		m.addBudget()
	}
	m.addGMSA()
	for _, o := range m.objects {
		complaints, err := Check(o.Value)
		if err == nil && len(complaints) > 0 {
			err = fmt.Errorf("checking the manifests that winpack made: %s; please report it", strings.Join(complaints, "; "))
		}
		if err != nil {
			return Manifests{}, err
		}
	}
	return Manifests{m.name, m.objects, m.notes}, nil
}

type maker struct {
	facts  *facts
	report report.Report
	plan   dockerfile.Plan
	opt    Options
	name   string

	nodes    []winhost.Node
	job      bool
	why      string // of the workload, for a comment
	replicas int
	single   []singleRow // what forbids a second replica
	alone    bool        // not even two in a rollout
	gmsa     string      // name of the credential spec; empty: none
	gmsaWhy  []string

	objects []Object
	notes   []string
}

func (m *maker) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

func (m *maker) isKind(kinds []string) bool { return slices.Contains(kinds, string(m.report.App.Kind)) }

// findNodes finds the nodes that run one of the image's builds.
func (m *maker) findNodes(hosts *winhost.Table) error {
	var builds []winhost.Build
	for _, b := range m.plan.Bases {
		build, err := winhost.ParseBuild(b.OSVersion)
		if err != nil {
			continue // --base names an image whose build nobody knows
		}
		nodes := hosts.Nodes([]winhost.Build{build})
		if len(nodes) == 0 {
			m.note("no Windows node of Kubernetes runs %s: its image is built and never used", b.OS)
			continue
		}
		builds = append(builds, build)
	}
	if len(builds) == 0 && len(m.notes) > 0 {
		return &OptionError{fmt.Sprintf("no Windows node of Kubernetes runs an image of %s: choose another release with --os", m.plan.Bases[0].OS)}
	}
	if len(m.plan.Bases) > 1 && m.plan.Bases[0].Reference == m.plan.Bases[1].Reference {
		var names []string
		for _, b := range m.plan.Bases {
			names = append(names, b.OS)
		}
		m.note("the base image is none of the catalog, so that it is assumed to have %s: where it has one of them only, name that with --os", strings.Join(names, " and "))
	}
	m.nodes = hosts.Nodes(builds)
	for _, n := range m.nodes {
		if n.Note != "" {
			m.note("%s", n.Note)
		}
	}
	return nil
}

// decideWorkload tells what stays from what ends.
func (m *maker) decideWorkload() {
	switch m.opt.Workload {
	case WorkloadDeployment:
		m.why = "A Deployment, as --workload asks."
		return
	case WorkloadJob:
		m.job, m.why = true, "A Job, as --workload asks."
		return
	}
	switch {
	case m.isKind(m.facts.Workload.Deployment):
	case len(m.plan.Config.Ports) > 0:
		m.why = "A Deployment, since the program has a port: it stays."
	default:
		for _, row := range m.facts.Stays {
			if row.holds(m.report) {
				m.why = fmt.Sprintf("A Deployment, since the program stays: %s. No port is known, so there is no Service.", row.Why)
				return
			}
		}
		m.job = true
		m.why = "A Job, since nothing shows that the program stays: it has no port and is no service. Where it does stay, write it again with --workload deployment."
	}
}

// decideReplicas decides on how many replicas there are, and why.
func (m *maker) decideReplicas() {
	if m.job {
		return
	}
	for _, row := range m.facts.Single {
		granted := row.Fact == "write" && slices.ContainsFunc(m.plan.Steps, func(s dockerfile.Step) bool { return s.Kind == dockerfile.StepGrant })
		if row.holds(m.report) || granted { // by winpack.toml too
			m.single = append(m.single, row)
			m.alone = m.alone || row.Alone
		}
	}
	switch {
	case m.opt.Replicas > 0:
		m.replicas = m.opt.Replicas
		m.alone = m.alone && m.replicas == 1
	case len(m.single) > 0:
		m.replicas = 1
	default:
		m.replicas = m.facts.Replicas.Count
	}
}

// replicaComment is the reason for the number of replicas, and what more would take.
func (m *maker) replicaComment() string {
	var reasons []string
	for _, row := range m.single {
		reasons = append(reasons, fmt.Sprintf("- %s: %s.", row.Why, row.More))
	}
	head := ""
	switch {
	case m.opt.Replicas > 1 && len(reasons) > 0:
		head = "As --replicas asks. Each of these forbids it, unless it was taken care of:"
	case m.opt.Replicas > 0:
		return "As --replicas asks."
	case len(reasons) > 0:
		head = "One. More take a change first, and then --replicas:"
	default:
		text := "Two, so that the app stays up while a node is drained or patched."
		if m.isKind(m.facts.Workload.Keys) {
			text += " Where users sign in by cookie, keep the Data Protection keys in a store that both share."
		}
		return text
	}
	return strings.Join(append([]string{head}, reasons...), "\n")
}

func (m *maker) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: m.name, Namespace: m.opt.Namespace, Labels: m.labels()}
}

func (m *maker) labels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": m.name}
}

func (m *maker) head() string {
	text := fmt.Sprintf("Written by winpack kube for %s, an app of kind %s.", report.OneLine(m.report.App.Name), m.report.App.Kind)
	if m.why != "" {
		text += " " + m.why
	}
	return text
}

func (m *maker) addDeployment() {
	replicas := int32(m.replicas)
	template, comments := m.pod("spec.template.", false)
	family := m.family()
	spec := appsv1.DeploymentSpec{
		Replicas:                &replicas,
		ProgressDeadlineSeconds: &family.ProgressDeadline,
		Selector:                &metav1.LabelSelector{MatchLabels: m.labels()},
		Template:                template,
	}
	comments[""] = m.head()
	comments["spec.replicas"] = m.replicaComment()
	if m.alone {
		spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		comments["spec.strategy"] = "The old pod ends before the new one starts: a rollout would otherwise run two for a while."
	} else {
		surge, unavailable := intstr.FromInt(m.facts.Replicas.Surge), intstr.FromInt(0)
		spec.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
		spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}
		comments["spec.strategy"] = "A rollout takes the memory of one more pod."
	}
	comments["spec.progressDeadlineSeconds"] = fmt.Sprintf("The pull counts here, and no probe sees it: a fresh node pulls %s.", m.pull())
	m.objects = append(m.objects, Object{"deployment.yaml", &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: m.meta(), Spec: spec,
	}, comments})
}

// pull is how much a node without the base reads, for people.
func (m *maker) pull() string {
	most := 0.0
	for _, b := range m.plan.Bases {
		most = max(most, b.CompressedMB)
	}
	switch {
	case most >= 1000:
		return fmt.Sprintf("about %.1f GB", most/1000)
	case most > 0:
		return fmt.Sprintf("about %.0f MB", most)
	}
	return "the whole base image"
}

func (m *maker) addJob() {
	limit := m.facts.Job.BackoffLimit
	template, comments := m.pod("spec.template.", true)
	comments[""] = m.head()
	comments["spec"] = "A Job runs once: delete it to run it again, or put spec into the jobTemplate of a CronJob."
	m.objects = append(m.objects, Object{"job.yaml", &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: m.meta(),
		Spec:       batchv1.JobSpec{BackoffLimit: &limit, Template: template},
	}, comments})
}

// addBudget keeps one replica up while nodes are drained. With a single one there
// is nothing to keep: a budget would only block the drain.
func (m *maker) addBudget() {
	if m.replicas < 2 {
		return
	}
	unavailable := intstr.FromInt(m.facts.Replicas.MaxUnavailable)
	m.objects = append(m.objects, Object{"poddisruptionbudget.yaml", &policyv1.PodDisruptionBudget{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: m.meta(),
		Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &unavailable, Selector: &metav1.LabelSelector{MatchLabels: m.labels()}},
	}, nil})
}
