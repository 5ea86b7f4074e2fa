// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"slices"
	"strings"
)

// processor reads the flags of the first processor; all of a host have the same.
func (e *Examiner) processor() (virtual bool, extensions []string) {
	for line := range strings.Lines(e.read("/proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); key != "flags" && key != "features" {
			continue
		}
		for flag := range strings.FieldsSeq(value) {
			virtual = virtual || flag == "hypervisor"
			if slices.Contains([]string{"vmx", "svm", "sie"}, flag) {
				extensions = append(extensions, flag)
			}
		}
		break
	}
	return virtual, extensions
}

// nested is the same parameter in each of the modules, of which one is loaded.
func (e *Examiner) nested() string {
	for _, module := range []string{"kvm_intel", "kvm_amd", "kvm", "kvm_hv"} {
		if value := e.read("/sys/module/" + module + "/parameters/nested"); value != "" {
			return value
		}
	}
	return ""
}
