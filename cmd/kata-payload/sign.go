// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/transport"
)

// signFlags are skopeo's, for the same purposes.
type signFlags struct{ key, passphrase, identity string }

func (s *signFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&s.key, "sign-by-sigstore-private-key", "", "sign with the private key in `FILE`, as cosign and skopeo write it")
	flags.StringVar(&s.passphrase, "sign-passphrase-file", "", "`FILE` with the passphrase of the key; empty without it")
	flags.StringVar(&s.identity, "sign-identity", "", "`NAME` in the signature, registry/repository:TAG, where nodes know the image by another than the target's")
}

func (s *signFlags) signing() (*transport.Signing, error) {
	if s.key == "" && (s.passphrase != "" || s.identity != "") {
		return nil, errors.New("signing: no key: name one with --sign-by-sigstore-private-key")
	}
	if s.key == "" {
		return nil, nil //nolint:nilnil // Not to sign is one of the answers.
	}
	return &transport.Signing{KeyFile: s.key, PassphraseFile: s.passphrase, Identity: s.identity}, nil
}

func newVerify() *cobra.Command {
	var registry registryFlags
	var trust transport.Trust
	cmd := &cobra.Command{
		Use:   "verify DIR|IMAGE",
		Short: "Compare a payload with its own manifest, or an image with its labels and signature",
		Long: `Compare a mounted or unpacked payload with its own manifest, and name the first bad file.

Of an image, or of every image of an index, the manifest inside is compared with the image's label, and every file in the
layers with the manifest; all layers are fetched for that, and nothing is unpacked. With --policy or --key the
signature is verified as a node does that pulls by digest: of the index, and of each image.`,
		Example: "  kata-payload verify /run/kata-agent/slots/1/payload\n" +
			"  kata-payload verify --key cosign.pub docker://registry.example/kata/payload:v1",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if transport.IsTarget(args[0]) {
				return verifyImage(cmd, args[0], trust, registry.options())
			}
			if trust != (transport.Trust{}) {
				return fmt.Errorf("verifying %s: a directory has no signature: name an image in a registry, or leave out --policy and --key", args[0])
			}
			return verifyTree(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&trust.PolicyFile, "policy", "", "demand the signature that the policy in `FILE` demands (containers-policy.json)")
	cmd.Flags().StringVar(&trust.KeyFile, "key", "", "demand a sigstore signature by the public key in `FILE`, for the repository of the image")
	cmd.MarkFlagsMutuallyExclusive("policy", "key")
	registry.add(cmd.Flags())
	return cmd
}

func verifyTree(cmd *cobra.Command, dir string) error {
	m, document, err := inspect.Read(cmd.Context(), dir)
	if err != nil {
		return err
	}
	shown := display(cmd.ErrOrStderr(), "verifying")
	err = inspect.TreeReporting(cmd.Context(), dir, m, files(shown, dir, m))
	shown.Close()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%d files are as the manifest says\n", len(m.Files)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), manifest.Digest(document))
	return err
}

// verifyLayers compares an image's manifest with its label, and its files with the manifest.
func verifyLayers(cmd *cobra.Command, image v1.Image) error {
	m, _, err := transport.Manifest(image)
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	var streams []inspect.Layer
	for _, l := range layers {
		streams = append(streams, l.Uncompressed)
	}
	shown := display(cmd.ErrOrStderr(), "verifying")
	err = inspect.Layers(cmd.Context(), streams, m, files(shown, m.Architecture, m))
	shown.Close()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s %s (%s): the manifest inside is the one that the label names, and %d files are as it says\n",
		m.Name, m.PayloadVersion, m.Architecture, len(m.Files))
	return err
}

func verifyImage(cmd *cobra.Command, name string, trust transport.Trust, o transport.Options) (err error) {
	opened, err := open(cmd.Context(), name, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	for _, image := range opened.Images {
		if err := verifyLayers(cmd, image); err != nil {
			return fmt.Errorf("verifying %s: %w", opened.Name, err)
		}
	}
	if trust != (transport.Trust{}) {
		byDigest, err := transport.ParseTarget(opened.Target())
		if err != nil {
			return err
		}
		if err := transport.Verify(cmd.Context(), byDigest, trust, o); err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "the signature is the one that is demanded")
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), opened.Name)
	return err
}
