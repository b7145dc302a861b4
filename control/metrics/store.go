package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-media/weir/control/counts"
)

// storeFamilies are about the places where documents of calls are kept for other processes and nodes.
func storeFamilies() []family {
	places := oneOf("store", "file", "redis")
	of := func(name, help string, kind prometheus.ValueType, read func(*counts.Store) float64) family {
		f := family{name: name, kind: kind, help: help, labels: []label{places}}
		f.read = func(s *counts.Snapshot, out emit) {
			for i := range s.Stores {
				out(read(&s.Stores[i]), s.Stores[i].Name)
			}
		}
		return f
	}
	return []family{
		of("weir_store_calls", "Calls whose documents are kept for other processes or nodes.", gauge,
			func(s *counts.Store) float64 { return float64(s.Kept) }),
		of("weir_store_pending_changes", "Changes of calls that are not written yet: the depth of the queue.", gauge,
			func(s *counts.Store) float64 { return float64(s.Pending) }),
		of("weir_store_lag_seconds", "How long the oldest of those changes has been waiting; 0 without any.", gauge,
			func(s *counts.Store) float64 { return s.Lag.Seconds() }),
		of("weir_store_written_total", "Documents of calls that were written.", counter,
			func(s *counts.Store) float64 { return float64(s.Written) }),
		of("weir_store_errors_total", "Attempts to write that have failed; what they had is tried again.", counter,
			func(s *counts.Store) float64 { return float64(s.Failed) }),
		of("weir_store_dropped_total", "Changes that found no room in the queue and wait for the next refresh of their calls.", counter,
			func(s *counts.Store) float64 { return float64(s.Dropped) }),
		{name: "weir_keyspaces_connected", kind: gauge, help: "1 while changes of other nodes' calls are heard of, 0 while they are not. Missing where no keyspaces are followed.",
			read: func(s *counts.Snapshot, out emit) {
				if s.Followed != nil {
					out(truth(s.Followed.Connected))
				}
			}},
		{name: "weir_keyspaces_pending_keys", kind: gauge, help: "Keys of other nodes' calls that have changed and are not read yet.",
			read: func(s *counts.Snapshot, out emit) {
				if s.Followed != nil {
					out(float64(s.Followed.Pending))
				}
			}},
		{name: "weir_keyspaces_documents_total", kind: counter, help: "Documents of other nodes' calls that were taken, and that were refused.",
			labels: []label{oneOf("result", "taken", "refused")}, read: func(s *counts.Snapshot, out emit) {
				if s.Followed != nil {
					out(float64(s.Followed.Taken), "taken")
					out(float64(s.Followed.Refused), "refused")
				}
			}},
	}
}
