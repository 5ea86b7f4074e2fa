// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// Runs is what a node says that it runs, as far as payloads are chosen by it. What it does not say
// is empty.
type Runs struct {
	// OpenShift is the minor version, such as 4.20. No node says more.
	OpenShift string
	// Kubernetes is the kubelet's version, such as v1.33.5.
	Kubernetes string
	// Architecture is a Go architecture name.
	Architecture string
	// RHEL is the major version of RHEL or CentOS Stream, 0 for another system.
	RHEL int
}

// Release is what the catalogue says about a node. Its zero value is that no catalogue is there.
type Release struct {
	// Payload is the image for what the node runs, empty where none fits.
	Payload string
	// Problem is why none fits.
	Problem string
	// Prefetch is the image that the node will need after the upgrade that its cluster has begun,
	// empty for none.
	Prefetch string
}

var (
	// OpenShift's packages name their release in their own, and CRI-O says it to the kubelet:
	// cri-o://1.33.12-3.rhaos4.20.git64c6a00.el9. The kubelet's version would not do: OpenShift 5.0
	// and 4.22 both have been seen with Kubernetes 1.35.
	packaged = regexp.MustCompile(`[.]rhaos([1-9][0-9]?[.][0-9]{1,3})[.]`)
	// Up to 4.18 the operating system's version began with OpenShift's, in OKD too:
	// "CentOS Stream CoreOS 418.9.202504250632-0".
	numbered = regexp.MustCompile(`CoreOS ([4-9])([0-9]{2})[.][0-9]+[.]`)
	// Kernels of RHEL and its relatives name its version: 5.14.0-570.96.1.el9_6.x86_64.
	enterprise = regexp.MustCompile(`[.]el([1-9][0-9]?)(?:[^0-9]|$)`)
)

func runs(n *corev1.Node) Runs {
	info := n.Status.NodeInfo
	out := Runs{Kubernetes: info.KubeletVersion, Architecture: info.Architecture}
	if found := packaged.FindStringSubmatch(info.ContainerRuntimeVersion); found != nil {
		out.OpenShift = found[1]
	} else if found := numbered.FindStringSubmatch(info.OSImage); found != nil {
		out.OpenShift = found[1] + "." + found[2]
	}
	if found := enterprise.FindStringSubmatch(info.KernelVersion); found != nil {
		if major, err := strconv.Atoi(found[1]); err == nil {
			out.RHEL = major
		}
	}
	return out
}
