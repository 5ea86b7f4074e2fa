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
	Selector       labels.Selector
	Payload        string
	HostPackages   node.HostPackages
	Overhead       corev1.ResourceList
	MaxParallel    int
	MaxUnavailable intstr.IntOrString
	MaxFailures    intstr.IntOrString
	// Refused is nil when the KataConfig is good.
	Refused *Refusal
	// Withheld is true while no node becomes ready, whatever Refused says: the payload is not
	// allowed, or anybody who may write a Node could have written its report.
	Withheld bool
}

// OfConfig reads a KataConfig. The default payload holds where spec.config.payloadImage is empty.
func OfConfig(kc *v1.KataConfig, defaultPayload string) Config {
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
	if out.Payload == "" {
		out.Payload = defaultPayload
	}
	if out.HostPackages == "" {
		out.HostPackages = node.HostPackagesAuto
	}
	if c.Overhead != nil {
		out.Overhead = c.Overhead.PodFixed
	}
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
	out.Refused = refusal(kc, out, err)
	return out
}

// Unreadable returns a KataConfig of which only the metadata is known: it keeps its nodes as they
// are.
func Unreadable(c Config, problem error) Config {
	c.Selector, c.Payload = nil, ""
	c.Refused = &Refusal{ReasonUnreadable, node.Sentence("this KataConfig cannot be decoded, delete it or write it again: " + problem.Error())}
	return c
}

// Acceptable is true for a KataConfig that is to be accepted now.
func (c Config) Acceptable() bool {
	return !c.Deleting && !c.Accepted && (c.Refused == nil || c.Refused.Reason != ReasonForeignFinalizer && c.Refused.Reason != ReasonUnreadable)
}

func refusal(kc *v1.KataConfig, c Config, selector error) *Refusal {
	foreign := slices.IndexFunc(kc.Finalizers, isForeign)
	switch {
	case foreign >= 0:
		return &Refusal{ReasonForeignFinalizer, fmt.Sprintf("the finalizer %q belongs to another product that installs Kata: remove this KataConfig there first", kc.Finalizers[foreign])}
	case selector != nil:
		return &Refusal{ReasonInvalidSelector, selector.Error()}
	case c.Payload == "":
		return &Refusal{ReasonNoPayload, "no payload is known: set spec.config.payloadImage, or start the controller with --default-payload"}
	default:
		return nil
	}
}

func isForeign(finalizer string) bool {
	return strings.HasPrefix(finalizer, v1.Group+"/") && finalizer != Finalizer
}
