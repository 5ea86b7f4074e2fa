// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/resident"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/step"
)

func runCommand(root *string) *cobra.Command {
	dry := false
	c := &cobra.Command{
		Use: "run", Short: "Follow this node's intent until it is stopped", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := wire(*root)
			if err != nil {
				return err
			}
			log := logger()
			client := w.source(*root, log)
			if dry {
				return dryRun(c.Context(), w, client, c.OutOrStdout())
			}
			release, err := onlyOne(w.tree)
			if err != nil {
				return err
			}
			return errors.Join(serve(c.Context(), w, client, log), release())
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "print the plan for this node and change nothing")
	return c
}

// onlyOne keeps a second agent from starting: each would delete what the other downloads.
func onlyOne(tree files.Tree) (release func() error, err error) {
	release, err = tree.Lock(host.LockFile)
	if errors.Is(err, files.ErrLocked) {
		return nil, fmt.Errorf("another agent works on this host: stop kata-agent.service first, or see what it does with status: %w", err)
	}
	return release, err
}

// serve is READY at once: CRI-O starts after this service. The links current and proof lead
// somewhere by then, and an armed node has its drop-in.
func serve(ctx context.Context, w *wiring, client source, log logrus.FieldLogger) error {
	tell := func(text string) { notify(log, systemd.Status, node.Sentence(text)) }
	if err := (step.Runner{Host: w.host, Self: w.self, Tell: tell}).Prepare(ctx); err != nil {
		log.WithError(err).Errorf("CRI-O may start without the handlers")
	}
	notify(log, systemd.Ready, "1")
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	meter, err := measure(ctx, w, log)
	if err != nil {
		return err
	}
	var group wait.Group
	group.StartWithContext(ctx, client.Run)
	agent := &nodeagent.Agent{
		API: client, Looker: observe.Observer{Host: w.host, Self: w.self},
		Log: log, Now: time.Now, Say: sayer(w.host.Files, tell, log), Hung: tell, Prune: w.store.Prune, Sweep: w.store.Sweep, Self: w.self, Renew: end,
		Meter: meter,
		Rest:  trim(log),
	}
	agent.Stepper = step.Runner{Host: w.host, Self: w.self, Node: client, Tell: func(text string) { agent.Progressed(text); tell(text) }, Progressed: meter.Progressed, Now: time.Now}
	ticker := time.NewTicker(watchdogInterval())
	defer ticker.Stop()
	agent.Run(ctx, client.Changed(), ticker.C, func() { notify(log, systemd.Watchdog, "1") })
	notify(log, systemd.Stopping, "1")
	group.Wait()
	return renewal(ctx)
}

// trim gives memory back, which is worth no more than a line of the log where it fails.
func trim(log logrus.FieldLogger) func() {
	return func() {
		if err := resident.Trim(); err != nil {
			log.WithError(err).Warnf("The agent keeps more in memory than it needs")
		}
	}
}

// renewal is why the agent ended itself, nil where systemd stopped it.
func renewal(ctx context.Context) error {
	if outdated, ok := errors.AsType[*host.Outdated](context.Cause(ctx)); ok {
		return fmt.Errorf("the agent starts anew: %w", outdated)
	}
	return nil
}

func notify(log logrus.FieldLogger, key systemd.Key, value string) {
	if err := systemd.Notify(key, value); err != nil {
		log.WithError(err).Warnf("systemd shows an older state of this service")
	}
}

// watchdogInterval is half of what systemd allows, and a minute where it watches nothing.
func watchdogInterval() time.Duration {
	allowed, err := daemon.SdWatchdogEnabled(false)
	if err != nil || allowed == 0 {
		return time.Minute
	}
	return allowed / 2
}

// sayer passes the agent's sentence on: to systemctl status, and to the shim that pods meet while
// nothing is served. Where nothing was ever wanted no pod comes, and nothing is written.
func sayer(files host.Files, tell func(string), log logrus.FieldLogger) func(string, bool) {
	said := ""
	return func(text string, pending bool) {
		sentence := node.Sentence(text)
		tell(sentence)
		if sentence == said {
			return
		}
		said = sentence
		log.Infof("Status: %s", sentence)
		if !pending {
			return
		}
		if err := files.Write(host.PendingReason, []byte(sentence+"\n"), 0o644); err != nil {
			log.WithError(err).Warnf("Pods on this node do not learn why Kata is not ready")
		}
	}
}

// apiPatience is how long a dry run waits for the API server before it plans from the disk's
// intent.
const apiPatience = 10 * time.Second

func dryRun(ctx context.Context, w *wiring, client source, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go client.Run(ctx)
	if !answered(ctx, client) {
		fmt.Fprintln(os.Stderr, "the API server does not answer; planning for the intent on disk")
	}
	facts, err := observe.Observer{Host: w.untouched(), Self: w.self}.Look(ctx, client.State())
	if err != nil {
		return err
	}
	result := nodeagent.Consider(facts, client.Reported(), time.Now())
	return errors.Join(printPlan(out, result.Plan), say(out, "says:  %s\n", result.Sentence))
}

// answered waits until the API server has shown the Node and its pods.
func answered(ctx context.Context, client source) bool {
	limit := time.After(apiPatience)
	for !client.State().PodsKnown {
		select {
		case <-client.Changed():
		case <-limit:
			return client.State().Known
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func say(out io.Writer, format string, words ...any) error {
	_, err := fmt.Fprintf(out, format, words...)
	return err
}

func printPlan(out io.Writer, p plan.Plan) error {
	_, err := fmt.Fprintf(out, "phase: %s\n", p.Phase)
	for _, s := range append(p.Steps(), p.Tidy...) {
		if err == nil {
			_, err = fmt.Fprintf(out, "step:  %s\n", s)
		}
	}
	if p.Wait != "" && err == nil {
		_, err = fmt.Fprintf(out, "then waits for %s\n", p.Wait)
	}
	return err
}
