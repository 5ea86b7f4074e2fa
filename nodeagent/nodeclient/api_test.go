// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
)

const nodeName = "worker-1"

// api is as much of an API server as one node's agent asks for.
type api struct {
	t      *testing.T
	server *httptest.Server
	url    string // where clients find it

	mu      sync.Mutex
	user    string
	node    *corev1.Node
	pods    []corev1.Pod
	classes []nodev1.RuntimeClass
	refused bool // nothing but reviews is answered
	version int
	news    chan struct{} // closed at a change
	// unguarded is that no policy refuses a trial, of which tried tells.
	unguarded bool
	tried     chan struct{}
	mute      bool          // watches say nothing
	hung      chan struct{} // reviews wait for it
	patches   []string
	// meddle is what another hand does to the Node just before the next patch of it.
	meddle  func(*corev1.Node)
	guarded map[string]bool // pods whose eviction is refused
	evicted []string
	asked   []string
}

func newAPI(t *testing.T, n *corev1.Node, pods ...corev1.Pod) *api {
	t.Helper()
	a := &api{t: t, user: "system:node:" + nodeName, node: n, pods: pods, version: 10, news: make(chan struct{}), tried: make(chan struct{}, 1), classes: classes()}
	n.Name, n.UID, n.ResourceVersion = nodeName, "uid-1", "10"
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", a.review)
	mux.HandleFunc("GET /api/v1/nodes", a.serve("Node"))
	mux.HandleFunc("GET /api/v1/pods", a.serve("Pod"))
	mux.HandleFunc("GET /apis/node.k8s.io/v1/runtimeclasses", a.serve("RuntimeClass"))
	mux.HandleFunc("PATCH /api/v1/nodes/"+nodeName+"/status", a.patch)
	mux.HandleFunc("GET /api/v1/nodes/"+nodeName, a.get)
	mux.HandleFunc("PATCH /api/v1/nodes/"+nodeName, a.modify)
	mux.HandleFunc("POST /api/v1/namespaces/ns/pods/{pod}/eviction", a.evict)
	a.server = httptest.NewServer(mux)
	a.url = a.server.URL
	t.Cleanup(func() { a.server.CloseClientConnections(); a.server.Close() })
	return a
}

// check reports a problem of the server's own, whose goroutines must not end the test.
func (a *api) check(problem error) {
	if problem != nil {
		a.t.Error(problem)
	}
}

func (a *api) answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	document, err := json.Marshal(object)
	a.check(err)
	_, _ = w.Write(document) //nolint:errcheck // A client that was stopped reads no answer.
}

func (a *api) review(w http.ResponseWriter, r *http.Request) {
	if a.hung != nil {
		select {
		case <-a.hung:
		case <-r.Context().Done():
			return
		}
	}
	a.answer(w, http.StatusCreated, map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "status": map[string]any{"userInfo": map[string]any{"username": a.user}},
	})
}

// serve lists, and as a watch tells of the Node's later changes. It knows no streamed lists.
func (a *api) serve(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		a.mu.Lock()
		refused := a.refused
		a.mu.Unlock()
		switch {
		case refused:
			a.answer(w, http.StatusForbidden, apierrors.NewForbidden(schema.GroupResource{Resource: kind}, "", nil).ErrStatus)
		case query.Get("sendInitialEvents") != "":
			a.answer(w, http.StatusUnprocessableEntity, apierrors.NewInvalid(schema.GroupKind{Kind: kind}, "", nil).ErrStatus)
		case query.Get("watch") != "":
			a.watch(w, r, kind)
		default:
			a.list(w, kind, query.Get("fieldSelector"))
		}
	}
}

func (a *api) list(w http.ResponseWriter, kind, selector string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, kind+" "+selector)
	meta := metav1.ListMeta{ResourceVersion: strconv.Itoa(a.version)}
	switch kind {
	case "RuntimeClass":
		a.answer(w, http.StatusOK, nodev1.RuntimeClassList{TypeMeta: metav1.TypeMeta{APIVersion: "node.k8s.io/v1", Kind: "RuntimeClassList"}, ListMeta: meta, Items: a.classes})
		return
	case "Pod":
		a.answer(w, http.StatusOK, corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, ListMeta: meta, Items: a.pods})
		return
	}
	a.answer(w, http.StatusOK, corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}, ListMeta: meta, Items: []corev1.Node{*a.node}})
}

func (a *api) watch(w http.ResponseWriter, r *http.Request, kind string) {
	w.Header().Set("Content-Type", "application/json")
	seen, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	a.check(err)
	for {
		if err := http.NewResponseController(w).Flush(); err != nil {
			return // The client was stopped.
		}
		a.mu.Lock()
		news, version, mute := a.news, a.version, a.mute
		document, err := json.Marshal(map[string]any{"type": "MODIFIED", "object": a.node})
		a.mu.Unlock()
		a.check(err)
		if kind == "Node" && version > seen && !mute {
			seen = version
			if _, err := w.Write(append(document, '\n')); err == nil {
				continue
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-news:
		}
	}
}

func (a *api) patch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client was stopped.
	}
	if r.URL.Query().Get("dryRun") == "All" {
		a.trial(w, body)
		return
	}
	assert.Equal(a.t, "application/strategic-merge-patch+json", r.Header.Get("Content-Type"))
	a.change(func(n *corev1.Node) {
		a.patches = append(a.patches, string(body))
		before, err := json.Marshal(n)
		a.check(err)
		after, err := strategicpatch.StrategicMergePatch(before, body, corev1.Node{})
		a.check(err)
		*n = corev1.Node{}
		a.check(json.Unmarshal(after, n))
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer(w, http.StatusOK, a.node)
}

// trial answers as an API server with or without our policies.
func (a *api) trial(w http.ResponseWriter, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	assert.Contains(a.t, string(body), node.IntentAnnotation)
	select {
	case a.tried <- struct{}{}:
	default:
	}
	if a.unguarded {
		a.answer(w, http.StatusOK, a.node)
		return
	}
	a.answer(w, http.StatusUnprocessableEntity, apierrors.NewInvalid(schema.GroupKind{Kind: "Node"}, nodeName, nil).ErrStatus)
}

// change makes a new version of the Node.
func (a *api) change(do func(*corev1.Node)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	n := a.node.DeepCopy()
	do(n)
	n.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
	n.ResourceVersion = strconv.Itoa(a.version)
	a.node = n
	close(a.news)
	a.news = make(chan struct{})
}

func (a *api) written() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.patches)
}

func (a *api) kubeconfig() string {
	file := filepath.Join(a.t.TempDir(), "kubeconfig")
	content := strings.ReplaceAll(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"URL","insecure-skip-tls-verify":true}}],
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{}}]}`, "URL", a.url)
	require.NoError(a.t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// connect runs a client until the test ends and returns it once it knows the Node and its pods.
func (a *api) connect() *nodeclient.Client {
	log := logrus.New()
	log.SetOutput(a.t.Output())
	c := nodeclient.New(a.kubeconfig(), log)
	var running sync.WaitGroup
	running.Go(func() { c.Run(a.t.Context()) })
	a.t.Cleanup(running.Wait)
	a.await(c, func() bool { shown := c.State(); return shown.Known && shown.PodsKnown })
	return c
}

// await takes the client's word for it that something has changed.
func (a *api) await(c *nodeclient.Client, holds func() bool) {
	a.t.Helper()
	for !holds() {
		select {
		case <-c.Changed():
		case <-a.t.Context().Done():
			a.t.Fatal("it never came")
		}
	}
}

// classes are ours, an alias, that of a further handler, and another owner's.
func classes() []nodev1.RuntimeClass {
	var all []nodev1.RuntimeClass
	for name, handler := range map[string]string{"kata-oc": "kata-oc", "alias": "kata-oc", "kata-oc-rs": "kata-oc-rs", "gvisor": "runsc"} {
		all = append(all, nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler})
	}
	return all
}
