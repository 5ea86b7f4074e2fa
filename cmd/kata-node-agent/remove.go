// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/fileclient"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/step"
)

func removeCommand(root *string) *cobra.Command {
	return &cobra.Command{
		Use: "remove", Short: "Remove what was installed on this host, without a cluster", Args: cobra.NoArgs,
		Long: `Remove what was installed on this host, without a cluster.

It removes payloads, store, handlers and records, as a deleted KataConfig does, and leaves this
program. kata-agent.service has to be stopped first. Running kata pods, by what CRI-O says, and
programs that use a payload hold it up and are named: end them and run it again. It may be
interrupted and run again at any moment. CRI-O is not restarted.`,
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := wire(*root)
			if err != nil {
				return err
			}
			release, err := onlyOne(w.tree)
			if err != nil {
				return err
			}
			defer release() //nolint:errcheck // the process ends
			return remove(c.Context(), w, logger(), c.OutOrStdout())
		},
	}
}

func remove(ctx context.Context, w *wiring, log logrus.FieldLogger, out io.Writer) error {
	before, err := record.LoadIntent(w.host.Files)
	if err != nil {
		return err
	}
	wish, err := fileclient.NewRemoval()
	if err != nil {
		return err
	}
	w.self.Arm = false // What was given to CRI-O ahead of time is removed as well.
	quiet := func(string) {}
	agent := &nodeagent.Agent{
		API: wish, Looker: observe.Observer{Host: w.host, Self: w.self}, Log: log, Now: time.Now, Self: w.self,
		Stepper: step.Runner{Host: w.host, Self: w.self, Node: wish, Tell: quiet},
		Say:     func(string, bool) {}, Hung: quiet, Renew: func(error) {},
	}
	if err := agent.RemoveAll(ctx); err != nil {
		return fmt.Errorf("not everything is removed, run it again when this has changed: %w", err)
	}
	if err := forgetReport(w.host.Files); err != nil {
		return err
	}
	return say(out, "everything is removed%s\n", again(before, w.settings.IntentFile, resting(w.host.Files)))
}

// forgetReport deletes the report of a node without a controller: it says what is there no more.
func forgetReport(files host.Files) error {
	if _, err := files.Stat(host.ReportFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return files.Remove(host.ReportFile)
}

// resting is how a person keeps the service from starting. A unit of a MachineConfig has to stay
// enabled, or the machine-config daemon declares the node Degraded.
func resting(files host.FileReader) string {
	if _, err := files.Stat(host.OperatorConfig); err == nil {
		return "systemctl stop kata-agent, until the next boot"
	}
	return "systemctl disable kata-agent"
}

// again warns of what would install it again.
func again(before *node.Intent, file, resting string) string {
	switch {
	case file != "":
		return fmt.Sprintf("; what %s says is done when kata-agent.service is started: delete that file, or keep the service from starting (%s)", file, resting)
	case before != nil && before.State == node.StateInstalled && before.Owner.Name != "":
		return fmt.Sprintf("; KataConfig %s installs it again when kata-agent.service is started: change what it selects, or keep the service from starting (%s)", before.Owner.Name, resting)
	}
	return ""
}
