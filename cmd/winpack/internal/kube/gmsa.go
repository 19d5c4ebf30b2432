package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CredentialSpec is a GMSACredentialSpec, an object of a CRD for which there is no
// module with types alone (kubernetes-sigs/windows-gmsa, gmsa-crd.yml).
type CredentialSpec struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	CredSpec          Credentials `json:"credspec"`
}

// Credentials are what New-CredentialSpec prints of an account.
type Credentials struct {
	ActiveDirectoryConfig struct {
		GroupManagedServiceAccounts []Account `json:"GroupManagedServiceAccounts"`
	} `json:"ActiveDirectoryConfig"`
	CmsPlugins       []string         `json:"CmsPlugins"`
	DomainJoinConfig DomainJoinConfig `json:"DomainJoinConfig"`
}

// Account is a gMSA in a domain, which Scope names.
type Account struct {
	Name  string `json:"Name"`
	Scope string `json:"Scope"`
}

// DomainJoinConfig is the domain.
type DomainJoinConfig struct {
	DNSName            string `json:"DnsName"`
	DNSTreeName        string `json:"DnsTreeName"`
	GUID               string `json:"Guid"`
	MachineAccountName string `json:"MachineAccountName"`
	NetBIOSName        string `json:"NetBiosName"`
	SID                string `json:"Sid"`
}

// decideGMSA says whether the pod gets an account of a domain.
func (m *maker) decideGMSA() {
	var hints []string
	for _, row := range m.facts.GMSAFacts {
		switch {
		case !row.holds(m.report):
		case row.Hint:
			hints = append(hints, row.Why)
		default:
			m.gmsaWhy = append(m.gmsaWhy, row.Why)
		}
	}
	switch {
	case m.opt.GMSA != "":
		m.gmsa = m.opt.GMSA
		if m.gmsaWhy = append(m.gmsaWhy, hints...); len(m.gmsaWhy) == 0 {
			m.gmsaWhy = []string{"--gmsa asks for it"}
		}
	case len(m.gmsaWhy) > 0:
		m.gmsa = m.name + "-gmsa"
	default:
		m.gmsaWhy = hints
	}
}

// Placeholders of a credential spec, which only the domain can fill in.
const (
	fillAccount = "FILL-IN-ACCOUNT"
	fillNetBIOS = "FILL-IN-NETBIOS-NAME"
	fillDNS     = "fill-in.example.com"
	fillGUID    = "00000000-0000-0000-0000-000000000000"
	fillSID     = "S-1-5-21-0-0-0"
)

// addGMSA lets the pod's service account use the credential spec, and writes a
// skeleton of it where no name was given.
func (m *maker) addGMSA() {
	if m.gmsa == "" {
		return
	}
	const file = "gmsa.yaml"
	g := m.facts.GMSA
	add := func(value any, comment string) {
		m.objects = append(m.objects, Object{file, value, map[string]string{"": comment}})
	}
	if m.opt.GMSA == "" {
		spec := &CredentialSpec{
			TypeMeta:   metav1.TypeMeta{APIVersion: g.APIVersion, Kind: g.Kind},
			ObjectMeta: metav1.ObjectMeta{Name: m.gmsa, Labels: m.labels()},
		}
		spec.CredSpec.ActiveDirectoryConfig.GroupManagedServiceAccounts = []Account{{fillAccount, fillNetBIOS}, {fillAccount, fillDNS}}
		spec.CredSpec.CmsPlugins = []string{"ActiveDirectory"}
		spec.CredSpec.DomainJoinConfig = DomainJoinConfig{fillDNS, fillDNS, fillGUID, fillAccount, fillNetBIOS, fillSID}
		add(spec, "Fill this in: New-CredentialSpec (PowerShell module CredentialSpec) prints the values on a machine of the domain. "+
			"The cluster needs the CRD and the webhooks of windows-gmsa, and an Active Directory that the nodes reach (not Entra ID alone). "+
			"Where the administrators of the cluster have a credential spec, name it with --gmsa instead.")
		m.note("%s: the credential spec %s holds values to fill in; --gmsa NAME takes one that exists", m.gmsaWhy[0], m.gmsa)
	}
	namespace := m.opt.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	// What is not the namespace's own may not have its name in another one.
	role := m.name + "-gmsa"
	if m.opt.Namespace != "" {
		role = fmt.Sprintf("%s-%s", m.opt.Namespace, role)
	}
	add(&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: m.meta()}, "The pod's own, so that no other may use the credential spec.")
	add(&rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: role, Labels: m.labels()},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{g.Group}, Resources: []string{g.Resource}, Verbs: []string{g.Verb}, ResourceNames: []string{m.gmsa}}},
	}, "")
	binding := m.meta()
	binding.Name += "-gmsa"
	add(&rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: binding,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: m.name, Namespace: namespace}},
	}, "")
}
