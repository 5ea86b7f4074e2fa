// SPDX-License-Identifier: Apache-2.0

package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// KubernetesVersion is what the control plane and kubectl say they are; it is the version of
// k8s.io/kubernetes in test/go.mod.
const KubernetesVersion = "v1.37.2"

// A real CRI-O is built from a module of its own, whose libraries of Kubernetes are older.
const (
	crioModule = "test/crio"
	crioSource = "github.com/cri-o/cri-o"
)

// Program says how one program is built.
type Program struct {
	// Name of the program's file.
	Name string
	// Module is the directory, in the repository, of the module that builds it.
	Module  string
	Package string
	LDFlags string
	Tags    []string
	// Note for the person who waits.
	Note string
	// Product is true for what we ship, false for what tests need.
	Product bool
	// CGO is true for a program that cannot do without a C library.
	CGO bool
	// CSources is a pattern of C files, in the named Go module, that make the program; Package is
	// empty then.
	CSources string
	// Sources are patterns of files; while these are the same the program is not built again.
	// Empty: the go command decides.
	Sources []string
}

// Programs lists every program of a test cluster.
func Programs() []Program {
	imageTags := []string{"containers_image_openpgp", "exclude_graphdriver_btrfs", "containers_image_ostree_stub"}
	version := "-X k8s.io/component-base/version.gitVersion=" + KubernetesVersion
	return []Program{
		{
			Name: "testbed", Module: "test", Package: "./cmd/testbed", LDFlags: version, Note: " (first time: about ten minutes on two cores)",
			Sources: []string{"test/go.mod", "test/go.sum", "test/cmd/testbed/*.go", "test/bed/endpoints/*.go", "test/bed/pki/*.go", "test/bed/machine/*.go"},
		},
		{
			Name: "kubectl", Module: "test", Package: "k8s.io/kubernetes/cmd/kubectl", LDFlags: version, Note: " (first time: about a minute)",
			Sources: []string{"test/go.mod", "test/go.sum"},
		},
		{
			Name: "kubelet", Module: "test", Package: "k8s.io/kubernetes/cmd/kubelet", LDFlags: version,
			Note:    " (first time: five minutes of processor time)",
			Sources: []string{"test/go.mod", "test/go.sum"},
		},
		{
			Name: "crio", Module: crioModule, Package: crioSource + "/cmd/crio", Tags: imageTags, CGO: true,
			Note: " (first time: three minutes of processor time)", Sources: []string{crioModule + "/go.mod", crioModule + "/go.sum"},
		},
		{
			Name: "pinns", Module: crioModule, CSources: crioSource + "//pinns/src/*.c",
			Sources: []string{crioModule + "/go.mod", crioModule + "/go.sum"},
		},
		{
			Name: "agnhost", Module: "test", Package: "k8s.io/kubernetes/test/images/agnhost",
			Note: " (first time: three minutes of processor time)", Sources: []string{"test/go.mod", "test/go.sum"},
		},
		{
			Name: "pause", Module: "test", CSources: "k8s.io/kubernetes//build/pause/linux/pause.c",
			Sources: []string{"test/go.mod", "test/go.sum"},
		},
		{
			Name: "e2e.test", Module: "test", Package: "./cmd/e2e.test", LDFlags: version,
			Note: " (first time: two minutes of processor time)", Sources: []string{"test/go.mod", "test/go.sum", "test/cmd/e2e.test/*.go"},
		},
		{Name: "ginkgo", Module: "test", Package: "github.com/onsi/ginkgo/v2/ginkgo", Sources: []string{"test/go.mod", "test/go.sum"}},
		{
			Name: "critest", Module: "test/critest", Package: ".",
			Note: " (first time: a minute of processor time)", Sources: []string{"test/critest/go.mod", "test/critest/go.sum", "test/critest/*.go"},
		},
		{
			Name: "nnp", Module: "test", Package: "k8s.io/kubernetes/test/images/nonewprivs",
			Sources: []string{"test/go.mod", "test/go.sum"},
		},
		{Name: "runc", Module: "test/shim", Package: "./runc"},
		{Name: "rpm-ostree", Module: "test", Package: "./cmd/rpm-ostree"},
		cniPlugin("main/bridge"), cniPlugin("ipam/host-local"), cniPlugin("main/loopback"),
		{Name: "containerd-shim-kata-v2", Module: "test/shim", Package: "."},
		{Name: "kata-node-agent", Package: "./cmd/kata-node-agent", Tags: imageTags, Product: true},
		{Name: "kata-controller", Package: "./cmd/kata-controller", Product: true},
		{Name: "kata-payload", Package: "./cmd/kata-payload", Tags: imageTags, Product: true},
	}
}

// cniPlugin is one of the plugins of the CNI project, which networks are made of.
func cniPlugin(dir string) Program {
	return Program{
		Name: "cni-" + path.Base(dir), Module: "test", Package: "github.com/containernetworking/plugins/plugins/" + dir,
		Sources: []string{"test/go.mod", "test/go.sum"},
	}
}

// key stands for everything that the program is built from; it is empty when the go command shall
// decide.
func (p Program) key(repository string) (string, error) {
	if len(p.Sources) == 0 {
		return "", nil
	}
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), p.Package, p.CSources, p.LDFlags, p.Tags)
	for _, pattern := range p.Sources {
		files, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			return "", err
		}
		files = slices.DeleteFunc(files, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
		slices.Sort(files)
		for _, path := range files {
			if err := add(hash, path); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func add(hash io.Writer, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(path), len(content), content)
	return err
}
