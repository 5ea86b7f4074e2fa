// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// statusDocument is the output of status --json. Names of fields never change their meaning; later
// versions may add others. Lists are empty rather than null.
type statusDocument struct {
	// Agent is what systemctl status shows of the service.
	Agent string `json:"agent"`
	Boot  string `json:"boot"`
	// Intent is the one on disk, null where there is none.
	Intent *intentStatus `json:"intent"`
	// Current and Proof are ids of slots, or pending.
	Current string       `json:"current"`
	Proof   string       `json:"proof"`
	DropIn  dropInStatus `json:"dropIn"`
	CRIO    crioStatus   `json:"crio"`
	Host    hostStatus   `json:"host"`
	Slots   []slotStatus `json:"slots"`
	// Findings are what was kept of slots that were unmounted.
	Findings []findingsStatus `json:"findings"`
}

type intentStatus struct {
	ID         string     `json:"id"`
	State      node.State `json:"state"`
	Payload    string     `json:"payload"`
	Prefetch   string     `json:"prefetch"`
	KataConfig string     `json:"kataConfig"`
}

type dropInStatus struct {
	Exists bool `json:"exists"`
	// Right is whether it means to CRI-O what the agent writes, and Known whether the running CRI-O
	// has not said that it lacks the handlers.
	Right     bool             `json:"right"`
	Known     bool             `json:"known"`
	Conflicts []conflictStatus `json:"conflicts"`
}

type conflictStatus struct {
	File string `json:"file"`
	Key  string `json:"key"`
}

type crioStatus struct {
	Active    bool            `json:"active"`
	Answers   bool            `json:"answers"`
	Version   string          `json:"version"`
	Sandboxes []sandboxStatus `json:"sandboxes"`
}

type sandboxStatus struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Handler string `json:"handler"`
	Ready   bool   `json:"ready"`
}

// hostStatus has sentences, each empty where it is about nothing.
type hostStatus struct {
	// Problem is why the host cannot run the wanted payload.
	Problem  string `json:"problem"`
	Packages string `json:"packages"`
	System   string `json:"system"`
	Reboot   string `json:"rebootRequired"`
	// MachineConfig is the YAML document that brings what the host lacks.
	MachineConfig string `json:"machineConfig"`
}

type slotStatus struct {
	ID         string   `json:"id"`
	Payload    string   `json:"payload"`
	Platform   string   `json:"platform"`
	Version    string   `json:"payloadVersion"`
	Mounted    bool     `json:"mounted"`
	Verified   bool     `json:"verified"`
	Guest      bool     `json:"guest"`
	Configured bool     `json:"configured"`
	Proved     bool     `json:"proved"`
	HeldBy     []string `json:"heldBy"`
}

type findingsStatus struct {
	Slot     string `json:"slot"`
	Payload  string `json:"payload"`
	Platform string `json:"platform"`
	Version  string `json:"payloadVersion"`
	// Hold is whether going back to the payload takes neither a verification nor a proof.
	Hold bool `json:"hold"`
}

func writeStatus(out io.Writer, sentence string, f plan.Facts) error {
	return writeDocument(out, describe(sentence, f))
}

// writeDocument writes JSON for people and programs.
func writeDocument(out io.Writer, document any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

func describe(sentence string, f plan.Facts) statusDocument {
	d := statusDocument{
		Agent: sentence, Boot: f.Host.BootID, Current: f.Slots.Current, Proof: f.Slots.Proof,
		DropIn: describeDropIn(f.Runtime), CRIO: describeCRIO(f.Runtime), Slots: []slotStatus{}, Findings: []findingsStatus{},
		Host: hostStatus{Problem: f.Unfit(), Packages: packagesLine(f), System: systemLine(f.Packages), Reboot: f.Host.RebootRequired, MachineConfig: toApply(f)},
	}
	if i := f.Intent.Wanted; i != nil {
		d.Intent = &intentStatus{ID: i.ID, State: i.State, Payload: i.Payload, Prefetch: i.Prefetch, KataConfig: i.Owner.Name}
	}
	for _, s := range f.Slots.All {
		d.Slots = append(d.Slots, slotStatus{
			ID: s.ID, Payload: s.Payload, Platform: s.Platform, Version: s.Release, Mounted: s.Mounted, Verified: s.Verified != nil,
			Guest: s.Guest, Configured: s.Configured, Proved: s.Proved != "", HeldBy: append([]string{}, s.Holders...),
		})
	}
	for _, k := range f.Slots.Findings {
		d.Findings = append(d.Findings, findingsStatus{
			Slot: k.Slot, Payload: k.Origin.Payload, Platform: k.Origin.Platform, Version: k.Origin.Release, Hold: f.Holds(k),
		})
	}
	return d
}

func describeDropIn(r plan.Runtime) dropInStatus {
	d := dropInStatus{Exists: r.DropIn.Exists, Right: r.DropIn.Right, Known: r.Lacks == "" || r.Lacks != r.Invocation, Conflicts: []conflictStatus{}}
	for _, c := range r.Conflicts {
		d.Conflicts = append(d.Conflicts, conflictStatus{File: c.File, Key: c.Key})
	}
	return d
}

func describeCRIO(r plan.Runtime) crioStatus {
	c := crioStatus{Active: r.Active, Answers: r.Answers, Version: r.Version, Sandboxes: []sandboxStatus{}}
	for _, s := range r.Sandboxes {
		c.Sandboxes = append(c.Sandboxes, sandboxStatus{ID: s.ID, Name: s.Name, Handler: s.Handler, Ready: s.Ready})
	}
	return c
}
