//go:build tools

// Package peers names the client whose own tests this module brings.
package peers

import (
	_ "github.com/hashicorp/consul/api"
	_ "github.com/hashicorp/consul/api/watch"
)
