// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/eviction"
	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestThresholdsAreThoseOfTheKubeletThatRuns(t *testing.T) {
	t.Parallel()
	m := machine(t)
	values := func() (found []string) {
		for _, threshold := range observer(m).Thresholds(t.Context()) {
			found = append(found, threshold.Value)
		}
		return found
	}
	assert.Equal(t, eviction.Default(), observer(m).Thresholds(t.Context()), "it has no configuration")

	put(t, m, map[string]string{
		"/etc/kubelet.yaml":           "evictionHard: {nodefs.available: 1%, imagefs.available: 2%}",
		"/etc/kubelet.d/10-more.conf": "evictionHard: {imagefs.available: 3%}", "/etc/kubelet.d/20-other.bak": "evictionHard: {imagefs.available: 4%}",
	})
	m.Options = []string{"--config=/etc/kubelet.yaml", "--config-dir=/etc/kubelet.d"}
	assert.Equal(t, []string{"1%", "3%"}, values())

	put(t, m, map[string]string{"/var/lib/kubelet/config.yaml": "evictionHard: {nodefs.available: 5Gi}"})
	m.CRIO = host.Unit{}
	assert.Equal(t, []string{"5Gi"}, values(), "the kubelet does not run yet")

	put(t, m, map[string]string{"/var/lib/kubelet/config.yaml": "evictionHard: {"})
	assert.Equal(t, eviction.Default(), observer(m).Thresholds(t.Context()))
}

func TestTheDiskOfImagesIsThatOfCRIO(t *testing.T) {
	t.Parallel()
	m := machine(t)
	dir := func() string {
		all := observer(m).Thresholds(t.Context())
		return all[len(all)-1].Dir
	}
	assert.Equal(t, "/var/lib/containers/storage", dir())
	put(t, m, map[string]string{"/usr/share/containers/storage.conf": "[storage]\ngraphroot = '/mnt/vendor'\n"})
	assert.Equal(t, "/mnt/vendor", dir())
	put(t, m, map[string]string{"/etc/containers/storage.conf": "[storage]\ngraphroot = '/mnt/site'\n"})
	assert.Equal(t, "/mnt/site", dir())
	put(t, m, map[string]string{"/etc/crio/crio.conf.d/10-root.conf": "[crio]\nroot = '/mnt/crio'\n"})
	assert.Equal(t, "/mnt/crio", dir())
}
