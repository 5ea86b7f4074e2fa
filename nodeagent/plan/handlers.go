// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// unclaimed reports whether our handlers are ours alone in CRI-O's configuration. Of two
// definitions CRI-O takes the last one, so that a proof would say nothing about what pods get.
func (w *way) unclaimed() bool {
	if len(w.facts.Runtime.Conflicts) == 0 {
		return true
	}
	c := w.facts.Runtime.Conflicts[0]
	return w.problem(WriteDropIn, node.ReasonHandlerConflict,
		fmt.Sprintf("%s sets %s: a handler of this agent is not to be named elsewhere in CRI-O's configuration; delete it there", c.File, c.Key))
}

// handlers plans the drop-in and, when the running CRI-O has answered that it does not know our
// handlers, its restart. It returns false where the plan must wait.
func (w *way) handlers() bool {
	if !w.facts.Runtime.DropIn.Right {
		for _, step := range w.dropIn() {
			if !slices.Contains(w.steps, step) {
				w.steps = append(w.steps, step)
			}
		}
	}
	r := w.facts.Runtime
	switch {
	case w.facts.CrashLooping():
		return w.problem(RestartCRIO, node.ReasonCRIOCrashLooping, loop(r))
	case !r.Active && r.RestartedForHandlers():
		return w.problem(RestartCRIO, node.ReasonCRIONotRunning, down(r))
	case !r.Active:
		return w.waitFor("CRI-O to run: see systemctl status crio" + because(r.Refused))
	case !r.lacks(w.further):
		return true
	case w.held:
		return w.waitFor("CRI-O to be restarted: it does not know the handlers of this agent")
	}
	return w.restart()
}

// down says why the CRI-O that the agent has restarted does not run.
func down(r Runtime) string {
	switch {
	case r.Refused != "":
		return "CRI-O does not run since its restart: " + r.Refused
	case r.Words != "":
		return "CRI-O does not run since its restart, see journalctl -u crio: " + r.Words
	}
	return "CRI-O does not run since its restart: see journalctl -u crio"
}

// restart needs a CRI-O that would start again, a node on which nothing else works, and a grant
// that names this boot and has not been used in it. The grant is asked for last: a node that could
// not use it at once does not keep it from another one. It counts only while the API server
// answers: it is taken back from a node that has not used it.
func (w *way) restart() bool {
	f := w.facts
	granted := f.Intent.Shown && f.Intent.Wanted.Grants.RestartCRIO == f.Host.BootID
	used := f.Runtime.Restarted.Intent == f.Intent.Wanted.ID && f.Runtime.Restarted.Invocation != f.Runtime.Invocation
	switch {
	case f.Runtime.DropIn.Hidden != "":
		return w.problem(RestartCRIO, node.ReasonHandlersNotTaken, "CRI-O reads drop-ins from "+f.Runtime.DropIn.Hidden+
			", and so never the one of this agent: take --config-dir or CONTAINER_CONFIG_DIR away from crio.service and restart it")
	case used:
		return w.problem(RestartCRIO, node.ReasonHandlersNotTaken,
			"CRI-O was restarted and does not know our handlers: see journalctl -u crio for why it ignores them, fix that and restart it")
	case f.Runtime.Refused != "":
		return w.problem(RestartCRIO, node.ReasonCRIOConfigurationRefused,
			"CRI-O is not restarted, because it would refuse its configuration: "+f.Runtime.Refused)
	case f.stranded() != "":
		// After the restart CRI-O would panic over each try to stop that sandbox.
		return w.waitFor(f.stranded())
	case f.Cluster.Busy != "":
		return w.waitFor(f.Cluster.Busy)
	case !granted:
		w.awaitsGrant = true
		return w.waitFor(f.Cluster.grant())
	case !f.Cluster.PodsKnown:
		return w.waitFor("the API server, to learn whether CRI-O may still be restarted")
	}
	w.do(RestartCRIO)
	return true
}
