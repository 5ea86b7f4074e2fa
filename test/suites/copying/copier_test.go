// SPDX-License-Identifier: Apache-2.0

package copying_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

const (
	layersDir = "/var/lib/containers/storage/overlay"
	copiedDir = "/opt/kata"
	copiedTo  = "/etc/crio/crio.conf.d/99-copied.conf"
	// copiedClass is both a RuntimeClass and its handler.
	copiedClass = "copied"
	// configuration is what a copying installer gives CRI-O.
	configuration = `[crio.runtime.runtimes.` + copiedClass + `]\nruntime_path = "/opt/kata/usr/bin/containerd-shim-kata-v2"\nruntime_type = "vm"\nruntime_root = "/run/vc"\n`
	// copyScript copies a layer, flushes the copy, and prints what that let the disk write. A
	// program that runs cannot be written to, so that its file is deleted first.
	copyScript = `set -e
mkdir -p ` + copiedDir + `
cp --archive --remove-destination --reflink=never "$0"/. ` + copiedDir + `/
sync --file-system ` + copiedDir + `
printf '` + configuration + `' >` + copiedTo + `
while read -r line; do echo "$line"; done </proc/$$/io`
)

// copier is a node on which CRI-O pulls the payload and a script copies it.
type copier struct {
	node *bed.Node
	// layers are where CRI-O has the layer of each image.
	layers map[string]string
	// last is the layer that was copied last, idle what CRI-O's images took before any.
	last string
	idle float64
}

func newCopier(b *testing.B, c *fixture.Cluster) *copier {
	b.Helper()
	n, err := c.Cluster.AddNode(b.Context(), "copier", bed.NodeOptions{})
	require.NoError(b, err)
	made := &copier{node: n, layers: map[string]string{}}
	made.client(b, func(ctx context.Context, connection *grpc.ClientConn) { made.answers(ctx, b, connection) })
	made.idle = occupied(b, n, layersDir)
	return made
}

// settle implements installer: each step ends with all that it does.
func (c *copier) settle(*testing.B) {}

// forget implements installer.
func (c *copier) forget(b *testing.B, p payload) {
	b.Helper()
	c.client(b, func(ctx context.Context, connection *grpc.ClientConn) { c.delete(ctx, b, connection, p.copied) })
	delete(c.layers, p.copied)
}

func (c *copier) delete(ctx context.Context, b *testing.B, connection *grpc.ClientConn, image string) {
	b.Helper()
	_, err := runtimeapi.NewImageServiceClient(connection).RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: image}})
	require.NoError(b, err)
}

// bring implements installer.
func (c *copier) bring(b *testing.B, p payload) cost {
	b.Helper()
	wire, before, from := c.node.Images.Served(), written(b, c.node, crioUnit), time.Now()
	c.pull(b, p.copied)
	pulled := written(b, c.node, crioUnit).since(before)
	c.last = c.layer(b, p.copied)
	copied := c.copy(b)
	return spent(from, float64(c.node.Images.Served()-wire), pulled.and(copied))
}

func spent(from time.Time, wire float64, written disk) cost {
	took := time.Since(from)
	return cost{took: took, own: took, wire: wire, written: written, restarted: true}
}

// restore implements installer: the copy is made again, as at each start of such an installer.
func (c *copier) restore(b *testing.B) cost {
	b.Helper()
	wire, from := c.node.Images.Served(), time.Now()
	copied := c.copy(b)
	return spent(from, float64(c.node.Images.Served()-wire), copied)
}

// pull has CRI-O pull an image, unless it has it.
func (c *copier) pull(b *testing.B, image string) {
	b.Helper()
	c.client(b, func(ctx context.Context, connection *grpc.ClientConn) {
		_, err := runtimeapi.NewImageServiceClient(connection).PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: image}})
		require.NoError(b, err)
	})
}

// copy copies the last layer and starts CRI-O again, until it answers.
func (c *copier) copy(b *testing.B) (written disk) {
	b.Helper()
	out, err := c.node.Exec(b.Context(), "sh", "-c", copyScript, c.last)
	require.NoError(b, err)
	if _, err = c.node.Exec(b.Context(), "systemctl", "restart", crioUnit); err != nil {
		journal, _ := c.node.Journal(b.Context(), crioUnit) //nolint:errcheck // the benchmark fails anyway
		b.Fatalf("%v\n%s", err, journal[max(0, len(journal)-2000):])
	}
	c.client(b, func(ctx context.Context, connection *grpc.ClientConn) { c.answers(ctx, b, connection) })
	return writes(b, string(out))
}

func (c *copier) answers(ctx context.Context, b *testing.B, connection *grpc.ClientConn) {
	b.Helper()
	_, err := runtimeapi.NewRuntimeServiceClient(connection).Version(ctx, &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
	require.NoError(b, err)
}

// layer is where CRI-O has an image that was just pulled.
func (c *copier) layer(b *testing.B, image string) string {
	b.Helper()
	if known, ok := c.layers[image]; ok {
		return known
	}
	out, err := c.node.Exec(b.Context(), "sh", "-c", "ls -d "+layersDir+"/*/diff/"+mark)
	require.NoError(b, err)
	for file := range strings.FieldsSeq(string(out)) {
		dir := strings.TrimSuffix(file, "/"+mark)
		if !slices.Contains(slices.Collect(maps.Values(c.layers)), dir) {
			c.layers[image] = dir
		}
	}
	require.NotEmpty(b, c.layers[image], "no new layer in\n%s", out)
	return c.layers[image]
}

// disk implements installer.
func (c *copier) disk(b *testing.B) float64 {
	b.Helper()
	return occupied(b, c.node, layersDir, copiedDir) - c.idle
}

// remove implements installer.
func (c *copier) remove(b *testing.B) {
	b.Helper()
	c.client(b, func(ctx context.Context, connection *grpc.ClientConn) {
		for image := range c.layers {
			c.delete(ctx, b, connection, image)
		}
	})
	_, err := c.node.Exec(b.Context(), "rm", "-rf", copiedDir, copiedTo)
	require.NoError(b, err)
	clear(c.layers)
}

// runs implements installer.
func (c *copier) runs() (on *bed.Node, class string) { return c.node, copiedClass }

// client asks the node's CRI-O from outside.
func (c *copier) client(b *testing.B, ask func(context.Context, *grpc.ClientConn)) {
	b.Helper()
	askCRIO(b, c.node, ask)
}

func askCRIO(b *testing.B, n *bed.Node, ask func(context.Context, *grpc.ClientConn)) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+n.Live(ctx)+"/run/crio/crio.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	defer connection.Close() //nolint:errcheck // nothing is lost with it
	ask(ctx, connection)
}
