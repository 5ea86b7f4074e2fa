// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/operator"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// errUnfit is why a check ends with an exit status of 1: what has failed is printed before it.
var errUnfit = errors.New("this host cannot run the payload: see what has failed")

func checkCommand(root *string) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "check", Short: "Show whether this host can run Kata, and what to do where it cannot", Args: cobra.NoArgs,
		Long: `Show whether this host can run Kata, and what to do where it cannot.

The items are for the payload that is wanted here, once it is mounted, and before that for one that
starts virtual machines with the host's QEMU and virtiofsd. The exit status is 1 where one has failed.
On a node of the machine-config operator that lacks those, the MachineConfig that brings them follows.`,
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := wire(*root)
			if err != nil {
				return err
			}
			observer := observe.Observer{Host: w.untouched(), Self: w.self}
			facts, err := observer.Look(c.Context(), w.shown())
			if err != nil {
				// A host without systemd or with a broken store can be checked all the same.
				err = errors.Join(err, observer.Check(c.Context(), &facts.Host, facts.Runtime))
				fmt.Fprintln(c.ErrOrStderr(), "not everything is known:", err)
			}
			return printCheck(c.OutOrStdout(), checked(facts), w.bringing(facts), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	return c
}

// checked returns the items as they count for the wanted payload, and before that is known for one
// as most are.
func checked(f plan.Facts) []check.Item {
	requires, known := f.Requires()
	if !known {
		requires = check.Usual()
	}
	return check.For(f.Host.Check, requires)
}

// bringing is the document that brings the programs that a host of the machine-config operator
// lacks, empty where none does. Before a payload is known it is for one as most are.
func (w *wiring) bringing(f plan.Facts) string {
	if decided := plan.For(f).Packages; decided != nil {
		return decided.Apply
	}
	if _, known := f.Requires(); known || !f.Packages.Operated {
		return ""
	}
	applied, err := operator.Load(w.host.Files)
	if err == nil {
		f.Packages.Pool = applied.Pool()
	}
	usual := check.Usual()
	return packages.For(packages.Order{Architecture: w.self.Architecture, Needs: record.Needs{QEMU: usual.QEMU, Virtiofsd: usual.Virtiofsd}}, f.Packages).Apply
}

func printCheck(out io.Writer, items []check.Item, apply string, asJSON bool) error {
	write := writeTable
	if asJSON {
		write = writeJSON
	}
	if err := write(out, items, apply); err != nil {
		return err
	}
	if check.Failed(items) {
		return errUnfit
	}
	return nil
}

// writeJSON writes one object, so that a later version can add fields.
func writeJSON(out io.Writer, items []check.Item, apply string) error {
	return writeDocument(out, struct {
		Items []check.Item `json:"items"`
		// MachineConfig is the YAML document that brings what the host lacks.
		MachineConfig string `json:"machineConfig,omitempty"`
	}{items, apply})
}

func writeTable(out io.Writer, items []check.Item, apply string) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, i := range items {
		fmt.Fprintf(table, "%s\t%s\t%s\n", i.Result, i.Name, i.Line())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	b.WriteString(applied(apply))
	_, err := io.WriteString(out, b.String())
	return err
}
