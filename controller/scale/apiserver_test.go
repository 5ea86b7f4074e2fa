// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
)

// apiServer is an API server in memory, for as many Nodes as are asked for. It knows what the
// controller calls, checks UIDs and resource versions as the real one does, and counts requests.
type apiServer struct {
	http *httptest.Server
	// streams is true for one that streams its lists, as those from Kubernetes 1.34 on do.
	streams bool
	// patched is called with each Node that a client has changed, without the lock.
	patched func(*corev1.Node)

	mu      sync.Mutex
	version int64
	nodes   map[string]*corev1.Node
	objects map[string]map[string]*unstructured.Unstructured
	watches map[string][]*stream
	counts  map[string]int
}

func newAPIServer() *apiServer {
	s := &apiServer{
		nodes: map[string]*corev1.Node{}, objects: map[string]map[string]*unstructured.Unstructured{},
		watches: map[string][]*stream{}, counts: map[string]int{}, version: 1000,
	}
	s.http = httptest.NewServer(s)
	return s
}

// target is what a request is about.
type target struct {
	group                                  schema.GroupVersion
	resource, namespace, name, subresource string
}

func parse(path string) target {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	t := target{group: schema.GroupVersion{Version: parts[1]}}
	rest := parts[2:]
	if parts[0] == "apis" {
		t.group = schema.GroupVersion{Group: parts[1], Version: parts[2]}
		rest = parts[3:]
	}
	if len(rest) > 2 && rest[0] == "namespaces" {
		t.namespace, rest = rest[1], rest[2:]
	}
	for i, into := range []*string{&t.resource, &t.name, &t.subresource} {
		if i < len(rest) {
			*into = rest[i]
		}
	}
	return t
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if len(strings.Split(strings.Trim(q.URL.Path, "/"), "/")) < 4 && !strings.HasPrefix(q.URL.Path, "/api/v1/") {
		refuse(w, apierrors.NewNotFound(schema.GroupResource{}, q.URL.Path))
		return
	}
	t := parse(q.URL.Path)
	verb := verbOf(q, t)
	s.count(verb, t)
	switch {
	case verb == "watch":
		s.watch(w, q, t)
	case t.resource == "nodes":
		s.serveNodes(w, q, t)
	default:
		s.serveObjects(w, q, t, verb)
	}
}

func verbOf(q *http.Request, t target) string {
	switch {
	case q.Method != http.MethodGet:
		return strings.ToLower(q.Method)
	case q.URL.Query().Get("watch") != "":
		return "watch"
	case t.name == "":
		return "list"
	default:
		return "get"
	}
}

func (s *apiServer) count(verb string, t target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[strings.TrimSuffix(verb+" "+t.resource+"/"+t.subresource, "/")]++
}

// requests returns the counts so far.
func (s *apiServer) requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// forgetLeader lets the next instance lead at once.
func (s *apiServer) forgetLeader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, "leases")
}

// stamp gives an object the next resource version. The lock is held.
func (s *apiServer) stamp(o metav1.Object) {
	s.version++
	o.SetResourceVersion(strconv.FormatInt(s.version, 10))
}

// serveObjects stores everything but Nodes as it comes.
func (s *apiServer) serveObjects(w http.ResponseWriter, q *http.Request, t target, verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch verb {
	case "list":
		list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": t.group.String(), "kind": kinds()[t.resource] + "List", "metadata": map[string]any{"resourceVersion": strconv.FormatInt(s.version, 10)}}}
		for _, o := range s.objects[t.resource] {
			if selected(q, o) {
				list.Items = append(list.Items, *o)
			}
		}
		answer(w, list)
	case "get":
		if o, found := s.objects[t.resource][t.name]; found {
			answer(w, o)
			return
		}
		refuse(w, apierrors.NewNotFound(schema.GroupResource{Resource: t.resource}, t.name))
	case "delete":
		delete(s.objects[t.resource], t.name)
		answer(w, &metav1.Status{Status: metav1.StatusSuccess})
	default:
		o, err := s.change(q, t)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, o)
	}
}

// change makes, replaces or patches an object. The lock is held.
func (s *apiServer) change(q *http.Request, t target) (*unstructured.Unstructured, error) {
	o, err := body(q)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	switch t.resource {
	case "events", "baseline":
		return o, nil
	case "selfsubjectreviews":
		return o, unstructured.SetNestedField(o.Object, account, "status", "userInfo", "username")
	}
	present := s.objects[t.resource][t.name]
	if expected := o.GetResourceVersion(); present != nil && expected != "" && expected != present.GetResourceVersion() {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: t.resource}, t.name, errors.New("it has changed"))
	}
	kind, merged := modified, o
	switch {
	case q.Method == http.MethodPost:
		kind = added
		o.SetUID(types.UID("uid-of-" + o.GetName()))
	case q.Method == http.MethodPatch:
		merged = present.DeepCopy()
		merged.SetFinalizers(o.GetFinalizers())
	case t.subresource == "status":
		merged = present.DeepCopy()
		merged.Object["status"] = o.Object["status"]
	}
	s.store(t.resource, kind, merged)
	return merged, nil
}

// store is also how benchmarks put objects there. The lock is held.
func (s *apiServer) store(resource, kind string, o *unstructured.Unstructured) {
	s.stamp(o)
	if s.objects[resource] == nil {
		s.objects[resource] = map[string]*unstructured.Unstructured{}
	}
	s.objects[resource][o.GetName()] = o
	s.publish(resource, kind, o)
}

func body(q *http.Request) (*unstructured.Unstructured, error) {
	data, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	o := &unstructured.Unstructured{}
	if strings.Contains(q.Header.Get("Content-Type"), "json") {
		return o, utiljson.Unmarshal(data, &o.Object)
	}
	typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, err
	}
	o.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	o.SetGroupVersionKind(*kind)
	return o, err
}

func selected(q *http.Request, o *unstructured.Unstructured) bool {
	name, found := strings.CutPrefix(q.URL.Query().Get("fieldSelector"), "metadata.name=")
	return !found || name == o.GetName()
}

func answer(w http.ResponseWriter, o any) {
	w.Header().Set("Content-Type", "application/json")
	must(json.NewEncoder(w).Encode(o))
}

func refuse(w http.ResponseWriter, err error) {
	var status apierrors.APIStatus = apierrors.NewInternalError(err)
	errors.As(err, &status)
	s := status.Status()
	s.APIVersion, s.Kind = "v1", "Status"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(s.Code))
	must(json.NewEncoder(w).Encode(s))
}

// names are those of the Nodes, sorted. The lock is held.
func (s *apiServer) names() []string {
	names := make([]string, 0, len(s.nodes))
	for name := range s.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
