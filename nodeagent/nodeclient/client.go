// SPDX-License-Identifier: Apache-2.0

// Package nodeclient is the agent's view of the API server through the kubelet's own credential:
// its own Node, its own pods, the RuntimeClasses, and one patch. It survives an API server that is
// away and the rotation of the credential's file.
package nodeclient

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
)

// Requests of one node's agent and kubelet share a queue of the API server, so the agent keeps far
// below the kubelet's own rate.
const (
	requestsPerSecond = 2
	burst             = 5
)

// Client holds what the API server last said.
type Client struct {
	kubeconfig string
	log        logrus.FieldLogger
	changed    chan struct{}
	rotation   time.Duration
	asking     time.Duration
	binding    time.Duration
	// draining is whether every pod's end is news.
	draining atomic.Bool
	// unguarded is whether the admission policies are known not to be in force.
	unguarded atomic.Bool

	mu   sync.Mutex
	view view
	// answer is the Node as the API server returned it from the last patch. Until the watch has it,
	// the same report would be written twice.
	answer *corev1.Node
	// labelled is whether the Node last had the ready label, unlabelled when it was seen to lose
	// it.
	labelled   bool
	unlabelled time.Time
}

// New returns a client for the credential in a kubeconfig file, which need not be there yet.
func New(kubeconfig string, log logrus.FieldLogger) *Client {
	return &Client{kubeconfig: kubeconfig, log: log, changed: make(chan struct{}, 1), rotation: rotationCheck, asking: askLimit, binding: schedulerLag}
}

// Changed receives after anything that State returns may have changed.
func (c *Client) Changed() <-chan struct{} { return c.changed }

func (c *Client) tell() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// State returns what the API server last said. Pods are not known while the API server is away, and
// for a moment after the ready label was taken off: the watch of pods may be behind that of the
// Node, and so may the scheduler.
func (c *Client) State() cluster.State {
	v := c.current()
	pods, known := v.bound()
	shown := cluster.State{Unguarded: c.unguarded.Load()}
	n := v.node()
	if n != nil {
		shown.Known, shown.Intent, shown.Busy = true, n.Annotations[node.IntentAnnotation], node.Busy(n.Annotations)
		shown.Operated, shown.Complaint = node.Operated(n.Annotations)
		shown.Labelled = n.Labels[node.ReadyLabel] != ""
	}
	if latest := c.latest(); latest != nil {
		shown.Cordoned, shown.CordonedIn = latest.Spec.Unschedulable, latest.Annotations[node.CordonAnnotation]
		shown.Kubelet = kubeletOf(latest)
	}
	settled := c.settled(n, time.Now())
	if known && v.alive() && settled {
		shown.Pods, shown.PodsKnown = pods, true
		present := evictable(v.podsSeen())
		shown.Evictable, shown.Ending = names(present, false), names(present, true)
	}
	return shown
}

// schedulerLag is how long a scheduler may bind pods by an older version of the Node, such as one
// with the ready label, or one that is not cordoned.
const schedulerLag = 3 * time.Second

// settled remembers when the label was taken off.
func (c *Client) settled(n *corev1.Node, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	labelled := n != nil && n.Labels[node.ReadyLabel] != ""
	if c.labelled && !labelled {
		c.unlabelled = now
	}
	c.labelled = labelled
	return labelled || c.unlabelled.IsZero() || now.Sub(c.unlabelled) >= schedulerLag
}

// Reported returns the report that the Node carries, the zero value where it has none that can be
// read.
func (c *Client) Reported() node.Report {
	n := c.latest()
	if n == nil {
		return node.Report{}
	}
	r, err := node.DecodeReport(n.Annotations[node.ReportAnnotation])
	if err != nil {
		return node.Report{}
	}
	return r
}

func (c *Client) current() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// latest returns the newest Node that the API server has shown, in a watch or in an answer.
func (c *Client) latest() *corev1.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.view.node()
	if n == nil || c.answer == nil || n.UID != c.answer.UID {
		return n
	}
	if order, err := resourceversion.CompareResourceVersion(c.answer.ResourceVersion, n.ResourceVersion); err != nil || order <= 0 {
		return n
	}
	return c.answer
}

func (c *Client) remember(answer *corev1.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *Client) connect() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubelet's credential: %w", err)
	}
	config.QPS, config.Burst, config.UserAgent = requestsPerSecond, burst, "kata-agent"
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubelet's credential %s: %w", c.kubeconfig, err)
	}
	return api, nil
}

// userPrefix begins the user name of every kubelet.
const userPrefix = "system:node:"

// whoami asks the API server for the node's name: it need not be the host's.
func whoami(ctx context.Context, api kubernetes.Interface) (string, error) {
	review, err := api.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the API server for this node's name: %w", err)
	}
	user := review.Status.UserInfo.Username
	name, ok := strings.CutPrefix(user, userPrefix)
	if !ok {
		return "", fmt.Errorf("the credential belongs to %q, not to a node: use the kubelet's", user)
	}
	return name, nil
}
