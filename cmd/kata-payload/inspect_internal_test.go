// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
)

func TestInspectPrintsWhatAHostNeedsAndWhichSetsOfPackagesThereAre(t *testing.T) {
	t.Parallel()
	rpm := manifest.Package{Set: "el9", Name: "qemu-kvm-core", Version: "10.1.0", Release: "1.el9", Architecture: "x86_64"}
	other := manifest.Package{Set: "host", Name: "qemu-kvm-core", Version: "10.1.0", Release: "1.fc42", Architecture: "x86_64"}
	var out bytes.Buffer
	require.NoError(t, printManifest(&out, manifest.Manifest{
		Requires: manifest.Requires{KVM: true, QEMU: true, OldestKernel: "5.14"}, Packages: []manifest.Package{rpm, other},
		PackageSets: []manifest.PackageSet{{Name: "el9", Systems: []manifest.System{{ID: "rhel", Version: "9"}, {ID: "rhcos", Version: "4.18"}}}},
	}))
	for _, want := range []string{
		`host must bring +KVM, QEMU, Linux 5\.14 or later\n`,
		`RPM set el9 +for rhel 9, rhcos 4\.18\nRPM of set el9 +qemu-kvm-core-10\.1\.0-1\.el9\.x86_64\n`,
		`RPM set host +for every system\nRPM of set host +qemu-kvm-core-10\.1\.0-1\.fc42\.x86_64\n`,
	} {
		assert.Regexp(t, want, out.String())
	}
}
