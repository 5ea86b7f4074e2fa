// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// State is what an intent wants of a node.
type State string

// The wanted states. An absent intent is neither: it means keep what is there.
const (
	StateInstalled State = "Installed"
	StateAbsent    State = "Absent"
)

// HostPackages says where QEMU and virtiofsd come from.
type HostPackages string

// The host package modes of spec.config.hostPackages.
const (
	HostPackagesAuto      HostPackages = "Auto"
	HostPackagesExtension HostPackages = "Extension"
	HostPackagesLayered   HostPackages = "Layered"
	HostPackagesNone      HostPackages = "None"
)

// Owner is the KataConfig on whose behalf an intent was written.
type Owner struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// Grants are permissions that hold once, for the boot whose id they name. They are never stored on
// the node.
type Grants struct {
	// RestartCRIO is the boot id during which the agent may restart CRI-O once.
	RestartCRIO string `json:"restartCRIO,omitempty"`
	// Reboot is the boot id that the agent may end by a reboot.
	Reboot string `json:"reboot,omitempty"`
}

// Intent is what the controller wants of one node.
type Intent struct {
	Version int `json:"version"`
	// ID is the hash of the Node's UID, the owner and the wanted content; a report answers it. See
	// Identify.
	ID    string `json:"id"`
	Owner Owner  `json:"owner,omitzero"`
	State State  `json:"state"`
	// Payload is the image to serve, as registry/repository@sha256:hex. Empty exactly when State is
	// Absent.
	Payload string `json:"payload,omitempty"`
	// Prefetch is an image to fetch ahead of time, once nothing else is left to do, without
	// switching to it. It is kept while the intent names it.
	Prefetch     string       `json:"prefetch,omitempty"`
	HostPackages HostPackages `json:"hostPackages,omitempty"`
	// Handlers are names of further handlers to serve, sorted, each once; see FurtherHandlers.
	Handlers []string `json:"handlers,omitempty"`
	// Issued is when the controller wrote the intent, by its clock.
	Issued time.Time `json:"issued,omitzero"`
	Grants Grants    `json:"grants,omitzero"`
	// Ping is when the controller last asked whether the agent is alive, by the controller's clock,
	// in whole seconds. A report repeats it.
	Ping time.Time `json:"ping,omitzero"`
}

// Identify returns a copy of the intent with the id it has on the Node with this UID. Grants, ping,
// the time of issue and what is fetched ahead of time are no part of it: they change without the
// wanted content changing.
func (i Intent) Identify(nodeUID string) Intent {
	text := make([]byte, 0, 512)
	for _, field := range []string{nodeUID, i.Owner.UID, string(i.State), i.Payload, noPrefetch, string(i.HostPackages)} {
		text = append(append(append(strconv.AppendInt(text, int64(len(field)), 10), ':'), field...), ',')
	}
	// Ids of intents without handlers stay as they were before there were any.
	for _, name := range i.Handlers {
		text = fmt.Appendf(text, "handler %d:%s,", len(name), name)
	}
	hash := sha256.Sum256(text)
	i.Version = Version
	i.ID = hex.EncodeToString(hash[:8])
	return i
}

// noPrefetch keeps ids as they were before anything was fetched ahead of time.
const noPrefetch = ""

// DecodeIntent reads and validates the value of IntentAnnotation. The error names the field and the
// remedy.
func DecodeIntent(document string) (Intent, error) {
	var i Intent
	if err := decode(document, &i); err != nil {
		return Intent{}, fmt.Errorf("reading intent: %w", err)
	}
	if err := i.Validate(); err != nil {
		return Intent{}, fmt.Errorf("reading intent: %w", err)
	}
	return i, nil
}

// Encode returns the annotation's value.
func (i Intent) Encode() (string, error) {
	if err := i.Validate(); err != nil {
		return "", fmt.Errorf("writing intent: %w", err)
	}
	document, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("writing intent: %w", err)
	}
	return string(document), nil
}

// Validate returns what makes the intent unusable, or nil.
func (i Intent) Validate() error {
	if i.Version != Version {
		return fmt.Errorf("version %d is not one that this program speaks (%d): bring the program that wrote it and this one to neighbouring versions", i.Version, Version)
	}
	if i.ID == "" {
		return errors.New("id is empty: a report could not answer it")
	}
	if Line(i.ID, maxShortText) != i.ID {
		return fmt.Errorf("id is longer than %d bytes: a report could not answer it", maxShortText)
	}
	return errors.Join(i.validateState(), i.validatePackages(), validateHandlers(i.Handlers))
}

func (i Intent) validateState() error {
	switch i.State {
	case StateInstalled:
		return errors.Join(ValidateImage("payload", i.Payload), validateOptionalImage("prefetch", i.Prefetch))
	case StateAbsent:
		if i.Payload != "" {
			return fmt.Errorf("payload is %q although state is Absent: leave it empty", i.Payload)
		}
		if len(i.Handlers) > 0 {
			return fmt.Errorf("handlers are %q although state is Absent: leave them out", i.Handlers)
		}
		return nil
	default:
		return fmt.Errorf("state %q is unknown: use Installed or Absent", i.State)
	}
}

func (i Intent) validatePackages() error {
	switch i.HostPackages {
	case "", HostPackagesAuto, HostPackagesExtension, HostPackagesLayered, HostPackagesNone:
		return nil
	default:
		return fmt.Errorf("hostPackages %q is unknown: use Auto, Extension, Layered or None", i.HostPackages)
	}
}

// IntentID returns the id in an intent's document even where the rest of it cannot be followed,
// else "". A report of the problem can then answer it.
func IntentID(document string) string {
	var i struct {
		ID string `json:"id"`
	}
	if err := decode(document, &i); err != nil {
		return ""
	}
	return Line(i.ID, maxShortText)
}
