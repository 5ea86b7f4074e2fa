// SPDX-License-Identifier: Apache-2.0

// Command critest is critest of cri-tools, with its flags: the specification of the CRI as tests.
// cri-tools itself has it as a Go test, which cannot be built from another module.
package main

import (
	"flag"
	"os"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"sigs.k8s.io/cri-tools/pkg/framework"
	_ "sigs.k8s.io/cri-tools/pkg/validate" // Tests.
)

func main() {
	framework.RegisterFlags()
	flag.Parse()
	gomega.RegisterFailHandler(ginkgo.Fail)
	if !ginkgo.RunSpecs(result{}, "CRI validation") {
		os.Exit(1)
	}
}

// result takes the place of a testing.T: ginkgo also returns how it went.
type result struct{}

func (result) Fail() {}
