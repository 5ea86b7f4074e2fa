// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// state is what an undisturbed run and any other one must end with.
type state struct {
	// files are content by name, without what names a boot.
	files map[string]string
	// rest is everything else, but for the starts of CRI-O: a boot is one, too.
	rest   string
	starts int
}

// passing reports whether a file says how the node came to where it is, and not where it is, or is
// the log of a proof. Such files end with the boot or with a removal.
func passing(name string) bool {
	return path.Base(name) == failedProof || strings.HasPrefix(name, host.FindingsDir) || strings.HasPrefix(name, host.ProofLogs) ||
		slices.Contains([]string{host.RestartedFile, host.LacksFile, host.ProofsFile, host.PendingReason, host.LayeredFile}, name)
}

// failedProof is what record keeps in a slot of proofs that have failed with this CRI-O.
const failedProof = "failed.json"

var (
	bootName   = regexp.MustCompile(`boot-\d+`)
	invocation = regexp.MustCompile(`0{24}[0-9a-f]{8}`)
	// identity is that of files in their file system.
	identity = regexp.MustCompile(`"(identity|rendered)":"[0-9a-f]{64}"`)
)

// neutral replaces what each boot and each start of CRI-O makes anew.
func (s *simulation) neutral(text string) string {
	text = invocation.ReplaceAllString(bootName.ReplaceAllString(text, "BOOT"), "INVOCATION")
	text = identity.ReplaceAllString(text, `"$1":"IDENTITY"`)
	return strings.ReplaceAll(text, s.Root, "")
}

func (s *simulation) state() state {
	found := map[string]string{}
	err := filepath.WalkDir(s.Root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		content, err := s.content(name, d)
		name = strings.TrimPrefix(name, s.Root)
		found[name] = s.neutral(content)
		return err
	})
	if err != nil {
		found["error"] = err.Error()
	}
	var packages []string
	for _, d := range s.OSTree.Deployments {
		if d.Booted || d.Staged {
			packages = append(packages, fmt.Sprint(d.Booted, d.Staged, d.Local))
		}
	}
	var images []string
	for _, i := range s.Images {
		images = append(images, i.ID)
	}
	var handlers []string
	if s.there(host.DropIn) { // Without one, CRI-O knows the handlers until its next start.
		handlers = s.Handlers
	}
	mounts := slices.Sorted(slices.Values(s.Mounts))
	slices.Sort(images)
	report := s.reported
	report.Error = nil
	document, err := report.Encode()
	rest := fmt.Sprintf("images %v\nmounts %v\nsandboxes %v, unlisted %v\nhandlers %v\npackages %v\nkubelet down %v\ncordoned %v %s\nreport %s %v",
		images, mounts, s.Sandboxes, s.Unlisted, handlers, packages, s.KubeletDown, s.shown.Cordoned, s.shown.CordonedIn, document, err)
	return state{files: found, rest: s.neutral(rest)}
}

func (s *simulation) content(name string, d fs.DirEntry) (string, error) {
	switch {
	case d.IsDir():
		return "directory", nil
	case d.Type() == fs.ModeSymlink:
		return os.Readlink(name)
	}
	content, err := os.ReadFile(name)
	return string(content), err
}

// journal keeps what the agent logs.
type journal struct{ lines []string }

func (j *journal) logger() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(j)
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true, DisableQuote: true})
	return log
}

func (j *journal) Write(line []byte) (int, error) {
	j.lines = append(j.lines, string(line))
	return len(line), nil
}

// tells reports whether a line has all of these words.
func (j *journal) tells(words ...string) bool {
	return slices.ContainsFunc(j.lines, func(line string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
	})
}
