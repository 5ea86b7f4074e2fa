// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// carryOut is one transaction.
func (y system) carryOut(args []string, out io.Writer) (int, error) {
	c, err := parse(args)
	if err != nil {
		return 1, err
	}
	end, err := y.begin(running{Method: c.name, Title: c.title(), Sender: "client(id:" + os.Getenv("RPMOSTREE_CLIENT_ID") + ")"})
	if err != nil {
		return 1, err
	}
	defer end()
	for y.has(held) {
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // a test holds the transaction up
	}
	s, err := y.load()
	if err != nil {
		return 1, err
	}
	before := s.Deployments[0].checksum()
	if err := y.change(c, &s); err != nil {
		return 1, err
	}
	if c.name != "apply-live" && before == s.Deployments[0].checksum() {
		fmt.Fprintln(out, "No change.")
		if c.flags["--unchanged-exit-77"] {
			return unchanged, nil
		}
	} else if c.name == "install" || c.name == "uninstall" {
		fmt.Fprintln(out, `Changes queued for next boot. Run "systemctl reboot" to start a reboot`)
	}
	return 0, y.save(s)
}

func (y system) change(c command, s *state) error {
	switch c.name {
	case "install", "uninstall":
		return y.layer(c, s)
	case "apply-live":
		return y.applyLive(s, c.flags["--allow-replacement"])
	case "cleanup":
		s.cleanup(c.flags["--pending"], c.flags["--rollback"])
	case "upgrade":
		if name := y.driven(); name != "" && !c.flags["--bypass-driver"] {
			return sayf("Updates and deployments are driven by %s", name)
		}
		s.upgrade(c.flags["--lock-finalization"])
	case "finalize-deployment":
		s.Deployments[0].Locked = false
	}
	return nil
}

func (c command) title() string {
	return strings.TrimSpace(c.name + " " + strings.Join(c.args, " "))
}

// layer makes the next deployment from the one that boots next, whoever staged it, and unlocks it.
func (y system) layer(c command, s *state) error {
	if content, err := os.ReadFile(y.at(config)); err == nil && strings.Contains(string(content), "LockLayering=true") {
		return said("Layering packages is disabled: LockLayering=true in rpm-ostreed.conf")
	}
	next := s.Deployments[0]
	next.RPMs = slices.Clone(next.RPMs)
	gone, wanted := c.uninstall, c.args
	if c.name == "uninstall" {
		gone, wanted = c.args, nil
	}
	for _, name := range gone {
		at := slices.IndexFunc(next.RPMs, func(p rpm) bool { return p.Name == name || p.NEVRA == name })
		switch {
		case at >= 0:
			next.RPMs = slices.Delete(next.RPMs, at, at+1)
		case !c.flags["--idempotent"]:
			return sayf("Package/capability '%s' is not currently requested", name)
		}
	}
	for _, file := range wanted {
		if err := c.add(&next, file); err != nil {
			return err
		}
	}
	if next.checksum() == s.Deployments[0].checksum() {
		return nil
	}
	next.Locked = c.flags["--lock-finalization"]
	next.Serial = 0
	s.stage(next)
	return nil
}

func (c command) add(next *deployment, file string) error {
	if !strings.HasSuffix(file, ".rpm") {
		return sayf("Packages not found: %s", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("can't open '%s': %w", file, err)
	}
	var p rpm
	if err := json.Unmarshal(content, &p); err != nil || p.Name == "" {
		return fmt.Errorf("%s: not an rpm package", file)
	}
	at := slices.IndexFunc(next.RPMs, func(other rpm) bool { return other.Name == p.Name })
	base := slices.IndexFunc(next.Has, func(nevra string) bool { return nameOf(nevra) == p.Name })
	switch {
	case slices.Contains(next.Has, p.NEVRA):
		return sayf("Package '%s' is already in the base", p.Name)
	case base >= 0:
		return sayf("Forbidden base package replacements:\n  %s -> %s", next.Has[base], p.NEVRA)
	case at < 0:
		next.RPMs = append(next.RPMs, p)
	case next.RPMs[at].NEVRA != p.NEVRA:
		return sayf("Could not depsolve transaction; 1 problem detected:\n Problem: conflicting requests\n  - cannot install both %s and %s", next.RPMs[at].NEVRA, p.NEVRA)
	case !c.flags["--idempotent"]:
		return sayf("Package/capability '%s' is already requested", p.NEVRA)
	}
	return nil
}

// nameOf is the name in a full name, which has version and release behind it.
func nameOf(nevra string) string {
	for range 2 {
		nevra = nevra[:max(0, strings.LastIndex(nevra, "-"))]
	}
	return nevra
}

// applyLive notes its target before it changes anything, as the real one does.
func (y system) applyLive(s *state, replace bool) error {
	runs, next := s.booted(), s.Deployments[0]
	target, removed := next.checksum(), 0
	var added []rpm
	for _, p := range runs.RPMs {
		if !slices.Contains(next.names(), p.NEVRA) {
			removed++
		}
	}
	switch {
	case next.Booted:
		return said("No target commit specified and no pending deployment")
	case runs.Unlocked != "":
		return sayf("apply-live is incompatible with unlock state: %s", runs.Unlocked)
	case runs.Interrupted != "" && runs.Interrupted != target:
		return sayf("Previously interrupted while targeting commit %s, cannot change target to %s", runs.Interrupted, target)
	case removed > 0 && !replace:
		return sayf("packages would be removed: %d, allow replacement to override", removed)
	}
	for _, p := range next.RPMs {
		if !slices.Contains(runs.names(), p.NEVRA) {
			added = append(added, p)
		}
	}
	runs.Interrupted, runs.Applied = target, added
	if err := y.save(*s); err != nil {
		return err
	}
	if err := y.install(added); err != nil {
		return err
	}
	runs.Interrupted, runs.Live = "", target
	return nil
}

// cleanup discards everybody's work.
func (s *state) cleanup(pending, rollback bool) {
	at := slices.IndexFunc(s.Deployments, func(d deployment) bool { return d.Booted })
	if rollback {
		s.Deployments = s.Deployments[:at+1]
	}
	if pending {
		s.Deployments = s.Deployments[at:]
	}
}

// upgrade stages another base, as another program does.
func (s *state) upgrade(lock bool) {
	next := s.Deployments[0]
	next.Version = "44.2"
	next.Base = sum(next.Version, nil)
	next.Locked = lock
	s.stage(next)
}
