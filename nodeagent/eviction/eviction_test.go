// SPDX-License-Identifier: Apache-2.0

package eviction_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/eviction"
	"github.com/kata-node/kata-node/nodeagent/host"
)

const (
	pods   = "/var/lib/kubelet"
	images = "/var/lib/containers/storage"
)

func share(signal, value, dir string, percent float64) host.Threshold {
	return host.Threshold{Signal: signal, Value: value, Dir: dir, Percent: percent, Inodes: signal == "nodefs.inodesFree" || signal == "imagefs.inodesFree"}
}

func TestThresholdsAreThoseOfTheKubelet(t *testing.T) {
	t.Parallel()
	defaults := []host.Threshold{
		share("nodefs.available", "10%", pods, 10), share("nodefs.inodesFree", "5%", pods, 5),
		share("imagefs.available", "15%", images, 15), share("imagefs.inodesFree", "5%", images, 5),
	}
	for name, c := range map[string]struct {
		args      []string
		documents []string
		want      []host.Threshold
	}{
		"no file":          {want: defaults},
		"nothing about it": {documents: []string{"kind: KubeletConfiguration\nmaxPods: 250\n"}, want: defaults},
		"none":             {documents: []string{"evictionHard: {}"}},
		"switched off":     {documents: []string{`evictionHard: {nodefs.available: "0%", imagefs.available: "100%", memory.available: 100Mi}`}},
		"some, which replace the defaults": {
			documents: []string{"evictionHard:\n  nodefs.available: 5Gi\n  memory.available: 100Mi\n"},
			want:      []host.Threshold{{Signal: "nodefs.available", Value: "5Gi", Dir: pods, Amount: 5 << 30}},
		},
		"some, merged with the defaults": {
			documents: []string{"mergeDefaultEvictionSettings: true\nevictionHard: {imagefs.available: 20%}"},
			want:      []host.Threshold{defaults[0], defaults[1], share("imagefs.available", "20%", images, 20), defaults[3]},
		},
		"soft ones, too": {
			documents: []string{`{"evictionHard": {"nodefs.available": "1%"}, "evictionSoft": {"nodefs.available": "12%"}}`},
			want:      []host.Threshold{share("nodefs.available", "1%", pods, 1), share("nodefs.available", "12%", pods, 12)},
		},
		"a later file replaces single ones": {
			documents: []string{"evictionHard: {nodefs.available: 1%, imagefs.available: 2%}", "evictionHard: {imagefs.available: 3%}"},
			want:      []host.Threshold{share("nodefs.available", "1%", pods, 1), share("imagefs.available", "3%", images, 3)},
		},
		"the command line replaces the files": {
			args:      []string{"/usr/bin/kubelet", "--v=2", "--eviction-hard=nodefs.available<7%", "--root-dir", "/mnt/kubelet", "--unknown"},
			documents: []string{"evictionHard: {imagefs.available: 2%}"},
			want:      []host.Threshold{share("nodefs.available", "7%", "/mnt/kubelet", 7)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var documents [][]byte
			for _, d := range c.documents {
				documents = append(documents, []byte(d))
			}
			got, err := eviction.Thresholds(eviction.OptionsOf(c.args), documents...)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	assert.Equal(t, defaults, eviction.Default())
	moved, err := eviction.Thresholds(eviction.Options{Images: "/mnt/images"}, []byte("evictionHard: {imagefs.available: 20%, nodefs.available: 5%}"))
	require.NoError(t, err)
	assert.Equal(t, []host.Threshold{share("nodefs.available", "5%", pods, 5), share("imagefs.available", "20%", "/mnt/images", 20)}, moved)
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	for says, document := range map[string]string{
		"did not find expected":             "evictionHard: {",
		`nodefs.available is "much"`:        "evictionHard: {nodefs.available: much}",
		`imagefs.inodesFree is "a lot of%"`: "evictionHard: {imagefs.inodesFree: a lot of%}",
	} {
		_, err := eviction.Thresholds(eviction.Options{}, []byte(document))
		require.ErrorContains(t, err, says)
	}
	_, err := eviction.Thresholds(eviction.OptionsOf([]string{"kubelet", "--eviction-hard", "nodefs.available"}))
	require.ErrorContains(t, err, `threshold "nodefs.available" has no <`)
}

func TestAThresholdIsAShareOrAnAmount(t *testing.T) {
	t.Parallel()
	assert.EqualValues(t, 150, host.Threshold{Percent: 15}.Of(1000))
	assert.EqualValues(t, 70, host.Threshold{Amount: 70}.Of(1000))
}
