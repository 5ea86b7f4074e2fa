// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// change is one transaction.
func (c command) change(out io.Writer) (int, error) {
	sender := "client(id:" + os.Getenv("RPMOSTREE_CLIENT_ID") + ")"
	end, err := begin(running{Method: c.name, Title: c.title(), Sender: sender})
	if err != nil {
		return 1, err
	}
	defer end()
	for exists(held) {
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // a test holds the transaction up
	}
	s, err := load()
	if err != nil {
		return 1, err
	}
	before := s.Deployments[0].checksum()
	switch c.name {
	case "install", "uninstall":
		err = c.layer(&s)
	case "apply-live":
		err = s.applyLive(c.flags["--allow-replacement"])
	case "cleanup":
		s.cleanup(c.flags["--pending"], c.flags["--rollback"])
	case "upgrade":
		s.upgrade(c.flags["--lock-finalization"])
	case "finalize-deployment":
		s.Deployments[0].Locked = false
	}
	if err != nil {
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
	return 0, s.save()
}

func (c command) title() string {
	return strings.TrimSpace(c.name + " " + strings.Join(c.args, " "))
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// layer makes the next deployment from the one that boots next, whoever staged it, and unlocks it.
func (c command) layer(s *state) error {
	if content, err := os.ReadFile(config); err == nil && strings.Contains(string(content), "LockLayering=true") {
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
	switch {
	case at < 0:
		next.RPMs = append(next.RPMs, p)
	case next.RPMs[at].NEVRA != p.NEVRA:
		return sayf("Could not depsolve transaction; 1 problem detected:\n Problem: conflicting requests\n  - cannot install both %s and %s", next.RPMs[at].NEVRA, p.NEVRA)
	case !c.flags["--idempotent"]:
		return sayf("Package/capability '%s' is already requested", p.NEVRA)
	}
	return nil
}

func (s *state) applyLive(replace bool) error {
	runs, next := s.booted(), s.Deployments[0]
	if next.Booted {
		return said("No target commit specified and no pending deployment")
	}
	removed := 0
	var added []rpm
	for _, p := range runs.RPMs {
		if !slices.Contains(next.names(), p.NEVRA) {
			removed++
		}
	}
	if removed > 0 && !replace {
		return fmt.Errorf("packages would be removed: %d, allow replacement to override", removed)
	}
	for _, p := range next.RPMs {
		if !slices.Contains(runs.names(), p.NEVRA) {
			added = append(added, p)
		}
	}
	runs.Live, runs.Applied = next.checksum(), added
	return install(added)
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

func cancel(out io.Writer) error {
	if _, busy := current(); !busy {
		fmt.Fprintln(out, "No active transaction.")
		return nil
	}
	if err := os.Remove(held); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fmt.Fprintln(out, "Cancelled.")
	return nil
}
