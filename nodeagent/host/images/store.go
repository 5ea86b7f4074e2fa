// SPDX-License-Identifier: Apache-2.0

// Package images keeps payload images in a containers/storage store that belongs to the agent
// alone: CRI-O deletes and unmounts images in its own store without regard for other users. It
// pulls under the host's signature policy, mirrors and credentials, and pins every image, because
// the store deletes one that is merely mounted.
package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

// stallLimit is long enough for a registry that looks for a blob on a slow disk.
const stallLimit = time.Minute

// Store is the agent's image store. It is opened at its first use and makes nothing on disk before
// a pull.
type Store struct {
	*common
	graph, run string
	open       storage.Store
	// second is another store in a directory of this one, see second.go. It has none itself.
	second *Store
}

// common is what a store and its second one share.
type common struct {
	system *types.SystemContext
	// auth is the file of the node's registry credentials. It need not be there yet when the agent
	// starts.
	auth string
	// trusted are the root and its authorities' certificates, as they were before any was read.
	root    string
	trusted map[string]stamp
	// Policy is a file in the form of containers-policy.json(5). Without one the host's default is
	// used.
	Policy string
	// RuntimePolicy names the file that the node's container runtime decides by, empty where it has
	// none of its own. It is asked where the host has no default.
	RuntimePolicy func(ctx context.Context) (string, error)
	// decides is that file, where the last pull has asked for it.
	decides string
	// MostLayers returns how many layers this host can mount at once, when the name of each has so
	// many bytes. Nil means any number.
	MostLayers func(name int) int
	// Lacks says why this host cannot run a payload that requires so much, empty where it can. Nil
	// accepts every payload.
	Lacks func(ctx context.Context, requires manifest.Requires) string
	// Thresholds returns how much of its disks the kubelet wants to stay free. Nil is nothing.
	Thresholds func(ctx context.Context) []host.Threshold
	// Bandwidth is how many bytes a second a pull may take from the network. Zero is no limit.
	Bandwidth int64
	// Stall is how long a pull may go without a byte, one minute unless it is set.
	Stall time.Duration

	mu sync.Mutex
	// serves is what each registry was seen to serve since this process began.
	serves map[string]serving
	// proxy stands before the network while a pull with a limit runs, and environment names the
	// host's own proxy.
	proxy       *proxy
	environment func(*http.Request) (*url.URL, error)
	pace        func(bytes int64) func(context.Context, int) error
}

// Below returns the store of a root; "/" is the host itself. The run directory must be on a file
// system that forgets at a reboot.
func Below(root, graph, run, authFile string) *Store {
	graph, run = filepath.Join(root, graph), filepath.Join(root, run)
	c := &common{
		auth: filepath.Join(root, authFile), Stall: stallLimit, root: root, trusted: authorities(root),
		serves: map[string]serving{}, environment: http.ProxyFromEnvironment, pace: limit,
		system: &types.SystemContext{
			BigFilesTemporaryDir: filepath.Join(graph, "downloads"),
			BlobInfoCacheDir:     filepath.Join(graph, "blobs"),
		},
	}
	if root != "/" {
		c.system.RootForImplicitAbsolutePaths = root
	}
	second := &Store{common: c, graph: filepath.Join(graph, secondDir), run: filepath.Join(run, secondDir)}
	return &Store{common: c, graph: graph, run: run, second: second}
}

// store opens the store once. The library panics where it cannot open a lock file for writing, as
// on a file system that an I/O error made read-only.
func (s *Store) store() (storage.Store, error) {
	if err := unix.Access(s.graph, unix.W_OK); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening image store %s: %w", s.graph, err)
	}
	if s.open != nil {
		return s.open, nil
	}
	open, err := storage.GetStore(s.options())
	if err != nil {
		s.forgetOverlay()
		return nil, fmt.Errorf("opening image store %s: %w", s.graph, err)
	}
	s.open = open
	return open, nil
}

// forgetOverlay deletes the library's note that overlay mounts do not work here. It writes one for
// any failure of its probe, such as a disk without free inodes, and believes it until the next
// boot.
func (s *Store) forgetOverlay() {
	_ = os.Remove(filepath.Join(s.run, "overlay", "overlay-false")) //nolint:errcheck // The next try of opening says what is wrong.
}

// Prune deletes what killed pulls left behind: no later pull would find it. A store whose records
// cannot be read goes altogether, and the error names the file. Only the agent that pulls may call
// it.
func (s *Store) Prune() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Exists() {
		return nil
	}
	if err := os.RemoveAll(s.system.BigFilesTemporaryDir); err != nil {
		return fmt.Errorf("removing interrupted downloads: %w", err)
	}
	for _, one := range s.all() {
		if err := one.prune(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) prune() error {
	if err := s.endProbes(); err != nil {
		return err
	}
	if damaged, err := s.readable(); damaged {
		return s.giveUp(err)
	} else if err != nil {
		return err
	}
	return s.close()
}

// close shuts the store down, which prunes staged layers, and takes it out of the library's list of
// open ones.
func (s *Store) close() error {
	if s.open == nil {
		return nil
	}
	defer s.open.Free()
	_, err := s.open.Shutdown(false)
	s.open = nil
	if err != nil {
		return fmt.Errorf("closing image store %s: %w", s.graph, err)
	}
	return nil
}

// options flush layers before they are marked present: without that, a power cut leaves empty files
// in a layer that calls itself complete. The store's home is not made a private mount, so that what
// is below it may be mounted elsewhere for all to see.
func (s *Store) options() storage.StoreOptions {
	return storage.StoreOptions{
		GraphRoot: s.graph, RunRoot: s.run, GraphDriverName: "overlay",
		GraphDriverOptions: []string{"overlay.skip_mount_home=true", "overlay.sync=filesystem"},
		PullOptions:        map[string]string{"enable_partial_images": "true", "use_hard_links": "true"},
	}
}

// List returns the images of the store. With an error, it returns those that can be mounted without
// opening it.
func (s *Store) List(context.Context) ([]host.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Exists() {
		return nil, nil
	}
	var images []host.Image
	var problems []error
	for _, one := range s.all() {
		own, err := one.list()
		images, problems = append(images, own...), append(problems, err)
	}
	return images, errors.Join(problems...)
}

func (s *Store) list() ([]host.Image, error) {
	store, err := s.store()
	if err != nil {
		return s.noted(err)
	}
	images, err := list(store)
	if err != nil {
		return s.noted(err)
	}
	return images, nil
}

// Layers returns the directories of an image's layers, uppermost first.
func (s *Store) Layers(_ context.Context, id string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.second.has(id) {
		return s.second.layers(id)
	}
	return s.layers(id)
}

func (s *Store) layers(id string) ([]string, error) {
	store, err := s.store()
	if err != nil {
		return s.notedLayers(id, err)
	}
	image, err := store.Image(id)
	if err != nil {
		return nil, fmt.Errorf("looking up image %s: %w", id, err)
	}
	return layers(store, image.TopLayer)
}

func layers(store storage.Store, top string) ([]string, error) {
	var dirs []string
	for layer := top; layer != ""; {
		record, err := store.Layer(layer)
		if err != nil {
			return nil, fmt.Errorf("looking up layer %s: %w", layer, missing(err))
		}
		dir, err := store.DifferTarget(layer)
		if err != nil {
			return nil, fmt.Errorf("locating layer %s: %w", layer, err)
		}
		dirs, layer = append(dirs, dir), record.Parent
	}
	return dirs, nil
}

// missing makes the library's own error for a layer that is not there one that says so to
// everybody: it is damage, and does not pass.
func missing(err error) error {
	if errors.Is(err, storage.ErrLayerUnknown) {
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}
