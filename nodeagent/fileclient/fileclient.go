// SPDX-License-Identifier: Apache-2.0

// Package fileclient stands in for the API server where a node has no controller: the intent is a
// file, and the report another one.
package fileclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// Files is what a client works through.
type Files interface {
	Owned
	// Watch calls changed after each change of a file until the context ends.
	Watch(ctx context.Context, path string, changed func()) error
	Read(path string) ([]byte, error)
	Write(path string, content []byte, mode fs.FileMode) error
}

// Client follows an intent file.
type Client struct {
	NoDrain
	files   Files
	path    string
	log     logrus.FieldLogger
	changed chan struct{}
}

// New returns a client of the intent in a file, which need not be there yet.
func New(files Files, path string, log logrus.FieldLogger) *Client {
	return &Client{files: files, path: path, log: log, changed: make(chan struct{}, 1)}
}

// Changed receives after the file may have changed.
func (c *Client) Changed() <-chan struct{} { return c.changed }

// Run watches the file until ctx ends. Where it cannot be watched it is still read with each look
// at the host, once a minute.
func (c *Client) Run(ctx context.Context) {
	err := c.files.Watch(ctx, c.path, func() {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		c.log.WithError(err).Warnf("Changes of the intent file are found once a minute")
	}
}

// State reads the file, see [Follow].
func (c *Client) State() cluster.State { return Follow(c.files, c.path) }

// Owned reads files that no other user can have written.
type Owned interface {
	ReadOwned(path string) ([]byte, error)
}

// Follow reads an intent file. No file is no intent; one that may not be followed is a problem, and
// what is installed continues to serve.
func Follow(files Owned, path string) cluster.State {
	content, err := files.ReadOwned(path)
	shown := alone()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		shown.Known, shown.Problem = false, fmt.Sprintf("the intent file is not followed: %v", err)
	default:
		shown.Intent = identified(string(content))
	}
	return shown
}

// alone is what is said on every node without a controller: nothing makes its pods but what CRI-O
// runs, and no scheduler has to be kept away.
func alone() cluster.State {
	return cluster.State{Known: true, PodsKnown: true, Alone: true, Cordoned: true}
}

// identified gives a document an id where it has none, by its content: nothing but the id tells one
// intent from another. What cannot be read stays as it is, for the error that it causes.
func identified(document string) string {
	var i node.Intent
	if json.Unmarshal([]byte(document), &i) != nil || i.ID != "" || i.Version != node.Version {
		return document
	}
	encoded, err := i.Identify("").Encode()
	if err != nil {
		return document
	}
	return encoded
}

// reportMode lets every user read it: nothing in it is secret.
const reportMode = 0o644

// Reported returns the report of this boot, the zero value where there is none yet.
func (c *Client) Reported() node.Report {
	content, err := c.files.Read(host.ReportFile)
	if err != nil {
		return node.Report{}
	}
	r, err := node.DecodeReport(string(content))
	if err != nil {
		return node.Report{}
	}
	return r
}

// Publish replaces the report unless it says the same already. The condition is for Nodes; its
// sentence is that of the service.
func (c *Client) Publish(_ context.Context, r node.Report, _ cluster.Condition, _ time.Time) error {
	document, err := r.Encode()
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	document += "\n"
	if before, err := c.files.Read(host.ReportFile); err == nil && string(before) == document {
		return nil
	}
	if err := c.files.Write(host.ReportFile, []byte(document), reportMode); err != nil {
		return fmt.Errorf("reporting in %s: %w", host.ReportFile, err)
	}
	return nil
}

// NoDrain is for a node that no scheduler sends pods to.
type NoDrain struct{}

// Cordon does nothing.
func (NoDrain) Cordon(context.Context, string) error { return nil }

// Uncordon does nothing.
func (NoDrain) Uncordon(context.Context) error { return nil }

// Evict does nothing.
func (NoDrain) Evict(context.Context) error { return nil }

// Vacant knows of no pods.
func (NoDrain) Vacant(context.Context) error { return nil }
