//go:build tools

// Package peers names the program that this module builds, and the packages whose tests it brings.
package peers

import (
	_ "github.com/hashicorp/nomad"
	_ "github.com/hashicorp/nomad/client/allocrunner/taskrunner/template"
	_ "github.com/hashicorp/nomad/command/agent/consul"
)
