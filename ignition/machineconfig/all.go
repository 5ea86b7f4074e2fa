// SPDX-License-Identifier: Apache-2.0

package machineconfig

import (
	"fmt"
	"os"
	"path/filepath"
)

// File is one manifest for an administrator to apply.
type File struct {
	Name, Purpose string
	Content       []byte
}

// All renders what an administrator needs, in the order in which it is applied.
func All(root string, o Options) ([]File, error) {
	policies := []File{
		{Name: Policy, Purpose: "apply first: no node reboots for what follows"},
		{Name: RemovalPolicy, Purpose: "apply before deleting the MachineConfig"},
	}
	var configs []File
	for _, release := range OpenShift() {
		o.OpenShift = release
		content, err := Render(root, o)
		if err != nil {
			return nil, err
		}
		configs = append(configs, File{Name: fmt.Sprintf("60-%s-kata-agent-openshift-%s.yaml", o.Role, release), Purpose: "apply on OpenShift " + release, Content: content})
	}
	for i, p := range policies {
		content, err := os.ReadFile(filepath.Join(root, "ignition", p.Name))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", p.Name, err)
		}
		policies[i].Content = content
	}
	return append(append(policies[:1:1], configs...), policies[1]), nil
}
