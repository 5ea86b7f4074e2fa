// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"

	"go.podman.io/image/v5/signature"
	"go.podman.io/storage/pkg/configfile"
)

// policy is the host's own decision which images may be used at all.
func (s *Store) policy(ctx context.Context) (*signature.PolicyContext, error) {
	s.decides = ""
	if s.Policy != "" {
		return policyFrom(s.Policy)
	}
	policy, err := signature.DefaultPolicy(s.system)
	if errors.Is(err, configfile.ErrConfigFileNotFound) && s.RuntimePolicy != nil {
		file, asked := s.RuntimePolicy(ctx)
		if file != "" {
			s.decides = file
			return policyFrom(file)
		}
		err = errors.Join(err, asked)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the host's signature policy, another one may be named by setting signature_policy: %w", err)
	}
	return signature.NewPolicyContext(policy)
}

func policyFrom(file string) (*signature.PolicyContext, error) {
	policy, err := signature.NewPolicyFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading signature policy %s: %w", file, err)
	}
	return signature.NewPolicyContext(policy)
}
