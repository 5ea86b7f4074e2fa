// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// kernel links to what the real one would mount. A second mount at the same place lies on the
// first.
type kernel struct{ m *Machine }

func (k kernel) Overlay(layers []string, target string) error {
	if _, err := os.Stat(layers[0]); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	if !slices.Contains(k.m.Mounts, target) {
		if err := k.replace(target, func(point string) error { return os.Symlink(layers[0], point) }); err != nil {
			return err
		}
	}
	k.m.Mounts = append(k.m.Mounts, target)
	return nil
}

func (k kernel) replace(target string, with func(point string) error) error {
	point := k.m.path(target)
	if err := os.MkdirAll(filepath.Dir(point), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(point); err != nil {
		return err
	}
	return with(point)
}

// Unmount refuses what is used, and what has another mount inside.
func (k kernel) Unmount(target string) error {
	inside := slices.ContainsFunc(k.m.Mounts, func(m string) bool { return strings.HasPrefix(m, target+"/") })
	if k.m.Busy[target] || inside {
		return &host.Busy{Err: fmt.Errorf("unmounting %s: %w", target, unix.EBUSY)}
	}
	at := lastIndex(k.m.Mounts, target)
	if at < 0 {
		return fmt.Errorf("unmounting %s: %w", target, unix.EINVAL)
	}
	k.m.Mounts = slices.Delete(k.m.Mounts, at, at+1)
	if slices.Contains(k.m.Mounts, target) {
		return nil
	}
	return k.replace(target, func(point string) error { return os.Mkdir(point, 0o755) })
}

func lastIndex(all []string, one string) int {
	for i, s := range slices.Backward(all) {
		if s == one {
			return i
		}
	}
	return -1
}

func (k kernel) Below(dir string, pid int) ([]string, error) {
	if k.m.Hidden && pid == k.m.CRIO.MainPID {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(k.m.Mounts), func(m string) bool { return m != dir && !strings.HasPrefix(m, dir+"/") }), nil
}

func (k kernel) Private() (bool, error) { return k.m.Private, nil }

// Freeze makes CRI-O see /usr as it is now, and everything else as it will be. So does a service in
// a mount namespace that gets none of the later mounts. The copy is made in dir.
func (m *Machine) Freeze(dir string) error {
	for _, top := range []string{"etc", "run", "var"} {
		if err := os.Symlink(m.path("/"+top), filepath.Join(dir, top)); err != nil {
			return err
		}
	}
	m.CRIORoot = dir
	return os.CopyFS(filepath.Join(dir, "usr"), os.DirFS(m.path("/usr")))
}
