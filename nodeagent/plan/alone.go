// SPDX-License-Identifier: Apache-2.0

package plan

import "fmt"

// What follows is what sentences call those who decide about a node: the controller of a cluster,
// or, on a node without one, the file that its intent is in.

// grant is what a restart of CRI-O waits for.
func (c Cluster) grant() string {
	if c.Alone {
		return "a grant to restart CRI-O in this boot: write the boot's id as grants.restartCRIO into the intent file"
	}
	return "the controller's grant to restart CRI-O in this boot"
}

// decision is what an installation waits for that no intent is about.
func (c Cluster) decision() string {
	if c.Alone {
		return "an intent file that says what is wanted of the installation on this node"
	}
	return "the controller to say what is wanted of the installation on this node"
}

// without is what to do where a further handler cannot be served.
func (c Cluster) without(name string) string {
	if c.Alone {
		return fmt.Sprintf("take %s out of handlers in the intent file", name)
	}
	return fmt.Sprintf("take %s out of spec.config.handlers", name)
}

// newer is what to do where the agent is too old for what is wanted.
func (c Cluster) newer() string {
	if c.Alone {
		return "install a newer agent"
	}
	return "bring it to the controller's version"
}
