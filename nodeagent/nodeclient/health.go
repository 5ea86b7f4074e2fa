// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// health is whether the API server answered the last question of a watch. What a watch has seen
// stays visible while the API server is away, and must not be taken for news then.
type health struct {
	failed  atomic.Bool
	changed func()
}

func (h *health) note(err error) {
	if was := h.failed.Swap(err != nil); was != (err != nil) {
		h.changed()
	}
}

// observed notes how each list and each watch began.
func (h *health) observed(lw *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := lw.ListWithContext(ctx, options)
			h.note(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := lw.WatchWithContext(ctx, options)
			h.note(err)
			return w, err
		},
	}
}
