// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/transport"
)

func newPush() *cobra.Command {
	var registry registryFlags
	var sign signFlags
	cmd := &cobra.Command{
		Use:   "push FROM TO",
		Short: "Copy an image, or an index with all its images, to another place, and print its name by digest",
		Long: `Copy an image, or an index with all its images, to another place, and print its name by digest.

Every byte stays what it is, so the digest does too. The tag at the target moves when everything else is in place.
Documents that are attached to it go along, and between registries its signatures do, too.`,
		Example: "  kata-payload push oci:payload:v1 docker://registry.example/kata/payload:v1\n" +
			"  kata-payload push docker://registry.example/kata/payload:v1 oci-archive:payload.tar:v1",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := transport.ParseTarget(args[0])
			if err != nil {
				return err
			}
			to, err := transport.ParseTarget(args[1])
			if err != nil {
				return err
			}
			o := registry.options()
			if o.Signing, err = sign.signing(); err != nil {
				return err
			}
			shown := display(cmd.ErrOrStderr(), "copying")
			o.Progress = blobs(shown, nil)
			published, err := transport.Copy(cmd.Context(), from, to, o)
			shown.Close()
			if err != nil {
				return err
			}
			if !to.HoldsAttachments() {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s cannot hold what is attached to an image: signatures and documents, if there were any, have stayed behind\n", to)
			} else if !to.HoldsSignatures() {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s cannot hold signatures: if there were any, they have stayed behind\n", to)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), published.Name)
			return err
		},
	}
	registry.add(cmd.Flags())
	sign.add(cmd.Flags())
	return cmd
}
