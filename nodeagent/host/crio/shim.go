// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"
	"encoding/json"
	"fmt"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Shim returns the program of a handler in the configuration of the running CRI-O, empty where it
// has none or does not show its configuration.
func (c *Client) Shim(ctx context.Context, handler string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	answer, err := c.cri.Status(ctx, &cri.StatusRequest{Verbose: true})
	if err != nil {
		return "", fmt.Errorf("asking CRI-O for its configuration: %w", err)
	}
	document, shown := answer.GetInfo()["config"]
	if !shown {
		return "", nil
	}
	var config struct {
		CRIO struct {
			Runtimes map[string]struct{ RuntimePath string }
		} `json:"crio"`
	}
	if err := json.Unmarshal([]byte(document), &config); err != nil {
		return "", fmt.Errorf("reading CRI-O's configuration: %w", err)
	}
	return config.CRIO.Runtimes[handler].RuntimePath, nil
}
