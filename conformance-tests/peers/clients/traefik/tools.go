//go:build tools

// Package peers names the program that this module builds.
package peers

import _ "github.com/traefik/traefik/v3/cmd/traefik"
