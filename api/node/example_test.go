// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
)

// What a node should have is one annotation, which the controller writes.
func ExampleIntent_Encode() {
	intent := node.Intent{
		State:   node.StateInstalled,
		Payload: "registry.example.com/kata/payload@sha256:3c4090fb8c52cb4f5a0a8d2f1f9d3d8a9ce4b6a1c1f5d0f0d7a3b0c2c5d4e6f7",
		Owner:   node.Owner{Name: "install-kata", UID: "5b5c2f9e-3f0a-4f5e-9b0a-1a2b3c4d5e6f"},
	}.Identify("node-uid")
	document, err := intent.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := node.DecodeIntent(document)
	fmt.Println(read.State, read.Payload == intent.Payload, read.ID == intent.ID, err)
	// Output: Installed true true <nil>
}

// What a node answers is another annotation, which its agent writes.
func ExampleDecodeReport() {
	report, err := node.DecodeReport(`{"version":1,"speaks":[1],"intentID":"22121cf42270b671","bootID":"b","phase":"Installing",
		"error":{"step":"pull payload","reason":"PullPayloadFailed","message":"no route to host","since":"2026-11-25T10:00:00Z"}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Phase, report.Error.Reason, report.Error.Message)
	// Output: Installing PullPayloadFailed no route to host
}

// A tag does not say what a node would run.
func ExampleDecodeIntent() {
	_, err := node.DecodeIntent(`{"version":1,"id":"x","state":"Installed","payload":"registry.example.com/kata/payload:v1"}`)
	fmt.Println(err)
	// Output: reading intent: payload "registry.example.com/kata/payload:v1" is not an image by digest: name it as registry/repository@sha256:digest
}
