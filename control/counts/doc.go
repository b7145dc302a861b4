// Package counts holds everything the daemon counts in the form in which it is shown: by metrics, command lines and statistics that are
// pushed elsewhere.
package counts
