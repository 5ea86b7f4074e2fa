// SPDX-License-Identifier: Apache-2.0

// Package machineconfig renders the Butane sources of the node agent into MachineConfigs and checks them as the machine-config operator will.
// It refuses whatever Butane or Ignition has the slightest remark about.
package machineconfig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	butane "github.com/coreos/butane/config"
	"github.com/coreos/butane/config/common"
)

// Source is the Butane source, relative to the root of the repository.
const Source = "ignition/kata-agent.bu"

// OpenShift lists the releases that MachineConfigs are rendered for. 4.17 and 4.18 take the first (Ignition 3.4), later ones the second (Ignition 3.5).
func OpenShift() []string { return []string{"4.18", "4.19"} }

// Options is what differs between two renderings.
type Options struct {
	// OpenShift is one of OpenShift().
	OpenShift string
	// Image holds the agent: registry/repository@sha256:digest.
	Image string
	// Role is the machine config pool, usually "worker".
	Role string
}

var (
	// What may stand here goes into a systemd unit as it is: no space, quote, dollar or percent sign.
	image = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}$`)
	role  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

func (o Options) validate() error {
	if !image.MatchString(o.Image) {
		return fmt.Errorf("AGENT_IMAGE %q is not registry/repository@sha256:<64 hex digits>: name the image by digest, so that every node runs the same agent", o.Image)
	}
	if !role.MatchString(o.Role) {
		return fmt.Errorf("ROLE %q is not the name of a machine config pool: give one such as worker", o.Role)
	}
	return nil
}

// Render turns the sources below root, the root of the repository, into one MachineConfig as YAML.
func Render(root string, o Options) ([]byte, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	source, err := os.ReadFile(filepath.Join(root, Source))
	if err != nil {
		return nil, fmt.Errorf("reading the Butane source: %w", err)
	}
	// Uncompressed, so that people can read what their nodes get; it is small.
	options := common.TranslateBytesOptions{TranslateOptions: common.TranslateOptions{FilesDir: root, NoResourceAutoCompression: true}}
	out, report, err := butane.TranslateBytes(o.fill(source), options)
	if err != nil {
		return nil, fmt.Errorf("translating %s: %w: %s", Source, err, report.String())
	}
	// Butane only warns of a key that it does not know.
	if len(report.Entries) > 0 {
		return nil, fmt.Errorf("translating %s: %s", Source, report.String())
	}
	return out, check(out)
}

// fill replaces the placeholders; Butane has none of its own.
func (o Options) fill(source []byte) []byte {
	for name, value := range map[string]string{"OPENSHIFT_VERSION": o.OpenShift, "AGENT_IMAGE": o.Image, "ROLE": o.Role} {
		source = bytes.ReplaceAll(source, []byte("${"+name+"}"), []byte(value))
	}
	return source
}
