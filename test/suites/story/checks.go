// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

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

// noRejection reads the record that the kubelets keep of pods which they would not take back.
func (s *Story) noRejection(ctx context.Context) error {
	for _, n := range s.nodes {
		record, err := n.ReadFile(ctx, "/var/lib/kubelet/rejections.jsonl")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("the kubelet of %s rejected pods: %s", n.Name(), record)
	}
	s.say("   no kubelet has rejected a pod")
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
