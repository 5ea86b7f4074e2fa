// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
)

// The extension of the machine-config operator, and the package that it layers, which requires QEMU
// and virtiofsd (openshift/machine-config-operator, SupportedExtensions).
const (
	ExtensionName = "sandboxed-containers"
	extensionRPM  = "kata-containers"
)

// extensionConfig is the name of the MachineConfig that has the extension, as the OpenShift
// sandboxed containers operator calls it.
const extensionConfig = "50-enable-" + ExtensionName + "-extension"

// document is the MachineConfig; name and pool are to be put in.
const document = `apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  name: %s
  labels:
    machineconfiguration.openshift.io/role: %s
spec:
  config:
    ignition:
      version: 3.4.0
  extensions:
  - ` + ExtensionName + "\n"

// workers is the pool that every cluster has for them, and the one that a node is in where it does
// not say another.
const workers = "worker"

// MachineConfig returns the YAML document that gives the extension to the nodes of a pool, "worker"
// where that is empty. The documents for two pools are two objects.
func MachineConfig(pool string) string {
	pool = orElse(pool, workers)
	return fmt.Sprintf(document, configName(pool), pool)
}

func configName(pool string) string {
	if pool == workers {
		return extensionConfig
	}
	return extensionConfig + "-" + pool
}

// lacksExtension is the decision for a node whose pool has no MachineConfig with the extension.
func (q question) lacksExtension(has string) Decision {
	pool, its := q.facts.Pool, "its pool"
	if pool != "" {
		its = "pool " + pool
	}
	d := refuse(node.ReasonExtensionMissing, fmt.Sprintf("%s: apply MachineConfig %s with extensions: [%s] to %s (kata-node-agent status on the node prints it)",
		has, configName(orElse(pool, workers)), ExtensionName, its))
	d.Apply = MachineConfig(pool)
	return d
}

// extension verifies: it is the machine-config operator that installs.
func (q question) extension(lacking []string) Decision {
	f := q.facts
	runs, _ := f.System.Booted()
	next, pending := f.System.Pending()
	has := "this host has no " + and(lacking)
	switch {
	case f.complains():
		return refuse(node.ReasonExtensionUnavailable, "the extension "+ExtensionName+" is missing from this build of the operating system: the machine-config daemon says "+
			strings.TrimSpace(f.Complaint)+"; take it off its MachineConfig, and use hostPackages None with a payload that brings QEMU")
	case pending && slices.Contains(next.Requested, extensionRPM) && f.Operated:
		return wait("the machine-config operator to reboot this node, whose next deployment has the extension " + ExtensionName)
	case pending && slices.Contains(next.Requested, extensionRPM):
		return Decision{Verdict: Wait, Reboot: true, Sentence: "a reboot: the next deployment has the package " + extensionRPM}
	case f.Problem != "":
		return refuse(node.ReasonExtensionMissing, has+", and rpm-ostree does not say whether the extension is on its way: "+f.Problem)
	case slices.Contains(runs.Requested, extensionRPM):
		return refuse(node.ReasonExtensionMissing, has+", although its package "+extensionRPM+" is layered: see rpm-ostree status")
	case !f.Operated:
		return refuse(node.ReasonExtensionMissing, has+", and no machine-config operator that could install the extension "+ExtensionName+": use hostPackages Layered or None")
	case !slices.Contains([]string{"amd64", "s390x"}, q.Architecture):
		return refuse(node.ReasonExtensionUnavailable, has+": the extension "+ExtensionName+" is built for x86_64 and s390x only; use a payload that brings QEMU")
	}
	return q.lacksExtension(has)
}

// complains reports whether the machine-config daemon has given up because of the extension.
func (f Facts) complains() bool {
	return f.Operated && (strings.Contains(f.Complaint, extensionRPM) || strings.Contains(f.Complaint, ExtensionName))
}
