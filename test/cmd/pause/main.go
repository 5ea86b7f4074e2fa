// SPDX-License-Identifier: Apache-2.0

// Command pause waits to be ended; it is the only file of the pause image.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}
