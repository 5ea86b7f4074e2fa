// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/kata-node/kata-node/api/node"
)

// How long an answer about the admission policies counts. They are seldom taken away; once they are
// there again, people want to see it.
const (
	guardedCheck   = 6 * time.Hour
	unguardedCheck = 5 * time.Minute
	unknownCheck   = time.Minute
)

// guardSpread keeps the agents of a cluster from asking at the same moment.
const guardSpread = 0.5

// forbidden is a write of the intent, which the admission policies leave to the controller.
const forbidden = `{"metadata":{"annotations":{"` + node.IntentAnnotation + `":"a trial by the agent, never kept"}}}`

// watchGuard finds out again and again whether the admission policies are in force.
func (c *Client) watchGuard(ctx context.Context, api kubernetes.Interface, name string) {
	for ctx.Err() == nil {
		pause(ctx, wait.Jitter(c.tryForbidden(ctx, api, name), guardSpread))
	}
}

// tryForbidden asks the API server for a write that the policies forbid, as a trial that is not
// kept: a node's credential may not read policies. It returns how long the answer counts.
func (c *Client) tryForbidden(ctx context.Context, api kubernetes.Interface, name string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, c.asking)
	defer cancel()
	options := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: fieldManager}
	_, err := api.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(forbidden), options, "status")
	refused := apierrors.IsInvalid(err) || apierrors.IsForbidden(err)
	if err != nil && !refused {
		return unknownCheck
	}
	if c.unguarded.Swap(!refused) == refused {
		c.tell()
	}
	if refused {
		return guardedCheck
	}
	return unguardedCheck
}
