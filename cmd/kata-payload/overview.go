// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"

	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/overview"
)

// printOverview explains an image, or an index and one of its images.
func printOverview(out io.Writer, o overview.Overview, architecture string) error {
	at, err := choose(o, architecture)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", o.Name)
	if o.Index {
		fmt.Fprintf(out, "\nThe index has %d images:\n", len(o.Images))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ARCHITECTURE\tDIGEST\tSIZE\tUNPACKED\tHANDLERS")
		for _, i := range o.Images {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.Architecture, i.Digest, size(i.Size), size(i.Unpacked), handlers(i.Manifest))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(out, "\nThe image for %s:\n", at.Architecture)
	}
	if err := printManifest(out, at.Manifest); err != nil {
		return err
	}
	if err := printLayers(out, at); err != nil {
		return err
	}
	return printAttached(out, o, at)
}

// choose returns the image that is explained.
func choose(o overview.Overview, architecture string) (overview.Image, error) {
	var there []string
	for _, i := range o.Images {
		there = append(there, i.Architecture)
	}
	switch at := slices.Index(there, architecture); {
	case len(there) == 0:
		return overview.Image{}, fmt.Errorf("%s is an index without images", o.Name)
	case at >= 0:
		return o.Images[at], nil
	case architecture != "":
		return overview.Image{}, fmt.Errorf("%s has no image for %s: it has %s", o.Name, architecture, strings.Join(there, ", "))
	default:
		return o.Images[max(slices.Index(there, runtime.GOARCH), 0)], nil
	}
}

func handlers(m manifest.Manifest) string {
	var names []string
	for _, h := range m.Handlers {
		names = append(names, h.Name)
	}
	return strings.Join(names, ",")
}

func printLayers(out io.Writer, i overview.Image) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nLAYER\tCOMPRESSION\tSIZE\tSHARE\tUNPACKED\tDIGEST")
	for _, l := range i.Layers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f %%\t%s\t%s\n", l.Component, l.Compression, size(l.Size), 100*l.Share, size(l.Unpacked), l.Digest)
	}
	fmt.Fprintf(w, "all\t\t%s\t\t%s\t\n", size(i.Size), size(i.Unpacked))
	return w.Flush()
}

func printAttached(out io.Writer, o overview.Overview, chosen overview.Image) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w)
	about := func(subject string) string {
		for _, i := range o.Images {
			if i.Digest == subject && o.Index {
				return "image for " + i.Architecture
			}
		}
		if o.Index {
			return "index"
		}
		return "image"
	}
	for _, a := range o.Attached {
		fmt.Fprintf(w, "attached to %s\t%s, %s\t%s\n", about(a.Subject), a.Type, units.HumanSize(float64(a.Size)), a.Digest)
	}
	for _, s := range o.Signatures {
		fmt.Fprintf(w, "signature of %s\tfor %s (not verified)\t\n", about(s.Subject), s.Identity)
	}
	if len(o.Attached)+len(o.Signatures) == 0 {
		fmt.Fprintln(w, "attached\tnothing, or it is where nothing can be attached\t")
	}
	for _, key := range slices.Sorted(maps.Keys(chosen.Annotations)) {
		fmt.Fprintf(w, "annotation %s\t%s\t\n", key, chosen.Annotations[key])
	}
	return w.Flush()
}
