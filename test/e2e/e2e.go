// SPDX-License-Identifier: Apache-2.0

// Package e2e runs tests that others wrote, those of Kubernetes and of the CRI, on a node of a test
// cluster with Kata as the pods' runtime, and those of our own that take too long for each change.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
	"github.com/kata-node/kata-node/test/bed/machine"
)

// summaryFile has the last lines of the output: results, and what was left out and why.
const summaryFile = "summary.txt"

// Options of [Run].
type Options struct {
	// Out receives progress and the output of the tests.
	Out io.Writer
	// Reports is the directory of the JUnit reports and the summary.
	Reports string
	// Ordinary runs the tests with the node's default runtime in place of Kata's: what fails there
	// too is no fault of a RuntimeClass.
	Ordinary bool
	// Focus, if set, runs only tests of others whose names match this regular expression.
	Focus string
	// Only is the name of one part; empty for all.
	Only string
}

// part is a program of tests.
type part struct {
	name string
	// run returns an error if a test failed.
	run func(context.Context, part) error
	// What follows is empty for tests of our own. report is the file of the JUnit report, focus
	// a regular expression for the names of the tests that are wanted, skipped are exceptions.
	report  string
	focus   string
	skipped []Skip
}

// run is one run with what it needs.
type run struct {
	Options
	workspace bed.Workspace
	cluster   *fixture.Cluster
	worker    *fixture.Node
	programs  bed.Programs
	skipped   Skipped
	holds     []Condition
	repoList  string
}

// Run runs the tests. Tests that fail are an error.
func Run(ctx context.Context, o Options) error {
	r := run{Options: o}
	var err error
	if r.skipped, err = ReadSkipped(); err != nil {
		return err
	}
	if r.workspace, err = bed.FindWorkspace(); err != nil {
		return err
	}
	parts, err := r.parts()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Reports, 0o755); err != nil {
		return err
	}
	var failed []error
	var summary []string
	for _, p := range parts {
		if o.Focus != "" && p.focus != "" {
			p.focus = o.Focus
		}
		began := time.Now()
		lines, err := r.conclude(p, p.run(ctx, p))
		failed = append(failed, err)
		summary = append(summary, fmt.Sprintf("%s, %s:\n  %s", p.name, time.Since(began).Round(time.Second), strings.Join(lines, "\n  ")))
	}
	text := strings.Join(summary, "\n") + "\n"
	_, printed := io.WriteString(o.Out, "\n"+text)
	return errors.Join(append(failed, printed, os.WriteFile(filepath.Join(o.Reports, summaryFile), []byte(text), 0o600))...)
}

// parts are those that the options ask for.
func (r *run) parts() ([]part, error) {
	all := []part{
		{name: "kubernetes", run: r.onCluster(r.runKubernetes), report: "kubernetes.xml", focus: kubernetesFocus, skipped: r.skipped.Kubernetes},
		{name: "critest", run: r.onCluster(r.runCritest), report: "critest.xml", focus: critestFocus, skipped: r.skipped.Critest},
		{name: "power-cuts", run: r.emulated("-run=PowerCut", "-every-cut")},
		{name: "older-kernel", run: r.emulated("-run=PowerCut", "-kernel="+string(machine.Bullseye))},
		{name: "selinux", run: r.emulated("-run=Label", "-other-labels")},
	}
	if r.Only == "" {
		return all, nil
	}
	var names []string
	for _, p := range all {
		if p.name == r.Only {
			return []part{p}, nil
		}
		names = append(names, p.name)
	}
	return nil, fmt.Errorf("there is no part %q; there are %s", r.Only, strings.Join(names, ", "))
}

// applying are the exceptions that hold in this run.
func (r *run) applying(p part) []Skip { return applying(p.skipped, r.holds) }

// conclude reads the report of a part, and compares the list of what is left out with it.
func (r *run) conclude(p part, failed error) (lines []string, err error) {
	if failed != nil {
		lines, err = append(lines, "failed: "+failed.Error()), fmt.Errorf("%s: %w", p.name, failed)
	}
	if p.report == "" {
		if err == nil {
			lines = append(lines, "passed")
		}
		return lines, err
	}
	file := filepath.Join(r.Reports, p.report)
	all, unread := readReport(file)
	if unread != nil {
		return lines, errors.Join(err, unread)
	}
	o := all.outcome()
	lines = append(append(lines, o.lines()...), leftOut(r.applying(p), all.names(p.focus))...)
	if o.passed == 0 && err == nil {
		err = fmt.Errorf("%s: no test ran", p.name)
	}
	if unused := stale(p.skipped, all.names(p.focus)); len(unused) > 0 && r.Focus == "" {
		err = errors.Join(err, fmt.Errorf("skipped.toml: no test of %s is called %q any more; delete that", p.name, unused))
	}
	return lines, err
}
