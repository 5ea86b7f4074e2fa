// SPDX-License-Identifier: Apache-2.0

// Package story tells the whole life of Kata on a cluster, from the first KataConfig to the last
// byte removed, and checks every promise on the way. The demo and a test tell the same story.
package story

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/kata-node/kata-node/test/bed/fixture"
)

// silence is how long a step may say nothing new before it has gone wrong. However slow a machine
// is, a cluster that works says something.
const silence = 5 * time.Minute

// emulatedSilence is the same where a node's processor is emulated, and its tree may have to be
// made first.
const emulatedSilence = 20 * time.Minute

// Versions of the test payload in the story.
const (
	first  = "1.0.0"
	second = "2.0.0"
)

// Story is one telling.
type Story struct {
	Cluster *fixture.Cluster
	Out     io.Writer
	// Emulated makes the first node a virtual machine; its steps take minutes.
	Emulated bool

	nodes    []*fixture.Node
	before   []state
	payloads map[string]string
	// ordinary are the pods that have nothing to do with Kata, one on each node, by name.
	ordinary map[string][]string
	// kataNode is where the scheduler put the kata pod.
	kataNode *fixture.Node
	podShim  shim
	// progress is called whenever the story says something.
	progress func()
}

// step is one part of the story: its title says what a reader will see, its function does and
// checks it.
type step struct {
	title string
	run   func(context.Context) error
}

func (s *Story) steps() []step {
	return []step{
		{"Build two versions of a payload and push them to the registry", s.pushPayloads},
		{"Start the controller with its own account, and three nodes with the agent's RPM, an ordinary pod on each", s.startNodes},
		{"Label two nodes and apply the sample KataConfig", s.install},
		{"What the cluster says now", s.showCluster},
		{"What one node says now", s.showNode},
		{"Deploy a pod with runtimeClassName kata-oc: the scheduler finds a node that can run it", s.runPod},
		{"Update to payload " + second + " while that pod runs", s.update},
		{"Restart the agents and the kubelets: nothing changes", s.restart},
		{"Label the third node", s.join},
		{"Delete the Deployment: the version that its pod held goes", s.endPod},
		{"Delete the KataConfig", s.remove},
		{"Compare each node with its state before: nothing is left", s.compare},
	}
}

// Run plays all acts in order.
func (s *Story) Run(ctx context.Context) error {
	s.payloads = map[string]string{}
	for i, a := range s.steps() {
		begun := time.Now()
		s.say("\n== %d. %s", i+1, a.title)
		if err := s.run(ctx, a); err != nil {
			return fmt.Errorf("step %d, %q: %w", i+1, a.title, err)
		}
		s.say("   (%s)", time.Since(begun).Round(100*time.Millisecond))
	}
	return nil
}

func (s *Story) run(ctx context.Context, a step) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := silence
	if s.Emulated {
		silence = emulatedSilence
	}
	timer := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing new for %s", silence)) })
	defer timer.Stop()
	s.progress = func() { timer.Reset(silence) }
	err := a.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (s *Story) say(format string, args ...any) {
	if s.progress != nil {
		s.progress()
	}
	_, _ = fmt.Fprintf(s.Out, format+"\n", args...) //nolint:errcheck // a reader who left misses nothing
}

// names of the story's nodes, the last one joining late.
func names() []string { return []string{"worker-0", "worker-1", "worker-2"} }
