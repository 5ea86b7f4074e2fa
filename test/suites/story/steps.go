// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kata-node/kata-node/api/node"
	katav1 "github.com/kata-node/kata-node/api/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// The workloads: a Deployment of kata-oc, and a DaemonSet of ordinary pods.
const (
	kata     = "kata"
	ordinary = "ordinary"
)

func (s *Story) pushPayloads(ctx context.Context) error {
	for _, version := range []string{first, second} {
		image, err := s.Cluster.Push(ctx, fixture.Payload{Version: version})
		if err != nil {
			return err
		}
		s.payloads[version] = image
		s.say("   %s  %s", version, image)
	}
	return nil
}

// startNodes labels the workers-to-be before it captures the state that the end is compared with:
// labels are the administrator's.
func (s *Story) startNodes(ctx context.Context) error {
	if err := s.Cluster.StartController(ctx, s.payloads[first]); err != nil {
		return err
	}
	if err := s.boot(ctx); err != nil {
		return err
	}
	for _, n := range s.nodes[:2] {
		if err := s.Cluster.Select(ctx, n.Name()); err != nil {
			return err
		}
	}
	if err := s.runOrdinary(ctx); err != nil {
		return err
	}
	for _, n := range s.nodes {
		before, err := capture(ctx, n)
		if err != nil {
			return err
		}
		s.before = append(s.before, before)
		s.say("   %s is ready, with an agent and nothing installed", n.Name())
	}
	return nil
}

func (s *Story) boot(ctx context.Context) error {
	s.nodes = make([]*fixture.Node, len(names()))
	errs := make([]error, len(s.nodes))
	var boots sync.WaitGroup
	for i, name := range names() {
		boots.Go(func() {
			add := s.Cluster.AddNode
			if s.Emulated && i == 0 {
				add = s.Cluster.AddEmulatedNode
			}
			if s.nodes[i], errs[i] = add(ctx, name); errs[i] == nil {
				errs[i] = s.nodes[i].AwaitAgent(ctx)
			}
		})
	}
	boots.Wait()
	return errors.Join(errs...)
}

func (s *Story) install(ctx context.Context) error {
	if err := s.Cluster.ApplySample(ctx); err != nil {
		return err
	}
	if err := s.awaitCompleted(ctx, 2, first); err != nil {
		return err
	}
	if err := s.handlersListed(ctx, s.nodes[:2]); err != nil {
		return err
	}
	return s.crioStarts(ctx, s.nodes[:2], 2)
}

// awaitCompleted shows the counts as they change.
func (s *Story) awaitCompleted(ctx context.Context, nodes int, version string) error {
	last := ""
	_, err := s.Cluster.AwaitConfig(ctx, fmt.Sprintf("is completed on %d nodes with payload %s", nodes, version), func(k katav1.KataConfig) bool {
		if line := progress(k.Status); line != last {
			s.say("   %s", line)
			last = line
		}
		return fixture.Completed(nodes)(k) && k.Status.KataImage == s.payloads[version]
	})
	return err
}

func progress(status katav1.KataConfigStatus) string {
	words := []string{fmt.Sprintf("nodes: %d, completed: %d, in progress: %d, waiting: %d, failed: %d",
		status.TotalNodesCount, status.CompletedNodesCount, status.InProgressNodesCount, status.WaitingNodesCount, status.FailedNodesCount)}
	for _, c := range status.Conditions {
		if c.Status == "True" {
			words = append(words, c.Type)
		}
	}
	return strings.Join(words, "  ")
}

func (s *Story) runPod(ctx context.Context) error {
	if err := s.Cluster.Deploy(ctx, kata, node.RuntimeClass); err != nil {
		return err
	}
	pod, err := s.Cluster.AwaitPodOf(ctx, kata, "is ready", bed.PodReady)
	if err != nil {
		return err
	}
	s.kataNode = s.nodes[slices.Index(names(), pod.Spec.NodeName)]
	if s.podShim, err = onlyShim(ctx, s.kataNode); err != nil {
		return err
	}
	s.say("   pod %s runs on %s; its shim is process %d: %s", pod.Name, pod.Spec.NodeName, s.podShim.pid, s.podShim.executable)
	return s.answers(ctx)
}

// answers waits until the kata pod has its log and takes commands: a kubelet that has just been
// restarted has to find it first.
func (s *Story) answers(ctx context.Context) error {
	answer := func() error { return s.ask(ctx) }
	return until(ctx, answer, func() error {
		s.say("   it has its log, and answers to kubectl exec")
		return nil
	})
}

func (s *Story) ask(ctx context.Context) error {
	pod, err := s.Cluster.AwaitPodOf(ctx, kata, "is ready", bed.PodReady)
	if err != nil {
		return err
	}
	log, err := s.Cluster.PodLog(ctx, pod)
	if err != nil {
		return err
	}
	if string(log) != bed.DeploymentLog {
		return fmt.Errorf("pod %s has logged %q, not %q", pod.Name, log, bed.DeploymentLog)
	}
	out, err := s.Cluster.ExecPod(ctx, pod, "hostname")
	if err != nil {
		return err
	}
	if name := strings.TrimSpace(string(out)); name != pod.Name {
		return fmt.Errorf("pod %s says that its name is %q", pod.Name, name)
	}
	return nil
}

func (s *Story) update(ctx context.Context) error {
	if err := s.Cluster.SetPayload(ctx, s.payloads[second]); err != nil {
		return err
	}
	if err := s.awaitCompleted(ctx, 2, second); err != nil {
		return err
	}
	if err := s.unchanged(ctx); err != nil {
		return err
	}
	return s.crioStarts(ctx, s.nodes[:2], 2)
}

// unchanged checks that the pod still runs the program that it started with.
func (s *Story) unchanged(ctx context.Context) error {
	now, err := s.kataNode.Executable(ctx, s.podShim.pid)
	if err != nil {
		return err
	}
	if now != s.podShim.executable {
		return fmt.Errorf("the pod's shim ran %s and now runs %s", s.podShim.executable, now)
	}
	s.say("   the pod still runs %s", now)
	return s.answers(ctx)
}

// restart restarts what restarts in real life. A kubelet admits its pods again then, and must find
// no reason to reject one.
func (s *Story) restart(ctx context.Context) error {
	for _, n := range s.nodes[:2] {
		if _, err := n.Exec(ctx, "systemctl", "restart", "kata-node-agent.service", "kubelet.service"); err != nil {
			return err
		}
		if err := n.AwaitAgent(ctx); err != nil {
			return err
		}
	}
	if err := s.awaitCompleted(ctx, 2, second); err != nil {
		return err
	}
	if err := s.unchanged(ctx); err != nil {
		return err
	}
	return s.ordinaryUntouched(ctx)
}

func (s *Story) join(ctx context.Context) error {
	if err := s.Cluster.Select(ctx, s.nodes[2].Name()); err != nil {
		return err
	}
	if err := s.awaitCompleted(ctx, 3, second); err != nil {
		return err
	}
	return s.crioStarts(ctx, s.nodes, 2)
}

func (s *Story) endPod(ctx context.Context) error {
	if err := s.payloadMounts(ctx, s.kataNode, 2); err != nil {
		return err
	}
	if err := s.Cluster.Undeploy(ctx, kata); err != nil {
		return err
	}
	return s.awaitMounts(ctx, s.kataNode, 1)
}

func (s *Story) remove(ctx context.Context) error {
	if err := s.Cluster.DeleteSample(ctx); err != nil {
		return err
	}
	if err := s.Cluster.AwaitGone(ctx); err != nil {
		return err
	}
	s.say("   the KataConfig is gone")
	return s.crioStarts(ctx, s.nodes, 2)
}

func (s *Story) compare(ctx context.Context) error {
	for i, n := range s.nodes {
		if err := s.awaitSame(ctx, n, s.before[i]); err != nil {
			return err
		}
		s.say("   %s: files, mounts, labels, annotations and conditions are what they were", n.Name())
	}
	return s.ordinaryUntouched(ctx)
}
