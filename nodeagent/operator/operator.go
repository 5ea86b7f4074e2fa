// SPDX-License-Identifier: Apache-2.0

// Package operator reads the MachineConfig that the machine-config daemon has last applied to a
// node, from that node's disk.
package operator

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Config is what the agent uses of a rendered MachineConfig.
type Config struct {
	// Name is that of the object, such as rendered-worker-0123456789abcdef0123456789abcdef.
	Name string
	// Files are the paths of the files that it lists, in their clean form.
	Files []string
}

// Load returns the MachineConfig that host.OperatorConfig has. The error is fs.ErrNotExist on nodes
// that the machine-config operator does not manage.
func Load(files host.FileReader) (Config, error) {
	content, err := files.Read(host.OperatorConfig)
	if err != nil {
		return Config{}, err
	}
	var document struct {
		Metadata struct{ Name string }
		Spec     struct {
			Config struct {
				Storage struct {
					Files []struct{ Path string }
				}
			}
		}
	}
	if err := json.Unmarshal(content, &document); err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", host.OperatorConfig, err)
	}
	c := Config{Name: document.Metadata.Name}
	for _, file := range document.Spec.Config.Storage.Files {
		c.Files = append(c.Files, path.Clean(file.Path))
	}
	return c, nil
}

// rendered is how the machine-config operator names what it renders for a pool
// (openshift/machine-config-operator, pkg/controller/render/hash.go). A pool's name is that of a
// Kubernetes object.
var rendered = regexp.MustCompile(`^rendered-([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)-[0-9a-f]+$`)

// Pool returns the machine config pool that the MachineConfig was rendered for, empty where its
// name does not say one.
func (c Config) Pool() string {
	if found := rendered.FindStringSubmatch(c.Name); found != nil {
		return found[1]
	}
	return ""
}
