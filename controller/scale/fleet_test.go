// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"bytes"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/scale/scaletest"
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

// newFleet is a cluster of Nodes as large as those of OpenShift, about 18 KB each in JSON, with an
// agent on each of them that follows its intent. What deploy/ ships is applied.
func newFleet(size int) *apiServer {
	s := newAPIServer()
	s.patched = s.agent
	s.mu.Lock()
	defer s.mu.Unlock()
	like := scaletest.Node(0) // All of them share its images and fields.
	for i := range size {
		n := scaletest.Node(i)
		n.Status.Images, n.ManagedFields = like.Status.Images, like.ManagedFields
		report, err := scaletest.Idle(i).Encode()
		must(err)
		n.Annotations[node.ReportAnnotation] = report
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
		n.Status.Conditions = scaletest.Conditions(status, time.Now())
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
