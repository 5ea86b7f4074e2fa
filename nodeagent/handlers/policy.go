// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// SignaturePolicy returns the file by which CRI-O decides which images may be used, empty where
// neither its options nor its configuration name one. A file that cannot be read may name another
// one, and is an error.
func SignaturePolicy(files []File, options Options) (string, error) {
	if options.policy != "" {
		return options.policy, nil
	}
	policy := ""
	for _, f := range files {
		var t struct {
			CRIO struct {
				Image struct {
					Policy *string `toml:"signature_policy"`
				} `toml:"image"`
			} `toml:"crio"`
		}
		err := f.Err
		if err == nil {
			err = toml.Unmarshal(f.Content, &t)
		}
		if err != nil {
			return "", fmt.Errorf("reading the configuration of CRI-O, %s: %w", f.Path, err)
		}
		if t.CRIO.Image.Policy != nil {
			policy = *t.CRIO.Image.Policy
		}
	}
	return policy, nil
}
