// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Phase is where a node stands towards the intent that its report answers.
type Phase string

// The phases. An error may come with any of them.
//
//	Idle -> Installing -> Installed -> Removing -> Absent -> Idle
//	            |  ^                      |  ^
//	            v  |                      v  |
//	       AwaitingGrant                Blocked
const (
	// PhaseIdle answers no intent: an agent is there.
	PhaseIdle Phase = "Idle"
	// PhaseInstalling works towards the intent's payload.
	PhaseInstalling Phase = "Installing"
	// PhaseAwaitingGrant waits for a grant that names this boot.
	PhaseAwaitingGrant Phase = "AwaitingGrant"
	// PhaseInstalled serves the intent's payload to new pods, and a sandbox of it has been seen to
	// start.
	PhaseInstalled Phase = "Installed"
	// PhaseRemoving works towards Absent.
	PhaseRemoving Phase = "Removing"
	// PhaseBlocked waits for bound kata pods to end before removing anything.
	PhaseBlocked Phase = "Blocked"
	// PhaseAbsent has removed everything for this intent.
	PhaseAbsent Phase = "Absent"
)

// MaxReportBytes bounds the encoded report: a Node is stored whole at every write.
const MaxReportBytes = 2048

// Bounds of the parts of a report that come from outside. Lengths are in bytes of the JSON form;
// together with the document's own keys they stay below MaxReportBytes.
const (
	maxPodNames  = 5
	minPodNames  = 3  // next to further handlers or a ping: a node with those waits for no pods
	maxPodName   = 64 // on average: longer names leave room for fewer
	maxVersions  = 4
	maxMessage   = 400
	maxHostCheck = 200
	maxShortText = 64
	maxWord      = 32
	maxDigest    = 73 // sha256: and 64 digits
	maxHandlers  = 4
	maxHandler   = 16
)

// BoundPods counts the kata pods bound to the node that have not ended.
type BoundPods struct {
	Count int      `json:"count"`
	Names []string `json:"names,omitempty"` // namespace/name, the first few
}

// Error is why the node is stuck.
type Error struct {
	Step    string    `json:"step"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// Report is what an agent says of its node.
type Report struct {
	Version int `json:"version"`
	// Speaks lists the intent versions that the agent understands.
	Speaks []int `json:"speaks"`
	// IntentID is the intent that the report answers, empty in phase Idle.
	IntentID     string `json:"intentID,omitempty"`
	BootID       string `json:"bootID"`
	Architecture string `json:"architecture"`
	// HostCheck is empty when the host can run Kata, else the sentence that says why not.
	HostCheck string `json:"hostCheck,omitempty"`
	// HostWarning is why this host cannot run payloads that start virtual machines, while none is
	// wanted here; empty where it can, and next to a hostCheck.
	HostWarning string `json:"hostWarning,omitempty"`
	// UpdateBlocked is why updates of this host's operating system fail because of packages that
	// the agent has layered; empty where they do not, and next to a hostCheck or hostWarning.
	UpdateBlocked string `json:"updateBlocked,omitempty"`
	Phase         Phase  `json:"phase"`
	// Payload is the digest that new pods get, empty while they get none.
	Payload string `json:"payload,omitempty"`
	// Platform is the digest of the image's manifest for this node's architecture: another one than
	// payload where that is an index.
	Platform string `json:"platform,omitempty"`
	// PayloadVersion is the version that payload calls itself, for people.
	PayloadVersion string `json:"payloadVersion,omitempty"`
	// Prefetched is the digest of the intent's prefetch once it is in the store, empty before.
	Prefetched string `json:"prefetched,omitempty"`
	// Handlers are the names of the intent's further handlers that new pods can use, sorted. They
	// are reported in phase Installed only.
	Handlers []string `json:"handlers,omitempty"`
	// InUse lists the digests of older payloads that running sandboxes, or processes, hold.
	InUse []string `json:"inUse,omitempty"`
	// BoundPods are the pods that a removal waits for; it is empty while nothing is to be removed.
	BoundPods BoundPods `json:"boundPods"`
	Error     *Error    `json:"error,omitempty"`
	// RebootRequired asks for a grant to reboot.
	RebootRequired bool `json:"rebootRequired,omitempty"`
	// Ping is that of the intent which wants an installation. It is zero where that has none, and
	// in reports of agents that know no pings.
	Ping time.Time `json:"ping,omitzero"`
	// Unguarded is whether the node has seen that the admission policies are not in force.
	Unguarded bool `json:"unguarded,omitempty"`
}

// DecodeReport reads and validates the value of ReportAnnotation. Texts longer than an agent writes
// are cut, and every text becomes one printable line: a node is not trusted to keep to the bounds.
func DecodeReport(document string) (Report, error) {
	var r Report
	if err := decode(document, &r); err != nil {
		return Report{}, fmt.Errorf("reading report: %w", err)
	}
	if err := r.Validate(); err != nil {
		return Report{}, fmt.Errorf("reading report: %w", err)
	}
	return r.bounded(), nil
}

// Encode returns the annotation's value, at most MaxReportBytes long: whatever is too long is cut,
// with an ellipsis, so that no content keeps a node from reporting.
func (r Report) Encode() (string, error) {
	r = r.bounded()
	if err := r.Validate(); err != nil {
		return "", fmt.Errorf("writing report: %w", err)
	}
	document, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("writing report: %w", err)
	}
	if len(document) > MaxReportBytes {
		return "", fmt.Errorf("writing report: %d bytes, more than %d", len(document), MaxReportBytes)
	}
	return string(document), nil
}

// Validate returns what makes the report unusable, or nil.
func (r Report) Validate() error {
	switch {
	case r.Version != Version:
		return fmt.Errorf("version %d is not one that this program speaks (%d)", r.Version, Version)
	case !r.Phase.known():
		return fmt.Errorf("phase %q is unknown", r.Phase)
	case r.BootID == "":
		return errors.New("bootID is empty")
	case r.BoundPods.Count < 0:
		return fmt.Errorf("boundPods.count is %d", r.BoundPods.Count)
	}
	return nil
}

func (p Phase) known() bool {
	switch p {
	case PhaseIdle, PhaseInstalling, PhaseAwaitingGrant, PhaseInstalled, PhaseRemoving, PhaseBlocked, PhaseAbsent:
		return true
	default:
		return false
	}
}

func (r Report) bounded() Report {
	r.Speaks = r.Speaks[:min(len(r.Speaks), maxVersions)]
	r.IntentID, r.BootID = Line(r.IntentID, maxShortText), Line(r.BootID, maxShortText)
	r.Architecture = Line(r.Architecture, maxWord)
	r.HostCheck, r.HostWarning, r.UpdateBlocked = Line(r.HostCheck, maxHostCheck), Line(r.HostWarning, maxHostCheck), Line(r.UpdateBlocked, maxHostCheck)
	switch {
	case r.HostCheck != "":
		r.HostWarning, r.UpdateBlocked = "", ""
	case r.HostWarning != "":
		r.UpdateBlocked = ""
	}
	r.PayloadVersion = Line(r.PayloadVersion, maxWord)
	r.Payload, r.Platform, r.Prefetched = Line(r.Payload, maxDigest), Line(r.Platform, maxDigest), Line(r.Prefetched, maxDigest)
	r.InUse = cutEach(r.InUse[:min(len(r.InUse), maxVersions)], maxDigest)
	r.Handlers = cutEach(r.Handlers[:min(len(r.Handlers), maxHandlers)], maxHandler)
	r.Ping = r.Ping.Truncate(time.Second)
	names := maxPodNames
	if len(r.Handlers) > 0 || !r.Ping.IsZero() {
		names = minPodNames
	}
	r.BoundPods.Names = whole(r.BoundPods.Names[:min(len(r.BoundPods.Names), names)], names*maxPodName)
	if r.Error != nil {
		bounded := *r.Error
		bounded.Step, bounded.Reason = Line(bounded.Step, maxWord), Line(bounded.Reason, maxWord)
		bounded.Message = Line(bounded.Message, maxMessage)
		r.Error = &bounded
	}
	return r
}

// whole returns the first of some names, each as it is, as far as they fit. The first one is always
// there: a namespace and a name have at most 63 and 253 bytes, so that only one that is none is
// cut.
func whole(names []string, limit int) []string {
	var out []string
	left := limit
	for _, name := range names {
		name = Line(name, limit)
		if left -= quotedLen(name); left < 0 {
			break
		}
		out = append(out, name)
	}
	return out
}

func cutEach(texts []string, limit int) []string {
	var out []string
	for _, text := range texts {
		out = append(out, Line(text, limit))
	}
	return out
}
