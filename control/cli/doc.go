// Package cli serves the operator's tools: status and calls as JSON over HTTP on a unix socket, with the client side of it.
package cli
