// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kata-node/kata-node/controller/scale/scaletest"
)

// The kinds of events of a watch.
const (
	added    = "ADDED"
	modified = "MODIFIED"
	bookmark = "BOOKMARK"
)

type event struct {
	kind   string
	object runtime.Object
}

// stream is one open watch. Its queue has no limit: a slow client is the benchmark's own.
type stream struct {
	selects func(runtime.Object) bool
	wakes   chan struct{}

	mu    sync.Mutex
	queue []event
}

func (s *stream) add(e event) {
	if s.selects(e.object) {
		s.push(e)
	}
}

func (s *stream) push(e event) {
	s.mu.Lock()
	s.queue = append(s.queue, e)
	s.mu.Unlock()
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

func (s *stream) take() []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.queue
	s.queue = nil
	return events
}

// publish sends an event to all watches of a resource. The lock is held.
func (s *apiServer) publish(resource, kind string, o runtime.Object) {
	for _, w := range s.watches[resource] {
		w.add(event{kind, o})
	}
}

// watch serves events until the client leaves. A version that is not the latest is answered with
// what has changed since, and none with everything.
func (s *apiServer) watch(w http.ResponseWriter, q *http.Request, t target) {
	initial := q.URL.Query().Get("sendInitialEvents") == "true"
	if initial && !s.streams {
		refuse(w, apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", field.ErrorList{field.Forbidden(field.NewPath("sendInitialEvents"), "this server streams no lists")}))
		return
	}
	out := &stream{wakes: make(chan struct{}, 1), selects: func(o runtime.Object) bool {
		u, ok := o.(*unstructured.Unstructured)
		return !ok || selected(q, u)
	}}
	s.begin(out, t, q.URL.Query().Get("resourceVersion"), initial)
	encode := inJSON
	if strings.Contains(q.Header.Get("Accept"), protobufType) && t.resource == "nodes" {
		encode = framed
		w.Header().Set("Content-Type", protobufType+";stream=watch")
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	for {
		for _, e := range out.take() {
			if _, err := w.Write(encode(e)); err != nil {
				return
			}
		}
		must(flush.Flush())
		select {
		case <-q.Context().Done():
			return
		case <-out.wakes:
		}
	}
}

// begin puts what the client does not have yet into the stream, and opens it.
func (s *apiServer) begin(out *stream, t target, version string, initial bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newer := func(v string) bool {
		order, err := resourceversion.CompareResourceVersion(v, version)
		return initial || err != nil || order > 0
	}
	if t.resource == "nodes" {
		for _, name := range s.names() {
			if n := s.nodes[name]; newer(n.ResourceVersion) {
				out.add(event{added, n})
			}
		}
	}
	for _, o := range s.objects[t.resource] {
		if newer(o.GetResourceVersion()) {
			out.add(event{added, o})
		}
	}
	if initial {
		out.push(event{bookmark, s.end(t)})
	}
	s.watches[t.resource] = append(s.watches[t.resource], out)
}

// end is the object that ends a streamed list.
func (s *apiServer) end(t target) runtime.Object {
	meta := metav1.ObjectMeta{ResourceVersion: strconv.FormatInt(s.version, 10), Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}
	if t.resource == "nodes" {
		return &corev1.Node{TypeMeta: scaletest.NodeType(), ObjectMeta: meta}
	}
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetAPIVersion(t.group.String())
	o.SetKind(kinds()[t.resource])
	o.SetResourceVersion(meta.ResourceVersion)
	o.SetAnnotations(meta.Annotations)
	return o
}

// kinds are those of the resources that the controller watches in addition to Nodes.
func kinds() map[string]string {
	return map[string]string{
		"kataconfigs": "KataConfig", "runtimeclasses": "RuntimeClass", "configmaps": "ConfigMap",
		"validatingadmissionpolicies": "ValidatingAdmissionPolicy", "validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
	}
}

func inJSON(e event) []byte {
	object, err := json.Marshal(e.object)
	must(err)
	out, err := json.Marshal(map[string]any{"type": e.kind, "object": json.RawMessage(object)})
	must(err)
	return append(out, '\n')
}

func framed(e event) []byte {
	w := metav1.WatchEvent{Type: e.kind, Object: runtime.RawExtension{Raw: inProtobuf(e.object)}}
	data, err := w.Marshal()
	must(err)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}
