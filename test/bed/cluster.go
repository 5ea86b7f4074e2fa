// SPDX-License-Identifier: Apache-2.0

// Package bed gives tests and the demo a whole cluster on one Linux machine: a real control plane,
// a registry, and nodes with a real systemd. It takes parts away and gives them back when asked to,
// and leaves nothing behind.
package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/kata-node/kata-node/test/bed/endpoints"
	"github.com/kata-node/kata-node/test/bed/images"
	"github.com/kata-node/kata-node/test/bed/machine"
	"github.com/kata-node/kata-node/test/bed/pki"
	"github.com/kata-node/kata-node/test/bed/process"
)

// RegistryName is how images are named in a test cluster. Each node resolves it to a registry proxy
// of its own.
const RegistryName = images.Registry

// Options of [Workspace.Start].
type Options struct {
	// Programs, as built by [Workspace.Build]: testbed always, [NodePrograms] for nodes.
	Programs Programs
	// Progress receives what takes long; nil for none.
	Progress io.Writer
	// Without is a controller of kube-controller-manager that does not run, empty for none.
	Without string
}

// Cluster is a running control plane with a registry, and the nodes that were added to it.
type Cluster struct {
	// Registry is the host:port to which images are pushed, plain HTTP.
	Registry string
	// Kubeconfig is a file with the administrator's credential, for kubectl.
	Kubeconfig string

	workspace Workspace
	options   Options
	// home is the directory of everything that ends with this cluster.
	home      string
	endpoints endpoints.Endpoints
	clients   *pki.Authority
	control   *process.Process

	mu    sync.Mutex
	nodes []*Node
	procs []*process.Process

	// What the nodes share is made once: the images, and a tree with the programs.
	making       sync.Mutex
	store, layer string
}

// Start starts a control plane without nodes. It needs no root. The caller closes it.
func (w Workspace) Start(ctx context.Context, options Options) (*Cluster, error) {
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	if err := machine.Sweep(ctx, w.machines()); err != nil {
		return nil, fmt.Errorf("removing what an earlier run left: %w", err)
	}
	home, err := machine.Home(w.machines())
	if err != nil {
		return nil, fmt.Errorf("starting cluster: %w", err)
	}
	c := &Cluster{workspace: w, options: options, home: home}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting cluster: %w", err), c.Close(ctx))
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	for _, dir := range []string{c.path("tmp"), c.Scratch()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if c.endpoints, err = c.startControlPlane(ctx); err != nil {
		return err
	}
	if c.clients, err = pki.Load(c.endpoints.ClientCA); err != nil {
		return err
	}
	c.Registry = c.endpoints.Registry
	c.Kubeconfig = c.path("kubeconfig")
	admin, err := c.Admin()
	if err != nil {
		return err
	}
	return c.WriteKubeconfig(c.Kubeconfig, admin)
}

// startControlPlane returns when every server of it answers.
func (c *Cluster) startControlPlane(ctx context.Context) (endpoints.Endpoints, error) {
	none := endpoints.Endpoints{}
	// Not bound to ctx: a test's context ends before its clean-up begins.
	command := exec.CommandContext(context.WithoutCancel(ctx), c.options.Programs.Path("testbed"), c.workspace.machines(), c.options.Without)
	command.Env = append(os.Environ(), "TMPDIR="+c.path("tmp"))
	if _, err := command.StdinPipe(); err != nil { // Open as long as this process lives.
		return none, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return none, err
	}
	defer reader.Close()
	command.Stdout = writer
	if c.control, err = process.Start(command, c.path("testbed.log")); err != nil {
		return none, errors.Join(err, writer.Close())
	}
	writer.Close()
	ready := make(chan error, 1)
	var document endpoints.Endpoints
	go func() {
		var err error
		document, err = endpoints.Read(reader)
		ready <- err
	}()
	select {
	case err := <-ready:
		if err != nil {
			return none, c.control.Err()
		}
		return document, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// path is a file of this cluster that belongs to no node; the folder's name is no host name.
func (c *Cluster) path(name string) string { return filepath.Join(c.home, "_cluster", name) }

// Scratch is a directory for files that end with the cluster, also when this process is killed.
func (c *Cluster) Scratch() string { return c.path("scratch") }

// Close stops and removes everything that belongs to the cluster, also after ctx is done.
func (c *Cluster) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	c.mu.Lock()
	nodes, procs := c.nodes, c.procs
	c.nodes, c.procs = nil, nil
	c.mu.Unlock()
	var errs []error
	for _, proc := range procs {
		errs = append(errs, proc.Stop(ctx))
	}
	errs = append(errs, removeAll(ctx, nodes))
	if c.control != nil {
		errs = append(errs, c.control.StopBy(ctx, endpoints.Stop))
	}
	return errors.Join(append(errs, machine.RemoveHome(c.home))...)
}

// Nodes are the nodes in the order in which they were added.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Node(nil), c.nodes...)
}

// Run starts one of the built programs on the host, as the controller runs in a cluster. It ends
// with the cluster at the latest.
func (c *Cluster) Run(ctx context.Context, program string, args ...string) (*process.Process, error) {
	command := exec.CommandContext(context.WithoutCancel(ctx), c.options.Programs.Path(program), args...)
	proc, err := process.Start(command, c.path(program+".log"))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.procs = append(c.procs, proc)
	return proc, nil
}

// config is a client without a credential. Tests are not throttled by themselves.
func (c *Cluster) config() *rest.Config {
	return &rest.Config{
		Host:            "https://" + c.endpoints.APIServer,
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.endpoints.ServerCA},
	}
}
