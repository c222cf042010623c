//go:build tools

// Package peers names the program that this module builds.
package peers

import _ "github.com/hashicorp/consul-template"
