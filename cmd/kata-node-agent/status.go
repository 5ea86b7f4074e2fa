// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func statusCommand(root *string) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "status", Short: "Show what this node serves, what it is to serve, and who holds what", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := wire(*root)
			if err != nil {
				return err
			}
			facts, err := observe.Observer{Host: w.untouched(), Self: w.self}.Look(c.Context(), w.shown())
			if err != nil {
				return err
			}
			write := printStatus
			if asJSON {
				write = writeStatus
			}
			return write(c.OutOrStdout(), w.sentence(c.Context()), facts)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	return c
}

func printStatus(out io.Writer, sentence string, f plan.Facts) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"agent", sentence},
		{"intent", intentLine(f.Intent.Wanted)},
		{"ahead", aheadLine(f.Intent.Wanted)},
		{"current", slotLine(f, f.Slots.Current)},
		{"proof", slotLine(f, f.Slots.Proof)},
		{"further", furtherLine(f)},
		{"drop-in", dropInLine(f)},
		{"CRI-O", crioLine(f.Runtime)},
		{"host", orElse(f.Unfit(), "fit")},
		{"packages", packagesLine(f)},
		{"system", systemLine(f.Packages)},
		{"update", f.Packages.UpdateBlocked()},
	} {
		if row[1] != "" {
			fmt.Fprintf(table, "%s:\t%s\n", row[0], row[1])
		}
	}
	for _, v := range f.Slots.All {
		fmt.Fprintf(table, "slot:\t%s\tpayload %s\t%s\theld by %s\n", v.ID, v.Release, stateOf(v), orElse(strings.Join(v.Holders, ", "), "nothing"))
	}
	for _, found := range f.Slots.Findings {
		fmt.Fprintf(table, "findings:\t%s\tpayload %s\t%s\n", found.Slot, found.Origin.Release, findingsLine(f, found))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	b.WriteString(applied(toApply(f)))
	_, err := io.WriteString(out, b.String())
	return err
}

// toApply is the document that an administrator of the cluster has to apply for this node, empty
// where none is needed.
func toApply(f plan.Facts) string {
	if decided := plan.For(f).Packages; decided != nil {
		return decided.Apply
	}
	return ""
}

// applied shows such a document as it can be copied: what stands before it is a comment of YAML.
func applied(document string) string {
	if document == "" {
		return ""
	}
	return "\n# This MachineConfig brings what the host lacks. Apply it to the cluster: oc apply -f FILE\n" + document
}

// findingsLine says what going back to a payload takes.
func findingsLine(f plan.Facts, found record.Findings) string {
	if !f.Holds(found) {
		return "hold no more: going back to it takes a verification and a proof"
	}
	return "hold: going back to it takes neither a verification nor a proof"
}

func intentLine(i *node.Intent) string {
	if i == nil {
		return "none"
	}
	line := fmt.Sprintf("%s %s", i.State, i.Payload)
	if i.Owner.Name == "" { // One of a file has none.
		return fmt.Sprintf("%s (id %s)", strings.TrimSpace(line), i.ID)
	}
	return fmt.Sprintf("%s (id %s, KataConfig %s)", strings.TrimSpace(line), i.ID, i.Owner.Name)
}

// aheadLine is empty where nothing is to be fetched ahead of time.
func aheadLine(i *node.Intent) string {
	if i == nil || i.Prefetch == "" {
		return ""
	}
	return "fetches " + i.Prefetch + " when nothing else is to be done"
}

func slotLine(f plan.Facts, id string) string {
	for _, v := range f.Slots.All {
		if v.ID == id {
			return fmt.Sprintf("%s, payload %s %s%s", id, v.Release, v.Payload, manifestOf(v.Origin))
		}
	}
	return id
}

// manifestOf is empty where the payload is no index.
func manifestOf(o record.Origin) string {
	if o.Platform == "" || o.Platform == node.Digest(o.Payload) {
		return ""
	}
	return ", an index whose manifest for this node is " + o.Platform
}

// furtherLine says which further handlers are wanted or offered, and is empty where none is.
func furtherLine(f plan.Facts) string {
	var wanted, offered, words []string
	if f.Intent.Wanted != nil {
		wanted = f.Intent.Wanted.Handlers
	}
	if slot, serves := f.Serving(); serves {
		offered = slot.Verified.Handlers
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(node.FurtherHandlers(), wanted...)))) {
		handler := node.FurtherHandler(name)
		switch {
		case slices.Contains(f.Usable(), name):
			words = append(words, handler+" wanted and proved")
		case slices.Contains(wanted, name):
			words = append(words, handler+" wanted, and not proved")
		case slices.Contains(offered, handler):
			words = append(words, handler+" offered, and not wanted")
		}
	}
	return strings.Join(words, "; ")
}

func dropInLine(f plan.Facts) string {
	switch {
	case !f.Runtime.DropIn.Exists:
		return "none"
	case !f.Runtime.DropIn.Right:
		return "changed by another user"
	case f.Runtime.Lacks != "" && f.Runtime.Lacks == f.Runtime.Invocation:
		return "written, and the running CRI-O does not know the handlers"
	case f.Runtime.LacksFurther != "" && f.Runtime.LacksFurther == f.Runtime.Invocation:
		return "written, and the running CRI-O does not know " + node.FurtherHandler(f.Runtime.LacksHandler)
	case len(f.Runtime.Conflicts) > 0:
		return fmt.Sprintf("written, and %s sets %s", f.Runtime.Conflicts[0].File, f.Runtime.Conflicts[0].Key)
	default:
		return "written"
	}
}

func crioLine(c plan.Runtime) string {
	switch {
	case !c.Active:
		return "not running"
	case !c.Answers:
		return "running, does not answer over CRI"
	default:
		return fmt.Sprintf("running, %d kata sandboxes", len(c.Sandboxes))
	}
}

// packagesLine says where the host's programs come from and why, and is empty where that is no
// question.
func packagesLine(f plan.Facts) string {
	if decided := plan.For(f).Packages; decided != nil {
		return decided.String()
	}
	return ""
}

// systemLine is what rpm-ostree says, empty where there is none.
func systemLine(f packages.Facts) string {
	switch {
	case f.Problem != "":
		return "rpm-ostree does not answer: " + f.Problem
	case !f.System.Exists:
		return ""
	}
	booted, _ := f.System.Booted()
	words := []string{"booted " + nameOf(booted)}
	if next, pending := f.System.Pending(); pending {
		words = append(words, "next "+nameOf(next))
	}
	if t := f.System.Transaction; t != nil {
		words = append(words, "rpm-ostree works on "+t.Method+" for "+t.Sender)
	}
	if f.Layered != nil {
		words = append(words, fmt.Sprintf("%d packages layered by this agent", len(f.Layered.Packages)))
	}
	return strings.Join(words, ", ")
}

func nameOf(d host.Deployment) string {
	return strings.TrimSpace(d.Version + " " + d.Checksum[:min(len(d.Checksum), 12)])
}

func stateOf(v plan.Slot) string {
	var words []string
	for _, w := range []struct {
		holds bool
		word  string
	}{{v.Mounted, "mounted"}, {v.Verified != nil, "verified"}, {v.Guest, "with its guest"}, {v.Configured, "configured"}, {v.Proved != "", "proved"}} {
		if w.holds {
			words = append(words, w.word)
		}
	}
	return orElse(strings.Join(words, " "), "empty")
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
