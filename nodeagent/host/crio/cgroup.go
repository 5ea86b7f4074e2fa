// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"
	"os"
	"path/filepath"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// hierarchy is where the kernel shows control groups.
const hierarchy = "/sys/fs/cgroup"

// pods is the control group of all pods of a kubelet, in the spelling of each driver.
const (
	podsSystemd  = "kubepods.slice"
	podsCgroupfs = "/kubepods"
)

// parent returns the control group in which a proof runs as a pod does: within what the kubelet has
// left to pods, and with the weight of a guaranteed one. Without a parent CRI-O takes system.slice,
// whose share is reserved for the system. It is empty where the runtime does not tell its driver,
// and where no kubelet has made the group.
func (c *Client) parent(ctx context.Context) string {
	answer, err := c.cri.RuntimeConfig(ctx, &cri.RuntimeConfigRequest{})
	if err != nil || answer.GetLinux() == nil {
		return ""
	}
	group := podsSystemd
	if answer.GetLinux().GetCgroupDriver() == cri.CgroupDriver_CGROUPFS {
		group = podsCgroupfs
	}
	// The second is where version 1 of control groups has them.
	for _, dir := range []string{c.cgroups, filepath.Join(c.cgroups, "memory")} {
		if info, err := os.Stat(filepath.Join(dir, group)); err == nil && info.IsDir() {
			return group
		}
	}
	return ""
}
