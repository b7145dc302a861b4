// Package ui is the page that shows in a browser what the daemon does. It only reads.
package ui
