// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	_ "embed" // The list.
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

//go:embed skipped.toml
var skippedList string

// Skip is one entry of the list of tests that are left out.
type Skip struct {
	// Tests are regular expressions for the full names of tests.
	Tests []string
	// Reason is a sentence.
	Reason string
	// When is the condition under which the tests are left out; empty means always.
	When Condition
}

// Condition is something that holds for some runs, and not for others.
type Condition string

// Kata holds where pods run with Kata's RuntimeClass.
const Kata Condition = "kata"

// Skipped is the whole list, by program of tests.
type Skipped struct {
	Kubernetes []Skip
	Critest    []Skip
}

// ReadSkipped reads skipped.toml.
func ReadSkipped() (Skipped, error) {
	var list Skipped
	meta, err := toml.Decode(skippedList, &list)
	if err != nil {
		return list, fmt.Errorf("reading skipped.toml: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return list, fmt.Errorf("reading skipped.toml: nothing is called %s", unknown[0])
	}
	return list, nil
}

// applying returns the entries whose condition holds.
func applying(list []Skip, holds []Condition) []Skip {
	var those []Skip
	for _, s := range list {
		if s.When == "" || slices.Contains(holds, s.When) {
			those = append(those, s)
		}
	}
	return those
}

// pattern joins the entries into one regular expression, which is empty if there is none.
func pattern(list []Skip) string {
	var patterns []string
	for _, s := range list {
		patterns = append(patterns, s.Tests...)
	}
	return strings.Join(patterns, "|")
}

// stale returns the patterns that match none of the names.
func stale(list []Skip, names []string) []string {
	var without []string
	for _, s := range list {
		for _, test := range s.Tests {
			if !slices.ContainsFunc(names, regexp.MustCompile(test).MatchString) {
				without = append(without, test)
			}
		}
	}
	return without
}

// leftOut is one line for each entry: how many of the names it leaves out, and why. A test that
// several entries match counts with the first.
func leftOut(list []Skip, names []string) []string {
	var lines []string
	counted := map[string]bool{}
	for _, s := range list {
		matches := regexp.MustCompile(strings.Join(s.Tests, "|")).MatchString
		number := 0
		for _, name := range names {
			if !counted[name] && matches(name) {
				counted[name] = true
				number++
			}
		}
		lines = append(lines, fmt.Sprintf("%3d left out: %s", number, s.Reason))
	}
	return lines
}
