// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/controller/status"
)

const deadline = 5 * time.Minute

func of(c facts.Config, nodes ...facts.Node) v1.KataConfigStatus {
	return at(Noon(), v1.KataConfigStatus{}, c, nodes...)
}

func at(now time.Time, previous v1.KataConfigStatus, c facts.Config, nodes ...facts.Node) v1.KataConfigStatus {
	d := selection.Divide([]facts.Config{c}, nodes)
	s, _ := status.Of(status.Input{Pool: d.Pools[0], Previous: previous, Deadline: deadline, Now: now})
	return s
}

// short is "completed/in progress/waiting/failed of total".
func short(s v1.KataConfigStatus) string {
	return fmt.Sprintf("%d/%d/%d/%d of %d", s.CompletedNodesCount, s.InProgressNodesCount, s.WaitingNodesCount, s.FailedNodesCount, s.TotalNodesCount)
}

// truth is the three conditions and the reason of the second.
func truth(s v1.KataConfigStatus) string {
	letter := func(kind string) string {
		c := meta.FindStatusCondition(s.Conditions, kind)
		if c == nil {
			return "-"
		}
		return string(c.Status[0])
	}
	return letter(v1.ConditionInProgress) + letter(v1.ConditionCompleted) + letter(v1.ConditionFailed) +
		" " + meta.FindStatusCondition(s.Conditions, v1.ConditionCompleted).Reason
}

func TestTruthTable(t *testing.T) {
	t.Parallel()
	c := Config("c")
	paused, deleted := Config("c", Paused), Config("c", Deleted)
	refused := Config("c", func(c *facts.Config) {
		c.Refused = &facts.Refusal{Reason: facts.ReasonRuntimeClassConflict, Message: "somebody else's"}
	})
	broken := Worker("broken", Wanted(c), Reports(node.PhaseInstalling), Fails("proof", "no"))
	for name, x := range map[string]struct {
		config       facts.Config
		nodes        []facts.Node
		counts, want string
	}{
		"no worker matches":          {c, nil, "0/0/0/0 of 0", "FTF NoMatchingNodes"},
		"nobody has an agent":        {c, []facts.Node{Worker("w")}, "0/0/1/0 of 1", "TFF Waiting"},
		"first install":              {c, []facts.Node{Worker("w", Wanted(c), Reports(node.PhaseInstalling)), Worker("x", Idle)}, "0/1/1/0 of 2", "TFF Installing"},
		"complete":                   {c, []facts.Node{Worker("w", Done(c)), Worker("x", Done(c))}, "2/0/0/0 of 2", "FTF Completed"},
		"update":                     {Config("c", Payload(PayloadB)), []facts.Node{Worker("w", Done(c)), Worker("x", Ready, Wanted(Config("c", Payload(PayloadB))), Reports(node.PhaseInstalling))}, "0/1/1/0 of 2", "TFF Updating"},
		"one of three failed":        {c, []facts.Node{Worker("w", Done(c)), Worker("x", Done(c)), broken}, "2/0/0/1 of 3", "FFT NodesFailed"},
		"one failed, others go on":   {c, []facts.Node{Worker("w", Done(c)), Worker("x", Wanted(c), Reports(node.PhaseInstalling)), broken}, "1/1/0/1 of 3", "TFT NodesFailed"},
		"paused":                     {paused, []facts.Node{Worker("w", Done(c)), Worker("x", Idle)}, "1/0/1/0 of 2", "FFF Paused"},
		"paused and complete":        {paused, []facts.Node{Worker("w", Done(c))}, "1/0/0/0 of 1", "FTF Completed"},
		"paused with a failed node":  {paused, []facts.Node{Worker("x", Idle), broken}, "0/0/1/1 of 2", "FFT NodesFailed"},
		"refused":                    {refused, []facts.Node{Worker("w", Idle)}, "0/0/1/0 of 1", "FFT RuntimeClassConflict"},
		"a completed node NotReady":  {c, []facts.Node{Worker("w", Done(c), NotReady), Worker("x", Done(c))}, "1/0/1/0 of 2", "TFF Waiting"},
		"paused while a node leaves": {Config("c", Paused, Selects("a", "b")), []facts.Node{Worker("w", Done(c))}, "0/0/1/0 of 1", "FFF Paused"},
		"being deleted":              {deleted, []facts.Node{Worker("w", Unwanted(c), Reports(node.PhaseRemoving))}, "0/1/0/0 of 1", "TFF Removing"},
		"deletion blocked by pods":   {deleted, []facts.Node{Worker("w", Unwanted(c), Reports(node.PhaseBlocked), Pods(1, "ns/pod"))}, "0/0/1/0 of 1", "TFF Removing"},
		"deletion of a broken node":  {deleted, []facts.Node{Worker("w", Unwanted(c), Reports(node.PhaseRemoving), Fails("unmount", "busy"))}, "0/0/0/1 of 1", "FFT Removing"},
		"deletion, nothing is left":  {deleted, nil, "0/0/0/0 of 0", "FFF Removing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := of(x.config, x.nodes...)
			assert.Equal(t, x.counts, short(s))
			assert.Equal(t, x.want, truth(s))
		})
	}
}

// A label on one node must not change others silently.
func TestNodesThatAreNoWorkersAnyMoreAreNamed(t *testing.T) {
	t.Parallel()
	const worker = "node-role.kubernetes.io/worker"
	c := Config("c")
	before := of(c, Worker("a", Without(worker), Done(c)), Worker("b", Without(worker), Done(c)))
	assert.Equal(t, "FTF Completed", truth(before))
	nodes := []facts.Node{Worker("a", Without(worker), Done(c)), Worker("b", Done(c)), Worker("new", Without(worker), Idle)}
	s := of(c, nodes...)
	assert.Equal(t, "FTF WorkerDefinitionChanged", truth(s))
	assert.Equal(t, "2/0/0/0 of 2", short(s))
	assert.Contains(t, s.Conditions[1].Message, "kept although they lack label "+worker+", which workers need since another node has it: a (")
	working := of(c, append(nodes, Worker("x", Wanted(c), Reports(node.PhaseInstalling)))...)
	assert.Equal(t, "TFF Installing", truth(working))
	assert.Contains(t, working.Conditions[0].Message, "kept although")
}

func TestEveryNodeIsInTheRightCount(t *testing.T) {
	t.Parallel()
	c := Config("c")
	late := func(n *facts.Node) { n.Intent.Issued = Noon().Add(-deadline) }
	for name, x := range map[string]struct {
		node   facts.Node
		counts string
		says   string
	}{
		"no agent":                {Worker("w"), "0/0/1/0 of 1", "AgentMissing"},
		"unreadable report":       {Worker("w", Unreadable), "0/0/0/1 of 1", "version 9 is not one that this program speaks"},
		"other protocol":          {Worker("w", Idle, func(n *facts.Node) { n.Report.Speaks = []int{7} }), "0/0/0/1 of 1", "ProtocolMismatch"},
		"NotReady":                {Worker("w", Idle, NotReady), "0/0/1/0 of 1", "NodeNotReady"},
		"NotReady and silent":     {Worker("w", Wanted(c), late, NotReady), "0/0/1/0 of 1", "NodeNotReady"},
		"cordoned":                {Worker("w", Idle, Cordoned), "0/0/1/0 of 1", "NodeCordoned"},
		"cordoned, complete":      {Worker("w", Done(c), Cordoned), "1/0/0/0 of 1", "1 of 1 nodes complete"},
		"in the queue":            {Worker("w", Idle), "0/0/1/0 of 1", "Queued"},
		"asked just now":          {Worker("w", Idle, Wanted(c)), "0/1/0/0 of 1", "working: w"},
		"asked long ago":          {Worker("w", Idle, Wanted(c), late), "0/0/0/1 of 1", "AgentNotReporting"},
		"pinged just now":         {Worker("w", Done(c), Ping(Noon().Add(-time.Hour)), Answers, Ping(Noon().Add(1-deadline))), "1/0/0/0 of 1", "1 of 1"},
		"pinged long ago":         {Worker("w", Done(c), Ping(Noon().Add(-time.Hour)), Answers, Ping(Noon().Add(-deadline))), "0/0/0/1 of 1", "no answer to the ping of 2026-03-01T11:55:00Z: look at kata-agent.service on the node (AgentNotReporting)"},
		"asked for its grant":     {Worker("w", Wanted(c), Reports(node.PhaseAwaitingGrant), Ping(Noon().Add(-time.Hour)), Answers, Ping(Noon().Add(1-deadline))), "0/0/1/0 of 1", "AwaitingGrant"},
		"asks and is silent":      {Worker("w", Wanted(c), Reports(node.PhaseAwaitingGrant), Ping(Noon().Add(-time.Hour)), Answers, Ping(Noon().Add(-deadline))), "0/0/0/1 of 1", "AgentNotReporting"},
		"knows no pings":          {Worker("w", Done(c), Ping(Noon().Add(-time.Hour))), "1/0/0/0 of 1", "1 of 1"},
		"answered":                {Worker("w", Done(c), Ping(Noon().Add(-time.Hour)), Answers), "1/0/0/0 of 1", "1 of 1"},
		"pinged and NotReady":     {Worker("w", Done(c), Ping(Noon().Add(-time.Hour)), Answers, Ping(Noon().Add(-deadline)), NotReady), "0/0/1/0 of 1", "NodeNotReady"},
		"report deleted":          {Worker("w", Wanted(c), late), "0/0/0/1 of 1", "AgentNotReporting"},
		"waits for a restart":     {Worker("w", Wanted(c), Reports(node.PhaseAwaitingGrant)), "0/0/1/0 of 1", "AwaitingGrant"},
		"waits for a reboot":      {Worker("w", Wanted(c), Reports(node.PhaseInstalling), NeedsReboot), "0/0/1/0 of 1", "AwaitingReboot"},
		"waits for hours":         {Worker("w", Wanted(c), Reports(node.PhaseInstalling), NeedsReboot, Unchanged(9*time.Hour)), "0/0/1/0 of 1", "AwaitingReboot"},
		"is rebooted":             {Worker("w", Wanted(c), Reports(node.PhaseInstalling), NeedsReboot, MayReboot), "0/1/0/0 of 1", "working"},
		"serves meanwhile":        {Worker("w", Done(c), Ready, NeedsReboot), "1/0/0/0 of 1", "1 of 1"},
		"is held":                 {Worker("w", Idle, Held), "0/0/1/0 of 1", "Held"},
		"is worked on":            {Worker("w", Idle, Busy), "0/0/1/0 of 1", "MachineConfigBusy"},
		"no restart meanwhile":    {Worker("w", Wanted(c), Reports(node.PhaseAwaitingGrant), Busy, Unchanged(9*time.Hour)), "0/0/1/0 of 1", "MachineConfigBusy"},
		"no reboot meanwhile":     {Worker("w", Wanted(c), Reports(node.PhaseInstalling), NeedsReboot, Busy), "0/0/1/0 of 1", "MachineConfigBusy"},
		"pulls meanwhile":         {Worker("w", Wanted(c), Reports(node.PhaseInstalling), Busy, Unchanged(time.Minute)), "0/1/0/0 of 1", "working"},
		"serves and is worked on": {Worker("w", Done(c), Busy), "1/0/0/0 of 1", "1 of 1"},
		"restart is granted":      {Worker("w", Wanted(c), Granted, Reports(node.PhaseAwaitingGrant)), "0/1/0/0 of 1", "working"},
		"error before work":       {Worker("w", Idle, Fails("reading intent", "state is unknown")), "0/0/0/1 of 1", "reading intent: state is unknown"},
		"error about an intent that nobody can read": {
			Worker("w", Done(c), Fails("read intent", "not a JSON document"), func(n *facts.Node) { n.Intent = nil }), "0/0/0/1 of 1", "read intent: not a JSON document",
		},
		"error of old intent":   {Worker("w", Wanted(Config("c", Payload(PayloadB))), Reports(node.PhaseInstalling), Fails("x", "old"), Wanted(c)), "0/1/0/0 of 1", "working"},
		"unfit host":            {Worker("w", Wanted(c), Reports(node.PhaseInstalling), Unfit), "0/0/0/1 of 1", "the host has no /dev/kvm"},
		"unfit before its turn": {Worker("w", Idle, Unfit), "0/0/0/1 of 1", "the host has no /dev/kvm"},
		"unfit and serving":     {Worker("w", Done(c), Unfit), "0/0/0/1 of 1", "the host has no /dev/kvm"},
		"kubelet knows not":     {Worker("w", Done(c), Serves("runc")), "0/1/0/0 of 1", "working"},
		"kubelet knows":         {Worker("w", Done(c), Serves("runc", node.Handler)), "1/0/0/0 of 1", "1 of 1 nodes complete"},
		"report of older boot":  {Worker("w", Done(c), Rebooted), "0/1/0/0 of 1", "working"},
		"label not yet":         {Worker("w", Wanted(c), Reports(node.PhaseInstalled)), "0/1/0/0 of 1", "working"},
		"done with an error":    {Worker("w", Done(c), Fails("proof", "gone")), "0/0/0/1 of 1", "proof: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := of(c, x.node)
			assert.Equal(t, x.counts, short(s))
			document, err := json.Marshal(s)
			require.NoError(t, err)
			assert.Contains(t, string(document), x.says)
		})
	}
}

// Its agent waits for the machine-config daemon, which takes as long as it takes.
func TestANodeThatIsWorkedOnMakesNoProgressWithoutHavingFailed(t *testing.T) {
	t.Parallel()
	c := Config("c")
	for want, states := range map[string][]State{
		"0/0/0/1 of 1 NoProgress":        {Unchanged(time.Hour)},
		"0/1/0/0 of 1 ":                  {Busy, Unchanged(time.Minute)},
		"0/0/1/0 of 1 MachineConfigBusy": {Busy, Unchanged(time.Hour)},
	} {
		n := Worker("w", append([]State{Wanted(c), Reports(node.PhaseInstalling)}, states...)...)
		d := selection.Divide([]facts.Config{c}, []facts.Node{n})
		s, _ := status.Of(status.Input{Pool: d.Pools[0], Deadline: deadline, Progress: 30 * time.Minute, Now: Noon()})
		counts, reason, _ := strings.Cut(want, " of 1 ")
		assert.Equal(t, counts+" of 1", short(s), want)
		assert.Contains(t, fmt.Sprint(s.Waiting, s.FailedNodes), reason, want)
	}
}

func TestANodeIsCompleteWithItsFurtherHandlers(t *testing.T) {
	t.Parallel()
	c := Config("c", Handlers("rs"))
	for name, x := range map[string]struct {
		states       []State
		counts, says string
	}{
		"served":             {[]State{Proves("rs"), Carries("rs"), Serves("kata-oc", "kata-oc-rs")}, "1/0/0/0 of 1", "1 of 1 nodes complete"},
		"not labelled":       {[]State{Proves("rs")}, "0/1/0/0 of 1", "working"},
		"unknown to kubelet": {[]State{Proves("rs"), Carries("rs"), Serves("kata-oc")}, "0/1/0/0 of 1", "working"},
		"unknown to agent":   {nil, "0/0/0/1 of 1", "bring it to the controller's version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := of(c, Worker("w", append([]State{Done(c)}, x.states...)...))
			assert.Equal(t, x.counts, short(s))
			document, err := json.Marshal(s)
			require.NoError(t, err)
			assert.Contains(t, string(document), x.says)
		})
	}
}

func TestTheErrorOfANodeIsItsReportsSentence(t *testing.T) {
	t.Parallel()
	c := Config("c")
	s := of(c, Worker("worker-2", Wanted(c), Reports(node.PhaseInstalling), Fails("pull", "the registry answered 500")))
	assert.Equal(t, []v1.FailedNode{{Name: "worker-2", Error: "pull: the registry answered 500 (AgentError)"}}, s.FailedNodes)
}

func TestALongErrorKeepsItsCause(t *testing.T) {
	t.Parallel()
	c := Config("c")
	s := of(c, Worker("w", Wanted(c), Reports(node.PhaseInstalling), Fails("pull", strings.Repeat("writing blob: ", 100)+"no space left on device")))
	assert.Contains(t, s.FailedNodes[0].Error, "no space left on device (AgentError)")
}

func TestFailedNodesAreBoundedAndSorted(t *testing.T) {
	t.Parallel()
	c := Config("c")
	var nodes []facts.Node
	for i := range 120 {
		nodes = append(nodes, Worker(fmt.Sprintf("w%03d", 119-i), Wanted(c), Reports(node.PhaseInstalling), Fails("pull", strings.Repeat("é", 3000))))
	}
	s := of(c, nodes...)
	assert.Len(t, s.FailedNodes, v1.MaxFailedNodes)
	assert.Equal(t, "w000", s.FailedNodes[0].Name)
	assert.Equal(t, "w049", s.FailedNodes[49].Name)
	assert.EqualValues(t, 120, s.FailedNodesCount)
	document, err := json.Marshal(s)
	require.NoError(t, err)
	assert.Less(t, len(document), 64<<10)
}

func TestListsAreNeverNull(t *testing.T) {
	t.Parallel()
	document, err := json.Marshal(of(Config("c")))
	require.NoError(t, err)
	assert.NotContains(t, string(document), "null")
	assert.Contains(t, string(document), `"failedNodes":[]`)
}

func TestTimesMoveOnlyWithTheStatus(t *testing.T) {
	t.Parallel()
	c := Config("c")
	first := at(Noon(), v1.KataConfigStatus{}, c, Worker("w", Idle))
	later := at(Noon().Add(time.Hour), first, c, Worker("w", Idle))
	assert.Equal(t, first, later, "the same cluster an hour later is no news")

	done := at(Noon().Add(2*time.Hour), later, c, Worker("w", Done(c)))
	for _, condition := range done.Conditions {
		want := metav1.NewTime(Noon())
		if condition.Type != v1.ConditionFailed {
			want = metav1.NewTime(Noon().Add(2 * time.Hour))
		}
		assert.Equal(t, want, condition.LastTransitionTime, condition.Type)
	}
}

func TestConditionsOfOthersAreDropped(t *testing.T) {
	t.Parallel()
	s := at(Noon(), v1.KataConfigStatus{Conditions: []metav1.Condition{{Type: "InProgress", Status: metav1.ConditionTrue}}}, Config("c"))
	assert.Len(t, s.Conditions, 3)
}

func TestObservedGenerationIsThatOfTheSpec(t *testing.T) {
	t.Parallel()
	s := of(Config("c", func(c *facts.Config) { c.Generation = 7 }))
	assert.EqualValues(t, 7, s.ObservedGeneration)
	for _, condition := range s.Conditions {
		assert.EqualValues(t, 7, condition.ObservedGeneration)
	}
}

func TestTheDeadlineIsTheNextTimeToLook(t *testing.T) {
	t.Parallel()
	c := Config("c")
	d := selection.Divide([]facts.Config{c}, []facts.Node{Worker("w", Idle, Wanted(c))})
	_, next := status.Of(status.Input{Pool: d.Pools[0], Deadline: deadline, Now: Noon()})
	assert.Equal(t, Noon().Add(deadline), next)
	_, next = status.Of(status.Input{Pool: d.Pools[0], Deadline: deadline, Now: Noon().Add(deadline)})
	assert.Zero(t, next)
}

func TestPayloadsNameWhatNodesServe(t *testing.T) {
	t.Parallel()
	before, after := Config("c"), Config("c", Payload(PayloadB))
	first := of(before, Worker("w", Done(before)), Worker("x", Done(before)))
	assert.Equal(t, []v1.PayloadStatus{{Image: PayloadA, Nodes: 2}}, first.Payloads)

	midway := Worker("w", Done(before), Wanted(after))
	mixed := at(Noon(), first, after, midway, Worker("x", Done(after)))
	assert.Equal(t, PayloadB, mixed.KataImage)
	assert.Equal(t, []v1.PayloadStatus{{Image: PayloadA, Nodes: 1}, {Image: PayloadB, Nodes: 1}}, mixed.Payloads)

	strange := of(after, midway)
	assert.Equal(t, node.Digest(PayloadA), strange.Payloads[0].Image, "a digest without a known repository stays a digest")
}

func TestTheYoungerOfTwoOverlappingKataConfigsSaysSo(t *testing.T) {
	t.Parallel()
	d := selection.Divide([]facts.Config{Config("old"), Config("new", Younger)}, []facts.Node{Worker("w1", Done(Config("old"))), Worker("w2", Done(Config("old")))})
	older, _ := status.Of(status.Input{Pool: d.Pools[0], Now: Noon()})
	younger, _ := status.Of(status.Input{Pool: d.Pools[1], Now: Noon()})
	assert.Equal(t, "FTF Completed", truth(older))
	assert.Equal(t, "FFT OverlappingSelector", truth(younger))
	assert.Equal(t, `KataConfig "old" is older and owns w1, w2: make the selectors disjoint`, meta.FindStatusCondition(younger.Conditions, v1.ConditionFailed).Message)
	assert.Equal(t, []v1.Conflict{{KataConfig: "new", Owns: true, NodesCount: 2, Nodes: []string{"w1", "w2"}}}, older.Conflicts)
	assert.Equal(t, []v1.Conflict{{KataConfig: "old", NodesCount: 2, Nodes: []string{"w1", "w2"}}}, younger.Conflicts)
}

func TestAPausedKataConfigIsNotInProgressForItsOverlap(t *testing.T) {
	t.Parallel()
	nodes := []facts.Node{Worker("both", With("a", "1")), Worker("own")}
	d := selection.Divide([]facts.Config{Config("old", Selects("a", "1")), Config("new", Younger, Paused)}, nodes)
	s, _ := status.Of(status.Input{Pool: d.Pools[1], Now: Noon()})
	assert.Equal(t, "FFT OverlappingSelector", truth(s))
	assert.Equal(t, "0/0/1/0 of 1", short(s))
}

func TestTheRuntimeClassIsNamedOnlyWhereItCanBeUsed(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "kata-oc", of(Config("c")).RuntimeClassName)
	assert.Empty(t, of(Config("c", func(c *facts.Config) { c.Accepted = false })).RuntimeClassName)
	assert.Empty(t, of(Config("c", func(c *facts.Config) { c.Refused = &facts.Refusal{Reason: facts.ReasonRuntimeClassConflict} })).RuntimeClassName)
}

func TestARemovalNamesThePodsThatHoldItUp(t *testing.T) {
	t.Parallel()
	c := Config("c", Deleted)
	s := of(c, Worker("w", Unwanted(c), Reports(node.PhaseBlocked), Pods(7, "shop/cart", "shop/till")))
	assert.Equal(t, []v1.WaitingNodes{{Reason: "KataPodsRunning", Message: "kata pods are still bound, end them, and cordon a node to which new ones are scheduled: w (shop/cart, shop/till and 5 more)", Nodes: 1}}, s.Waiting)
}

func TestAnAgentThatIsSilentAfterABootIsNamedAtTheDeadline(t *testing.T) {
	t.Parallel()
	c := Config("c")
	d := selection.Divide([]facts.Config{c}, []facts.Node{Worker("w", Done(c), Rebooted)})
	in := status.Input{Pool: d.Pools[0], Deadline: deadline, Now: Noon()}
	s, next := status.Of(in)
	assert.Equal(t, "0/1/0/0 of 1", short(s))
	assert.Equal(t, Noon().Add(deadline), next)
	in.Now = next
	s, _ = status.Of(in)
	assert.Equal(t, []v1.FailedNode{{Name: "w", Error: "no report since the node's last boot: look at kata-agent.service on the node (AgentNotReporting)"}}, s.FailedNodes)
}

func TestADeadNodeHoldsUpRemovalByName(t *testing.T) {
	t.Parallel()
	c := Config("c", Deleted)
	s := at(Noon().Add(deadline), v1.KataConfigStatus{}, c, Worker("dead", Done(c), Unwanted(c), NotReady))
	require.Len(t, s.FailedNodes, 1)
	assert.Equal(t, "dead", s.FailedNodes[0].Name)
	assert.Contains(t, s.FailedNodes[0].Error, "which is not Ready (AgentNotReporting)")
}
