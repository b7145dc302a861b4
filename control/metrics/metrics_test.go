package metrics_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/control/metrics"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
)

// snapshot has something of everything.
func snapshot() *counts.Snapshot {
	s := &counts.Snapshot{
		Version: "1.2", PID: 42, Goroutines: 17, Uptime: 90 * time.Second, Replies: 5, RequestsFailed: 6, RequestFaults: 7,
		Calls: call.Stats{
			Live: 3, Created: 13, Ended: 10, Rejected: 4,
			EndedBy:    map[call.Reason]uint64{call.ReasonDeleted: 5, call.ReasonForced: 2, call.ReasonShutdown: 1, call.ReasonTimeout: 2},
			ByLanguage: map[call.Language]call.LanguageStats{call.NG: {Live: 2, Created: 12}, call.RTPproxy: {Live: 1, Created: 1}},
			Past:       call.Past{Seconds: 100, SquaredSeconds: 2000, SilentStreams: 1, OneWayStreams: 2},
		},
		Media: media.Totals{
			Kernel: media.Counts{Packets: 900, Bytes: 9000}, Userspace: media.Counts{Packets: 100, Bytes: 1000}, Refused: 8, Legs: 12,
			KernelFlows: 4, UserFlows: 2, NotKernel: map[string]int{"muted": 2}, Lost: 11, Handshakes: 3, HandshakesFailed: 1,
		},
		Interfaces: []counts.Interface{{
			Name: "pub", Address: netip.MustParseAddr("192.0.2.1"), PortMin: 30000, PortMax: 39999,
			Pool:    media.PoolStats{Free: 4990, Used: 6, Resting: 4, Quality: media.Figures{MOS: media.Sums{Samples: 2, Sum: 86, Squares: 3698}}},
			Traffic: media.Traffic{In: media.Counts{Packets: 21, Bytes: 22}, Out: media.Counts{Packets: 23, Bytes: 24}, Errors: 25, Lost: 26},
		}},
		Exits:    []fastpath.ReasonCount{{Hook: fastpath.XDP, Name: "relayed", Packets: 900}},
		Clients:  []counts.Client{{Address: "192.0.2.9", Errors: 2, Requests: map[string]counts.Requests{"offer": {Count: 5, Time: time.Second}}}},
		Commands: []string{"offer", "start recording"},
		Exports:  []counts.Export{{To: counts.ToHomer, Sent: 31, Dropped: 32}},
		Stores: []counts.Store{
			{Name: "file", Kept: 3},
			{Name: "redis", Kept: 2, Pending: 41, Lag: 42500 * time.Millisecond, Written: 43, Failed: 44, Dropped: 45},
		},
		Followed: &counts.Followed{Connected: true, Taken: 46, Refused: 47, Pending: 48},
		Draining: true, DrainDeadline: time.Unix(1000, 0), Remaining: 2,
	}
	s.Media.Drops[media.DropForeign] = 8
	s.Media.Drops[media.DropSend] = 9
	s.Media.Quality.MOS = media.Sums{Samples: 2, Sum: 86, Squares: 3698}
	return s
}

func scrape(t *testing.T) (text, contentType string) {
	t.Helper()
	r := httptest.NewRecorder()
	metrics.NewHandler(metrics.NewRegistry(snapshot), slog.New(slog.DiscardHandler)).
		ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if r.Code != http.StatusOK {
		t.Fatalf("status %d: %s", r.Code, r.Body)
	}
	return r.Body.String(), r.Header().Get("Content-Type")
}

func TestValues(t *testing.T) {
	text, contentType := scrape(t)
	if !strings.HasPrefix(contentType, "text/plain") {
		t.Errorf("content type %q", contentType)
	}
	for _, want := range []string{
		`rtpengine_sessions{type="own"} 3`,
		`rtpengine_closed_sessions_total{reason="force_terminated"} 3`,
		`rtpengine_closed_sessions_total{reason="rejected"} 4`,
		`rtpengine_packets_total{type="kernel"} 900`,
		`rtpengine_packet_errors_total{type="userspace"} 9`,
		`rtpengine_call_duration_avg 10`,
		`rtpengine_mos_total 8.6`,
		`rtpengine_mos2_total 36.98`,
		`rtpengine_interface_mos_total{address="192.0.2.1",name="pub"} 8.6`,
		`rtpengine_ports_used{address="192.0.2.1",name="pub"} 12`,
		`rtpengine_ports{address="192.0.2.1",name="pub"} 10000`,
		`rtpengine_interface_packets{address="192.0.2.1",direction="egress",name="pub"} 23`,
		`rtpengine_requests_total{proxy="192.0.2.9",request="start recording"} 0`,
		`rtpengine_request_seconds_total{proxy="192.0.2.9",request="offer"} 1`,
		`rtpengine_errors_total{proxy="192.0.2.9"} 2`,
		`rtpengine_poller_items{index="0",pid="42",type="user"} 0`,
		`weir_kernel_packet_share 0.9`,
		`weir_legs_not_in_kernel{reason="muted"} 2`,
		`weir_kernel_exits_total{hook="xdp",reason="relayed"} 900`,
		`weir_drops_total{reason="foreign source"} 8`,
		`weir_ports{address="192.0.2.1",name="pub",state="resting"} 8`,
		`weir_draining 1`,
		`weir_drain_deadline_timestamp_seconds 1000`,
		`weir_drain_remaining_calls 2`,
		`weir_calls_ended_total{reason="terminated by operator"} 2`,
		`weir_calls{language="rtpproxy"} 1`, `weir_calls_created_total{language="ng"} 12`, `weir_calls_created_total{language="mediaproxy"} 0`,
		`weir_objects{kind="remembered replies"} 5`,
		`weir_faults_total{part="command"} 7`,
		`weir_store_calls{store="file"} 3`, `weir_store_pending_changes{store="redis"} 41`, `weir_store_lag_seconds{store="redis"} 42.5`,
		`weir_store_written_total{store="redis"} 43`, `weir_store_errors_total{store="redis"} 44`, `weir_store_dropped_total{store="redis"} 45`,
		`weir_keyspaces_connected 1`, `weir_keyspaces_documents_total{result="refused"} 47`, `weir_keyspaces_pending_keys 48`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
}

// TestPeersNames compares what is exported with the list of what rtpengine exports: name, type and names of labels.
func TestPeersNames(t *testing.T) {
	have := gathered(t)
	data, err := os.ReadFile("testdata/peer.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimRight(row, "\n"), "\t")
		family := have[fields[0]]
		if family == nil {
			t.Errorf("%s is not exported", fields[0])
			continue
		}
		if kind := strings.ToLower(family.GetType().String()); kind != fields[1] {
			t.Errorf("%s is a %s, want a %s", fields[0], kind, fields[1])
		}
		var got []string // sorted by the library
		for _, l := range family.GetMetric()[0].GetLabel() {
			got = append(got, l.GetName())
		}
		if want := fields[2]; strings.Join(got, ",") != want {
			t.Errorf("%s has the labels %v, want %s", fields[0], got, want)
		}
	}
}

func gathered(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := metrics.NewRegistry(snapshot).Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		byName[f.GetName()] = f
	}
	return byName
}

// TestPageIsCurrent walks the registry: what is exported is on the page, and the page is as the program would write it.
func TestPageIsCurrent(t *testing.T) {
	data, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != metrics.Page() {
		t.Error("docs/metrics.md is not what the program has: run make docs")
	}
	for name := range gathered(t) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		if !strings.Contains(string(data), "`"+name+"`") {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// TestPackagesNamesExist holds the dashboard and the alert rules against the registry.
func TestPackagesNamesExist(t *testing.T) {
	have := gathered(t)
	name := regexp.MustCompile(`\b(?:rtpengine|weir|go|process)_[a-z0-9_]+`)
	for _, path := range []string{"../../packaging/grafana/weir.json", "../../packaging/prometheus/weir.rules.yml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := name.FindAllString(string(data), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric", path)
		}
		for _, n := range found {
			if have[n] == nil {
				t.Errorf("%s names %s, which is not exported", path, n)
			}
		}
	}
}
