// SPDX-License-Identifier: Apache-2.0

// Package stage sets up everything that a story on real nodes needs: a cluster with our manifests, payloads in its registry, a controller with its own
// account and nothing more, and nodes with the agent's package.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/delivery"
)

// The controller's account, as deploy/ makes it.
const (
	namespace = "kata-node"
	account   = "kata-controller"
)

// Options of [Set].
type Options struct {
	// Race runs our own programs with the race detector.
	Race bool
	// Progress is told what takes long.
	Progress io.Writer
	// Kubectl builds kubectl, for the demo.
	Kubectl bool
}

// Stage is a cluster that is ready for nodes.
type Stage struct {
	*bed.Cluster

	Kube     kubernetes.Interface
	Dynamic  dynamic.Interface
	Programs bed.Programs

	workspace bed.Workspace
	options   Options
}

// Set builds all programs and starts a cluster with deploy/ applied. The caller closes the stage.
func Set(ctx context.Context, o Options) (*Stage, error) {
	workspace, err := bed.FindWorkspace()
	if err != nil {
		return nil, err
	}
	s := &Stage{workspace: workspace, options: o}
	if err := s.set(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("setting the stage: %w", err), s.Close(ctx))
	}
	return s, nil
}

func (s *Stage) set(ctx context.Context) (err error) {
	programs := []string{"testbed", "crio", "kubelet", "kata-node-agent", "kata-controller"}
	if s.options.Kubectl {
		programs = append(programs, "kubectl")
	}
	if s.Programs, err = s.workspace.Build(ctx, s.options.Progress, bed.BuildOptions{Race: s.options.Race, Only: programs}); err != nil {
		return err
	}
	if s.Cluster, err = s.workspace.Start(ctx, bed.Options{Programs: s.Programs, Progress: s.options.Progress}); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	if err := s.Apply(ctx, s.workspace.Path("deploy")); err != nil {
		return err
	}
	return s.installAgent(ctx)
}

func (s *Stage) connect() error {
	admin, err := s.Admin()
	if err != nil {
		return err
	}
	if s.Kube, err = kubernetes.NewForConfig(admin); err != nil {
		return err
	}
	s.Dynamic, err = dynamic.NewForConfig(admin)
	return err
}

// installAgent unpacks the agent's package once, for all nodes.
func (s *Stage) installAgent(ctx context.Context) error {
	if err := os.Mkdir(s.agentTree(), 0o755); err != nil {
		return err
	}
	return delivery.Install(ctx, s.Programs.Path("kata-node-agent"), s.agentTree())
}

func (s *Stage) agentTree() string { return filepath.Join(s.Scratch(), "agent") }

// AddNode boots a node with the agent's package installed.
func (s *Stage) AddNode(ctx context.Context, name string) (*Node, error) {
	n, err := s.Cluster.AddNode(ctx, name, bed.NodeOptions{Layers: []string{s.agentTree()}})
	if err != nil {
		return nil, err
	}
	return &Node{Node: n, stage: s}, nil
}

// StartController runs the controller with the account of deploy/ and the given payload as its default.
func (s *Stage) StartController(ctx context.Context, payload string) error {
	config, err := s.ServiceAccount(ctx, namespace, account)
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(s.Scratch(), "controller.kubeconfig")
	if err := s.WriteKubeconfig(kubeconfig, config); err != nil {
		return err
	}
	_, err = s.Run(ctx, "kata-controller", "--kubeconfig="+kubeconfig, "--default-payload="+payload, "--listen=",
		"--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10s", "--leader-elect-retry-period=2s")
	return err
}

// Kubectl runs kubectl as the administrator.
func (s *Stage) Kubectl(ctx context.Context, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, s.Programs.Path("kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig)
	out, err := command.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("kubectl %v: %w: %s", args, err, out)
	}
	return out, nil
}

// Close takes everything down.
func (s *Stage) Close(ctx context.Context) error {
	if s.Cluster == nil {
		return nil
	}
	return s.Cluster.Close(ctx)
}
