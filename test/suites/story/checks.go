// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// glance is how often something that sends no event is looked at.
const glance = 200 * time.Millisecond

type shim struct {
	pid        int
	executable string
}

func onlyShim(ctx context.Context, n *fixture.Node) (shim, error) {
	pids, err := n.Shims(ctx)
	if err != nil {
		return shim{}, err
	}
	if len(pids) != 1 {
		return shim{}, fmt.Errorf("%d shims run on %s, not one", len(pids), n.Name())
	}
	executable, err := n.Executable(ctx, pids[0])
	return shim{pids[0], executable}, err
}

func (s *Story) crioStarts(ctx context.Context, nodes []*fixture.Node, wanted int) error {
	for _, n := range nodes {
		starts, err := n.CRIOStarts(ctx)
		if err != nil {
			return err
		}
		if starts != wanted {
			return fmt.Errorf("CRI-O has been started %d times on %s, not %d times", starts, n.Name(), wanted)
		}
	}
	s.say("   CRI-O has been started %d times on each node, its first start included", wanted)
	return nil
}

// runOrdinary returns when an ordinary pod is ready on each node.
func (s *Story) runOrdinary(ctx context.Context) error {
	if err := s.Cluster.DeployEverywhere(ctx, ordinary); err != nil {
		return err
	}
	pods, err := s.Cluster.AwaitReady(ctx, ordinary, len(s.nodes))
	if err != nil {
		return err
	}
	s.ordinary = map[string][]string{}
	for i := range pods {
		s.ordinary[pods[i].Name] = bed.Containers(&pods[i])
	}
	return nil
}

// ordinaryUntouched checks that every ordinary pod still has the containers of the beginning.
func (s *Story) ordinaryUntouched(ctx context.Context) error {
	pods, err := s.Cluster.AwaitReady(ctx, ordinary, len(s.nodes))
	if err != nil {
		return err
	}
	for i := range pods {
		before, now := s.ordinary[pods[i].Name], bed.Containers(&pods[i])
		if !slices.Equal(before, now) {
			return fmt.Errorf("ordinary pod %s on %s had containers %v and now has %v", pods[i].Name, pods[i].Spec.NodeName, before, now)
		}
	}
	s.say("   the ordinary pods are untouched: no restarts, the same containers")
	return s.noRejection(ctx)
}

// noRejection asks for the pods that kubelets would not take back.
func (s *Story) noRejection(ctx context.Context) error {
	for _, n := range s.nodes {
		rejections, err := n.Rejections(ctx)
		if err != nil {
			return err
		}
		if len(rejections) > 0 {
			return fmt.Errorf("the kubelet of %s rejected pods: %s", n.Name(), strings.Join(rejections, "; "))
		}
	}
	s.say("   no kubelet has rejected a pod")
	return nil
}

// handlersListed looks at the third witness, next to the agent's report and the label: what the
// kubelet says that CRI-O can run.
func (s *Story) handlersListed(ctx context.Context, nodes []*fixture.Node) error {
	for _, n := range nodes {
		object, err := n.Object(ctx)
		if err != nil {
			return err
		}
		listed := slices.ContainsFunc(object.Status.RuntimeHandlers, func(h corev1.NodeRuntimeHandler) bool { return h.Name == node.RuntimeClass })
		if !listed {
			return fmt.Errorf("the kubelet of %s does not list handler %s", n.Name(), node.RuntimeClass)
		}
	}
	s.say("   their kubelets list handler %s", node.RuntimeClass)
	return nil
}

func (s *Story) payloadMounts(ctx context.Context, n *fixture.Node, wanted int) error {
	points, err := n.PayloadMounts(ctx)
	if err != nil {
		return err
	}
	s.say("   payload mounts on %s: %s", n.Name(), strings.Join(points, ", "))
	if len(points) != wanted {
		return fmt.Errorf("%d payloads are mounted on %s, not %d", len(points), n.Name(), wanted)
	}
	return nil
}

func (s *Story) awaitMounts(ctx context.Context, n *fixture.Node, wanted int) error {
	return until(ctx, func() error { return s.quietly().payloadMounts(ctx, n, wanted) }, func() error { return s.payloadMounts(ctx, n, wanted) })
}

// until repeats a check silently until it holds, and then makes it once more aloud. When time is
// up, the error is what was last wrong.
func until(ctx context.Context, silent, aloud func() error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, glance, true, func(context.Context) (bool, error) {
		if err := silent(); ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return aloud()
}
