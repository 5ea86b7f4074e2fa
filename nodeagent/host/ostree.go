// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"slices"
)

// Ostree asks and changes an operating system that rpm-ostree manages.
type Ostree interface {
	// Status returns what rpm-ostree knows of its deployments. A host without rpm-ostree is no
	// error.
	Status(ctx context.Context) (OSTree, error)
	// Unfinalized returns the line with which the deployment that was staged in the previous boot
	// could not be finalized, empty where none is known.
	Unfinalized(ctx context.Context) (string, error)
	// Layer installs and uninstalls packages in one transaction, which takes effect in the next
	// deployment. Nothing is rebooted. What is there or gone already is no error; other errors are
	// OstreeError.
	Layer(ctx context.Context, change Layering) error
	// ApplyLive makes what the next deployment adds visible in the running system, where that needs
	// no reboot.
	ApplyLive(ctx context.Context) error
}

// Layering is one transaction.
type Layering struct {
	// Install are paths of RPM files, Uninstall the names of packages.
	Install, Uninstall []string
}

// OSTree is what rpm-ostree knows of a host.
type OSTree struct {
	// Exists is whether this host has booted a deployment and has rpm-ostree.
	Exists bool
	// Bootc says why this host counts as one that bootc updates, empty where it does not.
	Bootc string
	// Deployments are in boot order: the first one is what boots next.
	Deployments []Deployment
	// Transaction is what rpm-ostree does at this moment, if anything.
	Transaction *Transaction
	// Driver is the program that has declared to drive updates, such as Zincati.
	Driver string
}

// Transaction is one change that rpm-ostree carries out, for whomever.
type Transaction struct {
	// Method is rpm-ostree's word for it, Sender the name of the caller on the system's bus.
	Method, Sender string
}

// Deployment is one bootable operating system.
type Deployment struct {
	ID, OSName, Checksum, Version string
	// Base is the checksum of the system below layered packages.
	Base string
	// Image is the container image that it was made from, empty where it was made from none.
	Image          string
	Booted, Staged bool
	// Locked is whether a shutdown must not finalize it yet: its driver decides when.
	Locked bool
	// Unlocked is how /usr may be written: none, development, hotfix or transient.
	Unlocked string
	// LiveReplaced is the checksum of the deployment that was applied to the running system,
	// LiveInProgress of the one whose application was interrupted.
	LiveReplaced, LiveInProgress string
	// Requested are packages that are layered by name, from a repository; Local those from files,
	// by their full names.
	Requested, Local []string
}

// Booted returns the deployment that runs. There is none on live systems and in rescue shells.
func (o OSTree) Booted() (Deployment, bool) {
	i := slices.IndexFunc(o.Deployments, func(d Deployment) bool { return d.Booted })
	if i < 0 {
		return Deployment{}, false
	}
	return o.Deployments[i], true
}

// Next returns the deployment that boots next, which may be the booted one.
func (o OSTree) Next() (Deployment, bool) {
	if len(o.Deployments) == 0 {
		return Deployment{}, false
	}
	return o.Deployments[0], true
}

// Pending returns the deployment that boots next, where it is not the booted one.
func (o OSTree) Pending() (Deployment, bool) {
	next, some := o.Next()
	_, booted := o.Booted()
	return next, some && booted && !next.Booted
}

// Staged returns the deployment that the shutdown finalizes, if any.
func (o OSTree) Staged() (Deployment, bool) {
	i := slices.IndexFunc(o.Deployments, func(d Deployment) bool { return d.Staged })
	if i < 0 {
		return Deployment{}, false
	}
	return o.Deployments[i], true
}

// Rollback returns the deployment that a rollback would boot: the one after the booted one.
func (o OSTree) Rollback() (Deployment, bool) {
	i := slices.IndexFunc(o.Deployments, func(d Deployment) bool { return d.Booted })
	if i < 0 || i+1 >= len(o.Deployments) {
		return Deployment{}, false
	}
	return o.Deployments[i+1], true
}

// OstreeClass is what kind of answer rpm-ostree's is.
type OstreeClass string

// The classes of rpm-ostree's errors.
const (
	// OstreeBusy says that another transaction runs, or that the system is about to reboot.
	OstreeBusy OstreeClass = "busy"
	// OstreeNotFound says that no repository has the package.
	OstreeNotFound OstreeClass = "not found"
	// OstreeDepsolve says that the packages do not fit the system.
	OstreeDepsolve OstreeClass = "depsolve"
	// OstreeConflict says that packages or files of the system would be replaced.
	OstreeConflict OstreeClass = "conflict"
	// OstreeLocked says that the system's configuration forbids layering.
	OstreeLocked OstreeClass = "locked"
	// OstreeNetwork says that a repository could not be reached.
	OstreeNetwork OstreeClass = "network"
	// OstreeCrashed says that rpm-ostree's daemon has gone away.
	OstreeCrashed OstreeClass = "crashed"
	// OstreeLiveRefused says that the change needs a reboot.
	OstreeLiveRefused OstreeClass = "live refused"
	// OstreeFull says that a file system has no space.
	OstreeFull OstreeClass = "full"
	// OstreeOther is anything else.
	OstreeOther OstreeClass = "other"
)

// OstreeError is an error that rpm-ostree itself has given.
type OstreeError struct {
	Class OstreeClass
	Err   error
}

func (e *OstreeError) Error() string { return e.Err.Error() }

// Unwrap returns what rpm-ostree said.
func (e *OstreeError) Unwrap() error { return e.Err }

// Lasting reports whether the same change to the same system fails again.
func (e *OstreeError) Lasting() bool {
	switch e.Class {
	case OstreeNotFound, OstreeDepsolve, OstreeConflict, OstreeLocked:
		return true
	case OstreeBusy, OstreeNetwork, OstreeCrashed, OstreeLiveRefused, OstreeFull, OstreeOther:
		return false
	}
	return false
}
