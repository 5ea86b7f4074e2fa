// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// check notes what is broken at this moment, each once.
func (s *simulation) check(when string) {
	for _, broken := range s.broken() {
		if !slices.ContainsFunc(s.violations, func(v string) bool { return strings.HasPrefix(v, broken) }) {
			s.violations = append(s.violations, broken+" ("+when+")")
		}
	}
}

// broken is the function that says what must hold at every moment of every run, whatever has died
// or failed.
func (s *simulation) broken() (all []string) {
	for name, invariant := range map[string]func() string{
		"I1, ordinary pods run":                                   s.ordinary,
		"I2, CRI-O's configuration can be read":                   s.readable,
		"I3, the drop-in names programs and files that are there": s.named,
		"I4, what a pod runs from stays":                          s.held,
		"I5, the report claims what is on disk":                   s.claims,
		"I6, nothing is left where all is removed":                s.removed,
		"I7, what is at rest changes nothing":                     func() string { return s.restless },
		"I8, packages of another user stay":                       s.foreign,
		"I9, the store is bounded":                                s.bounded,
	} {
		if problem := invariant(); problem != "" {
			all = append(all, name+": "+problem)
		}
	}
	slices.Sort(all)
	return all
}

// ordinary is about CRI-O, which runs them: in one boot the agent restarts it once.
func (s *simulation) ordinary() string {
	switch {
	case !s.CRIO.Active():
		return "CRI-O does not run"
	case s.Starts-s.startsAtBoot > 1:
		return fmt.Sprintf("CRI-O was restarted %d times in one boot", s.Starts-s.startsAtBoot)
	}
	return ""
}

// readable reads every file in the directory, as CRI-O does, and the default of pods.
func (s *simulation) readable() string {
	names, err := s.Files.List(host.CRIOConfigDir)
	if err != nil {
		return err.Error()
	}
	runtime := ""
	for _, name := range names {
		c, err := s.crioFile(filepath.Join(host.CRIOConfigDir, name))
		if err != nil {
			return name + ": " + err.Error()
		}
		if c.CRIO.Runtime.Default != "" {
			runtime = c.CRIO.Runtime.Default
		}
	}
	if runtime != "crun" {
		return "the default runtime is " + runtime
	}
	return ""
}

// crioFile is the part of CRI-O's configuration that counts here.
type crioFile struct {
	CRIO struct {
		Runtime struct {
			Default  string                    `toml:"default_runtime"`
			Runtimes map[string]map[string]any `toml:"runtimes"`
		} `toml:"runtime"`
	} `toml:"crio"`
}

// crioFile decodes a file once for each of its contents: the checks read the same ones all the
// time.
func (s *simulation) crioFile(name string) (c crioFile, err error) {
	content, err := s.Files.Read(name)
	if err != nil {
		return c, err
	}
	if known, found := s.decoded[string(content)]; found {
		return known, nil
	}
	if err := toml.Unmarshal(content, &c); err != nil {
		return c, err
	}
	s.decoded[string(content)] = c
	return c, nil
}

// named follows every path of the drop-in below this host's root.
func (s *simulation) named() string {
	if !s.there(host.DropIn) {
		return ""
	}
	c, err := s.crioFile(host.DropIn)
	if err != nil {
		return err.Error()
	}
	for _, handler := range slices.Sorted(maps.Keys(c.CRIO.Runtime.Runtimes)) {
		for _, key := range []string{"runtime_path", "runtime_config_path"} {
			name, isText := c.CRIO.Runtime.Runtimes[handler][key].(string)
			if !isText {
				return key + " of " + handler + " is no text"
			}
			info, err := os.Stat(s.Files.Path(name))
			if err != nil || key == "runtime_path" && info.Mode()&0o111 == 0 {
				return fmt.Sprintf("%s of %s: %s is not there, or no program: %v", key, handler, name, err)
			}
		}
	}
	return ""
}

func (s *simulation) held() string {
	for _, p := range s.pods {
		if p.slot == "" {
			continue
		}
		dir := host.PayloadDir(p.slot)
		_, err := os.Stat(s.Files.Path(dir + "/usr/bin/" + host.Shim))
		if !slices.Contains(s.Mounts, dir) || err != nil {
			return fmt.Sprintf("pod %s runs from slot %s, mounts are %v: %v", p.name, p.slot, s.Mounts, err)
		}
	}
	return ""
}

// claims compares the report on the Node with the host. One that was written just now has to be
// right in everything; after a boot it still has to be right in what is to be served.
func (s *simulation) claims() string {
	r, now := s.reported, s.claimed
	s.claimed = false
	served, err := record.LoadServed(s.Files)
	if err != nil {
		return err.Error()
	}
	answers := r.IntentID == s.intent.ID && s.intent.State == node.StateInstalled && s.shown.Intent != ""
	switch {
	case answers && r.Phase == node.PhaseInstalled && (served == nil || node.Digest(served.Payload) != r.Payload):
		return fmt.Sprintf("payload %s is reported as installed, the record is %v", r.Payload, served)
	case !now:
		return ""
	case r.Payload != "" && s.serves() != r.Payload:
		return fmt.Sprintf("payload %s is reported to serve, current leads to %q", r.Payload, s.serves())
	case r.Phase == node.PhaseInstalled && s.awaited():
		return fmt.Sprintf("an installation is reported, and what the kubelet says is %v", s.shown.Kubelet)
	case r.Phase == node.PhaseInstalled && !s.there(host.DropIn):
		return "an installation without drop-in is reported"
	case r.Prefetched != "" && !slices.ContainsFunc(s.Images, func(i host.Image) bool { return slices.Contains(i.Digests, r.Prefetched) }):
		return "the store lacks what is reported as fetched ahead of time"
	case r.Phase == node.PhaseAbsent && s.keeps(node.StateInstalled):
		return "a removal is reported, and the disk has an intent to install"
	case r.Phase == node.PhaseAbsent && (len(s.Images)+len(s.Mounts) > 0 || s.there(host.DropIn) && !s.self.Arm || served != nil):
		return fmt.Sprintf("a removal is reported, and there are %v, %v, drop-in %v", s.Images, s.Mounts, s.there(host.DropIn))
	}
	return ""
}

// awaited is whether the node lacks something since the agent has restarted CRI-O. The record of
// that outlasts a soft reboot, which starts CRI-O without the agent.
func (s *simulation) awaited() bool {
	if s.Starts == s.startsAtBoot {
		return false
	}
	used, err := record.LoadRestarted(s.Files)
	return err != nil || used.Intent != "" && used.Invocation != s.CRIO.Invocation && (!s.shown.Kubelet.Ready || s.shown.Kubelet.Resources == nil)
}

// keeps is whether the intent on disk is of a state.
func (s *simulation) keeps(state node.State) bool {
	kept, err := record.LoadIntent(s.Files)
	return err == nil && kept != nil && kept.State == state
}

// serves is the payload that current leads to.
func (s *simulation) serves() string {
	origin, err := record.LoadOrigin(s.Files, s.current())
	if err != nil || !slices.Contains(s.Mounts, host.PayloadDir(s.current())) {
		return ""
	}
	return node.Digest(origin.Payload)
}

// current is the slot of new pods.
func (s *simulation) current() string {
	target, err := s.Files.Readlink(host.CurrentLink)
	if err != nil {
		return host.Pending
	}
	return filepath.Base(target)
}

func (s *simulation) there(name string) bool {
	_, err := os.Lstat(s.Files.Path(name))
	return err == nil
}

// removed compares with the host before the first installation. Packages of the running system
// stay, and are recorded, until the next boot.
func (s *simulation) removed() string {
	runs, _ := s.OSTree.Booted()
	if runs.LiveReplaced != "" || !s.resting || s.last.Plan.Phase != node.PhaseIdle || s.shown.Intent != "" || !slices.Equal(runs.Local, s.others) {
		return ""
	}
	left := s.state()
	delete(left.files, fragment)
	if s.self.Arm {
		delete(left.files, host.DropIn) // It is there whatever is wanted.
	}
	return difference(s.fresh.files, left.files)
}

func (s *simulation) foreign() string {
	for _, d := range s.OSTree.Deployments {
		for _, nevra := range s.others {
			if !slices.Contains(d.Local, nevra) {
				return fmt.Sprintf("%s is not in deployment %s: %v", nevra, d.ID, d.Local)
			}
		}
	}
	return ""
}

// bounded allows what serves and another one, for going back or forth, at every moment; what pods
// hold; what is fetched ahead of time; and what could not be deleted, which holds no pull up.
func (s *simulation) bounded() string {
	allowed := 2
	if s.intent.Prefetch != "" {
		allowed++
	}
	if s.gate.how == fails && slices.Contains([]seam.Kind{"mounts.unmount", "files.remove", "images.delete"}, s.gate.disturbed.Kind) {
		allowed++
	}
	held := map[string]bool{}
	for _, p := range s.pods {
		held[p.slot] = true
	}
	if allowed += len(held); len(s.Images) > allowed {
		return fmt.Sprintf("%d images", len(s.Images))
	}
	return ""
}

// difference names the files of which two lists differ.
func difference(want, got map[string]string) string {
	var all []string
	for name, content := range want {
		if found, here := got[name]; !here || found != content {
			all = append(all, fmt.Sprintf("%s: %q, not %q", name, found, content))
		}
	}
	for name, content := range got {
		if _, here := want[name]; !here {
			all = append(all, fmt.Sprintf("%s: %q is left", name, content))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
