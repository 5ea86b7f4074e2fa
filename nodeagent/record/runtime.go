// SPDX-License-Identifier: Apache-2.0

package record

import (
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Restarted is one use of a grant in this boot: for which intent, and which invocation of CRI-O was
// to end by it. While that invocation still runs, the restart has not happened.
type Restarted struct {
	Intent     string `json:"intent"`
	Invocation string `json:"invocation"`
	// Dependents are the services that ran and that systemd stops with CRI-O, such as the kubelet,
	// until they are known to have been started again.
	Dependents []string `json:"dependents,omitempty"`
	// Before is what the kubelet said of the node before the restart, where systemd restarts it
	// with CRI-O. It is nil once all of that is there again, and where there is no Node.
	Before *Kubelet `json:"before,omitempty"`
}

// Kubelet is what the kubelet of a node says on the Node.
type Kubelet struct {
	// Ready is the condition of that name, and Heartbeat when the kubelet has last confirmed it, in
	// whole seconds of the node's clock.
	Ready     bool      `json:"ready"`
	Heartbeat time.Time `json:"heartbeat"`
	// Resources are how many pods may use of each extended resource.
	Resources map[string]int64 `json:"resources,omitempty"`
}

// LoadRestarted returns the zero value where no grant was used in this boot.
func LoadRestarted(files host.FileReader) (Restarted, error) {
	return loadOrZero[Restarted](files, host.RestartedFile)
}

// Save replaces the record.
func (r Restarted) Save(files host.FileWriter) error { return save(files, host.RestartedFile, r) }

// Lacks is an invocation of CRI-O that has answered that it does not know our handlers.
type Lacks struct {
	Invocation string `json:"invocation"`
	// Further is an invocation that knows kata-oc, and not the further handler of name Handler: it
	// was started with the drop-in of an older agent.
	Further string `json:"further,omitempty"`
	Handler string `json:"handler,omitempty"`
}

// LoadLacks returns the zero value where no CRI-O of this boot has answered so.
func LoadLacks(files host.FileReader) (Lacks, error) {
	return loadFindingOrZero[Lacks](files, host.LacksFile)
}

// Save replaces the record.
func (l Lacks) Save(files host.FileWriter) error { return save(files, host.LacksFile, l) }

// RemoveLacks deletes the record: the running CRI-O knows the handlers.
func RemoveLacks(files host.FileWriter) error { return files.Remove(host.LacksFile) }
