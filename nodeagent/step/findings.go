// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/inspect"
)

// findings carries out the steps about what was found out about a slot.
func (r Runner) findings(ctx context.Context, s plan.Step) error {
	if s.Kind == plan.KeepFindings {
		return r.keepFindings(s.Slot)
	}
	if s.Kind == plan.DropFindings {
		return record.RemoveFindings(r.Host.Files, s.Slot)
	}
	return r.resume(ctx, s)
}

func (r Runner) keepFindings(slot string) error {
	origin, unread := record.LoadOrigin(r.Host.Files, slot)
	verified, err := record.LoadVerified(r.Host.Files, slot)
	unread = errors.Join(unread, err)
	proved, err := record.LoadProved(r.Host.Files, slot)
	unread = errors.Join(unread, err)
	guest, err := record.LoadGuest(r.Host.Files, slot)
	if unread = errors.Join(unread, err); unread != nil {
		return unread
	}
	if verified == nil {
		return fmt.Errorf("slot %s is not verified any more", slot)
	}
	return record.Findings{
		Slot: slot, Boot: r.Self.BootID, Build: r.Self.Build, Origin: origin, Verified: *verified, Proved: proved, Guest: guest,
	}.Save(r.Host.Files)
}

// resume mounts a slot and takes over what was found out about it before it was unmounted. Where
// its files are not those that were verified then, or that cannot be found out, the findings are
// deleted: the slot is verified and proved as any other one.
func (r Runner) resume(ctx context.Context, s plan.Step) error {
	found, err := record.LoadFindings(r.Host.Files, s.Slot)
	if err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("what was found out about slot %s is not there any more", s.Slot)
	}
	image, err := r.mount(ctx, s)
	if err != nil {
		return err
	}
	if !r.same(ctx, s, image, *found) {
		r.Tell("files of payload " + found.Origin.Release + " have changed since they were verified")
		return record.RemoveFindings(r.Host.Files, s.Slot)
	}
	found.Verified.Resumed = true
	if err := found.Verified.Save(r.Host.Files, s.Slot); err != nil || found.Verified.Guest && found.Guest == nil {
		return err
	}
	return r.takeOver(ctx, s, *found)
}

// same reports whether the mounted files are those that were verified. What prevents the
// comparison, such as a disk that fails, is met by the verification, which names it.
func (r Runner) same(ctx context.Context, s plan.Step, image host.Image, found record.Findings) bool {
	m, err := r.manifest(ctx, s.Slot, image)
	if err != nil {
		return false
	}
	identity, err := inspect.Identity(ctx, r.Host.Files.Path(host.PayloadDir(s.Slot)), m)
	return err == nil && identity != "" && identity == found.Verified.Identity
}

// takeOver configures the slot with the guest that it had. Where that gives what was proved, and
// CRI-O sees it as it saw it then, the proof holds. Else guest and proof are those of any other
// slot.
func (r Runner) takeOver(ctx context.Context, s plan.Step, found record.Findings) error {
	if found.Guest != nil {
		if err := found.Guest.Save(r.Host.Files, s.Slot); err != nil {
			return err
		}
	}
	if r.asProved(ctx, s, found.Proved) {
		return found.Proved.Save(r.Host.Files, s.Slot)
	}
	return record.RemoveGuest(r.Host.Files, s.Slot)
}

// asProved renders the slot's configuration, and reports whether a proof of it would find what the
// former one found. What keeps it from that, such as a program that the host lacks, is named by the
// steps that follow then.
func (r Runner) asProved(ctx context.Context, s plan.Step, before record.Proved) bool {
	if err := r.configure(ctx, s, node.Handler); err != nil {
		return false
	}
	now, err := r.rendered(s.Slot)
	if err != nil || now != before.Rendered {
		return false
	}
	unit, err := r.Host.Services.Unit(ctx, r.Self.CRIOUnit)
	return err == nil && unit.Invocation == before.Invocation && r.visible(s.Slot, unit) == nil && r.reachable(s, unit) == nil
}

// packageDatabases change whenever packages of the host do, where rpm, rpm-ostree or dpkg keeps
// them. What a named program needs in turn, such as its libraries, is not looked at one by one.
func packageDatabases() []string {
	return []string{"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/share/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/dpkg/status"}
}

// rendered identifies what sandboxes of a slot start from, apart from the payload's own files: the
// configurations of all handlers, the files of this host that they name, and the host's packages.
func (r Runner) rendered(slot string) (string, error) {
	sum, named := sha256.New(), map[string]bool{}
	for _, file := range packageDatabases() {
		named[file] = true
	}
	for _, handler := range node.Handlers() {
		dir := path.Join(host.SlotDir(slot), handler)
		shim, err := r.Host.Files.Readlink(path.Join(dir, host.Shim))
		if err != nil {
			return "", err
		}
		configuration, err := r.Host.Files.Read(path.Join(dir, host.Configuration))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err // One that is not there is that of the pending slot.
		}
		fmt.Fprintf(sum, "%s %q %q\n", handler, shim, configuration)
		files, err := handlers.FilesOf(configuration)
		if err != nil {
			return "", err
		}
		for _, f := range files {
			if !strings.HasPrefix(f.Path, host.PayloadDir(slot)+"/") {
				named[f.Path] = true
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(named)) {
		if err := inspect.FileIdentity(sum, r.Host.Files.Path(file)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
