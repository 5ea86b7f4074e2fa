// SPDX-License-Identifier: Apache-2.0

// Command e2e.test is the part of Kubernetes' end-to-end tests that concerns pods on one node. It
// has the flags of Kubernetes' own e2e.test, whose other parts take long to build.
package main

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"k8s.io/kubernetes/test/e2e/common"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"   // Events and logs of a test that failed.
	_ "k8s.io/kubernetes/test/e2e/framework/metrics/init" // The framework refuses to work without.
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"    // Waits for nodes after each test.
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	_ "k8s.io/kubernetes/test/e2e/node" // Tests.
	testingmanifests "k8s.io/kubernetes/test/e2e/testing-manifests"
	"k8s.io/kubernetes/test/fixtures"
)

func main() {
	testing.Init() // ginkgo, which starts this program several times, gives it flags of Go's tests.
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	testfiles.AddFileSource(testingmanifests.GetE2ETestingManifestsFS())
	testfiles.AddFileSource(fixtures.GetTestFixturesFS())
	framework.AfterReadingAllFlags(&framework.TestContext)
	gomega.RegisterFailHandler(framework.Fail)
	ginkgo.BeforeSuite(prepare)
	suite, reporter := framework.CreateGinkgoConfig()
	if !ginkgo.RunSpecs(result{}, "Kubernetes e2e suite", suite, reporter) {
		os.Exit(1)
	}
}

// prepare says what e2e.test finds out about a cluster before the first test.
func prepare(context.Context) {
	common.CurrentSuite = common.E2E
	framework.TestContext.IPFamily = "ipv4"
}

// result takes the place of a testing.T: ginkgo also returns how it went.
type result struct{}

func (result) Fail() {}
