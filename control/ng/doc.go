// Package ng serves the ng protocol: it turns requests into operations on the call model and their outcome into replies.
package ng
