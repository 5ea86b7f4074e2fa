// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/difference"
	"github.com/kata-node/kata-node/payload/overview"
	"github.com/kata-node/kata-node/payload/transport"
)

func newDiff() *cobra.Command {
	var asJSON bool
	var architecture string
	var registry registryFlags
	cmd := &cobra.Command{
		Use:   "diff FROM TO",
		Short: "Say what an update from one image to another would fetch and write on a node",
		Long: `Say what an update from one image to another would fetch and write on a node that has the first one and no other, for each
component, and what else changes: components, handlers, shim compatibility, and what the host must bring.

Layers with a table of contents (zstd:chunked) are compared file by file: a node fetches and writes those that it does not
have, and the others become hard links. Parts of files that it has are not fetched on file systems that clone them (XFS,
Btrfs). Other layers are fetched whole, and then written whole with all that lie above them. Of the images, only the
manifests and the tables of contents are read, where the registry serves parts of blobs.`,
		Example: "  kata-payload diff docker://registry.example/kata/payload:v1 oci:payload:v2\n" +
			"  kata-payload diff --json oci:payload:v1 oci:payload:v2 | jq .total.fetched",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := compare(cmd.Context(), args[0], args[1], architecture, registry.options())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), d)
			}
			return printDifference(cmd.OutOrStdout(), d)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON, with sizes in bytes")
	addArchitecture(cmd, &architecture)
	registry.add(cmd.Flags())
	return cmd
}

func compare(ctx context.Context, from, to, architecture string, o transport.Options) (difference.Difference, error) {
	architecture = cmp.Or(architecture, runtime.GOARCH)
	first, err := readLayers(ctx, from, architecture, o)
	if err != nil {
		return difference.Difference{}, err
	}
	second, err := readLayers(ctx, to, architecture, o)
	if err != nil {
		return difference.Difference{}, err
	}
	return difference.Between(first, second)
}

// readLayers reads what has to be known of an image.
func readLayers(ctx context.Context, name, architecture string, o transport.Options) (out difference.Image, err error) {
	opened, err := open(ctx, name, o)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return overview.Layers(ctx, opened, architecture)
}

func printDifference(out io.Writer, d difference.Difference) error {
	fmt.Fprintf(out, "From %s to %s:\n", named(d.From), named(d.To))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COMPONENT\tFROM\tTO\tSIZE\tFETCHED\tWRITTEN\tNEW FILES\tLINKED FILES")
	for _, c := range d.Components {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", c.Name, cmp.Or(c.From, "-"), cmp.Or(c.To, "-"),
			size(c.Size), size(c.Fetched), size(c.Written), c.NewFiles, c.LinkedFiles)
	}
	fmt.Fprintf(w, "image's documents\t\t\t%s\t%s\t\t\t\n", size(d.Documents), size(d.Documents))
	t := d.Total
	fmt.Fprintf(w, "all\t\t\t%s\t%s\t%s\t%d\t%d\n", size(t.Size), size(t.Fetched), size(t.Written), t.NewFiles, t.LinkedFiles)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nA node fetches %s, %.1f %% of the image, and writes files of %s.\n", size(t.Fetched), share(t.Fetched, t.Size), size(t.Written))
	if t.WithoutClones != t.Fetched {
		fmt.Fprintf(out, "On a file system that does not clone parts of files, such as ext4, it fetches %s.\n", size(t.WithoutClones))
	}
	fmt.Fprintf(out, "From a registry that serves no parts of blobs, it fetches %s and writes %s.\n", size(t.Whole), size(t.WrittenWhole))
	for _, sentence := range d.Changes {
		fmt.Fprintf(out, "%s\n", sentence)
	}
	return nil
}

func named(v difference.Version) string {
	return fmt.Sprintf("%s %s (%s)", v.Name, v.Version, v.Architecture)
}

func share(part, whole int64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }
