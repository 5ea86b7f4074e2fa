// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

func TestARebootThatIsRequiredIsReportedAndSaid(t *testing.T) {
	t.Parallel()
	waits := plan.Plan{Phase: node.PhaseInstalling, Wait: "a reboot", Reboot: "packages of the host (Layered)"}
	r := report.Make(plan.Facts{}, waits, nil, node.Report{}, time.Time{})
	assert.True(t, r.RebootRequired)
	assert.Equal(t, "waiting for a reboot; no payload serves", report.Sentence(r, waits))
	gone := plan.Plan{Phase: node.PhaseAbsent, Reboot: "packages that are uninstalled already"}
	assert.Equal(t, "everything is removed; to be rebooted for packages that are uninstalled already",
		report.Sentence(report.Make(plan.Facts{}, gone, nil, node.Report{}, time.Time{}), gone))
}

func TestWhatRpmOstreeRefusesForGoodHasAReasonOfItsOwn(t *testing.T) {
	t.Parallel()
	for class, reason := range map[host.OstreeClass]string{
		host.OstreeLocked:   node.ReasonLayeringLocked,
		host.OstreeDepsolve: node.ReasonPackagesUnfit, host.OstreeConflict: node.ReasonPackagesUnfit, host.OstreeNotFound: node.ReasonPackagesUnfit,
		host.OstreeCrashed: node.ReasonLayerPackagesFailed, host.OstreeFull: node.ReasonLayerPackagesFailed,
	} {
		err := fmt.Errorf("layering: %w", &host.OstreeError{Class: class, Err: errors.New("words")})
		r := report.Make(plan.Facts{}, plan.Plan{}, &report.Failure{Step: plan.LayerPackages, Err: err}, node.Report{}, time.Time{})
		assert.Equal(t, reason, r.Error.Reason, class)
	}
}
