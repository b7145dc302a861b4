// Package metrics exports the counts of the daemon to Prometheus: rtpengine's names and labels unchanged, and Weir's own. Every
// family stands in a table, out of which the page docs/metrics.md is made.
package metrics
