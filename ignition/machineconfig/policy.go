// SPDX-License-Identifier: Apache-2.0

package machineconfig

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Policy and RemovalPolicy are the disruption policies next to the Butane source.
const (
	Policy        = "nodedisruptionpolicy.yaml"
	RemovalPolicy = "nodedisruptionpolicy-removal.yaml"
)

// Action is one thing the machine-config daemon does when a file or unit changes.
type Action struct {
	Type    string `yaml:"type"`
	Restart struct {
		ServiceName string `yaml:"serviceName"`
	} `yaml:"restart"`
}

// Disruption is a NodeDisruptionPolicy: actions by file path or directory, and by unit.
type Disruption struct {
	Files []struct {
		Path    string   `yaml:"path"`
		Actions []Action `yaml:"actions"`
	} `yaml:"files"`
	Units []struct {
		Name    string   `yaml:"name"`
		Actions []Action `yaml:"actions"`
	} `yaml:"units"`
}

// DecodePolicy reads the policy out of a MachineConfiguration.
func DecodePolicy(manifest []byte) (Disruption, error) {
	var d struct {
		Spec struct {
			Policy Disruption `yaml:"nodeDisruptionPolicy"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(manifest, &d); err != nil {
		return Disruption{}, fmt.Errorf("reading the disruption policy: %w", err)
	}
	return d.Spec.Policy, nil
}

// ForFile is what happens when path changes: the actions of its own entry, else of the closest
// directory above it; without either, a reboot.
func (d Disruption) ForFile(file string) []Action {
	for at := file; at != "/" && at != "."; at = path.Dir(at) {
		for _, f := range d.Files {
			if f.Path == at {
				return f.Actions
			}
		}
	}
	return []Action{{Type: "Reboot"}}
}

// ForUnit is what happens when the unit or one of its drop-ins changes; without an entry, a reboot.
func (d Disruption) ForUnit(name string) []Action {
	for _, u := range d.Units {
		if u.Name == name {
			return u.Actions
		}
	}
	return []Action{{Type: "Reboot"}}
}

// Shipped names every file and unit of a rendered MachineConfig, sorted.
func Shipped(rendered []byte) (files, units []string, err error) {
	config, err := ignitionJSON(rendered)
	if err != nil {
		return nil, nil, err
	}
	var c struct {
		Storage struct {
			Files []struct{ Path string }
		}
		Systemd struct {
			Units []struct{ Name string }
		}
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, nil, fmt.Errorf("reading the Ignition config: %w", err)
	}
	for _, f := range c.Storage.Files {
		files = append(files, f.Path)
	}
	for _, u := range c.Systemd.Units {
		units = append(units, u.Name)
	}
	slices.Sort(files)
	slices.Sort(units)
	return files, units, nil
}
