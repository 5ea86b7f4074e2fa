// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"debug/elf"
	"fmt"
	"os"

	"github.com/kata-node/kata-node/payload/manifest"
)

// judgeMachines refuses a shim that was built for another machine than the description says. What
// is no ELF program passes.
func judgeMachines(tree *os.Root, m manifest.Manifest) error {
	for _, h := range m.Handlers {
		f, err := m.Resolve(h.Shim)
		if err != nil {
			return nil //nolint:nilerr // judge has already refused this handler.
		}
		if err := judgeMachine(tree, f.Path, m.Architecture); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}

func judgeMachine(tree *os.Root, path, architecture string) error {
	want, known := map[string]elf.Machine{
		"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390,
	}[architecture]
	if !known {
		return nil
	}
	file, err := tree.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	program, err := elf.NewFile(file)
	if err != nil {
		return nil // a script, or a stand-in of a test
	}
	if program.Machine != want {
		return fmt.Errorf("is a program for %s, the payload's architecture is %s: stage another one, or set architecture", program.Machine, architecture)
	}
	return nil
}
