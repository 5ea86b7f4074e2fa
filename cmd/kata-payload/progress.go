// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/progress"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/source/fetch"
	"github.com/kata-node/kata-node/payload/transport"
)

// display shows bars where out is a terminal that can have some. Close it before anything else is
// written there.
func display(out io.Writer, verb string) *progress.Display {
	return progress.New(out, isTerminal(out) && os.Getenv("TERM") != "dumb", verb)
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// downloads shows what is downloaded.
func downloads(d *progress.Display) func(fetch.Progress) {
	return func(p fetch.Progress) {
		if d.Show(p.URL, p.Done, p.Total); p.Done == p.Total {
			d.End(p.URL, p.Total)
		}
	}
}

// layers shows what is compressed.
func layers(d *progress.Display) func(assemble.Progress) {
	return func(p assemble.Progress) {
		if d.Show(p.Component, p.Done, p.Total); p.Done == p.Total {
			d.End(p.Component, p.Total)
		}
	}
}

// blobs shows what is copied. Names has better names of some blobs than their digests.
func blobs(d *progress.Display, names map[string]string) func(transport.Progress) {
	return func(p transport.Progress) {
		name := cmp.Or(names[p.Blob], short(p.Blob))
		if d.Show(name, p.Done, p.Total); p.Finished {
			d.End(name, max(p.Done, p.Total))
		}
	}
}

// short is enough of a digest to tell it from others.
func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// files shows how much of a tree is verified, as one.
func files(d *progress.Display, name string, m manifest.Manifest) func(manifest.File) {
	var mu sync.Mutex
	var done, total int64
	for _, f := range m.Files {
		total += f.Size
	}
	return func(f manifest.File) {
		mu.Lock()
		defer mu.Unlock()
		done += f.Size
		if d.Show(name, done, total); done == total {
			d.End(name, total)
		}
	}
}
