// SPDX-License-Identifier: Apache-2.0

// Package rpmset reads the headers of RPM packages that a payload holds for hosts that layer
// packages, and checks the digests inside them. It executes nothing and unpacks nothing.
package rpmset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	rpmutils "github.com/sassoftware/go-rpmutils"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/payload/manifest"
)

// noarch is RPM's architecture of packages that fit every machine.
const noarch = "noarch"

// rpmName returns RPM's name of a Go architecture.
func rpmName(architecture string) string {
	switch architecture {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	default:
		return architecture
	}
}

// Read returns what a package's header says, without set and path. It reads the whole file: a
// header or a payload with another digest than the package itself names is refused, as are source
// packages and those for another architecture. Signatures are left to the node, which has the keys.
// The file must be one whose digest is known to be right: the library that parses it was made for
// packages that are trusted.
func Read(ctx context.Context, file, architecture string) (manifest.Package, error) {
	rpm, err := os.Open(filepath.Clean(file))
	if err != nil {
		return manifest.Package{}, err
	}
	defer rpm.Close() //nolint:errcheck // Nothing was written.
	header, err := verify(ctx, rpm)
	if err != nil {
		return manifest.Package{}, fmt.Errorf("is no intact RPM package: %w; get it again from where it was built, and pin that", err)
	}
	if !header.HasTag(rpmutils.SOURCERPM) {
		return manifest.Package{}, errors.New("is a source package: hosts install binary packages")
	}
	p, err := describe(header)
	if err != nil {
		return manifest.Package{}, fmt.Errorf("reading its name: %w", err)
	}
	if want := rpmName(architecture); p.Architecture != want && p.Architecture != noarch {
		return manifest.Package{}, fmt.Errorf("is for %s: the set is for %s, and takes %s and %s", p.Architecture, architecture, want, noarch)
	}
	return p, nil
}

// verify turns a panic of the library, which indexes by numbers from the file, into an error.
func verify(ctx context.Context, rpm *os.File) (header *rpmutils.RpmHeader, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("its header is malformed")
		}
	}()
	if err := checkSizes(rpm); err != nil {
		return nil, err
	}
	header, _, err = rpmutils.Verify(safefile.Reader(ctx, rpm), nil)
	return header, err
}

func describe(header *rpmutils.RpmHeader) (manifest.Package, error) {
	nevra, err := header.GetNEVRA()
	if err != nil {
		return manifest.Package{}, err
	}
	epoch, err := strconv.Atoi(nevra.Epoch)
	return manifest.Package{Name: nevra.Name, Epoch: epoch, Version: nevra.Version, Release: nevra.Release, Architecture: nevra.Arch}, err
}
