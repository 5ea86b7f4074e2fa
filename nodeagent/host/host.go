// SPDX-License-Identifier: Apache-2.0

// Package host names every effect that the agent may have on its host, as small ports, and the
// values that pass through them. The adapters below it each wrap one library; nothing else in the
// agent touches the host.
package host

import (
	"context"
	"fmt"
	"io/fs"
	"time"
)

// Host is the set of ports that the agent works through.
type Host struct {
	Files     Files
	Services  Services
	Images    Images
	Mounts    Mounts
	Sandboxes Sandboxes
	Processes Processes
	Guests    Guests
	Ostree    Ostree
	VMs       VMs
	Machine   Machine
	Power     Power
}

// Files is everything the agent does with files.
type Files interface {
	FileReader
	FileWriter
}

// FileReader reads small files. Paths are absolute and resolved below the agent's root.
type FileReader interface {
	// Path returns where a path of the host lies for this process.
	Path(path string) string
	// Read returns a file's content; the error is fs.ErrNotExist where there is none.
	Read(path string) ([]byte, error)
	// Readlink returns a link's target; the error is fs.ErrNotExist where there is none.
	Readlink(path string) (string, error)
	// Stat describes what a path leads to; the error is fs.ErrNotExist where it leads to nothing.
	Stat(path string) (fs.FileInfo, error)
	// List returns the names in a directory, sorted; none where there is no directory.
	List(dir string) ([]string, error)
}

// FileWriter changes small files.
type FileWriter interface {
	// Write replaces a file by rename and returns once file and directory are on disk. It makes
	// missing parents and leaves an equal file alone.
	Write(path string, content []byte, mode fs.FileMode) error
	// Link makes path a symbolic link to target by rename, and leaves an equal link alone.
	Link(path, target string) error
	// Remove deletes a file or a tree, and returns nil where there is none. It refuses a tree in
	// which something is mounted.
	Remove(path string) error
}

// Unit is what systemd says of a service.
type Unit struct {
	ActiveState string
	// Invocation identifies one start of the unit, empty while it never started.
	Invocation string
	// MainPID is 0 while the service does not run.
	MainPID int
	// Status is the sentence that the service last gave systemd.
	Status string
	// KillMode says which processes systemd ends with the service, see systemd.kill(5).
	KillMode string
	// Since is when the service last became active, the zero time where it never did.
	Since time.Time
	// Restarts is how often systemd has started the service again by itself since it was last
	// started by others, GivenUp whether it does so no more because of StartLimitBurst=.
	Restarts int
	GivenUp  bool
}

// Active reports whether the service is up.
func (u Unit) Active() bool { return u.ActiveState == "active" }

// Journal has what services have printed.
type Journal interface {
	// Words returns what the program of a service printed last, but for the given invocations,
	// empty where nothing is known. All of it is from one invocation.
	Words(ctx context.Context, name string, but ...string) (string, error)
	// Restarts counts how often systemd has started a service again by itself within a time span up
	// to now.
	Restarts(ctx context.Context, name string, within time.Duration) (int, error)
	// Fatal returns the last line within a time span up to now by which the program of a service
	// says that it ends, such as that of a panic. It is empty where there is none.
	Fatal(ctx context.Context, name string, within time.Duration) (string, error)
	// Complaints returns the last warnings and errors of a service and of the shims that it starts,
	// within a time span up to now: those about one of the given words, else those about nothing
	// else. It is a few lines at most, and empty where nothing is known.
	Complaints(ctx context.Context, name string, within time.Duration, about ...string) ([]string, error)
	// Messages returns what a service has printed within a time span up to now, of all boots and
	// oldest first: the messages that contain one of the words. They are whole, with all their
	// lines.
	Messages(ctx context.Context, name string, within time.Duration, words ...string) ([]string, error)
}

// Services reads and restarts systemd units.
type Services interface {
	Journal
	Unit(ctx context.Context, name string) (Unit, error)
	// Check returns why a service would refuse to start again, nil when nothing speaks against it.
	// It changes nothing.
	Check(ctx context.Context, name string) error
	// Dependents returns the services that run and that systemd stops whenever it stops the named
	// one.
	Dependents(ctx context.Context, name string) ([]string, error)
	// Start returns when a service runs. One that runs already stays as it is.
	Start(ctx context.Context, name string) error
	// Restart returns when the restart job has ended; the error carries the job's result and the
	// unit's state.
	Restart(ctx context.Context, name string) error
}

// Image is a payload in the agent's own store.
type Image struct {
	// ID is the digest of the image's configuration, without algorithm.
	ID string
	// Digests are the manifest and index digests under which the image was asked for, as
	// sha256:hex.
	Digests []string
	// Platform is the digest of the manifest for this platform.
	Platform string
	// Manifest is the sha256:hex of the payload manifest inside, from a label of the image.
	Manifest string
	// Version is what the payload calls itself.
	Version string
}

// Progress is how far a pull has come, in bytes fetched and bytes in all (0 while unknown).
type Progress struct{ Done, Total int64 }

// Images keeps payload images in a store that belongs to the agent alone.
type Images interface {
	// List returns no images, and makes no store, where there is no store yet. With an error it
	// returns those that can be mounted all the same.
	List(ctx context.Context) ([]Image, error)
	// Pull fetches an image named by digest under the host's own signature policy, mirrors and
	// credentials, and pins it. The error is Unfit where this host cannot use the payload, and
	// Outdated where a new process may succeed. It is a Fault where its cause is known.
	Pull(ctx context.Context, image string, progress func(Progress)) error
	// Layers returns the directories of an image's layers, uppermost first.
	Layers(ctx context.Context, id string) ([]string, error)
	// Delete unpins and deletes an image that nothing mounts any more.
	Delete(ctx context.Context, id string) error
	// Discard deletes a damaged image, and whatever may share the damage unless something is
	// mounted from there. The next pull reuses none of it.
	Discard(ctx context.Context, id string) error
	Store
}

// Unfit is the error of a pull of a payload that this host cannot use. No layer was fetched.
type Unfit struct {
	Problem string
	// Host is whether it is the host that has to change: the payload itself is right.
	Host bool
	// Err is what the store's library said, if it was asked.
	Err error
}

func (e *Unfit) Error() string { return e.Problem }

// Unwrap returns what the library said.
func (e *Unfit) Unwrap() error { return e.Err }

// FaultKind says how a pull that failed is tried again.
type FaultKind string

// The kinds of faults.
const (
	// Passing is a fault that may end at any moment.
	Passing FaultKind = "passing"
	// Lasting is one that a person has to end, in the registry or on this host.
	Lasting FaultKind = "lasting"
	// Throttled is a registry that wants to be asked less often.
	Throttled FaultKind = "throttled"
)

// Fault is the error of a pull whose cause is known.
type Fault struct {
	Kind FaultKind
	// Remedy is what to do about it.
	Remedy string
	Err    error
	// Changed tells whether this host's registries, credentials, certificates or signature policy
	// have changed since, so that another try may succeed.
	Changed func() bool
}

func (f *Fault) Error() string { return fmt.Sprintf("%v: %s", f.Err, f.Remedy) }

// Unwrap returns what failed.
func (f *Fault) Unwrap() error { return f.Err }

// Outdated is an error that only a new process can avoid: what it read at its start has changed
// since.
type Outdated struct {
	// What is the file or directory that has changed.
	What string
	Err  error
}

func (e *Outdated) Error() string {
	return fmt.Sprintf("%v; %s has changed since this process read it", e.Err, e.What)
}

// Unwrap returns what failed.
func (e *Outdated) Unwrap() error { return e.Err }

// Store is the place where images are kept.
type Store interface {
	// Exists tells whether there is anything of a store on disk.
	Exists() bool
	// Destroy deletes the store and everything in it.
	Destroy(ctx context.Context) error
}

// Mounts makes and removes the agent's own read-only mounts.
type Mounts interface {
	// Overlay mounts layers (uppermost first) read-only at target, which it makes.
	Overlay(layers []string, target string) error
	// Unmount takes the mount at target away; it never uses MNT_DETACH, so a mount in use stays,
	// and the error is Busy.
	Unmount(target string) error
	// Below returns the mount points at or below a directory as seen by a process; pid 0 is the
	// agent itself.
	Below(dir string, pid int) ([]string, error)
	// Private tells whether the agent's mounts would stay invisible to PID 1 and so to CRI-O.
	Private() (bool, error)
}

// Busy is the error of an unmount of a mount that is in use.
type Busy struct{ Err error }

func (e *Busy) Error() string { return e.Err.Error() }

// Unwrap returns what the kernel answered.
func (e *Busy) Unwrap() error { return e.Err }

// Sandbox is a pod sandbox of one of our handlers.
type Sandbox struct {
	ID, Handler, Namespace, Name string
	Ready                        bool
	// Unknown is what the runtime answered when it was asked for the handler, where that failed.
	Unknown string
}

// Sandboxes speaks CRI to the node's container runtime.
type Sandboxes interface {
	List(ctx context.Context, handlers ...string) ([]Sandbox, error)
	// Prove starts a sandbox on the host's network, lets a container in it run, and leaves both to
	// Remove, also where an error comes with an id. The error is what the runtime said: Strained
	// where it lacked something of the host, UnknownHandler where it does not know the handler.
	Prove(ctx context.Context, handler, name string) (id string, err error)
	// Shim returns the program that the running runtime starts for a handler, empty where it does
	// not tell. Of two definitions of a handler the runtime takes one, and a proof of another
	// handler does not say which.
	Shim(ctx context.Context, handler string) (string, error)
	// Version returns the version of the running runtime.
	Version(ctx context.Context) (string, error)
	// Remove stops and removes a sandbox; one that does not exist is no error.
	Remove(ctx context.Context, id string) error
	// Reclaim stops and removes what a Prove of this name has started whose caller ended before the
	// answer: the runtime may list none of it, and keep it. Where there is nothing, that is no
	// error, and nothing is started.
	Reclaim(ctx context.Context, name string) error
}

// Strained is the error of a proof that lacked what the host may have a moment later: memory, room,
// file descriptors, time, or a sandbox that the kubelet does not stop. By itself it says nothing of
// the payload.
type Strained struct{ Err error }

func (e *Strained) Error() string { return e.Err.Error() }

// Unwrap returns what the runtime said.
func (e *Strained) Unwrap() error { return e.Err }

// UnknownHandler is the error of a runtime that was started without a handler.
type UnknownHandler struct {
	Handler string
	Err     error
}

func (e *UnknownHandler) Error() string { return e.Err.Error() }

// Unwrap returns what the runtime said.
func (e *UnknownHandler) Unwrap() error { return e.Err }

// Process is one that executes, maps or names files below a directory.
type Process struct {
	PID  int
	Args []string
	// Paths are the files below the directory that it executes, maps or names in its arguments.
	Paths []string
	// Since is when it has started, the zero time where that is not known. Only Using sets it.
	Since time.Time
	// Unread says why that is not known; Args and Paths are empty then.
	Unread string
	// Environment are the variables that were asked for, as NAME=VALUE.
	Environment []string
	// Name is how the kernel lists the process, in at most 15 bytes that the process may choose.
	// Only Holding sets it.
	Name string
}

// Processes looks at the processes of the host.
type Processes interface {
	// Using returns the processes that use files below a directory, and those of which that is not
	// known.
	Using(dir string) ([]Process, error)
	// Holding returns up to so many of the processes that keep a mount busy: their working
	// directory, their root directory or an open file is at or below dir; or they map a file there,
	// where no process does any of that. It looks at every process of the host, for some seconds at
	// most, so it is for a mount that has turned out to be busy.
	Holding(dir string, most int) ([]Process, error)
	// Sees returns nil where a path leads to something in the mount namespace of a process, which
	// may be another one than the agent's. The error is fs.ErrNotExist where it leads to nothing.
	Sees(pid int, path string) error
	// Started returns the arguments of a process, and the variables whose names begin with a
	// prefix.
	Started(pid int, prefix string) (Process, error)
}
