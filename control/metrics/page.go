package metrics

import (
	"fmt"
	"strings"
)

// Page returns the page of the documentation that lists all families.
func Page() string {
	var b strings.Builder
	b.WriteString(`# Metrics

` + "`GET /metrics`" + ` on the ports of ` + "`--listen-http` and `--listen-https`" + ` has everything Weir counts, for Prometheus. Names and labels that
begin with ` + "`rtpengine_`" + ` are rtpengine's, so that its dashboards and alert rules go on working; the others are Weir's own. A dashboard for
Grafana and alert rules for Prometheus are in ` + "`packaging/`" + `. Beside these, the usual ` + "`go_` and `process_`" + ` families are there.

A scrape takes one snapshot of all counts and locks no two calls or legs at once. No label can grow with traffic: its values are the closed list
that stands here, or bounded as it says.

This page is made from the program; ` + "`make docs`" + ` writes it again.

## rtpengine's

`)
	var idle []family
	row := func(f *family) {
		var labels []string
		for i := range f.labels {
			labels = append(labels, f.labels[i].describe())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kindName(), strings.Join(labels, "; "), f.help)
	}
	const head = "| name | type | labels | meaning |\n|---|---|---|---|\n"
	b.WriteString(head)
	all := families()
	for i := range all {
		switch f := &all[i]; {
		case f.idle != "":
			idle = append(idle, *f)
		case strings.HasPrefix(f.name, "rtpengine_"):
			row(f)
		}
	}
	b.WriteString("\n### Always 0\n\nThese are exported because rtpengine has them, but there is nothing to count yet, or ever.\n\n| name | type | why |\n|---|---|---|\n")
	for _, f := range idle {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, f.kindName(), f.idle)
	}
	b.WriteString("\nOf the others, `rtpengine_sessions` counts no foreign calls, `rtpengine_mediastreams` none that are mixed, and\n" +
		"`rtpengine_packet_errors_total` none of the kernel, which leaves what it cannot relay to userspace.\n\n## Weir's own\n\n" + head)
	for i := range all {
		if f := &all[i]; strings.HasPrefix(f.name, "weir_") {
			row(f)
		}
	}
	fmt.Fprintf(&b, "| `weir_snapshot_seconds` | gauge |  | %s |\n", snapshotHelp)
	return b.String()
}
