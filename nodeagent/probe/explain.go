// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// What a Linux kernel prints at each stage of its start.
const (
	kernelRuns = "Linux version "
	initRuns   = " as init process"
	panics     = "Kernel panic - not syncing: "
)

// Failure is a guest that did not get ready.
type Failure struct {
	// Part is what failed: QEMU, kernel, initrd, vsock or agent.
	Part string
	// Problem is a sentence about it, Console the last lines that the guest printed.
	Problem string
	Console []string
}

func (f *Failure) Error() string {
	if len(f.Console) == 0 {
		return fmt.Sprintf("%s: %s", f.Part, f.Problem)
	}
	return fmt.Sprintf("%s: %s; the guest's last words: %s", f.Part, f.Problem, strings.Join(f.Console, " | "))
}

// lastLines is how many lines of the console people get.
const lastLines = 8

// maxLine is how many bytes of each they get.
const maxLine = 160

// Explain returns why a guest did not get ready within a limit, nil for one that did.
func Explain(b host.Booted, limit time.Duration) error {
	if b.Ready {
		return nil
	}
	part, problem := explain(b)
	words, dead := before(b.Console)
	if !dead && b.Exited == "" {
		problem += fmt.Sprintf(" within %s (on a slow host: kata-node-agent probe --timeout %s)", limit, 4*limit)
	}
	return &Failure{part, problem, last(words)}
}

// before leaves out what a kernel prints after it has panicked: its registers, which say nothing of
// what a guest lacks.
func before(console string) (words string, dead bool) {
	i := strings.Index(console, panics)
	if i < 0 {
		return console, false
	}
	line, _, _ := strings.Cut(console[i:], "\n")
	return console[:i] + line, true
}

func explain(b host.Booted) (part, problem string) {
	_, panicked, dead := strings.Cut(b.Console, panics)
	panicked, _, _ = strings.Cut(panicked, "\n")
	switch {
	case !strings.Contains(b.Console, kernelRuns) && b.Exited != "":
		return "QEMU", strings.TrimSpace(b.Exited + " " + strings.Join(last(b.Words), " | "))
	case !strings.Contains(b.Console, kernelRuns):
		return "kernel", "no kernel for this machine, or one that KVM does not run: it printed nothing"
	case dead && strings.HasPrefix(panicked, "VFS: "), dead && strings.HasPrefix(panicked, "No working init"), dead && strings.HasPrefix(panicked, "Requested init"):
		return "initrd", "the kernel found no init in it: " + printable(panicked)
	case dead && strings.HasPrefix(panicked, "Attempted to kill init"):
		return "initrd", "its init ended: " + printable(panicked)
	case dead:
		return "kernel", "it panicked: " + printable(panicked)
	case b.Exited != "":
		return "initrd", "the guest switched itself off before it was ready"
	case !strings.Contains(b.Console, initRuns):
		return "kernel", "it started no init"
	case b.Reached:
		return "agent", "the guest is reached over vsock, and nothing has listened there"
	case b.Answer != "":
		return "vsock", fmt.Sprintf("its init has to load vmw_vsock_virtio_transport: the guest is not reached (%s)", b.Answer)
	}
	return "agent", "the guest's ready line did not come"
}

// last returns the last lines, cut.
func last(text string) []string {
	lines := Lines(text)
	lines = lines[max(0, len(lines)-lastLines):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), maxLine)]
	}
	return lines
}

// Lines returns the lines of a console that have something to show.
func Lines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(printable(line)); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// printable leaves out what would move the reader's cursor.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line)
}
