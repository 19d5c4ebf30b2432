package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// addService makes the ports reachable inside of the cluster. The first port of a
// web app is port 80 of its Service, whatever it is in the container.
func (m *maker) addService() {
	ports := m.plan.Config.Ports
	if len(ports) == 0 {
		return
	}
	http := m.isKind(m.facts.Workload.HTTP)
	var out []corev1.ServicePort
	names := m.facts.portNames(ports, http)
	for i, port := range ports {
		name := names[i]
		number := port
		if web := m.web(); http && i == 0 && !slices.Contains(ports, web) {
			number = web
		}
		out = append(out, corev1.ServicePort{Name: name, Port: int32(number), TargetPort: intstr.FromString(name), Protocol: corev1.ProtocolTCP})
	}
	service := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: m.meta(),
		Spec: corev1.ServiceSpec{Selector: m.labels(), Ports: out},
	}
	comments := map[string]string{"spec": "For callers in the cluster; from outside, put a Gateway or an Ingress in front, whose controller runs on Linux nodes."}
	if !m.alone && slices.ContainsFunc(m.single, func(r singleRow) bool { return r.Affinity }) {
		service.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		comments["spec.sessionAffinity"] = "A client stays with the pod that has its session, in a rollout too, as long as that runs; behind a proxy all are one client, and a rollout ends each session."
	}
	m.objects = append(m.objects, Object{"service.yaml", service, comments})
}

// web is the port of http.
func (m *maker) web() int {
	for _, r := range m.facts.Ports {
		if r.Name == "http" {
			return r.Number
		}
	}
	return 0
}
