// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/overview"
	"github.com/kata-node/kata-node/payload/transport"
)

type inspectFlags struct {
	json, document bool
	architecture   string
	registry       registryFlags
}

func newInspect() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect IMAGE|DIR",
		Short: "Explain an image, an index, or a mounted or unpacked payload",
		Long: `Explain an image: what its manifest says, its layers with their components, compression and sizes, the documents and
signatures that are attached to it, and its annotations. Of an index, each architecture has a line, and one of its images is
explained: the one for --architecture, else for this machine, else the first.

Signatures are listed, not verified: see kata-payload verify. Of a directory, the manifest in it is explained.`,
		Example: "  kata-payload inspect docker://registry.example/kata/payload:v1\n" +
			"  kata-payload inspect --json oci:payload:v1 | jq '.images[].layers'\n" +
			"  kata-payload inspect --manifest oci:payload:v1 > manifest.json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if transport.IsTarget(args[0]) {
				return f.image(cmd.Context(), cmd.OutOrStdout(), args[0])
			}
			return f.directory(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print everything as JSON, of all images of an index")
	flags.BoolVar(&f.document, "manifest", false, "print the manifest as it is in the image, byte for byte")
	addArchitecture(cmd, &f.architecture)
	f.registry.add(flags)
	cmd.MarkFlagsMutuallyExclusive("json", "manifest")
	return cmd
}

func (f *inspectFlags) directory(ctx context.Context, out io.Writer, dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%w: name a directory, oci:DIR or docker://registry/repository", err)
	}
	m, document, err := inspect.Read(ctx, dir)
	if err != nil {
		return err
	}
	if f.json || f.document {
		_, err = out.Write(document)
		return err
	}
	return printManifest(out, m)
}

func (f *inspectFlags) image(ctx context.Context, out io.Writer, name string) (err error) {
	opened, err := open(ctx, name, f.registry.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if f.document {
		image, err := opened.For(cmp.Or(f.architecture, runtime.GOARCH))
		if err != nil {
			return err
		}
		_, document, err := transport.Manifest(image)
		if err != nil {
			return err
		}
		_, err = out.Write(document)
		return err
	}
	o, err := overview.For(ctx, opened)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(out, o)
	}
	return printOverview(out, o, f.architecture)
}

func open(ctx context.Context, name string, o transport.Options) (*transport.Opened, error) {
	target, err := transport.ParseTarget(name)
	if err != nil {
		return nil, err
	}
	return transport.Open(ctx, target, o)
}

func printJSON(out io.Writer, document any) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

func printManifest(out io.Writer, m manifest.Manifest) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "payload\t%s %s (%s)\n", m.Name, m.PayloadVersion, m.Architecture)
	fmt.Fprintf(w, "shim compatibility\t%s\n", m.ShimCompatibility)
	fmt.Fprintf(w, "made for\t%s\n", madeFor(m))
	fmt.Fprintf(w, "host must bring\t%s\n", needs(m.Requires))
	if m.LeavesKernel() {
		fmt.Fprintf(w, "kernel\t%s\n", manifest.KernelLeft)
	}
	if m.Prefix != "" {
		fmt.Fprintf(w, "configuration prefix\t%s\n", m.Prefix)
	}
	if g := m.Guest; g != nil {
		fmt.Fprintf(w, "guest\t%s, %d modules and %d optional ones of the host's kernel\n", g.Initrd, len(g.Modules), len(g.OptionalModules))
		if g.Kernel != "" {
			fmt.Fprintf(w, "guest's own kernel\t%s, where guest_kernel = \"payload\"\n", g.Kernel)
		}
	}
	for _, h := range m.Handlers {
		fmt.Fprintf(w, "handler %s\t%s, %s dialect, %s%s\n", h.Name, h.Type, h.Dialect, h.Shim, unserved(h))
	}
	for _, c := range m.Components {
		files, size := contents(m, c.Name)
		fmt.Fprintf(w, "component %s\t%s, %s in %d files\n", c.Name, cmp.Or(c.Version, "no version"), units.HumanSize(float64(size)), files)
	}
	for i, p := range m.Packages {
		if i == 0 || m.Packages[i-1].Set != p.Set {
			fmt.Fprintf(w, "RPM set %s\tfor %s\n", p.Set, manifest.Names(m.SystemsOf(p.Set)))
		}
		fmt.Fprintf(w, "RPM of set %s\t%s\n", p.Set, p.NEVRA())
	}
	return w.Flush()
}

// unserved is empty for the one handler that nodes always serve.
func unserved(h manifest.Handler) string {
	name, further := strings.CutPrefix(h.Name, node.Handler+"-")
	switch {
	case h.Name == node.Handler:
		return ""
	case further && slices.Contains(node.FurtherHandlers(), name):
		return " (served where spec.config.handlers names " + name + ")"
	default:
		return " (no node serves it: the agent configures " + strings.Join(node.PodHandlers(), ", ") + " only)"
	}
}

func madeFor(m manifest.Manifest) string {
	var ranges []string
	if m.OpenShift != "" {
		ranges = append(ranges, "OpenShift "+m.OpenShift)
	}
	if m.Kubernetes != "" {
		ranges = append(ranges, "Kubernetes "+m.Kubernetes)
	}
	if len(ranges) == 0 {
		return "any version"
	}
	return strings.Join(ranges, ", ")
}

func needs(r manifest.Requires) string {
	var things []string
	for _, need := range []struct {
		thing  string
		needed bool
	}{{"KVM", r.KVM}, {"QEMU", r.QEMU}, {"virtiofsd", r.Virtiofsd}, {"a kernel", r.Kernel}} {
		if need.needed {
			things = append(things, need.thing)
		}
	}
	if r.OldestKernel != "" {
		things = append(things, "Linux "+r.OldestKernel+" or later")
	}
	return cmp.Or(strings.Join(things, ", "), "nothing")
}

// contents counts a component's files and adds up their sizes in bytes.
func contents(m manifest.Manifest, component string) (files int, size int64) {
	for _, f := range m.Files {
		if c, ok := m.Component(f.Path); ok && c.Name == component {
			files++
			size += f.Size
		}
	}
	return files, size
}
