// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestTheProofRunsWherePodsDo(t *testing.T) {
	t.Parallel()
	systemd, cgroupfs := cri.CgroupDriver_SYSTEMD, cri.CgroupDriver_CGROUPFS
	for name, c := range map[string]struct {
		driver *cri.CgroupDriver
		exists string
		want   string
	}{
		"systemd":                          {&systemd, "kubepods.slice", "kubepods.slice"},
		"systemd, groups of version 1":     {&systemd, "memory/kubepods.slice", "kubepods.slice"},
		"cgroupfs":                         {&cgroupfs, "kubepods", "/kubepods"},
		"a kubelet that has made no group": {&systemd, "kubepods", ""},
		"a runtime that tells no driver":   {nil, "kubepods.slice", ""},
	} {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, c.exists), 0o755))
		f := &fake{driver: c.driver}
		client := dial(t, f)
		client.Cgroups(dir)
		_, err := client.Prove(t.Context(), "kata-oc-proof", "proof-v1")
		require.NoError(t, err, name)
		assert.Equal(t, c.want, f.ran.GetConfig().GetLinux().GetCgroupParent(), name)
	}
}
