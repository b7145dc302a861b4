// Package daemon reads the configuration, builds the planes, the call model and the control languages, and runs them together.
package daemon
