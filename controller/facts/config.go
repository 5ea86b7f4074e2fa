// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
)

// Finalizer keeps a KataConfig until its nodes are clean. Its name differs from those of other
// products that define the same kind.
const Finalizer = "kataconfiguration.openshift.io/kata-node"

// Defaults of spec.config.
const (
	DefaultMaxParallel    = 10
	DefaultMaxUnavailable = "10%"
	DefaultMaxFailures    = "10%"
)

// Refusal is why nothing new is started for a KataConfig.
type Refusal struct {
	Reason  Reason
	Message string
}

// Config is one KataConfig as far as the controller cares.
type Config struct {
	Name       string
	UID        string
	Generation int64
	Created    time.Time
	// Deleting is true from the deletion request on.
	Deleting bool
	// Accepted is true when the finalizer is there: only then may anything be made that would have
	// to be removed.
	Accepted bool
	Paused   bool
	// Selector is nil when it cannot be read.
	Selector labels.Selector
	// Payload is the image for every node, empty where the catalogue decides for each, or where
	// none is known.
	Payload string
	// Catalogued is true where the catalogue decides.
	Catalogued bool
	// CatalogProblem says why the present catalogue is not used, empty where it is. An older one
	// may be in force.
	CatalogProblem string
	HostPackages   node.HostPackages
	Overhead       corev1.ResourceList
	Tolerations    []corev1.Toleration
	// Aliases are names of further RuntimeClasses.
	Aliases []string
	// Handlers are names of further handlers, sorted, each once.
	Handlers []string
	// ClassProblem names those whose RuntimeClass belongs to another owner, empty for none.
	ClassProblem string
	// AliasProblem names those that belong to another owner, empty for none.
	AliasProblem   string
	MaxParallel    int
	MaxUnavailable intstr.IntOrString
	MaxFailures    intstr.IntOrString
	// Refused is nil when the KataConfig is good.
	Refused *Refusal
	// Withheld is true while no node becomes ready, whatever Refused says: the payload is not
	// allowed, or anybody who may write a Node could have written its report.
	Withheld bool
}

// Defaults say where payloads come from when spec.config.payloadImage is empty: from the catalogue
// where there is one, even if it cannot be read.
type Defaults struct {
	// Payload is one image for every node.
	Payload string
	// Catalog is true where a catalogue is in force.
	Catalog bool
	// CatalogProblem says why the present document is not it.
	CatalogProblem string
}

// OfConfig reads a KataConfig.
func OfConfig(kc *v1.KataConfig, d Defaults) Config {
	c := kc.Spec.Config
	out := Config{
		Name:           kc.Name,
		UID:            string(kc.UID),
		Generation:     kc.Generation,
		Created:        kc.CreationTimestamp.Time,
		Deleting:       kc.DeletionTimestamp != nil,
		Accepted:       slices.Contains(kc.Finalizers, Finalizer),
		Paused:         c.Paused,
		Payload:        c.PayloadImage,
		HostPackages:   node.HostPackages(c.HostPackages),
		MaxParallel:    DefaultMaxParallel,
		MaxUnavailable: intstr.FromString(DefaultMaxUnavailable),
		MaxFailures:    intstr.FromString(DefaultMaxFailures),
	}
	switch {
	case out.Payload != "":
	case d.Catalog, d.CatalogProblem != "":
		out.Catalogued, out.CatalogProblem = true, d.CatalogProblem
	default:
		out.Payload = d.Payload
	}
	if out.HostPackages == "" {
		out.HostPackages = node.HostPackagesAuto
	}
	if c.Overhead != nil {
		out.Overhead = c.Overhead.PodFixed
	}
	for _, t := range c.Tolerations {
		out.Tolerations = append(out.Tolerations, t.Core())
	}
	for _, name := range c.RuntimeClassAliases {
		out.Aliases = append(out.Aliases, string(name))
	}
	for _, name := range c.Handlers {
		out.Handlers = append(out.Handlers, string(name))
	}
	slices.Sort(out.Handlers)
	if c.MaxParallel != nil {
		out.MaxParallel = int(*c.MaxParallel)
	}
	if c.MaxUnavailable != nil {
		out.MaxUnavailable = *c.MaxUnavailable
	}
	if c.MaxFailures != nil {
		out.MaxFailures = *c.MaxFailures
	}
	selector, err := kc.Spec.KataConfigPoolSelector.Selector()
	if err == nil {
		out.Selector = selector
	}
	out.Refused = refusal(kc, out, d, err)
	return out
}

// Unreadable returns a KataConfig of which only the metadata is known: it keeps its nodes as they
// are.
func Unreadable(c Config, problem error) Config {
	c.Selector, c.Payload, c.Catalogued = nil, "", false
	c.Refused = &Refusal{ReasonUnreadable, node.Sentence("this KataConfig cannot be decoded, delete it or write it again: " + problem.Error())}
	return c
}

// Working is true where nodes are given new work and are pinged.
func (c Config) Working() bool { return c.Accepted && c.Refused == nil && !c.Paused && !c.Deleting }

// Acceptable is true for a KataConfig that is to be accepted now.
func (c Config) Acceptable() bool {
	return !c.Deleting && !c.Accepted && (c.Refused == nil || c.Refused.Reason != ReasonForeignFinalizer && c.Refused.Reason != ReasonUnreadable)
}

func refusal(kc *v1.KataConfig, c Config, d Defaults, selector error) *Refusal {
	foreign := slices.IndexFunc(kc.Finalizers, isForeign)
	switch {
	case foreign >= 0:
		return &Refusal{ReasonForeignFinalizer, fmt.Sprintf("the finalizer %q belongs to another product that installs Kata: remove this KataConfig there first", kc.Finalizers[foreign])}
	case selector != nil:
		return &Refusal{ReasonInvalidSelector, selector.Error()}
	case c.Catalogued && !d.Catalog:
		return &Refusal{ReasonCatalogUnreadable, d.CatalogProblem}
	case c.Payload == "" && !c.Catalogued:
		return &Refusal{ReasonNoPayload, "no payload is known: set spec.config.payloadImage, publish a catalogue in the ConfigMap that --catalog of the controller names, or start it with --default-payload"}
	default:
		return nil
	}
}

func isForeign(finalizer string) bool {
	return strings.HasPrefix(finalizer, v1.Group+"/") && finalizer != Finalizer
}
