// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// report is what is read of a JUnit report by ginkgo.
type report struct {
	Suites []struct {
		Cases []test `xml:"testcase"`
	} `xml:"testsuite"`
}

// test is one test, or what prepares and ends a suite.
type test struct {
	Name    string `xml:"name,attr"`
	Status  string `xml:"status,attr"`
	Skipped struct {
		Message string `xml:"message,attr"`
	} `xml:"skipped"`
}

func readReport(file string) (report, error) {
	var r report
	content, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := xml.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("reading report %s: %w", file, err)
	}
	return r, nil
}

// names lists the tests that a regular expression selects, also those that did not run.
func (r report) names(focus string) []string {
	var names []string
	selects := regexp.MustCompile(focus).MatchString
	for _, t := range r.tests() {
		if strings.HasPrefix(t.Name, "[It]") && selects(t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

func (r report) tests() []test {
	var tests []test
	for _, suite := range r.Suites {
		tests = append(tests, suite.Cases...)
	}
	return tests
}

// outcome is how tests ended.
type outcome struct {
	passed int
	// failed are names with a status, also of what prepares or ends a suite.
	failed []string
	// declined counts the tests that found out by themselves that they do not apply, by reason.
	declined map[string]int
}

// outcome leaves aside the tests that were not selected.
func (r report) outcome() outcome {
	o := outcome{declined: map[string]int{}}
	for _, t := range r.tests() {
		switch t.Status {
		case "passed":
			if strings.HasPrefix(t.Name, "[It]") {
				o.passed++
			}
		case "skipped", "pending":
			if _, reason, found := strings.Cut(t.Skipped.Message, " - "); found {
				o.declined[reason]++
			}
		default:
			o.failed = append(o.failed, t.Status+": "+t.Name)
		}
	}
	return o
}

// lines are for people to read.
func (o outcome) lines() []string {
	lines := []string{fmt.Sprintf("%3d passed", o.passed), fmt.Sprintf("%3d failed", len(o.failed))}
	for _, name := range o.failed {
		lines = append(lines, "      "+name)
	}
	for _, reason := range slices.Sorted(maps.Keys(o.declined)) {
		lines = append(lines, fmt.Sprintf("%3d skipped themselves: %s", o.declined[reason], reason))
	}
	return lines
}
