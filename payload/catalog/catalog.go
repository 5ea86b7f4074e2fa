// SPDX-License-Identifier: Apache-2.0

// Package catalog reads and maintains the document that says which payload belongs to which
// version of OpenShift or Kubernetes. It is pure: documents come in as bytes and go out as bytes.
package catalog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kata-node/kata-node/api/node"
)

// Format is the only value of the document's key format.
const Format = 1

// Bounds of a document. Every node is resolved against all entries, and a ConfigMap has room for
// 1 MiB.
const (
	MaxBytes   = 64 << 10
	MaxEntries = 100
	maxVersion = 40
	maxRange   = 100
	maxList    = 16
)

// Entry is one payload and what it is for. A range that is empty says nothing: the payload is
// for the other one only.
type Entry struct {
	// Image is the payload by digest, as registry/repository@sha256:digest.
	Image string `yaml:"image"`
	// Version is what the payload calls itself, for people.
	Version string `yaml:"version,omitempty"`
	// OpenShift is a range of minor versions, such as ">=4.17, <4.20".
	OpenShift string `yaml:"openshift,omitempty"`
	// Kubernetes is a range of versions, for nodes that do not say which OpenShift they run.
	Kubernetes string `yaml:"kubernetes,omitempty"`
	// Architectures are Go architecture names. None stands for all.
	Architectures []string `yaml:"architectures,omitempty,flow"`
	// RHEL are major versions of the nodes' operating system. None stands for all, and for nodes
	// of another system.
	RHEL []int `yaml:"rhel,omitempty,flow"`
}

// Catalog is a document that was read and checked.
type Catalog struct {
	entries []entry
}

// entry is an Entry with its place in the document and its ranges.
type entry struct {
	Entry

	number, line int
	ranges       [axes]*versions
}

// String names the entry so that a person finds it.
func (e entry) String() string {
	name := cmp.Or(e.Version, e.Image)
	if name == "" {
		return fmt.Sprintf("entry %d (line %d)", e.number, e.line)
	}
	return fmt.Sprintf("entry %d (line %d, %s)", e.number, e.line, node.Shorten(name, maxVersion))
}

// Entries returns the entries in the document's order.
func (c *Catalog) Entries() []Entry {
	out := make([]Entry, 0, len(c.entries))
	for _, e := range c.entries {
		out = append(out, e.Entry)
	}
	return out
}

// Images returns every payload that the catalogue names, once.
func (c *Catalog) Images() []string {
	var out []string
	for _, e := range c.entries {
		if !slices.Contains(out, e.Image) {
			out = append(out, e.Image)
		}
	}
	return out
}

// document is the form of a catalogue.
type document struct {
	Format   int     `yaml:"format"`
	Payloads []Entry `yaml:"payloads"`
}

// Parse reads a document and checks it. It refuses unknown keys, ranges that overlap, and versions
// that are left out between two entries. The error names lines and entries.
func Parse(text []byte) (*Catalog, error) {
	root, err := tree(text)
	if err != nil {
		return nil, sentence("reading", err)
	}
	var d document
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil {
		return nil, sentence("reading", err)
	}
	c, err := compile(d, lines(root))
	if err != nil {
		return nil, sentence("reading", err)
	}
	if err := c.check(); err != nil {
		return nil, sentence("checking", err)
	}
	return c, nil
}

// ofType is what the YAML library adds about this package to each problem.
var ofType = regexp.MustCompile(` in type catalog\.\w+`)

// sentence is an error on one line, whatever number of problems it has.
func sentence(doing string, err error) error {
	text := err.Error()
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		text = ofType.ReplaceAllString(strings.Join(typed.Errors, "\n"), "")
	}
	return fmt.Errorf("%s catalogue: %s", doing, strings.ReplaceAll(text, "\n", "; "))
}

// tree returns the document as it is written, at most MaxBytes of it, without anchors: an alias
// could stand for more than the document's size allows.
func tree(text []byte) (*yaml.Node, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%d bytes are more than %d: split it, or leave out versions that no node runs any more", len(text), MaxBytes)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty: begin with the keys format and payloads")
	case err != nil:
		return nil, err
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the first document: leave one")
	}
	if n := anchored(&root); n != nil {
		return nil, fmt.Errorf("line %d: anchors and aliases are not read: write the value out", n.Line)
	}
	return &root, nil
}

func anchored(n *yaml.Node) *yaml.Node {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return n
	}
	for _, child := range n.Content {
		if found := anchored(child); found != nil {
			return found
		}
	}
	return nil
}

// lines are those at which the entries begin.
func lines(root *yaml.Node) []int {
	var out []int
	if list := payloads(root); list != nil {
		for _, item := range list.Content {
			out = append(out, item.Line)
		}
	}
	return out
}

// payloads returns the list of entries in a document, nil where it has none.
func payloads(root *yaml.Node) *yaml.Node {
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	pairs := root.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i].Value == "payloads" && pairs[i+1].Kind == yaml.SequenceNode {
			return pairs[i+1]
		}
	}
	return nil
}

func compile(d document, lines []int) (*Catalog, error) {
	switch {
	case d.Format != Format:
		return nil, fmt.Errorf("format is %d: this program reads %d", d.Format, Format)
	case len(d.Payloads) == 0:
		return nil, errors.New("payloads is empty: add an entry, or delete the catalogue")
	case len(d.Payloads) > MaxEntries:
		return nil, fmt.Errorf("%d entries are more than %d: leave out versions that no node runs any more", len(d.Payloads), MaxEntries)
	}
	c := &Catalog{}
	var problems []error
	for i, e := range d.Payloads {
		compiled := entry{Entry: e, number: i + 1, line: lines[i]}
		if err := compiled.compile(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", compiled, err))
		}
		c.entries = append(c.entries, compiled)
	}
	return c, errors.Join(problems...)
}
