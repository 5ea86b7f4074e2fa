// SPDX-License-Identifier: Apache-2.0

package node

// The reasons of an agent's report that name a state of the host, where no step has failed.
const (
	// ReasonHandlersNotTaken says that CRI-O was restarted by the grant of this boot and does not
	// know our handlers.
	ReasonHandlersNotTaken = "HandlersNotTaken"
	// ReasonHandlerConflict says that another file of CRI-O's configuration names one of our
	// handlers.
	ReasonHandlerConflict = "HandlerConflict"
	// ReasonCRIOConfigurationRefused says that CRI-O would not start again with its configuration.
	ReasonCRIOConfigurationRefused = "CRIOConfigurationRefused"
	// ReasonCRIONotRunning says that CRI-O does not run since the agent has restarted it.
	ReasonCRIONotRunning = "CRIONotRunning"
	// ReasonCRIOCrashLooping says that CRI-O ends soon after each start.
	ReasonCRIOCrashLooping = "CRIOCrashLooping"
	// ReasonNodeNotRestored says that the node lacks something for long that it had before the
	// agent restarted CRI-O.
	ReasonNodeNotRestored = "NodeNotRestored"
	// ReasonRebootInVain says that a reboot has not ended what it was for.
	ReasonRebootInVain = "RebootInVain"
	// ReasonPayloadUnfit says that the payload is not made for this host or for this agent.
	ReasonPayloadUnfit = "PayloadUnfit"
	// ReasonPayloadGivenUp says that the payload failed its proof twice, and that the one which
	// serves passed it in between.
	ReasonPayloadGivenUp = "PayloadGivenUp"
	// ReasonHandlerNotOffered says that the payload, or this agent, does not have a further handler
	// that is to be served.
	ReasonHandlerNotOffered = "HandlerNotOffered"
	// ReasonSettingsUnreadable says that an administrator's configuration fragment cannot be read.
	ReasonSettingsUnreadable = "SettingsUnreadable"
	// ReasonStoreUnreadable says that the image store cannot be read.
	ReasonStoreUnreadable = "StoreUnreadable"
	// ReasonPackagesMissing says that nothing brings a program that the payload leaves to its host.
	ReasonPackagesMissing = "PackagesMissing"
	// ReasonExtensionMissing says that the extension of the machine-config operator is not
	// installed, ReasonExtensionUnavailable that this build of the operating system has none.
	ReasonExtensionMissing     = "ExtensionMissing"
	ReasonExtensionUnavailable = "ExtensionUnavailable"
	// ReasonLayeringRefused says that packages are not layered on this host, ReasonLayeringLost
	// that they were, and that each time the deployment was deleted before it ran.
	ReasonLayeringRefused = "LayeringRefused"
	ReasonLayeringLost    = "LayeringLost"
	// ReasonLayeringLocked says that the system's configuration forbids layering, and
	// ReasonPackagesUnfit that the payload's packages do not fit the system.
	ReasonLayeringLocked = "LayeringLocked"
	ReasonPackagesUnfit  = "PackagesUnfit"
	// ReasonHostNotObserved says that the agent cannot read the state of its host.
	ReasonHostNotObserved = "HostNotObserved"
	// ReasonHostUnfit says that this host cannot run Kata. It is the condition's; the report has a
	// field for it.
	ReasonHostUnfit = "HostUnfit"
	// ReasonInvalidIntent says that the intent cannot be followed.
	ReasonInvalidIntent = "InvalidIntent"
)

// The reasons of an agent's report that name the step which failed.
const (
	ReasonKeepIntentFailed         = "KeepIntentFailed"
	ReasonPullPayloadFailed        = "PullPayloadFailed"
	ReasonMountPayloadFailed       = "MountPayloadFailed"
	ReasonVerifyPayloadFailed      = "VerifyPayloadFailed"
	ReasonBuildGuestFailed         = "BuildGuestFailed"
	ReasonConfigureHandlersFailed  = "ConfigureHandlersFailed"
	ReasonLayerPackagesFailed      = "LayerPackagesFailed"
	ReasonUnlayerPackagesFailed    = "UnlayerPackagesFailed"
	ReasonWriteDropInFailed        = "WriteDropInFailed"
	ReasonRestartCRIOFailed        = "RestartCRIOFailed"
	ReasonLoadModulesFailed        = "LoadModulesFailed"
	ReasonStartDependentsFailed    = "StartDependentsFailed"
	ReasonConfirmNodeFailed        = "ConfirmNodeFailed"
	ReasonPointProofFailed         = "PointProofFailed"
	ReasonProvePayloadFailed       = "ProvePayloadFailed"
	ReasonPointCurrentFailed       = "PointCurrentFailed"
	ReasonRecordPayloadFailed      = "RecordPayloadFailed"
	ReasonWithdrawPayloadFailed    = "WithdrawPayloadFailed"
	ReasonKeepFindingsFailed       = "KeepFindingsFailed"
	ReasonDropFindingsFailed       = "DropFindingsFailed"
	ReasonUnmountPayloadFailed     = "UnmountPayloadFailed"
	ReasonDeleteGuestFailed        = "DeleteGuestFailed"
	ReasonDeleteImageFailed        = "DeleteImageFailed"
	ReasonRemoveSandboxFailed      = "RemoveSandboxFailed"
	ReasonRemoveDropInFailed       = "RemoveDropInFailed"
	ReasonClearStoreAndStateFailed = "ClearStoreAndStateFailed"
	ReasonCordonNodeFailed         = "CordonNodeFailed"
	ReasonDrainNodeFailed          = "DrainNodeFailed"
	ReasonRebootNodeFailed         = "RebootNodeFailed"
	ReasonUncordonNodeFailed       = "UncordonNodeFailed"
	ReasonForgetRebootFailed       = "ForgetRebootFailed"
	ReasonForgetIntentFailed       = "ForgetIntentFailed"
)
