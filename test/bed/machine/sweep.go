// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// propagate is where systemd-nspawn keeps one directory per machine; it does not remove that of a
// machine that was killed.
const propagate = "/run/systemd/nspawn/propagate"

// Sweep removes what owners that run no more left behind: processes, cgroups, mounts and
// directories of their machines below dir. It knows them by the pid and start time in their names,
// and touches nothing else.
func Sweep(ctx context.Context, dir string) error {
	if os.Geteuid() != 0 {
		return nil // Without root there are no machines.
	}
	unlock, err := lock(filepath.Join(dir, "sweep.lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return errors.Join(sweepCgroups(ctx), sweepDirectories(dir))
}

func sweepCgroups(ctx context.Context) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, h := range all {
		// Owners that are gone may have been in other cgroups than this process.
		dirs := abandonedBelow(h.mount)
		errs = append(errs, removeTrees(ctx, dirs))
		for _, dir := range dirs {
			errs = append(errs, removePropagate(filepath.Base(dir)))
		}
	}
	return errors.Join(errs...)
}

func sweepDirectories(dir string) error {
	var errs []error
	for _, name := range abandoned(dir) {
		errs = append(errs, removeDirectory(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// abandoned lists what in dir is named after an owner that runs no more.
func abandoned(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		if owner, ours := parseTag(entry.Name()); ours && entry.IsDir() && owner.gone() {
			names = append(names, entry.Name())
		}
	}
	return names
}

// abandonedBelow lists the directories at any depth below dir that are named after an owner that
// runs no more.
func abandonedBelow(dir string) []string {
	var found []string
	//nolint:errcheck // Cgroups go away at any moment.
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // As above.
		}
		owner, ours := parseTag(entry.Name())
		if !ours {
			return nil
		}
		if owner.gone() {
			found = append(found, path)
		}
		return fs.SkipDir
	})
	return found
}

// removeDirectory refuses to remove files through a mount that it could not take away.
func removeDirectory(dir string) error {
	if err := unmountBelow(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing directory of a machine: %w", err)
	}
	return nil
}

func removePropagate(name string) error {
	err := os.Remove(filepath.Join(propagate, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
