package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/pkg/detect"
	"github.com/winpack/winpack/pkg/dockerfile"
)

func (m *maker) hosted() bool { return m.isKind(m.facts.Workload.Hosted) }

func (m *maker) family() familyRow { return m.facts.family(m.plan.Family, m.hosted()) }

// pod is the template of a pod, and the comments on it below a path.
func (m *maker) pod(path string, job bool) (corev1.PodTemplateSpec, map[string]string) {
	comments := map[string]string{}
	say := func(field, text string) {
		if text != "" {
			comments[path+"spec."+field] = text
		}
	}
	f := m.facts.Scheduling
	spec := corev1.PodSpec{
		// The variables of service links can be more than a batch file reads in one line.
		AutomountServiceAccountToken: new(bool),
		EnableServiceLinks:           new(bool),
		OS:                           &corev1.PodOS{Name: corev1.OSName(f.OS)},
		NodeSelector:                 map[string]string{f.OSLabel: f.OS, f.ArchLabel: f.Arch},
		Affinity:                     m.affinity(),
		Tolerations:                  m.tolerations(),
		Containers:                   []corev1.Container{m.container(say)},
	}
	say("automountServiceAccountToken", "The app asks nothing of the API server.")
	say("enableServiceLinks", "The app reads no variables of other Services.")
	say("nodeSelector", "os alone keeps no pod off a Linux node: the scheduler reads the selector.")
	if spec.Affinity != nil {
		say("affinity", m.affinityComment())
	}
	say("tolerations", "Taints that clusters put on Windows nodes by custom; yours may have others.")
	for _, name := range m.opt.PullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	if !m.plan.Administrator() {
		yes := true
		spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
		say("securityContext", "The image runs as "+cmp.Or(m.plan.Config.User, "ContainerUser")+"; the node refuses it should it become ContainerAdministrator.")
	}
	if m.gmsa != "" {
		if spec.SecurityContext == nil {
			spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		spec.SecurityContext.WindowsOptions = &corev1.WindowsSecurityContextOptions{GMSACredentialSpecName: &m.gmsa}
		spec.ServiceAccountName = m.name
		say("securityContext.windowsOptions", fmt.Sprintf("The account of the domain that the app acts as: %s.", strings.Join(m.gmsaWhy, "; ")))
		say("serviceAccountName", "May use the credential spec: see its RoleBinding.")
	} else if len(m.gmsaWhy) > 0 {
		m.note("%s: where it acts in a domain, --gmsa NAME gives the pod an account", strings.Join(m.gmsaWhy, "; "))
	}
	if job {
		spec.RestartPolicy = corev1.RestartPolicyNever
	} else {
		if m.replicas > 1 {
			spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: f.Topology, WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector: &metav1.LabelSelector{MatchLabels: m.labels()},
			}}
			say("topologySpreadConstraints", "On different nodes, where there are some.")
		}
		m.stop(&spec, say)
	}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: m.labels()}, Spec: spec}, comments
}

// affinity limits the pod to nodes of a build that runs the image. It is an
// affinity because a selector takes one value only.
func (m *maker) affinity() *corev1.Affinity {
	if len(m.nodes) == 0 {
		return nil
	}
	var builds []string
	for _, n := range m.nodes {
		builds = append(builds, n.Build)
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: m.facts.Scheduling.BuildLabel, Operator: corev1.NodeSelectorOpIn, Values: builds,
		}}}},
	}}}
}

func (m *maker) affinityComment() string {
	var releases, nodes []string
	for _, b := range m.plan.Bases {
		releases = append(releases, b.OS)
	}
	for _, n := range m.nodes {
		text := n.Name
		// Of several releases a node takes its own.
		if len(n.Older) > 0 && !slices.Contains(releases, m.release(n.Build)) {
			text += fmt.Sprintf(" (which runs %s too, with a warning in the documentation of AKS)", strings.Join(n.Older, " and "))
		}
		nodes = append(nodes, text)
	}
	return fmt.Sprintf("The image is for %s, so it runs on %s.", strings.Join(releases, " and "), strings.Join(nodes, " and "))
}

// release is the image's release that has a node's build, if any.
func (m *maker) release(build string) string {
	for _, b := range m.plan.Bases {
		if b.OSVersion == build || strings.HasPrefix(b.OSVersion, build+".") {
			return b.OS
		}
	}
	return ""
}

func (m *maker) tolerations() []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range m.facts.Tolerations {
		out = append(out, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpEqual, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}

// container is the app. It has no command: the image's entrypoint stays.
func (m *maker) container(say func(field, text string)) corev1.Container {
	const at = "containers.0."
	row := m.family()
	c := corev1.Container{
		Name: m.name, Image: m.opt.Image,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(row.CPU), corev1.ResourceMemory: resource.MustParse(row.MemoryRequest)},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(row.MemoryLimit)},
		},
	}
	var head []string
	if !strings.Contains(m.opt.Image, "@") {
		head = append(head, "A tag can move, and then two replicas differ: name a digest with --image NAME@sha256:... (winpack build -q prints it).")
	}
	resources := "To start from: measure the app. Beyond the memory limit allocations fail; a CPU limit is a hard cap of the whole node's time, and makes the start slow."
	if m.directX() {
		name := corev1.ResourceName(m.facts.GPU.Resource)
		c.Resources.Limits[name] = resource.MustParse("1")
		resources += fmt.Sprintf(" %s is the DirectX device plugin's; it has to run in the cluster.", name)
		if family := m.plan.Family; family != "server" {
			m.note("the app uses DirectX, which works in images of the server family only, and the base is of %s: name another with --base", family)
		}
	}
	say(at+"resources", resources)
	http := m.isKind(m.facts.Workload.HTTP)
	names := m.facts.portNames(m.plan.Config.Ports, http)
	for i, port := range m.plan.Config.Ports {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: names[i], ContainerPort: int32(port), Protocol: corev1.ProtocolTCP})
	}
	if names := dockerfile.SplitLabel(m.plan.Config.Labels[dockerfile.LabelEnv]); len(names) > 0 {
		secret := m.name + "-env"
		for _, name := range names {
			ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: name}
			if !m.required(name) {
				yes := true
				ref.Optional = &yes
			}
			c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}})
		}
		head = append(head, fmt.Sprintf("Secrets of the app's configuration come from a Secret: kubectl create secret generic %s --from-literal=%s=...", secret, names[0]))
	} else if (match{Fact: "secret"}).holds(m.report) {
		how := "put them into a file of their own that is mounted from a Secret."
		if m.report.App.Framework.Name == detect.NETFramework {
			how = "let a configuration builder of .NET Framework read variables, or name a file (configSource) in a folder that is mounted from a Secret."
		}
		head = append(head, "No Secret: the app's configuration holds secrets (WP1301), and it reads them from its files, where no variable replaces them. Take them out of the image first: "+how)
	}
	if lost := m.unnamed(); len(lost) > 0 {
		head = append(head, "Of these secrets (WP1301) no variable can have the name, so that none replaces them: "+strings.Join(lost, ", ")+". Give them other names, or take their values from a mounted file.")
	}
	if h := m.plan.Config.Health; h != nil && len(h.Test) > 0 && h.Test[0] != "NONE" {
		head = append(head, "Kubernetes does not run the image's health check, and a probe by a command would start a process in the container each time: --health-path /PAGE has the probes ask a page.")
	}
	say("containers", strings.Join(head, "\n"))
	return c
}

// required says whether the image lacks a variable: web.config sets it to a
// secret, which is left out. The others only replace what a file says.
func (m *maker) required(name string) bool {
	for given := range m.plan.Config.Env { // [env] of winpack.toml; Windows tells names apart by nothing but letters
		if strings.EqualFold(given, name) {
			return false
		}
	}
	for _, f := range m.report.Facts {
		if dropped, ok := dockerfile.DroppedSecret(f); ok && f.OverruledBy == "" && dropped == name {
			return true
		}
	}
	return false
}

// unnamed are secrets of the app whose names no variable of a pod can have.
func (m *maker) unnamed() []string {
	var names []string
	for _, f := range m.report.Facts {
		if f.Key != "secret" || f.OverruledBy != "" || !slices.ContainsFunc(f.Evidence, func(e detect.Evidence) bool {
			return strings.HasSuffix(strings.ToLower(e.Path), ".json") || strings.HasPrefix(e.Detail, "environment variable")
		}) {
			continue // of what variables replace
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(f.Value, ", password"), " (")
		name, connection := strings.CutPrefix(name, "connection string ")
		key := strings.ReplaceAll(name, ":", "__")
		if connection {
			key = "ConnectionStrings__" + key
		}
		if len(validation.IsEnvVarName(key)) > 0 || len(validation.IsConfigMapKey(key)) > 0 {
			names = append(names, report.OneLine(name))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), 8)]
}

func (m *maker) directX() bool {
	return match{Fact: dockerfile.FactDirectX}.holds(m.report)
}

// stop adds what a Deployment's container has for start and stop: probes, and a
// hook before it is told to stop.
func (m *maker) stop(spec *corev1.PodSpec, say func(field, text string)) {
	const at = "containers.0."
	c := &spec.Containers[0]
	grace := m.facts.Stop.Grace
	switch {
	case m.plan.Service != nil:
		grace = m.facts.Stop.ServiceGrace
		// The name is of letters, digits and " ._$@#()+-", and nothing expands it.
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{
			"powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", "Stop-Service -Name '" + m.plan.Service.Name + "'",
		}}}}
		say(at+"lifecycle", "A stop ends the start script and not the service (WP3009): this stops the service before, and waits for it within terminationGracePeriodSeconds.")
	case len(c.Ports) > 0:
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: m.facts.Stop.Drain}}}
		say(at+"lifecycle", "Requests still come until every node knows that the pod ends.")
		grace += m.facts.Stop.Drain
	}
	spec.TerminationGracePeriodSeconds = &grace
	if len(c.Ports) > 0 {
		m.probes(c, say)
	}
}

// probes ask the first port; never by a command, which would start a process in
// the container each time.
func (m *maker) probes(c *corev1.Container, say func(field, text string)) {
	const at = "containers.0."
	row, page := m.family(), m.opt.HealthPath
	why := "Only the port is asked, since no page is known that answers without a login: --health-path /PAGE names one"
	if m.hosted() {
		why += ", and has ASP.NET compile before the first user comes"
	}
	switch {
	case page != "":
		why = "The page of --health-path"
	case m.report.App.Kind == "static" && m.gmsa == "":
		page, why = "/", "The start page that the site has"
	}
	handler := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString(c.Ports[0].Name)}}
	if page != "" {
		handler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: page, Port: intstr.FromString(c.Ports[0].Name)}}
	}
	c.StartupProbe = &corev1.Probe{ProbeHandler: handler, PeriodSeconds: row.StartupPeriod, FailureThreshold: row.StartupFailures, TimeoutSeconds: row.Timeout}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: handler, PeriodSeconds: row.Period, TimeoutSeconds: row.Timeout}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: handler, PeriodSeconds: row.LivenessPeriod, FailureThreshold: row.LivenessFailures, TimeoutSeconds: row.Timeout}
	say(at+"startupProbe", fmt.Sprintf("%s. Windows takes its time: the start may take %d minutes on %s.", why, row.StartupPeriod*row.StartupFailures/60, cmp.Or(m.plan.Family, "this base")))
}
