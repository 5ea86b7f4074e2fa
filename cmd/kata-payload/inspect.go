// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/transport"
)

func newInspect() *cobra.Command {
	var asJSON bool
	var registry registryFlags
	cmd := &cobra.Command{
		Use:   "inspect IMAGE|DIR",
		Short: "Print the manifest of an image, or of a mounted or unpacked payload",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, document, err := readManifest(cmd.Context(), args[0], registry.options())
			if err != nil {
				return err
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(document)
				return err
			}
			return printTable(cmd.OutOrStdout(), m)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the document as it is in the image")
	registry.add(cmd.Flags())
	return cmd
}

func readManifest(ctx context.Context, where string, o transport.Options) (m manifest.Manifest, document []byte, err error) {
	if !transport.IsTarget(where) {
		if _, err := os.Stat(where); err != nil {
			return manifest.Manifest{}, nil, fmt.Errorf("%w: name a directory, oci:DIR or docker://registry/repository", err)
		}
		return inspect.Read(ctx, where)
	}
	target, err := transport.ParseTarget(where)
	if err != nil {
		return manifest.Manifest{}, nil, err
	}
	opened, err := transport.Open(ctx, target, o)
	if err != nil {
		return manifest.Manifest{}, nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	image, err := opened.For(runtime.GOARCH)
	if err != nil {
		return manifest.Manifest{}, nil, err
	}
	return transport.Manifest(image)
}

func printTable(out io.Writer, m manifest.Manifest) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "payload\t%s %s (%s)\n", m.Name, m.PayloadVersion, m.Architecture)
	fmt.Fprintf(w, "shim compatibility\t%s\n", m.ShimCompatibility)
	fmt.Fprintf(w, "made for\t%s\n", madeFor(m))
	fmt.Fprintf(w, "host must bring\t%s\n", needs(m.Requires))
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
		fmt.Fprintf(w, "handler %s\t%s, %s dialect, %s\n", h.Name, h.Type, h.Dialect, h.Shim)
	}
	for _, c := range m.Components {
		files, size := contents(m, c.Name)
		fmt.Fprintf(w, "component %s\t%s, %s in %d files\n", c.Name, c.Version, units.HumanSize(float64(size)), files)
	}
	for _, p := range m.Packages {
		fmt.Fprintf(w, "RPM of set %s\t%s\n", p.Set, p.NEVRA())
	}
	return w.Flush()
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
	}{{"QEMU", r.QEMU}, {"virtiofsd", r.Virtiofsd}, {"a kernel", r.Kernel}} {
		if need.needed {
			things = append(things, need.thing)
		}
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
