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

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
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

// install writes to the disk of a node that is off: stand-ins, credential, way to the registry, and
// what the options say.
func (n *Node) install(ctx context.Context, options NodeOptions) error {
	programs := map[string]string{}
	if !options.Bare {
		if err := n.copyTree(n.cluster.workspace.Path("test", "rootfs")); err != nil {
			return err
		}
		programs["/usr/bin/crio"] = n.cluster.options.Programs.Path("crio")
		programs["/usr/bin/kubelet"] = n.cluster.options.Programs.Path("kubelet")
	}
	maps.Copy(programs, options.Programs)
	for _, path := range slices.Sorted(maps.Keys(programs)) {
		if err := n.copyFile(programs[path], path, 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{"/etc/containers/registries.conf": fmt.Sprintf(registriesConf, RegistryName, n.Images.Address())}
	if options.Images {
		files[imageStoreFile] = imageStoreConf
	}
	maps.Copy(files, options.Files)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := n.WriteFile(path, []byte(files[path]), 0o644); err != nil {
			return err
		}
	}
	if err := n.WriteCredential(n.Name()); err != nil {
		return err
	}
	return n.preset(ctx, options.Preset)
}

// WriteCredential gives the node the kubelet credential of the named node, its own unless a test
// wants otherwise: a kubeconfig that names the certificate by file, as on OpenShift. It may be
// called again, as a rotation does.
func (n *Node) WriteCredential(name string) error {
	pair, err := n.cluster.clients.Client("system:node:"+name, "system:nodes")
	if err != nil {
		return err
	}
	const entry = "default"
	config := clientcmdapi.NewConfig()
	// The server's certificate is for no address of a virtual machine's link.
	config.Clusters[entry] = &clientcmdapi.Cluster{Server: "https://" + n.API.Address(), TLSServerName: "localhost", CertificateAuthorityData: n.cluster.endpoints.ServerCA}
	config.AuthInfos[entry] = &clientcmdapi.AuthInfo{ClientCertificate: kubeletCert, ClientKey: kubeletCert}
	config.Contexts[entry] = &clientcmdapi.Context{Cluster: entry, AuthInfo: entry}
	config.CurrentContext = entry
	content, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing credential of %q: %w", name, err)
	}
	if err := n.WriteFile(kubeletCert, slices.Concat(pair.Cert, pair.Key), 0o600); err != nil {
		return err
	}
	return n.WriteFile(kubeletDir+"/kubeconfig", content, 0o600)
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
func (n *Node) copyTree(tree string) error {
	return filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		target := "/" + path[len(tree)+1:]
		if entry.Type() == fs.ModeSymlink {
			return n.copyLink(path, target)
		}
		return n.copyFile(path, target, 0o644)
	})
}

func (n *Node) copyLink(source, path string) error {
	destination, err := os.Readlink(source)
	if err != nil {
		return err
	}
	target := filepath.Join(n.Root(), path)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.Symlink(destination, target)
}

// copyFile copies without reading all of a large program at once.
func (n *Node) copyFile(source, path string, mode fs.FileMode) error {
	from, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("installing %s: %w", path, err)
	}
	defer from.Close()
	target := filepath.Join(n.Root(), path)
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
