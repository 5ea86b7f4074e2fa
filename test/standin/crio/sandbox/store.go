// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	recordFile = "sandbox.json"
	bundleDir  = "userdata"
)

// Store keeps the records below one directory and the bundles below another, which is empty after a
// reboot.
type Store struct {
	dir, run string

	mu      sync.Mutex
	records map[string]Record
}

// Open loads the records below dir, of sandboxes whose bundles are below run; one that cannot be
// read is an error that names it. A reboot takes the bundles. CRI-O then clears away every sandbox
// but one of a shim that had ended before: nothing can delete that any more.
func Open(dir, run string) (*Store, error) {
	s := &Store{dir: dir, run: run, records: map[string]Record{}}
	files, err := filepath.Glob(filepath.Join(dir, "*", recordFile))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading sandbox record: %w", err)
		}
		var r Record
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("decoding sandbox record %s: %w", file, err)
		}
		s.records[r.ID] = r
		if _, err := os.Stat(s.Bundle(r.ID)); errors.Is(err, fs.ErrNotExist) && (!r.Stopped || r.Infra != InfraShim) {
			if err := s.Remove(r.ID); err != nil {
				return nil, fmt.Errorf("clearing sandbox %s away: %w", r.ID, err)
			}
		}
	}
	return s, nil
}

// Bundle is the directory of the sandbox's OCI bundle.
func (s *Store) Bundle(id string) string { return filepath.Join(s.run, id, bundleDir) }

// Save writes the record and then makes it visible.
func (s *Store) Save(r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding sandbox record: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, r.ID, recordFile)
	err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path+".tmp", data, 0o600), os.Rename(path+".tmp", path))
	if err != nil {
		return fmt.Errorf("saving sandbox record: %w", err)
	}
	s.records[r.ID] = r
	return nil
}

// Remove forgets the sandbox and its bundle.
func (s *Store) Remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, id)
	return errors.Join(os.RemoveAll(filepath.Join(s.dir, id)), os.RemoveAll(filepath.Join(s.run, id)))
}

// Find returns the only sandbox whose id starts with prefix.
func (s *Store) Find(prefix string) (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Record
	for id, r := range s.records {
		if prefix != "" && strings.HasPrefix(id, prefix) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return Record{}, false
	}
	return found[0], true
}

// Named returns the sandbox with that unique name.
func (s *Store) Named(name string) (Record, bool) {
	for _, r := range s.All() {
		if r.Name() == name {
			return r, true
		}
	}
	return Record{}, false
}

// All returns the records, oldest first.
func (s *Store) All() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.records), func(a, b Record) int { return a.CreatedAt.Compare(b.CreatedAt) })
}

// List returns the records that pass a CRI filter.
func (s *Store) List(filter *runtimeapi.PodSandboxFilter) []Record {
	records := s.All()
	if filter.GetId() != "" {
		r, ok := s.Find(filter.GetId())
		if !ok {
			return nil
		}
		records = []Record{r}
	}
	return slices.DeleteFunc(records, func(r Record) bool { return !matches(r, filter) })
}

func matches(r Record, filter *runtimeapi.PodSandboxFilter) bool {
	if state := filter.GetState(); state != nil && state.GetState() != r.State() {
		return false
	}
	for key, value := range filter.GetLabelSelector() {
		if r.Labels[key] != value {
			return false
		}
	}
	return true
}
