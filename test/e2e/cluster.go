// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kata-node/kata-node/api/node"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

const workerName = "worker-0"

// setUpLimit is for a machine that is busy with other things.
const setUpLimit = 10 * time.Minute

// onCluster gives tests a cluster of their own, whose only node has Kata unless ordinary containers
// are asked for.
func (r *run) onCluster(tests func(context.Context, part) error) func(context.Context, part) error {
	return func(ctx context.Context, p part) (err error) {
		if err := os.RemoveAll(filepath.Join(r.Reports, p.report)); err != nil { // Of an earlier run.
			return err
		}
		names := []string{"e2e.test", "ginkgo", "critest", "nnp", "runc", "pause", "agnhost"}
		if r.programs, err = r.workspace.Build(ctx, r.Out, bed.BuildOptions{Only: names}); err != nil {
			return err
		}
		if r.cluster, err = fixture.Start(ctx, fixture.Options{Progress: r.Out}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.cluster.Close(context.WithoutCancel(ctx))) }()
		if err := r.setUp(ctx); err != nil {
			return fmt.Errorf("preparing the cluster: %w", err)
		}
		return tests(ctx, p)
	}
}

// setUp stores the images of the tests in the registry and adds the node.
func (r *run) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, setUpLimit, errors.New("nothing works after so long a time"))
	defer cancel()
	var err error
	if r.repoList, err = writeRepoList(r.cluster.Scratch()); err != nil {
		return err
	}
	built, err := r.programs.Images(ctx)
	if err != nil {
		return err
	}
	set, err := testImages(built, r.programs.Path("nnp"))
	if err != nil {
		return err
	}
	if err := set.Push(ctx, r.cluster.Registry); err != nil {
		return err
	}
	if r.worker, err = r.cluster.AddNode(ctx, workerName); err != nil {
		return err
	}
	if err := r.worker.AwaitAgent(ctx); err != nil {
		return err
	}
	if !r.Ordinary {
		if err := r.install(ctx); err != nil {
			return err
		}
		r.holds = []Condition{Kata}
	}
	return r.configure(ctx)
}

// install brings Kata to the node, and makes it the runtime of the tests' pods.
func (r *run) install(ctx context.Context) error {
	payload, err := r.cluster.Push(ctx, fixture.Payload{Version: "1.0.0"})
	if err != nil {
		return err
	}
	if err := r.cluster.StartController(ctx, payload); err != nil {
		return err
	}
	if err := r.cluster.Select(ctx, workerName); err != nil {
		return err
	}
	if err := r.cluster.ApplySample(ctx); err != nil {
		return err
	}
	// The default is for a virtual machine, and would leave no room for tests on two processors.
	if err := r.cluster.SetOverhead(ctx, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("8Mi")}); err != nil {
		return err
	}
	if _, err := r.cluster.AwaitConfig(ctx, "is completed", fixture.Completed(1)); err != nil {
		return err
	}
	return setDefaultClass(ctx, r.cluster.Kube, node.RuntimeClass)
}
