// SPDX-License-Identifier: Apache-2.0

package step

import (
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/nodeagent/operator"
)

// unlisted makes sure that no MachineConfig of this node lists a file of ours. The machine-config
// daemon compares each file that one lists, by content and mode, and declares the node Degraded
// where it differs (openshift/machine-config-operator, pkg/daemon/config_drift_monitor.go). Where
// what the daemon keeps cannot be read, it compares nothing either.
func (r Runner) unlisted(file string) error {
	c, err := operator.Load(r.Host.Files)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	if slices.Contains(c.Files, file) {
		return fmt.Errorf("MachineConfig %s lists %s, so that the machine-config daemon would declare this node Degraded for a change of it: "+
			"take that file out of the MachineConfig, the agent writes and deletes it by itself", c.Name, file)
	}
	return nil
}

// remove deletes a file of ours that lies among those of others.
func (r Runner) remove(file string) error {
	if _, err := r.Host.Files.Stat(file); err != nil {
		return r.Host.Files.Remove(file) // What an interrupted write has left.
	}
	if err := r.unlisted(file); err != nil {
		return err
	}
	return r.Host.Files.Remove(file)
}
