// SPDX-License-Identifier: Apache-2.0

package facts_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/facts"
)

// The texts are those of real nodes.
func TestWhatANodeSaysThatItRuns(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		info corev1.NodeSystemInfo
		want facts.Runs
	}{
		"OpenShift 4.22 on RHEL 9": {
			corev1.NodeSystemInfo{KubeletVersion: "v1.35.6", ContainerRuntimeVersion: "cri-o://1.35.8-11.rhaos4.22.giteaf45bc.el9", OSImage: "Red Hat Enterprise Linux CoreOS 9.8.20260915-0 (Plow)", KernelVersion: "5.14.0-687.48.1.el9_8.x86_64", Architecture: "amd64"},
			facts.Runs{OpenShift: "4.22", Kubernetes: "v1.35.6", RHEL: 9, Architecture: "amd64"},
		},
		"OpenShift 5.0 on RHEL 10": {
			corev1.NodeSystemInfo{KubeletVersion: "v1.35.3", ContainerRuntimeVersion: "cri-o://1.36.1-2.rhaos5.0.git5d8e346.el10", OSImage: "Red Hat Enterprise Linux CoreOS 10.2.20260627-0 (Coughlan)", KernelVersion: "6.12.0-211.28.1.el10_2.x86_64"},
			facts.Runs{OpenShift: "5.0", Kubernetes: "v1.35.3", RHEL: 10},
		},
		"a vendor's kernel": {
			corev1.NodeSystemInfo{ContainerRuntimeVersion: "cri-o://1.36.1-2.rhaos5.0.git5d8e346.el10", KernelVersion: "6.12.0-231.12.el10nv.aarch64+64k", Architecture: "arm64"},
			facts.Runs{OpenShift: "5.0", RHEL: 10, Architecture: "arm64"},
		},
		"OpenShift 4.7": {
			corev1.NodeSystemInfo{KubeletVersion: "v1.20.0+bd9e442", ContainerRuntimeVersion: "cri-o://1.20.0-0.rhaos4.7.gitfdbdf43.el8.52", OSImage: "Red Hat Enterprise Linux CoreOS 47.84.202102161611-0 (Ootpa)", KernelVersion: "4.18.0-287.el8.x86_64"},
			facts.Runs{OpenShift: "4.7", Kubernetes: "v1.20.0+bd9e442", RHEL: 8},
		},
		"OKD 4.18": {
			corev1.NodeSystemInfo{KubeletVersion: "v1.31.6", ContainerRuntimeVersion: "cri-o://1.31.6", OSImage: "CentOS Stream CoreOS 418.9.202504250632-0", KernelVersion: "5.14.0-580.el9.x86_64"},
			facts.Runs{OpenShift: "4.18", Kubernetes: "v1.31.6", RHEL: 9},
		},
		"OKD from 4.19 on does not say it": {
			corev1.NodeSystemInfo{KubeletVersion: "v1.33.4", ContainerRuntimeVersion: "cri-o://1.33.4", OSImage: "CentOS Stream CoreOS 9.0.20250827-0", KernelVersion: "5.14.0-605.el9.x86_64"},
			facts.Runs{Kubernetes: "v1.33.4", RHEL: 9},
		},
		"Fedora CoreOS": {
			corev1.NodeSystemInfo{KubeletVersion: "v1.33.5", ContainerRuntimeVersion: "cri-o://1.33.3", OSImage: "Fedora CoreOS 41.20250315.3.0", KernelVersion: "6.13.6-200.fc41.x86_64"},
			facts.Runs{Kubernetes: "v1.33.5"},
		},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &corev1.Node{Status: corev1.NodeStatus{NodeInfo: x.info}}
			assert.Equal(t, x.want, facts.OfNode(n).Runs)
		})
	}
}
