// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	katav1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kata-node/kata-node/test/bed/fixture"
)

const (
	workerLabel = "node-role.kubernetes.io/worker"
	// subjectLabel has the node's name as its value: every KataConfig selects one node.
	subjectLabel = "kata.test/subject"
)

func (h *shared) configs() dynamic.ResourceInterface {
	return h.cluster.Dynamic.Resource(katav1.GroupVersion().WithResource("kataconfigs"))
}

// want creates the subject's KataConfig.
func (s *subject) want(config map[string]any) {
	s.t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": katav1.GroupVersion().String(), "kind": "KataConfig",
		"metadata": map[string]any{"name": s.name},
		"spec": map[string]any{
			"kataConfigPoolSelector": map[string]any{"matchLabels": map[string]any{subjectLabel: s.name}},
			"config":                 config,
		},
	}}
	_, err := s.configs().Create(s.t.Context(), object, metav1.CreateOptions{})
	require.NoError(s.t, err)
}

// change sets one field of spec.config; nil takes it away.
func (s *subject) change(field string, value any) {
	s.t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"config": map[string]any{field: value}}})
	require.NoError(s.t, err)
	_, err = s.configs().Patch(s.t.Context(), s.name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(s.t, err)
}

// pause returns when the controller has seen that it is to write no more intents to the node.
func (s *subject) pause() {
	s.t.Helper()
	s.change("paused", true)
	s.awaitConfig("is known to be paused", func(katav1.KataConfig) error { return nil })
}

func (s *subject) config(ctx context.Context) (katav1.KataConfig, error) {
	var config katav1.KataConfig
	object, err := s.configs().Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return config, err
	}
	return config, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &config)
}

// awaitConfig waits until the status is about the newest spec and as wanted.
func (s *subject) awaitConfig(what string, wanted func(katav1.KataConfig) error) {
	s.t.Helper()
	s.watchConfig(what, func(config *katav1.KataConfig) error {
		switch {
		case config == nil:
			return errors.New("there is none")
		case config.Status.ObservedGeneration != config.Generation:
			return fmt.Errorf("status is about generation %d of %d", config.Status.ObservedGeneration, config.Generation)
		}
		return wanted(*config)
	})
}

// watchConfig waits until wanted has nothing against the KataConfig, which is nil where there is
// none.
func (s *subject) watchConfig(what string, wanted func(*katav1.KataConfig) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var last error
	err := s.cluster.WatchConfig(ctx, s.name, func(config *katav1.KataConfig) (bool, error) {
		last = wanted(config)
		return last == nil, nil
	})
	require.NoError(s.t, err, "waiting until KataConfig %s: %v", what, last)
}

func (s *subject) awaitCompleted() {
	s.t.Helper()
	s.awaitConfig("is completed", func(c katav1.KataConfig) error {
		if !fixture.Completed(1)(c) {
			return fmt.Errorf("status is %+v", c.Status)
		}
		return nil
	})
}

// awaitFailed waits until failedNodes has the node, and returns its sentence.
func (s *subject) awaitFailed(says func(sentence string) bool) string {
	s.t.Helper()
	sentence := ""
	s.awaitConfig("names the failed node", func(c katav1.KataConfig) error {
		for _, failed := range c.Status.FailedNodes {
			if sentence = failed.Error; failed.Name == s.name && says(sentence) {
				return nil
			}
		}
		return fmt.Errorf("status is %+v", c.Status)
	})
	return sentence
}

// unwant deletes the KataConfig and returns when its last finalizer is gone.
func (s *subject) unwant() {
	s.t.Helper()
	s.unwantSoon()
	s.awaitUnwanted()
}

// unwantSoon deletes the KataConfig and does not wait for what follows.
func (s *subject) unwantSoon() {
	s.t.Helper()
	require.NoError(s.t, s.configs().Delete(s.t.Context(), s.name, metav1.DeleteOptions{}))
}

func (s *subject) awaitUnwanted() {
	s.t.Helper()
	s.watchConfig("is gone", func(config *katav1.KataConfig) error {
		if config != nil {
			return fmt.Errorf("its status is %+v", config.Status)
		}
		return nil
	})
}

// deselect takes the node out of the KataConfig's pool, which stays.
func (s *subject) deselect() {
	s.t.Helper()
	require.NoError(s.t, s.cluster.LabelNode(s.t.Context(), s.name, map[string]*string{subjectLabel: nil}))
}

func (s *subject) selectAgain() {
	s.t.Helper()
	require.NoError(s.t, s.cluster.LabelNode(s.t.Context(), s.name, map[string]*string{subjectLabel: &s.name}))
}
