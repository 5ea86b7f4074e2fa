// SPDX-License-Identifier: Apache-2.0

package scale_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/scale/scaletest"
)

// baselineOf names the API server in the environment of a process that is the baseline.
const baselineOf = "KATA_BENCHMARK_BASELINE"

func TestMain(m *testing.M) {
	if url := os.Getenv(baselineOf); url != "" {
		must(baseline(context.Background(), url))
		return
	}
	os.Exit(m.Run())
}

// baseline writes one request after each pass, so that its end can be seen.
func baseline(ctx context.Context, url string) error {
	kc := &v1.KataConfig{Spec: v1.KataConfigSpec{Config: v1.KataInstallConfig{PayloadImage: factstest.PayloadA}}}
	kc.Name, kc.UID, kc.Finalizers = "all", "uid-of-all", []string{facts.Finalizer}
	return scaletest.Baseline(ctx, &rest.Config{Host: url, QPS: 1000, Burst: 1000}, kc, func(int) error {
		response, err := http.Post(url+"/api/v1/baseline", "application/json", strings.NewReader("{}")) //nolint:noctx // it ends with the process
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}
