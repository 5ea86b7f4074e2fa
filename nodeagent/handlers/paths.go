// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// Paths are what a payload takes from its host. Where one is empty the payload brings it, and the
// base configuration stays as it is.
type Paths struct {
	QEMU string
	// MachineType is one that the host's QEMU has. Kata itself names the accelerator, which is
	// always KVM.
	MachineType string
	Virtiofsd   string
	// Kernel and Initrd are the guest's.
	Kernel, Initrd string
}

// qemu is the name of QEMU's table. Kata's two dialects have the same keys for what is set here;
// what differs between them, such as dial_timeout and dial_timeout_ms, is the base's.
const qemu = "qemu"

// layer returns what the host changes in a base configuration.
func (p Paths) layer(base map[string]any) map[string]any {
	names := slices.Sorted(maps.Keys(hypervisors(base)))
	if len(names) == 0 && p != (Paths{}) {
		names = []string{qemu}
	}
	tables := map[string]any{}
	for _, name := range names {
		table := p.guest()
		if name == qemu {
			maps.Copy(table, p.program())
		}
		tables[name] = table
	}
	if len(tables) == 0 {
		return nil
	}
	return map[string]any{"hypervisor": tables}
}

func (p Paths) program() map[string]any {
	table := map[string]any{}
	if p.QEMU != "" {
		table["path"], table["valid_hypervisor_paths"] = p.QEMU, []any{p.QEMU}
	}
	if p.QEMU != "" && p.MachineType != "" {
		table["machine_type"] = p.MachineType
	}
	return table
}

// guest returns the keys that every hypervisor has. Kata refuses a configuration that names both an
// image and an initrd.
func (p Paths) guest() map[string]any {
	table := map[string]any{}
	if p.Virtiofsd != "" {
		table["virtio_fs_daemon"], table["valid_virtio_fs_daemon_paths"] = p.Virtiofsd, []any{p.Virtiofsd}
	}
	if p.Kernel != "" {
		table["kernel"] = p.Kernel
	}
	if p.Initrd != "" {
		table["initrd"], table["image"], table["rootfs_type"] = p.Initrd, "", ""
	}
	return table
}

// hypervisors returns the tables of a configuration that describe one.
func hypervisors(config map[string]any) map[string]map[string]any {
	tables := map[string]map[string]any{}
	all, _ := config["hypervisor"].(map[string]any) //nolint:errcheck // what is no table has none
	for name, value := range all {
		if table, ok := value.(map[string]any); ok {
			tables[name] = table
		}
	}
	return tables
}

// Named is a file that a configuration names.
type Named struct {
	// Key is the full name of the key.
	Key, Path string
}

// FilesOf returns the files that a shim opens or starts when it makes a sandbox by this
// configuration, in the order of their keys. Paths that Kata takes as an empty list of valid
// values, makes itself, or can do without are left out.
func FilesOf(configuration []byte) ([]Named, error) {
	config := map[string]any{}
	if err := toml.Unmarshal(configuration, &config); err != nil {
		return nil, fmt.Errorf("reading the rendered configuration: %w", err)
	}
	var files []Named
	tables := hypervisors(config)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		for _, key := range fileKeys(tables[name]) {
			files = append(files, named("hypervisor."+name+"."+key, tables[name][key])...)
		}
	}
	return files, nil
}

// fileKeys are the keys that name files in a hypervisor's table, in either dialect. A daemon for
// shared files is not started where none are shared by it.
func fileKeys(table map[string]any) []string {
	keys := []string{"ctlpath", "firmware", "firmware_volume", "guest_extension_images", "image", "initrd", "jailer_path", "kernel", "path", "pflashes"}
	if shared, _ := table["shared_fs"].(string); shared != "none" && shared != "virtio-9p" { //nolint:errcheck // without it, it is virtio-fs
		keys = append(keys, "virtio_fs_daemon")
	}
	return keys
}

// named returns the files in a value: one, a list, or a list of tables that have a path.
func named(key string, value any) []Named {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
		return []Named{{key, v}}
	case []any:
		var files []Named
		for i, element := range v {
			files = append(files, named(fmt.Sprintf("%s[%d]", key, i), element)...)
		}
		return files
	case map[string]any:
		return named(key+".path", v["path"])
	}
	return nil
}
