// SPDX-License-Identifier: Apache-2.0

// Package machineconfig renders the Butane sources of the node agent into MachineConfigs and checks
// them as the machine-config operator will. Every warning of Butane or Ignition is an error.
package machineconfig

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	butane "github.com/coreos/butane/config"
	"github.com/coreos/butane/config/common"
)

// Source is the Butane source, relative to the root of the repository.
const Source = "ignition/kata-agent.bu"

// OpenShift lists the releases that MachineConfigs are rendered for: those that Butane translates
// for, from the first one that has ValidatingAdmissionPolicies and NodeDisruptionPolicies.
func OpenShift() []string { return []string{"4.17", "4.18", "4.19", "4.20", "4.21"} }

// Options is what differs between two renderings.
type Options struct {
	// OpenShift is one of OpenShift().
	OpenShift string
	// Image holds the agent: registry/repository@sha256:digest.
	Image string
	// Role is the machine config pool, usually "worker".
	Role string
	// AllowedPayloads are the repositories, or directories of them, whose payloads the nodes run.
	// Empty means the directory of the agent's own image.
	AllowedPayloads []string
}

const (
	// imageForm is api/node's ImagePattern, which a test compares: this module does not import the
	// agent's.
	imageForm = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]+)?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$`
	roleForm  = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// allowedForm is api/node's PrefixPattern, which the same test compares.
	allowedForm = `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9._-]+)*/?$`
)

func (o Options) validate() error {
	if !matches(imageForm, o.Image) {
		return fmt.Errorf("AGENT_IMAGE %q is not registry/repository@sha256:<64 hex digits>: name the image by digest, so that every node runs the same agent", o.Image)
	}
	if !matches(roleForm, o.Role) {
		return fmt.Errorf("ROLE %q is not the name of a machine config pool: give one such as worker", o.Role)
	}
	for _, allowed := range o.AllowedPayloads {
		if !matches(allowedForm, allowed) {
			return fmt.Errorf("ALLOWED_PAYLOADS %q is not a repository or a directory of them: give one such as registry.example.com/kata/", allowed)
		}
	}
	return nil
}

func matches(form, text string) bool {
	ok, err := regexp.MatchString(form, text)
	return err == nil && ok
}

// allowed is the TOML array for the agent's setting.
func (o Options) allowed() string {
	allowed := o.AllowedPayloads
	if len(allowed) == 0 {
		name, _, _ := strings.Cut(o.Image, "@")
		allowed = []string{path.Dir(name) + "/"}
	}
	return `["` + strings.Join(allowed, `", "`) + `"]`
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
	for name, value := range map[string]string{"OPENSHIFT_VERSION": o.OpenShift, "AGENT_IMAGE": o.Image, "ROLE": o.Role, "ALLOWED_PAYLOADS": o.allowed()} {
		source = bytes.ReplaceAll(source, []byte("${"+name+"}"), []byte(value))
	}
	return source
}
