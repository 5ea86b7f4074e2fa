// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// status prints what rpm-ostree status does. Without --json it is for people.
func (y system) status(c command, out io.Writer) (int, error) {
	s, err := y.load()
	if err != nil {
		return 1, err
	}
	document := object{"deployments": s.documents(), "transaction": nil, "cached-update": nil, "update-driver": nil}
	if name := y.driven(); name != "" {
		document["update-driver"] = object{"driver-name": name, "driver-sd-unit": strings.ToLower(name) + ".service"}
	}
	if r, busy := y.current(); busy {
		document["transaction"] = []string{r.Method, r.Sender, "/org/projectatomic/rpmostree1/fedora_coreos"}
	}
	if c.flags["--json"] {
		content, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			return 1, err
		}
		fmt.Fprintln(out, string(content))
	} else {
		fmt.Fprintf(out, "State: idle\nDeployments: %d\n", len(s.Deployments))
	}
	if c.flags["--pending-exit-77"] && len(s.Deployments) > 1 && !s.Deployments[0].Booted {
		return unchanged, nil
	}
	return 0, nil
}

func (s state) documents() []object {
	all := []object{}
	for _, d := range s.Deployments {
		o := object{
			"id": fmt.Sprintf("fedora-coreos-%s.%d", d.checksum(), d.Serial), "osname": "fedora-coreos", "checksum": d.checksum(), "serial": d.Serial,
			"version": d.Version, "timestamp": 1785542400, "booted": d.Booted, "staged": d.Staged, "pinned": false, "unlocked": "none",
			"origin": "fedora:fedora/x86_64/coreos/stable", "requested-packages": []string{}, "requested-local-packages": d.names(),
			"requested-local-fileoverride-packages": []string{}, "requested-base-removals": []string{}, "requested-base-local-replacements": []string{},
			"packages": []string{}, "base-removals": []string{}, "base-local-replacements": []string{}, "base-remote-replacements": object{},
			"regenerate-initramfs": false, "base-commit-meta": object{"ostree.bootable": true},
		}
		if len(d.RPMs) > 0 {
			o["base-checksum"], o["base-version"], o["base-timestamp"] = d.Base, d.Version, 1785456000
			o["layered-commit-meta"] = object{"rpmostree.clientlayer": true, "rpmostree.clientlayer_version": 6}
		}
		if d.Locked {
			o["finalization-locked"] = true
		}
		if d.Live != "" {
			o["live-replaced"], o["unlocked"] = d.Live, "transient"
		}
		if d.Interrupted != "" {
			o["live-inprogress"], o["unlocked"] = d.Interrupted, "transient"
		}
		if d.Unlocked != "" {
			o["unlocked"] = d.Unlocked
		}
		all = append(all, o)
	}
	return all
}
