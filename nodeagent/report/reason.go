// SPDX-License-Identifier: Apache-2.0

package report

import (
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// Reason is a step's failure as one word.
func Reason(k plan.Kind) string {
	return map[plan.Kind]string{
		plan.Keep:            node.ReasonKeepIntentFailed,
		plan.Pull:            node.ReasonPullPayloadFailed,
		plan.Prefetch:        node.ReasonPullPayloadFailed,
		plan.Mount:           node.ReasonMountPayloadFailed,
		plan.Verify:          node.ReasonVerifyPayloadFailed,
		plan.Resume:          node.ReasonMountPayloadFailed,
		plan.VerifyAgain:     node.ReasonVerifyPayloadFailed,
		plan.KeepFindings:    node.ReasonKeepFindingsFailed,
		plan.DropFindings:    node.ReasonDropFindingsFailed,
		plan.BuildGuest:      node.ReasonBuildGuestFailed,
		plan.BuildAhead:      node.ReasonBuildGuestFailed,
		plan.Configure:       node.ReasonConfigureHandlersFailed,
		plan.LayerPackages:   node.ReasonLayerPackagesFailed,
		plan.UnlayerPackages: node.ReasonUnlayerPackagesFailed,
		plan.WriteDropIn:     node.ReasonWriteDropInFailed,
		plan.RestartCRIO:     node.ReasonRestartCRIOFailed,
		plan.LoadModules:     node.ReasonLoadModulesFailed,
		plan.StartDependents: node.ReasonStartDependentsFailed,
		plan.ConfirmNode:     node.ReasonConfirmNodeFailed,
		plan.PointProof:      node.ReasonPointProofFailed,
		plan.Prove:           node.ReasonProvePayloadFailed,
		plan.Control:         node.ReasonProvePayloadFailed,
		plan.PointCurrent:    node.ReasonPointCurrentFailed,
		plan.Record:          node.ReasonRecordPayloadFailed,
		plan.Withdraw:        node.ReasonWithdrawPayloadFailed,
		plan.Unmount:         node.ReasonUnmountPayloadFailed,
		plan.DeleteGuest:     node.ReasonDeleteGuestFailed,
		plan.DeleteImage:     node.ReasonDeleteImageFailed,
		plan.RemoveSandbox:   node.ReasonRemoveSandboxFailed,
		plan.Reclaim:         node.ReasonRemoveSandboxFailed,
		plan.RemoveDropIn:    node.ReasonRemoveDropInFailed,
		plan.Clear:           node.ReasonClearStoreAndStateFailed,
		plan.Cordon:          node.ReasonCordonNodeFailed,
		plan.Drain:           node.ReasonDrainNodeFailed,
		plan.RebootNode:      node.ReasonRebootNodeFailed,
		plan.Uncordon:        node.ReasonUncordonNodeFailed,
		plan.ForgetReboot:    node.ReasonForgetRebootFailed,
		plan.Forget:          node.ReasonForgetIntentFailed,
	}[k]
}
