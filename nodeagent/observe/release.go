// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// release reads what operating system runs. A host that does not say it has no other set of
// packages than one for every system.
func (o Observer) release() host.Release {
	for _, file := range host.ReleaseFiles() {
		if content, err := o.Host.Files.Read(file); err == nil {
			return releaseOf(string(content))
		}
	}
	return host.Release{}
}

// releaseOf reads assignments of a shell. By os-release(5) these three values have no character
// that would need a quote or an escape; quotes around them are allowed.
func releaseOf(content string) (r host.Release) {
	for line := range strings.Lines(content) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			r.ID = value
		case "VERSION_ID":
			r.Version = value
		case "VARIANT_ID":
			r.Variant = value
		}
	}
	return r
}
