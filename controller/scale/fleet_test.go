// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// account is the one that the policies of deploy/ name.
const account = "system:serviceaccount:kata-node:kata-controller"

// work is how long an agent of the fleet takes for what it does between two reports.
const work = 20 * time.Millisecond

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func nodeType() metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "v1", Kind: "Node"} }

// newFleet is a cluster of Nodes as large as those of OpenShift, about 18 KB each in JSON, with an
// agent on each of them that follows its intent. What deploy/ ships is applied.
func newFleet(size int) *apiServer {
	s := newAPIServer()
	s.patched = s.agent
	s.mu.Lock()
	defer s.mu.Unlock()
	images, fields := imagesOfANode(), fieldsOfANode()
	for i := range size {
		n := oneNode(i)
		n.Status.Images, n.ManagedFields = images, fields
		s.stamp(n)
		s.nodes[n.Name] = n
	}
	for _, file := range []string{"10-crd.yaml", "30-policy-nodes.yaml"} {
		s.apply("../../deploy/" + file)
	}
	return s
}

// apply stores what a file of deploy/ has. The lock is held.
func (s *apiServer) apply(file string) {
	text, err := os.ReadFile(file)
	must(err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 1<<20)
	for {
		o := &unstructured.Unstructured{}
		if decoder.Decode(&o.Object) != nil {
			return
		}
		resource := strings.ToLower(o.GetKind()) + "s"
		s.store(strings.Replace(resource, "policys", "policies", 1), added, o)
	}
}

// install applies a KataConfig for all nodes.
func (s *apiServer) install(parallel int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kataconfiguration.openshift.io/v1", "kind": "KataConfig",
		"spec": map[string]any{"config": map[string]any{"payloadImage": factstest.PayloadA, "maxParallel": int64(parallel), "maxUnavailable": int64(parallel)}},
	}}
	o.SetName("all")
	o.SetUID("uid-of-all")
	o.SetGeneration(1)
	o.SetCreationTimestamp(metav1.Now())
	s.store("kataconfigs", added, o)
}

// installed makes every node one that was installed before.
func (s *apiServer) installed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := node.ReadyValue
	for _, n := range s.nodes {
		wanted := node.Intent{Owner: node.Owner{Name: "all", UID: "uid-of-all"}, State: node.StateInstalled, Payload: factstest.PayloadA, HostPackages: node.HostPackagesAuto, Issued: time.Now()}.Identify(string(n.UID))
		intent, err := wanted.Encode()
		must(err)
		r, err := node.DecodeReport(n.Annotations[node.ReportAnnotation])
		must(err)
		r.IntentID, r.Phase, r.Payload = wanted.ID, node.PhaseInstalled, node.Digest(wanted.Payload)
		report, err := r.Encode()
		must(err)
		n.Annotations = merge(n.Annotations, map[string]*string{node.IntentAnnotation: &intent, node.ReportAnnotation: &report})
		n.Labels = merge(n.Labels, map[string]*string{node.ReadyLabel: &ready})
	}
}

// completed is the count in the status of the KataConfig.
func (s *apiServer) completed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, _, err := unstructured.NestedInt64(s.objects["kataconfigs"]["all"].Object, "status", "CompletedNodesCount")
	must(err)
	return int(count)
}

// agent answers an intent as the real one does on a node whose CRI-O has to be restarted once.
func (s *apiServer) agent(n *corev1.Node) {
	document, found := n.Annotations[node.IntentAnnotation]
	if !found {
		return
	}
	intent, err := node.DecodeIntent(document)
	must(err)
	report, err := node.DecodeReport(n.Annotations[node.ReportAnnotation])
	must(err)
	next := report
	next.IntentID, next.Phase = intent.ID, node.PhaseAwaitingGrant
	if intent.Grants.RestartCRIO == report.BootID {
		next.Phase, next.Payload = node.PhaseInstalled, node.Digest(intent.Payload)
	}
	if next.IntentID == report.IntentID && next.Phase == report.Phase {
		return
	}
	time.AfterFunc(work, func() { s.report(n.Name, next) })
}

func (s *apiServer) report(name string, r node.Report) {
	document, err := r.Encode()
	must(err)
	_, err = s.update(name, func(n *corev1.Node) error {
		n.Annotations = merge(n.Annotations, map[string]*string{node.ReportAnnotation: &document})
		return nil
	})
	must(err)
}

// setReady changes the kubelet's own condition.
func (s *apiServer) setReady(name string, status corev1.ConditionStatus) {
	_, err := s.update(name, func(n *corev1.Node) error {
		n.Status.Conditions = conditions(status, time.Now())
		return nil
	})
	must(err)
}

// heartbeats renews the conditions of every Node, as each kubelet does every five minutes.
func (s *apiServer) heartbeats() {
	s.mu.Lock()
	names := s.names()
	s.mu.Unlock()
	for _, name := range names {
		s.setReady(name, corev1.ConditionTrue)
	}
}

func nameOf(i int) string { return fmt.Sprintf("worker-%05d.example.internal", i) }

func oneNode(i int) *corev1.Node {
	name := nameOf(i)
	report, err := node.Report{Version: node.Version, Speaks: []int{node.Version}, BootID: bootOf(i), Architecture: "amd64", Phase: node.PhaseIdle}.Encode()
	must(err)
	n := &corev1.Node{
		TypeMeta:   nodeType(),
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)), CreationTimestamp: metav1.Now(), Labels: labelsOf(name, i)},
		Spec:       corev1.NodeSpec{ProviderID: fmt.Sprintf("aws:///eu-central-1a/i-%017d", i)},
	}
	n.Annotations = map[string]string{
		node.ReportAnnotation:                             report,
		"k8s.ovn.org/l3-gateway-config":                   fmt.Sprintf(`{"default":{"mode":"shared","bridge-id":"br-ex","interface-id":"br-ex_%s","ip-addresses":["10.0.%d.%d/16"],"next-hops":["10.0.0.1"],"node-port-enable":"true","vlan-id":"0"}}`, name, i/250, i%250),
		"machineconfiguration.openshift.io/currentConfig": "rendered-worker-0123456789abcdef0123456789abcdef",
		"machineconfiguration.openshift.io/desiredConfig": "rendered-worker-0123456789abcdef0123456789abcdef",
		"machineconfiguration.openshift.io/state":         "Done",
	}
	n.Status.Conditions = conditions(corev1.ConditionTrue, time.Now())
	n.Status.NodeInfo = corev1.NodeSystemInfo{
		BootID: bootOf(i), MachineID: bootOf(i), SystemUUID: bootOf(i), OperatingSystem: "linux", Architecture: "amd64",
		KubeletVersion: "v1.33.5", ContainerRuntimeVersion: "cri-o://1.33.12-3.rhaos4.20.git64c6a00.el9",
		OSImage: "Red Hat Enterprise Linux CoreOS 9.6.20251013-0 (Plow)", KernelVersion: "5.14.0-570.96.1.el9_6.x86_64",
	}
	n.Status.RuntimeHandlers = []corev1.NodeRuntimeHandler{{Name: ""}, {Name: "crun"}, {Name: "runc"}, {Name: node.Handler}}
	n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("263840768Ki"), corev1.ResourcePods: resource.MustParse("250")}
	n.Status.Allocatable = n.Status.Capacity
	return n
}

func bootOf(i int) string { return fmt.Sprintf("0a1b2c3d-0000-4000-8000-%012d", i) }

// labelsOf are 27 labels, as many as a node of OpenShift with node feature discovery has.
func labelsOf(name string, i int) map[string]string {
	labels := map[string]string{
		corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		"node-role.kubernetes.io/worker": "", corev1.LabelInstanceTypeStable: "m6i.metal",
		corev1.LabelTopologyRegion: "eu-central-1", corev1.LabelTopologyZone: fmt.Sprintf("eu-central-1%c", 'a'+i%3),
	}
	features := map[string]string{}
	for f := range 20 {
		features[fmt.Sprintf("feature.node.kubernetes.io/cpu-cpuid.FEATURE%02d", f)] = "true"
	}
	maps.Copy(labels, features)
	return labels
}

func conditions(ready corev1.ConditionStatus, now time.Time) []corev1.NodeCondition {
	var out []corev1.NodeCondition
	for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		out = append(out, corev1.NodeCondition{Type: kind, Status: corev1.ConditionFalse, LastHeartbeatTime: metav1.NewTime(now), Reason: "KubeletHasSufficient", Message: "kubelet has sufficient memory available"})
	}
	return append(out, corev1.NodeCondition{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(now), Reason: "KubeletReady", Message: "kubelet is posting ready status"})
}

func imagesOfANode() []corev1.ContainerImage {
	images := make([]corev1.ContainerImage, 0, 50)
	for i := range 50 {
		images = append(images, corev1.ContainerImage{SizeBytes: 1 << 28, Names: []string{
			fmt.Sprintf("quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:%064d", i), "quay.io/openshift-release-dev/ocp-v4.0-art-dev:<none>",
		}})
	}
	return images
}

func fieldsOfANode() []metav1.ManagedFieldsEntry {
	const fields = `{"f:metadata":{"f:annotations":{"f:k8s.ovn.org/node-subnets":{}},"f:labels":{"f:feature.node.kubernetes.io/cpu-cpuid.FEATURE00":{}}}}`
	var out []metav1.ManagedFieldsEntry
	for _, manager := range []string{"kubelet", "kube-controller-manager", "ovnkube-node", "machine-config-daemon", "nfd-master", "kata-controller"} {
		out = append(out, metav1.ManagedFieldsEntry{Manager: manager, Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(strings.Repeat(" ", 900) + fields)})
	}
	return out
}
