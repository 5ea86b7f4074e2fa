// SPDX-License-Identifier: Apache-2.0

package machineconfig

import (
	"encoding/json"
	"fmt"

	v34 "github.com/coreos/ignition/v2/config/v3_4"
	v35 "github.com/coreos/ignition/v2/config/v3_5"
	"github.com/coreos/vcontext/report"
	"go.yaml.in/yaml/v3"
)

const (
	// renderedLimit is what the machine-config operator allows for all MachineConfigs of a pool
	// together, in bytes (its pkg/controller/common/constants.go).
	renderedLimit = 1_572_864
	// ourShare leaves room for everybody else's.
	ourShare = 100 << 10
)

// document is the part of a MachineConfig that nodes act on.
type document struct {
	Spec struct {
		Config map[string]any `yaml:"config"`
	} `yaml:"spec"`
}

// check parses a rendered MachineConfig with Ignition's own library and holds it against the size
// limit.
func check(rendered []byte) error {
	if len(rendered) > ourShare {
		return fmt.Errorf("the MachineConfig has %d bytes: more than our share, %d of the %d that a pool may have", len(rendered), ourShare, renderedLimit)
	}
	config, err := ignitionJSON(rendered)
	if err != nil {
		return err
	}
	found, err := parse(config)
	if err != nil {
		return fmt.Errorf("validating the Ignition config: %w: %s", err, found.String())
	}
	if len(found.Entries) > 0 {
		return fmt.Errorf("validating the Ignition config: %s", found.String())
	}
	return nil
}

func ignitionJSON(rendered []byte) ([]byte, error) {
	var d document
	if err := yaml.Unmarshal(rendered, &d); err != nil {
		return nil, fmt.Errorf("reading the MachineConfig: %w", err)
	}
	config, err := json.Marshal(d.Spec.Config)
	if err != nil {
		return nil, fmt.Errorf("reading the MachineConfig: %w", err)
	}
	return config, nil
}

// parse uses the parser of exactly the version that the config names; nodes of that release have no
// newer one.
func parse(config []byte) (report.Report, error) {
	var header struct {
		Ignition struct {
			Version string `json:"version"`
		} `json:"ignition"`
	}
	if err := json.Unmarshal(config, &header); err != nil {
		return report.Report{}, fmt.Errorf("reading the version: %w", err)
	}
	switch header.Ignition.Version {
	case "3.4.0":
		_, found, err := v34.Parse(config)
		return found, err
	case "3.5.0":
		_, found, err := v35.Parse(config)
		return found, err
	default:
		return report.Report{}, fmt.Errorf("version %q is neither 3.4.0 nor 3.5.0", header.Ignition.Version)
	}
}
