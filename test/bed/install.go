// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kata-node/kata-node/test/bed/endpoints"
)

const (
	kubeletDir  = "/var/lib/kubelet"
	kubeletCert = kubeletDir + "/pki/kubelet-client-current.pem"
)

// registriesConf sends every pull of the test registry's images to the node's own proxy.
const registriesConf = `[[registry]]
prefix = %q
location = %q
insecure = true
`

// NodePrograms are what nodes and the pods on them are made of, for [BuildOptions].
func NodePrograms() []string {
	return append(slices.Sorted(maps.Values(programs())), "pause", "agnhost")
}

// programLayer is a tree with the programs of a node, below the root of each of the cluster's
// nodes: they are too large for a copy of each node's own, on disk and in memory.
func (c *Cluster) programLayer() (string, error) {
	c.making.Lock()
	defer c.making.Unlock()
	if c.layer != "" {
		return c.layer, nil
	}
	sources := map[string]string{}
	for path, name := range programs() {
		sources[path] = c.options.Programs.Path(name)
	}
	layer := filepath.Join(c.Scratch(), "programs")
	if err := copyFiles(sources, layer, 0o755); err != nil {
		return "", err
	}
	c.layer = layer
	return layer, nil
}

// programs are those of a node by the path at which it has them.
func programs() map[string]string {
	return map[string]string{
		"/usr/bin/crio":           "crio",
		"/usr/bin/pinns":          "pinns",
		"/usr/bin/kubelet":        "kubelet",
		"/opt/cni/bin/bridge":     "cni-bridge",
		"/opt/cni/bin/host-local": "cni-host-local",
		"/opt/cni/bin/loopback":   "cni-loopback",
	}
}

// install writes to the disk of a node that is off what it has for itself: configuration,
// credential, way to the registry, and what the options say.
func (n *Node) install(ctx context.Context, options NodeOptions) error {
	files := map[string]string{
		"/etc/containers/registries.conf": fmt.Sprintf(registriesConf, RegistryName, n.Images.Address()),
		"/etc/kubernetes/kubelet-ca.crt":  string(n.cluster.clients.Pair().Cert),
		"/etc/kubernetes/kubelet-env":     "KUBELET_NODE_IP=" + n.Address().String() + "\n",
	}
	if !options.Bare {
		if err := n.copyTree(ctx, n.cluster.workspace.Path("test", "rootfs")); err != nil {
			return err
		}
		files[imageStoreFile] = imageStoreConf
	}
	if err := copyFiles(options.Programs, n.Root(), 0o755); err != nil {
		return err
	}
	maps.Copy(files, options.Files)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := n.WriteFile(path, []byte(files[path]), 0o644); err != nil {
			return err
		}
	}
	pair, err := n.cluster.clients.Client(n.user())
	if err != nil {
		return err
	}
	if err := n.writeCredential(ctx, pair); err != nil {
		return err
	}
	return n.preset(ctx, options.Preset)
}

// WriteExpiringCredential gives the node another credential, which its kubelet has to renew within
// the given time.
func (n *Node) WriteExpiringCredential(ctx context.Context, rest time.Duration) error {
	name, group := n.user()
	pair, err := n.cluster.clients.ExpiringClient(rest, name, group)
	if err != nil {
		return err
	}
	return n.writeCredential(ctx, pair)
}

// user is the node's kubelet, as the API server knows it.
func (n *Node) user() (name, group string) { return "system:node:" + n.Name(), "system:nodes" }

// writeCredential gives the node the credential of its kubelet: a kubeconfig that names the
// certificate by file, as on OpenShift.
func (n *Node) writeCredential(ctx context.Context, pair endpoints.Pair) error {
	const entry = "default"
	config := clientcmdapi.NewConfig()
	// The server's certificate is for no address of a virtual machine's link.
	config.Clusters[entry] = &clientcmdapi.Cluster{Server: "https://" + n.API.Address(), TLSServerName: "localhost", CertificateAuthorityData: n.cluster.endpoints.ServerCA}
	config.AuthInfos[entry] = &clientcmdapi.AuthInfo{ClientCertificate: kubeletCert, ClientKey: kubeletCert}
	config.Contexts[entry] = &clientcmdapi.Context{Cluster: entry, AuthInfo: entry}
	config.CurrentContext = entry
	content, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing credential of %q: %w", n.Name(), err)
	}
	if err := n.writeCertificate(ctx, pair); err != nil {
		return fmt.Errorf("writing credential of %q: %w", n.Name(), err)
	}
	return n.WriteFile(kubeletDir+"/kubeconfig", content, 0o600)
}

// writeCertificate writes a client certificate as the kubelet does when it renews its own: to a
// file of its own, to which a link then points.
func (n *Node) writeCertificate(ctx context.Context, pair endpoints.Pair) error {
	file := strings.TrimSuffix(kubeletCert, "current.pem") + time.Now().Format("2006-01-02-15-04-05.000000") + ".pem"
	if err := n.WriteFile(file, slices.Concat(pair.Cert, pair.Key), 0o600); err != nil {
		return err
	}
	return n.Link(ctx, kubeletCert, filepath.Base(file))
}

// preset runs systemctl on the host: it reads and writes files below the node's root only.
func (n *Node) preset(ctx context.Context, units []string) error {
	if len(units) == 0 {
		return nil
	}
	args := append([]string{"--root=" + n.Root(), "preset"}, units...)
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("applying preset of %v: %w: %s", units, err, out)
	}
	return nil
}

// copyTree copies a tree of the repository, whose owner may be anybody, as files of root.
func (n *Node) copyTree(ctx context.Context, tree string) error {
	return filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		target := "/" + path[len(tree)+1:]
		if entry.Type() == fs.ModeSymlink {
			return n.copyLink(ctx, path, target)
		}
		return copyFile(path, n.Root(), target, 0o644)
	})
}

func (n *Node) copyLink(ctx context.Context, source, path string) error {
	destination, err := os.Readlink(source)
	if err != nil {
		return err
	}
	return n.Link(ctx, path, destination)
}

// copyFiles copies the files that have to be at these paths below root.
func copyFiles(sources map[string]string, root string, mode fs.FileMode) error {
	for _, path := range slices.Sorted(maps.Keys(sources)) {
		if err := copyFile(sources[path], root, path, mode); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies without reading all of a large program at once.
func copyFile(source, root, path string, mode fs.FileMode) error {
	from, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("installing %s: %w", path, err)
	}
	defer from.Close()
	target := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("installing %s: %w", path, err)
	}
	to, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("installing %s: %w", path, err)
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return fmt.Errorf("installing %s: %w", path, err)
	}
	return to.Close()
}
