// SPDX-License-Identifier: Apache-2.0

package nodestatus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// silence is how long a runtime may leave Status unanswered before its node stops being Ready; the
// kubelet's own threshold.
const silence = 30 * time.Second

// Runtime is what the runtime has said about itself so far. Its zero value is a runtime that never
// answered.
type Runtime struct {
	// Name and Version come from CRI Version, Handlers (sorted by name) from CRI Status and from
	// nowhere else.
	Name, Version string
	Handlers      []corev1.NodeRuntimeHandler
	lastReady     time.Time
	problem       error
	network       error
}

// Observe takes in one answer to Version and Status. Handlers of a runtime that calls itself not
// ready are ignored, as by the kubelet.
func (r Runtime) Observe(version *cri.VersionResponse, status *cri.StatusResponse, at time.Time) Runtime {
	r.Name, r.Version = version.GetRuntimeName(), version.GetRuntimeVersion()
	r.network = condition(status, cri.NetworkReady, "container runtime network not ready")
	r.problem = condition(status, cri.RuntimeReady, "container runtime not ready")
	if r.problem == nil {
		r.Handlers, r.lastReady = handlers(status), at
	}
	return r
}

// Problem returns why a node with this runtime is not Ready at the given moment, or nil.
func (r Runtime) Problem(now time.Time) error {
	var silent error
	switch {
	case r.lastReady.IsZero():
		silent = errors.New("container runtime status check may not have completed yet")
	case now.Sub(r.lastReady) >= silence:
		silent = errors.New("container runtime is down")
	}
	return errors.Join(silent, r.problem, r.network)
}

func condition(status *cri.StatusResponse, kind, complaint string) error {
	for _, c := range status.GetStatus().GetConditions() {
		if c.GetType() == kind && c.GetStatus() {
			return nil
		}
		if c.GetType() == kind {
			return fmt.Errorf("%s: %s", complaint, c.GetMessage())
		}
	}
	return fmt.Errorf("%s: the runtime does not report %s", complaint, kind)
}

func handlers(status *cri.StatusResponse) []corev1.NodeRuntimeHandler {
	var out []corev1.NodeRuntimeHandler
	for _, h := range status.GetRuntimeHandlers() {
		out = append(out, corev1.NodeRuntimeHandler{Name: h.GetName(), Features: &corev1.NodeRuntimeHandlerFeatures{
			RecursiveReadOnlyMounts: new(h.GetFeatures().GetRecursiveReadOnlyMounts()),
			UserNamespaces:          new(h.GetFeatures().GetUserNamespaces()),
		}})
	}
	slices.SortFunc(out, func(a, b corev1.NodeRuntimeHandler) int { return strings.Compare(a.Name, b.Name) })
	return out
}
