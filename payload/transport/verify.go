// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/signature"
)

// Trust says whose signature is demanded: one of both files.
type Trust struct {
	// PolicyFile is in the form of containers-policy.json(5), as nodes have it.
	PolicyFile string
	// KeyFile is a public key. The signature must be for the repository that the image is in.
	KeyFile string
}

func (t Trust) policy() (*signature.Policy, error) {
	if t.PolicyFile != "" {
		policy, err := signature.NewPolicyFromFile(t.PolicyFile)
		if err != nil {
			return nil, fmt.Errorf("reading signature policy %s: %w", t.PolicyFile, err)
		}
		return policy, nil
	}
	signed, err := signature.NewPRSigstoreSigned(
		signature.PRSigstoreSignedWithKeyPath(t.KeyFile), signature.PRSigstoreSignedWithSignedIdentity(signature.NewPRMMatchRepoDigestOrExact()))
	if err != nil {
		return nil, err
	}
	return &signature.Policy{Default: []signature.PolicyRequirement{signed}}, nil
}

// Verify decides as a node does that pulls by digest: whether an image, or an index and each of its
// images, is signed as demanded. The error names what is not.
func Verify(ctx context.Context, at Target, trust Trust, o Options) error {
	if at.kind != registryPrefix && trust.PolicyFile == "" {
		return fmt.Errorf("verifying the signature of %s: only registries hold signatures: verify it where it was pushed to", at)
	}
	opened, err := Open(ctx, at, o)
	if err != nil {
		return err
	}
	if at.kind == registryPrefix && at.digest == "" {
		byDigest := at
		byDigest.tag, byDigest.digest = "", opened.Digest
		return errors.Join(Verify(ctx, byDigest, trust, o), opened.Close())
	}
	if err := errors.Join(opened.verify(ctx, trust), opened.Close()); err != nil {
		return fmt.Errorf("verifying the signature of %s: %w", at, explain(err, at))
	}
	return nil
}

func (o *Opened) verify(ctx context.Context, trust Trust) error {
	policy, err := trust.policy()
	if err != nil {
		return err
	}
	judge, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer func() { _ = judge.Destroy() }() //nolint:errcheck // releases memory only
	instances := []*digest.Digest{nil}
	if o.Index {
		for _, found := range o.Images {
			at, err := found.Digest()
			if err != nil {
				return err
			}
			instance := digest.Digest(at.String())
			instances = append(instances, &instance)
		}
	}
	for _, instance := range instances {
		allowed, err := judge.IsRunningImageAllowed(ctx, image.UnparsedInstance(o.source, instance))
		if err == nil && !allowed {
			err = errors.New("the policy does not allow it")
		}
		if err != nil && instance != nil {
			err = fmt.Errorf("image %s of the index: %w", *instance, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
