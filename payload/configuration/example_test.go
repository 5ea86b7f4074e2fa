// SPDX-License-Identifier: Apache-2.0

package configuration_test

import (
	"fmt"

	"github.com/kata-node/kata-node/payload/configuration"
	"github.com/kata-node/kata-node/payload/manifest"
)

func ExampleRender() {
	m := manifest.Manifest{Prefix: "/opt/kata", Files: []manifest.File{{Path: "opt/kata/bin/qemu-system-x86_64", Mode: 0o755}}}
	base := []byte("[hypervisor.qemu]\npath = '/opt/kata/bin/qemu-system-x86_64'\nentropy_source = '/dev/urandom'\n")
	rendered, err := configuration.Render(base, m, "/run/kata-agent/slots/8f1f38dd/payload")
	fmt.Printf("%s%v\n", rendered, err)
	// Output:
	// [hypervisor]
	// [hypervisor.qemu]
	// entropy_source = '/dev/urandom'
	// path = '/run/kata-agent/slots/8f1f38dd/payload/opt/kata/bin/qemu-system-x86_64'
	// <nil>
}
