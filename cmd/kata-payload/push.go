// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/transport"
)

func newPush() *cobra.Command {
	var registry registryFlags
	cmd := &cobra.Command{
		Use:   "push FROM TO",
		Short: "Copy an image, or an index with all its images, to another place, and print its name by digest",
		Long: `Copy an image, or an index with all its images, to another place, and print its name by digest.

Every byte stays what it is, so the digest does too. The tag at the target moves when everything else is in place.`,
		Example: "  kata-payload push oci:payload:v1 docker://registry.example/kata/payload:v1\n" +
			"  kata-payload push docker://registry.example/kata/payload:v1 oci-archive:payload.tar:v1",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := transport.ParseTarget(args[0])
			if err != nil {
				return err
			}
			to, err := transport.ParseTarget(args[1])
			if err != nil {
				return err
			}
			published, err := transport.Copy(cmd.Context(), from, to, registry.options())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), published.Name)
			return err
		},
	}
	registry.add(cmd.Flags())
	return cmd
}
