// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/catalog"
)

func newCatalog() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "Maintain the document that says which payload belongs to which version of OpenShift or Kubernetes",
		Long: `Maintain the document that says which payload belongs to which version of OpenShift or Kubernetes.

It is a YAML file, which the controller reads from a ConfigMap:

    format: 1
    payloads:
      - image: registry.example.com/kata/payload@sha256:...   # always by digest
        version: 3.20.0                                       # for people
        openshift: ">=4.17, <4.20"                            # minor versions; a Node says no more
        rhel: [9]                                             # optional: major versions of the nodes' system
        architectures: [amd64, arm64]                         # optional
      - image: registry.example.com/kata/payload@sha256:...
        kubernetes: ">=1.30, <1.34"                           # for nodes that do not say their OpenShift

A range compares releases: >=, >, <=, <, =, ~ (the same minor version) and ^ (the same major version), all of which must
hold. A pre-release (4.20.0-rc.1, v1.34.2-eks-1a2b3c4) counts as the release that it names, and build metadata
(v1.34.2+1a2b3c4) for nothing. Ranges may neither overlap nor leave out versions between them.`,
	}
	cmd.AddCommand(newCatalogAdd(), newCatalogCheck(), newCatalogResolve())
	return cmd
}

func newCatalogAdd() *cobra.Command {
	var e catalog.Entry
	var end bool
	cmd := &cobra.Command{
		Use:   "add FILE IMAGE",
		Short: "Add a payload by digest at the end of a catalogue, unless its range overlaps or leaves a gap",
		Long: `Add a payload by digest at the end of a catalogue, unless its range overlaps or leaves a gap. FILE is made where there is
none. Order and comments stay as they are; empty lines and the style of quotes do not.

With --end-open-range, ranges that have no end, such as ">=4.17", end where the new one begins, and each change is printed.
The new range must have no end either, and its architectures and versions of RHEL must include those of the older entry, so
that no node loses its payload.`,
		Example: `  kata-payload catalog add catalog.yaml registry.example.com/kata/payload@sha256:... --openshift ">=4.20, <4.22" --payload-version 3.21.0
  kata-payload catalog add catalog.yaml registry.example.com/kata/payload@sha256:... --openshift ">=4.22" --end-open-range`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.Image = args[1]
			return addEntry(cmd.ErrOrStderr(), args[0], e, end)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&e.OpenShift, "openshift", "", `range of OpenShift's minor versions, such as ">=4.17, <4.20"`)
	flags.StringVar(&e.Kubernetes, "kubernetes", "", `range of Kubernetes' versions, such as ">=1.30, <1.34"`)
	flags.StringSliceVar(&e.Architectures, "architecture", nil, "architecture, such as amd64 (repeatable); without it, all")
	flags.IntSliceVar(&e.RHEL, "rhel", nil, "major version of RHEL, such as 9 (repeatable); without it, every system")
	flags.StringVar(&e.Version, "payload-version", "", "what the payload calls itself, for people")
	flags.BoolVar(&end, "end-open-range", false, "end ranges that have no end where the new one begins")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("architecture", completeList(architectures())))
	cmd.MarkFlagsOneRequired("openshift", "kubernetes")
	return cmd
}

func addEntry(progress io.Writer, file string, e catalog.Entry, end bool) error {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading catalogue: %w", err)
	}
	var changes []string
	if end {
		text, changes, err = catalog.End(text, e)
		if err != nil {
			return fmt.Errorf("ending ranges of %s: %w", file, err)
		}
	}
	text, err = catalog.Add(text, e)
	if err != nil {
		return fmt.Errorf("adding to %s: %w", file, err)
	}
	if err := renameio.WriteFile(file, text, 0o644, renameio.WithExistingPermissions()); err != nil {
		return fmt.Errorf("writing catalogue: %w", err)
	}
	for _, change := range changes {
		fmt.Fprintln(progress, change)
	}
	return nil
}

func newCatalogCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a catalogue as the controller does, and print it as a table; - is standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readCatalog(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			return printCatalog(cmd.OutOrStdout(), c)
		},
	}
}

func newCatalogResolve() *cobra.Command {
	var t catalog.Target
	cmd := &cobra.Command{
		Use:   "resolve FILE",
		Short: "Print which payload a node of some version gets; - is standard input",
		Example: `  kata-payload catalog resolve catalog.yaml --openshift 4.20 --rhel 9 --architecture amd64
  kata-payload catalog resolve catalog.yaml --kubernetes v1.33.5`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readCatalog(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			e, err := c.Resolve(t)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), e.Image)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.OpenShift, "openshift", "", "OpenShift's version, such as 4.20 or 4.20.3")
	flags.StringVar(&t.Kubernetes, "kubernetes", "", "the kubelet's version, such as v1.33.5")
	flags.StringVar(&t.Architecture, "architecture", "amd64", "architecture")
	flags.IntVar(&t.RHEL, "rhel", 0, "major version of RHEL; 0 for another system")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("architecture", cobra.FixedCompletions(architectures(), cobra.ShellCompDirectiveNoFileComp)))
	cmd.MarkFlagsOneRequired("openshift", "kubernetes")
	return cmd
}

func readCatalog(in io.Reader, file string) (*catalog.Catalog, error) {
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading catalogue: %w", err)
		}
		defer opened.Close() //nolint:errcheck // Nothing was written.
		in = opened
	}
	// One byte more than Parse takes, so that it says how much is allowed.
	text, err := io.ReadAll(io.LimitReader(in, catalog.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading catalogue: %w", err)
	}
	c, err := catalog.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

func printCatalog(out io.Writer, c *catalog.Catalog) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OPENSHIFT\tKUBERNETES\tRHEL\tARCHITECTURES\tVERSION\tIMAGE")
	for _, e := range c.Entries() {
		var systems []string
		for _, major := range e.RHEL {
			systems = append(systems, strconv.Itoa(major))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(e.OpenShift, "-"), cmp.Or(e.Kubernetes, "-"),
			cmp.Or(strings.Join(systems, ","), "all"), cmp.Or(strings.Join(e.Architectures, ","), "all"), cmp.Or(e.Version, "-"), e.Image)
	}
	return w.Flush()
}
