// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

const protobufType = "application/vnd.kubernetes.protobuf"

// serveNodes lists, gets and patches. Pages are cut by name, which is also the continue token.
func (s *apiServer) serveNodes(w http.ResponseWriter, q *http.Request, t target) {
	switch {
	case q.Method == http.MethodPatch:
		s.patchNode(w, q, t.name)
	case t.name != "":
		s.mu.Lock()
		n, found := s.nodes[t.name]
		s.mu.Unlock()
		if !found {
			refuse(w, apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, t.name))
			return
		}
		write(w, q, n)
	default:
		write(w, q, s.page(q))
	}
}

func (s *apiServer) page(q *http.Request) *corev1.NodeList {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
	list.ResourceVersion = strconv.FormatInt(s.version, 10)
	limit, err := strconv.Atoi(cmp.Or(q.URL.Query().Get("limit"), "0"))
	must(err)
	if q.URL.Query().Get("resourceVersion") == "0" {
		limit = 0 // From its cache, the API server answers with everything.
	}
	after := q.URL.Query().Get("continue")
	for _, name := range s.names() {
		if name <= after {
			continue
		}
		if limit > 0 && len(list.Items) == limit {
			list.Continue = list.Items[limit-1].Name
			break
		}
		list.Items = append(list.Items, *s.nodes[name])
	}
	return list
}

// change is a merge patch of a Node, as far as the controller makes one.
type change struct {
	Metadata struct {
		UID             string             `json:"uid"`
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations"`
		Labels          map[string]*string `json:"labels"`
	} `json:"metadata"`
}

func (s *apiServer) patchNode(w http.ResponseWriter, q *http.Request, name string) {
	var c change
	data, err := io.ReadAll(q.Body)
	must(err)
	must(json.Unmarshal(data, &c))
	n, err := s.update(name, func(n *corev1.Node) error {
		if c.Metadata.UID != string(n.UID) || c.Metadata.ResourceVersion != "" && c.Metadata.ResourceVersion != n.ResourceVersion {
			return apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, name, errors.New("it has changed"))
		}
		n.Annotations, n.Labels = merge(n.Annotations, c.Metadata.Annotations), merge(n.Labels, c.Metadata.Labels)
		return nil
	})
	if err != nil {
		refuse(w, err)
		return
	}
	write(w, q, n)
	s.patched(n)
}

func merge(into map[string]string, patch map[string]*string) map[string]string {
	out := maps.Clone(into)
	for key, value := range patch {
		if value == nil {
			delete(out, key)
			continue
		}
		out[key] = *value
	}
	return out
}

// update changes a copy of a Node and publishes it. Maps and slices are shared by all versions, so
// whoever changes one replaces it.
func (s *apiServer) update(name string, apply func(*corev1.Node) error) (*corev1.Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := *s.nodes[name]
	if err := apply(&n); err != nil {
		return nil, err
	}
	s.stamp(&n)
	s.nodes[name] = &n
	s.publish("nodes", modified, &n)
	return &n, nil
}

// write answers in what the client prefers.
func write(w http.ResponseWriter, q *http.Request, o runtime.Object) {
	if !strings.Contains(q.Header.Get("Accept"), protobufType) {
		answer(w, o)
		return
	}
	w.Header().Set("Content-Type", protobufType)
	_, err := w.Write(inProtobuf(o))
	must(err)
}

func inProtobuf(o runtime.Object) []byte {
	var out bytes.Buffer
	must(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(o, &out))
	return out.Bytes()
}
