// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func (e *Examiner) devices() map[string]bool {
	found := map[string]bool{}
	for _, name := range host.DeviceModules() {
		info, err := os.Stat(e.path(name.Device))
		found[name.Device] = err == nil && info.Mode()&fs.ModeCharDevice != 0
	}
	return found
}

// modules looks up those that provide the devices. A module that is a part of the kernel counts as
// loaded.
func (e *Examiner) modules() map[string]host.Module {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return nil
	}
	dir := path.Join("/lib/modules", unix.ByteSliceToString(kernel.Release[:]))
	builtin, installed := moduleNames(e.read(path.Join(dir, "modules.builtin"))), moduleNames(e.read(path.Join(dir, "modules.dep")))
	found := map[string]host.Module{}
	for _, d := range host.DeviceModules() {
		found[d.Module] = host.Module{
			Loaded:    builtin[d.Module] || e.exists("/sys/module/"+d.Module),
			Installed: installed[d.Module],
		}
	}
	return found
}

// moduleNames returns the names of the modules that stand first in the lines of an index, with
// underscores: file names may have hyphens, and the kernel treats both alike.
func moduleNames(index string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(index) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, _ := strings.Cut(path.Base(file), ".ko")
		names[strings.ReplaceAll(name, "-", "_")] = true
	}
	return names
}
