// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
	"github.com/kata-node/kata-node/nodeagent/probe"
)

func TestALineOfTheLogIsBoundedAndOneLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := logger()
	log.SetOutput(&out)
	page := errors.New("502: \n" + strings.Repeat("<p>\x1b[31m", 1<<20) + "connection refused")
	log.WithError(page).WithField("step", "pull").Errorf("Failed: %s", strings.Repeat("x", 1<<20))
	assert.Less(t, out.Len(), 64<<10)
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
	assert.NotContains(t, out.String(), "\x1b")
	assert.Contains(t, out.String(), "502: ")
	assert.Contains(t, out.String(), "connection refused", "the cause is at the end")
	assert.Contains(t, out.String(), "step=pull")
}

func TestTheJournalGetsFieldsAndAPriority(t *testing.T) {
	t.Parallel()
	type entry struct {
		message  string
		priority systemd.Priority
		fields   map[string]string
	}
	var entries []entry
	var lines strings.Builder
	log := logger()
	log.SetOutput(io.Discard)
	var broken error
	log.AddHook(journaled{text: log.Formatter, otherwise: &lines, enter: func(message string, p systemd.Priority, fields map[string]string) error {
		entries = append(entries, entry{message, p, fields})
		return broken
	}})
	step := log.WithField("step", "pull payload").WithField("payload", "p").WithField("intent", "i1")
	step.WithError(errors.New("no route\nto host")).Errorf("Failed: pull payload p")
	step.Infof("Started: pull payload p")
	log.Warnf("x")
	all := map[string]string{"KATA_STEP": "pull payload", "KATA_PAYLOAD": "p", "KATA_INTENT": "i1"}
	failed := maps.Clone(all)
	failed["KATA_ERROR"] = "no route; to host"
	assert.Equal(t, []entry{
		{"Failed: pull payload p: no route; to host", systemd.Failure, failed},
		{"Started: pull payload p", systemd.Info, all},
		{"x", systemd.Warning, map[string]string{}},
	}, entries)
	assert.Empty(t, lines.String())

	broken = errors.New("the journal is restarted")
	step.Infof("Finished")
	assert.Equal(t, "level=info msg=Finished intent=i1 payload=p step=\"pull payload\"\n", lines.String(), "no entry is lost")
}

// A proof that fails says at length why: what the runtime answered, what it complained of, and what
// the guest printed last. A report has room for some of it, the journal for all.
func TestTheLastLinesOfAGuestsConsoleAreInTheJournal(t *testing.T) {
	t.Parallel()
	var console, complaints []string
	for i := range 8 {
		line := fmt.Sprintf("[%d.000000] virtiofs: tag <kataShared> ", i)
		console = append(console, line+strings.Repeat("x", 160-len(line)))
		complaints = append(complaints, strings.Repeat("y", 200))
	}
	failed := probe.Explain(host.Booted{Console: "Linux version 6.12\nRun /init as init process\n" + strings.Join(console, "\n") + "\n"}, 50*time.Second)
	var message string
	var fields map[string]string
	log := logger()
	log.SetOutput(io.Discard)
	log.AddHook(journaled{text: log.Formatter, otherwise: io.Discard, enter: func(m string, _ systemd.Priority, f map[string]string) error {
		message, fields = m, f
		return nil
	}})
	err := fmt.Errorf("proving payload %q: running sandbox: %s; its journal: %s; the guest alone does not start either: %w",
		strings.Repeat("p", 200), strings.Repeat("z", 300), strings.Join(complaints, " | "), failed)
	log.WithField("step", "prove payload").WithError(err).Errorf("Failed: prove payload")
	for _, line := range console {
		assert.Contains(t, message, line)
		assert.Contains(t, fields["KATA_ERROR"], line)
	}
	assert.Contains(t, message, "agent: the guest's ready line did not come")
}
