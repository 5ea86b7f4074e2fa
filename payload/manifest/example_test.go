// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"fmt"

	"github.com/kata-node/kata-node/payload/manifest"
)

// The document lies in the image at manifest.Path, and its digest is the image's label
// manifest.Label.
func ExampleDecode() {
	m, err := manifest.Decode([]byte(`{
	  "version": 1, "name": "kata", "payloadVersion": "3.20.0", "architecture": "amd64", "prefix": "/opt/kata", "shimCompatibility": "3",
	  "handlers": [{"name": "kata-oc", "type": "vm", "shim": "opt/kata/bin/containerd-shim-kata-v2", "config": "opt/kata/etc/qemu.toml", "dialect": "go"}],
	  "components": [{"name": "all", "version": "3.20.0", "paths": []}],
	  "files": [
	    {"path": "opt/kata/bin/containerd-shim-kata-v2", "mode": "0755", "size": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	    {"path": "opt/kata/etc/configuration-qemu.toml", "mode": "0644", "size": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	    {"path": "opt/kata/etc/qemu.toml", "link": "configuration-qemu.toml"}
	  ]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	handler, _ := m.Handler("kata-oc")
	config, err := m.Resolve(handler.Config)
	fmt.Println(m.PayloadVersion, config.Path, err)
	// Output: 3.20.0 opt/kata/etc/configuration-qemu.toml <nil>
}

func ExampleManifest_Validate() {
	m := manifest.Manifest{Version: 1, Name: "kata", PayloadVersion: "3.20.0", Architecture: "amd64", ShimCompatibility: "3"}
	fmt.Println(m.Validate())
	// Output: no handlers: a payload offers at least one
}
