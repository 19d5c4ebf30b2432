package kube

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// podCheck looks for one thing that Windows does not do, and returns the places.
type podCheck func(f *facts, meta map[string]string, spec *corev1.PodSpec) []string

// checks are the code of the rows of [[refused]] in kube.toml, by their ID.
func checks() map[string]podCheck {
	return map[string]podCheck{
		"os-name": func(f *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return place(spec.OS == nil || string(spec.OS.Name) != f.Scheduling.OS, "os.name")
		},
		"node-selector": func(f *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return place(spec.NodeSelector[f.Scheduling.OSLabel] != f.Scheduling.OS, "nodeSelector")
		},
		"os-label": func(f *facts, labels map[string]string, _ *corev1.PodSpec) []string {
			value, set := labels[f.Scheduling.OSLabel]
			return place(set && value != f.Scheduling.OS, "metadata.labels")
		},
		"host-network": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return place(spec.HostNetwork, "hostNetwork")
		},
		"host-process": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			out := place(spec.SecurityContext != nil && hostProcess(spec.SecurityContext.WindowsOptions), "securityContext.windowsOptions.hostProcess")
			return append(out, containers(spec, func(c *corev1.Container) bool {
				return c.SecurityContext != nil && hostProcess(c.SecurityContext.WindowsOptions)
			})...)
		},
		"dns-policy": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return place(spec.DNSPolicy == corev1.DNSClusterFirstWithHostNet, "dnsPolicy")
		},
		"memory-volume": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return volumes(spec, func(v *corev1.Volume) bool {
				return v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumDefault
			})
		},
		"volume-kind": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return volumes(spec, func(v *corev1.Volume) bool {
				return v.NFS != nil || v.ISCSI != nil || v.FC != nil || v.RBD != nil || v.CephFS != nil || v.Glusterfs != nil ||
					v.HostPath != nil && !windowsDrive.MatchString(v.HostPath.Path)
			})
		},
		"default-mode": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return volumes(spec, func(v *corev1.Volume) bool {
				return v.ConfigMap != nil && v.ConfigMap.DefaultMode != nil || v.Secret != nil && v.Secret.DefaultMode != nil ||
					v.Projected != nil && v.Projected.DefaultMode != nil
			})
		},
		"volume-devices": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return containers(spec, func(c *corev1.Container) bool { return len(c.VolumeDevices) > 0 })
		},
		"mount-propagation": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return containers(spec, func(c *corev1.Container) bool {
				return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
					return m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone
				})
			})
		},
		"mount-path": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return containers(spec, func(c *corev1.Container) bool {
				return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return !windowsDrive.MatchString(m.MountPath) })
			})
		},
		"hugepages": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return containers(spec, func(c *corev1.Container) bool {
				for name := range c.Resources.Limits {
					if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
						return true
					}
				}
				return false
			})
		},
		"env-name": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return containers(spec, func(c *corev1.Container) bool {
				seen := map[string]bool{}
				for _, e := range c.Env {
					if seen[strings.ToUpper(e.Name)] {
						return true
					}
					seen[strings.ToUpper(e.Name)] = true
				}
				return false
			})
		},
		"command": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			return containers(spec, func(c *corev1.Container) bool { return len(c.Command) > 0 || len(c.Args) > 0 })
		},
		"non-root": func(_ *facts, _ map[string]string, spec *corev1.PodSpec) []string {
			administrator := func(o *corev1.WindowsSecurityContextOptions) bool {
				return o != nil && o.RunAsUserName != nil && strings.EqualFold(*o.RunAsUserName, "ContainerAdministrator")
			}
			s := spec.SecurityContext
			nonRoot := s != nil && s.RunAsNonRoot != nil && *s.RunAsNonRoot
			out := place(nonRoot && administrator(s.WindowsOptions), "securityContext.runAsNonRoot")
			return append(out, containers(spec, func(c *corev1.Container) bool {
				own := c.SecurityContext
				if own == nil {
					return false
				}
				return (nonRoot && own.RunAsNonRoot == nil || own.RunAsNonRoot != nil && *own.RunAsNonRoot) && administrator(own.WindowsOptions)
			})...)
		},
	}
}

// windowsDrive starts an absolute path of Windows.
var windowsDrive = regexp.MustCompile(`^[A-Za-z]:([\\/]|$)`)

func hostProcess(o *corev1.WindowsSecurityContextOptions) bool {
	return o != nil && o.HostProcess != nil && *o.HostProcess
}

func place(found bool, where string) []string {
	if !found {
		return nil
	}
	return []string{where}
}

func containers(spec *corev1.PodSpec, found func(*corev1.Container) bool) []string {
	var out []string
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if found(&list[i]) {
				out = append(out, "container "+list[i].Name)
			}
		}
	}
	return out
}

func volumes(spec *corev1.PodSpec, found func(*corev1.Volume) bool) []string {
	var out []string
	for i := range spec.Volumes {
		if found(&spec.Volumes[i]) {
			out = append(out, "volume "+spec.Volumes[i].Name)
		}
	}
	return out
}

// Check names what the API server lets pass in an object and a Windows node does
// not do. It says nothing of what the API server refuses itself.
func Check(object any) ([]string, error) {
	f, err := load()
	if err != nil {
		return nil, err
	}
	var template *corev1.PodTemplateSpec
	switch o := object.(type) {
	case *appsv1.Deployment:
		template = &o.Spec.Template
	case *batchv1.Job:
		template = &o.Spec.Template
	case *corev1.Pod:
		template = &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}
	default: // it has no pod
		return nil, nil
	}
	all := checks()
	var out []string
	for _, row := range f.Refused {
		check := all[row.ID]
		if check == nil {
			return nil, fmt.Errorf("parsing kube.toml: %q is refused, and no check looks for it", row.ID)
		}
		for _, where := range check(f, template.Labels, &template.Spec) {
			out = append(out, fmt.Sprintf("%s (%s): %s", row.Field, where, row.Why))
		}
	}
	return out, nil
}
