// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature/signer"
	"go.podman.io/image/v5/signature/sigstore"
)

// Signing says with which key an image is signed as it is pushed: the index and each of its images,
// and what is attached to them. Signatures are in the form that nodes read (sigstoreSigned in
// containers-policy.json(5)).
type Signing struct {
	// KeyFile is a private key as cosign and skopeo write it.
	KeyFile string
	// PassphraseFile holds the key's passphrase, up to the first line break. Without one it is
	// empty.
	PassphraseFile string
	// Identity is the name in the signature, with a tag, where nodes know the image by another name
	// than the one it is pushed to, as from a mirror.
	Identity string
}

// signed are the options of a copy that signs. The signers have to be closed.
func (j *job) signed() (o copy.Options, err error) {
	o.ImageListSelection = copy.CopyAllImages
	s := j.options.Signing
	if s == nil {
		return o, nil
	}
	identity := s.Identity
	if identity == "" {
		identity = j.to.place + "@" + j.Digest
		if j.to.tag != "" {
			identity = j.to.place + ":" + j.to.tag
		}
	}
	named, err := reference.ParseNormalizedNamed(identity)
	if err != nil {
		return o, fmt.Errorf("signing as %q: %w", identity, err)
	}
	if reference.IsNameOnly(named) {
		return o, fmt.Errorf("signing as %q: the name has no tag: write registry/repository:TAG", identity)
	}
	key, err := s.signer()
	if err != nil {
		return o, fmt.Errorf("signing with %s: %w", s.KeyFile, err)
	}
	o.Signers, o.SignIdentity = []*signer.Signer{key}, named
	return o, nil
}

func (s *Signing) signer() (*signer.Signer, error) {
	passphrase := []byte{}
	if s.PassphraseFile != "" {
		text, err := os.ReadFile(filepath.Clean(s.PassphraseFile))
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		passphrase, _, _ = bytes.Cut(text, []byte("\n"))
	}
	key, err := sigstore.NewSigner(sigstore.WithPrivateKeyFile(s.KeyFile, passphrase))
	if err != nil {
		return nil, fmt.Errorf("%w: it has to be a private key that cosign generate-key-pair or skopeo generate-sigstore-key has made, with its passphrase", err)
	}
	return key, nil
}

func closeSigners(o copy.Options) error {
	var problems []error
	for _, s := range o.Signers {
		problems = append(problems, s.Close())
	}
	return errors.Join(problems...)
}
