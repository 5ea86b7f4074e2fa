// SPDX-License-Identifier: Apache-2.0

package e2e //nolint:testpackage // Reports are read here alone.

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// junit has what ginkgo writes: a test that passed, one that failed, one that was not selected, one
// that skipped itself, and a suite that could not be ended.
const junit = `<testsuites><testsuite>
<testcase name="[BeforeSuite]" status="passed"></testcase>
<testcase name="[It] one" status="passed"></testcase>
<testcase name="[It] two" status="failed"></testcase>
<testcase name="[It] three" status="skipped"><skipped message="skipped"></skipped></testcase>
<testcase name="[It] four" status="skipped"><skipped message="skipped - there is no AppArmor"></skipped></testcase>
<testcase name="[AfterSuite]" status="interrupted"></testcase>
</testsuite></testsuites>`

func TestTheSummaryNamesWhatDidNotPassAndWhy(t *testing.T) {
	t.Parallel()
	lines, err := conclude(t, junit, part{focus: ".", skipped: []Skip{{Tests: []string{"three"}, Reason: "It takes long."}}}, errors.New("exit status 1"))
	require.EqualError(t, err, "others: exit status 1")
	assert.Equal(t, []string{
		"failed: exit status 1",
		"  1 passed",
		"  2 failed",
		"      failed: [It] two",
		"      interrupted: [AfterSuite]",
		"  1 skipped themselves: there is no AppArmor",
		"  1 left out: It takes long.",
	}, lines)
}

func TestAnEntryThatMatchesNoTestIsAnError(t *testing.T) {
	t.Parallel()
	_, err := conclude(t, junit, part{focus: ".", skipped: []Skip{{Tests: []string{"three", "five"}}}}, nil)
	require.ErrorContains(t, err, `no test of others is called ["five"]`)
	_, err = conclude(t, junit, part{focus: "one|two", skipped: []Skip{{Tests: []string{"three"}}}}, nil)
	assert.ErrorContains(t, err, "three", "it is not among those that are wanted")
}

func TestTestsOfWhichNoneRanHaveNotPassed(t *testing.T) {
	t.Parallel()
	_, err := conclude(t, `<testsuites><testsuite><testcase name="[It] one" status="skipped"></testcase></testsuite></testsuites>`, part{focus: "."}, nil)
	require.ErrorContains(t, err, "no test ran")
	_, err = conclude(t, "<testsuites>", part{focus: "."}, nil)
	require.ErrorContains(t, err, "reading report")
}

func TestTestsWithoutAReportPassByTheirExit(t *testing.T) {
	t.Parallel()
	r := run{}
	lines, err := r.conclude(part{name: "ours"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"passed"}, lines)
}

func conclude(t *testing.T, report string, p part, failed error) ([]string, error) {
	t.Helper()
	p.name, p.report = "others", "others.xml"
	r := run{Options: Options{Reports: t.TempDir()}}
	require.NoError(t, os.WriteFile(filepath.Join(r.Reports, p.report), []byte(report), 0o600))
	return r.conclude(p, failed)
}
