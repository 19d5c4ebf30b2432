package kube

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/winpack/winpack/fixtures/kubernetes"
)

func goodPod() *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec: corev1.PodSpec{
			OS:           &corev1.PodOS{Name: corev1.Windows},
			NodeSelector: map[string]string{"kubernetes.io/os": "windows"},
			Containers: []corev1.Container{{
				Name: "shop", Image: "registry.example.com/shop:1",
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: `C:\data`}},
			}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
}

func to[T any](v T) *T { return &v }

// Each row of what Windows refuses has a pod here that the API server takes: that
// is what the checks are for.
func TestCheckFindsWhatTheServerLetsPass(t *testing.T) {
	f, err := load()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string][]func(*corev1.Pod){
		"os-name": {func(p *corev1.Pod) { p.Spec.OS = nil }},
		"node-selector": {
			func(p *corev1.Pod) { p.Spec.NodeSelector = nil },
			func(p *corev1.Pod) { p.Spec.NodeSelector["kubernetes.io/os"] = "linux" },
		},
		"os-label":     {func(p *corev1.Pod) { p.Labels = map[string]string{"kubernetes.io/os": "linux"} }},
		"host-network": {func(p *corev1.Pod) { p.Spec.HostNetwork = true }},
		"host-process": {
			func(p *corev1.Pod) {
				p.Spec.HostNetwork = true
				p.Spec.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: to(true)}}
			},
			func(p *corev1.Pod) {
				p.Spec.HostNetwork = true
				p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: to(true)}}
			},
		},
		"dns-policy":    {func(p *corev1.Pod) { p.Spec.DNSPolicy = corev1.DNSClusterFirstWithHostNet }},
		"memory-volume": {func(p *corev1.Pod) { p.Spec.Volumes[0].EmptyDir.Medium = corev1.StorageMediumMemory }},
		"volume-kind": {
			func(p *corev1.Pod) {
				p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nas", Path: "/x"}}
			},
			func(p *corev1.Pod) {
				p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run"}}
			},
		},
		"default-mode": {func(p *corev1.Pod) {
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x", DefaultMode: to(int32(0o400))}}
		}},
		"volume-devices": {func(p *corev1.Pod) {
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}
			p.Spec.Containers[0].VolumeMounts = nil
			p.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "data", DevicePath: "/dev/x"}}
		}},
		"mount-propagation": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts[0].MountPropagation = to(corev1.MountPropagationHostToContainer)
		}},
		"mount-path": {func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].MountPath = "/data" }},
		"hugepages": {func(p *corev1.Pod) {
			list := corev1.ResourceList{"hugepages-2Mi": resource.MustParse("2Mi"), "memory": resource.MustParse("1Gi"), "cpu": resource.MustParse("1")}
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: list}
		}},
		"env-name": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "Path", Value: "a"}, {Name: "PATH", Value: "b"}}
		}},
		"command": {
			func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"cmd"} },
			func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"/c"} },
		},
		"non-root": {
			func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: to(true), WindowsOptions: &corev1.WindowsSecurityContextOptions{RunAsUserName: to("containeradministrator")}}
			},
			func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: to(true)}
				p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{RunAsUserName: to("ContainerAdministrator")}}
			},
		},
	}
	for _, row := range f.Refused {
		if len(bad[row.ID]) == 0 {
			t.Errorf("no pod here is one that %s refuses", row.ID)
		}
		for i, change := range bad[row.ID] {
			pod := goodPod()
			change(pod)
			got, err := Check(pod)
			if err != nil || !strings.Contains(strings.Join(got, "\n"), row.Why) {
				t.Errorf("%s %d passes: %q, %v", row.ID, i, got, err)
			}
			text, err := yaml.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			if refused := kubernetes.Document(t, text); refused != nil {
				t.Errorf("%s %d: the API server refuses it itself, so the check is for nothing: %q", row.ID, i, refused)
			}
		}
	}
	for id := range bad {
		if checks()[id] == nil {
			t.Errorf("%s is no check", id)
		}
	}
	if got, err := Check(goodPod()); err != nil || len(got) != 0 {
		t.Errorf("a good pod is refused: %q, %v", got, err)
	}
}

// A pod is looked at wherever it stands.
func TestCheckLooksIntoEachWorkload(t *testing.T) {
	template := corev1.PodTemplateSpec{Spec: goodPod().Spec}
	template.Spec.HostNetwork = true
	for _, object := range []any{
		&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: template}},
		&batchv1.Job{Spec: batchv1.JobSpec{Template: template}},
		&corev1.Pod{Spec: template.Spec},
	} {
		if got, err := Check(object); err != nil || len(got) != 1 {
			t.Errorf("%T: %q, %v", object, got, err)
		}
	}
	template.Spec.HostNetwork = false
	template.Spec.InitContainers = []corev1.Container{{Name: "init", Command: []string{"cmd"}}}
	if got, err := Check(&batchv1.Job{Spec: batchv1.JobSpec{Template: template}}); err != nil || len(got) != 1 || !strings.Contains(got[0], "container init") {
		t.Errorf("an init container is not looked at: %q, %v", got, err)
	}
}

func TestTableWithAMistakeIsRefused(t *testing.T) {
	for what, change := range map[string][2]string{
		"an unknown key":             {`drain = `, `drian = `},
		"a source that nobody named": {`source = ["guide"]`, `source = ["hearsay"]`},
		"a row without confidence":   {`confidence = "low"`, `confidence = ""`},
		"a family without a time":    {`startup_period = 5`, `startup_period = 0`},
		"a reason that is missing":   {`more = "make sure of it"`, `more = ""`},
		"a wrong type":               {`grace = 30`, `grace = "30"`},
	} {
		text := strings.Replace(factsText, change[0], change[1], 1)
		if text == factsText {
			t.Errorf("%s: %q is not in the table", what, change[0])
		} else if _, err := parseFacts(text); err == nil {
			t.Errorf("the table is taken with %s", what)
		}
	}
	if _, err := parseFacts(factsText); err != nil {
		t.Errorf("the table itself is refused: %v", err)
	}
}
