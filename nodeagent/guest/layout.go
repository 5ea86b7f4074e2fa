// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"path"
	"strings"
)

// LoadList lies in the guest's initrd. It has the absolute path of one module per line, in the
// order in which the guest's init loads them, before its agent listens.
const LoadList = "etc/kata-guest/modules.load"

// ModulesDir is the directory of a kernel's modules in the guest's initrd. It is below /usr, where
// the initrd may have /lib as a link: the kernel would replace such a link by a directory.
func ModulesDir(kernel string) string { return path.Join("usr/lib/modules", kernel) }

// Plain is the name of a module's file in the guest, where no module is compressed.
func Plain(file string) string {
	for _, suffix := range []string{".xz", ".zst", ".gz"} {
		file = strings.TrimSuffix(file, suffix)
	}
	return file
}

// Text returns the files of a guest's initrd that name the modules in it.
func (x Index) Text(kernel string, files []string) map[string]string {
	dir := ModulesDir(kernel)
	var load strings.Builder
	for _, file := range files {
		load.WriteString("/" + path.Join(dir, Plain(file)) + "\n")
	}
	return map[string]string{
		LoadList:                      load.String(),
		path.Join(dir, "modules.dep"): strings.Join(append(x.Needs(files), ""), "\n"),
	}
}
