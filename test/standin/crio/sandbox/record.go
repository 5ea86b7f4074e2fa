// SPDX-License-Identifier: Apache-2.0

// Package sandbox holds CRI-O's records of pod sandboxes, in memory and below its root.
// Like CRI-O's they survive its restarts, and where their shim had ended also a reboot of the node.
package sandbox

import (
	"fmt"
	"maps"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	labelName      = "io.kubernetes.pod.name"
	labelNamespace = "io.kubernetes.pod.namespace"
	labelUID       = "io.kubernetes.pod.uid"
)

// Infra says what keeps a sandbox.
type Infra string

const (
	// InfraNone means that the sandbox is a record alone: CRI-O drops the infra container where
	// nothing needs it.
	InfraNone Infra = ""
	// InfraShim means that a vm handler's shim keeps it.
	InfraShim Infra = "shim"
	// InfraOCI means that a container of an OCI runtime keeps it.
	InfraOCI Infra = "oci"
)

// Record is one sandbox. Stopped is the only field that changes during its life.
type Record struct {
	ID          string            `json:"id"`
	PodName     string            `json:"podName"`
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid"`
	Attempt     uint32            `json:"attempt"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Handler     string            `json:"handler"`
	HostNetwork bool              `json:"hostNetwork"`
	LogDir      string            `json:"logDir,omitempty"` // as asked for; empty leaves it to CRI-O
	Infra       Infra             `json:"infra"`
	CreatedAt   time.Time         `json:"createdAt"`
	Stopped     bool              `json:"stopped"`
}

// New makes the record of a request, with the labels the kubelet would have set filled in.
func New(id string, req *runtimeapi.RunPodSandboxRequest, created time.Time) (Record, error) {
	c, m := req.GetConfig(), req.GetConfig().GetMetadata()
	for field, value := range map[string]string{"name": m.GetName(), "namespace": m.GetNamespace(), "uid": m.GetUid()} {
		if value == "" {
			return Record{}, fmt.Errorf("setting pod sandbox name and id: cannot generate pod name without %s in metadata", field)
		}
	}
	network := c.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork()
	r := Record{
		ID: id, PodName: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUid(), Attempt: m.GetAttempt(),
		Labels:      map[string]string{labelName: m.GetName(), labelNamespace: m.GetNamespace(), labelUID: m.GetUid()},
		Annotations: c.GetAnnotations(), Handler: req.GetRuntimeHandler(),
		HostNetwork: network == runtimeapi.NamespaceMode_NODE, LogDir: c.GetLogDirectory(), CreatedAt: created,
	}
	maps.Copy(r.Labels, c.GetLabels())
	return r, nil
}

// Name is unique among sandboxes: a second request for it gets the first one's id.
func (r Record) Name() string {
	return fmt.Sprintf("k8s_%s_%s_%s_%d", r.PodName, r.Namespace, r.UID, r.Attempt)
}

// State is READY until the sandbox is stopped.
func (r Record) State() runtimeapi.PodSandboxState {
	if r.Stopped {
		return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	}
	return runtimeapi.PodSandboxState_SANDBOX_READY
}

// CRI is the record as ListPodSandbox shows it. CRI-O leaves the handler out, here and in Status.
func (r Record) CRI() *runtimeapi.PodSandbox {
	return &runtimeapi.PodSandbox{
		Id: r.ID, State: r.State(), CreatedAt: r.CreatedAt.UnixNano(), Labels: r.Labels, Annotations: r.Annotations,
		Metadata: r.metadata(),
	}
}

// Status is the record as PodSandboxStatus shows it.
func (r Record) Status() *runtimeapi.PodSandboxStatus {
	mode := runtimeapi.NamespaceMode_POD
	if r.HostNetwork {
		mode = runtimeapi.NamespaceMode_NODE
	}
	return &runtimeapi.PodSandboxStatus{
		Id: r.ID, State: r.State(), CreatedAt: r.CreatedAt.UnixNano(), Labels: r.Labels, Annotations: r.Annotations,
		Metadata: r.metadata(), Network: &runtimeapi.PodSandboxNetworkStatus{},
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: &runtimeapi.NamespaceOption{Network: mode}}},
	}
}

func (r Record) metadata() *runtimeapi.PodSandboxMetadata {
	return &runtimeapi.PodSandboxMetadata{Name: r.PodName, Namespace: r.Namespace, Uid: r.UID, Attempt: r.Attempt}
}
