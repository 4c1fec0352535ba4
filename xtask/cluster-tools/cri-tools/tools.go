//go:build tools

// Package tools pins the programs that the cluster is built from, so that go.mod and go.sum keep them.
package tools

import (
	_ "sigs.k8s.io/cri-tools/cmd/crictl"
)
