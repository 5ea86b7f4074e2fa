// SPDX-License-Identifier: Apache-2.0

// Command demo tells the whole story of Kata on a cluster, on one machine: a real control plane, a
// registry, the controller, and three nodes with a real systemd.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/suites/story"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running until Ctrl-C")
	node := flag.String("node", "nspawn", "what the first node is: nspawn (a container) or qemu (a virtual machine with KVM, which takes some minutes)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *node != "nspawn" && *node != "qemu" {
		fmt.Fprintf(os.Stderr, "demo: a node cannot be %q; set --node to nspawn or qemu\n", *node)
		stop()
		os.Exit(2)
	}
	if err := demo(ctx, *keep, *node == "qemu"); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

const needs = `This demo needs Linux, root, Go 1.26 with a C compiler, and about 6 GB of disk for build cache and node trees.
The first run builds a Kubernetes control plane, kubelet and kubectl, and CRI-O, and takes about half an hour on two cores; later runs take about a minute.
`

func demo(ctx context.Context, keep, emulated bool) error {
	fmt.Print(needs)
	if missing := bed.Missing(); len(missing) > 0 {
		return fmt.Errorf("running nodes here: %s; 'make demo' as root installs what is missing on Debian", strings.Join(missing, "; "))
	}
	begun := time.Now()
	cluster, err := fixture.Start(ctx, fixture.Options{Progress: os.Stdout, Kubectl: true})
	if err != nil {
		return err
	}
	if emulated { // Here, where nothing counts the time yet.
		err = cluster.PrepareNodes(ctx, bed.NodeOptions{Emulated: true})
	}
	if err == nil {
		err = (&story.Story{Cluster: cluster, Out: os.Stdout, Emulated: emulated}).Run(ctx)
	}
	if err == nil {
		fmt.Printf("\nThe whole story took %s.\n", time.Since(begun).Round(time.Second))
	}
	if err == nil && keep {
		linger(ctx, cluster)
	}
	return errors.Join(err, cluster.Close(context.WithoutCancel(ctx)))
}

func linger(ctx context.Context, cluster *fixture.Cluster) {
	fmt.Printf(`
Everything still runs. In another terminal:
  export KUBECONFIG=%s
  alias kubectl=%s
  kubectl apply -f deploy/samples/kataconfig.yaml
  kubectl get kataconfig,runtimeclass,nodes
A shell on a node:
`, cluster.Kubeconfig, cluster.Programs.Path("kubectl"))
	for _, n := range cluster.Nodes() {
		if shell, err := n.Shell(); err == nil {
			fmt.Printf("  %s\n", shell)
		}
	}
	fmt.Println("Ctrl-C ends it and removes everything.")
	<-ctx.Done()
}
