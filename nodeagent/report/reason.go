// SPDX-License-Identifier: Apache-2.0

package report

import (
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// Reason is a step's failure as one word.
func Reason(k plan.Kind) string {
	switch k {
	case plan.Keep:
		return node.ReasonKeepIntentFailed
	case plan.Pull, plan.Prefetch:
		return node.ReasonPullPayloadFailed
	case plan.Mount:
		return node.ReasonMountPayloadFailed
	case plan.Verify:
		return node.ReasonVerifyPayloadFailed
	case plan.Configure:
		return node.ReasonConfigureHandlersFailed
	case plan.WriteDropIn:
		return node.ReasonWriteDropInFailed
	case plan.RestartCRIO:
		return node.ReasonRestartCRIOFailed
	case plan.StartDependents:
		return node.ReasonStartDependentsFailed
	case plan.PointProof:
		return node.ReasonPointProofFailed
	case plan.Prove:
		return node.ReasonProvePayloadFailed
	case plan.PointCurrent:
		return node.ReasonPointCurrentFailed
	case plan.Record:
		return node.ReasonRecordPayloadFailed
	case plan.Withdraw:
		return node.ReasonWithdrawPayloadFailed
	case plan.Unmount:
		return node.ReasonUnmountPayloadFailed
	case plan.DeleteImage:
		return node.ReasonDeleteImageFailed
	case plan.RemoveSandbox:
		return node.ReasonRemoveSandboxFailed
	case plan.RemoveDropIn:
		return node.ReasonRemoveDropInFailed
	case plan.Clear:
		return node.ReasonClearStoreAndStateFailed
	case plan.Forget:
		return node.ReasonForgetIntentFailed
	}
	return ""
}
