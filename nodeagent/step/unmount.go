// SPDX-License-Identifier: Apache-2.0

package step

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

func (r Runner) unmount(slot string) error {
	mounted, err := r.Host.Mounts.Below(host.PayloadDir(slot), 0)
	if err != nil {
		return err
	}
	// More than one mount can lie on or in another only when another program mounted it; each is
	// unmounted, the last one first.
	for _, point := range slices.Backward(mounted) {
		if err := r.Host.Mounts.Unmount(point); err != nil {
			return r.explain(point, err)
		}
	}
	return r.Host.Files.Remove(host.SlotDir(slot))
}

// maxNamed is how many processes a sentence names: the first ones are for an administrator to end,
// and others show at the next try.
const maxNamed = 3

// explain adds to the error of a mount that is in use who uses it. An observation does not find
// that out: it looks for processes that run from a payload, not for a shell that has its working
// directory in one.
func (r Runner) explain(point string, err error) error {
	if _, busy := errors.AsType[*host.Busy](err); !busy {
		return err
	}
	holding, unknown := r.Host.Processes.Holding(point, maxNamed+1)
	if unknown != nil || len(holding) == 0 {
		return err // The mount's own error is what counts.
	}
	var names []string
	for _, p := range holding[:min(maxNamed, len(holding))] {
		names = append(names, fmt.Sprintf("process %d (%s)", p.PID, node.Sentence(p.Name)))
	}
	if len(holding) > maxNamed {
		names = append(names, "and others")
	}
	return fmt.Errorf("%w; in use by %s", err, strings.Join(names, ", "))
}
