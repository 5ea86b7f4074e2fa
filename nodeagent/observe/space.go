// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/eviction"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// kubeletUnit is the kubelet's on every system that the agent knows.
const kubeletUnit = "kubelet.service"

// usualConfigs are where a kubelet's configuration lies, on OpenShift and after kubeadm.
func usualConfigs() []string {
	return []string{"/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/config.yaml"}
}

// Thresholds returns how much of its disks the kubelet wants to stay free. Where its configuration
// cannot be read, those of a kubelet without one count: they are what most nodes have.
func (o Observer) Thresholds(ctx context.Context) []host.Threshold {
	options := o.kubelet(ctx)
	options.Images = o.imageRoot(ctx)
	thresholds, err := eviction.Thresholds(options, o.kubeletConfig(options)...)
	if err != nil {
		return eviction.Default()
	}
	return thresholds
}

// storageConfigs are read by CRI-O's library of storages: the first one that is there counts.
func storageConfigs() []string {
	return []string{"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}
}

// imageRoot is where CRI-O keeps images, empty for the usual place. The kubelet asks CRI-O for it.
func (o Observer) imageRoot(ctx context.Context) string {
	unit, _ := o.Host.Services.Unit(ctx, o.Self.CRIOUnit) //nolint:errcheck // its configuration is in the usual places, then
	options := o.options(unit.MainPID)
	root, err := handlers.ImageRoot(ConfigurationFiles(o.Host.Files, options), options)
	if err == nil && root != "" {
		return root
	}
	for _, file := range storageConfigs() {
		if content, err := o.Host.Files.Read(file); err == nil {
			root, _ := handlers.GraphRoot(content) //nolint:errcheck // CRI-O does not start with it either
			return root
		}
	}
	return ""
}

// kubelet reads the options of the process. One that does not run may be one of a node that boots,
// and has its configuration in the usual place.
func (o Observer) kubelet(ctx context.Context) eviction.Options {
	unit, err := o.Host.Services.Unit(ctx, kubeletUnit)
	if err == nil && unit.MainPID != 0 {
		if process, err := o.Host.Processes.Started(unit.MainPID, ""); err == nil {
			return eviction.OptionsOf(process.Args)
		}
	}
	options := eviction.OptionsOf(nil)
	if i := slices.IndexFunc(usualConfigs(), o.exists); i >= 0 {
		options.Config = usualConfigs()[i]
	}
	return options
}

// kubeletConfig reads the configuration file and then, by name, the drop-ins, which end in .conf.
func (o Observer) kubeletConfig(options eviction.Options) (documents [][]byte) {
	files := []string{}
	if options.Config != "" {
		files = append(files, options.Config)
	}
	if options.Dir != "" {
		names, _ := o.Host.Files.List(options.Dir) //nolint:errcheck // what cannot be listed has nothing
		for _, name := range names {
			if strings.HasSuffix(name, ".conf") {
				files = append(files, path.Join(options.Dir, name))
			}
		}
	}
	for _, file := range files {
		if content, err := o.Host.Files.Read(file); err == nil {
			documents = append(documents, content)
		}
	}
	return documents
}
