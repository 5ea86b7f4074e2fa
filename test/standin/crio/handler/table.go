// SPDX-License-Identifier: Apache-2.0

package handler

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"reflect"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/test/standin/crio/config"
)

type handlers = map[string]*config.Handler

// Table is CRI-O's two views of its handlers. What runs sandboxes is fixed at start;
// what Status shows follows every reload, also a reload that failed half way.
type Table struct {
	log logrus.FieldLogger
	run handlers // never changes after New

	mu           sync.Mutex
	shown        handlers
	features     map[string]Features
	fallback     string
	startDefault string
}

// New validates the configured handlers as a starting CRI-O does: an invalid one is dropped with a
// warning, an invalid default is an error.
func New(ctx context.Context, c config.Runtime, log logrus.FieldLogger) (*Table, error) {
	t := &Table{log: log, shown: c.Runtimes, features: map[string]Features{}, fallback: c.DefaultRuntime}
	if err := t.resolveDefault(); err != nil {
		return nil, err
	}
	if err := t.validateShown(ctx); err != nil {
		return nil, fmt.Errorf("runtime validation: %w", err)
	}
	t.run, t.startDefault = maps.Clone(t.shown), t.fallback
	return t, nil
}

// Find returns the handler that a sandbox request names; the empty name means the default.
func (t *Table) Find(name string) (*config.Handler, error) {
	if name == "" {
		name = t.startDefault
	}
	if h, ok := t.run[name]; ok {
		return h, nil
	}
	return nil, fmt.Errorf("failed to find runtime handler %s from runtime list %v", name, t.run) //nolint:revive // CRI-O's own words
}

// Reload takes over a new configuration for Status alone. It assigns before it validates, as CRI-O
// does: after an error the table shown is the new one, unvalidated.
func (t *Table) Reload(ctx context.Context, c config.Runtime) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	updated := !reflect.DeepEqual(t.shown, c.Runtimes)
	if updated {
		t.log.Infof("Updating runtime configuration")
		t.shown = c.Runtimes
	}
	if t.fallback != c.DefaultRuntime {
		t.fallback, updated = c.DefaultRuntime, true
		if err := t.resolveDefault(); err != nil {
			return fmt.Errorf("unable to reload runtimes: %w", err) //nolint:revive // CRI-O's own words
		}
	}
	if !updated {
		return nil
	}
	if err := t.validateShown(ctx); err != nil {
		return fmt.Errorf("unable to reload runtimes: %w", err) //nolint:revive // CRI-O's own words
	}
	return nil
}

func (t *Table) resolveDefault() error {
	if _, ok := t.shown[t.fallback]; ok {
		return nil
	}
	if t.fallback != "" {
		return fmt.Errorf("default_runtime set to %q, but no runtime entry table [crio.runtime.runtimes.%s] was found", t.fallback, t.fallback)
	}
	built := config.Default().Crio.Runtime
	t.fallback = built.DefaultRuntime
	if _, ok := t.shown[t.fallback]; !ok {
		t.shown[t.fallback] = built.Runtimes[t.fallback]
	}
	return nil
}

func (t *Table) validateShown(ctx context.Context) error {
	t.inherit()
	var ignored []string
	for name, h := range t.shown {
		err := validate(name, h)
		if err != nil && name == t.fallback {
			return err
		}
		if err != nil {
			t.log.Warnf("Runtime handler %q is being ignored due to: %v", name, err)
			ignored = append(ignored, name)
		}
	}
	for _, name := range ignored {
		delete(t.shown, name)
	}
	t.features = probe(ctx, t.shown, t.log)
	return nil
}

func (t *Table) inherit() {
	origin := t.shown[t.fallback]
	for _, h := range t.shown {
		if !h.InheritDefaultRuntime {
			continue
		}
		h.RuntimePath = origin.RuntimePath
		if path, err := exec.LookPath(t.fallback); h.RuntimePath == "" && err == nil {
			h.RuntimePath = path
		}
		h.RuntimeType, h.RuntimeConfigPath, h.RuntimeRoot = origin.RuntimeType, origin.RuntimeConfigPath, origin.RuntimeRoot
	}
}
